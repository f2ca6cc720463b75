//! A search for the document that takes the most work before it is refused or run, in steps.
//!
//! Documents are generated at random from everything that multiplies: fragments that spread each other,
//! wrapped, undefined, cyclic or unused; texts, lists, objects, variables, aliases, directives,
//! operations. Our own walks count their steps ([`steps`]); the walks of the engine's rules are repeated
//! here. `USER_GATEWAY_WORST_DOCUMENTS` sets the number of documents, 300 by default, and
//! `USER_GATEWAY_WORST_DOCUMENTS_SEED` the first seed.

use std::collections::HashSet;
use std::fmt::Write as _;

use async_graphql::parser::types::{Selection, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::limits::MAX_WORK;
use super::{StoredDocument, steps};
use crate::config::{GraphqlConfig, Limits};
use crate::graphql::executor::Graphql;
use crate::graphql::model::SchemaModel;
use crate::graphql::request::GraphqlRequest;

/// The default of `--max-document-bytes`, and a little more.
const MAX_BYTES: usize = 132 * 1024;

/// The most steps of all walks of a document together: a constant, and as many for each byte.
const MAX_STEPS: usize = 10 * MAX_WORK;
const STEPS_OF_A_BYTE: usize = 10;

fn graphql() -> Graphql {
    let config = GraphqlConfig {
        graphiql: false,
        introspection: true,
        anonymous_introspection: false,
        draft_statuses: false,
        plans: true,
        document_cache_bytes: 0,
        persisted_queries: false,
    };
    Graphql::new(config, Limits::default()).unwrap()
}

/// A document and the value of all its variables.
struct Made {
    text: String,
    value: serde_json::Value,
}

struct Maker {
    random: StdRng,
}

impl Maker {
    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// Mostly small, and at most about `bound`.
    fn size(&mut self, bound: usize) -> usize {
        let bits = self.below(bound.ilog2() as usize + 2);
        match bits {
            0 => 0,
            bits => (1_usize << (bits - 1)).min(bound) + self.below(3),
        }
    }

    /// A random string literal.
    fn literal(&mut self) -> String {
        let length = if self.below(4) == 0 {
            self.size(120_000)
        } else {
            self.below(5)
        };
        format!("\"{}\"", "x".repeat(length))
    }

    fn make(&mut self) -> Made {
        let (head, on, before, after) = self.pick(&[
            ("query", "Query", "", ""),
            ("query", "User", "viewer { user {", "} }"),
            ("query", "Node", "node(id: 1) {", "}"),
            ("query", "__Schema", "__schema {", "}"),
            ("query", "__Type", "__type(name: \"User\") {", "}"),
            ("mutation", "Mutation", "", ""),
            ("subscription", "Subscription", "", ""),
        ]);
        let declared = if self.below(2) == 0 {
            0
        } else {
            self.size(1_500)
        };
        let levels = self.size(90);
        let spreads = 1 + self.below(3);
        let wraps = self.size(8);
        let mut text = String::new();
        let operations = 1 + self.size(60);
        for operation in 0..operations {
            let _ = write!(text, "{head} O{operation}");
            if declared > 0 && operation == 0 {
                text.push('(');
                for variable in 0..declared {
                    let _ = write!(text, "$v{variable}: ID ");
                }
                text.push(')');
            }
            let _ = write!(text, " {{ {before} ...F0 {after} }} ");
        }
        for level in 0..levels {
            let mut below = format!("...F{} ", level + 1).repeat(spreads);
            if self.below(8) == 0 {
                below.push_str(&self.fields(on, declared));
            }
            for _ in 0..wraps {
                below = format!("... {{ {below} }}");
            }
            let _ = write!(text, "fragment F{level} on {on} {{ {below} }} ");
        }
        let end = match self.below(12) {
            0 => "...U".to_owned(),
            1 => "...F0".to_owned(),
            _ => self.fields(on, declared),
        };
        let _ = write!(text, "fragment F{levels} on {on} {{ {end} }}");
        if self.below(10) == 0 {
            let _ = write!(text, " fragment Unused on {on} {{ ...F0 ...F0 }}");
        }
        let value = match self.below(3) {
            0 => json!("x".repeat(self.size(500_000))),
            1 => json!(1),
            _ => json!(null),
        };
        Made { text, value }
    }

    /// Fields of a type, many of the same kind.
    fn fields(&mut self, on: &str, declared: usize) -> String {
        let count = 1 + self.size(900);
        let aliased = self.below(6) == 0;
        let directives = "@include(if: true) ".repeat(self.below(3) / 2);
        let values = self.values(declared);
        let text = self.literal();
        let field = match on {
            "Query" => match self.below(4) {
                0 => format!("users(filter: {{ids: [{values}]}}) {directives}{{ nodes {{ id }} }}"),
                1 => format!("user(id: {text}) {directives}{{ id }}"),
                2 => format!("user(id: 1 {values}: 1) {{ id }}").replace(',', ": 1 "),
                _ => format!("__typename {directives}"),
            },
            "User" => format!("option(key: {text}) {directives}"),
            "Mutation" => format!(
                "setUserOption(input: {{userId: 1, key: \"k\", value: [{values}]}}) {{ changed }}"
            ),
            "Subscription" => "userChanged(id: 1) { id }".to_owned(),
            "__Schema" => "types { fields { type { fields { name } } } }".to_owned(),
            "__Type" => "fields { type { fields { type { name } } } }".to_owned(),
            _ => format!("id {directives}"),
        };
        let mut fields = String::new();
        for place in 0..count {
            if aliased {
                let _ = write!(fields, "a{place}: ");
            }
            fields.push_str(&field);
            fields.push(' ');
            if fields.len() > MAX_BYTES {
                break;
            }
        }
        fields
    }

    /// Values of a list: variables, numbers, or texts.
    fn values(&mut self, declared: usize) -> String {
        let count = 1 + self.size(2_000);
        let kind = self.below(3);
        let values = (0..count).map(|place| match kind {
            0 if declared > 0 => format!("$v{}", place % declared),
            1 => "\"User:1\"".to_owned(),
            _ => format!("a{place}"),
        });
        values.collect::<Vec<_>>().join(",")
    }
}

/// The steps of the engine's rules for a document within the limits: a walk through each operation with
/// fragments expanded, a comparison of the fields of each set, and a search for the definition of each
/// used variable.
fn steps_of_the_engine(document: &StoredDocument) -> usize {
    let mut steps = 0;
    for operation in &document.operations {
        let definition = &operation.definition.node;
        let mut walk = Expanded {
            document,
            steps: 0,
            variables: 0,
        };
        walk.set(&definition.selection_set.node);
        steps += walk.steps + walk.variables * definition.variable_definitions.len() / 8;
        steps += compared_in(document, &definition.selection_set.node);
    }
    for fragment in document.fragments.values() {
        steps += compared_in(document, &fragment.node.selection_set.node);
    }
    steps
}

struct Expanded<'a> {
    document: &'a StoredDocument,
    steps: usize,
    variables: usize,
}

impl<'a> Expanded<'a> {
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.items {
            self.steps += 1;
            assert!(self.steps <= MAX_WORK, "more selections than were counted");
            for directive in selection.node.directives() {
                self.arguments(&directive.node.arguments);
            }
            match &selection.node {
                Selection::Field(field) => {
                    self.arguments(&field.node.arguments);
                    self.set(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let fragment = &self.document.fragments[&spread.node.fragment_name.node];
                    self.set(&fragment.node.selection_set.node);
                }
            }
        }
    }

    fn arguments(&mut self, arguments: &[(Positioned<Name>, Positioned<Value>)]) {
        for (_, value) in arguments {
            self.value(&value.node);
        }
    }

    fn value(&mut self, value: &Value) {
        self.steps += 1;
        match value {
            Value::Variable(_) => self.variables += 1,
            Value::List(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.value(field)),
            _ => {}
        }
    }
}

/// The fields that are compared with others, for each selection set beneath `set`.
fn compared_in(document: &StoredDocument, set: &SelectionSet) -> usize {
    let below = set.items.iter().map(|selection| match &selection.node {
        Selection::Field(field) => compared_in(document, &field.node.selection_set.node),
        Selection::InlineFragment(fragment) => {
            compared_in(document, &fragment.node.selection_set.node)
        }
        Selection::FragmentSpread(_) => 0,
    });
    level(document, set, &mut HashSet::new()) + below.sum::<usize>()
}

fn level<'a>(
    document: &'a StoredDocument,
    set: &'a SelectionSet,
    spread: &mut HashSet<&'a Name>,
) -> usize {
    let mut selections = 0;
    for selection in &set.items {
        selections += 1;
        selections += match &selection.node {
            Selection::Field(_) => 0,
            Selection::InlineFragment(fragment) => {
                level(document, &fragment.node.selection_set.node, spread)
            }
            Selection::FragmentSpread(selection) => {
                let name = &selection.node.fragment_name.node;
                if spread.insert(name) {
                    let fragment = &document.fragments[name];
                    level(document, &fragment.node.selection_set.node, spread)
                } else {
                    0
                }
            }
        };
    }
    selections
}

/// The outcome of checking a document.
struct Measured {
    steps: usize,
    /// Whether the engine's rules saw it.
    is_within_limits: bool,
    is_valid: bool,
}

fn measure(graphql: &Graphql, model: &SchemaModel, made: &Made) -> Measured {
    let variables = (0..4).map(|place| (format!("v{place}"), made.value.clone()));
    let variables: serde_json::Map<_, _> = variables.collect();
    let request = GraphqlRequest {
        query: Some(made.text.clone()),
        operation_name: Some("O0".to_owned()),
        variables: Variables::from_json(variables.into()),
        ..GraphqlRequest::default()
    };
    steps::taken();
    let prepared = graphql.prepare(request);
    let bound = prepared.and_then(|prepared| graphql.bind(prepared));
    let mut steps = steps::taken();
    let document = StoredDocument::parse(&made.text, graphql.limits());
    if let Ok(document) = &document {
        let of_engine = steps_of_the_engine(document);
        assert!(of_engine <= MAX_WORK, "{of_engine}: {:.300}", made.text);
        if bound.is_ok() {
            steps::taken();
            let operation = document.operation(Some("O0")).unwrap();
            let plans = &operation.stored.plans;
            let _ = plans.get(&operation, &Variables::default(), model);
            steps += steps::taken();
        }
    }
    Measured {
        steps,
        is_within_limits: document.is_ok(),
        is_valid: bound.is_ok(),
    }
}

fn number(name: &str, default: u64) -> u64 {
    let asked = std::env::var_os(name);
    asked.map_or(default, |text| text.to_str().unwrap().parse().unwrap())
}

#[test]
fn no_document_takes_more_work_than_its_bytes_allow() {
    let graphql = graphql();
    let model = SchemaModel::parse(&graphql.sdl()).unwrap();
    let first = number("USER_GATEWAY_WORST_DOCUMENTS_SEED", 0);
    let count = number("USER_GATEWAY_WORST_DOCUMENTS", 300);
    let (mut within, mut valid) = (0, 0);
    let mut worst = (0, 0, 0);
    for seed in first..first + count {
        let made = Maker {
            random: StdRng::seed_from_u64(seed),
        }
        .make();
        let bytes = made.text.len();
        if bytes > MAX_BYTES {
            continue;
        }
        let measured = measure(&graphql, &model, &made);
        within += u64::from(measured.is_within_limits);
        valid += u64::from(measured.is_valid);
        worst = worst.max((measured.steps, bytes, seed));
        assert!(
            measured.steps <= MAX_STEPS + STEPS_OF_A_BYTE * bytes,
            "the seed {seed}: {} steps for {bytes} bytes: {:.300}",
            measured.steps,
            made.text
        );
    }
    let (steps, bytes, seed) = worst;
    eprintln!("the worst of {count} documents: the seed {seed}, {steps} steps for {bytes} bytes");
    assert!(within > count / 30, "{within} of {count} are within limits");
    assert!(valid > 0, "none of {count} is valid");
}

/// Fragments each of which spreads the next twice, and the last `end`.
fn doubling(head: &str, on: &str, levels: usize, end: &str) -> String {
    let mut text = head.to_owned();
    for level in 0..levels {
        let next = level + 1;
        let _ = write!(
            text,
            " fragment F{level} on {on} {{ ...F{next} ...F{next} }}"
        );
    }
    let _ = write!(text, " fragment F{levels} on {on} {{ {end} }}");
    text
}

#[test]
fn refusing_fragments_that_double_takes_steps_linear_in_their_number() {
    let graphql = graphql();
    let steps = |text: String| {
        let request = GraphqlRequest {
            query: Some(text),
            ..GraphqlRequest::default()
        };
        steps::taken();
        let prepared = graphql.prepare(request);
        assert!(
            prepared
                .and_then(|prepared| graphql.bind(prepared))
                .is_err()
        );
        steps::taken()
    };
    for (head, on) in [
        ("{ ...F0 }", "Query"),
        ("{ viewer { user { ...F0 } } }", "User"),
        ("{ __schema { ...F0 } }", "__Schema"),
        ("subscription { ...F0 }", "Subscription"),
        ("{ __typename }", "Query"),
    ] {
        for end in ["...U", "...F0", "__typename", "... { ...U }", "nothing"] {
            let few = steps(doubling(head, on, 40, end));
            let many = steps(doubling(head, on, 80, end));
            assert!(many < 3 * few, "{head} {end}: {few}, {many}");
        }
    }
}

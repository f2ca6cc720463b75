//! Limits on documents.
//!
//! [`check`] visits a document once, in time linear in its tokens, before anything expands its fragments.
//! It refuses undefined, cyclic and unused fragments, and sums up the rest with fragments expanded, so
//! that every later walk is bounded.

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, Field, FragmentDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Number, Pos, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use super::super::budget::COSTS;
use super::super::error::{GraphqlError, RequestError, bounded};
use super::super::model::{FieldModel, SchemaModel};
use super::{Operation, StoredDocument, StoredOperation, is_included, steps};
use crate::config::Limits;
use crate::domain::Code;

/// How many rows a list without a page size is taken to have when its cost is estimated.
const ASSUMED_LIST_SIZE: u64 = 10;

/// The deepest nesting of selections, fragments expanded.
const MAX_NESTING: usize = 100;

/// The deepest nesting of the schema's lists of fields, interfaces and types in an introspection. Each
/// further level multiplies the answer.
const MAX_SCHEMA_LISTS: usize = 2;

/// The most steps of checking a document. The engine's rules take some 0.2 µs for each.
pub(super) const MAX_WORK: usize = 30_000;

/// Comparing or copying this many bytes takes about as long as a step.
const BYTES_OF_A_STEP: usize = 256;

/// The most bytes of argument values, each counted as often as it is read: once for every object whose
/// field has the argument.
const MAX_INPUT_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes of a value beside its text.
const BYTES_OF_A_VALUE: u64 = 16;

/// What a selection set adds up to with its fragments expanded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    selections: usize,
    pub(super) aliases: usize,
    directives: usize,
    depth: usize,
    /// How deep it nests, inline fragments included.
    nesting: usize,
    /// The selections of the set itself, including those of fragments in it.
    level: usize,
    /// The fields among these, without `__typename` and introspection.
    pub(super) fields: usize,
    /// The fields among these that ask about the schema.
    pub(super) introspections: usize,
    /// The uses of variables.
    variables: usize,
    /// The nesting of the schema's lists.
    schema_lists: usize,
    /// The steps of a walk.
    work: usize,
}

impl Sums {
    /// Adds the sums of a sibling.
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
        self.level = self.level.saturating_add(other.level);
        self.fields = self.fields.saturating_add(other.fields);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.variables = self.variables.saturating_add(other.variables);
        self.schema_lists = self.schema_lists.max(other.schema_lists);
        self.work = self.work.saturating_add(other.work);
    }

    /// The sums of a field and of the selections below it.
    fn of_field(field: &Field, below: Self) -> Self {
        let name = field.name.node.as_str();
        let is_list = matches!(
            name,
            "fields" | "inputFields" | "interfaces" | "possibleTypes"
        );
        let mut sums = Self {
            selections: below.selections.saturating_add(1),
            aliases: below
                .aliases
                .saturating_add(usize::from(field.alias.is_some())),
            depth: below.depth + 1,
            level: 0,
            fields: usize::from(!name.starts_with("__")),
            introspections: usize::from(asks_about_schema(field)),
            schema_lists: below.schema_lists + usize::from(is_list),
            ..below
        };
        sums.add(Self::of_arguments(&field.arguments));
        sums
    }

    fn of_directives(directives: &[Positioned<Directive>]) -> Self {
        let mut sums = Self {
            directives: directives.len(),
            work: directives.len(),
            ..Self::default()
        };
        for directive in directives {
            sums.add(Self::of_arguments(&directive.node.arguments));
        }
        sums
    }

    fn of_arguments(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> Self {
        // Arguments of fields with the same key are compared with each other.
        let compared = arguments.len().saturating_mul(arguments.len()) / 16;
        let mut sums = Self {
            work: arguments.len().saturating_add(compared),
            ..Self::default()
        };
        for (_, value) in arguments {
            sums.add(Self::of_value(&value.node));
        }
        sums
    }

    fn of_value(value: &Value) -> Self {
        steps::count(1);
        let mut sums = Self {
            work: 1,
            ..Self::default()
        };
        match value {
            Value::Variable(_) => sums.variables = 1,
            Value::String(text) => sums.work += text.len() / BYTES_OF_A_STEP,
            Value::List(items) => items.iter().for_each(|item| sums.add(Self::of_value(item))),
            Value::Object(fields) => {
                fields
                    .values()
                    .for_each(|field| sums.add(Self::of_value(field)));
            }
            _ => {}
        }
        sums
    }
}

/// Refuses a document with undefined, cyclic or unused fragments, with an operation beyond `limits`, or
/// that takes too much work to check. Each fragment is summed up once. Stores the sums in the operations,
/// and returns an upper bound on the uses of variables in the document.
pub(super) fn check(
    operations: &mut [StoredOperation],
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    limits: &Limits,
) -> Result<usize, RequestError> {
    if operations.len() > limits.operations {
        let message = format!(
            "the document has {} operations, more than the {} allowed; send fewer in each",
            operations.len(),
            limits.operations
        );
        return Err(GraphqlError::new(Code::OperationLimitExceeded, message).into());
    }
    let mut walk = Walk {
        fragments,
        memo: HashMap::new(),
        compared: 0,
    };
    let (mut work, mut variables) = (0_usize, 0_usize);
    for operation in operations {
        let definition = &operation.definition.node;
        let mut sums = walk.sum(&definition.selection_set.node, 0)?;
        sums.add(Sums::of_directives(&definition.directives));
        // The engine searches for the definition of each used variable.
        let declared = definition.variable_definitions.len();
        sums.work = sums
            .work
            .saturating_add(declared)
            .saturating_add(sums.variables.saturating_mul(declared) / 8);
        refuse_beyond(&sums, definition.ty, limits)?;
        work = work.saturating_add(sums.work);
        variables = variables.saturating_add(sums.variables);
        operation.sums = sums;
    }
    let unused = fragments
        .iter()
        .filter(|(name, _)| !walk.memo.contains_key(*name))
        .map(|(name, fragment)| {
            refuse(fragment.pos, format!("the fragment `{name}` is never used"))
        });
    let mut unused: Vec<GraphqlError> = unused.collect();
    if !unused.is_empty() {
        unused.sort_unstable_by_key(|error| error.locations.first().map(|at| (at.line, at.column)));
        return Err(RequestError {
            errors: bounded(unused, limits.errors),
        });
    }
    for sums in walk.memo.values().flatten() {
        variables = variables.saturating_add(sums.variables);
    }
    if work.saturating_add(walk.compared) > MAX_WORK {
        let message = format!(
            "checking the document, fragments expanded, takes more than {MAX_WORK} steps; spread \
             fewer fragments, or pass values as variables"
        );
        return Err(GraphqlError::new(Code::DocumentTooLarge, message).into());
    }
    Ok(variables)
}

/// Refuses an operation whose sums exceed `limits`.
fn refuse_beyond(sums: &Sums, ty: OperationType, limits: &Limits) -> Result<(), RequestError> {
    let changes = match ty {
        OperationType::Mutation => sums.fields,
        OperationType::Query | OperationType::Subscription => 0,
    };
    let bounds = [
        (
            sums.depth,
            limits.depth,
            Code::DepthLimitExceeded,
            "nests its selections",
            "levels",
        ),
        (
            sums.selections,
            limits.selections,
            Code::SelectionLimitExceeded,
            "selects, fragments expanded,",
            "fields",
        ),
        (
            sums.aliases,
            limits.aliases,
            Code::AliasLimitExceeded,
            "has",
            "aliases",
        ),
        (
            sums.directives,
            limits.directives,
            Code::DirectiveLimitExceeded,
            "has",
            "directives",
        ),
        (
            changes,
            limits.mutation_fields,
            Code::MutationFieldLimitExceeded,
            "has, fragments expanded,",
            "root fields",
        ),
    ];
    for (sum, bound, code, verb, noun) in bounds {
        if sum > bound {
            let message = format!("the operation {verb} more than {bound} {noun}; ask for less");
            return Err(GraphqlError::new(code, message).into());
        }
    }
    Ok(())
}

struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// `None` while the fragment is being summed up.
    memo: HashMap<&'a Name, Option<Sums>>,
    /// The selections that the engine compares with each other: those of each set in the text, including
    /// those of fragments in it.
    compared: usize,
}

impl Walk<'_> {
    fn sum(&mut self, set: &SelectionSet, nesting: usize) -> Result<Sums, RequestError> {
        refuse_nesting(nesting)?;
        let mut sums = Sums::default();
        for selection in &set.items {
            steps::count(1);
            sums.add(Sums::of_directives(selection.node.directives()));
            let below = match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let below = self.sum(&field.selection_set.node, nesting + 1)?;
                    refuse_schema_lists(field, selection.pos, &below)?;
                    Sums::of_field(field, below)
                }
                Selection::InlineFragment(fragment) => {
                    self.sum(&fragment.node.selection_set.node, nesting + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos, nesting + 1)?
                }
            };
            sums.add(Sums {
                nesting: below.nesting + 1,
                level: below.level.saturating_add(1),
                work: below.work.saturating_add(1),
                ..below
            });
        }
        self.compared = self.compared.saturating_add(sums.level);
        Ok(sums)
    }

    fn fragment(&mut self, name: &Name, pos: Pos, nesting: usize) -> Result<Sums, RequestError> {
        let Some((name, fragment)) = self.fragments.get_key_value(name) else {
            let message = format!("there is no fragment `{name}`");
            return Err(refuse(pos, message).into());
        };
        match self.memo.get(name) {
            Some(Some(sums)) => {
                refuse_nesting(nesting + sums.nesting)?;
                return Ok(*sums);
            }
            Some(None) => {
                let message = format!("the fragment `{name}` spreads itself");
                return Err(refuse(pos, message).into());
            }
            None => {}
        }
        self.memo.insert(name, None);
        let mut sums = self.sum(&fragment.node.selection_set.node, nesting)?;
        sums.add(Sums::of_directives(&fragment.node.directives));
        self.memo.insert(name, Some(sums));
        Ok(sums)
    }
}

fn refuse(pos: Pos, message: String) -> GraphqlError {
    GraphqlError {
        locations: vec![pos],
        ..GraphqlError::new(Code::GraphqlValidationFailed, message)
    }
}

fn refuse_nesting(nesting: usize) -> Result<(), RequestError> {
    if nesting <= MAX_NESTING {
        return Ok(());
    }
    let message = format!("the document nests more than {MAX_NESTING} fragments; nest less");
    Err(GraphqlError::new(Code::DepthLimitExceeded, message).into())
}

fn asks_about_schema(field: &Field) -> bool {
    matches!(field.name.node.as_str(), "__schema" | "__type")
}

/// Refuses introspection with too deeply nested lists.
fn refuse_schema_lists(field: &Field, pos: Pos, below: &Sums) -> Result<(), RequestError> {
    if !asks_about_schema(field) || below.schema_lists <= MAX_SCHEMA_LISTS {
        return Ok(());
    }
    let message = format!(
        "the introspection nests lists of fields, interfaces and types more than \
         {MAX_SCHEMA_LISTS} levels deep; nest less"
    );
    Err(RequestError::from(GraphqlError {
        locations: vec![pos],
        ..GraphqlError::new(Code::DepthLimitExceeded, message)
    }))
}

/// The demand of an operation for given values of its variables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Demand {
    /// The highest cost.
    cost: u64,
    /// The bytes of its literals, counted for each object that reads them.
    literals: u64,
    /// The number of reads of each variable.
    reads: u64,
}

/// Returns the estimated cost of an operation: the objects that it may return and the statements that
/// read them, including introspection. Refuses it if that exceeds `limits`, or if its values are read too
/// often. Lists multiply: 50 users with 20 members of each of 10 organizations may be 10,000 members.
pub(in super::super) fn check_cost(
    operation: &Operation<'_>,
    variables: &Variables,
    model: &SchemaModel,
    limits: &Limits,
) -> Result<u64, RequestError> {
    let demand = match operation.stored.demand.get() {
        Some(demand) => *demand,
        None => Cost::of(operation, variables, model, limits),
    };
    let cost = demand.cost;
    if cost > limits.cost {
        let message = format!(
            "the operation may cost {cost}, more than the {} allowed, {COSTS}; ask for smaller pages, \
             fewer levels or fewer searches",
            limits.cost
        );
        return Err(GraphqlError::new(Code::CostLimitExceeded, message).into());
    }
    let reads = demand
        .reads
        .saturating_add(operation.document.variables as u64);
    let all: u64 = variables.values().map(bytes_of).sum();
    let most = demand.literals.saturating_add(reads.saturating_mul(all));
    if most > MAX_INPUT_BYTES {
        refuse_reads(operation, variables, model, limits)?;
    }
    Ok(cost)
}

/// Refuses an operation whose values have too many bytes, each counted as often as it is read.
fn refuse_reads(
    operation: &Operation<'_>,
    variables: &Variables,
    model: &SchemaModel,
    limits: &Limits,
) -> Result<(), RequestError> {
    let mut cost = Cost::new(operation, variables, model, limits);
    cost.reads_of = Some(HashMap::new());
    cost.walk();
    let mut reads = cost.reads_of.take().unwrap_or_default();
    // The engine's rules also read the fragments of other operations.
    reads_in_fragments(operation.document, &mut reads);
    let read = reads.into_iter().map(|(name, times)| {
        let bytes = variables.get(name).map_or(0, bytes_of);
        bytes.saturating_mul(times)
    });
    let total = read.fold(cost.demand.literals, u64::saturating_add);
    if total <= MAX_INPUT_BYTES {
        return Ok(());
    }
    let message = format!(
        "the values of the operation's arguments, each counted as often as it is read, have more \
         than {MAX_INPUT_BYTES} bytes; send smaller ones, or use them less often"
    );
    Err(GraphqlError::new(Code::DocumentTooLarge, message).into())
}

/// Adds the uses of variables in a document's fragments and their directives.
fn reads_in_fragments<'a>(document: &'a StoredDocument, reads: &mut HashMap<&'a Name, u64>) {
    fn in_directives<'a>(
        directives: &'a [Positioned<Directive>],
        reads: &mut HashMap<&'a Name, u64>,
    ) {
        for directive in directives {
            for (_, value) in &directive.node.arguments {
                each_variable(&value.node, &mut |name| {
                    *reads.entry(name).or_default() += 1;
                });
            }
        }
    }
    fn in_set<'a>(set: &'a SelectionSet, reads: &mut HashMap<&'a Name, u64>) {
        for selection in &set.items {
            in_directives(selection.node.directives(), reads);
            match &selection.node {
                Selection::Field(field) => {
                    for (_, value) in &field.node.arguments {
                        each_variable(&value.node, &mut |name| {
                            *reads.entry(name).or_default() += 1;
                        });
                    }
                    in_set(&field.node.selection_set.node, reads);
                }
                Selection::InlineFragment(fragment) => {
                    in_set(&fragment.node.selection_set.node, reads);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    for fragment in document.fragments.values() {
        in_directives(&fragment.node.directives, reads);
        in_set(&fragment.node.selection_set.node, reads);
    }
}

fn each_variable<'a>(value: &'a Value, each: &mut impl FnMut(&'a Name)) {
    match value {
        Value::Variable(name) => each(name),
        Value::List(items) => items.iter().for_each(|item| each_variable(item, each)),
        Value::Object(fields) => fields.values().for_each(|value| each_variable(value, each)),
        _ => {}
    }
}

/// The bytes of a value of a variable.
fn bytes_of(value: &ConstValue) -> u64 {
    let below = match value {
        ConstValue::String(text) => text.len() as u64,
        ConstValue::List(items) => items.iter().map(bytes_of).sum(),
        ConstValue::Object(fields) => fields
            .iter()
            .map(|(key, value)| key.len() as u64 + bytes_of(value))
            .sum(),
        _ => 0,
    };
    BYTES_OF_A_VALUE + below
}

struct Cost<'a> {
    operation: &'a Operation<'a>,
    variables: &'a Variables,
    model: &'a SchemaModel,
    limits: &'a Limits,
    demand: Demand,
    /// The number of reads of each variable, if requested.
    reads_of: Option<HashMap<&'a Name, u64>>,
    /// Whether the demand depends on the values of variables.
    varies: bool,
}

impl<'a> Cost<'a> {
    fn new(
        operation: &'a Operation<'a>,
        variables: &'a Variables,
        model: &'a SchemaModel,
        limits: &'a Limits,
    ) -> Self {
        Self {
            operation,
            variables,
            model,
            limits,
            demand: Demand::default(),
            reads_of: None,
            varies: false,
        }
    }

    /// The demand of an operation with these variables; stored if it does not depend on them.
    fn of(
        operation: &'a Operation<'a>,
        variables: &'a Variables,
        model: &'a SchemaModel,
        limits: &'a Limits,
    ) -> Demand {
        let mut cost = Self::new(operation, variables, model, limits);
        cost.walk();
        if !cost.varies {
            operation.stored.demand.get_or_init(|| cost.demand);
        }
        cost.demand
    }

    fn walk(&mut self) {
        let set = &self.operation.definition.node.selection_set.node;
        self.add(set, self.operation.root_type(), 1);
    }

    fn add(&mut self, set: &'a SelectionSet, parent: &str, parents: u64) {
        for selection in &set.items {
            steps::count(1);
            let mut directives = selection.node.directives().iter();
            self.varies |= directives.any(|directive| depends_on_variables(&directive.node));
            if !is_included(selection.node.directives(), self.variables) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => self.add_field(&field.node, parent, parents),
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    let on = on.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.add(&fragment.node.selection_set.node, on, parents);
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.operation.document.fragments;
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.add(&fragment.node.selection_set.node, on, parents);
                    }
                }
            }
        }
    }

    fn add_field(&mut self, field: &'a Field, parent: &str, parents: u64) {
        for (_, value) in &field.arguments {
            self.add_value(&value.node, parents);
        }
        let Some(definition) = self.model.field(parent, &field.name.node) else {
            return;
        };
        self.demand.cost = self.demand.cost.saturating_add(definition.cost);
        if field.selection_set.node.items.is_empty() {
            return;
        }
        let objects = parents.saturating_mul(self.size(field, definition, parent));
        self.demand.cost = self.demand.cost.saturating_add(objects);
        let on = definition.ty_name();
        self.add(&field.selection_set.node, on, objects);
    }

    /// Adds a value that is read once for each parent.
    fn add_value(&mut self, value: &'a Value, parents: u64) {
        let bytes = match value {
            Value::Variable(name) => {
                self.demand.reads = self.demand.reads.saturating_add(parents);
                if let Some(reads) = &mut self.reads_of {
                    let reads = reads.entry(name).or_default();
                    *reads = reads.saturating_add(parents);
                }
                return;
            }
            Value::String(text) => text.len() as u64,
            Value::List(items) => {
                for item in items {
                    self.add_value(item, parents);
                }
                0
            }
            Value::Object(fields) => {
                for value in fields.values() {
                    self.add_value(value, parents);
                }
                0
            }
            _ => 0,
        };
        let bytes = parents.saturating_mul(BYTES_OF_A_VALUE + bytes);
        self.demand.literals = self.demand.literals.saturating_add(bytes);
    }

    /// How many objects the field stands for beneath each parent.
    fn size(&mut self, field: &'a Field, definition: &FieldModel, parent: &str) -> u64 {
        if definition.has_argument("first") {
            let mut asked = ["first", "last"].into_iter();
            let asked = asked.find_map(|name| match self.argument(field, name)? {
                Given::Number(number) => number.as_i64(),
                Given::List(_) => None,
            });
            let default = u64::from(self.limits.default_page_size);
            return asked.map_or(default, |size| u64::try_from(size).unwrap_or(0));
        }
        // The size of a page is counted at the field that returns the page.
        if definition.is_list() && !self.model.is_connection(parent) {
            return match self.argument(field, "ids") {
                Some(Given::List(length)) => length as u64,
                _ => ASSUMED_LIST_SIZE,
            };
        }
        1
    }

    /// What is given for an argument that bears on the size of a list.
    fn argument(&mut self, field: &'a Field, name: &str) -> Option<Given<'a>> {
        match &field.get_argument(name)?.node {
            Value::Variable(name) => {
                self.varies = true;
                match self.variables.get(name)? {
                    ConstValue::Number(number) => Some(Given::Number(number)),
                    ConstValue::List(items) => Some(Given::List(items.len())),
                    _ => None,
                }
            }
            Value::Number(number) => Some(Given::Number(number)),
            Value::List(items) => Some(Given::List(items.len())),
            _ => None,
        }
    }
}

/// What bears on the size of a list.
enum Given<'a> {
    Number(&'a Number),
    /// A list of so many items.
    List(usize),
}

/// Whether what stands under a directive is part of the answer with some variables only.
fn depends_on_variables(directive: &Directive) -> bool {
    let condition = directive.get_argument("if");
    condition.is_some_and(|value| matches!(value.node, Value::Variable(_)))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const SDL: &str = "
        type Query { page(first: Int): Page odd(first: Int): OddConnection }
        type Page { pageInfo: PageInfo! nodes: [Node!]! }
        type OddConnection { nodes: [Node!]! }
        type PageInfo { hasNextPage: Boolean! }
        type Node { id: ID! }
    ";

    fn cost(text: &str) -> u64 {
        let (model, limits) = (SchemaModel::parse(SDL).unwrap(), Limits::default());
        let document = StoredDocument::parse(text, &limits).unwrap();
        let operation = document.operation(None).unwrap();
        check_cost(&operation, &Variables::default(), &model, &limits).unwrap()
    }

    #[test]
    fn a_page_is_recognised_by_its_fields_and_not_by_its_name() {
        assert_eq!(cost("{ page(first: 7) { nodes { id } } }"), 7 + 7);
        assert_eq!(cost("{ odd(first: 7) { nodes { id } } }"), 7 + 7 * 10);
    }

    #[test]
    fn introspection_has_a_cost() {
        assert_eq!(cost("{ __schema { types { name } } }"), 1 + 10);
        assert_eq!(cost("{ __typename }"), 0);
    }

    #[test]
    fn the_depth_of_fragments_does_not_depend_on_the_order_of_spreads() {
        let spread = |from: usize, to: usize, text: &mut String| {
            for level in from..to {
                let next = level + 1;
                write!(text, " fragment F{level} on Query {{ ...F{next} }}").unwrap();
            }
        };
        let mut text = "{ ...F60 ...F0 }".to_owned();
        spread(0, 120, &mut text);
        text.push_str(" fragment F120 on Query { __typename }");
        let refusal = StoredDocument::parse(&text, &Limits::default()).unwrap_err();
        assert_eq!(refusal.errors[0].code, Code::DepthLimitExceeded);
    }
}

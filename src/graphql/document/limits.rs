//! What an operation may ask for.

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Number, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use super::super::error::{GraphqlError, RequestError};
use super::super::model::{FieldModel, SchemaModel};
use super::{Operation, is_included};
use crate::config::Limits;
use crate::domain::Code;

/// How many rows a list without a page size is taken to have when its cost is estimated.
const ASSUMED_LIST_SIZE: u64 = 10;

/// Fragments that spread each other in a longer chain than this are refused.
const MAX_NESTING: usize = 100;

/// What a selection set adds up to with its fragments expanded.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    selections: usize,
    aliases: usize,
    directives: usize,
    depth: usize,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
    }
}

/// Refuses a document of which an operation asks for more than `limits` allow. Each fragment is
/// summed up once, however often it is spread.
pub(super) fn check(document: &ExecutableDocument, limits: &Limits) -> Result<(), RequestError> {
    let mut walk = Walk {
        fragments: &document.fragments,
        memo: HashMap::new(),
    };
    for (_, operation) in document.operations.iter() {
        let mut sums = walk.sum(&operation.node.selection_set.node, 0)?;
        sums.directives += operation.node.directives.len();
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
        ];
        for (sum, bound, code, verb, noun) in bounds {
            if sum > bound {
                let message =
                    format!("the operation {verb} more than {bound} {noun}; ask for less");
                return Err(GraphqlError::new(code, message).into());
            }
        }
    }
    // Fragments that no operation spreads are summed up too: the engine's rules walk them.
    let names: Vec<&Name> = document.fragments.keys().collect();
    for name in names {
        walk.fragment(name, 0)?;
    }
    Ok(())
}

struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// `None` while the fragment is being summed up.
    memo: HashMap<&'a Name, Option<Sums>>,
}

impl<'a> Walk<'a> {
    fn sum(&mut self, set: &'a SelectionSet, nesting: usize) -> Result<Sums, RequestError> {
        if nesting > MAX_NESTING {
            let message =
                format!("the document nests more than {MAX_NESTING} fragments; nest less");
            return Err(GraphqlError::new(Code::DepthLimitExceeded, message).into());
        }
        let mut sums = Sums::default();
        for selection in &set.items {
            sums.directives = sums
                .directives
                .saturating_add(selection.node.directives().len());
            match &selection.node {
                Selection::Field(field) => {
                    let mut below = self.sum(&field.node.selection_set.node, nesting + 1)?;
                    below.depth += 1;
                    below.selections = below.selections.saturating_add(1);
                    below.aliases += usize::from(field.node.alias.is_some());
                    sums.add(below);
                }
                Selection::InlineFragment(fragment) => {
                    sums.add(self.sum(&fragment.node.selection_set.node, nesting + 1)?);
                }
                Selection::FragmentSpread(spread) => {
                    sums.add(self.fragment(&spread.node.fragment_name.node, nesting + 1)?);
                }
            }
        }
        Ok(sums)
    }

    fn fragment(&mut self, name: &Name, nesting: usize) -> Result<Sums, RequestError> {
        // One that is not defined is reported by the engine's rules.
        let Some((name, fragment)) = self.fragments.get_key_value(name) else {
            return Ok(Sums::default());
        };
        match self.memo.get(name) {
            Some(Some(sums)) => return Ok(*sums),
            Some(None) => {
                let message = format!("the fragment `{name}` spreads itself");
                return Err(GraphqlError::new(Code::GraphqlValidationFailed, message).into());
            }
            None => {}
        }
        self.memo.insert(name, None);
        let mut sums = self.sum(&fragment.node.selection_set.node, nesting)?;
        sums.directives = sums
            .directives
            .saturating_add(fragment.node.directives.len());
        self.memo.insert(name, Some(sums));
        Ok(sums)
    }
}

/// Refuses an operation that may produce more objects than `limits` allow. Lists multiply: 50
/// users with 20 members of each of their organizations may be 10,000 members.
pub(in super::super) fn check_cost(
    operation: &Operation<'_>,
    variables: &Variables,
    model: &SchemaModel,
    limits: &Limits,
) -> Result<(), RequestError> {
    let total = match operation.stored.cost.get() {
        Some(total) => *total,
        None => Cost::of(operation, variables, model, limits),
    };
    if total <= limits.cost {
        return Ok(());
    }
    let message = format!(
        "the operation may produce {total} objects, more than the {} allowed; ask for smaller \
         pages or fewer levels",
        limits.cost
    );
    Err(GraphqlError::new(Code::CostLimitExceeded, message).into())
}

struct Cost<'a> {
    operation: &'a Operation<'a>,
    variables: &'a Variables,
    model: &'a SchemaModel,
    limits: &'a Limits,
    total: u64,
    /// Whether other values of the variables might lead to another total.
    varies: bool,
}

impl<'a> Cost<'a> {
    /// The cost of an operation with these variables; kept, if it is the same with all others.
    fn of(
        operation: &'a Operation<'a>,
        variables: &'a Variables,
        model: &'a SchemaModel,
        limits: &'a Limits,
    ) -> u64 {
        let mut cost = Self {
            operation,
            variables,
            model,
            limits,
            total: 0,
            varies: false,
        };
        let set = &operation.definition.node.selection_set.node;
        cost.add(set, operation.root_type(), 1);
        if !cost.varies {
            operation.stored.cost.get_or_init(|| cost.total);
        }
        cost.total
    }

    fn add(&mut self, set: &'a SelectionSet, parent: &str, parents: u64) {
        for selection in &set.items {
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
        if field.selection_set.node.items.is_empty() || field.name.node.starts_with("__") {
            return;
        }
        let Some(definition) = self.model.field(parent, &field.name.node) else {
            return;
        };
        let in_page = parent.ends_with("Connection");
        let size = if in_page {
            1
        } else {
            self.size(field, definition)
        };
        let objects = parents.saturating_mul(size);
        self.total = self.total.saturating_add(objects);
        let on = definition.ty_name();
        self.add(&field.selection_set.node, on, objects);
    }

    /// How many objects the field stands for beneath each parent.
    fn size(&mut self, field: &'a Field, definition: &FieldModel) -> u64 {
        if definition.has_argument("first") {
            let mut asked = ["first", "last"].into_iter();
            let asked = asked.find_map(|name| match self.argument(field, name)? {
                Given::Number(number) => number.as_i64(),
                Given::List(_) => None,
            });
            let default = u64::from(self.limits.default_page_size);
            return asked.map_or(default, |size| u64::try_from(size).unwrap_or(0));
        }
        if definition.is_list() {
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

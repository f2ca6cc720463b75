//! The plans of an operation.

use std::sync::OnceLock;

use async_graphql::parser::types::{Directive, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use super::super::document::Operation;
use super::super::model::SchemaModel;
use super::run::Plan;

/// How many plans an operation has at most. Conditions multiply them, and clients use few.
const MAX_PLANS: usize = 16;

/// The plans of an operation. What is part of the answer may depend on variables, in `@skip` and
/// `@include`; there is a plan for each combination of their values that has been met.
#[derive(Debug, Default)]
pub(in super::super) struct Plans {
    /// The variables that decide.
    conditions: OnceLock<Box<[Name]>>,
    /// In the order in which they were met.
    known: [OnceLock<Box<Known>>; MAX_PLANS],
}

/// The plan for these values of the conditions; `None` if plans do not cover what is asked for.
#[derive(Debug)]
struct Known {
    values: Box<[bool]>,
    plan: Option<Plan>,
}

impl Plans {
    /// The plan of `operation`, whose plans these are, with these variables; none where plans do
    /// not cover it, or there are too many already.
    pub(in super::super) fn get(
        &self,
        operation: &Operation<'_>,
        variables: &Variables,
        model: &SchemaModel,
    ) -> Option<&Plan> {
        let conditions = self.conditions.get_or_init(|| conditions(operation));
        let values = conditions
            .iter()
            .map(|name| variables.get(name) == Some(&ConstValue::Boolean(true)));
        let compile = || {
            let plan = Plan::compile(operation, variables, model);
            let values = values.clone().collect();
            Box::new(Known { values, plan })
        };
        let mut known = self.known.iter().map(|known| known.get_or_init(compile));
        let found = known.find(|known| known.values.iter().copied().eq(values.clone()));
        found?.plan.as_ref()
    }
}

/// The variables that decide what is part of the answer.
fn conditions(operation: &Operation<'_>) -> Box<[Name]> {
    fn in_directives(directives: &[Positioned<Directive>], names: &mut Vec<Name>) {
        for directive in directives {
            if let Some(value) = directive.node.get_argument("if")
                && let Value::Variable(name) = &value.node
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
    }
    fn in_set(set: &SelectionSet, names: &mut Vec<Name>) {
        for selection in &set.items {
            in_directives(selection.node.directives(), names);
            match &selection.node {
                Selection::Field(field) => in_set(&field.node.selection_set.node, names),
                Selection::InlineFragment(fragment) => {
                    in_set(&fragment.node.selection_set.node, names);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    let mut names = Vec::new();
    in_set(&operation.definition.node.selection_set.node, &mut names);
    for fragment in operation.document.fragments.values() {
        in_set(&fragment.node.selection_set.node, &mut names);
    }
    names.into()
}

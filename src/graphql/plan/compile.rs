//! From what an operation selects to a plan.

use std::sync::atomic::AtomicUsize;

use async_graphql::parser::types::{Field, OperationType, SelectionSet};
use async_graphql::{Positioned, Variables};

use super::super::document::{Operation, collect};
use super::super::model::SchemaModel;
use super::super::mutation::Mutation;
use super::super::query::Query;
use super::field::{ComputedField, ComputedPlan, FieldPlan, Place, ReadField, ReadPlan, TypeName};
use super::object::{ObjectPlan, PlannedObject, Selected};
use super::output::Output;
use super::run::{Plan, Root};

impl Plan {
    /// The plan of a valid `operation` with these variables, of which only those count that decide
    /// what is part of the answer. `None` if it asks for something that plans do not cover.
    pub(in super::super) fn compile(
        operation: &Operation<'_>,
        variables: &Variables,
        model: &SchemaModel,
    ) -> Option<Self> {
        let compiler = Compiler {
            operation,
            variables,
            model,
        };
        let set = &operation.definition.node.selection_set.node;
        let root = match operation.definition.node.ty {
            OperationType::Query => Root::Query(compiler.object::<Query>(&[set])?),
            OperationType::Mutation => {
                Root::Mutation(compiler.object::<Mutation>(&[set])?.one_by_one())
            }
            OperationType::Subscription => return None,
        };
        // The first answer is written into a buffer that grows.
        let bytes = AtomicUsize::new(256);
        Some(Self { root, bytes })
    }
}

struct Compiler<'a> {
    operation: &'a Operation<'a>,
    variables: &'a Variables,
    model: &'a SchemaModel,
}

impl<'a> Compiler<'a> {
    fn object<T: PlannedObject>(&self, sets: &[&'a SelectionSet]) -> Option<ObjectPlan<T>> {
        let fields = collect(self.operation, self.variables, self.model, sets, T::NAME);
        let fields = fields.into_iter().map(|(key, same)| {
            let field = FieldCompiler {
                compiler: self,
                same,
            };
            let plan = match field.name() {
                "__typename" => Box::new(TypeName(T::NAME)),
                _ => T::plan(&field)?,
            };
            Some(Selected::new(key.clone(), plan))
        });
        Some(ObjectPlan::new(fields.collect::<Option<_>>()?))
    }
}

/// A field that is being compiled.
pub(in super::super) struct FieldCompiler<'a> {
    compiler: &'a Compiler<'a>,
    /// The places of the document that ask for it under one key; never empty.
    same: Vec<&'a Positioned<Field>>,
}

impl FieldCompiler<'_> {
    /// Its name in the schema.
    pub(in super::super) fn name(&self) -> &str {
        &self.same[0].node.name.node
    }

    /// The plan of a field that is computed.
    pub(in super::super) fn computed<F: ComputedField>(
        &self,
    ) -> Option<Box<dyn FieldPlan<F::Parent>>> {
        let below = <F::Output<'static> as Output>::below(self)?;
        Some(Box::new(ComputedPlan::<F>::new(self.place(), below)))
    }

    /// The plan of a field that reads.
    pub(in super::super) fn read<F: ReadField>(&self) -> Option<Box<dyn FieldPlan<F::Parent>>> {
        let below = <F::Output as Output>::below(self)?;
        Some(Box::new(ReadPlan::<F>::new(self.place(), below)))
    }

    /// The plan of what is selected of an object of the type `T` beneath the field.
    pub(in super::super) fn object<T: PlannedObject>(&self) -> Option<ObjectPlan<T>> {
        let sets = self.same.iter();
        let sets: Vec<_> = sets.map(|field| &field.node.selection_set.node).collect();
        self.compiler.object(&sets)
    }

    fn place(&self) -> Place {
        let first = self.same[0];
        Place {
            pos: first.pos,
            arguments: first.node.arguments.clone(),
        }
    }
}

//! From what an operation selects to a plan.

use std::cell::RefCell;
use std::sync::atomic::AtomicUsize;

use async_graphql::parser::types::{Field, OperationType, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use foldhash::HashMap;

use super::super::context::Details;
use super::super::document::{Operation, collect};
use super::super::model::SchemaModel;
use super::super::mutation::Mutation;
use super::super::object::{Organization, User};
use super::super::query::Query;
use super::arguments::variables_in;
use super::field::{ComputedField, ComputedPlan, FieldPlan, Place, ReadField, ReadPlan, TypeName};
use super::object::{ObjectPlan, PlannedObject, Selected};
use super::output::Output;
use super::run::{Plan, Root};
use crate::auth::Detail;

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
            needed: RefCell::default(),
            detailed: RefCell::default(),
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
        Some(Self {
            root,
            needed_once: compiler.needed_once(),
            details: Details {
                users: compiler.detail::<User>(),
                organizations: compiler.detail::<Organization>(),
            },
            bytes,
        })
    }
}

struct Compiler<'a> {
    operation: &'a Operation<'a>,
    variables: &'a Variables,
    model: &'a SchemaModel,
    /// The variables among the arguments of the fields compiled so far, and whether each may be
    /// given away: it stands in one place only, and that in a field of the root.
    needed: RefCell<HashMap<Name, bool>>,
    /// The types of the fields compiled so far that need details.
    detailed: RefCell<Vec<&'static str>>,
}

impl<'a> Compiler<'a> {
    /// The variables that stand in one place only, and that in a field of the root: there is one
    /// root, which is read once. Fields of other objects need their arguments for each of them.
    fn needed_once(&self) -> Box<[Name]> {
        let needed = self.needed.borrow();
        let once = needed.iter().filter(|(_, is_needed_once)| **is_needed_once);
        let mut once: Vec<Name> = once.map(|(name, _)| name.clone()).collect();
        once.sort_unstable();
        once.into()
    }

    /// How much the operation needs of objects of the type `T`.
    fn detail<T: PlannedObject>(&self) -> Detail {
        if self.detailed.borrow().contains(&T::NAME) {
            Detail::Whole
        } else {
            Detail::Brief
        }
    }

    fn object<T: PlannedObject>(&self, sets: &[&'a SelectionSet]) -> Option<ObjectPlan<T>> {
        let fields = collect(self.operation, self.variables, self.model, sets, T::NAME);
        let fields = fields.into_iter().map(|(key, same)| {
            let field = FieldCompiler {
                compiler: self,
                parent: T::NAME,
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
    /// The type of the object whose field it is.
    parent: &'static str,
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
        self.note_detail(F::IS_DETAIL);
        // Its arguments are looked at when it is read and when it is written.
        let place = self.place(false);
        Some(Box::new(ComputedPlan::<F>::new(place, below)))
    }

    /// The plan of a field that reads.
    pub(in super::super) fn read<F: ReadField>(&self) -> Option<Box<dyn FieldPlan<F::Parent>>> {
        let below = <F::Output as Output>::below(self)?;
        self.note_detail(F::IS_DETAIL);
        let place = self.place(self.parent == self.compiler.operation.root_type());
        Some(Box::new(ReadPlan::<F>::new(place, below)))
    }

    /// The plan of what is selected of an object of the type `T` beneath the field.
    pub(in super::super) fn object<T: PlannedObject>(&self) -> Option<ObjectPlan<T>> {
        let sets = self.same.iter();
        let sets: Vec<_> = sets.map(|field| &field.node.selection_set.node).collect();
        self.compiler.object(&sets)
    }

    fn note_detail(&self, is_detail: bool) {
        if is_detail {
            self.compiler.detailed.borrow_mut().push(self.parent);
        }
    }

    fn place(&self, is_resolved_once: bool) -> Place {
        let first = self.same[0];
        let mut names = Vec::new();
        for (_, value) in &first.node.arguments {
            variables_in(&value.node, &mut names);
        }
        let mut needed = self.compiler.needed.borrow_mut();
        for name in names {
            needed
                .entry(name.clone())
                .and_modify(|is_needed_once| *is_needed_once = false)
                .or_insert(is_resolved_once);
        }
        Place {
            pos: first.pos,
            arguments: first.node.arguments.clone(),
        }
    }
}

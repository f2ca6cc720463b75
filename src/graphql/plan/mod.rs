//! Plans: an operation compiled once, run many times.
//!
//! A plan is a tree of what the operation selects, in the form of the Rust types that answer it.
//! Running it has two halves. First it *reads*: level by level, the resolvers that read something
//! are called for all objects of a level, and what they look up leaves in one batch of each kind
//! (see [`run`]). Then it *writes*: the tree is walked once in the order of the document, and the
//! answer goes straight into the buffer that is sent; fields that are merely computed are computed
//! here. There is no future, no map and no tree node for such a field.
//!
//! Fields are defined once, by the attribute `#[object]` over their resolvers, for plans and for
//! the engine. What plans do not cover, such as introspection and subscriptions, the engine runs;
//! which of the two has run cannot be told from an answer.

mod alarm;
mod arguments;
mod compile;
mod field;
mod interface;
#[cfg(test)]
mod model;
mod object;
mod output;
mod plans;
mod run;
mod writer;

pub(super) use arguments::Arguments;
pub(super) use compile::FieldCompiler;
pub(super) use field::{ComputedField, FieldPlan, ReadField, await_each, paced};
pub(super) use interface::plan_interface;
pub(super) use object::{ObjectPlan, PlannedObject, Rows, Selection};
pub(super) use output::{Output, enum_outputs, leaves, list_output, object_output};
pub(super) use plans::Plans;
pub(super) use run::{Answer, Plan, Run};
pub(super) use writer::{Writer, Written};

/// The primitives of `alarm.rs`, which its model replaces by those of `loom`.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) use futures_util::task::AtomicWaker;
}

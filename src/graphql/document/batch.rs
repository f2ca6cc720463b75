//! What the operations of a batch may ask for together.
//!
//! This is about what they say before any of them runs: estimates of cost, aliases, changes. What they
//! take is counted by [`Budget`](super::super::budget::Budget) while they run, all at once.

use super::limits::Sums;
use super::{GraphqlError, Operation, RequestError};
use crate::config::Limits;
use crate::domain::Code;

/// What is left of the bounds that the operations of a batch share: as much cost, as many
/// aliases and changes as one operation may have.
#[derive(Debug)]
pub struct BatchAllowance {
    cost: u64,
    aliases: usize,
    changes: usize,
}

impl BatchAllowance {
    /// All that `limits` allow.
    pub(in super::super) const fn new(limits: &Limits) -> Self {
        Self {
            cost: limits.cost,
            aliases: limits.aliases,
            changes: limits.mutation_fields,
        }
    }

    /// Takes what an operation needs that may cost so much, or refuses the operation and
    /// takes nothing.
    pub(in super::super) fn take(
        &mut self,
        operation: &Operation<'_>,
        cost: u64,
    ) -> Result<(), RequestError> {
        let Sums {
            aliases, fields, ..
        } = operation.stored.sums;
        let changes = if operation.is_mutation() { fields } else { 0 };
        let left = (
            self.cost.checked_sub(cost),
            self.aliases.checked_sub(aliases),
            self.changes.checked_sub(changes),
        );
        let (code, what) = match left {
            (Some(cost), Some(aliases), Some(changes)) => {
                *self = Self {
                    cost,
                    aliases,
                    changes,
                };
                return Ok(());
            }
            (None, _, _) => (Code::CostLimitExceeded, "cost more"),
            (_, None, _) => (Code::AliasLimitExceeded, "have more aliases"),
            (_, _, None) => (Code::MutationFieldLimitExceeded, "change more things"),
        };
        let message = format!(
            "the operations of the batch up to this one may {what} than a single one is allowed; \
             send it in another request"
        );
        Err(GraphqlError::new(code, message).into())
    }
}

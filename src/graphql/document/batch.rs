//! The limits that the operations of a batch share before any of them runs: estimated cost, aliases,
//! root fields of mutations. The actual cost is charged to [`Budget`](super::super::budget::Budget)
//! while they run.

use super::limits::Sums;
use super::{GraphqlError, Operation, RequestError};
use crate::config::Limits;
use crate::domain::Code;

/// What remains of the cost, aliases and mutation fields of a batch, which together may have as many as
/// one operation.
#[derive(Debug)]
pub struct BatchAllowance {
    cost: u64,
    aliases: usize,
    changes: usize,
}

impl BatchAllowance {
    /// Everything that `limits` allow.
    pub(in super::super) const fn new(limits: &Limits) -> Self {
        Self {
            cost: limits.cost,
            aliases: limits.aliases,
            changes: limits.mutation_fields,
        }
    }

    /// Deducts what an operation needs, or refuses the operation and deducts nothing.
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
            (_, _, None) => (
                Code::MutationFieldLimitExceeded,
                "have more mutation fields",
            ),
        };
        let message = format!(
            "the operations of the batch up to this one may {what} than a single one is allowed; \
             send it in another request"
        );
        Err(GraphqlError::new(code, message).into())
    }
}

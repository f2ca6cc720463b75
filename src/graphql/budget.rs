//! What the operations of one request may take, counted while they run.
//!
//! A cost is estimated before an operation runs, by guesses at the sizes of lists, and those of a batch
//! are added up by [`BatchAllowance`](super::document::BatchAllowance). Here the true numbers count, as
//! soon as they are known: objects when their level has been read, rows and values when look-ups
//! have found them, bytes as they are written. What goes on past a bound is never resumed: whoever
//! drives the operation looks at [`Budget::check`] whenever it has waited, and drops what is left of it.

use std::future::pending;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::task::coop::{consume_budget, has_budget_remaining};

use super::error::GraphqlError;
use crate::config::Limits;
use crate::domain::Code;

/// What a statement costs, or a call of another silo: as much as so many objects.
pub(super) const STATEMENT: u64 = 10;

/// What a search or a count costs, which look at more rows than they answer with.
pub(super) const SEARCH: u64 = 1_000;

/// So many objects are counted by the engine's resolvers for each unit of the task's budget.
const OBJECTS_PER_UNIT: u64 = 16;

/// An answer with more bytes is large: work on all of it takes longer than a millisecond or so.
pub(super) const LARGE_BYTES: usize = 64 * 1024;

/// What the operations of one request have taken, and what they may take.
#[derive(Debug)]
pub struct Budget {
    max_cost: u64,
    max_bytes: usize,
    /// Objects of the answers, and what statements cost.
    cost: AtomicU64,
    /// Rows that look-ups have found, which are in memory before they are objects of an answer.
    rows: AtomicU64,
    /// Bytes of the answers.
    bytes: AtomicUsize,
    /// Bytes of values that have been found, which are in memory before they are part of an answer.
    found_bytes: AtomicUsize,
}

impl Budget {
    /// All that `limits` allow.
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            max_cost: limits.cost,
            max_bytes: limits.response_bytes,
            cost: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            found_bytes: AtomicUsize::new(0),
        }
    }

    /// Counts `cost`.
    pub(super) fn charge(&self, cost: u64) {
        self.cost.fetch_add(cost, Ordering::Relaxed);
    }

    /// Counts `cost`, and goes on only if that may be spent.
    pub(super) async fn spend(&self, cost: u64) {
        self.charge(cost);
        if self.check().is_err() {
            pending::<()>().await;
        }
    }

    /// Counts what the engine answers with, and goes on only if that may be spent; not before others
    /// have had their turn, if this task has counted much in its own.
    pub(super) async fn answer(&self, objects: u64, bytes: usize) {
        self.write(bytes);
        let before = self.cost.fetch_add(objects, Ordering::Relaxed);
        if self.check().is_err() {
            pending::<()>().await;
        }
        let unit = |cost: u64| cost / OBJECTS_PER_UNIT;
        if unit(before) != unit(before + objects) || !has_budget_remaining() {
            consume_budget().await;
        }
    }

    /// Counts rows that a look-up has found, and the bytes of what may be long in them.
    pub(super) fn found(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        if bytes > 0 {
            self.found_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Counts bytes of an answer.
    pub(super) fn write(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What may still be spent.
    pub(super) fn cost_left(&self) -> u64 {
        let spent = self.cost.load(Ordering::Relaxed);
        self.max_cost.saturating_sub(spent)
    }

    /// How many bytes may still be written.
    pub(super) fn bytes_left(&self) -> usize {
        let written = self.bytes.load(Ordering::Relaxed);
        self.max_bytes.saturating_sub(written)
    }

    /// Says which bound has been passed, if one has.
    pub(super) fn check(&self) -> Result<(), GraphqlError> {
        let cost = self.cost.load(Ordering::Relaxed);
        let rows = self.rows.load(Ordering::Relaxed);
        if cost.max(rows) > self.max_cost {
            let message = format!(
                "the request was stopped: it costs more than the {} allowed, {COSTS}; ask for \
                 smaller pages, fewer levels or fewer searches",
                self.max_cost
            );
            return Err(GraphqlError::new(Code::CostLimitExceeded, message));
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        let found_bytes = self.found_bytes.load(Ordering::Relaxed);
        if bytes.max(found_bytes) > self.max_bytes {
            let message = format!(
                "the request was stopped: its answer, or what was read for it, has more than the {} \
                 bytes allowed; ask for smaller pages, fewer fields or fewer aliases",
                self.max_bytes
            );
            return Err(GraphqlError::new(Code::ResponseLimitExceeded, message));
        }
        Ok(())
    }
}

/// How a cost is made up, as errors say it.
pub(super) const COSTS: &str =
    "where an object counts as 1, a statement as 10, and a search or a count as 1000";

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn budget(cost: u64, response_bytes: usize) -> Budget {
        Budget::new(&Limits {
            cost,
            response_bytes,
            ..Limits::default()
        })
    }

    fn code(budget: &Budget) -> Option<Code> {
        budget.check().err().map(|error| error.code)
    }

    #[test]
    fn all_that_is_allowed_may_be_taken_and_no_more() {
        let budget = budget(10, 100);
        assert_eq!(budget.spend(10).now_or_never(), Some(()));
        budget.write(100);
        budget.found(10, 100);
        assert_eq!(code(&budget), None);
        assert_eq!((budget.cost_left(), budget.bytes_left()), (0, 0));
        budget.write(1);
        assert_eq!(code(&budget), Some(Code::ResponseLimitExceeded));
        // What has passed a bound does not go on.
        assert_eq!(budget.spend(1).now_or_never(), None);
        assert_eq!(code(&budget), Some(Code::CostLimitExceeded));
    }

    #[test]
    fn rows_count_before_they_are_objects() {
        let budget = budget(10, 100);
        budget.found(11, 0);
        assert_eq!(code(&budget), Some(Code::CostLimitExceeded));
    }

    #[test]
    fn values_count_before_they_are_part_of_an_answer() {
        let budget = budget(10, 100);
        budget.found(1, 60);
        assert_eq!(code(&budget), None);
        budget.found(1, 41);
        assert_eq!(code(&budget), Some(Code::ResponseLimitExceeded));
        assert_eq!(budget.spend(1).now_or_never(), None);
    }

    #[test]
    fn what_an_error_says_of_costs_is_so() {
        assert!(COSTS.contains(&STATEMENT.to_string()));
        assert!(COSTS.contains(&SEARCH.to_string()));
    }
}

//! The budget of a request: cost and bytes, counted while its operations run.
//!
//! The cost is estimated before an operation runs, by assumed sizes of lists; the estimates of a batch
//! are added up by [`BatchAllowance`](super::document::BatchAllowance). Here actual numbers are charged:
//! objects when their level has been read, rows and values when look-ups have returned them, bytes as
//! they are written. An operation that exceeds the budget is not resumed: its driver calls
//! [`Budget::check`] after each wait, and drops it. Requests with large answers share a memory, too.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tokio::task::coop::{consume_budget, has_budget_remaining};

use super::error::GraphqlError;
use super::memory::Memory;
use crate::config::Limits;
use crate::domain::Code;

/// The cost of a statement, or of a call of another silo, in objects.
pub(super) const STATEMENT: u64 = 10;

/// The cost of a search or a count, which read more rows than they return.
pub(super) const SEARCH: u64 = 1_000;

/// How many objects of the engine consume one unit of the task's cooperative budget.
const OBJECTS_PER_UNIT: u64 = 16;

/// Answers with more bytes are large: processing one takes more than about a millisecond.
pub(super) const LARGE_BYTES: usize = 64 * 1024;

/// The approximate bytes of a row in memory, without values of unlimited length.
const ROW_BYTES: usize = 512;

/// The cost and bytes that the operations of a request have used, and may use.
#[derive(Debug)]
pub struct Budget {
    max_cost: u64,
    max_bytes: usize,
    /// The cost of objects in the answers and of statements.
    cost: AtomicU64,
    /// Rows returned by look-ups, which are in memory before they are objects of an answer.
    rows: AtomicU64,
    /// Bytes of the answers.
    bytes: AtomicUsize,
    /// Bytes of values that look-ups returned. They are in memory before they are part of an answer.
    found_bytes: AtomicUsize,
    memory: Memory,
    /// How much of `memory` this request holds; nothing unless its answers are large.
    held: AtomicUsize,
    /// Allows the request to go on while the memory is scarce.
    turn: OnceCell<Option<OwnedSemaphorePermit>>,
    /// Whether the memory was used up at a check. A future that finds a check failed never resolves, so
    /// all later checks fail, too.
    is_refused: AtomicBool,
}

impl Budget {
    /// The whole budget that `limits` allow a request which shares `memory` with others.
    pub(super) fn new(limits: &Limits, memory: Memory) -> Self {
        Self {
            max_cost: limits.cost,
            max_bytes: limits.response_bytes,
            cost: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            found_bytes: AtomicUsize::new(0),
            memory,
            held: AtomicUsize::new(0),
            turn: OnceCell::new(),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Charges `cost`.
    pub(super) fn charge(&self, cost: u64) {
        self.cost.fetch_add(cost, Ordering::Relaxed);
    }

    /// Charges `cost`, and waits until memory allows to go on. Never resolves if the cost exceeds the
    /// budget.
    pub(super) async fn spend(&self, cost: u64) {
        self.charge(cost);
        if self.check().is_err() {
            pending::<()>().await;
        }
        self.turn().await;
    }

    /// Waits for the turn of this request if it holds memory, and memory is scarce. From then on what it
    /// holds is not counted.
    pub(super) async fn turn(&self) {
        if self.holds_memory() && self.memory.is_scarce() {
            self.turn.get_or_init(|| self.memory.turn()).await;
            self.memory.release(self.held.swap(0, Ordering::Relaxed));
        }
    }

    /// Charges a part of the engine's answer, and never resolves if that exceeds the budget. Yields to
    /// other tasks when this one has charged much without a pause.
    pub(super) async fn answer(&self, objects: u64, bytes: usize) {
        self.write(bytes);
        let before = self.cost.fetch_add(objects, Ordering::Relaxed);
        if self.check().is_err() {
            pending::<()>().await;
        }
        let unit = |cost: u64| cost / OBJECTS_PER_UNIT;
        if unit(before) != unit(before + objects) || !has_budget_remaining() {
            consume_budget().await;
            self.turn().await;
        }
    }

    /// Charges rows that a look-up has returned, and the bytes of their values of unlimited length.
    pub(super) fn found(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        if bytes > 0 {
            self.found_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        self.hold();
    }

    /// Charges bytes of an answer.
    pub(super) fn write(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.hold();
    }

    /// Takes of the memory what the request holds by now.
    fn hold(&self) {
        let rows = usize::try_from(self.rows.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let bytes = rows.saturating_mul(ROW_BYTES)
            + self.found_bytes.load(Ordering::Relaxed)
            + self.bytes.load(Ordering::Relaxed);
        if bytes > LARGE_BYTES && !self.turn.initialized() {
            let held = self.held.fetch_max(bytes, Ordering::Relaxed);
            self.memory.take(bytes.saturating_sub(held));
        }
    }

    fn holds_memory(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    /// The remaining cost.
    pub(super) fn cost_left(&self) -> u64 {
        let spent = self.cost.load(Ordering::Relaxed);
        self.max_cost.saturating_sub(spent)
    }

    /// The remaining bytes.
    pub(super) fn bytes_left(&self) -> usize {
        let written = self.bytes.load(Ordering::Relaxed);
        self.max_bytes.saturating_sub(written)
    }

    /// Fails if a limit has been exceeded, and says which.
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
        if self.holds_memory() && self.memory.is_used_up() {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        if self.is_refused.load(Ordering::Relaxed) {
            let message =
                "the responses to other requests take all the memory that is allowed; try again";
            return Err(GraphqlError::new(Code::Unavailable, message.to_owned()));
        }
        Ok(())
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.memory.release(*self.held.get_mut());
    }
}

/// The parts of a cost, for error messages.
pub(super) const COSTS: &str =
    "where an object counts as 1, a statement as 10, and a search or a count as 1000";

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn budget(cost: u64, response_bytes: usize) -> Budget {
        let limits = Limits {
            cost,
            response_bytes,
            ..Limits::default()
        };
        Budget::new(&limits, Memory::new(limits.response_memory))
    }

    fn code(budget: &Budget) -> Option<Code> {
        budget.check().err().map(|error| error.code)
    }

    #[test]
    fn the_budget_can_be_used_up_and_not_exceeded() {
        let budget = budget(10, 100);
        assert_eq!(budget.spend(10).now_or_never(), Some(()));
        budget.write(100);
        budget.found(10, 100);
        assert_eq!(code(&budget), None);
        assert_eq!((budget.cost_left(), budget.bytes_left()), (0, 0));
        budget.write(1);
        assert_eq!(code(&budget), Some(Code::ResponseLimitExceeded));
        // Beyond the limit it never resolves.
        assert_eq!(budget.spend(1).now_or_never(), None);
        assert_eq!(code(&budget), Some(Code::CostLimitExceeded));
    }

    #[test]
    fn rows_are_charged_before_they_are_objects() {
        let budget = budget(10, 100);
        budget.found(11, 0);
        assert_eq!(code(&budget), Some(Code::CostLimitExceeded));
    }

    #[test]
    fn values_are_charged_before_they_are_written() {
        let budget = budget(10, 100);
        budget.found(1, 60);
        assert_eq!(code(&budget), None);
        budget.found(1, 41);
        assert_eq!(code(&budget), Some(Code::ResponseLimitExceeded));
        assert_eq!(budget.spend(1).now_or_never(), None);
    }

    #[test]
    fn large_answers_are_made_in_turn_while_memory_is_scarce() {
        let limits = Limits::default();
        let memory = Memory::new(4 * LARGE_BYTES);
        let budgets = [(); 4].map(|()| Budget::new(&limits, memory.clone()));
        let [small, first, second, third] = budgets;
        let goes_on = |budget: &Budget| budget.spend(1).now_or_never().is_some();
        small.write(LARGE_BYTES);
        first.write(2 * LARGE_BYTES + 1);
        // The turn is free.
        assert!(goes_on(&first));
        second.write(LARGE_BYTES + 1);
        assert!(goes_on(&second) && goes_on(&first));
        third.write(LARGE_BYTES + 1);
        assert!(!goes_on(&second) && !goes_on(&third) && goes_on(&small));
        drop(first);
        assert!(goes_on(&second) && goes_on(&third));
        // What waits may not take more than all of it.
        third.write(3 * LARGE_BYTES);
        assert_eq!(code(&third), Some(Code::Unavailable));
        assert_eq!(code(&second), None);
        assert_eq!(code(&small), None);
    }

    #[test]
    fn errors_name_the_actual_costs() {
        assert!(COSTS.contains(&STATEMENT.to_string()));
        assert!(COSTS.contains(&SEARCH.to_string()));
    }
}

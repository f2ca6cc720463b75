//! Counts the steps of walks over a document, in tests alone: work is asserted in steps, not in time.

/// Counts so many steps.
#[cfg(not(test))]
pub(super) const fn count(_: usize) {}

#[cfg(test)]
std::thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts so many steps of this thread.
#[cfg(test)]
pub(super) fn count(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

/// The steps of this thread since this was last asked.
#[cfg(test)]
pub(super) fn taken() -> usize {
    STEPS.take()
}

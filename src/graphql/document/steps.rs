//! Counts the steps of walks over a document, in tests only, which assert work in steps, not in time.

/// Does nothing outside of tests.
#[cfg(not(test))]
pub(super) const fn count(_: usize) {}

#[cfg(test)]
std::thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Adds to the steps of this thread.
#[cfg(test)]
pub(super) fn count(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

/// The steps of this thread since the last call.
#[cfg(test)]
pub(super) fn taken() -> usize {
    STEPS.take()
}

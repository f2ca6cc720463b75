//! What the process says about itself: logs, metrics, and which request it is at work on.

mod line;
mod log;
mod log_limit;
mod metrics;
mod panic;
mod request;
mod supervise;

pub use self::log::start;
pub use self::log_limit::LogLimit;
pub use self::metrics::{Metrics, metrics};
pub use self::request::{RequestTrace, carry, current_request};
pub use self::supervise::supervise;

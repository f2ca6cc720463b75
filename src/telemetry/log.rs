//! Logs: how they are set up.
//!
//! Log lines go to standard error; standard output belongs to what a command answers. A message
//! is a fixed lower-case text, what varies stands in fields, and no field ever holds an address,
//! a token or a body. Each line names the request that it is about, if it is about one.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use super::line::{NamedFields, NamedObject};
use crate::config::LogFormat;

/// What is logged unless an operator asks for something else.
const DEFAULT_FILTER: &str = "warn,user_gateway=info";

/// Starts logging, including panics. `filter` has the form of `tracing-subscriber`'s
/// directives, such as `user_gateway=debug`; one that cannot be read is an error.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER))
        .map_err(|error| format!("the log filter is not valid: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_timer(SystemTime);
    let started = match format {
        LogFormat::Text => builder
            .with_target(false)
            .map_fmt_fields(NamedFields)
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .map_event_format(NamedObject)
            .try_init(),
    };
    started.map_err(|error| format!("logging is running already: {error}"))?;
    super::panic::watch();
    Ok(())
}

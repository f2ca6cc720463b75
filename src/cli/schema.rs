//! `schema`.

use crate::config::Config;
use crate::graphql::Graphql;

pub(super) fn run() -> anyhow::Result<()> {
    use std::io::Write as _;
    let Config {
        graphql, limits, ..
    } = Config::default();
    let sdl = Graphql::new(graphql, limits)?.sdl();
    std::io::stdout().write_all(sdl.as_bytes())?;
    Ok(())
}

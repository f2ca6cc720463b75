//! `serve`.

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::say;
use crate::app::App;
use crate::config::Config;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let listener = listen(&config).await?;
    let graphiql = config.graphql.graphiql;
    let app = App::build(config).await?;
    let origin = announce(&listener)?;
    if graphiql {
        say(format_args!("graphiql {origin}/graphiql"));
    }
    app.serve(listener, stopped()?).await
}

/// Binds the address before anything else is done, so that a taken one is known at once.
pub(super) async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; --listen takes another address"))
}

/// Says where the gateway listens.
pub(super) fn announce(listener: &TcpListener) -> anyhow::Result<String> {
    let origin = format!("http://{}", listener.local_addr()?);
    say(format_args!("listening {origin}"));
    Ok(origin)
}

/// Resolves when the process is asked to stop.
pub(super) fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

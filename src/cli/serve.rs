//! `serve`.

use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{note, say};
use crate::app::{App, Listeners};
use crate::config::Config;

/// How long shutdown may take beyond the shutdown timeout before the process exits.
const GRACE: Duration = Duration::from_secs(5);
/// How long logging that may take.
const LOG_TIME: Duration = Duration::from_millis(100);

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let listeners = listen(&config).await?;
    let graphiql = config.graphql.graphiql;
    let limit = config.server.shutdown_timeout;
    let app = App::build(config).await?;
    let origin = announce(&listeners)?;
    if graphiql {
        say(format_args!("graphiql {origin}/graphiql"));
    }
    app.serve(listeners, stopped(limit)?).await
}

/// Binds the addresses first, so that one in use is reported at once.
pub(super) async fn listen(config: &Config) -> anyhow::Result<Listeners> {
    let address = config.server.listen;
    let public = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another address with --listen")
    })?;
    let internal = match config.server.internal_listen {
        None => None,
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; choose another address with --internal-listen")
        })?),
    };
    Ok(Listeners { public, internal })
}

/// Prints the addresses, and returns the origin for clients.
pub(super) fn announce(listeners: &Listeners) -> anyhow::Result<String> {
    let origin = format!("http://{}", listeners.public.local_addr()?);
    say(format_args!("listening {origin}"));
    if let Some(internal) = &listeners.internal {
        say(format_args!("internal http://{}", internal.local_addr()?));
    }
    Ok(origin)
}

/// Resolves at the first signal to stop. The process exits with 1 at a second signal, or if it is still
/// running [`GRACE`] after `limit`. A dedicated thread does that, as all others may be blocked.
pub(super) fn stopped(limit: Duration) -> anyhow::Result<impl Future<Output = ()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        (terminate, signal(SignalKind::interrupt())?)
    };
    let (stop, stopped) = oneshot::channel();
    let work = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stop.send(());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = sleep(limit.saturating_add(GRACE)) => {}
        }
        // Writing the log may block, so it is not waited for without a timeout.
        thread::spawn(|| {
            tracing::error!(
                "shutdown did not finish in time; the process exits; see --shutdown-timeout"
            );
        });
        sleep(LOG_TIME).await;
        end();
    };
    thread::Builder::new()
        .name("shutdown".to_owned())
        .spawn(move || runtime.block_on(work))?;
    Ok(async move {
        if stopped.await.is_err() {
            note("the thread that waits for signals has ended");
        }
    })
}

fn end() {
    std::process::exit(1)
}

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

/// How long a process that was asked to stop may take for it beside the requests in flight, and how
/// long it may take to say that it has not done so.
const GRACE: Duration = Duration::from_secs(5);
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

/// Binds the addresses before anything else is done, so that a taken one is known at once.
pub(super) async fn listen(config: &Config) -> anyhow::Result<Listeners> {
    let address = config.server.listen;
    let public = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; --listen takes another address"))?;
    let internal = match config.server.internal_listen {
        None => None,
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; --internal-listen takes another address")
        })?),
    };
    Ok(Listeners { public, internal })
}

/// Says where the gateway listens; where clients ask.
pub(super) fn announce(listeners: &Listeners) -> anyhow::Result<String> {
    let origin = format!("http://{}", listeners.public.local_addr()?);
    say(format_args!("listening {origin}"));
    if let Some(internal) = &listeners.internal {
        say(format_args!("internal http://{}", internal.local_addr()?));
    }
    Ok(origin)
}

/// Resolves when the process is asked to stop. If it has not ended by itself after `limit` and a
/// little more, or when it is asked once more, it is ended: by a thread that does nothing else, so
/// that it makes no difference what the others are at.
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
        // Whoever reads the log may be what everybody waits for.
        thread::spawn(|| {
            tracing::error!("the process is ended before it has finished; see --shutdown-timeout");
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

//! Serving connections, and ending well.
//!
//! `axum::serve` sets no timers: a client that sends half a head would hold its connection for
//! ever, and so would one that does not read its answer, or at shutdown never closes its own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Version};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::patience::Patient;
use super::pulse::Pulse;
use super::unread::Unread;
use crate::config::{ServerConfig, SubscriptionConfig};
use crate::http::Surface;
use crate::worker::Workers;

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `surface` on `listener`, each connection by one of `workers`, until `shutdown` resolves,
/// then finishes what is in flight. What would never end by itself is ended by `close`, which is
/// called then.
pub(super) async fn serve<F: Future<Output = ()>>(
    surface: Surface,
    listener: TcpListener,
    workers: &Workers,
    (config, subscriptions): (&ServerConfig, SubscriptionConfig),
    shutdown: impl Future<Output = ()>,
    close: impl FnOnce() -> F,
) -> anyhow::Result<()> {
    let mut http = Builder::new(TokioExecutor::new());
    // `Pulse` sees to that.
    http.http1().header_read_timeout(None);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(256);
    // A WebSocket has its own bound, and a word to say about it after that.
    let patience = subscriptions.idle_timeout.saturating_mul(2);
    let (stop, stopping) = watch::channel(());
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        // Whoever serves the connection has to be told by its own runtime what goes on there.
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot hand a connection over");
                continue;
            }
        };
        let connection = Connection {
            stream,
            surface: surface.clone(),
            http: http.clone(),
            header_timeout: config.header_timeout,
            patience,
            stopping: stopping.clone(),
        };
        workers.spawn(connection.serve());
    }
    drop((listener, stopping));
    let _ = stop.send(());
    tracing::info!("shutting down; finishing requests in flight");
    let ended = async { tokio::join!(stop.closed(), close()) };
    if tokio::time::timeout(config.shutdown_timeout, ended)
        .await
        .is_err()
    {
        tracing::warn!("gave up on requests that did not finish in time");
    }
    Ok(())
}

/// A connection that was accepted.
struct Connection {
    stream: std::net::TcpStream,
    surface: Surface,
    http: Builder<TokioExecutor>,
    header_timeout: Duration,
    patience: Duration,
    /// Says when to end, and is kept until this has ended.
    stopping: watch::Receiver<()>,
}

impl Connection {
    /// Answers its requests until it ends. That is a task by itself, which is not concerned with
    /// what else is waited for here.
    async fn serve(mut self) {
        let (end, ending) = oneshot::channel();
        let pulse = Pulse::default();
        let mut talk = tokio::spawn(talk(
            self.stream,
            self.surface,
            self.http,
            (pulse.clone(), self.patience),
            ending,
        ));
        let mut ended = pin!(async {
            tokio::select! {
                _ = &mut talk => {}
                () = pulse.stop(self.header_timeout) => {
                    tracing::debug!("a connection sent no request in time");
                    talk.abort();
                }
            }
        });
        tokio::select! {
            () = &mut ended => return,
            _ = self.stopping.changed() => drop(end),
        }
        ended.await;
    }
}

/// Answers the requests of a connection until it ends, or until `ending` when it has no more to
/// answer.
async fn talk(
    stream: std::net::TcpStream,
    surface: Surface,
    http: Builder<TokioExecutor>,
    (pulse, patience): (Pulse, Duration),
    ending: oneshot::Receiver<Infallible>,
) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "cannot take a connection over");
            return;
        }
    };
    let unread = Unread::default();
    let stream = Patient::new(stream, patience, pulse.clone(), unread.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = pulse.request(&request);
        // The requests of an HTTP/2 connection do not stand in each other's way.
        let unread = if request.version() < Version::HTTP_2 {
            unread.clone()
        } else {
            Unread::default()
        };
        let answer = surface.answer(request.map(|body| Body::new(unread.heeded(body))));
        async move {
            let mut answer = answer.await;
            if unread.is_there() {
                // Nothing else can be asked here, and the client had better know.
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(busy.until_sent(answer))
        }
    });
    let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut ending = pin!(ending.fuse());
    let ended = poll_fn(|context| {
        if ending.as_mut().poll(context).is_ready() {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection ended");
    }
}

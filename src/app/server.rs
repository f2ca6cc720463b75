//! Serving connections, and ending well.
//!
//! `axum::serve` sets no timers: a client that sends half a head would hold its connection for
//! ever, and so would one that does not read its answer, or at shutdown never closes its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};

use super::patience::Patient;
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
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(256);
    // A WebSocket has its own bound, and a word to say about it after that.
    let patience = subscriptions.idle_timeout.saturating_mul(2);
    let graceful = GracefulShutdown::new();
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
            watcher: graceful.watcher(),
        };
        workers.spawn(connection.serve());
    }
    drop(listener);
    tracing::info!("shutting down; finishing requests in flight");
    let ended = async { tokio::join!(graceful.shutdown(), close()) };
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
    watcher: Watcher,
}

impl Connection {
    /// Answers its requests until it ends.
    async fn serve(self) {
        let stream = match TcpStream::from_std(self.stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection over");
                return;
            }
        };
        // The timers of hyper start with the first byte, or do not run before it knows whether
        // HTTP/1 or HTTP/2 is spoken; whoever says nothing would stay for ever.
        let has_asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&has_asked);
        let (surface, unread) = (self.surface, Unread::default());
        let stream = Patient::new(stream, self.patience, unread.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            asks.store(true, Ordering::Relaxed);
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
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = self
            .http
            .serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = self.watcher.watch(connection.into_owned());
        let silent = async {
            tokio::time::sleep(self.header_timeout).await;
            if has_asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            },
            () = silent => tracing::debug!("a connection sent no request in time"),
        }
    }
}

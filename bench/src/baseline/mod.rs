//! The limits: handlers that do the same work by hand, and handlers that do none.
//!
//! They take the same requests, know the load by the path, and give the same answers. Nobody is
//! asked who they are, nothing is checked, counted or logged.

mod constant;
mod json;
mod postgres;
mod postgres_write;
mod request;
mod sqlite;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::options::BaselineOptions;
use crate::say;
use crate::workload::Load;

/// What answers requests.
trait Backend: Send + Sync + 'static {
    /// The answer to the request with this body.
    fn answer(&self, load: Load, body: &[u8])
    -> impl Future<Output = anyhow::Result<Bytes>> + Send;
}

/// Serves until the process is ended.
pub(crate) fn serve(options: &BaselineOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let router = if let Some(config) = &options.postgres {
            router(postgres::Postgres::connect(config).await?)
        } else if let Some(file) = &options.sqlite {
            router(sqlite::Sqlite::open(file)?)
        } else if let Some(folder) = &options.constant {
            router(constant::Constant::read(folder))
        } else {
            bail!("say what to answer from: --postgres, --sqlite or --constant");
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(format_args!("listening http://{}", listener.local_addr()?));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router)
            .await
            .context("the listener failed")
    })
}

fn router<B: Backend>(backend: B) -> Router {
    let mut router = Router::new();
    for load in Load::ALL {
        // W1N is W1 to whoever does not read the document.
        if Load::at(load.path()) == Some(load) {
            let handler = move |State(backend): State<Arc<B>>, body: Bytes| async move {
                respond(backend.answer(load, &body).await)
            };
            router = router.route(load.path(), post(handler));
        }
    }
    router.with_state(Arc::new(backend))
}

fn respond(answer: anyhow::Result<Bytes>) -> Response {
    match answer {
        Ok(body) => {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            ([(CONTENT_TYPE, json)], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

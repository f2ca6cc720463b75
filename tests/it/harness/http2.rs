//! An HTTP/2 connection on which a test controls the flow-control window.

use axum::body::Bytes;
use axum::http::{Request, Response};
use h2::RecvStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::process::PATIENCE;

/// A connection to a gateway.
pub(crate) struct Http2 {
    origin: String,
    requests: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Http2 {
    /// Connects to an origin such as `http://127.0.0.1:40001`, with this initial window of each stream.
    pub(crate) async fn open(origin: &str, window: u32) -> Self {
        let address = origin.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut builder = Builder::new();
        builder.initial_window_size(window);
        let (requests, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
        Self {
            origin: origin.to_owned(),
            requests,
            connection: tokio::spawn(async move {
                let _ = connection.await;
            }),
        }
    }

    /// Sends a request. Dropping the result before the answer resets the stream.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> ResponseFuture {
        let sent = self.try_send(method, path, headers, body).await;
        sent.unwrap()
    }

    /// Sends a request on a connection that may have been closed.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<ResponseFuture, h2::Error> {
        let uri = format!("{}{path}", self.origin);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut stream) = requests.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            let body = Bytes::copy_from_slice(body.as_bytes());
            stream.send_data(body, true)?;
        }
        Ok(response)
    }

    /// The head of the response to a request, and its body to come.
    pub(crate) async fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<RecvStream> {
        let response = self.send(method, path, headers, body).await;
        timeout(PATIENCE, response).await.unwrap().unwrap()
    }

    /// Waits until the gateway has ended the connection.
    pub(crate) async fn ended(self) {
        let ended = timeout(PATIENCE, self.connection).await;
        ended.expect("the connection is never closed").unwrap();
    }
}

//! A WebSocket that speaks `graphql-transport-ws`, or breaks its rules.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::answer::Answer;
use super::process::PATIENCE;

/// How long a test waits for an event before it gives another reason for one.
const A_MOMENT: Duration = Duration::from_millis(100);

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects to an origin such as `http://127.0.0.1:40001`.
    pub(crate) async fn open(origin: &str) -> Self {
        Self::open_with(origin, &[PROTOCOL]).await.unwrap()
    }

    /// Connects with these headers; the response of a gateway that does not want to.
    pub(crate) async fn open_with(
        origin: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Answer> {
        let address = origin.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, headers).await
    }

    /// Opens a WebSocket on a connection of the test's own.
    pub(crate) async fn over(
        stream: TcpStream,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Answer> {
        let url = format!("ws://{}/graphql", stream.peer_addr().unwrap());
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                Err(Answer {
                    status: parts.status.as_u16(),
                    headers: parts.headers,
                    body: body.unwrap_or_default(),
                })
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects and says who it is.
    pub(crate) async fn signed_in(origin: &str, token: &str) -> Self {
        let mut socket = Self::open(origin).await;
        let authorization = format!("Bearer {token}");
        socket.init(json!({ "Authorization": authorization })).await;
        assert_eq!(socket.next().await, json!({ "type": "connection_ack" }));
        socket
    }

    pub(crate) async fn init(&mut self, payload: Value) {
        let message = json!({ "type": "connection_init", "payload": payload });
        self.send(&message).await;
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.subscribe_with(id, &json!({ "query": query })).await;
    }

    pub(crate) async fn subscribe_with(&mut self, id: &str, payload: &Value) {
        let message = json!({ "type": "subscribe", "id": id, "payload": payload });
        self.send(&message).await;
    }

    pub(crate) async fn complete(&mut self, id: &str) {
        self.send(&json!({ "type": "complete", "id": id })).await;
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message, which must come.
    pub(crate) async fn next(&mut self) -> Value {
        let message = timeout(PATIENCE, self.message()).await;
        let message = message.expect("nothing comes");
        message.unwrap_or_else(|(code, reason)| panic!("closed with {code} {reason}"))
    }

    /// The next message, or why there is none.
    async fn message(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.expect("closed without a reason");
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The answer of the next event of an operation, which must be the next message.
    pub(crate) async fn event(&mut self, id: &str) -> Value {
        let mut message = self.next().await;
        assert_eq!(message["type"], "next", "{message}");
        assert_eq!(message["id"], id, "{message}");
        message["payload"].take()
    }

    /// The answer of the first event of an operation. Nothing says when a subscription has begun,
    /// so `change` is repeated, with a number of its own each time, until it is heard of.
    pub(crate) async fn first_event(&mut self, id: &str, change: impl AsyncFn(usize)) -> Value {
        let end = Instant::now() + PATIENCE;
        for number in 0.. {
            change(number).await;
            if let Ok(message) = timeout(A_MOMENT, self.message()).await {
                let mut message = message.unwrap();
                assert_eq!(
                    (&message["type"], &message["id"]),
                    (&json!("next"), &json!(id))
                );
                return message["payload"].take();
            }
            assert!(Instant::now() < end, "no event ever comes");
        }
        unreachable!()
    }

    /// The errors with which an operation is refused, which must be the next message.
    pub(crate) async fn refusal(&mut self, id: &str) -> Value {
        let mut message = self.next().await;
        assert_eq!(message["type"], "error", "{message}");
        assert_eq!(message["id"], id, "{message}");
        message["payload"].take()
    }

    /// Why the gateway closes the connection, whatever it says before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let wait = async {
            loop {
                if let Err(reason) = self.message().await {
                    return reason;
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("it is never closed")
    }

    /// Sends a message unless that would take longer than a moment.
    pub(crate) async fn say_if_there_is_room(&mut self, message: &Value) {
        let message = Message::text(message.to_string());
        let _ = timeout(A_MOMENT, self.0.send(message)).await;
    }

    /// Reads whatever comes until the connection is no more, however it ends; how many texts came.
    pub(crate) async fn drained(&mut self) -> usize {
        let mut texts = 0;
        let rest = async {
            while let Some(Ok(message)) = self.0.next().await {
                texts += usize::from(message.is_text());
            }
        };
        timeout(PATIENCE, rest).await.expect("it never ends");
        texts
    }
}

/// The header that names the subprotocol.
pub(crate) const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

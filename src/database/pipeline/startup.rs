//! How a connection begins: a socket, TLS if it is wanted, and a server that knows who is there.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Header, Message};
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::failure::Failure;

/// When a connection on which nothing happens has to prove that it lives, and how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How many proofs may fail.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may go unconfirmed before the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest message during startup, in bytes. Those of PostgreSQL have fewer than a thousand, except
/// for error messages.
const MAX_MESSAGE: usize = 64 * 1024;
/// What a server says when it is asked for TLS and speaks it.
const SPEAKS_TLS: u8 = b'S';

/// The way to a server.
pub(super) type Socket = Box<dyn Duplex>;

/// What can be read and written.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to a socket of the machine.
pub(super) async fn open_local(file: &Path) -> Result<Socket, Failure> {
    Ok(Box::new(UnixStream::connect(file).await?))
}

/// Connects to a host, to the first of its addresses that takes the connection.
pub(super) async fn open(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    Ok(stream)
}

/// Secures a connection, if the server can; if it cannot and must, that is a failure.
pub(super) async fn secure(
    mut stream: TcpStream,
    host: &str,
    config: Arc<ClientConfig>,
    is_required: bool,
) -> Result<Socket, Failure> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await?;
    // One byte and no more: what follows it must be secured.
    if stream.read_u8().await? == SPEAKS_TLS {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::Strange(format!("has a name that is none: {host}")))?;
        let secured = TlsConnector::from(config).connect(name, stream).await;
        return Ok(Box::new(secured.map_err(insecure)?));
    }
    if is_required {
        return Err(Failure::Strange("speaks no TLS".to_owned()));
    }
    Ok(Box::new(stream))
}

/// That the parties cannot agree, or the certificate is not good enough, is no matter of the line.
fn insecure(error: io::Error) -> Failure {
    let cause = error.get_ref();
    if cause.is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>) {
        Failure::Strange(format!("cannot be trusted: {error}"))
    } else {
        error.into()
    }
}

/// Who connects, and how the session is to be.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) user: &'a str,
    pub(super) password: Option<&'a [u8]>,
    /// The settings of the session beside the user, among them the database.
    pub(super) parameters: &'a [(&'static str, String)],
}

/// A socket at whose other end the server is ready, and what it has said after that.
pub(super) struct Started {
    pub(super) socket: Socket,
    pub(super) received: BytesMut,
}

/// Says who one is, and waits until the server is ready.
pub(super) async fn start(socket: Socket, session: Session<'_>) -> Result<Started, Failure> {
    let mut startup = Started {
        socket,
        received: BytesMut::new(),
    };
    startup
        .send(|out| {
            let parameters = session.parameters.iter();
            let parameters = parameters.map(|(name, value)| (*name, value.as_str()));
            let user = [("user", session.user)];
            frontend::startup_message(parameters.chain(user), out)
        })
        .await?;
    startup.prove(session).await?;
    loop {
        match startup.receive().await? {
            Message::ReadyForQuery(_) => return Ok(startup),
            Message::ParameterStatus(_)
            | Message::BackendKeyData(_)
            | Message::NoticeResponse(_) => {}
            _ => return Err(unexpected()),
        }
    }
}

impl Started {
    /// Proves who one is, in the way that the server wants.
    async fn prove(&mut self, session: Session<'_>) -> Result<(), Failure> {
        let password = || {
            let missing = || Failure::Strange("wants a password, and there is none".to_owned());
            session.password.ok_or_else(missing)
        };
        match self.receive().await? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                let password = password()?;
                self.send(|out| frontend::password_message(password, out))
                    .await?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(session.user.as_bytes(), password()?, body.salt());
                self.send(|out| frontend::password_message(hash.as_bytes(), out))
                    .await?;
            }
            Message::AuthenticationSasl(body) => self.exchange(&body, password()?).await?,
            _ => {
                return Err(Failure::Strange(
                    "wants another proof than a password".to_owned(),
                ));
            }
        }
        match self.receive().await? {
            Message::AuthenticationOk => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Proves that one knows the password without telling it, and that the server knows it too.
    async fn exchange(
        &mut self,
        body: &AuthenticationSaslBody,
        password: &[u8],
    ) -> Result<(), Failure> {
        if !body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256))? {
            return Err(Failure::Strange("wants a proof unlike SCRAM".to_owned()));
        }
        // The pool's connections are not bound to their channel either.
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out))
            .await?;
        let Message::AuthenticationSaslContinue(body) = self.receive().await? else {
            return Err(unexpected());
        };
        scram.update(body.data()).map_err(unproven)?;
        self.send(|out| frontend::sasl_response(scram.message(), out))
            .await?;
        let Message::AuthenticationSaslFinal(body) = self.receive().await? else {
            return Err(unexpected());
        };
        scram.finish(body.data()).map_err(unproven)
    }

    async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut message = BytesMut::new();
        write(&mut message)?;
        self.socket.write_all(&message).await?;
        Ok(self.socket.flush().await?)
    }

    /// The next message, unless that is an error.
    async fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            // The parser allocates by the claimed length of a message.
            let header = Header::parse(&self.received)?;
            let claimed = header.map_or(0, |header| header.len().unsigned_abs() as usize);
            if claimed > MAX_MESSAGE {
                return Err(Failure::Strange(format!(
                    "begins with a message of {claimed} bytes, more than the {MAX_MESSAGE} allowed"
                )));
            }
            match Message::parse(&mut self.received)? {
                Some(Message::ErrorResponse(body)) => return Err(Failure::Refused((&body).into())),
                Some(message) => return Ok(message),
                None if self.socket.read_buf(&mut self.received).await? == 0 => {
                    return Err(Failure::Ended);
                }
                None => {}
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn unproven(error: io::Error) -> Failure {
    Failure::Strange(format!("does not know the password: {error}"))
}

fn unexpected() -> Failure {
    Failure::Strange("says something that does not belong there".to_owned())
}

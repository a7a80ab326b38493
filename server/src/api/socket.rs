//! A WebSocket with bounds: on what the client sends, and on what is buffered for it.
//!
//! Bytes from the client are paced below the protocol. A client that only subscribes sends few, and tungstenite
//! answers pings and joins fragments by itself, so a flood of empty frames never becomes a message that could
//! be counted. Messages to the client are sent in fragments that are copied one at a time: what a slow client
//! leaves unread is at most one fragment, however large the message is that all subscribers share.

use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use zellbook_core::wire::ServerMessage;

/// The longest message from a client.
const MESSAGE_BYTES_MAX: usize = 4096;
/// The bytes that a client may send at once. 64 subscriptions need less than a third.
const BURST_BYTES: NonZeroU32 = NonZeroU32::new(32 << 10).unwrap();
/// The bytes that a client may send a second in the long run: some 15 messages, or 340 empty frames.
const BYTES_PER_SECOND: NonZeroU32 = NonZeroU32::new(2 << 10).unwrap();
/// What a ping or pong costs of these, since each ping has to be answered. Clients need a few a minute.
const CONTROL_BYTES: NonZeroU32 = NonZeroU32::new(256).unwrap();
/// The most that a message is copied in at once.
const FRAGMENT_BYTES: usize = 64 << 10;
/// How many bytes are gathered before they are written: short messages go out together.
const GATHERED_BYTES: usize = 8 << 10;
/// How long a client may take to receive a message before it counts as too slow.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to receive the close reason.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The most that is read from a client after the close frame.
const DRAINED_BYTES_MAX: usize = 256 << 10;

/// Why a connection ends.
#[derive(Debug)]
pub enum End {
    /// The client disconnected.
    Gone,
    /// The replica closes the connection, with this close reason.
    Closed(CloseCode, &'static str),
}

pub const TOO_SLOW: End =
    End::Closed(CloseCode::Policy, "you are reading too slowly; reconnect for a new snapshot");

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Gone,
            Error::Protocol(_) => {
                Self::Closed(CloseCode::Protocol, "you sent a frame that RFC 6455 does not allow")
            }
            Error::Utf8(_) => Self::Closed(CloseCode::Invalid, "messages must be UTF-8"),
            Error::Capacity(_) => {
                Self::Closed(CloseCode::Size, "messages must have at most 4096 bytes")
            }
            Error::Io(error) if error.kind() == ErrorKind::QuotaExceeded => {
                let reason =
                    "you are sending too much; send at most 2 KiB a second, and 32 KiB at once";
                Self::Closed(CloseCode::Policy, reason)
            }
            _ => Self::Gone,
        }
    }
}

pub enum Received {
    Text(Utf8Bytes),
    /// A ping, which is answered already, or a pong.
    Control,
}

pub struct Socket {
    stream: WebSocketStream<Paced<TokioIo<Upgraded>>>,
    /// Whether the last message was sent in part.
    is_mid_message: bool,
}

impl Socket {
    pub async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            // The defaults reserve 128 KiB for each connection.
            .read_buffer_size(MESSAGE_BYTES_MAX)
            .write_buffer_size(GATHERED_BYTES)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let allowance =
            RateLimiter::direct(Quota::per_second(BYTES_PER_SECOND).allow_burst(BURST_BYTES));
        let stream = Paced { stream: TokioIo::new(upgraded), allowance };
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self { stream, is_mid_message: false }
    }

    /// The next message. Dropping the future loses none.
    pub async fn receive(&mut self) -> Result<Received, End> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Text(text)),
            Some(Ok(Message::Binary(_))) => {
                let reason = "messages must be text, not binary";
                Err(End::Closed(CloseCode::Unsupported, reason))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.stream.get_ref().allow(CONTROL_BYTES).map_err(Error::Io)?;
                Ok(Received::Control)
            }
            Some(Ok(Message::Close(_))) => {
                // The answer is queued only. This error says that it was sent.
                let _ = timeout(CLOSE_TIMEOUT, self.stream.flush()).await;
                Err(End::Gone)
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(End::Gone),
        }
    }

    /// Sends one message in two parts. `shared` may be long.
    pub async fn send(&mut self, prefix: String, shared: &str) -> Result<(), End> {
        self.queue(prefix, shared).await?;
        self.flush().await
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> Result<(), End> {
        let flushed = timeout(SEND_TIMEOUT, self.stream.flush()).await;
        flushed.map_err(|_| TOO_SLOW)?.map_err(End::from)
    }

    /// Queues one message in two parts, and sends what is too much to wait. `shared` may be long.
    pub async fn queue(&mut self, prefix: String, shared: &str) -> Result<(), End> {
        let sending = async {
            let mut fragment = prefix.into_bytes();
            let mut rest = shared.as_bytes();
            let mut kind = Data::Text;
            loop {
                let room = FRAGMENT_BYTES.saturating_sub(fragment.len());
                let (part, after) = rest.split_at(room.min(rest.len()));
                fragment.extend_from_slice(part);
                rest = after;
                let payload = std::mem::take(&mut fragment);
                let frame = Frame::message(payload, OpCode::Data(kind), rest.is_empty());
                self.is_mid_message = true;
                self.stream.feed(Message::Frame(frame)).await?;
                if rest.is_empty() {
                    self.is_mid_message = false;
                    return Ok(());
                }
                kind = Data::Continue;
            }
        };
        timeout(SEND_TIMEOUT, sending).await.unwrap_or(Err(TOO_SLOW))
    }

    pub async fn ping(&mut self) -> Result<(), End> {
        let sent = timeout(SEND_TIMEOUT, self.stream.send(Message::Ping(Bytes::new()))).await;
        sent.map_err(|_| TOO_SLOW)?.map_err(End::from)
    }

    /// Tells the client why the connection ends, and ends it. Failures are ignored, because the client may be
    /// gone or may not be reading.
    pub async fn close(mut self, code: CloseCode, reason: &'static str) {
        let goodbye = async {
            let message = ServerMessage::Closing { reason: reason.into() };
            // A text between two fragments of another would hide the close frame from the client.
            if let (false, Ok(json)) = (self.is_mid_message, serde_json::to_string(&message)) {
                let _ = self.send(json, "").await;
            }
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let _ = self.stream.send(Message::Close(Some(frame))).await;
            // A socket that is closed with unread bytes is reset, and then the client may lose the frame.
            self.stream.get_mut().finish().await;
        };
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}

/// A stream that fails once its peer has sent more than it is allowed to.
struct Paced<T> {
    stream: T,
    allowance: DefaultDirectRateLimiter,
}

impl<T> Paced<T> {
    /// Counts bytes, unless they are too many.
    fn allow(&self, bytes: NonZeroU32) -> io::Result<()> {
        let allowed = matches!(self.allowance.check_n(bytes), Ok(Ok(())));
        if allowed { Ok(()) } else { Err(ErrorKind::QuotaExceeded.into()) }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Paced<T> {
    /// Sends the end of the stream, then reads until the peer ends it too.
    async fn finish(&mut self) {
        let mut bytes = [0; 1024];
        let mut read = 0;
        if self.stream.shutdown().await.is_ok() {
            while let Ok(length @ 1..) = self.stream.read(&mut bytes).await {
                read += length;
                if read > DRAINED_BYTES_MAX {
                    return;
                }
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = u32::try_from(buffer.filled().len() - before).unwrap_or(u32::MAX);
        Poll::Ready(NonZeroU32::new(read).map_or(Ok(()), |read| self.allow(read)))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

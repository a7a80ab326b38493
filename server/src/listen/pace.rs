//! A connection's bytes: each wait for its client is bounded by a least pace, and what is malformed is
//! refused.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::Activity;
use super::framing::Framing;

/// How often the pace of a client is measured.
const PERIOD: Duration = Duration::from_secs(10);
/// The fewest bytes of a period: as slow as any modem, and too slow to hold a connection with.
const PERIOD_BYTES_MIN: usize = 8 << 10;
/// After this many bytes a connection counts as active again. So a client that reads or writes as slowly as
/// the pace permits does not look more active than one that sends requests.
const ACTIVE_BYTES: usize = 64 << 10;

/// A byte that no HTTP message has at any place where a line can be malformed.
const REFUSED: u8 = 0;

/// How fast the client takes or sends bytes while the server waits for it.
#[derive(Default)]
struct Pace {
    /// The end of the present period, and the bytes moved in it. `None` while nothing waits.
    period: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Pace {
    /// Bytes were moved. If nothing waits any more, the next wait begins a new period.
    fn moved(&mut self, bytes: usize, waits: bool) {
        match &mut self.period {
            Some((_, sum)) if waits => *sum = sum.saturating_add(bytes),
            period => *period = None,
        }
    }

    /// Waits together with the operation. The error is that the client is too slow.
    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let (end, bytes) =
            self.period.get_or_insert_with(|| (Box::pin(sleep_until(Instant::now() + PERIOD)), 0));
        ready!(end.as_mut().poll(context));
        if *bytes < PERIOD_BYTES_MIN {
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        end.as_mut().reset(Instant::now() + PERIOD);
        *bytes = 0;
        // Registers the new end.
        end.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }
}

/// The stream of a connection.
pub struct PacedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    framing: Framing,
    is_malformed: bool,
    reads: Pace,
    writes: Pace,
    /// Bytes moved since the connection last counted as active.
    moved: usize,
}

impl<S> PacedStream<S> {
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            framing: Framing::default(),
            is_malformed: false,
            reads: Pace::default(),
            writes: Pace::default(),
            moved: 0,
        }
    }

    fn count(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= ACTIVE_BYTES {
            self.moved = 0;
            self.activity.mark();
        }
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.writes.moved(bytes, bytes < offered);
                self.count(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.writes.poll_wait(context).map(Err),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_malformed {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            // Only in a body: hyper itself limits the time for a head, and between two requests.
            Poll::Pending if this.framing.is_in_body() => {
                return this.reads.poll_wait(context).map(Err);
            }
            Poll::Pending => return Poll::Pending,
        }
        let new = &mut buffer.filled_mut()[before..];
        let bytes = new.len();
        if let Err(at) = this.framing.read(new) {
            this.is_malformed = true;
            new[at] = REFUSED;
            buffer.set_filled(before + at + 1);
        }
        this.reads.moved(bytes, this.framing.is_in_body());
        this.count(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, written, offered)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};

    use super::super::connections::{Connections, OpenConnection};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// What the system holds between the two.
    const BUFFER: usize = 64;
    const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n";
    const GET: &str = "GET / HTTP/1.1\r\n\r\n";

    /// A server's stream, its place among the connections, and the other end.
    async fn connection() -> (PacedStream<DuplexStream>, OpenConnection, DuplexStream) {
        let (server, client) = duplex(BUFFER);
        let open = Arc::new(Connections::default()).add(None).await;
        (PacedStream::new(server, Arc::clone(&open.0)), open, client)
    }

    /// Whether an operation failed because its client was too slow, and after how many seconds.
    async fn timed_out<T>(operation: impl Future<Output = io::Result<T>>) -> (bool, u64) {
        let started = Instant::now();
        let result = timeout(1000 * SECOND, operation).await;
        let timed_out = matches!(result, Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut);
        (timed_out, started.elapsed().as_secs())
    }

    /// What happens to a client that sends this, and then so many bytes after each interval.
    async fn sends(start: &str, interval: Duration, bytes: usize) -> (bool, u64) {
        let (mut server, _open, mut client) = connection().await;
        let start = start.to_string();
        tokio::spawn(async move {
            client.write_all(start.as_bytes()).await.unwrap();
            loop {
                sleep(interval).await;
                if client.write_all(&vec![b'x'; bytes]).await.is_err() {
                    return;
                }
            }
        });
        timed_out(tokio::io::copy(&mut server, &mut tokio::io::sink())).await
    }

    /// What happens to a client that takes so many bytes of a response every second.
    async fn takes(bytes: usize) -> (bool, u64) {
        let (mut server, _open, mut client) = connection().await;
        tokio::spawn(async move {
            while client.read_exact(&mut vec![0; bytes]).await.is_ok() {
                sleep(SECOND).await;
            }
        });
        timed_out(server.write_all(&vec![b'x'; 10_000_000])).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_timed_out() {
        assert_eq!(sends(POST, SECOND, 1).await, (true, 10));
        assert_eq!(sends(POST, SECOND, PERIOD_BYTES_MIN / 11).await, (true, 10));
        // A request to change the protocol is no way around it.
        let upgrade = POST.replace("\r\n\r\n", "\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(sends(&upgrade, SECOND, 1).await, (true, 10));
        // Each period has to be fast enough, however fast the one before was.
        let burst = format!("{POST}{}", "x".repeat(10 * PERIOD_BYTES_MIN));
        assert_eq!(sends(&burst, SECOND, 1).await, (true, 20));
        assert_eq!(sends(POST, 9 * SECOND, PERIOD_BYTES_MIN).await, (false, 1000));
        assert_eq!(sends(POST, SECOND, PERIOD_BYTES_MIN / 8).await, (false, 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_read_too_slowly_is_timed_out() {
        assert_eq!(takes(1).await, (true, 10));
        assert_eq!(takes(100).await, (true, 10));
        assert_eq!(takes(PERIOD_BYTES_MIN / 11).await, (true, 10));
        assert_eq!(takes(PERIOD_BYTES_MIN / 8).await, (false, 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_nothing_to_send_is_not_slow() {
        for start in [
            GET.to_string(),
            // The body has ended.
            format!("{}0123456789", POST.replace("10000000", "10")),
            // A WebSocket has pings for that.
            GET.replace("\r\n\r\n", "\r\nUpgrade: websocket\r\n\r\n"),
        ] {
            assert_eq!(sends(&start, 2000 * SECOND, 1).await, (false, 1000), "{start:?}");
        }
    }
}

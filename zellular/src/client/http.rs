//! HTTP over the system's sockets.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};

use super::pace::Pace;
use super::transport::{Answer, Bounds, Method, Request, SILENCE_MAX, Transport, TransportError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept. The reference node closes one after 5 s, but its worker processes hold
/// copies of the socket, so the close never shows and a request on it would wait in vain.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How long a read waits for an answer before it is sent a second time, on a new connection. A node that stopped
/// leaves connections behind that look open.
const SECOND_TRY_AFTER: Duration = Duration::from_secs(1);
/// The slowest pace of an answer after [`SILENCE_MAX`], in bytes per second.
const PACE_MIN: u64 = 64 << 10;

/// HTTP over the system's sockets, with TLS for `https` addresses.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    /// Keeps connections for later requests.
    client: Client,
    /// Makes a connection for each request.
    fresh: Client,
    /// Where connections live. Callers may have runtimes of their own that block at times, for example
    /// while they apply a batch; connections there would time out.
    runtime: Handle,
}

impl HttpTransport {
    /// Makes a transport whose connections live in a runtime that never blocks.
    ///
    /// # Errors
    ///
    /// Fails if the system's TLS roots cannot be loaded.
    pub fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        // An app that has chosen a TLS provider keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would let one node answer for another, and a proxy would see every request.
        let builder = || {
            Client::builder().redirect(Policy::none()).no_proxy().connect_timeout(CONNECT_TIMEOUT)
        };
        let client = builder().pool_idle_timeout(IDLE_MAX).build()?;
        let fresh = builder().pool_max_idle_per_host(0).build()?;
        Ok(Self { client, fresh, runtime })
    }
}

impl Transport for HttpTransport {
    async fn send(&self, request: Request, bounds: Bounds) -> Result<Answer, TransportError> {
        let exchange = exchange(self.clone(), request, bounds.bytes_max);
        let bounded = async move {
            let time_max = bounds.time_max;
            let answer = timeout(time_max, exchange).await;
            answer.unwrap_or(Err(TransportError::TimedOut(time_max)))
        };
        let mut task = AbortOnDrop(self.runtime.spawn(bounded));
        let answer = (&mut task.0).await;
        answer.unwrap_or_else(|_| Err(TransportError::Connection("the request was aborted".into())))
    }
}

/// A task that is aborted when its caller no longer waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request and waits for the head of the response.
async fn send(client: Client, request: Request) -> Result<Response, reqwest::Error> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    };
    let mut builder = client.request(method, request.url);
    if let Some(kind) = request.content_type {
        builder = builder.header(CONTENT_TYPE, kind).body(request.body);
    }
    builder.send().await
}

/// Sends a read, and sends it again on a new connection if it is not answered soon or its connection breaks.
/// The first response counts.
async fn read_twice(
    transport: HttpTransport,
    request: Request,
) -> Result<Response, reqwest::Error> {
    let first = pin!(send(transport.client, request.clone()));
    let first = match select(first, pin!(sleep(SECOND_TRY_AFTER))).await {
        // Refused connections and timeouts would only repeat themselves.
        Either::Left((Err(error), _)) if error.is_request() && !error.is_connect() => None,
        Either::Left((answer, _)) => return answer,
        // The node may just be slow, so the first request goes on.
        Either::Right(((), first)) => Some(first),
    };
    let second = send(transport.fresh, request);
    let Some(first) = first else { return second.await };
    match select(first, pin!(second)).await {
        Either::Left((Err(_), second)) => second.await,
        Either::Right((Err(_), first)) => first.await,
        Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
    }
}

async fn exchange(
    transport: HttpTransport,
    request: Request,
    bytes_max: usize,
) -> Result<Answer, TransportError> {
    let pace = Pace::new(PACE_MIN, SILENCE_MAX);
    let sent = async {
        match request.method {
            Method::Get => read_twice(transport, request).await,
            // A post that is sent twice could be sequenced twice.
            Method::Post | Method::Put => send(transport.client, request).await,
        }
    };
    // The time limit of a large answer is long. Without this shorter one, a frozen node would hold up its
    // reader for all of it.
    let response = timeout_at(pace.deadline(), sent).await;
    let response = response.map_err(|_| TransportError::TimedOut(SILENCE_MAX))?;
    let response = response.map_err(connection)?;
    let status = response.status().as_u16();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = kind.map(Into::into);
    let body = read(response, bytes_max, pace).await?;
    Ok(Answer { status, content_type, body })
}

/// Reads a body. Fails if it is too large or comes too slowly.
async fn read(
    mut response: Response,
    bytes_max: usize,
    mut pace: Pace,
) -> Result<Vec<u8>, TransportError> {
    // The announced length is not trusted, but saves reading an answer that will be refused.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(TransportError::TooLarge(bytes_max));
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = timeout_at(pace.deadline(), response.chunk()).await;
        let chunk = chunk.map_err(|_| TransportError::TooSlow(PACE_MIN))?;
        let Some(chunk) = chunk.map_err(connection)? else { return Ok(bytes) };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(TransportError::TooLarge(bytes_max));
        }
        // In time, as it came before the deadline.
        let _ = pace.take(chunk.len());
        bytes.extend_from_slice(&chunk);
    }
}

fn connection(error: reqwest::Error) -> TransportError {
    // The innermost cause tells what happened. The outer messages repeat the address.
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TransportError::Connection(cause.to_string().chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    const BOUNDS: Bounds = Bounds { bytes_max: 100, time_max: Duration::from_secs(15) };

    /// A node that answers on each connection for a while or a number of requests, and then leaves it open and
    /// says nothing more, like the reference node whose workers hold copies of its sockets.
    struct Node {
        url: String,
        connections: Arc<AtomicUsize>,
        requests: Arc<AtomicUsize>,
    }

    impl Node {
        async fn start(answers_max: usize, answers_for: Duration) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/x", listener.local_addr().unwrap());
            let node = Self { url, connections: Arc::default(), requests: Arc::default() };
            let (connections, requests) =
                (Arc::clone(&node.connections), Arc::clone(&node.requests));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let requests = Arc::clone(&requests);
                    tokio::spawn(serve(stream, answers_max, answers_for, requests));
                }
            });
            node
        }

        async fn get(
            &self,
            transport: &HttpTransport,
        ) -> (Result<Answer, TransportError>, Duration) {
            let started = Instant::now();
            let answer = transport.send(Request::get(self.url.clone()), BOUNDS).await;
            (answer, started.elapsed())
        }
    }

    async fn serve(
        mut stream: TcpStream,
        answers_max: usize,
        answers_for: Duration,
        requests: Arc<AtomicUsize>,
    ) {
        let mut last = Instant::now();
        let mut head = [0; 4096];
        for answered in 0.. {
            // The requests are small, so each arrives whole.
            if stream.read(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
            requests.fetch_add(1, Ordering::SeqCst);
            if answered >= answers_max || last.elapsed() >= answers_for {
                std::future::pending::<()>().await;
            }
            last = Instant::now();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    }

    fn transport() -> HttpTransport {
        HttpTransport::new(Handle::current()).unwrap()
    }

    #[tokio::test]
    async fn a_read_on_a_dead_connection_is_answered_on_a_new_one() {
        let node = Node::start(1, Duration::MAX).await;
        let transport = transport();
        for _ in 0..2 {
            let (answer, took) = node.get(&transport).await;
            assert_eq!(answer.unwrap().body, b"ok");
            assert!(took < SILENCE_MAX / 2, "{took:?}");
        }
        assert_eq!(node.connections.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_post_is_sent_once_even_if_it_is_not_answered() {
        let node = Node::start(0, Duration::MAX).await;
        let transport = transport();
        let post = Request::with_body(Method::Put, node.url.clone(), "text/plain", b"x".to_vec());
        let bounds = Bounds { time_max: SECOND_TRY_AFTER * 3, ..BOUNDS };
        assert!(transport.send(post, bounds).await.is_err());
        assert_eq!(node.requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_node_that_never_answers_holds_up_its_reader_no_longer_than_the_silence_allowed() {
        let node = Node::start(0, Duration::MAX).await;
        let (answer, took) = node.get(&transport()).await;
        assert_eq!(answer, Err(TransportError::TimedOut(SILENCE_MAX)));
        assert!(took < SILENCE_MAX * 3 / 2, "{took:?}");
        assert_eq!(node.requests.load(Ordering::SeqCst), 2, "one retry");
    }

    #[tokio::test]
    async fn an_idle_connection_is_not_used_after_the_reference_node_has_closed_it() {
        let keep_alive = Duration::from_secs(5);
        let node = Node::start(usize::MAX, keep_alive).await;
        let transport = transport();
        node.get(&transport).await.0.unwrap();
        // The node gives up idle connections by time, so the test has to let it pass.
        sleep(keep_alive).await;
        let (answer, took) = node.get(&transport).await;
        assert_eq!(answer.unwrap().body, b"ok");
        assert!(took < SECOND_TRY_AFTER, "{took:?}");
        assert_eq!(node.requests.load(Ordering::SeqCst), 2, "no retry was needed");
    }
}

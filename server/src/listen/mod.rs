//! An HTTP server on a TCP port, bounded in connections, sizes and times, with a graceful shutdown.

mod connections;
mod framing;
mod pace;
mod stop;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::client_address::{ClientAddress, TrustedProxies};
use connections::{Activity, Connections, OpenConnection};
use pace::PacedStream;

pub use connections::{CONNECTIONS_PER_CLIENT_MAX, Closer};
pub use stop::{stop_signal, stop_with_input, stopped};

/// How long a client may take to send the head of a request, or to start the next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How many connections the system holds until they are accepted. A client that finds no place there tries again a
/// second later. A thousand attackers that reconnect at once shall leave some.
const BACKLOG: u32 = 4096;
/// The bytes of a response that the system buffers beyond those on their way. Bytes on their way are bounded by
/// what the client is ready to take, so that this slows nobody down.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES_MAX: u32 = 64 << 10;
/// How long requests in progress may take after a stop signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// The wait after a failed accept, for example because there are too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[derive(Debug, Error)]
#[error(
    "cannot listen on {address}: {error}; stop the program that uses the port, or choose another with --listen"
)]
pub struct ListenError {
    address: SocketAddr,
    error: std::io::Error,
}

/// Opens a port. Port 0 chooses a free one; the result has the real address.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let wrap = |error| ListenError { address, error };
    let listener = listen(address).map_err(wrap)?;
    bound_unsent(&listener).map_err(wrap)?;
    let address = listener.local_addr().map_err(wrap)?;
    Ok((listener, address))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restarted replica gets its port back at once.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Bounds what the system buffers for a client that does not read. The connections inherit it.
///
/// The system would otherwise copy up to 4 MiB for each: a thousand slow readers would take gigabytes of its
/// memory, and each new one some milliseconds.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bound_unsent(listener: &TcpListener) -> std::io::Result<()> {
    socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

/// Other systems have no such bound, or none that connections inherit.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn bound_unsent(_: &TcpListener) -> std::io::Result<()> {
    Ok(())
}

/// Raises the soft limit of open files to the hard one. The soft limit, often 1,024 for the sake of old
/// programs, is below the connections that a server allows.
pub fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!("cannot raise the limit of open files above {current:?}: {error}");
    }
}

/// Serves until `stop` is set, then lets the requests in progress finish.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    serve_behind(TrustedProxies::default(), listener, router, stop).await;
}

/// Like [`serve`], with requests that may come through proxies.
pub async fn serve_behind(
    proxies: TrustedProxies,
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    // Closed when the last connection has dropped its sender.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let server = Arc::new(Server { proxies, router, connections: Arc::default() });
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &server) => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer, connection)) => {
                let serving = Arc::clone(&server).serve(stream, peer, connection, stop.clone());
                let open = open.clone();
                tokio::spawn(async move {
                    serving.await;
                    drop(open);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(open);
    tokio::select! {
        _ = all_closed.recv() => {}
        () = tokio::time::sleep(SHUTDOWN_GRACE) => {}
    }
}

/// Accepts a connection, and finds a place for it.
async fn accept(
    listener: &TcpListener,
    server: &Server,
) -> std::io::Result<(TcpStream, IpAddr, OpenConnection)> {
    let (stream, peer) = listener.accept().await?;
    let peer = peer.ip();
    let client = (!server.proxies.has(peer)).then(|| ClientAddress::new(peer));
    Ok((stream, peer, server.connections.add(client).await))
}

struct Server {
    proxies: TrustedProxies,
    router: Router,
    connections: Arc<Connections>,
}

impl Server {
    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: IpAddr,
        connection: OpenConnection,
        mut stop: watch::Receiver<bool>,
    ) {
        // Nagle's algorithm would delay small responses. A failure only makes them slower.
        let _ = stream.set_nodelay(true);
        let activity = Arc::clone(&connection.0);
        let stream = PacedStream::new(stream, Arc::clone(&activity));
        let mut serving = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), self.service(peer, Arc::clone(&activity)))
                .with_upgrades()
        );
        // Errors of a connection concern only its client.
        tokio::select! {
            _ = serving.as_mut() => {}
            () = activity.close.closed() => {}
            () = stopped(&mut stop) => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    _ = serving => {}
                    () = activity.close.closed() => {}
                }
            }
        }
    }

    /// The router's service for one connection. Each request gets the address of its client.
    fn service(
        &self,
        peer: IpAddr,
        activity: Arc<Activity>,
    ) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + use<>
    {
        let router = TowerToHyperService::new(self.router.clone());
        let proxies = self.proxies.clone();
        service_fn(move |mut request: Request<Incoming>| {
            activity.mark();
            let forwarded = request.headers().get_all("x-forwarded-for").iter();
            // A value that is not text is like a missing one: the proxy itself then counts as the client.
            let forwarded = forwarded.map(|value| value.to_str().unwrap_or_default());
            let client = proxies.client(peer, forwarded);
            request.extensions_mut().insert(client);
            request.extensions_mut().insert(activity.close.clone());
            let asks_upgrade = request.headers().contains_key(UPGRADE);
            let response = router.call(request);
            async move {
                let mut response = response.await?;
                // `Framing` does not look for further requests after a request to upgrade.
                if asks_upgrade && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }
        })
    }
}

//! Requests as bytes on a socket, for what no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::harness::{Replica, TIMEOUT};

/// The status of a response, its head in lower case, and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub fn address(replica: &Replica) -> SocketAddr {
    replica.process.url.trim_start_matches("http://").parse().unwrap()
}

/// Connects from one of the addresses of the loopback interface, all of which are this machine.
pub async fn connect_from(source: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(to).await
}

/// Sends bytes and returns all that comes back until the server closes the connection.
pub async fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // Fails if the server has refused the first part and closed.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut answer)).await;
    // A reset is a way to close, too.
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The first response in what a server sent, or `None` if it sent nothing.
pub fn first_answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.into() })
}

/// Sends one request whose head ends with `Connection: close`, and returns the response.
pub async fn request(to: SocketAddr, lines: &[&str], body: &str) -> Answer {
    let head = lines.join("\r\n");
    let text =
        format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let answer = exchange(to, text.as_bytes()).await;
    first_answer(&answer).unwrap_or_else(|| panic!("{head}: {answer:?}"))
}

/// Whether the server closes the connection within this time.
pub async fn closes_within(stream: &mut TcpStream, limit: Duration) -> bool {
    let mut bytes = [0; 4096];
    let read_all = async { while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {} };
    timeout(limit, read_all).await.is_ok()
}

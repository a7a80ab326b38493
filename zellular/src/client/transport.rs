//! How the client reaches a node: one HTTP exchange, bounded in bytes and time.
//!
//! It is a trait, so that tests can answer from memory, in virtual time, without sockets.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

/// How long a node may send nothing. After this time it must also keep a minimum pace.
pub const SILENCE_MAX: Duration = Duration::from_secs(8);

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL, for example `http://127.0.0.1:6001/node/state`.
    pub url: String,
    /// The content type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// Makes a GET request.
    pub const fn get(url: String) -> Self {
        Self { method: Method::Get, url, content_type: None, body: Vec::new() }
    }

    /// Makes a request with a body.
    pub const fn with_body(
        method: Method,
        url: String,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Self {
        Self { method, url, content_type: Some(content_type), body }
    }
}

/// The limits of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub bytes_max: usize,
    /// The longest time from the first byte sent to the last byte received.
    pub time_max: Duration,
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type that the sender claims.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TransportError {
    /// There was no connection, or it broke, or the other side does not speak HTTP.
    #[error("{0}")]
    Connection(String),
    /// The answer was not complete in time.
    #[error("no complete answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The answer came too slowly: the number is the minimum, in bytes per second.
    #[error("the answer came slower than {0} bytes per second")]
    TooSlow(u64),
    /// The body is larger than the limit, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Carries requests to nodes.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and reads the whole answer. A redirect is returned like any other answer.
    fn send(
        &self,
        request: Request,
        bounds: Bounds,
    ) -> impl Future<Output = Result<Answer, TransportError>> + Send;
}

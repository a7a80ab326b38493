//! How the client of the network reaches a node: one small exchange over HTTP, bounded in bytes and
//! time. A simulation answers it in memory.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

/// How long a node may say nothing, and then how long it may take before it must send at a bearable pace.
pub const SILENCE_MAX: Duration = Duration::from_secs(8);

/// What is done at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is done.
    pub method: Method,
    /// Where, such as `http://127.0.0.1:6001/node/state`.
    pub url: String,
    /// What the body is, if there is one.
    pub content_type: Option<&'static str>,
    /// Empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET.
    pub const fn get(url: String) -> Self {
        Self { method: Method::Get, url, content_type: None, body: Vec::new() }
    }

    /// With a body.
    pub const fn with_body(
        method: Method,
        url: String,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Self {
        Self { method, url, content_type: Some(content_type), body }
    }
}

/// What an answer may take, at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of its body.
    pub bytes_max: usize,
    /// From the first byte sent to the last byte received.
    pub time_max: Duration,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the body claims to be.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TransportError {
    /// No connection, or one that broke, or no HTTP.
    #[error("{0}")]
    Connection(String),
    /// It took too long.
    #[error("no whole answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It sends slower than is bearable.
    #[error("it sends less than {0} bytes a second")]
    TooSlow(u64),
    /// The body is larger than an honest one can be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Carries requests to nodes.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and reads the whole answer. A redirect is an answer like any other.
    fn send(
        &self,
        request: Request,
        bounds: Bounds,
    ) -> impl Future<Output = Result<Answer, TransportError>> + Send;
}

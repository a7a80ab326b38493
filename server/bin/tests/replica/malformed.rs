//! Raw-socket tests of HTTP that two readers could read in two ways: it is refused.

use tempfile::TempDir;

use crate::harness::Replica;
use crate::raw::{address, exchange, first_answer};
use crate::websocket::frames::opening;

/// A request that a server must not see: it would be the second one on its connection.
const SMUGGLED: &str = "GET /v1/genesis HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

/// A frame of a WebSocket's client would be the body, and the next one a request.
fn opening_with_body() -> String {
    let opening = opening("127.0.0.1");
    opening.replace("Upgrade: websocket", "Upgrade: websocket\r\nContent-Length: 2") + "{}"
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let post =
        "POST /v1/simulate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
    let codings =
        |coding: &str| format!("{post}Transfer-Encoding: {coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
    for (name, request, status) in [
        ("no host", "GET /v1/status HTTP/1.1\r\n\r\n".into(), 400),
        ("no host, HTTP/1.0", "GET /v1/status HTTP/1.0\r\n\r\n".into(), 400),
        (
            "two hosts",
            "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n".into(),
            400,
        ),
        ("an empty host", "GET /v1/status HTTP/1.1\r\nHost:\r\n\r\n".into(), 400),
        (
            "bare LF after the first line",
            "GET /v1/status HTTP/1.1\nHost: 127.0.0.1\r\n\r\n".into(),
            400,
        ),
        ("bare LF after a header", "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\n\r\n".into(), 400),
        ("bare LF after the head", "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\n".into(), 400),
        (
            "a continued line",
            "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\r\n c: d\r\n\r\n".into(),
            400,
        ),
        ("a coding before chunked", codings("gzip, chunked"), 501),
        ("two codings in two lines", codings("gzip\r\nTransfer-Encoding: chunked"), 400),
        ("chunked twice", codings("chunked\r\nTransfer-Encoding: chunked"), 501),
        ("a coding after chunked", codings("chunked, gzip"), 400),
        ("an unknown coding", codings("xchunked"), 400),
        ("chunked and a length", codings("chunked\r\nContent-Length: 2"), 400),
        (
            "a length and chunked",
            format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}"), 400),
        ("a length with a sign", format!("{post}Content-Length: +2\r\n\r\n{{}}"), 400),
        (
            "bare LF after a chunk's size",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n2\n{{}}\r\n0\r\n\r\n"),
            400,
        ),
        (
            "bare LF after a chunk's size, in a request to change to WebSocket",
            format!(
                "{post}Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n2\n{{}}\r\n0\r\n\r\n"
            ),
            400,
        ),
        ("a WebSocket's opening with a body", opening_with_body(), 400),
        (
            "a content coding",
            format!(
                "{post}Content-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            ),
            415,
        ),
    ] {
        let is_connection_closed = status != 400 || !name.contains("host");
        // A request that is well formed for HTTP, but names no host, leaves the connection usable.
        let close = if is_connection_closed { "" } else { SMUGGLED };
        let text = exchange(address(&replica), format!("{request}{close}").as_bytes()).await;
        let answer = first_answer(&text).unwrap_or_else(|| panic!("{name}: {text:?}"));
        assert_eq!(answer.status, status, "{name}: {text}");
    }
    // The same requests in their proper form.
    for request in [
        format!("{post}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"),
        format!(
            "{post}transfer-encoding: CHUNKED\r\nConnection: close\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ),
    ] {
        let text = exchange(address(&replica), request.as_bytes()).await;
        // The empty order is refused for what it lacks.
        assert_eq!(first_answer(&text).unwrap().status, 422, "{text}");
    }
}

#[tokio::test]
async fn nothing_after_a_malformed_request_is_read() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let post =
        "POST /v1/simulate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
    for request in [
        "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\n".to_string(),
        format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
        format!(
            "{post}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ),
        format!("{post}Content-Length: 2097152\r\n\r\n"),
        // Refused as a WebSocket, so what follows is no longer examined.
        "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\r\n".into(),
    ] {
        let text = exchange(address(&replica), format!("{request}{SMUGGLED}").as_bytes()).await;
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{request}: {text}");
    }
    // Two well-formed requests at once get two responses.
    let first = "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let text = exchange(address(&replica), format!("{first}{SMUGGLED}").as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
}

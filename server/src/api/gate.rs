//! Checks of a request, before any handler sees it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};

use super::app::{App, Shared};
use super::bodies::{REQUEST_BYTES_MAX, SMALL_BYTES_MAX};
use super::checks::{SHORT_BYTES_MAX, Unfinished};
use super::error::ApiError;
use super::in_progress::REQUESTS_PER_CLIENT_MAX;
use crate::client_address::ClientAddress;
use crate::listen::Closer;

/// Refuses requests for other hosts, and writes that a page of another origin asks for.
pub async fn check_site(State(app): Shared, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let checked = app.origins.check_host(headers).and_then(|()| {
        // Pages of other origins cannot read the responses, so only writes need a check.
        if request.method().is_safe() { Ok(()) } else { app.origins.check_write(headers) }
    });
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// A route for `POST` of JSON. Browsers let pages of other sites send forms and plain text without asking
/// first, but not JSON.
pub fn post_json<H, T>(handler: H) -> MethodRouter<Arc<App>>
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    post(handler).route_layer(middleware::from_fn(check_json))
}

async fn check_json(request: Request, next: Next) -> Response {
    if is_json(request.headers()) {
        return next.run(request).await;
    }
    let message = "the body must be JSON, with the header `Content-Type: application/json`";
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json_type", message).into_response()
}

/// Whether a request's content type is JSON, with or without parameters such as the character set.
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Refuses codings of the request's body. Some readers would see through a coding that others do not know,
/// and then disagree on what the body is.
pub async fn check_codings(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    let codings = headers.get_all(header::TRANSFER_ENCODING);
    if codings.iter().count() > 1 || !codings.iter().all(is_chunked) {
        let message = "the only transfer coding that this server reads is `chunked`";
        let error = ApiError::new(StatusCode::NOT_IMPLEMENTED, "unknown_coding", message);
        let mut response = error.into_response();
        // What follows on the connection may be read as a request by one side and as a body by the other.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        let message = "send the body as it is, without the header `Content-Encoding`";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return ApiError::new(status, "unknown_coding", message).into_response();
    }
    next.run(request).await
}

/// Bounds the requests of each client that are in progress, and begins each when it is its client's turn.
pub async fn bound_requests(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    // Counted before its turn, so that no more than these wait for one.
    let Some(counted) = app.in_progress.begin(client) else {
        let message = format!(
            "{REQUESTS_PER_CLIENT_MAX} requests of your address are in progress; wait for their responses"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        return ApiError::new(status, "too_many_requests", message).retry_after(1).into_response();
    };
    counted.until_sent(app.queues.work.begin(client, next.run(request)).await)
}

/// Bounds the memory of long responses that are not read.
pub async fn bound_unsent(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    Extension(closer): Extension<Closer>,
    request: Request,
    next: Next,
) -> Response {
    app.unsent.hold(client, closer, next.run(request).await).await
}

/// The only route that takes long bodies: arrays of transactions.
const LONG_BODIES: &str = "/v1/transactions";

/// Replaces the body of each request by its bytes. The place of a long one is held until the response.
pub async fn read_body(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    // Refused before it is read: to take in a megabyte costs more than the signatures in it.
    let permitted = match length {
        Some(length) if length > SHORT_BYTES_MAX => app.checks.permit_long(client),
        _ => Ok(()),
    };
    let read = match permitted {
        Ok(()) => {
            let is_array = head.uri.path() == LONG_BODIES;
            let bytes_max = if is_array { REQUEST_BYTES_MAX } else { SMALL_BYTES_MAX };
            app.bodies.read(client, body, length, bytes_max).await
        }
        Err(bad) => Err(Unfinished::TooManyBad(bad).into()),
    };
    match read {
        Ok((bytes, _place)) => {
            let waited = !bytes.is_empty();
            let respond = next.run(Request::from_parts(head, bytes.into()));
            // The request's first turn has ended where its body was waited for.
            if waited { app.queues.work.begin(client, respond).await } else { respond.await }
        }
        Err(error) => {
            let mut response = error.into_response();
            // The rest of the body is not read, so nothing after it can be.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

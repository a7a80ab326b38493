//! Serves the files of the page, and `index.html` at the path of each of its views.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use zellbook_core::types::limits::SYMBOL_LENGTH_MAX;

use super::app::Shared;
use super::error::ApiError;

/// The most digits of a batch index in a path: every number of 19 digits fits into 64 bits.
const INDEX_DIGITS_MAX: usize = 19;

/// Whether a path belongs to a view of the page, for which the server sends `index.html`.
fn is_view(path: &str) -> bool {
    let hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    // Paths are matched exactly. With `index.html` for all unknown paths, a page of an older build would
    // get HTML in place of a script that no longer exists.
    match path.strip_prefix('/').unwrap_or_default().split_once('/') {
        None => matches!(path, "/" | "/batches" | "/markets" | "/replicas"),
        Some(("batches", index)) => {
            (1..=INDEX_DIGITS_MAX).contains(&index.len())
                && index.bytes().all(|byte| byte.is_ascii_digit())
        }
        Some(("transactions", hash)) => hex(hash, 64),
        Some(("accounts", key)) => hex(key, 66),
        Some(("markets", name)) => {
            let is_symbol = |symbol: &str| {
                (1..=SYMBOL_LENGTH_MAX).contains(&symbol.len())
                    && symbol.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            };
            name.split_once('-').is_some_and(|(base, quote)| is_symbol(base) && is_symbol(quote))
        }
        Some(_) => false,
    }
}

/// Serves a file of the page, or 404.
pub async fn serve(State(app): Shared, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = if is_view(uri.path()) { "/index.html" } else { uri.path() };
    if method != Method::GET && method != Method::HEAD {
        return not_found(path);
    }
    let Some(page) = &app.page else {
        if path == "/index.html" {
            let text = "<!doctype html><title>Zellbook</title><p>This replica does not serve the web page. To serve it, run <code>cargo xtask web</code> and start the replica with <code>--page target/site</code>. The API is at <a href=\"/v1/status\">/v1/status</a>.";
            return Html(text).into_response();
        }
        return not_found(path);
    };
    let Some(file) = page.files.get(path) else { return not_found(path) };
    // All file names except index.html contain the hash of the content, so they can be cached for ever.
    let cache =
        if path == "/index.html" { "no-cache" } else { "public, max-age=31536000, immutable" };
    let head = [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, cache),
        // Otherwise a cache could send the brotli form to a client that cannot read it.
        (header::VARY, "accept-encoding"),
    ];
    match &file.brotli {
        Some(brotli) if takes_brotli(&headers) => {
            (head, [(header::CONTENT_ENCODING, "br")], brotli.clone()).into_response()
        }
        _ => (head, file.plain.clone()).into_response(),
    }
}

/// Whether the client names brotli and gives it a weight above 0, which would refuse it.
fn takes_brotli(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = codings.filter_map(|codings| codings.to_str().ok());
    let weight = |coding: &str| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if !name.eq_ignore_ascii_case("br") {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        // Without a weight it is 1. An unreadable one is no permission.
        Some(weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0)))
    };
    codings
        .flat_map(|codings| codings.split(','))
        .find_map(weight)
        .is_some_and(|weight| weight > 0.0)
}

pub fn not_found(path: &str) -> Response {
    let path: String = path.chars().take(100).collect();
    let message = format!("no such path: {path}; docs/api.md lists the paths");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_path", message).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{is_view, takes_brotli};

    #[test]
    fn brotli_is_sent_only_where_it_is_accepted() {
        let takes = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            takes_brotli(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
        };
        for value in ["br", "gzip, deflate, br, zstd", "BR", "br;q=0.1", "gzip;q=0, br; q=1.0"] {
            assert!(takes(value), "{value}");
        }
        for value in ["br;q=0", "br; q=0.000", "gzip", "", "*", "*;q=0", "brotli", "br;q=x"] {
            assert!(!takes(value), "{value}");
        }
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[test]
    fn the_page_has_views_at_these_paths_and_no_others() {
        let (hash, key) = ("ab".repeat(32), format!("02{}", "0f".repeat(32)));
        let views = [
            "/",
            "/batches",
            "/batches/12",
            "/markets",
            "/markets/ETH-USDT",
            "/replicas",
            &format!("/transactions/{hash}"),
            &format!("/accounts/{key}"),
        ];
        for path in views {
            assert!(is_view(path), "{path}");
        }
        let others = [
            "",
            "//",
            "/batches/",
            "/batches/-1",
            "/batches/1a",
            "/batches/1/2",
            "/transactions",
            "/batches/12345678901234567890",
            "/markets/",
            "/markets/eth-usdt",
            "/replicas/1",
            "/markets/A/B",
            "/markets/ETH",
            "/markets/A-B-C",
            "/markets/AAAAAAAAAAAAA-BBBBBBBBBBBBB",
            "/accounts/02",
            "/other",
            "x/batches/1",
            "/v1/batches/1",
            &format!("/transactions/{}", hash.to_uppercase()),
            &format!("/transactions/{hash}0"),
            &format!("/accounts/{key}/"),
        ];
        for path in others {
            assert!(!is_view(path), "{path}");
        }
    }
}

//! The page: files that were built before, kept in memory and served as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use zellbook_core::limits::SYMBOL_LENGTH_MAX;

use super::{ApiError, Shared};

/// Scripts and wasm of our own, and nothing else from anywhere. Wallets of the browser announce their
/// icons as `data:` (EIP-6963).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Digits of a batch's index in a path, at most: as many as surely fit.
const INDEX_DIGITS_MAX: usize = 19;
/// Bytes of all files, at most.
const PAGE_BYTES_MAX: u64 = 64 << 20;

/// The files of the page, by path.
pub struct Page {
    files: BTreeMap<String, PageFile>,
}

struct PageFile {
    plain: Bytes,
    /// The same, brotli-compressed.
    brotli: Option<Bytes>,
    kind: &'static str,
}

impl Page {
    /// Reads all files of a folder that `cargo xtask web` has built.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        let mut total = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type()?.is_file();
            if !is_file || name.ends_with(".br") {
                continue;
            }
            total += entry.metadata()?.len();
            if total > PAGE_BYTES_MAX {
                let message = format!("{} holds more than a page does", folder.display());
                return Err(io::Error::other(message));
            }
            let brotli = match fs::read(folder.join(format!("{name}.br"))) {
                Ok(bytes) => Some(bytes.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let plain = fs::read(entry.path())?.into();
            let kind = content_type(&name);
            files.insert(format!("/{name}"), PageFile { plain, brotli, kind });
        }
        if !files.contains_key("/index.html") {
            return Err(io::Error::other(format!("{} has no index.html", folder.display())));
        }
        Ok(Self { files })
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}

/// Whether the page has a view of its own at a path, which it shows itself when it has started.
fn is_view(path: &str) -> bool {
    let hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
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

/// Serves a file of the page, or says that there is nothing at this path.
pub async fn serve(State(app): Shared, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = if is_view(uri.path()) { "/index.html" } else { uri.path() };
    if method != Method::GET && method != Method::HEAD {
        return nothing(path);
    }
    let Some(page) = &app.page else {
        if path == "/index.html" {
            let text = "<!doctype html><title>Zellbook</title><p>This replica serves no page. Build it with <code>cargo xtask web</code> and start with <code>--page target/site</code>. The API is at <a href=\"/v1/status\">/v1/status</a>.";
            return Html(text).into_response();
        }
        return nothing(path);
    };
    let Some(file) = page.files.get(path) else { return nothing(path) };
    // All names but index.html carry the hash of their content.
    let cache =
        if path == "/index.html" { "no-cache" } else { "public, max-age=31536000, immutable" };
    let takes_brotli = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|encodings| encodings.to_str().ok())
        .is_some_and(|encodings| {
            encodings.split(',').any(|encoding| encoding.trim().split(';').next() == Some("br"))
        });
    let head = [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
    ];
    match &file.brotli {
        Some(brotli) if takes_brotli => {
            (head, [(header::CONTENT_ENCODING, "br")], brotli.clone()).into_response()
        }
        _ => (head, file.plain.clone()).into_response(),
    }
}

fn nothing(path: &str) -> Response {
    let path: String = path.chars().take(100).collect();
    let message = format!("there is nothing at {path}; docs/api.md lists the paths");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_path", message).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_view;

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

//! The page: files that were built before, kept in memory and served as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

use super::{ApiError, Shared};

/// Scripts and wasm of our own, and nothing else from anywhere. Wallets of the browser announce their
/// icons as `data:` (EIP-6963).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
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

/// Serves a file of the page, or says that there is nothing at this path.
pub async fn serve(State(app): Shared, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = if uri.path() == "/" { "/index.html" } else { uri.path() };
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

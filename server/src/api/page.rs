//! The web page: files that `cargo xtask web` built, held in memory and served unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use axum::body::Bytes;

/// Allows scripts, wasm and styles from this origin only. Images may also be `data:` URLs, because browser
/// wallets announce their icons as such (EIP-6963).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The most bytes of all files together, so that a wrong `--page` folder does not fill the memory.
const PAGE_BYTES_MAX: u64 = 64 << 20;

pub struct Page {
    /// By path.
    pub(super) files: BTreeMap<String, PageFile>,
}

pub(super) struct PageFile {
    pub plain: Bytes,
    pub brotli: Option<Bytes>,
    pub kind: &'static str,
}

impl Page {
    /// Reads all files of a folder that `cargo xtask web` built.
    pub fn load(folder: &Path) -> io::Result<Self> {
        // All files are read at the start. So a request's path is only looked up in this map and never
        // reaches the file system, and rebuilding the folder does not mix two builds.
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
                let message = format!(
                    "{} has more than {PAGE_BYTES_MAX} bytes, which is too much for the web page",
                    folder.display()
                );
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
    // These must be exact: responses carry `nosniff`, so a browser refuses a script or style of another
    // type.
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

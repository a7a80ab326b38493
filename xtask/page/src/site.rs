//! The folder of files that is served.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64ct::{Base64, Encoding};
use brotli::BrotliCompress;
use brotli::enc::BrotliEncoderParams;
use sha2::{Digest, Sha256, Sha384};

/// A file whose name has the hash of its content, so that browsers may keep it for ever.
pub struct Asset {
    /// The path at which it is served.
    pub path: String,
    /// The digest that browsers hold it to (W3C Subresource Integrity).
    pub integrity: String,
}

/// The files of a page.
pub struct Site<'a> {
    folder: &'a Path,
    files: Vec<(String, Vec<u8>)>,
}

impl<'a> Site<'a> {
    pub fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new() }
    }

    /// Adds a file under a name that has the hash of its content.
    pub fn add_hashed(
        &mut self,
        stem: &str,
        extension: &str,
        bytes: Vec<u8>,
    ) -> Result<Asset, String> {
        let hash = hex::encode(&Sha256::digest(&bytes)[..8]);
        let name = format!("{stem}-{hash}.{extension}");
        let integrity = format!("sha384-{}", Base64::encode_string(&Sha384::digest(&bytes)));
        let asset = Asset { path: format!("/{name}"), integrity };
        self.add(name, bytes)?;
        Ok(asset)
    }

    pub fn add(&mut self, name: String, bytes: Vec<u8>) -> Result<(), String> {
        write(&self.folder.join(&name), &bytes)?;
        self.files.push((name, bytes));
        Ok(())
    }

    /// Writes a compressed twin of each file, which the server sends to browsers that take it.
    pub fn compress(&self) -> Result<(), String> {
        in_parallel(&self.files, |(name, bytes)| {
            let mut compressed = Vec::new();
            let parameters =
                BrotliEncoderParams { quality: 11, size_hint: bytes.len(), ..Default::default() };
            BrotliCompress(&mut bytes.as_slice(), &mut compressed, &parameters)
                .map_err(|error| format!("compressing {name}: {error}"))?;
            say(&format!("{name}: {} bytes, {} compressed", bytes.len(), compressed.len()));
            write(&self.folder.join(format!("{name}.br")), &compressed)
        })
    }
}

/// Does the work for each item on all cores, and returns the first failure.
pub fn in_parallel<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let until_none_is_left = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item)?;
        }
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(until_none_is_left)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err("a thread of the build panicked".into()))
        })
    })
}

/// Reports what is being done.
pub fn say(text: &str) {
    eprintln!("xtask: the page: {text}");
}

pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn read_text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

//! The folder with the files that are served.

use std::fs;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256, Sha384};

/// A file whose name contains the hash of its content, so that browsers can cache it forever.
pub struct Asset {
    /// The path of its URL.
    pub path: String,
    /// The digest that browsers compare the file with (W3C Subresource Integrity).
    pub integrity: String,
}

/// The files of a page.
pub struct Site<'a> {
    folder: &'a Path,
    pub files: Vec<PathBuf>,
}

impl<'a> Site<'a> {
    pub fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new() }
    }

    /// Adds a file and puts the hash of its content into its name.
    pub fn add_hashed(
        &mut self,
        stem: &str,
        extension: &str,
        bytes: &[u8],
    ) -> Result<Asset, String> {
        // The name only has to differ between versions. The digest below is what a browser checks.
        let hash = hex::encode(&Sha256::digest(bytes)[..8]);
        let name = format!("{stem}-{hash}.{extension}");
        let integrity = format!("sha384-{}", Base64::encode_string(&Sha384::digest(bytes)));
        let asset = Asset { path: format!("/{name}"), integrity };
        self.add(&name, bytes)?;
        Ok(asset)
    }

    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let file = self.folder.join(name);
        write(&file, bytes)?;
        self.files.push(file);
        Ok(())
    }

    /// Reports the size of each file, uncompressed and compressed.
    pub fn report(&self) {
        let size = |file: PathBuf| fs::metadata(file).map_or(0, |metadata| metadata.len());
        for file in &self.files {
            let name = file.file_name().unwrap_or_default().display();
            let compressed = size(file.with_added_extension("br"));
            say(&format!("{name}: {} bytes, {compressed} compressed", size(file.clone())));
        }
    }
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

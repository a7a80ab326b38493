//! The folder of a devnet.

use std::fs;
use std::path::PathBuf;

use zellbook_server::cli::Failure;
use zellbook_server::config::io_error;

/// The folder of a devnet. A temporary one is removed when this is dropped.
pub struct Folder {
    pub path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    pub fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        let is_temporary = given.is_none();
        let name = || format!("zellbook-devnet-{}", std::process::id());
        let path = given.unwrap_or_else(|| std::env::temp_dir().join(name()));
        // A new folder each time: the nodes start with an empty history, so replicas with batches of an
        // earlier devnet would find a fork.
        fs::create_dir(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::from(format!(
                "{} already exists; a devnet needs a new folder, because the emulated nodes do not keep their history",
                path.display()
            )),
            _ => io_error(&path)(error).into(),
        })?;
        Ok(Self { path, is_temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // Best effort: leftovers in the temporary folder do no harm.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

//! The folder of a devnet.

use std::fs;
use std::path::PathBuf;

use zellbook_server::cli::Failure;
use zellbook_server::config::io_error;

/// The folder of a devnet: what is temporary goes with it.
pub struct Folder {
    pub path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    pub fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        let is_temporary = given.is_none();
        let name = || format!("zellbook-devnet-{}", std::process::id());
        let path = given.unwrap_or_else(|| std::env::temp_dir().join(name()));
        // The nodes' history ends with them: what replicas kept of another would contradict it.
        fs::create_dir(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::from(format!(
                "{} is there already; the emulated nodes keep nothing, so each devnet needs a new folder",
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
            // What is left of it harms nobody.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

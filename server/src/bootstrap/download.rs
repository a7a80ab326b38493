//! Downloading a snapshot: no more bytes than it says it has, at a bearable pace, and on from where an
//! earlier try ended, even if that was a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{BootstrapError, Peer};
use crate::config::io_error;

/// How often a download that broke off is taken up again without having got further.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a download may go slower than is bearable.
const PACE_OVER: Duration = Duration::from_secs(20);
/// What is bearable, in bytes a second.
const PACE_MIN: u64 = 8 << 10;

/// Downloads `bytes` bytes with a SHA-256 (in hex) to a file.
pub async fn download(
    peer: &Peer,
    path: &str,
    file: &Path,
    bytes: u64,
    sha256: &str,
) -> Result<(), BootstrapError> {
    let mut tries = 0;
    while length(file) < bytes {
        let before = length(file);
        match piecewise(peer, path, file, bytes).await {
            Ok(()) => {}
            Err(BootstrapError::Peer { .. }) if length(file) > before => tries = 0,
            Err(error @ BootstrapError::Peer { .. }) => {
                tries += 1;
                if tries >= TRIES {
                    return Err(error);
                }
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
            Err(error) => return Err(error),
        }
    }
    let found = hash(file)?;
    if length(file) != bytes || found != sha256 {
        // The next try begins anew.
        fs::remove_file(file).map_err(io_error(file))?;
        return Err(
            peer.lie(format!("its snapshot has the SHA-256 {found}, not {sha256} as it said"))
        );
    }
    Ok(())
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |data| data.len())
}

fn hash(file: &Path) -> Result<String, BootstrapError> {
    let mut hasher = Sha256::new();
    let mut read = File::open(file).map_err(io_error(file))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut read, &mut piece).map_err(io_error(file))? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => hasher.update(piece.get(..count).unwrap_or_default()),
        }
    }
}

/// One try: appends what comes to what is there.
async fn piecewise(peer: &Peer, path: &str, file: &Path, bytes: u64) -> Result<(), BootstrapError> {
    let mut from = length(file);
    let mut response = peer.open(path, from).await?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if from > 0 => {
            let range = response.headers().get("content-range");
            let range = range.and_then(|range| range.to_str().ok()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {from}-")) {
                return Err(peer.lie(format!("asked for bytes from {from} on, it sent {range:?}")));
            }
        }
        // It does not know ranges: from the beginning.
        StatusCode::OK => {
            from = 0;
            File::create(file).map_err(io_error(file))?;
        }
        status => return Err(peer.fault(format!("{path}: status {status}"))),
    }
    let mut out =
        OpenOptions::new().append(true).create(true).open(file).map_err(io_error(file))?;
    let (mut since, mut got) = (Instant::now(), 0_u64);
    while let Some(piece) = peer.piece(&mut response).await? {
        let count = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        from = from.saturating_add(count);
        if from > bytes {
            drop(out);
            fs::remove_file(file).map_err(io_error(file))?;
            return Err(
                peer.lie(format!("its snapshot goes on after the {bytes} bytes that it said"))
            );
        }
        out.write_all(&piece).map_err(io_error(file))?;
        got += count;
        if since.elapsed() >= PACE_OVER {
            if got < PACE_MIN * PACE_OVER.as_secs() {
                return Err(peer.lie(format!(
                    "it sends its snapshot with {got} bytes in {PACE_OVER:?}, slower than any link"
                )));
            }
            (since, got) = (Instant::now(), 0);
        }
    }
    out.sync_all().map_err(io_error(file))?;
    if from < bytes {
        return Err(peer.fault(format!("its snapshot broke off after {from} of {bytes} bytes")));
    }
    Ok(())
}

//! Downloads a snapshot from a replica that is not trusted.
//!
//! The download is limited to the announced size and must not be slower than a minimum pace, so that the
//! other replica can neither fill the disk nor keep this one waiting for ever. After an interruption, even
//! a power cut, it resumes where it stopped. The SHA-256 is checked at the end.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use sha2::{Digest, Sha256};
use zellular::client::Pace;

use super::error::BootstrapError;
use super::peer::Peer;
use crate::config::io_error;

/// The download fails after this many tries in a row without progress.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How far the other replica may fall behind the minimum pace.
const PACE_SLACK: Duration = Duration::from_secs(20);
/// The minimum pace, in bytes per second.
const PACE_MIN: u64 = 8 << 10;

/// Downloads a file of `bytes` bytes whose SHA-256 is `sha256` (in hex).
pub async fn download(
    peer: &Peer,
    path: &str,
    file: &Path,
    bytes: u64,
    sha256: &str,
) -> Result<(), BootstrapError> {
    let mut tries = 0;
    // The length on disk is the only record of progress. So a download that an earlier process began is
    // resumed in the same way as one that this process began.
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
    // Hashed from disk, not while it arrives: earlier processes may have written parts of it, and a power
    // cut may have changed them.
    let found = hash(file)?;
    // The file can be too long only if an earlier announcement of the same hash stated more bytes: the
    // file's name does not include its size.
    if length(file) != bytes || found != sha256 {
        // A wrong file cannot be resumed; the next try starts from its first byte.
        fs::remove_file(file).map_err(io_error(file))?;
        return Err(
            peer.lie(format!("its snapshot has SHA-256 {found}, but it announced {sha256}"))
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

/// One try: appends to the part that earlier tries downloaded.
async fn piecewise(peer: &Peer, path: &str, file: &Path, bytes: u64) -> Result<(), BootstrapError> {
    let mut from = length(file);
    let mut response = peer.open(path, from).await?;
    match response.status() {
        // Only a request with `from > 0` asks for a range. A range that starts elsewhere would only be
        // noticed by the hash, after the whole download.
        StatusCode::PARTIAL_CONTENT if from > 0 => {
            let range = response.headers().get("content-range");
            let range = range.and_then(|range| range.to_str().ok()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {from}-")) {
                return Err(peer.lie(format!(
                    "the request was for the bytes from {from} on, but it sent the range {range:?}"
                )));
            }
        }
        // The peer does not support ranges, so it sends the whole file.
        StatusCode::OK => {
            from = 0;
            File::create(file).map_err(io_error(file))?;
        }
        status => return Err(peer.failure(format!("{path}: HTTP status {status}"))),
    }
    let mut out =
        OpenOptions::new().append(true).create(true).open(file).map_err(io_error(file))?;
    let mut pace = Pace::new(PACE_MIN, PACE_SLACK);
    while let Some(piece) = peer.piece(&mut response).await? {
        let count = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        from = from.saturating_add(count);
        // Checked before the write, so that the surplus never reaches the disk.
        if from > bytes {
            drop(out);
            fs::remove_file(file).map_err(io_error(file))?;
            return Err(peer
                .lie(format!("its snapshot is longer than the {bytes} bytes that it announced")));
        }
        // Before the write, so that a slow disk of our own does not count against the peer.
        if !pace.take(piece.len()) {
            return Err(peer.lie(format!(
                "it sent its snapshot at less than {PACE_MIN} bytes per second, slower than any link"
            )));
        }
        out.write_all(&piece).map_err(io_error(file))?;
    }
    // Only a response that ended regularly is synced. If a power cut loses other bytes, the hash does not
    // match, and the download starts again.
    out.sync_all().map_err(io_error(file))?;
    if from < bytes {
        return Err(peer.failure(format!("the download ended after {from} of {bytes} bytes")));
    }
    Ok(())
}

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
use tokio::time::Instant;
use zellular::client::Pace;

use super::error::BootstrapError;
use super::peer::Peer;
use crate::config::io_error;

/// The download fails after this many tries in a row without progress.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How far the other replica may fall behind the minimum pace within one response.
const PACE_SLACK: Duration = Duration::from_secs(20);
/// How far it may fall behind over all responses: longer than a connection that is given up [`TRIES`] times.
const TOTAL_SLACK: Duration = Duration::from_secs(120);
/// The minimum pace, in bytes per second.
const PACE_MIN: u64 = 8 << 10;

/// The minimum pace of a whole download, interruptions included.
pub fn total_pace() -> Pace {
    Pace::new(PACE_MIN, TOTAL_SLACK)
}

/// Downloads a file of `bytes` bytes whose SHA-256 is `sha256` (in hex), at least at the `total` pace.
pub async fn download(
    peer: &Peer,
    path: &str,
    file: &Path,
    bytes: u64,
    sha256: &str,
    total: Pace,
) -> Result<(), BootstrapError> {
    let mut progress = Progress { total, most: length(file) };
    // Of the bytes that an earlier process wrote, a power cut may have lost some. Only a wrong file that came
    // as a whole in this process is the peer's doing.
    let is_resumed = length(file) > 0;
    fetch(peer, path, file, bytes, &mut progress).await?;
    let mut found = hash(file)?;
    if is_resumed && (length(file) != bytes || found != sha256) {
        tracing::warn!(
            "the part of the snapshot that was on disk is damaged; downloading all of it"
        );
        fs::remove_file(file).map_err(io_error(file))?;
        progress.most = 0;
        fetch(peer, path, file, bytes, &mut progress).await?;
        found = hash(file)?;
    }
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

/// How far a download has come, over all responses.
struct Progress {
    total: Pace,
    /// The greatest length that the file has had. Bytes up to it are no progress: a peer could otherwise send
    /// the beginning again and again.
    most: u64,
}

impl Progress {
    /// Whether the next byte would come too late.
    fn is_late(&self) -> bool {
        Instant::now() > self.total.deadline()
    }

    /// Counts a new length of the file. Returns whether it was reached in time.
    fn reach(&mut self, length: u64) -> bool {
        let gained = length.saturating_sub(self.most);
        self.most = self.most.max(length);
        self.total.take(usize::try_from(gained).unwrap_or(usize::MAX))
    }
}

/// Downloads until the file has `bytes` bytes.
async fn fetch(
    peer: &Peer,
    path: &str,
    file: &Path,
    bytes: u64,
    progress: &mut Progress,
) -> Result<(), BootstrapError> {
    let mut tries = 0;
    // The length on disk is the only record of progress. So a download that an earlier process began is
    // resumed in the same way as one that this process began.
    while length(file) < bytes {
        let before = progress.most;
        match piecewise(peer, path, file, bytes, progress).await {
            Ok(()) => {}
            Err(error @ BootstrapError::Peer { .. }) if progress.is_late() => return Err(error),
            Err(BootstrapError::Peer { .. }) if progress.most > before => tries = 0,
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
    Ok(())
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |data| data.len())
}

/// Hashed from disk, not while it arrives, because earlier processes may have written parts of it.
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
async fn piecewise(
    peer: &Peer,
    path: &str,
    file: &Path,
    bytes: u64,
    progress: &mut Progress,
) -> Result<(), BootstrapError> {
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
        // The pace above begins anew with each response. Without one over all of them, a peer that ends each
        // response after its first byte would hold this replica for ever.
        if !progress.reach(from) {
            return Err(peer.failure(format!(
                "with its interruptions, the download fell behind {PACE_MIN} bytes per second"
            )));
        }
        out.write_all(&piece).map_err(io_error(file))?;
    }
    // Only a response that ended regularly is synced. If a power cut loses other bytes, the hash does not
    // match, and `download` starts again.
    out.sync_all().map_err(io_error(file))?;
    if from < bytes {
        return Err(peer.failure(format!("the download ended after {from} of {bytes} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::Bytes;
    use axum::http::HeaderMap;
    use axum::response::{IntoResponse, Response};

    use super::*;

    const CONTENT: &[u8] = &[7; 100_000];

    /// A peer that ends each response after `most` bytes from the requested one on. Also returns the number of
    /// its responses.
    async fn peer(most: usize) -> (Peer, Arc<AtomicUsize>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let router = Router::new().fallback(move |headers: HeaderMap| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { answer(&headers, most) }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Peer::new(&url).unwrap(), count)
    }

    fn answer(headers: &HeaderMap, most: usize) -> Response {
        let from = headers.get("range").map_or(0, |range| {
            range.to_str().unwrap()[6..].trim_end_matches('-').parse::<usize>().unwrap()
        });
        let left = &CONTENT[from..];
        let body = Bytes::from_static(&left[..most.min(left.len())]);
        let range = format!("bytes {from}-{}/{}", CONTENT.len() - 1, CONTENT.len());
        match from {
            0 => body.into_response(),
            _ => (StatusCode::PARTIAL_CONTENT, [("content-range", range)], body).into_response(),
        }
    }

    async fn run(peer: &Peer, file: &Path, total: Pace) -> Result<(), BootstrapError> {
        let sha256 = hex::encode(Sha256::digest(CONTENT));
        download(peer, "/file", file, CONTENT.len() as u64, &sha256, total).await
    }

    #[tokio::test]
    async fn a_peer_that_sends_single_bytes_is_given_up_and_one_that_only_breaks_off_often_is_not()
    {
        let folder = tempfile::tempdir().unwrap();
        // Far more than single bytes can bring, so that the test need not wait for the real slack.
        let total = || Pace::new(10_000_000, Duration::from_millis(300));
        let (slow, _) = peer(1).await;
        let file = folder.path().join("slow");
        let error = run(&slow, &file, total()).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Peer { .. }), "{error}");
        // It is kept, since a bad link is no lie.
        assert!(length(&file) > 0 && length(&file) < CONTENT.len() as u64);
        let (flaky, count) = peer(9000).await;
        let file = folder.path().join("flaky");
        run(&flaky, &file, total_pace()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), CONTENT);
        assert!(count.load(Ordering::SeqCst) >= 12);
    }

    #[tokio::test]
    async fn a_file_that_was_damaged_here_is_downloaded_again_and_one_that_came_wrong_is_a_lie() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let (honest, count) = peer(usize::MAX).await;
        for damaged in [vec![0; 60_000], vec![0; CONTENT.len()], vec![7; CONTENT.len() + 1]] {
            fs::write(&file, damaged).unwrap();
            run(&honest, &file, total_pace()).await.unwrap();
            assert_eq!(fs::read(&file).unwrap(), CONTENT);
        }
        // What is right is not asked for again.
        let before = count.load(Ordering::SeqCst);
        run(&honest, &file, total_pace()).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), before);
        fs::remove_file(&file).unwrap();
        let other =
            download(&honest, "/file", &file, CONTENT.len() as u64, "00", total_pace()).await;
        assert!(matches!(other, Err(BootstrapError::Lie { .. })), "{other:?}");
        assert!(!file.exists());
    }
}

//! The endpoints with the state snapshots that other replicas can start from.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use zellbook_core::wire::SnapshotsResponse;

use super::app::Shared;
use super::error::ApiError;
use super::unsent::PIECE_BYTES;

/// `GET /v1/snapshots`: the available snapshots, newest first.
pub async fn list(State(app): Shared) -> Json<SnapshotsResponse> {
    Json(SnapshotsResponse { snapshots: app.snapshots.list() })
}

/// `GET /v1/snapshots/{batch}`: the file. `Range: bytes=N-` resumes a download after its first N bytes.
pub async fn download(
    State(app): Shared,
    Path(batch): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let unknown = || {
        let message =
            format!("no snapshot of batch {batch} is available; GET /v1/snapshots lists them");
        ApiError::not_found("unknown_snapshot", message)
    };
    let found = app.snapshots.list().into_iter().find(|snapshot| snapshot.batch == batch);
    let snapshot = found.ok_or_else(unknown)?;
    // The file's path is made from the number of a listed snapshot, never from the text in the request.
    let number: u64 = batch.parse().map_err(|_| unknown())?;
    let bytes: u64 = snapshot.bytes.parse().map_err(|_| unknown())?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, first, last) = match range.map(|range| read_range(range, bytes)) {
        // HTTP allows a server to ignore a range that it does not support.
        None | Some(Range::Other) => (StatusCode::OK, 0, bytes),
        Some(Range::Bytes { first, end }) => (StatusCode::PARTIAL_CONTENT, first, end),
        Some(Range::Beyond) => {
            let message = format!("the range starts after the end: the snapshot has {bytes} bytes");
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", message));
        }
    };
    // A newer snapshot may have replaced it since it was listed. Once open, it can be read to the end.
    let mut file = File::open(app.snapshots.file(number)).map_err(|_| unknown())?;
    file.seek(SeekFrom::Start(first)).map_err(|error| ApiError::internal(&error))?;
    // In pieces, so that a download needs little memory.
    let pieces = stream::unfold(Some((file, last - first)), |rest| async move {
        let (mut file, left) = rest.filter(|(_, left)| *left > 0)?;
        // A read can wait for the disk, which must not hold up other requests on this thread.
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES))];
            file.read_exact(&mut piece).map(|()| (file, piece))
        });
        match reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok((file, piece)) => {
                let left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                Some((Ok(piece), Some((file, left))))
            }
            // The body ends before its length, which tells the client that the download failed.
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, last - first)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, format!("\"{}\"", snapshot.sha256));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{bytes}", last.saturating_sub(1));
        response = response.header(header::CONTENT_RANGE, range);
    }
    let response = response.body(Body::from_stream(pieces));
    Ok(response.map_err(|error| ApiError::internal(&error))?.into_response())
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// The bytes from `first` up to but not including `end`.
    Bytes { first: u64, end: u64 },
    /// The range starts after the last byte.
    Beyond,
    /// No range, several ranges, or one from the end.
    Other,
}

fn read_range(text: &str, bytes: u64) -> Range {
    let read = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let first: u64 = first.parse().ok()?;
        let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
        (first <= last).then_some((first, last))
    };
    match read() {
        None => Range::Other,
        Some((first, _)) if first >= bytes => Range::Beyond,
        Some((first, last)) => Range::Bytes { first, end: last.saturating_add(1).min(bytes) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, read_range};

    #[test]
    fn a_byte_range_is_read_as_http_defines_it() {
        assert_eq!(read_range("bytes=2-", 10), Range::Bytes { first: 2, end: 10 });
        assert_eq!(read_range("bytes=2-4", 10), Range::Bytes { first: 2, end: 5 });
        assert_eq!(read_range("bytes=2-99", 10), Range::Bytes { first: 2, end: 10 });
        assert_eq!(read_range("bytes=10-", 10), Range::Beyond);
        for other in ["bytes=-5", "bytes=4-2", "bytes=1-2,4-5", "lines=1-", "bytes=", "bytes=x-"] {
            assert_eq!(read_range(other, 10), Range::Other, "{other}");
        }
    }
}

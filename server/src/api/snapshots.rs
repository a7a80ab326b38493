//! Snapshots for others to start from.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use zellbook_core::wire::SnapshotsResponse;

use super::{ApiError, Shared};

/// Bytes that are read from the disk at once.
const PIECE: usize = 1 << 20;

/// `GET /v1/snapshots`: the newest first.
pub async fn list(State(app): Shared) -> Json<SnapshotsResponse> {
    Json(SnapshotsResponse { snapshots: app.snapshots.list() })
}

/// `GET /v1/snapshots/{batch}`: the file, or with `Range: bytes=N-` what follows its first N bytes.
pub async fn download(
    State(app): Shared,
    Path(batch): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let unknown = || {
        let message =
            format!("there is no snapshot of batch {batch}; GET /v1/snapshots lists them");
        ApiError::not_found("unknown_snapshot", message)
    };
    let kept = app.snapshots.list().into_iter().find(|kept| kept.batch == batch);
    let snapshot = kept.ok_or_else(unknown)?;
    let number: u64 = batch.parse().map_err(|_| unknown())?;
    let bytes: u64 = snapshot.bytes.parse().map_err(|_| unknown())?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, first, last) = match range.map(|range| read_range(range, bytes)) {
        // What is no range of ours is passed over, as HTTP has it.
        None | Some(Range::Other) => (StatusCode::OK, 0, bytes),
        Some(Range::Bytes { first, end }) => (StatusCode::PARTIAL_CONTENT, first, end),
        Some(Range::Beyond) => {
            let message = format!("the snapshot has {bytes} bytes");
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", message));
        }
    };
    // It may have been removed since; an open file stays.
    let mut file = File::open(app.snapshots.file(number)).map_err(|_| unknown())?;
    file.seek(SeekFrom::Start(first)).map_err(|error| ApiError::internal(&error))?;
    let pieces = stream::unfold(Some((file, last - first)), |rest| async move {
        let (mut file, left) = rest.filter(|(_, left)| *left > 0)?;
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            file.read_exact(&mut piece).map(|()| (file, piece))
        });
        match reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok((file, piece)) => {
                let left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                Some((Ok(piece), Some((file, left))))
            }
            // The client sees that the body broke off.
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, last - first)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, format!("\"{}\"", snapshot.sha256));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{bytes}", last.saturating_sub(1));
        answer = answer.header(header::CONTENT_RANGE, range);
    }
    let answer = answer.body(Body::from_stream(pieces));
    Ok(answer.map_err(|error| ApiError::internal(&error))?.into_response())
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first byte up to the end, which is not among them.
    Bytes { first: u64, end: u64 },
    /// It begins after the last byte.
    Beyond,
    /// None, several, or the last so many.
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
    fn a_range_is_what_http_says() {
        assert_eq!(read_range("bytes=2-", 10), Range::Bytes { first: 2, end: 10 });
        assert_eq!(read_range("bytes=2-4", 10), Range::Bytes { first: 2, end: 5 });
        assert_eq!(read_range("bytes=2-99", 10), Range::Bytes { first: 2, end: 10 });
        assert_eq!(read_range("bytes=10-", 10), Range::Beyond);
        for other in ["bytes=-5", "bytes=4-2", "bytes=1-2,4-5", "lines=1-", "bytes=", "bytes=x-"] {
            assert_eq!(read_range(other, 10), Range::Other, "{other}");
        }
    }
}

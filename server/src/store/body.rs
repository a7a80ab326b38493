//! Bodies of batches as the databases hold them: compressed.
//!
//! Half of a body is the hex digits of signatures and keys, which take half their length. What is left of the rest is little:
//! see the store in `docs/benchmarks.md`.

use std::cell::RefCell;
use std::io;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use zellular::limits::PAGE_BYTES_MAX;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// The level that zstd takes by itself.
const LEVEL: i32 = 3;

thread_local! {
    // Kept, because a new one takes more time than a body.
    static COMPRESSOR: RefCell<io::Result<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL));
    static DECOMPRESSOR: RefCell<io::Result<Decompressor<'static>>> = RefCell::new(Decompressor::new());
}

/// A body: `&str` to write it, and `String` to read it.
pub struct Body<T>(pub T);

fn unavailable(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

impl ToSql for Body<&str> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let packed = COMPRESSOR.with_borrow_mut(|compressor| match compressor {
            Ok(compressor) => compressor.compress(self.0.as_bytes()),
            Err(error) => Err(unavailable(error)),
        });
        packed
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl FromSql for Body<String> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let packed = value.as_blob()?;
        let invalid =
            |error: &str| FromSqlError::Other(format!("not a stored body: {error}").into());
        // A damaged file may claim any length.
        let length = get_frame_content_size(packed).ok().flatten();
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= PAGE_BYTES_MAX);
        let length = length.ok_or_else(|| invalid("no length"))?;
        let bytes = DECOMPRESSOR.with_borrow_mut(|decompressor| match decompressor {
            Ok(decompressor) => decompressor.decompress(packed, length),
            Err(error) => Err(unavailable(error)),
        });
        let bytes = bytes.map_err(|error| invalid(&error.to_string()))?;
        String::from_utf8(bytes).map(Self).map_err(|error| invalid(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_length_reads_back_and_damage_is_an_error() {
        let long = "[\"ab\"]".repeat(PAGE_BYTES_MAX / 6);
        for body in ["", "[]", "é", &long] {
            let packed = Body(body);
            let ToSqlOutput::Owned(value) = packed.to_sql().unwrap() else { panic!() };
            let read =
                |value: ValueRef<'_>| Body::<String>::column_result(value).map(|body| body.0);
            assert!(read(ValueRef::from(&value)).unwrap() == body);
            let bytes = ValueRef::from(&value).as_blob().unwrap();
            for end in 0..bytes.len().min(64) {
                assert!(read(ValueRef::Blob(&bytes[..end])).is_err());
            }
        }
    }
}

//! Errors of the store, and the schema version that it accepts.

use std::path::PathBuf;

use thiserror::Error;
use zellbook_core::Corrupt;
use zellbook_core::engine::BrokenInvariant;

/// The schema version of all databases, stored in `user_version`. A file with another version is refused:
/// its content can be fetched again from the sequencer.
pub(super) const SCHEMA_VERSION: i64 = 8;

/// A query of a reader failed. The type hides rusqlite from the rest of the program.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct QueryError(#[from] pub(super) rusqlite::Error);

impl QueryError {
    /// Whether what is stored is wrong.
    pub fn is_damage(&self) -> bool {
        is_damage(&self.0)
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        // A value that this program never writes, for example a root of another length.
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => true,
        // Other errors of SQLite are about the disk, the permissions or a lock, and say nothing about the content.
        error => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
    }
}

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{}: {error}", path.display())]
    Sqlite { path: PathBuf, error: rusqlite::Error },
    /// The file belongs to another version of this program.
    #[error("{} has schema version {found}, but this program needs version {SCHEMA_VERSION}; use another --data directory and let the replica catch up from the sequencer", path.display())]
    Version { path: PathBuf, found: i64 },
    /// The file belongs to another network.
    #[error("{} is for network {found}, not {expected}; use another --data directory", path.display())]
    Network { path: PathBuf, found: String, expected: String },
    /// The state does not have the root that was stored with its last batch.
    #[error("{}: after batch {batch} the stored state has root {found}, but the root {expected} was stored with that batch; the file is damaged: move it away and let the replica catch up again", path.display())]
    Root { path: PathBuf, batch: u64, found: String, expected: String },
    /// The state breaks an invariant.
    #[error("{}: {error}; the file is damaged: move it away and let the replica catch up again", path.display())]
    Invariant { path: PathBuf, error: BrokenInvariant },
    /// Replicas certified another root than the stored one.
    #[error("{}: replicas with more than two thirds of the weight certified the root {certified} for batch {batch}, but the stored root is {ours}; either this replica or the others are wrong: keep the file as evidence and run zellbook replay to find out", path.display())]
    Certified { path: PathBuf, batch: u64, ours: String, certified: String },
    /// Another program has the file open.
    #[error("{} is open in another program; stop that program and try again", .0.display())]
    InUse(PathBuf),
    /// The engine cannot be rebuilt from the leaves.
    #[error("{}: {error}; move the file away and let the replica catch up again", path.display())]
    Corrupt { path: PathBuf, error: Corrupt },
}

impl StoreError {
    /// Whether the stored state is wrong, as opposed to that of another version or network.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Root { .. }
            | Self::Certified { .. }
            | Self::Invariant { .. }
            | Self::Corrupt { .. } => true,
            Self::Sqlite { error, .. } => is_damage(error),
            Self::Version { .. } | Self::Network { .. } | Self::InUse(_) => false,
        }
    }
}

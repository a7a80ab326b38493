//! The content of the evidence file.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zellbook_core::wire::{AttestationBody, ProofBody};

use crate::config::{ConfigError, io_error, write_file};

/// The version of the format.
pub const VERSION: u32 = 1;
/// The file name in the data directory.
pub const FILE_NAME: &str = "evidence.json";
/// The longest file that is read.
const BYTES_MAX: u64 = 256 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub version: u32,
    /// The network id.
    pub network: String,
    /// The reason for the halt, in words.
    pub explanation: String,
    /// The time of the halt, in Unix milliseconds.
    pub made_ms: String,
    pub contradiction: Contradiction,
}

/// The facts that contradict the replica's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Contradiction {
    /// Replicas with more than two thirds of the weight signed another root than ours.
    CertifiedRoot {
        /// The batch after which the roots differ.
        batch: String,
        /// Our root as 64 hex digits; `None` if the batch is unknown here.
        our_root: Option<String>,
        certified_root: String,
        /// The signatures of the replicas.
        attestations: Vec<AttestationBody>,
        /// The batches that contain these attestations, with the network's signatures.
        batches: Vec<ProvenBodies>,
    },
    /// Two gateways serve different bodies of one batch, and one signature of the network covers both, because
    /// they have the same xxh128.
    Bodies {
        batch: String,
        /// The gateway that our body came from; `None` if an earlier process read it.
        our_gateway: Option<String>,
        /// The gateway that has the other body.
        their_gateway: String,
        /// Our body, with the bodies after it up to the network's signature.
        ours: Box<ProvenBodies>,
        /// The other body.
        their_body: String,
    },
    /// The network's nodes signed two histories.
    Fork {
        /// The first batch at which the signed histories differ.
        batch: String,
        /// The proof of our history at that batch.
        ours: Box<ProvenBodies>,
        /// The proof of the other history at that batch.
        theirs: Box<ProvenBodies>,
    },
}

/// Consecutive bodies, and the network's signature over the chain that they continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenBodies {
    /// The batch before the first body.
    pub after: String,
    /// The chaining hash at `after`.
    pub chaining_hash: String,
    /// The bodies after `after`, up to the batch that is signed.
    pub bodies: Vec<String>,
    pub proof: ProofBody,
}

/// Why a file could not be read as evidence.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("{0}")]
    File(#[from] ConfigError),
    #[error("the file has more than {BYTES_MAX} bytes, which is too much for halt evidence")]
    TooLarge,
    #[error("the file is not halt evidence of version {VERSION}: {0}")]
    Form(#[from] serde_json::Error),
    #[error("the file is halt evidence of version {0}, but this program reads version {VERSION}")]
    Version(u32),
}

impl Evidence {
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        // Evidence can come from strangers, so its size is checked before it is read into memory.
        if fs::metadata(path).map_err(io_error(path))?.len() > BYTES_MAX {
            return Err(ReadError::TooLarge);
        }
        let bytes = fs::read(path).map_err(io_error(path))?;
        let evidence: Self = serde_json::from_slice(&bytes)?;
        if evidence.version == VERSION {
            Ok(evidence)
        } else {
            Err(ReadError::Version(evidence.version))
        }
    }

    /// Replaces the file atomically.
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        // Cannot fail: all fields are texts, numbers and lists.
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        // Readable for everyone, since it holds nothing secret and is meant to be passed on.
        write_file(path, &json, 0o644)
    }
}

//! Why a replica halted, in a file that anyone can check: what contradicts it, with all signatures.

mod check;
mod gather;

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zellbook_core::wire::{AttestationBody, ProofBody};

use crate::config::{ConfigError, io_error, write_file};

pub use check::{Finding, finality_signature};
pub use gather::{Tail, signed_attestations};

/// The version of the format.
pub const VERSION: u32 = 1;
/// Where it lies in a data directory.
pub const FILE_NAME: &str = "evidence.json";
/// Bytes of a file of evidence that is read, at most.
const BYTES_MAX: u64 = 256 << 20;

/// Why a replica halted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The version of the format.
    pub version: u32,
    /// The network id.
    pub network: String,
    /// What the replica said.
    pub explanation: String,
    /// When, Unix milliseconds.
    pub made_ms: String,
    /// What contradicts it.
    pub contradiction: Contradiction,
}

/// What contradicts a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Contradiction {
    /// Replicas of more than two thirds of the weight signed another root than ours.
    CertifiedRoot {
        /// The batch after which the roots differ.
        batch: String,
        /// Ours, 64 hex digits; nothing if we have none.
        our_root: Option<String>,
        /// Theirs.
        certified_root: String,
        /// What they signed.
        attestations: Vec<AttestationBody>,
        /// That the network has it so.
        batches: Vec<ProvenBodies>,
    },
    /// The network's nodes signed two histories.
    Fork {
        /// The first batch that differs, as far as could be asked.
        batch: String,
        /// That our history was signed.
        ours: Box<ProvenBodies>,
        /// That theirs was.
        theirs: Box<ProvenBodies>,
    },
}

/// Bodies with a finality signature over the chain that they continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenBodies {
    /// The batch before the first body.
    pub after: String,
    /// The chaining hash there.
    pub chaining_hash: String,
    /// The bodies from there to the signature, in sequence.
    pub bodies: Vec<String>,
    /// The signature.
    pub proof: ProofBody,
}

/// A file that holds no evidence.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] ConfigError),
    /// It is too large.
    #[error("it has more than {BYTES_MAX} bytes: this program writes no such evidence")]
    TooLarge,
    /// It is no evidence.
    #[error("it is no evidence of version {VERSION}: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it is evidence of version {0}; this program reads version {VERSION}")]
    Version(u32),
}

impl Evidence {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
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

    /// Writes it whole, in place of what may be there.
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        write_file(path, &json, 0o644)
    }
}

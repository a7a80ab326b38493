//! Halt evidence: the file in which a halted replica explains why it halted. It contains all signatures, so
//! that anyone can check it with genesis and the node list alone.

mod check;
mod contradiction;
mod gather;

pub use check::{EvidenceError, Finding, finality_signature};
pub use contradiction::{Contradiction, Evidence, FILE_NAME, ReadError, VERSION};
pub use gather::{Tail, signed_attestations};

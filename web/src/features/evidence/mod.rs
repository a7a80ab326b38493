//! How a number is known: marks beside numbers, and a sheet on which this page checks them itself.
//!
//! `check` compares a replica's answers with signatures, hashes and genesis; `gather` asks for what a check needs.
//! Their code is a part of the page that is loaded when something is first checked.

mod check;
mod gather;
mod sheet;
mod trust;

pub use sheet::EvidenceSheet;
pub use trust::{Evidence, Known, Numbers, Subject, use_evidence};

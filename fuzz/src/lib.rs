//! The parts that fuzz targets share: choices made from bytes, exchanges with a rich state, hostile batches,
//! edits of valid bytes, and a recount of the invariants.

pub mod edits;
pub mod hostile;
pub mod input;
pub mod recount;
pub mod venue;

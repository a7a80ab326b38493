//! What the fuzz targets share: reading choices off bytes, an exchange in a rich state, hostile
//! batches, edits of valid bytes, and a recount of the invariants.

pub mod edits;
pub mod hostile;
pub mod input;
pub mod recount;
pub mod venue;

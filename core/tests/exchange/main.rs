//! The state machine, tested through finalized batches alone.

mod golden;
mod guide;
mod hostile;
mod matching;
mod model;
mod rejects;
mod state;
mod venue;

//! The state machine, tested only through sequenced batches of signed transactions.

mod accounts;
mod certificate;
mod golden;
mod guide;
mod hostile;
mod matching;
mod precedence;
mod proofs;
mod random;
mod rejects;
mod state;
mod trading;
mod venue;

//! `zellbook devnet`: runs an emulated network and replicas on it. The nodes run in this process, and each
//! replica is a child process.

mod arguments;
mod command;
mod folder;
mod nodes;
mod replicas;

pub use arguments::DevnetArguments;
pub use command::devnet;

//! `zellbook devnet`: an emulated network and replicas on it, in one command.

mod arguments;
mod command;
mod folder;
mod nodes;
mod replicas;

pub use arguments::DevnetArguments;
pub use command::devnet;

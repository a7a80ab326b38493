//! An emulated sequencer network, and real replicas on it.
//!
//! The command `devnet` runs them for developers: the nodes listen on ports, and each replica is a process.
//! The command `chaos` is a test: it runs replicas on failing nodes, in virtual time on one thread, and
//! checks the result.

mod chaos;
mod devnet;
mod network;

use clap::Subcommand;
use tracing::level_filters::LevelFilter;
use zellbook_server::cli::{Failure, Output};

/// The commands that run an emulated network.
#[derive(Subcommand)]
pub enum Command {
    /// Run an emulated sequencer network and several replicas on this machine
    ///
    /// For testing only: this is not a Zellular network. The nodes are emulated inside this process, lose
    /// everything when it exits, and sign with keys that anyone can derive. Their HTTP interface behaves
    /// like that of the reference network, their signatures are real, and their faults are drawn from
    /// --seed.
    ///
    /// Example: zellbook devnet --nodes 4 --faults kill,partition --every 30s
    Devnet(devnet::DevnetArguments),
    /// Test replicas on a failing network in virtual time, and check the result
    ///
    /// The replicas, outboxes, clients and databases are real. The nodes of the network are emulated, all
    /// waits are virtual, and everything random comes from the seed, so that every failure can be repeated.
    ///
    /// Example: zellbook chaos --seeds 0..50 --batches 300
    Chaos(chaos::ChaosArguments),
}

impl Command {
    pub fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Devnet(arguments) => devnet::devnet(arguments, output),
            Self::Chaos(arguments) => chaos::chaos(arguments, output),
        }
    }

    /// The log level without ZELLBOOK_LOG. The replicas of a chaos test would log too much.
    pub const fn log_level(&self) -> LevelFilter {
        match self {
            Self::Devnet(_) => LevelFilter::INFO,
            Self::Chaos(_) => LevelFilter::OFF,
        }
    }
}

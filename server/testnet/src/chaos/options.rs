//! The options of a chaos test.

use std::path::PathBuf;

use crate::network::faults::FaultKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// All kinds of faults, at random
    Chaos,
    /// Two of four gateways are down and one lies, all the time
    Gateways,
    /// No faults
    Calm,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub scenario: Scenario,
    pub replicas: usize,
    /// The number of nodes, unless the scenario sets it.
    pub nodes: usize,
    /// The number of batches to finalize before the faults end.
    pub batches: u64,
    /// The kinds of node faults in the scenario `Chaos`.
    pub faults: Vec<FaultKind>,
    /// The folder for the databases; removed at the end.
    pub folder: PathBuf,
}

//! What a chaos test runs: the scenario, and how large it is.

use std::path::PathBuf;

use crate::network::faults::FaultKind;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// All kinds of faults at random, until there are enough batches
    Chaos,
    /// Two of four gateways dead and one lying, all the time; nothing else
    Gateways,
    /// No faults
    Calm,
}

/// How it is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario.
    pub scenario: Scenario,
    /// How many replicas.
    pub replicas: usize,
    /// How many nodes, in chaos.
    pub nodes: usize,
    /// How many batches are final before the faults end.
    pub batches: u64,
    /// Which faults nodes have, in chaos.
    pub faults: Vec<FaultKind>,
    /// Where databases are kept while it runs.
    pub folder: PathBuf,
}

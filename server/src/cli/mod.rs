//! The command line.

mod client;
mod devnet;
mod diff;
mod dump;
mod funds;
mod genesis;
mod key;
mod network;
mod replay;
mod serve;
mod session;
mod sign;
mod simulate;
mod snapshot;
mod submit;
mod trade;
mod verify;

use std::fmt::Display;
use std::io::Write;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use zellbook_core::wire::ErrorDetail;

/// Exit codes, as `--help` documents them.
const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed: a file, the network or the replica; the message says which
  2  wrong arguments
  3  a check found a difference, a bad proof or a lie (replay, verify, diff, proof, snapshot check,
     simulate, serve --bootstrap)
  4  the exchange rejected the transaction
  5  the replica halted: its state or its disk is broken, the network proves another history, or
     replicas certified another root (serve)

ZELLBOOK_LOG sets what is logged to standard error (info; debug, warn, error, off).";

/// A limit-order-book exchange that no single server runs.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    /// Print machine-readable JSON: results to standard output, errors to standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a replica: API, page, and an embedded sequencer unless a network is given
    Serve(serve::ServeArguments),
    /// Run the embedded sequencer alone, for several replicas to share
    Sequencer(serve::SequencerArguments),
    /// Apply all batches again from genesis and check every proof and root
    Replay(replay::ReplayArguments),
    /// Check evidence of a replica that halted, or a captured answer of a sequencer network
    Verify(verify::VerifyArguments),
    /// Find the first batch where two replicas differ
    Diff(diff::DiffArguments),
    /// Run an emulated network of several nodes, and replicas on it, on this machine
    ///
    /// It is a test bed and no Zellular network: the nodes are emulated in this process, keep nothing
    /// when it ends, and sign with keys that everybody can make. Their HTTP interface answers as the
    /// reference network does, their signatures are real, and their faults are drawn from --seed.
    Devnet(devnet::DevnetArguments),
    /// Simulate replicas on a failing network in virtual time, and check what came of it
    ///
    /// The replicas, outboxes, clients and databases are real; the network's nodes are emulated, all
    /// waits are virtual, and all that is random comes from the seed.
    Simulate(simulate::SimulateArguments),
    /// Make and show keys
    Key(key::KeyArguments),
    /// Place an order and wait for its outcome
    Order(trade::OrderArguments),
    /// Put another order in the place of an open one, at once or not at all
    ///
    /// The quantity counts what the open order has filled already. An order that only gets smaller
    /// keeps its place in the queue.
    Replace(trade::ReplaceArguments),
    /// Cancel one order, or all
    Cancel(trade::CancelArguments),
    /// Cancel all orders at a time, unless that is said again before: for bots that may die
    CancelAfter(trade::CancelAfterArguments),
    /// Show balances and open orders of an account
    Balance(funds::BalanceArguments),
    /// Move an amount to another account
    Transfer(funds::TransferArguments),
    /// Take an amount out of the exchange, for the token's issuer to pay
    Withdraw(funds::WithdrawArguments),
    /// Authorize, revoke and list session keys
    Session(session::SessionArguments),
    /// Fetch a proof of a balance and verify it
    Proof(funds::ProofArguments),
    /// Write the whole state to a file, and check such a file
    Snapshot(snapshot::SnapshotArguments),
    /// Make and check genesis files
    Genesis(genesis::GenesisArguments),
    /// Sign a transaction; print its text, digest and finished JSON
    Sign(sign::SignArguments),
}

/// The exit code of a replica that halted.
const HALTED: u8 = 5;

/// Why a command failed, and the exit code for it.
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// For people.
    pub message: String,
    /// For machines: what the replica answered.
    pub answer: Option<ErrorDetail>,
}

impl Failure {
    /// Arguments that do not go together.
    fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string(), answer: None }
    }

    /// A difference or a bad proof.
    fn difference(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string(), answer: None }
    }

    /// A transaction that was rejected.
    fn rejected(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string(), answer: None }
    }

    /// A replica that halted.
    fn halted(message: impl Display) -> Self {
        Self { code: HALTED, message: format!("the replica halted: {message}"), answer: None }
    }
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: 1, message: error.to_string(), answer: None }
    }
}

/// How a command prints its result: a text for people or JSON for machines.
#[derive(Clone, Copy)]
struct Output {
    json: bool,
}

impl Output {
    fn print(self, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) {
        let text = if self.json { json().to_string() } else { text() };
        // A reader that went away, such as `head`, has all it wants.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    }
}

/// Reads the command line, or ends with usage or help. Every command's help names the exit codes.
pub fn parse() -> Arguments {
    let command = with_exit_codes(Arguments::command());
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    command.after_help(EXIT_CODES).mut_subcommands(with_exit_codes)
}

impl Arguments {
    /// Whether the result is to be JSON.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// What is logged unless the environment says otherwise: a simulation's replicas say too much.
    pub const fn log_level(&self) -> &'static str {
        match self.command {
            Command::Simulate(_) => "off",
            _ => "info",
        }
    }
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = Output { json: arguments.json };
    match arguments.command {
        Command::Serve(arguments) => serve::serve(arguments),
        Command::Sequencer(arguments) => serve::sequencer(arguments),
        Command::Replay(arguments) => replay::replay(arguments, output),
        Command::Verify(arguments) => verify::verify(arguments, output),
        Command::Diff(arguments) => diff::diff(arguments, output),
        Command::Devnet(arguments) => devnet::devnet(arguments, output),
        Command::Simulate(arguments) => simulate::simulate(arguments, output),
        Command::Key(arguments) => key::key(arguments, output),
        Command::Order(arguments) => trade::order(arguments, output),
        Command::Cancel(arguments) => trade::cancel(arguments, output),
        Command::Replace(arguments) => trade::replace(arguments, output),
        Command::CancelAfter(arguments) => trade::cancel_after(arguments, output),
        Command::Balance(arguments) => funds::balance(arguments, output),
        Command::Transfer(arguments) => funds::transfer(arguments, output),
        Command::Withdraw(arguments) => funds::withdraw(arguments, output),
        Command::Session(arguments) => session::session(arguments, output),
        Command::Proof(arguments) => funds::proof(arguments, output),
        Command::Snapshot(arguments) => snapshot::snapshot(arguments, output),
        Command::Genesis(arguments) => genesis::genesis(arguments, output),
        Command::Sign(arguments) => sign::sign(arguments, output),
    }
}

/// Runs a future on a small runtime.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

//! The command line: one file for each command, or for a few that share their options.
//!
//! Every command takes its parsed arguments and an [`Output`], and returns a [`Failure`] whose code is the
//! exit code. Results go to standard output and everything else to standard error, so that `--json` output
//! can be piped.

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

/// The end of every command's `--help`.
const EXIT_CODES: &str = "Exit codes:
  0  success
  1  failure of a file, the network or the replica; the message says which
  2  invalid arguments
  3  failed check: a difference, an invalid proof or a dishonest peer (replay, verify, diff, proof,
     snapshot check, simulate, serve --bootstrap)
  4  the exchange rejected the transaction
  5  the replica halted: its state or its disk is damaged, the network proves a different history
     (a fork), or replicas certified a different state root (serve)

Environment:
  ZELLBOOK_LOG  log level on standard error: error, warn, info (the default), debug or off";

/// Zellbook, a limit-order-book exchange that runs on many replicas instead of one server.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    /// Print JSON: results to standard output, errors to standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a replica: its API, the web page and, without --network, an embedded sequencer
    Serve(serve::ServeArguments),
    /// Run the embedded sequencer on its own, so that several replicas can share it
    Sequencer(serve::SequencerArguments),
    /// Apply all batches again from genesis and check every proof and state root
    Replay(replay::ReplayArguments),
    /// Verify halt evidence, a receipt or a captured response of a sequencer network
    Verify(verify::VerifyArguments),
    /// Find the first batch where two replicas differ
    Diff(diff::DiffArguments),
    /// Run an emulated sequencer network and several replicas on this machine
    ///
    /// For testing only: this is not a Zellular network. The nodes are emulated inside this process, lose
    /// everything when it exits, and sign with keys that anyone can derive. Their HTTP interface behaves
    /// like that of the reference network, their signatures are real, and their faults are drawn from
    /// --seed.
    ///
    /// Example: zellbook devnet --nodes 4 --faults kill,partition --every 30s
    Devnet(devnet::DevnetArguments),
    /// Simulate replicas on a failing network in virtual time, and check what came of it
    ///
    /// The replicas, outboxes, clients and databases are real; the network's nodes are emulated, all
    /// waits are virtual, and all that is random comes from the seed.
    Simulate(simulate::SimulateArguments),
    /// Generate and show keys
    Key(key::KeyArguments),
    /// Place an order and wait for its outcome
    ///
    /// Example: zellbook order buy 1.5 ETH/USDT --price 2000
    Order(trade::OrderArguments),
    /// Replace an open order in one step
    ///
    /// Either the open order is cancelled and the new one is placed, or neither happens. The new quantity
    /// includes what the open order has filled so far. An order that only gets smaller keeps its queue
    /// position.
    ///
    /// Example: zellbook replace --order 17 buy 1 ETH/USDT --price 1990
    Replace(trade::ReplaceArguments),
    /// Cancel one open order or all of them
    Cancel(trade::CancelArguments),
    /// Set the dead-man's switch, which cancels all open orders at a given time
    ///
    /// For bots that may crash or lose their connection. While it works, the bot sets the switch to a
    /// later time again and again; once it stops, the exchange cancels the account's orders.
    ///
    /// Example: zellbook cancel-after 60s
    CancelAfter(trade::CancelAfterArguments),
    /// Show the balances and open orders of an account
    Balance(funds::BalanceArguments),
    /// Transfer tokens to another account
    Transfer(funds::TransferArguments),
    /// Withdraw tokens from the exchange; the token's issuer pays them out
    Withdraw(funds::WithdrawArguments),
    /// Authorize, revoke and list session keys
    Session(session::SessionArguments),
    /// Fetch a balance proof and verify it
    Proof(funds::ProofArguments),
    /// Write the whole state to a file, or check such a file
    Snapshot(snapshot::SnapshotArguments),
    /// Create and check genesis files
    Genesis(genesis::GenesisArguments),
    /// Sign a transaction without sending it, and print its text, digest, hash and JSON
    Sign(sign::SignArguments),
}

/// The exit code of a replica that halted.
const HALTED: u8 = 5;

/// Why a command failed, and the exit code for it.
pub struct Failure {
    /// The exit code.
    pub code: u8,
    pub message: String,
    /// The replica's own error response, for programs that read `--json` output.
    pub answer: Option<ErrorDetail>,
}

impl Failure {
    /// Arguments that are invalid together; clap has checked each one alone.
    fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string(), answer: None }
    }

    /// A check that failed: a difference, an invalid proof or a dishonest peer.
    fn difference(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string(), answer: None }
    }

    fn rejected(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string(), answer: None }
    }

    fn halted(message: impl Display) -> Self {
        Self { code: HALTED, message: format!("the replica halted: {message}"), answer: None }
    }
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: 1, message: error.to_string(), answer: None }
    }
}

/// Prints a command's result: text for people, or JSON for programs with `--json`.
#[derive(Clone, Copy)]
struct Output {
    json: bool,
}

impl Output {
    fn print(self, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) {
        let text = if self.json { json().to_string() } else { text() };
        // A closed pipe is not an error: `zellbook ... | head` closes it on purpose.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    }
}

/// Parses the command line. Exits the process after `--help`, `--version` or an invalid argument.
pub fn parse() -> Arguments {
    let command = with_exit_codes(Arguments::command());
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    command.after_help(EXIT_CODES).mut_subcommands(with_exit_codes)
}

impl Arguments {
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

fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

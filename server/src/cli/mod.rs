//! The command line: one file for each command, or for a few that share their options.
//!
//! Every command takes its parsed arguments and an [`Output`], and returns a [`Failure`] whose code is the
//! exit code. Results go to standard output and everything else to standard error, so that `--json` output
//! can be piped.

mod client;
mod diff;
mod dump;
mod failure;
mod funds;
mod genesis;
mod issuers;
mod key;
mod network;
mod output;
mod replay;
mod replayed;
mod rollback;
mod sequencer;
mod serve;
mod session;
mod sign;
mod snapshot;
mod submit;
mod trade;
mod verify;

use clap::Subcommand;

pub use failure::{Failure, HALTED, block_on};
pub use output::Output;

/// The end of every command's `--help`.
pub const EXIT_CODES: &str = "Exit codes:
  0  success
  1  failure of a file, the network or the replica; the message says which
  2  invalid arguments
  3  failed check: a difference, an invalid proof or a dishonest peer (replay, verify, diff, proof,
     snapshot check, chaos, serve --bootstrap)
  4  the transaction had no effect: the exchange rejected it, or it expired or was superseded before
     it was in a batch
  5  the replica halted: its state or its disk is damaged, the network signed a different history
     (a fork), or replicas certified a different state root (serve)

Environment:
  ZELLBOOK_LOG  log level on standard error: error, warn, info (the default), debug or off";

/// The commands that need no emulated network.
#[derive(Subcommand)]
pub enum Command {
    /// Run a replica: its API, the web page and, without --network, an embedded sequencer
    Serve(serve::ServeArguments),
    /// Run the embedded sequencer on its own, so that several replicas can share it
    Sequencer(sequencer::SequencerArguments),
    /// Apply all batches again from genesis and check every proof and state root
    Replay(replay::ReplayArguments),
    /// Verify halt evidence, a receipt or a captured response of a sequencer network
    Verify(verify::VerifyArguments),
    /// Return a halted replica to its last certified batch, so that it can follow the network again
    ///
    /// The batches after it are only sequenced, so a dishonest gateway may have forged them. They are read again
    /// when the replica is served. Without --gateway at that time, it may ask the same gateway again.
    Rollback(rollback::RollbackArguments),
    /// Find the first batch where two replicas differ
    Diff(diff::DiffArguments),
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
    /// For bots that may crash or lose their connection. While it runs, the bot sets the switch to a
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
    /// List the certified deposits to all accounts, for the issuers who made them
    Deposits(issuers::IssuerArguments),
    /// List the certified withdrawals of all accounts, for the issuers who pay them
    Withdrawals(issuers::IssuerArguments),
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

impl Command {
    pub fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Serve(arguments) => serve::serve(arguments),
            Self::Sequencer(arguments) => sequencer::sequencer(arguments),
            Self::Replay(arguments) => replay::replay(arguments, output),
            Self::Verify(arguments) => verify::verify(arguments, output),
            Self::Rollback(arguments) => rollback::rollback(arguments, output),
            Self::Diff(arguments) => diff::diff(arguments, output),
            Self::Key(arguments) => key::key(arguments, output),
            Self::Order(arguments) => trade::order(arguments, output),
            Self::Cancel(arguments) => trade::cancel(arguments, output),
            Self::Replace(arguments) => trade::replace(arguments, output),
            Self::CancelAfter(arguments) => trade::cancel_after(arguments, output),
            Self::Balance(arguments) => funds::balance(arguments, output),
            Self::Transfer(arguments) => funds::transfer(arguments, output),
            Self::Withdraw(arguments) => funds::withdraw(arguments, output),
            Self::Deposits(arguments) => issuers::deposits(arguments, output),
            Self::Withdrawals(arguments) => issuers::withdrawals(arguments, output),
            Self::Session(arguments) => session::session(arguments, output),
            Self::Proof(arguments) => funds::proof(arguments, output),
            Self::Snapshot(arguments) => snapshot::snapshot(arguments, output),
            Self::Genesis(arguments) => genesis::genesis(arguments, output),
            Self::Sign(arguments) => sign::sign(arguments, output),
        }
    }
}

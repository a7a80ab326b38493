//! The binary `zellbook`: a replica of the exchange, the embedded sequencer and the command-line client.
//! Most commands are in `zellbook-server`; `devnet` and `chaos` are in `zellbook-testnet`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;
use zellbook_server::cli::{self, EXIT_CODES, Failure, Output};

/// Zellbook, a limit-order-book exchange that runs on many replicas instead of one server.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print JSON: results to standard output, errors to standard error
    #[arg(long, global = true, display_order = 1000)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[cfg_attr(feature = "testnet", expect(clippy::large_enum_variant, reason = "made once"))]
enum Command {
    #[command(flatten)]
    Server(cli::Command),
    #[cfg(feature = "testnet")]
    #[command(flatten)]
    Testnet(zellbook_testnet::Command),
}

impl Command {
    fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Server(command) => command.run(output),
            #[cfg(feature = "testnet")]
            Self::Testnet(command) => command.run(output),
        }
    }

    /// The log level without ZELLBOOK_LOG.
    const fn log_level(&self) -> LevelFilter {
        match self {
            Self::Server(_) => LevelFilter::INFO,
            #[cfg(feature = "testnet")]
            Self::Testnet(command) => command.log_level(),
        }
    }
}

/// Parses the command line. Exits the process after `--help`, `--version` or an invalid argument.
fn parse() -> Arguments {
    let command = with_exit_codes(Arguments::command());
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    // clap does not pass `after_help` on to subcommands, so each gets its own.
    command.after_help(EXIT_CODES).mut_subcommands(with_exit_codes)
}

fn main() -> ExitCode {
    let Arguments { json, command } = parse();
    let wanted = std::env::var("ZELLBOOK_LOG").ok();
    let parsed = wanted.as_deref().and_then(|text| text.parse().ok());
    let level = parsed.unwrap_or_else(|| command.log_level());
    tracing_subscriber::fmt()
        .with_max_level(level)
        // Standard output has only results, so that programs can read it.
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    if let (Some(wanted), None) = (&wanted, parsed) {
        tracing::warn!(
            "ZELLBOOK_LOG is {wanted:?}, not error, warn, info, debug or off; the level is {level}"
        );
    }
    // reqwest is built without a TLS provider, so one must be installed before the first client is made.
    // Fails only if a provider is installed already, and nothing before this line installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command.run(Output { json }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = if json {
                let error = serde_json::json!({
                    "exit_code": failure.code,
                    "message": failure.message,
                    "answer": failure.answer,
                });
                serde_json::json!({ "error": error }).to_string()
            } else {
                format!("zellbook: {}", failure.message)
            };
            // If standard error is closed, there is nowhere left to report to.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(failure.code)
        }
    }
}

//! The binary `zellbook`: a replica of the exchange, the embedded sequencer and the command-line client.

mod api;
mod attester;
mod bootstrap;
mod cli;
mod clock;
mod config;
mod devnet;
mod evidence;
mod listen;
mod metrics;
mod outbox;
mod prover;
mod published;
mod replica;
mod sequencer;
mod simulation;
mod snapshots;
mod store;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = cli::parse();
    let json = arguments.json();
    let filter = EnvFilter::try_from_env("ZELLBOOK_LOG")
        .unwrap_or_else(|_| EnvFilter::new(arguments.log_level()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    // Fails only if a provider is installed already, and nothing before this line installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::run(arguments) {
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

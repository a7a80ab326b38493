//! `zellbook genesis`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::genesis::Rules;
use zellbook_core::key::PublicKey;

use super::{Failure, Output};
use crate::config::{development_genesis, pretty, read_genesis, write_new};

#[derive(Args)]
pub struct GenesisArguments {
    #[command(subcommand)]
    command: GenesisCommand,
}

#[derive(Subcommand)]
enum GenesisCommand {
    /// Write a genesis with ETH, BTC and USDT, to be edited before the first start
    New {
        /// The account (public key) that signs deposits: see zellbook key new
        #[arg(long)]
        issuer: PublicKey,
        /// With a faucet of test tokens
        #[arg(long)]
        faucet: bool,
        /// The file; never overwritten
        #[arg(long, default_value = "genesis.json")]
        out: PathBuf,
    },
    /// Check a genesis file and print its network id
    Check {
        /// The file
        file: PathBuf,
    },
}

pub fn genesis(arguments: GenesisArguments, output: Output) -> Result<(), Failure> {
    let (path, rules) = match arguments.command {
        GenesisCommand::New { issuer, faucet, out } => {
            let rules = development_genesis(issuer, faucet);
            write_new(&out, pretty(&rules).as_bytes(), 0o644)?;
            (out, rules)
        }
        GenesisCommand::Check { file } => {
            let rules = read_genesis(&file)?;
            (file, rules)
        }
    };
    output.print(
        || describe(&rules, &path),
        || {
            let markets: Vec<_> = rules.markets.iter().map(|market| market.name.clone()).collect();
            json!({ "file": path, "network": rules.network.to_string(), "markets": markets })
        },
    );
    Ok(())
}

fn describe(rules: &Rules, path: &std::path::Path) -> String {
    let mut text = format!("{} is valid\nnetwork {}\n", path.display(), rules.network);
    for market in &rules.markets {
        text.push_str(&format!(
            "market {}, tick {}, lot {}\n",
            market.name, market.tick_size, market.lot_size
        ));
    }
    text
}

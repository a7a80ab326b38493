//! `zellbook genesis`: creates and checks genesis files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::rules::ReplicaSpec;
use zellbook_core::types::limits::FEE_BPS_MAX;
use zellbook_core::{PublicKey, Rules};

use super::failure::Failure;
use super::output::Output;
use crate::config::{Fees, development_genesis, pretty, read_genesis, write_new};

#[derive(Args)]
pub struct GenesisArguments {
    #[command(subcommand)]
    command: GenesisCommand,
}

#[derive(Subcommand)]
enum GenesisCommand {
    /// Write a genesis file with ETH, BTC and USDT, to be edited before the first start
    New {
        /// Account (public key) that signs deposits; zellbook key new generates a key
        #[arg(long, value_name = "PUBLIC_KEY")]
        issuer: PublicKey,
        /// Replica that attests to state roots and to its clock: its public key and optionally its
        /// weight (default 1). Repeat the option for each replica
        #[arg(
            long = "replica",
            required = true,
            value_name = "PUBLIC_KEY[:WEIGHT]",
            value_parser = parse_replica
        )]
        replicas: Vec<ReplicaSpec>,
        /// Maker fee, in basis points (hundredths of a percent) of the quote amount
        #[arg(long, value_name = "BPS", default_value_t = 0, value_parser = parse_fee())]
        maker_fee_bps: u16,
        /// Taker fee, in basis points of the quote amount
        #[arg(long, value_name = "BPS", default_value_t = 0, value_parser = parse_fee())]
        taker_fee_bps: u16,
        /// Account (public key) that receives the fees [default: the issuer]
        #[arg(long, value_name = "PUBLIC_KEY")]
        fee_account: Option<PublicKey>,
        /// Enable a faucet of test tokens
        #[arg(long)]
        faucet: bool,
        /// Accept orders in the format of Zellular's integration guide too. Each leaves a few bytes in the
        /// state for ever, and nothing bounds their number
        #[arg(long)]
        guide_orders: bool,
        /// Genesis file to write; an existing file is never overwritten
        #[arg(long, value_name = "FILE", default_value = "genesis.json")]
        out: PathBuf,
    },
    /// Check a genesis file and print its network id
    Check {
        /// Genesis file
        file: PathBuf,
    },
}

fn parse_replica(text: &str) -> Result<ReplicaSpec, String> {
    let (key, weight) = text.split_once(':').unwrap_or((text, "1"));
    let public_key =
        key.parse::<PublicKey>().map_err(|error| format!("{error}; example: 02ab\u{2026}:1"))?;
    let weight = weight.parse().ok().filter(|weight| *weight > 0);
    let weight = weight.ok_or("the weight must be a whole number of at least 1")?;
    Ok(ReplicaSpec { public_key, weight })
}

fn parse_fee() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(..=i64::from(FEE_BPS_MAX))
}

pub fn genesis(arguments: GenesisArguments, output: Output) -> Result<(), Failure> {
    let (path, rules) = match arguments.command {
        GenesisCommand::New {
            issuer,
            replicas,
            maker_fee_bps,
            taker_fee_bps,
            fee_account,
            faucet,
            guide_orders,
            out,
        } => {
            let account = fee_account.unwrap_or(issuer);
            let fees = Fees { account, maker_bps: maker_fee_bps, taker_bps: taker_fee_bps };
            let mut genesis = development_genesis(issuer, faucet, replicas, fees)?.genesis;
            genesis.guide_orders = guide_orders;
            // Checked before it is written. The file is never overwritten, because its hash is the network
            // id: another content would be another exchange.
            let rules = genesis.check()?;
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
            let markets: Vec<_> =
                rules.listing.markets.iter().map(|market| market.name.clone()).collect();
            json!({ "file": path, "network": rules.network.to_string(), "markets": markets })
        },
    );
    Ok(())
}

fn describe(rules: &Rules, path: &std::path::Path) -> String {
    let mut text = format!("{} is valid\nnetwork {}\n", path.display(), rules.network);
    for market in &rules.listing.markets {
        text.push_str(&format!(
            "market {}, tick size {}, lot size {}, maker fee {} bps, taker fee {} bps\n",
            market.name,
            market.tick_size,
            market.lot_size,
            market.maker_fee_bps,
            market.taker_fee_bps
        ));
    }
    for replica in &rules.genesis.replicas {
        text.push_str(&format!("replica {}, weight {}\n", replica.public_key, replica.weight));
    }
    text
}

//! `zellbook key`: generates and shows keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::output::Output;
use crate::config::{new_secret_key, read_secret_key};

#[derive(Args)]
pub struct KeyArguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Generate a key and write it to a new file that only you can read
    New {
        /// Key file to write; an existing file is never overwritten
        #[arg(long, value_name = "FILE", default_value = "zellbook.key")]
        out: PathBuf,
    },
    /// Show the account (public key) of a key file, but not the secret
    Show {
        /// Key file: the secret as 64 hex digits
        #[arg(long, value_name = "FILE", default_value = "zellbook.key")]
        key: PathBuf,
    },
}

pub fn key(arguments: KeyArguments, output: Output) -> Result<(), Failure> {
    let (path, key) = match arguments.command {
        KeyCommand::New { out } => {
            let key = new_secret_key(&out)?;
            (out, key)
        }
        KeyCommand::Show { key } => {
            let secret = read_secret_key(&key)?;
            (key, secret)
        }
    };
    let account = key.public_key();
    output.print(
        || format!("account {account}\nkey file {}", path.display()),
        || json!({ "account": account.to_string(), "key_file": path }),
    );
    Ok(())
}

//! The files that `zellbook serve` reads before it starts: keys, the web page, and evidence of an earlier halt.

use zellbook_core::{Rules, SecretKey};

use super::arguments::ServeArguments;
use crate::api::{Faucet, Page};
use crate::attester::replica_index;
use crate::cli::failure::Failure;
use crate::config::{DataDir, read_secret_key};
use crate::evidence::{self, Evidence};
use crate::rollback;

/// A replica that halted stays halted, also when a process manager restarts it: its operator has to look
/// at the evidence first.
pub fn refuse_after_halt(data: &DataDir) -> Result<(), Failure> {
    if data.file(rollback::FOLDER_NAME).exists() {
        return Err(format!(
            "a rollback of {} was interrupted; run zellbook rollback again, which continues it",
            data.path().display()
        )
        .into());
    }
    let path = data.file(evidence::FILE_NAME);
    if !path.exists() {
        return Ok(());
    }
    // Evidence that cannot be read is a reason to refuse too: the file exists only because the replica
    // halted.
    let explanation = match Evidence::read(&path) {
        Ok(evidence) => evidence.explanation,
        Err(error) => error.to_string(),
    };
    let path = path.display();
    Err(Failure::halted(format!(
        "{explanation}. This happened during an earlier run; the evidence is in {path}. Check it with zellbook verify {path}, and see docs/operating.md for what to do next"
    )))
}

pub fn load_page(arguments: &ServeArguments) -> Result<Option<Page>, Failure> {
    let Some(folder) = &arguments.page else { return Ok(None) };
    Page::load(folder).map(Some).map_err(|error| {
        let folder = folder.display();
        format!("--page {folder}: {error}; build the page with cargo xtask web").into()
    })
}

pub fn faucet(
    arguments: &ServeArguments,
    data: &DataDir,
    rules: &Rules,
) -> Result<Option<Faucet>, Failure> {
    let key = match &arguments.issuer_key {
        Some(path) => read_secret_key(path)?,
        None if data.file("issuer.key").exists() => data.secret_key("issuer.key")?,
        None => return Ok(None),
    };
    let account = key.public_key();
    let faucet = Faucet::new(rules, key);
    // Only a key on the command line was asked for. One in the data directory may simply not be for a
    // faucet.
    if faucet.is_none() && arguments.issuer_key.is_some() {
        return Err(format!(
            "--issuer-key: genesis has no token with a faucet whose issuer is {account}"
        )
        .into());
    }
    Ok(faucet)
}

/// The key that this replica signs receipts with, and attestations if genesis names it.
pub fn replica_key(
    arguments: &ServeArguments,
    data: &DataDir,
    rules: &Rules,
) -> Result<SecretKey, Failure> {
    let key = match &arguments.replica_key {
        Some(path) => read_secret_key(path)?,
        None => data.secret_key("replica.key")?,
    };
    let public_key = key.public_key();
    // A replica that genesis does not name still needs a key, since it signs receipts.
    if replica_index(rules, &key).is_none() {
        let (is_given, says) = (
            arguments.replica_key.is_some(),
            "this replica does not attest: genesis does not name its key",
        );
        // A key that was named on the command line may have been meant for another exchange.
        if is_given {
            tracing::warn!("{says} {public_key} (--replica-key); it only signs receipts");
        } else {
            tracing::info!("{says} {public_key} (replica.key); it only signs receipts");
        }
    }
    Ok(key)
}

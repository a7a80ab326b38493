//! Signs a transaction of any kind, submits it to a replica and waits for its outcome.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use zellbook_core::protocol::Element;
use zellbook_core::wire::{Stage, StatusBody, TransactionStatus};
use zellbook_core::{Action, PublicKey, Transaction};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::issuers::mark;
use super::output::Output;
use crate::clock::now_ms;
use crate::config::read_secret_key;

/// How long a command waits for the outcome of its transaction.
const OUTCOME_WITHIN: Duration = Duration::from_secs(60);

/// The options of every command that submits a transaction.
#[derive(Args)]
pub struct Submitter {
    /// Key file of the account; zellbook key new generates one
    #[arg(long, value_name = "FILE", default_value = "zellbook.key")]
    pub key: PathBuf,
    /// URL of the replica
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "ZELLBOOK_SERVER"
    )]
    pub server: String,
    /// Do not sign unless the replica's genesis has this network id
    #[arg(long, value_name = "ID")]
    network: Option<String>,
    /// Reject the transaction unless it is applied within this time, for example 30s [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    valid_for: Option<Duration>,
    /// Print the transaction hash and exit without waiting for the outcome
    #[arg(long)]
    no_wait: bool,
}

/// The options of commands that a session key may sign.
#[derive(Args)]
pub struct SessionSigner {
    /// Key file of a session key to sign with; see zellbook session authorize
    #[arg(long, value_name = "FILE")]
    signer: Option<PathBuf>,
    /// Account (public key) that the session key signs for [default: that of --key]
    #[arg(long, value_name = "PUBLIC_KEY", requires = "signer")]
    account: Option<PublicKey>,
}

/// The difference between this computer's clock and the exchange's that users are warned of.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// In Unix milliseconds.
    At(u64),
    /// After this time from now.
    In(Duration),
}

impl Moment {
    /// In Unix milliseconds, if now is `now_ms`.
    pub fn ms(self, now_ms: u64) -> u64 {
        match self {
            Self::At(ms) => ms,
            Self::In(duration) => after(now_ms, duration),
        }
    }
}

fn after(now_ms: u64, duration: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The present time as the replica knows it. The exchange compares times with clocks of replicas, so this computer's
/// clock, which may be wrong, must not decide when something ends.
async fn exchange_now(client: &Client) -> Result<u64, Failure> {
    let status: StatusBody = client.get("/v1/status").await?;
    let now = status.now_ms.parse().map_err(|_| "/v1/status: now_ms is not a number")?;
    if let Some(warning) = clock_warning(now_ms(), now) {
        eprintln!("WARNING: {warning}");
    }
    Ok(now)
}

/// What to tell a user whose clock differs from the exchange's by more than a minute.
fn clock_warning(own_ms: u64, exchange_ms: u64) -> Option<String> {
    let by = Duration::from_millis(own_ms.abs_diff(exchange_ms));
    let side = if own_ms > exchange_ms { "ahead of" } else { "behind" };
    (by > CLOCKS_DIFFER).then(|| {
        format!(
            "this computer's clock is {} s {side} the exchange's; durations count from the exchange's",
            by.as_secs()
        )
    })
}

/// `500ms`, `30s`, `10m`, `2h` or `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
    let unit_ms = match text.get(digits.len()..) {
        Some("ms") => Some(1),
        Some("s") => Some(1000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        Some("d") => Some(86_400_000),
        _ => None,
    };
    let ms = unit_ms.and_then(|unit: u64| digits.parse::<u64>().ok()?.checked_mul(unit));
    ms.map(Duration::from_millis).ok_or_else(|| {
        "a duration needs a whole number and a unit: 500ms, 30s, 10m, 2h or 1d".into()
    })
}

pub fn parse_moment(text: &str) -> Result<Moment, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .map(Moment::At)
            .map_err(|_| format!("a time is at most {} milliseconds", u64::MAX));
    }
    parse_duration(text).map(Moment::In).map_err(|_| {
        "a time must be Unix milliseconds, or a duration from now: 500ms, 30s, 10m, 2h or 1d".into()
    })
}

/// Signs an action with the account's own key, submits it and waits for its outcome.
pub fn submit_action(submitter: &Submitter, action: Action, output: Output) -> Result<(), Failure> {
    submit_at(submitter, |_| action, output)
}

/// Like [`submit_action`], with an action that depends on the present time in Unix milliseconds.
pub fn submit_at(
    submitter: &Submitter,
    action: impl FnOnce(u64) -> Action,
    output: Output,
) -> Result<(), Failure> {
    submit_as(submitter, &SessionSigner { signer: None, account: None }, action, output)
}

/// Like [`submit_at`], but signs with the session key if there is one.
pub fn submit_as(
    submitter: &Submitter,
    session: &SessionSigner,
    action: impl FnOnce(u64) -> Action,
    output: Output,
) -> Result<(), Failure> {
    let key = read_secret_key(session.signer.as_ref().unwrap_or(&submitter.key))?;
    let account = match (session.account, &session.signer) {
        (Some(account), _) => account,
        (None, Some(_)) => read_secret_key(&submitter.key)?.public_key(),
        (None, None) => key.public_key(),
    };
    block_on(async {
        let client = Client::new(&submitter.server)?;
        // The signed text contains the network id, which the replica chooses here. `--network` keeps it
        // from getting a signature for another exchange.
        let rules = client.rules().await?;
        let ours = rules.network.to_string();
        if let Some(expected) = &submitter.network
            && *expected != ours
        {
            return Err(format!(
                "the replica belongs to network {ours}, not {expected}; nothing was signed"
            )
            .into());
        }
        let now = exchange_now(&client).await?;
        let transaction = Transaction {
            account,
            // A key that signs for its own account is not a session key, and the signed text then has no
            // line for it.
            signer: Some(key.public_key()).filter(|signer| *signer != account),
            // By convention the clock, so that several programs can share a key without coordination. The exchange's,
            // since replicas refuse a nonce more than a day ahead of theirs; but one that lies must not use up the key's
            // nonces for years.
            nonce: now.min(after(now_ms(), DAY)),
            valid_until: submitter.valid_for.map(|duration| after(now, duration)),
            action: action(now),
        };
        let hash = transaction.hash(&rules.network).to_string();
        let signed = transaction.sign(&rules.network, &key).to_json();
        // The replica's own strict reader, so that an invalid field is reported before anything is sent.
        if let Err(reject) = Element::read(&signed, false) {
            return Err(Failure::usage(format!("{reject}; nothing was sent")));
        }
        // A reject is definite. After any other failure the transaction may be stored already: the
        // connection can break after that and before the response.
        client.submit(signed).await.map_err(|failure| match failure.code {
            1 => Failure::from(format!(
                "{}. It is unknown whether the replica received transaction {hash}: check its status before you send it again",
                failure.message
            )),
            _ => failure,
        })?;
        if submitter.no_wait {
            output.print(|| hash.clone(), || json!({ "hash": hash }));
            return Ok(());
        }
        let status = client
            .wait(&hash, OUTCOME_WITHIN, |status| {
                // Standard output has only the result.
                if !output.json {
                    eprintln!("{hash} {}", stage_name(status.status));
                }
            })
            .await?;
        output.print(|| describe(&status), || json!(status));
        effect(&status)
    })
}

/// Success only if the transaction was applied: every other end of a transaction means that it had no effect.
fn effect(status: &TransactionStatus) -> Result<(), Failure> {
    let why = match status.status {
        Stage::Applied => return Ok(()),
        // The replica gave these up before they were in a batch, so the exchange gave no reason for them.
        Stage::Expired => "it was not in a batch before its valid_until; sign it again with a later one".into(),
        Stage::Superseded => {
            "its nonce was used by another transaction or is too old; sign it again with a new nonce".into()
        }
        Stage::BeforeStart => {
            "its nonce was used before this replica's start; ask a replica that has every batch for its outcome".into()
        }
        stage => match &status.reject {
            Some(reject) => reject.message.clone(),
            None => format!("it ended as {} without a reason", stage_name(stage)),
        },
    };
    Err(Failure::rejected(why))
}

/// The name of a stage, as in the API.
pub const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Received => "received",
        Stage::Posted => "posted",
        Stage::Sequenced => "sequenced",
        Stage::Applied => "applied",
        Stage::Rejected => "rejected",
        Stage::Expired => "expired",
        Stage::Superseded => "superseded",
        Stage::BeforeStart => "before_start",
    }
}

fn describe(status: &TransactionStatus) -> String {
    let mut text = stage_name(status.status).to_string();
    if let Some(batch) = &status.batch {
        text.push_str(&format!(" in batch {batch}, {}", mark(status.certified)));
    }
    if let Some(order) = &status.order {
        text.push_str(&format!(
            "\norder {}: {} {} {} at {}, filled {}, remaining {}",
            order.id,
            order.side,
            order.quantity,
            order.market,
            order.price,
            order.filled,
            order.remaining
        ));
        if let Some(reason) = &order.reason {
            text.push_str(&format!(", cancelled ({reason})"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use zellbook_core::Reject;
    use zellbook_core::wire::RejectBody;

    use super::*;

    #[test]
    fn only_an_applied_transaction_is_a_success_and_a_batch_is_named_only_if_there_is_one() {
        let status = |stage, batch: Option<&str>, reject: Option<Reject>| TransactionStatus {
            hash: String::new(),
            status: stage,
            kind: None,
            account: None,
            received_ms: None,
            posted_ms: None,
            posts: None,
            receipt: None,
            sequenced_ms: None,
            applied_ms: None,
            batch: batch.map(Into::into),
            certified: false,
            position: None,
            reject: reject.map(|reject| RejectBody::from(&reject)),
            order: None,
        };
        let applied = status(Stage::Applied, Some("7"), None);
        assert!(effect(&applied).is_ok());
        assert_eq!(describe(&applied), "applied in batch 7, sequenced");
        let rejected = status(Stage::Rejected, Some("7"), Some(Reject::NonceUsed));
        assert_eq!(effect(&rejected).map_err(|failure| failure.code), Err(4));
        // These are in no batch, and the API gives no reject with them.
        for (stage, text, why) in
            [(Stage::Expired, "expired", "valid_until"), (Stage::Superseded, "superseded", "nonce")]
        {
            let ended = status(stage, None, None);
            assert_eq!(describe(&ended), text);
            let failure = effect(&ended).expect_err(text);
            assert_eq!(failure.code, 4);
            assert!(failure.message.contains(why), "{}", failure.message);
        }
    }

    #[test]
    fn a_duration_counts_from_the_exchanges_time_and_a_clock_that_differs_is_told() {
        let hour = 3_600_000;
        assert_eq!(Moment::In(Duration::from_secs(30)).ms(hour), hour + 30_000);
        assert_eq!(Moment::At(7).ms(hour), 7);
        assert_eq!(clock_warning(hour + 60_000, hour), None);
        let warning = clock_warning(3 * hour, hour).unwrap();
        assert!(warning.contains("7200 s ahead of the exchange's"), "{warning}");
        assert!(clock_warning(0, hour).unwrap().contains("3600 s behind"));
    }

    #[test]
    fn a_moment_is_milliseconds_or_a_duration_with_a_unit() {
        assert_eq!(parse_moment("1795346226000"), Ok(Moment::At(1_795_346_226_000)));
        assert_eq!(parse_moment("10m"), Ok(Moment::In(Duration::from_secs(600))));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1d"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "10", "m", "-1s", "1.5h", "10 m", "10min", "99999999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_moment("99999999999999999999").is_err());
        assert!(parse_moment("tomorrow").unwrap_err().contains("10m"));
    }
}

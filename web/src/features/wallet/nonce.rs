//! Nonces: the exchange's clock in milliseconds, but always above the last one of the same key, also when several tabs
//! sign or the clock is set back.

use zellbook_core::PublicKey;
use zellbook_vault::VaultError;

use crate::platform::clock;
use crate::platform::database::{self, Change, NONCES};

/// How much later than a replica's clock it accepts a nonce: a day (docs/api.md, `nonce_in_future`).
const IN_FUTURE_MAX_MS: u64 = 24 * 3_600_000;

/// The next nonce of a signing key. It is stored before anything is signed with it, so that no nonce is used twice.
/// `exchange_now` is the present time as the replica tells it.
pub async fn next(key: PublicKey, exchange_now: u64) -> Result<u64, VaultError> {
    let name = key.to_string();
    database::alone("zellbook nonce", async move {
        let last = database::get(NONCES, &name).await?.and_then(|text| text.parse::<u64>().ok());
        // By this device's clock, if it is days ahead, no replica would accept the nonce. The replica's is trusted only so
        // far, because a key whose nonces are once in the far future is of no use any more.
        let now = exchange_now.min(clock::now().saturating_add(IN_FUTURE_MAX_MS));
        // A nonce that no replica accepts was used for nothing. It comes from a clock that was far ahead, and counting
        // up from it would make nonces that nobody accepts until that time.
        let last = last.filter(|last| *last <= now.saturating_add(IN_FUTURE_MAX_MS));
        // After the clock was set back, nonces count up from the last one. Gaps do no harm (docs/protocol.md, section
        // 7), so a nonce that is never signed with is not given back.
        let nonce = last.map_or(0, |last| last.saturating_add(1)).max(now);
        database::write(vec![Change::Put(NONCES, name, nonce.to_string())]).await?;
        Ok(nonce)
    })
    .await
}

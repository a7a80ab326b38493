//! Nonces: Unix milliseconds, and for one signing key never the same number twice in this browser, in whichever
//! tab, nor a lower one after the clock was set back.

use zellbook_core::PublicKey;
use zellbook_vault::VaultError;

use super::store::{self, Change, NONCES};
use crate::clock;

/// The next nonce of a signing key. It is on disk before anything is signed with it.
pub async fn next(key: PublicKey) -> Result<u64, VaultError> {
    let name = key.to_string();
    store::alone("zellbook nonce", async move {
        let last: Option<u64> = store::get(NONCES, &name).await?.and_then(|text| text.parse().ok());
        let nonce = last.map_or(0, |last| last.saturating_add(1)).max(clock::now());
        store::write(vec![Change::Put(NONCES, name, nonce.to_string())]).await?;
        Ok(nonce)
    })
    .await
}

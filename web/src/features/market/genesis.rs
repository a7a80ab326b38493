//! Genesis, by whose rules everything is signed and checked. A page without a wallet does without it and shows the
//! markets as the replica lists them: reading genesis takes code that a first visit need not load.

use std::sync::Arc;

use zellbook_core::{Genesis, Rules};

use super::state::Markets;
use crate::platform::api::{self, ApiResult, Problem};

/// The rules of this exchange. They are asked for once, and the network id is computed here, not taken from the
/// replica.
pub async fn rules(markets: Markets) -> ApiResult<Arc<Rules>> {
    if let Some(rules) = markets.rules.get_untracked() {
        return Ok(rules);
    }
    let genesis = api::text("/v1/genesis").await?;
    // Two callers may both get here before either has an answer. The first one wins: a replica that sends another
    // genesis to the second must not change the network under a text that is shown for signing.
    if let Some(rules) = markets.rules.get_untracked() {
        return Ok(rules);
    }
    let rules = Genesis::read(genesis.as_bytes());
    let rules = rules.map_err(|error| Problem::Refused(error.to_string().into()))?;
    let rules = Arc::new(rules);
    markets.set_rules(rules.clone());
    Ok(rules)
}

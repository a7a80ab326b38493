//! Genesis as the page reads it: what is signed and checked goes by it. Before there is a key, the page
//! does without, and shows the markets as the replica lists them.

use std::sync::Arc;

use leptos::prelude::*;
use zellbook_core::{Genesis, Rules};

use crate::api::{self, ApiResult, Problem};
use crate::state::State;

/// The rules of this exchange, with the network id computed here. They are asked for once; from then on the
/// page shows the markets by them.
pub async fn rules(state: State) -> ApiResult<Arc<Rules>> {
    if let Some(rules) = state.rules.get_untracked() {
        return Ok(rules);
    }
    let genesis: Genesis = api::parse(&api::text("/v1/genesis").await?)?;
    let rules = genesis.check().map_err(|error| Problem::Refused(error.to_string()))?;
    let rules = Arc::new(rules);
    if state.listing.with_untracked(|listing| listing.as_deref() != Some(&rules.listing)) {
        state.listing.set(Some(Arc::new(rules.listing.clone())));
    }
    state.rules.set(Some(rules.clone()));
    Ok(rules)
}

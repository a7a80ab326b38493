//! Test tokens, where the exchange gives them.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::state::State;
use crate::{api, sending};

/// Asks for test tokens.
pub fn ask_faucet(state: State) {
    let Some(account) = state.wallet.with_untracked(crate::wallet::Wallet::account) else { return };
    spawn_local(async move {
        match api::faucet(&account.to_string()).await {
            Ok(response) => {
                state.problem.set(None);
                // One token's deposit stands for all: they are in one batch.
                let last =
                    response.transactions.into_iter().filter_map(|entry| entry.hash).next_back();
                if let Some(hash) = last {
                    sending::follow(state, "Test tokens".into(), hash);
                }
            }
            Err(problem) => state.problem.set(Some(problem.to_string())),
        }
    });
}

/// Whether this replica gives test tokens.
pub fn has_faucet(state: State) -> bool {
    state.status.with(|status| status.as_ref().is_some_and(|status| status.faucet))
}

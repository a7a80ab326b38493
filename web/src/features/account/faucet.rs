//! Test tokens.

use leptos::task::spawn_local;

use crate::features::signing::{Signing, refusal};
use crate::features::wallet::Session;
use crate::platform::api::{self, Problem};
use crate::ui::interface::Interface;

/// Asks for test tokens and follows their deposit.
pub fn ask_faucet(session: Session, signing: Signing, interface: Interface) {
    let Some(account) = session.key_untracked() else { return };
    spawn_local(async move {
        match api::faucet(&account.to_string()).await {
            Ok(response) => {
                // A message about an earlier attempt that failed would contradict this one.
                interface.dismiss();
                // All tokens come in one batch, so it is enough to follow the deposit of one of them.
                let last =
                    response.transactions.into_iter().filter_map(|entry| entry.hash).next_back();
                if let Some(hash) = last {
                    signing.follow("Test tokens".into(), hash);
                }
            }
            Err(Problem::Unclear { reason, .. }) => {
                interface.report(format!("No test tokens: {}", refusal::not_now(&reason)));
            }
            Err(problem) => interface.report(problem.to_string()),
        }
    });
}

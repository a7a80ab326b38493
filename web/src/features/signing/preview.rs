//! The text of a request before anybody signs it, for a form that shows it.
//!
//! The code behind it is loaded with the wallet: it is large, and without a wallet nothing can be signed.

use std::cell::Cell;

use zellbook_core::{Action, Transaction};

use super::state::Signing;
use super::trading_key;

type MakeText = fn(Signing, Action) -> Option<String>;

thread_local! {
    static MAKE_TEXT: Cell<Option<MakeText>> = const { Cell::new(None) };
}

/// Makes [`preview`] work.
pub fn load_preview() {
    // Otherwise the optimizer sees that there is only one such function and calls it by name, which brings it back
    // into the part of the page that is loaded first.
    MAKE_TEXT.set(Some(std::hint::black_box(make_text)));
}

/// The text that would be signed for an action. Values that are known only then are described in words. There is none
/// without a wallet.
pub fn preview(signing: Signing, action: Action) -> Option<String> {
    // Tracked here: the wallet comes after the code that it needs.
    signing.session.wallet.track();
    MAKE_TEXT.get()?(signing, action)
}

fn make_text(signing: Signing, action: Action) -> Option<String> {
    let account = signing.session.key()?;
    let network = signing.markets.rules.get()?.network;
    // A trading key that may sign is named in the text. Its reports are tracked here, because `usable` does not.
    signing.session.account.track();
    let signer = trading_key::usable(signing, &action);
    let transaction = Transaction { account, signer, nonce: 0, valid_until: Some(0), action };
    let text = transaction.text(&network);
    // A value cannot contain a line feed, so nothing but the lines of these two fields can match.
    let text = text.replace("\nnonce: 0", "\nnonce: (time of signing)");
    Some(text.replace("\nvalid_until: 0", "\nvalid_until: (1 hour later, or as chosen then)"))
}

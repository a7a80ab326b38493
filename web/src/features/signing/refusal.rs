//! A replica's errors and the exchange's rejects in a trader's words, with what to do. Each text follows a colon.

use std::borrow::Cow;

use crate::platform::api::Reason;

/// Why the replica does not take a transaction now. The page sends it again, so nothing has to be signed again.
pub fn not_now(reason: &Reason) -> Cow<'static, str> {
    let text = match &*reason.code {
        "outbox_quota" => "many transactions of this account are waiting to be sequenced.",
        "outbox_full" | "busy" | "timed_out" | "too_many_requests" => {
            "this replica is too busy. If it stays so, use another replica."
        }
        "bad_signatures" => {
            "bad signatures came from your network address, so this replica makes it wait."
        }
        "network_behind" => {
            "the sequencer network has fallen behind this exchange, so nothing can be traded now. The replica's operator has to find out why."
        }
        "stopping" => "this replica is restarting.",
        "halted" => "this replica has halted and takes no orders. Use another replica.",
        "internal" => "this replica failed. If it fails again, use another replica.",
        _ => return sentence(&reason.message),
    };
    text.into()
}

/// Why a transaction has no effect, by the code of a refusal or the name of a reject.
pub fn no_effect(code: &str, message: &str) -> Cow<'static, str> {
    let text = match code {
        "nonce_in_future" => {
            "this device's clock is more than a day ahead. Set it right, then sign again."
        }
        "nonce_used" => {
            "another transaction of this key has the same number (nonce) and came first. Sign it again if you still want it."
        }
        "nonce_too_old" => {
            "too many later transactions of this key came first. Sign it again if you still want it."
        }
        "expired" => {
            "it arrived after the time for which it was valid. Sign it again if you still want it."
        }
        "time_passed" => {
            "its expiry has already passed by the exchange's clock. Choose a later time."
        }
        "unknown_signer" => {
            "the exchange does not know the key that signed. A new account needs tokens first. If a trading key signed, start a new one. Then sign again."
        }
        "wrong_host" | "other_origin" => {
            "this replica takes no orders from the address of this page. Open the page at the replica's own address."
        }
        _ => return sentence(message),
    };
    text.into()
}

/// The replica's own words as a sentence.
fn sentence(message: &str) -> Cow<'static, str> {
    let end = if message.ends_with('.') { "" } else { "." };
    format!("{message}{end}").into()
}

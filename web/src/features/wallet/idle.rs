//! Locks the keys when the user has not been active in any tab for a while.

use std::cell::Cell;

use leptos::task::spawn_local;

use crate::platform::tabs::{self, Message};
use crate::platform::{clock, user_activity};

const MINUTE_MS: u64 = 60_000;
/// How often the time since the last activity is looked at.
const CHECK_MS: u32 = 5_000;
/// How often, at most, the other tabs are notified that the user is active.
const NOTIFY_MS: u64 = 5_000;

thread_local! {
    /// When the user was last active in any tab, Unix milliseconds.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The user is active.
pub fn note_activity() {
    LAST.set(clock::now());
}

/// Watches for as long as the page lives. `setting` returns whether the keys are unlocked, and after how many minutes
/// they lock; 0 is never.
pub fn start(setting: impl Fn() -> (bool, u32) + 'static, lock: impl Fn() + 'static) {
    note_activity();
    user_activity::listen(|| {
        // Noted as seldom as the other tabs are notified: a press within these seconds counts as the one before.
        if clock::now().abs_diff(LAST.get()) >= NOTIFY_MS {
            tabs::send(Message::Active);
            note_activity();
        }
    });
    spawn_local(async move {
        loop {
            // The clock is compared again and again, in place of one long timer: a timer is late in a hidden tab and
            // stops while the computer sleeps.
            clock::sleep(CHECK_MS).await;
            let (is_unlocked, minutes) = setting();
            // If the clock was set back meanwhile, the time counts from now.
            if clock::now() < LAST.get() {
                note_activity();
            }
            let idle = clock::now() - LAST.get();
            if is_unlocked && minutes > 0 && idle >= u64::from(minutes) * MINUTE_MS {
                lock();
            }
        }
    });
}

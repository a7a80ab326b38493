//! Locking by itself, when the user has not been at work in any tab for a while.

use std::cell::Cell;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::tabs::{self, News};
use super::{Wallet, lock};
use crate::clock;

const MINUTE_MS: u64 = 60_000;
/// How often it is looked whether the time has come.
const LOOK_MS: u32 = 5_000;
/// How often other tabs are told that the user is at work.
const TELL_MS: u64 = 5_000;

thread_local! {
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The user is at work.
pub fn note() {
    LAST.set(clock::now());
}

/// Watches for as long as the page lives.
pub fn start(wallet: RwSignal<Wallet>) {
    note();
    let on_event = Closure::<dyn Fn()>::new(|| {
        let told = LAST.get();
        if clock::now().abs_diff(told) >= TELL_MS {
            tabs::tell(News::Active);
            note();
        }
    });
    for name in ["pointerdown", "keydown", "wheel"] {
        // It fails for no event and no function that there are.
        let _ = window().add_event_listener_with_callback(name, on_event.as_ref().unchecked_ref());
    }
    on_event.forget();
    spawn_local(async move {
        loop {
            TimeoutFuture::new(LOOK_MS).await;
            let (is_unlocked, minutes) = wallet
                .with_untracked(|wallet| (wallet.is_unlocked, wallet.settings.auto_lock_minutes));
            // The clock may have been set back meanwhile: then it counts from now.
            if clock::now() < LAST.get() {
                note();
            }
            let idle = clock::now() - LAST.get();
            if is_unlocked && minutes > 0 && idle >= u64::from(minutes) * MINUTE_MS {
                lock(wallet);
            }
        }
    });
}

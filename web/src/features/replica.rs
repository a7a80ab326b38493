//! The replica behind this page: the connection to it, and its status.

use crate::platform::clock;
use crate::platform::feed::Status;
use crate::ui::reader::{Reader, reader};
use leptos::prelude::*;
use zellbook_core::wire::ReplicaState;

/// The connection to the replica.
#[derive(Clone, Copy)]
pub struct Connection {
    /// The last status that the replica reported.
    pub status: Reader<Option<Status>>,
    pub is_connected: Reader<bool>,
    /// Why the replica closed the last connection, if it gave a reason.
    pub close_reason: Reader<Option<String>>,
    /// How far this browser's clock is behind the exchange's, in milliseconds, as of the last status.
    pub behind_ms: Reader<i64>,
}

/// Writes the state of the connection.
#[derive(Clone, Copy)]
pub struct ConnectionWriter {
    status: RwSignal<Option<Status>>,
    is_connected: RwSignal<bool>,
    close_reason: RwSignal<Option<String>>,
    behind_ms: RwSignal<i64>,
    connection: Connection,
}

impl Connection {
    pub fn new() -> (Self, ConnectionWriter) {
        let (status, set_status) = reader(None);
        let (is_connected, set_is_connected) = reader(false);
        let (close_reason, set_close_reason) = reader(None);
        let (behind_ms, set_behind_ms) = reader(0);
        let connection = Self { status, is_connected, close_reason, behind_ms };
        let writer = ConnectionWriter {
            status: set_status,
            is_connected: set_is_connected,
            close_reason: set_close_reason,
            behind_ms: set_behind_ms,
            connection,
        };
        (connection, writer)
    }

    /// Whether the numbers shown may be old, or must not be trusted any more.
    pub fn is_stale(self) -> bool {
        let is_halted = |status: &Status| status.state == ReplicaState::Halted;
        !self.is_connected.get() || self.status.with(|it| it.as_ref().is_some_and(is_halted))
    }

    /// Whether this replica gives test tokens.
    pub fn has_faucet(self) -> bool {
        self.status.with(|status| status.as_ref().is_some_and(|status| status.faucet))
    }

    /// Whether a batch is certified, as far as this replica says. Until then it is only sequenced.
    pub fn is_certified(self, batch: u64) -> bool {
        let certified = |status: &Status| status.certified_batch.as_ref()?.parse().ok();
        self.status.with(|status| status.as_ref().and_then(certified)) >= Some(batch)
    }

    /// The present time in Unix milliseconds, as the exchange sees it: times that are signed count from here. The
    /// exchange's own time stands still while there are no batches, so a replica tells its clock beside it.
    pub fn now(self) -> u64 {
        clock::now().saturating_add_signed(self.behind_ms.get_untracked())
    }

    /// What to tell a user whose clock differs from the exchange's by more than a minute.
    pub fn clock_note(self) -> Option<String> {
        let behind_ms = self.behind_ms.get();
        let seconds = behind_ms.unsigned_abs() / 1000;
        let side = if behind_ms > 0 { "behind" } else { "ahead of" };
        let by = match seconds {
            ..=60 => return None,
            // To the nearest unit: a status takes a while to arrive, so two hours look like a little less.
            61..120 => format!("{seconds} seconds"),
            120..7170 => format!("{} minutes", (seconds + 30) / 60),
            7170..171_000 => format!("{} hours", (seconds + 1800) / 3600),
            _ => format!("{} days", (seconds + 43_200) / 86_400),
        };
        Some(format!(
            "This device's clock is {by} {side} the exchange's. Expiries count from the exchange's clock; set yours right."
        ))
    }

    /// The exchange's time in Unix milliseconds, as of the last status.
    pub fn exchange_time(self) -> Option<u64> {
        self.status.with(|status| status.as_ref()?.time_ms.parse().ok())
    }
}

impl ConnectionWriter {
    pub fn set_status(self, status: Status) {
        // Both are times since 1970, so neither the parsing nor the difference can go wrong by much.
        let now = status.now_ms.parse::<i64>().ok();
        let own = i64::try_from(clock::now()).ok();
        let behind_ms = now.zip(own).map_or(0, |(now, own)| now.saturating_sub(own));
        self.behind_ms.set(behind_ms);
        self.status.set(Some(status));
    }

    pub fn set_connected(self, is_connected: bool) {
        // The feed calls this with every frame, and setting a signal runs its effects even if the value is the same.
        if self.connection.is_connected.get_untracked() == is_connected {
            return;
        }
        self.is_connected.set(is_connected);
        if is_connected {
            self.close_reason.set(None);
        }
    }

    pub fn set_close_reason(self, reason: Option<String>) {
        self.close_reason.set(reason);
    }
}

pub fn use_connection() -> Connection {
    expect_context()
}

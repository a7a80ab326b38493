//! The open connections of a server: bounded for each client and in total, and where one more is too many,
//! the stalest makes room.
//!
//! To refuse the newest instead would let anyone who comes first keep all others out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::client_address::ClientAddress;

/// The most connections at once, WebSockets not counted.
pub const CONNECTIONS_MAX: usize = 1024;
/// The most connections of one client: more than any browser or bot needs, and a quarter of all.
pub const CONNECTIONS_PER_CLIENT_MAX: usize = 256;
/// How many connections may still be closing beyond the others. To wait for each one would make newcomers
/// queue behind the tasks of those that they replace.
const CLOSING_MAX: usize = 128;

/// What is known of one connection while it is open.
pub struct Activity {
    /// `None` for a proxy, whose connections belong to many clients.
    client: Option<ClientAddress>,
    opened: Instant,
    /// When it was last active, in microseconds after it was opened.
    active_us: AtomicU64,
    /// Whether it was told to close.
    is_closing: AtomicBool,
    close: Notify,
}

impl Activity {
    /// The connection is active: it has begun a request, or moved many bytes.
    pub fn mark(&self) {
        let elapsed = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.active_us.store(elapsed, Ordering::Relaxed);
    }

    fn active_at(&self) -> Instant {
        let elapsed = std::time::Duration::from_micros(self.active_us.load(Ordering::Relaxed));
        self.opened + elapsed
    }

    /// Waits until the connection has to make room.
    pub async fn closed(&self) {
        self.close.notified().await;
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.close.notify_one();
    }
}

#[derive(Default)]
struct Open {
    last: u64,
    connections: BTreeMap<u64, Arc<Activity>>,
}

#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
    /// Notified when a connection has closed.
    freed: Notify,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. If there is no room, the stalest one is told to close.
    pub async fn add(self: &Arc<Self>, client: Option<ClientAddress>) -> OpenConnection {
        // Seldom waits, and shortly: a connection that was told to close waits for nothing itself.
        while !self.make_room(client) {
            self.freed.notified().await;
        }
        let opened = Instant::now();
        let activity = Arc::new(Activity {
            client,
            opened,
            active_us: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            close: Notify::new(),
        });
        let mut open = self.open();
        open.last += 1;
        let id = open.last;
        open.connections.insert(id, Arc::clone(&activity));
        drop(open);
        OpenConnection { id, activity, connections: Arc::clone(self) }
    }

    /// Makes room for one more connection of a client: tells the stalest to close, that of the client if it
    /// has too many, else that of all. Returns false if too many are closing at once.
    fn make_room(&self, client: Option<ClientAddress>) -> bool {
        let open = self.open();
        let staying = || open.connections.values().filter(|activity| !activity.is_closing());
        let is_own = |activity: &&Arc<Activity>| client.is_some() && activity.client == client;
        let own = staying().filter(is_own).count();
        let count = staying().count();
        if own < CONNECTIONS_PER_CLIENT_MAX && count < CONNECTIONS_MAX {
            return true;
        }
        if open.connections.len() - count >= CLOSING_MAX {
            return false;
        }
        let is_too_many = own >= CONNECTIONS_PER_CLIENT_MAX;
        let candidates = staying().filter(|activity| !is_too_many || is_own(activity));
        if let Some(stalest) = candidates.min_by_key(|activity| activity.active_at()) {
            stalest.close();
        }
        true
    }
}

/// A place among the open connections, free again when this is dropped.
pub struct OpenConnection {
    id: u64,
    pub activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.open().connections.remove(&self.id);
        self.connections.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn client(number: u8) -> Option<ClientAddress> {
        Some(ClientAddress::new([10, 0, 0, number].into()))
    }

    async fn is_closed(connection: &OpenConnection) -> bool {
        timeout(Duration::ZERO, connection.activity.closed()).await.is_ok()
    }

    /// Adds a connection while another one has to make room, which is dropped as its task would do.
    async fn add_instead(
        connections: &Arc<Connections>,
        client: Option<ClientAddress>,
        open: &mut Vec<OpenConnection>,
    ) -> u64 {
        open.push(connections.add(client).await);
        let mut closed = None;
        for (at, connection) in open.iter().enumerate() {
            if is_closed(connection).await {
                assert!(closed.replace(at).is_none(), "only one makes room");
            }
        }
        open.remove(closed.expect("one makes room")).id
    }

    #[tokio::test]
    async fn the_stalest_connection_of_all_makes_room() {
        let connections = Arc::new(Connections::default());
        let mut open = Vec::new();
        for number in 0..CONNECTIONS_MAX {
            open.push(connections.add(client(u8::try_from(number % 250).unwrap())).await);
        }
        open[0].activity.mark();
        open[2].activity.mark();
        // The second has been silent for longest now, then the fourth.
        assert_eq!(add_instead(&connections, client(251), &mut open).await, 2);
        assert_eq!(add_instead(&connections, client(251), &mut open).await, 4);
        assert_eq!(open.len(), CONNECTIONS_MAX);
        // Newcomers wait once many are closing and none has closed.
        for _ in 0..CLOSING_MAX {
            open.push(connections.add(client(252)).await);
        }
        let mut adding = std::pin::pin!(connections.add(client(252)));
        assert!(timeout(Duration::from_millis(1), adding.as_mut()).await.is_err());
        let at = open.iter().position(|connection| connection.activity.is_closing()).unwrap();
        drop(open.remove(at));
        open.push(adding.await);
        assert_eq!(open.len(), CONNECTIONS_MAX + CLOSING_MAX);
    }

    #[tokio::test]
    async fn a_client_with_too_many_connections_loses_its_own() {
        let connections = Arc::new(Connections::default());
        let mut open = vec![connections.add(client(1)).await];
        for _ in 0..CONNECTIONS_PER_CLIENT_MAX {
            open.push(connections.add(client(2)).await);
        }
        assert_eq!(add_instead(&connections, client(2), &mut open).await, 2);
        // A proxy has the connections of all its clients.
        for _ in 0..=CONNECTIONS_PER_CLIENT_MAX {
            open.push(connections.add(None).await);
        }
        assert!(!is_closed(&open[0]).await);
    }
}

//! The open connections of a server: bounded for each client and in total, and where one more is too many,
//! the stalest makes room.
//!
//! To refuse the newest instead would let anyone who comes first keep all others out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// The number of its last activity, which only changes while [`Connections::open`] is locked.
    last: AtomicU64,
    pub close: Closer,
    connections: Arc<Connections>,
}

impl Activity {
    /// The connection is active: it has begun a request, or moved many bytes.
    pub fn mark(&self) {
        let mut open = self.connections.open();
        // One that was told to close does not come back.
        if let Some(activity) = open.remove(self) {
            open.add(activity);
        }
    }
}

/// Closes a connection at once, whatever it is doing. Handlers get that of their request as an extension.
#[derive(Clone, Default)]
pub struct Closer(Arc<Notify>);

impl Closer {
    pub fn close(&self) {
        self.0.notify_one();
    }

    /// Waits until the connection has to close.
    pub async fn closed(&self) {
        self.0.notified().await;
    }
}

/// The open connections. Each step takes logarithmic time: where a thousand attackers reconnect at once, every
/// newcomer waits for all that came before it.
#[derive(Default)]
struct Open {
    /// Activities are numbered, so that the stalest connection has the lowest number.
    last: u64,
    /// The connections that were not told to close, by their last activity.
    staying: BTreeMap<u64, Arc<Activity>>,
    /// The last activities of the connections of each client that has any.
    clients: HashMap<ClientAddress, BTreeSet<u64>>,
    /// How many were told to close and are still open.
    closing: usize,
}

impl Open {
    /// Adds a connection as the one that was active last.
    fn add(&mut self, activity: Arc<Activity>) {
        self.last += 1;
        activity.last.store(self.last, Ordering::Relaxed);
        if let Some(client) = activity.client {
            self.clients.entry(client).or_default().insert(self.last);
        }
        self.staying.insert(self.last, activity);
    }

    /// Removes a connection from those that stay, if it is one of them.
    fn remove(&mut self, activity: &Activity) -> Option<Arc<Activity>> {
        let last = activity.last.load(Ordering::Relaxed);
        let removed = self.staying.remove(&last)?;
        if let Some(client) = activity.client
            && let Some(own) = self.clients.get_mut(&client)
        {
            own.remove(&last);
            if own.is_empty() {
                self.clients.remove(&client);
            }
        }
        Some(removed)
    }

    /// Makes room for one more connection of a client: tells the stalest to close, that of the client if it
    /// has too many, else that of all. Returns false if too many are closing at once.
    fn make_room(&mut self, client: Option<ClientAddress>) -> bool {
        let own = client.and_then(|client| self.clients.get(&client));
        let own = own.filter(|own| own.len() >= CONNECTIONS_PER_CLIENT_MAX);
        if own.is_none() && self.staying.len() < CONNECTIONS_MAX {
            return true;
        }
        if self.closing >= CLOSING_MAX {
            return false;
        }
        let stalest = match own.and_then(BTreeSet::first) {
            Some(last) => self.staying.get(last),
            None => self.staying.values().next(),
        };
        if let Some(stalest) = stalest.cloned() {
            self.remove(&stalest);
            self.closing += 1;
            stalest.close.close();
        }
        true
    }
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
        while !self.open().make_room(client) {
            self.freed.notified().await;
        }
        let activity = Arc::new(Activity {
            client,
            last: AtomicU64::default(),
            close: Closer::default(),
            connections: Arc::clone(self),
        });
        self.open().add(Arc::clone(&activity));
        OpenConnection(activity)
    }
}

/// A place among the open connections, free again when this is dropped.
pub struct OpenConnection(pub Arc<Activity>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let connections = &self.0.connections;
        let mut open = connections.open();
        if open.remove(&self.0).is_none() {
            open.closing -= 1;
        }
        drop(open);
        connections.freed.notify_one();
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
        timeout(Duration::ZERO, connection.0.close.closed()).await.is_ok()
    }

    /// Adds a connection while another one has to make room, which is dropped as its task would do. Returns the
    /// number of that one's last activity.
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
        open.remove(closed.expect("one makes room")).0.last.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn the_stalest_connection_of_all_makes_room() {
        let connections = Arc::new(Connections::default());
        let mut open = Vec::new();
        for number in 0..CONNECTIONS_MAX {
            open.push(connections.add(client(u8::try_from(number % 250).unwrap())).await);
        }
        open[0].0.mark();
        open[2].0.mark();
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
        // The fifth was the first of them. It stays one that closes, whatever it still does.
        let closing = open.remove(2);
        closing.0.mark();
        assert!(is_closed(&closing).await);
        drop(closing);
        open.push(adding.await);
        assert_eq!(open.len(), CONNECTIONS_MAX + CLOSING_MAX);
        drop(open);
        let left = connections.open();
        assert_eq!((left.staying.len(), left.clients.len(), left.closing), (0, 0, 0));
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

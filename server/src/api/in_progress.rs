//! The requests in progress, bounded for each client.
//!
//! Connections are bounded for each client already. Behind a proxy, a client has no connection of its own, so
//! its requests are counted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client_address::ClientAddress;
use crate::listen::CONNECTIONS_PER_CLIENT_MAX;

/// As many as a client without a proxy can have, since a connection has one request at a time.
pub const REQUESTS_PER_CLIENT_MAX: usize = CONNECTIONS_PER_CLIENT_MAX;

/// The number of requests of each client. Has no entry for a client without requests.
#[derive(Default)]
pub struct InProgress(Mutex<HashMap<ClientAddress, usize>>);

impl InProgress {
    fn counts(&self) -> MutexGuard<'_, HashMap<ClientAddress, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, unless the client has too many.
    pub fn begin(&self, client: ClientAddress) -> Option<Counted<'_>> {
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= REQUESTS_PER_CLIENT_MAX {
            return None;
        }
        *count += 1;
        Some(Counted { all: self, client })
    }
}

/// One counted request, until it is dropped.
pub struct Counted<'a> {
    all: &'a InProgress,
    client: ClientAddress,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_bound_of_its_own() {
        let all = InProgress::default();
        let client = |number| ClientAddress::new([10, 0, 0, number].into());
        let mut requests: Vec<_> =
            (0..REQUESTS_PER_CLIENT_MAX).map(|_| all.begin(client(1)).unwrap()).collect();
        assert!(all.begin(client(1)).is_none());
        assert!(all.begin(client(2)).is_some());
        requests.pop();
        requests.push(all.begin(client(1)).unwrap());
        assert!(all.begin(client(1)).is_none());
        drop(requests);
        assert!(all.counts().is_empty());
    }
}

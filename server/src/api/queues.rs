//! What clients take turns in: the processors, and reads of the store.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::turns::Turns;

/// The most reads of one client at a time.
const READS_PER_CLIENT: usize = 4;

/// Where clients wait for their turns. Each kind of reading has its own queue, so that none waits for another.
pub struct Queues {
    /// The work for a request or for a message of a WebSocket, up to where it waits for something.
    pub work: Arc<Turns>,
    /// What clients ask to see.
    pub shown: Arc<Turns>,
    /// What submitted transactions are judged by.
    pub judged: Arc<Turns>,
    /// What the feed tells all subscribers of a channel: once for all of them, so that it is no single client's.
    pub feed: Arc<Semaphore>,
}

impl Default for Queues {
    fn default() -> Self {
        // Reads seldom wait for the disk. More than a few for each processor would only slow each other down, and
        // each holds open files.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let at_once = 2 * processors.max(2);
        let per_client = READS_PER_CLIENT.min(at_once / 2);
        Self {
            work: Turns::new(processors, processors),
            shown: Turns::new(at_once, per_client),
            judged: Turns::new(at_once, per_client),
            feed: Arc::new(Semaphore::new(at_once)),
        }
    }
}

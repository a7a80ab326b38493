//! Work on all cores of the machine, where there are threads (the feature `std`).
//!
//! Items are taken in chunks, and the results come in the order of the items. So they are the same however many threads
//! there are.

use alloc::vec::Vec;

/// The results of the work on each chunk of so many items, in order.
#[cfg(feature = "std")]
pub(crate) fn map_chunks<T: Send, R: Send>(
    mut items: impl Iterator<Item = T> + Send,
    length: usize,
    work: impl Fn(Vec<T>) -> R + Sync,
) -> Vec<R> {
    use std::panic::resume_unwind;
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    let first: Vec<T> = items.by_ref().take(length).collect();
    // A thread costs more than it saves on a single chunk.
    if first.len() < length {
        return alloc::vec![work(first)];
    }
    // Whoever is free takes the next chunk. The items are made under the lock, by one thread at a time.
    let queue = Mutex::new((0_usize, items, Some(first)));
    let next = || {
        let (at, items, first) = &mut *queue.lock().unwrap_or_else(PoisonError::into_inner);
        let chunk = first.take().unwrap_or_else(|| items.by_ref().take(length).collect());
        *at = at.wrapping_add(1);
        (!chunk.is_empty()).then_some((*at, chunk))
    };
    let run = || -> Vec<(usize, R)> {
        core::iter::from_fn(next).map(|(at, chunk)| (at, work(chunk))).collect()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut done = thread::scope(|scope| {
        let spawn = || thread::Builder::new().spawn_scoped(scope, run).ok();
        // Where the system gives no more threads, the others do the work of the missing ones.
        let helpers: Vec<_> = (1..cores).filter_map(|_| spawn()).collect();
        let mut done = run();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The results of the work on each chunk of so many items, in order.
#[cfg(not(feature = "std"))]
pub(crate) fn map_chunks<T, R>(
    mut items: impl Iterator<Item = T>,
    length: usize,
    work: impl Fn(Vec<T>) -> R,
) -> Vec<R> {
    let chunks = core::iter::from_fn(|| {
        let chunk: Vec<T> = items.by_ref().take(length).collect();
        (!chunk.is_empty()).then_some(chunk)
    });
    chunks.map(work).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::map_chunks;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 9, 10, 11, 1000] {
            let chunks = map_chunks(0..count, 10, |chunk| chunk);
            assert_eq!(chunks.concat(), (0..count).collect::<Vec<_>>());
            assert!(chunks.iter().all(|chunk| chunk.len() <= 10));
        }
    }
}

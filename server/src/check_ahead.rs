//! Checks the signatures of a long history on all processors, ahead of whoever applies it.
//!
//! One thread reads the history in parts. Others, one for each processor, check them. The caller's thread takes the batches
//! in their sequence. Only a few parts are in memory at a time: whoever is ahead waits.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use zellbook_core::{Batch, Rules};

/// A part is complete at this many bytes. Each comma counts too, for what it takes to read the element before it.
const PART_BYTES: usize = 2 << 20;
const COMMA_BYTES: usize = 32;

/// Some batches of the history. They are checked together.
struct Part<T> {
    /// The index of the first one.
    first: u64,
    items: Vec<T>,
    /// Where the checked batches are awaited.
    checked: SyncSender<Vec<(T, Batch)>>,
}

/// Where the batches of a part come once they are checked.
type Checked<T> = Receiver<Vec<(T, Batch)>>;

/// Checks all batches of a history, from batch 1 on, and passes each to `take`, in their sequence. `body` returns the body
/// of one.
///
/// Fails with the first error of `take`, or of `items` once everything before it was taken. What is being read or checked
/// at that moment is waited for.
pub fn check_ahead<T: Send, E: Send>(
    rules: &Rules,
    items: impl Iterator<Item = Result<T, E>> + Send,
    body: impl Fn(&T) -> &str + Sync,
    mut take: impl FnMut(T, &Batch) -> Result<(), E>,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (to_check, unchecked) = sync_channel(1);
    let (in_sequence, sequence) = sync_channel(threads);
    // The threads that check own it, so that the reader does not wait for them if all have panicked.
    let unchecked = Arc::new(Mutex::new(unchecked));
    let body = &body;
    thread::scope(|scope| {
        scope.spawn(move || read(items, body, &to_check, &in_sequence));
        for _ in 0..threads {
            let unchecked = Arc::clone(&unchecked);
            scope.spawn(move || check(rules, &unchecked, body));
        }
        drop(unchecked);
        // Ends with the reader. If it is dropped before that, because of an error, the reader ends, and then the others.
        for part in sequence {
            // Nothing comes only if a thread panicked, and then the scope panics too.
            let Ok(batches) = part?.recv() else { break };
            for (item, batch) in batches {
                take(item, &batch)?;
            }
        }
        Ok(())
    })
}

/// Passes each part to the threads that check, and where its result will come to the caller's thread.
fn read<T, E>(
    mut items: impl Iterator<Item = Result<T, E>>,
    body: impl Fn(&T) -> &str,
    to_check: &SyncSender<Part<T>>,
    in_sequence: &SyncSender<Result<Checked<T>, E>>,
) {
    let mut first = 1;
    loop {
        let (part, failed) = next_part(&mut items, &body);
        let is_end = part.is_empty();
        if !is_end {
            let (checked, result) = sync_channel(1);
            let part = Part { first, items: part, checked };
            first += u64::try_from(part.items.len()).unwrap_or(u64::MAX);
            // Fails if the others are gone.
            if in_sequence.send(Ok(result)).is_err() || to_check.send(part).is_err() {
                return;
            }
        }
        if let Some(failed) = failed {
            // Fails if the caller is gone.
            let _ = in_sequence.send(Err(failed));
            return;
        }
        if is_end {
            return;
        }
    }
}

/// The next items, and the error after them, if one came.
fn next_part<T, E>(
    items: &mut impl Iterator<Item = Result<T, E>>,
    body: impl Fn(&T) -> &str,
) -> (Vec<T>, Option<E>) {
    let (mut part, mut bytes) = (Vec::new(), 0);
    while bytes < PART_BYTES
        && let Some(item) = items.next()
    {
        let item = match item {
            Ok(item) => item,
            Err(error) => return (part, Some(error)),
        };
        let commas = body(&item).bytes().filter(|byte| *byte == b',').count();
        bytes += body(&item).len() + COMMA_BYTES * (commas + 1);
        part.push(item);
    }
    (part, None)
}

fn check<T>(rules: &Rules, unchecked: &Mutex<Receiver<Part<T>>>, body: impl Fn(&T) -> &str) {
    loop {
        // Held while waiting, so the threads wait one after the other, which is as good.
        let part = unchecked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Part { first, items, checked }) = part else { return };
        let bodies = (first..).zip(items.iter().map(|item| body(item).as_bytes()));
        let batches = Batch::check_all(rules, bodies, |_| None);
        // Fails if the caller is gone.
        let _ = checked.send(items.into_iter().zip(batches).collect());
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use zellbook_core::{Action, Genesis, SecretKey, Transaction};

    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).unwrap()
    }

    fn rules() -> Rules {
        Genesis::development(key().public_key()).check().unwrap()
    }

    fn ones() -> String {
        format!("[{}]", vec!["1"; 4096].join(","))
    }

    /// Bodies of elements with valid, wrong and no signatures, without elements, and that are no arrays.
    fn bodies() -> Vec<String> {
        let rules = rules();
        let signed = |nonce: u64| {
            let (account, action) = (key().public_key(), Action::CancelAll { market: None });
            let transaction =
                Transaction { account, signer: None, nonce, valid_until: None, action };
            transaction.sign(&rules.network, &key()).to_json()
        };
        let body = |number: u64| {
            let (nonce, valid) = (1000 + number, signed(1000 + number));
            let wrong = valid.replace(&format!("\"{nonce}\""), "\"7000\"");
            match number % 5 {
                0 => format!("[{valid},1,{wrong}]"),
                1 => format!("[{wrong},{valid},{valid}]"),
                2 => "[]".into(),
                3 => String::new(),
                _ => ones(),
            }
        };
        (0..300).map(body).collect()
    }

    #[test]
    fn batches_are_taken_in_sequence_with_their_own_checks() {
        let (rules, bodies) = (rules(), bodies());
        let mut taken = Vec::new();
        let mut valid = 0;
        let take = |body, batch: &Batch| {
            assert_eq!(*batch, Batch::check(&rules, batch.index, String::as_bytes(body)));
            valid += batch.transactions.iter().flatten().count();
            taken.push((batch.index, body));
            Ok::<_, ()>(())
        };
        check_ahead(&rules, bodies.iter().map(Ok), |body| body.as_str(), take).unwrap();
        assert_eq!(taken, (1..).zip(&bodies).collect::<Vec<_>>());
        assert_eq!(valid, 60 + 2 * 60);
    }

    #[test]
    fn an_error_of_the_history_comes_after_the_batches_before_it() {
        let items = [Ok("[]"), Ok("[1]"), Err("no more"), Ok("[]")].into_iter();
        let mut taken = 0;
        let take = |_, _: &Batch| {
            taken += 1;
            Ok(())
        };
        let result = check_ahead(&rules(), items, |body| body, take);
        assert_eq!((result, taken), (Err("no more"), 2));
    }

    #[test]
    fn little_is_read_ahead_also_of_empty_bodies_and_small_elements() {
        let ones = ones();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for (body, part) in [("", 65_536), (ones.as_str(), 15)] {
            let read = AtomicUsize::new(0);
            let items = std::iter::repeat_with(|| {
                read.fetch_add(1, Ordering::Relaxed);
                Ok(body)
            });
            let result = check_ahead(&rules(), items, |body| body, |_, _| Err("enough"));
            assert_eq!(result, Err("enough"));
            // The part that is taken, those that wait, and the one that the reader makes.
            let bound = (1 + threads + 2) * part;
            assert!(read.load(Ordering::Relaxed) <= bound, "{}", read.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn a_panic_ends_everything() {
        let items = std::iter::repeat_with(|| Ok::<_, ()>(String::from("[]")));
        let calls = AtomicUsize::new(0);
        let run = || {
            // The body is asked for by the reader first, and then by the threads that check.
            let count = |body: &String| {
                assert!(calls.fetch_add(1, Ordering::Relaxed) < 150_000, "on purpose, at {body}");
            };
            check_ahead(
                &rules(),
                items,
                |body| {
                    count(body);
                    body
                },
                |_, _| Ok(()),
            )
        };
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}

//! Checks the signatures of a long history on all processors, ahead of whoever applies it.
//!
//! [`Checkers`] are threads, one for each processor, that check parts of the history. [`check_ahead`] adds a thread that
//! reads the history in parts, while the caller's thread takes the batches in their sequence. Only a few parts are in memory
//! at a time: whoever is ahead waits.

use std::sync::mpsc::{Receiver, RecvError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use zellbook_core::protocol::CheckedTransaction;
use zellbook_core::{Batch, Rules};

/// A part is complete at this many bytes. Each comma counts too, for what it takes to read the element before it.
const PART_BYTES: usize = 4 << 20;
const COMMA_BYTES: usize = 32;

/// Finds a transaction that was checked before by the bytes of its element.
pub type Known = Arc<dyn Fn(&str) -> Option<CheckedTransaction> + Send + Sync>;

/// What a body counts towards a part.
fn cost(body: &str) -> usize {
    let commas = body.bytes().filter(|byte| *byte == b',').count();
    body.len().saturating_add(COMMA_BYTES.saturating_mul(commas.saturating_add(1)))
}

/// Collects items until they make a part.
pub struct Parts<T> {
    items: Vec<T>,
    bytes: usize,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0 }
    }
}

impl<T: AsRef<str>> Parts<T> {
    /// Adds an item. Returns the part that it completes.
    pub fn add(&mut self, item: T) -> Option<Vec<T>> {
        self.bytes = self.bytes.saturating_add(cost(item.as_ref()));
        self.items.push(item);
        if self.bytes < PART_BYTES { None } else { self.rest() }
    }

    /// The items that make no whole part, if there are any.
    pub fn rest(&mut self) -> Option<Vec<T>> {
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        (!items.is_empty()).then_some(items)
    }
}

/// Some batches of the history. They are checked together.
struct Part<T> {
    /// The index of the first one.
    first: u64,
    items: Vec<T>,
    /// Where the checked batches are awaited.
    checked: SyncSender<Vec<(T, Batch)>>,
}

/// Where the batches of a part come once they are checked. Nothing comes if the thread that checked them panicked.
pub type Checked<T> = Receiver<Vec<(T, Batch)>>;

/// Threads that check parts of a history. They end once this is dropped and everything is checked.
pub struct Checkers<T> {
    to_check: SyncSender<Part<T>>,
}

impl<T: AsRef<str> + Send + 'static> Checkers<T> {
    /// Starts a thread for each processor.
    pub fn start(rules: &Arc<Rules>, known: &Known) -> Self {
        let (to_check, unchecked) = sync_channel(1);
        // The threads own it, so that nobody waits for them if all have panicked.
        let unchecked = Arc::new(Mutex::new(unchecked));
        for _ in 0..threads() {
            let (rules, known, unchecked) =
                (Arc::clone(rules), Arc::clone(known), Arc::clone(&unchecked));
            thread::spawn(move || check(&rules, &*known, &unchecked));
        }
        Self { to_check }
    }

    /// Has a part checked, whose first batch has this index. Waits while other parts wait.
    pub fn check(&self, first: u64, items: Vec<T>) -> Checked<T> {
        let (checked, result) = sync_channel(1);
        // Fails if all threads have panicked, and then nothing comes either.
        let _ = self.to_check.send(Part { first, items, checked });
        result
    }
}

/// The number of threads that check.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn check<T: AsRef<str>>(
    rules: &Rules,
    known: &dyn Fn(&str) -> Option<CheckedTransaction>,
    unchecked: &Mutex<Receiver<Part<T>>>,
) {
    loop {
        // Held while waiting, so the threads wait one after the other, which is as good.
        let part = unchecked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Part { first, items, checked }) = part else { return };
        let bodies = (first..).zip(items.iter().map(|item| item.as_ref().as_bytes()));
        let batches = Batch::check_all(rules, bodies, known);
        // Fails if nobody waits for it any more.
        let _ = checked.send(items.into_iter().zip(batches).collect());
    }
}

/// Checks all batches of a history, from batch 1 on, and passes each to `take`, in their sequence.
///
/// Fails with the first error of `take`, or of `items` once everything before it was taken. What is being read at that
/// moment is waited for.
///
/// # Panics
///
/// Panics if a thread that checks has panicked.
pub fn check_ahead<T: AsRef<str> + Send + 'static, E: Send>(
    rules: &Arc<Rules>,
    items: impl Iterator<Item = Result<T, E>> + Send,
    mut take: impl FnMut(T, &Batch) -> Result<(), E>,
) -> Result<(), E> {
    let none: Known = Arc::new(|_| None);
    let checkers = Checkers::start(rules, &none);
    let (in_sequence, sequence) = sync_channel(threads());
    thread::scope(|scope| {
        scope.spawn(move || read(items, &checkers, &in_sequence));
        // Ends with the reader. If it is dropped before that, because of an error, the reader ends, and then the others.
        for part in sequence {
            let batches = match part?.recv() {
                Ok(batches) => batches,
                Err(RecvError) => panic!("a thread that checks signatures has panicked"),
            };
            for (item, batch) in batches {
                take(item, &batch)?;
            }
        }
        Ok(())
    })
}

/// Has all parts checked, and passes to the caller's thread where their results will come.
fn read<T: AsRef<str> + Send + 'static, E>(
    items: impl Iterator<Item = Result<T, E>>,
    checkers: &Checkers<T>,
    in_sequence: &SyncSender<Result<Checked<T>, E>>,
) {
    let mut first = 1;
    let mut submit = |items: Vec<T>| {
        let next = first + u64::try_from(items.len()).unwrap_or(u64::MAX);
        let checked = checkers.check(std::mem::replace(&mut first, next), items);
        // Fails if the caller is gone.
        in_sequence.send(Ok(checked)).is_ok()
    };
    let mut parts = Parts::default();
    for item in items {
        let part = match item {
            Ok(item) => parts.add(item),
            Err(error) => {
                if parts.rest().is_none_or(submit) {
                    let _ = in_sequence.send(Err(error));
                }
                return;
            }
        };
        if !part.is_none_or(&mut submit) {
            return;
        }
    }
    parts.rest().map(submit);
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

    fn rules() -> Arc<Rules> {
        Arc::new(Genesis::development(key().public_key()).check().unwrap())
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
        let take = |body: String, batch: &Batch| {
            assert_eq!(*batch, Batch::check(&rules, batch.index, body.as_bytes()));
            valid += batch.transactions.iter().flatten().count();
            taken.push((batch.index, body));
            Ok::<_, ()>(())
        };
        check_ahead(&rules, bodies.iter().cloned().map(Ok), take).unwrap();
        assert_eq!(taken, (1..).zip(bodies).collect::<Vec<_>>());
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
        let result = check_ahead(&rules(), items, take);
        assert_eq!((result, taken), (Err("no more"), 2));
    }

    #[test]
    fn little_is_read_ahead_also_of_empty_bodies_and_small_elements() {
        for (body, part) in [(String::new(), 131_072), (ones(), 31)] {
            let read = AtomicUsize::new(0);
            let items = std::iter::repeat_with(|| {
                read.fetch_add(1, Ordering::Relaxed);
                Ok(body.clone())
            });
            let result = check_ahead(&rules(), items, |_, _| Err("enough"));
            assert_eq!(result, Err("enough"));
            // The part that is taken, those that wait, and the one that the reader makes.
            let bound = (1 + threads() + 2) * part;
            assert!(read.load(Ordering::Relaxed) <= bound, "{}", read.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn a_panic_ends_everything() {
        /// A body that the reader can read, but not the thread that checks it.
        #[derive(Default)]
        struct Once(AtomicUsize);
        impl AsRef<str> for Once {
            fn as_ref(&self) -> &str {
                assert!(self.0.fetch_add(1, Ordering::Relaxed) < 1, "on purpose");
                ""
            }
        }
        let items = std::iter::repeat_with(|| Ok::<_, ()>(Once::default()));
        let run = || check_ahead(&rules(), items, |_, _| Ok(()));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}

//! Signals that their holders can read and follow, but not write.

use leptos::prelude::*;

/// A signal to read. Leptos' own `ReadSignal` does the same, but the code of a signal is made for each of its types, and
/// the first load of the page would have it twice for every value: to read it, and to write it.
pub struct Reader<T: 'static>(RwSignal<T>);

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Reader<T> {}

/// A signal, and the reader of it that may be handed out.
pub fn reader<T: Send + Sync>(value: T) -> (Reader<T>, RwSignal<T>) {
    let signal = RwSignal::new(value);
    (Reader(signal), signal)
}

impl<T: Send + Sync> Reader<T> {
    pub fn with<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.0.with(read)
    }

    pub fn with_untracked<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.0.with_untracked(read)
    }

    /// Calls the effect or memo that runs now again when the value changes.
    pub fn track(self) {
        self.0.track();
    }
}

impl<T: Clone + Send + Sync> Reader<T> {
    pub fn get(self) -> T {
        self.0.get()
    }

    pub fn get_untracked(self) -> T {
        self.0.get_untracked()
    }
}

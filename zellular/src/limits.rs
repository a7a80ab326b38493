//! How much of an answer is read, whatever a gateway sends.
//!
//! Each limit lies above what an honest node of the network can send, and together they bound the
//! memory that a hostile one can make a reader use.

/// The largest number of nodes in a node list.
pub const NODES_MAX: usize = 1024;

/// The network's default limit of one batch, in bytes of UTF-8 (`MAX_BATCH_SIZE_KB=5`).
pub const BATCH_BYTES_DEFAULT: usize = 5120;

/// The largest `finalized` answer, in bytes. A network of one node with default limits cuts its
/// answers at 10 MB of bodies; JSON escapes and signatures are added to that.
pub const PAGE_BYTES_MAX: usize = 64 << 20;

/// The number of batches that are read from one `finalized` answer. The rest is asked for again.
pub const PAGE_BATCHES_MAX: usize = 1 << 17;

/// The number of finality signatures that are read from one `finalized` answer.
pub const PAGE_SIGNATURES_MAX: usize = 1 << 14;

/// An estimate of the memory that a batch takes besides its body, in bytes. Without it, empty
/// bodies without end would cost nothing against [`PENDING_BYTES_MAX`].
pub const BATCH_OVERHEAD: usize = 128;

/// The largest amount of batches that a [`Walker`](crate::Walker) holds before a signature covers
/// them, in bytes.
pub const PENDING_BYTES_MAX: usize = 256 << 20;

// A page that is read whole always fits; else a long honest page could never be proven.
const _: () = assert!(PAGE_BYTES_MAX + PAGE_BATCHES_MAX * BATCH_OVERHEAD <= PENDING_BYTES_MAX);

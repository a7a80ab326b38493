//! Builds a replica from its parts. Both `zellbook serve` and the chaos test use it, so the chaos test covers
//! the replica that operators run.
//!
//! The parts form a loop. The outbox posts the transactions of clients, together with the attester's
//! attestations. The sequencer returns them in sequenced batches. The replica applies these, publishes the
//! result, and reports the sequenced transactions to the outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use tokio::sync::Notify;
use zellbook_core::{Rules, SecretKey};

use crate::attester::{Attester, replica_index};
use crate::clock::Clock;
use crate::evidence;
use crate::outbox::{Outbox, OutboxOptions, OutboxParts, OutboxTask};
use crate::published::Watch;
use crate::replica::{Halt, Parts, Replica};
use crate::sequencer::Sequencer;
use crate::store::{Loaded, Reader, Store, StoreError};
use zellular::client::VerifierWatch;

/// The files of a replica.
#[derive(Clone, Debug)]
pub struct Files {
    pub store: PathBuf,
    pub outbox: PathBuf,
    /// Written only if the replica halts.
    pub evidence: PathBuf,
}

impl Files {
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            store: folder.join("replica.sqlite"),
            outbox: folder.join("outbox.sqlite"),
            evidence: folder.join(evidence::FILE_NAME),
        }
    }
}

pub struct Assembly<'a, Q> {
    pub rules: &'a Arc<Rules>,
    pub files: &'a Files,
    /// The open store, and the state that was restored from it.
    pub store: Store,
    pub state: Loaded,
    pub outbox_options: OutboxOptions,
    pub sequencer: Arc<Q>,
    pub verifier: VerifierWatch,
    /// The replica attests if genesis names this key.
    pub key: &'a SecretKey,
    pub clock: Clock,
    /// Each part gets its own generator, derived from this one, so that a seed determines the whole run.
    pub random: Rng,
}

/// The connected parts of a replica, before any of them runs.
pub struct Assembled<Q> {
    pub replica: Replica<Store>,
    pub reader: Reader,
    pub outbox: Outbox,
    pub watch: Watch,
    outbox_task: OutboxTask,
    attester: Option<Attester>,
    sequencer: Arc<Q>,
    /// Notified after every post, so that the replica soon asks for the new batch.
    posted: Arc<Notify>,
}

pub fn assemble<Q: Sequencer>(assembly: Assembly<'_, Q>) -> Result<Assembled<Q>, StoreError> {
    let Assembly { rules, files, store, state, .. } = assembly;
    let Assembly { outbox_options, sequencer, verifier, key, clock, mut random, .. } = assembly;
    let reader = Reader::new(&files.store, Arc::clone(rules));
    // Not a channel: several posts before the replica looks are one reason to ask.
    let posted = Arc::new(Notify::new());
    // After the store is open and before the replica exists: the outbox drops what is applied already, and
    // the replica reports to it from its first batch on.
    let (outbox, outbox_task) = Outbox::open(OutboxParts {
        path: &files.outbox,
        rules,
        store: reader.clone(),
        options: outbox_options,
        posted: Arc::clone(&posted),
        clock,
        random: random.fork(),
    })?;
    let replica_index = replica_index(rules, key);
    let (replica, watch) = Replica::new(Parts {
        state,
        storage: store,
        reader: reader.clone(),
        verifier,
        outbox: outbox.clone(),
        replica_index,
        clock,
        random: random.fork(),
        evidence: files.evidence.clone(),
    })?;
    // A key that genesis does not name has no vote: its attestations would be rejected (23).
    let attester = replica_index
        .map(|_| Attester::new(Arc::clone(rules), key.clone(), &watch, clock, random.fork()));
    Ok(Assembled { replica, reader, outbox, watch, outbox_task, attester, sequencer, posted })
}

impl<Q: Sequencer> Assembled<Q> {
    /// The tasks of a replica. The first follows the sequencer, the second posts to it; both block their thread
    /// while they write to disk, so each should have its own. The third compares bodies with other gateways, blocks
    /// nothing, and never ends.
    pub fn into_tasks(
        self,
    ) -> (
        impl Future<Output = Halt> + Send + use<Q>,
        impl Future<Output = Result<(), StoreError>> + Send + use<Q>,
        impl Future<Output = ()> + Send + use<Q>,
    ) {
        let Self { replica, watch, outbox_task, attester, sequencer, posted, .. } = self;
        let compare = replica.comparison().run(Arc::clone(&sequencer));
        let follow = replica.follow(Arc::clone(&sequencer), posted);
        (follow, outbox_task.run(sequencer, watch.published, watch.health, attester), compare)
    }
}

//! Tests of what halts a replica and what does not, against a scripted sequencer.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use sha2::Digest;
use tempfile::TempDir;
use zellbook_core::certificate::Certifiers;
use zellbook_core::types::ReplicaIndex;
use zellbook_core::{Action, Batch, Hash, LeafKey, Rules, SecretKey, Transaction};
use zellular::bls::BlsSecretKey;
use zellular::{
    FinalitySignature, Node, NodeList, Page, SignedState, Threshold, Verifier, bls_message, chain,
    message,
};

use super::commits::{Commits, Job};
use super::*;
use crate::client_address::ClientAddress;
use crate::config::test_rules;
use crate::evidence::Finding;
use crate::outbox::{OutboxOptions, OutboxParts};
use crate::store::{AppliedBatch, Proof, Store};
use zellular::client::transport::TransportError;
use zellular::client::{GatewayError, GatewayStatus, Route, fixed};

fn bls_key() -> BlsSecretKey {
    BlsSecretKey::from_random(&[5; 48]).unwrap()
}

fn verifier() -> Verifier {
    let node = Node {
        id: "n".into(),
        socket: String::new(),
        stake: 1,
        public_key: bls_key().public_key(),
    };
    Verifier {
        app_name: "zellbook".into(),
        nodes: NodeList::new(vec![node]).unwrap().into(),
        threshold: Threshold::DEFAULT,
    }
}

/// The node's signature over a batch.
fn signature(index: u64, chaining_hash: &str) -> FinalitySignature {
    let text = message("zellbook", SignedState::Locked, index, 0, 7, chaining_hash);
    FinalitySignature {
        index,
        parent_index: 0,
        timestamp: 7,
        chaining_hash: Some(chaining_hash.into()),
        nonsigners: Vec::new(),
        signature: bls_key().sign(bls_message(&text).as_bytes()).unwrap().to_string(),
        tag: 0,
    }
}

/// A page that starts with the first batch, with one signature over its last batch.
fn page(bodies: &[&str]) -> Page {
    let hashes = hashes(bodies);
    let index = bodies.len() as u64;
    Page {
        batches: bodies.iter().map(ToString::to_string).collect(),
        first_chaining_hash: hashes[1].clone(),
        is_cut: false,
        finalized_signatures: vec![Ok(FinalitySignature {
            chaining_hash: None,
            ..signature(index, hashes.last().unwrap())
        })],
    }
}

/// Responds as its script says, then that nothing is new; records the reports.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Page, &'static str>>>,
    /// Index and chaining hash of the last batch.
    last: Mutex<Option<(u64, String)>>,
    /// How many answers were left whenever the last batch was asked for.
    last_asked: Mutex<Vec<usize>>,
    /// Given instead of `last`.
    forged: Mutex<Option<FinalitySignature>>,
    reports: Mutex<Vec<String>>,
    /// What another gateway answers, whatever it is asked.
    elsewhere: Mutex<Option<Page>>,
    /// The number of reports of dishonesty.
    lies: Mutex<u32>,
}

impl Sequencer for Script {
    async fn finalized(&self, _after: u64) -> Result<Option<Page>, GatewayError> {
        match self.answers.lock().unwrap().pop_front() {
            Some(Ok(page)) => Ok(Some(page)),
            Some(Err(error)) => Err(TransportError::Connection(error.into()).into()),
            None => Ok(None),
        }
    }

    async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        self.last_asked.lock().unwrap().push(self.answers.lock().unwrap().len());
        if let Some(forged) = self.forged.lock().unwrap().clone() {
            return Ok(Some(forged));
        }
        let last = self.last.lock().unwrap().clone();
        Ok(last.map(|(index, hash)| signature(index, &hash)))
    }

    fn source(&self) -> Arc<str> {
        "ours".into()
    }

    async fn finalized_elsewhere(
        &self,
        _after: u64,
        except: &str,
    ) -> Result<Option<(Arc<str>, Option<Page>)>, GatewayError> {
        assert_ne!(except, "theirs");
        Ok(Some(("theirs".into(), self.elsewhere.lock().unwrap().clone())))
    }

    fn fails(&self, gateway: &str, failure: GatewayFailure) {
        let (GatewayFailure::Unavailable(text) | GatewayFailure::Dishonest(text)) = failure;
        self.reports.lock().unwrap().push(format!("{gateway}: {text}"));
    }

    async fn post(&self, _bodies: &[String], _route: Route) -> Result<Arc<str>, GatewayError> {
        Ok("script".into())
    }

    fn lanes(&self) -> usize {
        1
    }

    fn unseen(&self, _gateway: &str) {}

    fn report(&self, failure: GatewayFailure) {
        *self.lies.lock().unwrap() += u32::from(matches!(failure, GatewayFailure::Dishonest(_)));
        let (GatewayFailure::Unavailable(text) | GatewayFailure::Dishonest(text)) = failure;
        self.reports.lock().unwrap().push(text);
    }

    fn gateways(&self) -> Vec<GatewayStatus> {
        Vec::new()
    }
}

/// The chaining hashes over some bodies, from the empty one before the first.
fn hashes(bodies: &[&str]) -> Vec<String> {
    let mut hashes = vec![String::new()];
    for body in bodies {
        hashes.push(chain(hashes.last().unwrap(), body));
    }
    hashes
}

impl Script {
    /// Sets the last batch to the last of some bodies.
    fn end_with(&self, bodies: &[&str]) {
        let last = (bodies.len() as u64, hashes(bodies).pop().unwrap());
        *self.last.lock().unwrap() = Some(last);
    }
}

/// A disk that fails at one commit.
struct FailingDisk {
    store: Store,
    commits: u32,
    /// The number of that commit, counted from 1.
    fails_at: u32,
}

impl Storage for FailingDisk {
    fn commit(
        &mut self,
        batches: &[AppliedBatch],
        proofs: &[Arc<Proof>],
    ) -> Result<u64, StoreError> {
        self.commits += 1;
        if self.commits == self.fails_at {
            let error = rusqlite::Error::InvalidQuery;
            return Err(StoreError::Sqlite { path: "disk".into(), error });
        }
        self.store.commit(batches, proofs)
    }

    fn root(&self, index: u64) -> Result<Option<Hash>, StoreError> {
        self.store.root(index)
    }

    fn start(&self) -> Result<u64, StoreError> {
        self.store.start()
    }
}

fn replica_key() -> SecretKey {
    SecretKey::from_bytes(&[2; 32]).unwrap()
}

fn rules() -> Arc<Rules> {
    let issuer = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
    Arc::new(test_rules(issuer, replica_key().public_key()))
}

async fn replica(folder: &TempDir, fails_at: u32) -> (Replica<FailingDisk>, Watch) {
    let rules = rules();
    let path = folder.path().join("replica.sqlite");
    let store = Store::open(&path, &rules).unwrap();
    let state = store.load(&rules).unwrap();
    let reader = Reader::new(&path, Arc::clone(&rules));
    let options = OutboxOptions {
        batch_bytes_max: 5120,
        gather: Duration::from_millis(10),
        repost_after: Duration::from_secs(1),
    };
    let outbox_path = folder.path().join("outbox.sqlite");
    let (outbox, _task) = Outbox::open(OutboxParts {
        path: &outbox_path,
        rules: &rules,
        store: reader.clone(),
        options,
        posted: Arc::default(),
        clock: Clock::system(),
        random: fastrand::Rng::with_seed(1),
    })
    .unwrap();
    let disk = FailingDisk { store, commits: 0, fails_at };
    Replica::new(Parts {
        state,
        storage: disk,
        reader,
        verifier: fixed(verifier()),
        outbox,
        replica_index: None,
        clock: Clock::system(),
        random: fastrand::Rng::with_seed(1),
        evidence: folder.path().join("evidence.json"),
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_halts_the_replica_and_only_stored_batches_were_published() {
    let folder = TempDir::new().unwrap();
    // Two pages are two commits, of which the second fails.
    let (replica, watch) = replica(&folder, 2).await;
    let script = Script::default();
    let bodies = ["[]"; 80];
    script.answers.lock().unwrap().extend([Ok(page(&bodies[..64])), Ok(from(&bodies, 65))]);
    let halt = replica.follow(Arc::new(script), Arc::default()).await;
    assert!(matches!(halt, Halt::Store(_)), "{halt}");
    assert_eq!(watch.published.borrow().batch, 64);
    assert_eq!(watch.health.borrow().state, ReplicaState::Halted);
    // After a restart it continues after the last complete commit.
    let (restarted, watch) = self::replica(&folder, u32::MAX).await;
    assert_eq!(watch.published.borrow().batch, 64);
    assert_eq!(restarted.walker.proven().index, 64);
}

/// A body that takes so long to read that few of them make a part of the pipeline.
fn long_body() -> String {
    format!("[{}]", vec!["1"; 4096].join(","))
}

#[tokio::test(start_paused = true)]
async fn a_page_of_many_batches_leads_to_the_same_state_and_all_of_it_is_on_disk() {
    let long = long_body();
    let mut bodies = vec![long.as_str(); 70];
    bodies.extend(["[]"; 70]);
    let rules = rules();
    let mut expected = Exchange::new(Arc::clone(&rules));
    for (index, body) in (1..).zip(&bodies) {
        expected.apply(&Batch::check(&rules, index, body.as_bytes())).unwrap();
    }
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let mut feed = watch.feed.subscribe();
    let script = Arc::new(Script::default());
    script.end_with(&bodies);
    script.answers.lock().unwrap().extend([Ok(page(&bodies[..130])), Ok(from(&bodies, 131))]);
    let following = tokio::spawn(replica.follow(script, Arc::default()));
    watch.health.wait_for(|health| health.state == ReplicaState::Following).await.unwrap();
    let published = watch.published.borrow().clone();
    assert_eq!((published.batch, published.root), (140, expected.root()));
    let client = ClientAddress::new([10, 0, 0, 1].into());
    let proof = watch.prover.prove(client, LeafKey::Counters).await.unwrap();
    assert_eq!((proof.batch, proof.root), (140, expected.root()));
    following.abort();
    // The feed leaves out nothing, in messages of a bounded length.
    let mut last = 0;
    while let Ok(update) = feed.try_recv() {
        assert!((last + 1..=last + 64).contains(&update.batch), "{last} {}", update.batch);
        last = update.batch;
    }
    assert_eq!(last, 140);
    let store = Store::open(&folder.path().join("replica.sqlite"), &rules).unwrap();
    let (mut loaded, position) = store.load(&rules).unwrap();
    assert_eq!((position.index, loaded.root()), (140, expected.root()));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_stops_the_stages_before_it_and_nothing_else_is_shown() {
    let folder = TempDir::new().unwrap();
    // Parts of 31 batches: see `check_ahead`.
    let (replica, watch) = replica(&folder, 2).await;
    let (long, script) = (long_body(), Script::default());
    script.answers.lock().unwrap().push_back(Ok(page(&vec![long.as_str(); 200])));
    let halt = replica.follow(Arc::new(script), Arc::default()).await;
    assert!(matches!(halt, Halt::Store(_)), "{halt}");
    assert_eq!(watch.published.borrow().batch, 31);
    let (restarted, watch) = self::replica(&folder, u32::MAX).await;
    assert_eq!(watch.published.borrow().batch, 31);
    // What was in the stages before is gone. No later commit can have followed the one that failed.
    assert_eq!(restarted.walker.proven().index, 31);
}

#[tokio::test]
async fn nothing_is_committed_after_a_commit_that_failed() {
    let folder = TempDir::new().unwrap();
    let (replica, _watch) = replica(&folder, 1).await;
    let job = || Job { applied: Vec::new(), proofs: Vec::new(), shown: None, busy: Duration::ZERO };
    let mut commits = Commits::start(replica.committer.clone());
    {
        // The first commit waits for the disk, so that the second is in the queue when the first fails.
        let _disk = replica.committer.storage();
        commits.send(job()).unwrap();
        commits.send(job()).unwrap();
    }
    assert!(commits.settle().is_err());
    drop(commits);
    assert_eq!(replica.committer.storage().commits, 1);
}

#[tokio::test(start_paused = true)]
async fn errors_and_lies_of_a_gateway_are_reported_and_do_not_keep_honest_batches_out() {
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    script.end_with(&["[]", "[1]"]);
    let mut forged = page(&["[]", "[1]"]);
    forged.batches[1] = "[2]".into();
    script.answers.lock().unwrap().extend([
        Err("connection refused"),
        Ok(forged),
        Ok(page(&["[]", "[1]"])),
    ]);
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    watch.published.wait_for(|published| published.batch == 2).await.unwrap();
    following.abort();
    let reports = script.reports.lock().unwrap();
    assert!(
        matches!(reports.as_slice(), [lie] if lie.contains("over batch 2 proves nothing")),
        "{reports:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_lost_its_history_leaves_the_replica_disconnected() {
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    script.answers.lock().unwrap().push_back(Ok(page(&["[]", "[1]", "[2]"])));
    // Its signature is over our own history, so nothing contradicts it.
    script.end_with(&["[]"]);
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    let health = watch
        .health
        .wait_for(|health| health.state == ReplicaState::Disconnected)
        .await
        .unwrap()
        .clone();
    following.abort();
    let reason = health.reason.unwrap();
    assert!(
        reason.contains(
            "its last sequenced batch is 1, but we have the network's signature over batch 3"
        ),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_behind_is_told_within_half_a_minute_and_forgiven_once_it_has_our_batch()
{
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    let ours = ["[]", "[1]", "[2]"];
    script.answers.lock().unwrap().push_back(Ok(page(&ours)));
    script.end_with(&["[]"]);
    let mut since = tokio::time::Instant::now();
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    let health = &mut watch.health;
    for _ in 0..2 {
        health.wait_for(|health| health.state == ReplicaState::Disconnected).await.unwrap();
        assert!(!health.borrow().network_is_behind, "one answer is not enough");
        health.wait_for(|health| health.network_is_behind).await.unwrap();
        let seconds = since.elapsed().as_secs();
        // As docs/testing.md says.
        assert!((12..30).contains(&seconds), "{seconds} s");

        script.end_with(&ours);
        let following = |health: &Health| health.state == ReplicaState::Following;
        let again = health.wait_for(following).await.unwrap().clone();
        assert!(!again.network_is_behind && again.reason.is_none(), "{again:?}");
        since = tokio::time::Instant::now();
        script.end_with(&["[]"]);
    }
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_forged_first_body_under_an_honest_proof_does_not_halt_the_replica() {
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    script.end_with(&["[]", "[1]"]);
    let hashes = hashes(&["[]", "[1]", "[2]"]);
    let whole = page(&["[]", "[1]", "[2]"]);
    let from = |first: usize| Page {
        batches: whole.batches[first - 1..].to_vec(),
        first_chaining_hash: hashes[first].clone(),
        ..whole.clone()
    };
    let mut forged = from(3);
    forged.batches[0] = "[forged]".into();
    let first = page(&["[]", "[1]"]);
    // Batches 1 and 2, the forged page, the question about batch 2, then the honest page.
    let answers = [first, forged, from(2), from(3)];
    script.answers.lock().unwrap().extend(answers.map(Ok));
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    watch.published.wait_for(|published| published.batch == 3).await.unwrap();
    following.abort();
    assert!(script.reports.lock().unwrap()[0].contains("first_chaining_hash"));
}

#[tokio::test(start_paused = true)]
async fn a_fork_halts_the_replica_which_names_the_first_batch_that_differs() {
    let folder = TempDir::new().unwrap();
    let (replica, watch) = replica(&folder, u32::MAX).await;
    let ours = page(&["[]", "[1]", "[2]", "[3]"]);
    // The network was restarted after its first two batches, and is longer than our history now.
    let theirs = ["[]", "[1]", "[x]", "[y]", "[z]"];
    let hashes = hashes(&theirs);
    let whole = page(&theirs);
    let from = |first: usize| Page {
        batches: whole.batches[first - 1..].to_vec(),
        first_chaining_hash: hashes[first].clone(),
        ..whole.clone()
    };
    let script = Script::default();
    // The page after batch 4, the proof at batch 4, then the bisection's questions about 2 and 3.
    let answers = [ours, from(5), from(4), from(2), from(3)];
    script.answers.lock().unwrap().extend(answers.map(Ok));
    let halt = replica.follow(Arc::new(script), Arc::default()).await;
    assert!(matches!(halt, Halt::Fork { index: 3, ours: 4 }), "{halt}");
    assert_eq!(watch.health.borrow().state, ReplicaState::Halted);
    assert_eq!(watch.published.borrow().batch, 4);

    let evidence = Evidence::read(&folder.path().join("evidence.json")).unwrap();
    assert_eq!(evidence.explanation, halt.to_string());
    let finding = evidence.check(&rules(), &verifier()).unwrap();
    assert_eq!(finding, Finding::Fork { batch: 3 });
    check_lies(&evidence, |evidence, lie| {
        let Contradiction::Fork { batch, ours, theirs } = &mut evidence.contradiction else {
            panic!("{evidence:?}")
        };
        match lie {
            0 => *theirs = ours.clone(),
            1 => theirs.chaining_hash = "0".repeat(32),
            2 => theirs.proof.index = "4".into(),
            3 => ours.proof.signature.clone_from(&theirs.proof.signature),
            4 => *batch = "2".into(),
            5 => ours.bodies.push("[]".into()),
            6 => ours.proof.nonsigners.push("n".into()),
            7 => evidence.network = "0".repeat(64),
            _ => return false,
        }
        true
    });
}

#[tokio::test(start_paused = true)]
async fn a_signature_over_another_hash_at_a_batch_that_we_have_halts_at_once_with_evidence() {
    // All nodes were restarted from an older state. The new history is shorter than ours, so no page contradicts us.
    let theirs = ["[]", "[x]"];
    let whole = page(&theirs);
    let after_1 = Page {
        batches: whole.batches[1..].to_vec(),
        first_chaining_hash: hashes(&theirs)[2].clone(),
        ..whole.clone()
    };
    // With pages the replica looks for an earlier batch that differs. Without them the signature alone is enough.
    for pages in [vec![], vec![after_1]] {
        let folder = TempDir::new().unwrap();
        let (replica, watch) = replica(&folder, u32::MAX).await;
        let script = Script::default();
        script.answers.lock().unwrap().push_back(Ok(page(&["[]", "[1]", "[2]", "[3]"])));
        script.answers.lock().unwrap().extend(pages.into_iter().map(Ok));
        script.end_with(&theirs);
        let halt = replica.follow(Arc::new(script), Arc::default()).await;
        assert!(matches!(halt, Halt::Fork { index: 2, ours: 4 }), "{halt}");
        assert_eq!(watch.health.borrow().state, ReplicaState::Halted);
        let evidence = Evidence::read(&folder.path().join("evidence.json")).unwrap();
        let finding = evidence.check(&rules(), &verifier()).unwrap();
        assert_eq!(finding, Finding::Fork { batch: 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_last_batch_is_a_lie_and_does_not_halt_the_replica() {
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    script.answers.lock().unwrap().push_back(Ok(page(&["[]", "[1]"])));
    // The key of an honest node has signed another hash than the gateway claims.
    let forged = FinalitySignature { chaining_hash: Some("0".repeat(32)), ..signature(1, "1") };
    *script.forged.lock().unwrap() = Some(forged);
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    let health = watch.health.wait_for(|health| health.state == ReplicaState::Disconnected);
    let reason = health.await.unwrap().reason.clone().unwrap();
    following.abort();
    assert!(reason.contains("the signature over its last batch, 1, is invalid"), "{reason}");
    assert_eq!((*script.lies.lock().unwrap(), &script.reports.lock().unwrap()[0]), (1, &reason));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_to_apply_is_known_before_all_of_it_is_applied() {
    let folder = TempDir::new().unwrap();
    let (replica, mut watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    let bodies = ["[]", "[1]", "[2]", "[3]", "[4]", "[5]"];
    let whole = page(&bodies);
    let rest = Page {
        batches: whole.batches[2..].to_vec(),
        first_chaining_hash: hashes(&bodies)[3].clone(),
        ..whole
    };
    script.answers.lock().unwrap().extend([page(&["[]", "[1]"]), rest].map(Ok));
    script.end_with(&bodies);
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    watch.published.wait_for(|published| published.batch == 6).await.unwrap();
    following.abort();
    assert_eq!(script.last_asked.lock().unwrap().first(), Some(&1), "before the last page");
    assert_eq!(Counts::get(&watch.counts.gateway_head), 6);
}

#[tokio::test(start_paused = true)]
async fn too_few_signers_for_this_replicas_threshold_are_no_lie() {
    let folder = TempDir::new().unwrap();
    let (mut replica, mut watch) = replica(&folder, u32::MAX).await;
    let node = |id: &str, key: &BlsSecretKey| Node {
        id: id.into(),
        socket: String::new(),
        stake: 1,
        public_key: key.public_key(),
    };
    let silent = BlsSecretKey::from_random(&[6; 48]).unwrap();
    let nodes = NodeList::new(vec![node("n", &bls_key()), node("silent", &silent)]).unwrap();
    let half = |threshold: &str| Verifier {
        app_name: "zellbook".into(),
        nodes: nodes.clone().into(),
        threshold: threshold.parse().unwrap(),
    };
    let mut signed_by_half = page(&["[]"]);
    let signature = signed_by_half.finalized_signatures[0].as_mut().unwrap();
    signature.nonsigners = vec!["silent".into()];
    let (_, error) =
        Walker::new(zellular::Position::start()).take(&half("50"), signed_by_half.clone());
    assert_eq!(error, None, "it is enough for a network that asks half of the stake");

    replica.verifier = fixed(half("67"));
    let script = Arc::new(Script::default());
    script.answers.lock().unwrap().push_back(Ok(signed_by_half));
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    let health = watch.health.wait_for(|health| health.state == ReplicaState::Disconnected);
    let reason = health.await.unwrap().reason.clone().unwrap();
    following.abort();
    assert!(reason.contains("the threshold is 67 %") && reason.contains("--threshold"), "{reason}");
    assert_eq!(*script.lies.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_differs_from_the_proofs_is_noticed_and_forgiven_once_it_is_right() {
    // Also if many batches come at once.
    for more in [1, 200] {
        check_clock(more).await;
    }
}

/// Checks that a replica that follows tells the time by a page of so many batches.
async fn check_clock(more: usize) {
    let folder = TempDir::new().unwrap();
    // The proofs are of the time 7 s.
    let ahead = Duration::from_secs(2 * 86_400);
    let (mut replica, mut watch) = replica(&folder, u32::MAX).await;
    replica.clock = Clock::virtual_from(7_000 + ahead.as_millis() as u64);
    let clock = replica.clock;
    let script = Arc::new(Script::default());
    let mut bodies = vec!["[]"];
    bodies.extend(vec!["[1]"; more]);
    script.end_with(&bodies);
    let second = Page {
        batches: vec!["[1]".into(); more],
        first_chaining_hash: hashes(&bodies)[2].clone(),
        ..page(&bodies)
    };
    script.answers.lock().unwrap().push_back(Ok(page(&["[]"])));
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    watch.health.wait_for(|health| health.state == ReplicaState::Following).await.unwrap();
    let caught_up = watch.published.borrow().clone();
    assert_eq!(caught_up.clock(clock.now_ms()).ahead_ms(), None, "that proof may be of any age");
    script.answers.lock().unwrap().push_back(Ok(second));
    let published =
        watch.published.wait_for(|published| published.batch > more as u64).await.unwrap().clone();
    following.abort();
    let reading = published.clock(clock.now_ms());
    let ahead_ms = reading.ahead_ms().unwrap();
    assert!(reading.differs() && ahead_ms.unsigned_abs() >= ahead.as_millis() as u64, "{ahead_ms}");
    assert!(reading.attested_ms(0) < 60_000, "{reading:?}");
    assert!(!published.clock(7_000).differs());
}

/// An attestation to batch 1, signed by the only replica in genesis.
fn attestation(root: Hash) -> String {
    let transaction = Transaction {
        account: replica_key().public_key(),
        signer: None,
        nonce: 1,
        valid_until: None,
        action: Action::Attest { batch: 1, root, clock: 5 },
    };
    format!("[{}]", transaction.sign(&rules().network, &replica_key()).to_json())
}

#[tokio::test(start_paused = true)]
async fn a_different_certified_root_halts_the_replica_which_keeps_the_evidence() {
    let rules = rules();
    let first = Batch::check(&rules, 1, b"[]");
    let ours = Exchange::new(Arc::clone(&rules)).apply(&first).unwrap().root;

    let folder = TempDir::new().unwrap();
    let (mut honest, watch) = replica(&folder, u32::MAX).await;
    honest.take_page(page(&["[]", &attestation(ours)])).unwrap();
    assert_eq!(watch.published.borrow().certified, Some((1, ours)));

    // One page of few batches, and one whose batches are applied in parts.
    let (long, attestation) = (long_body(), attestation([7; 32]));
    check_certified(&["[]", &attestation, "[]"], ours).await;
    let mut many = vec!["[]", &attestation];
    many.extend(vec![long.as_str(); 80]);
    check_certified(&many, ours).await;
    // The attestation is in a later part than the batch.
    let mut many = vec!["[]"];
    many.extend(vec![long.as_str(); 80]);
    many.push(&attestation);
    many.extend(vec![long.as_str(); 40]);
    check_certified(&many, ours).await;
}

/// Checks that a page halts the replica whose second batch certifies another root than ours of the first.
async fn check_certified(bodies: &[&str], ours: Hash) {
    let rules = rules();
    let folder = TempDir::new().unwrap();
    let (replica, watch) = replica(&folder, u32::MAX).await;
    let script = Script::default();
    script.answers.lock().unwrap().push_back(Ok(page(bodies)));
    let halt = replica.follow(Arc::new(script), Arc::default()).await;
    let message = halt.to_string();
    let attested = bodies.iter().position(|body| body.contains("attest")).unwrap() as u64 + 1;
    assert!(matches!(halt, Halt::Certified { batch: 1, until, .. } if until == attested), "{halt}");
    assert!(message.contains(&"07".repeat(32)) && message.contains(&hex::encode(ours)));
    // What is before the part with the attestation may have been shown.
    assert!(watch.published.borrow().batch < attested);
    // A restart does not load the state that is in doubt.
    let store = Store::open(&folder.path().join("replica.sqlite"), &rules).unwrap();
    let error = store.load(&rules).unwrap_err();
    assert!(matches!(error, StoreError::Certified { batch: 1, .. }), "{error}");
    assert!(error.is_damage());

    let evidence = Evidence::read(&folder.path().join("evidence.json")).unwrap();
    let finding = evidence.check(&rules, &verifier()).unwrap();
    let certifiers = Certifiers { replicas: vec![ReplicaIndex(0)], weight: 1, total: 1 };
    assert_eq!(finding, Finding::Certified { batch: 1, certifiers });
    check_lies(&evidence, |evidence, lie| {
        let Contradiction::CertifiedRoot { batch, our_root, certified_root, attestations, batches } =
            &mut evidence.contradiction
        else {
            panic!("{evidence:?}")
        };
        match lie {
            0 => our_root.clone_from(&Some(certified_root.clone())),
            1 => *certified_root = "08".repeat(32),
            2 => *batch = "2".into(),
            3 => attestations.clear(),
            4 => attestations[0].position = "1".into(),
            5 => attestations[0].transaction = attestations[0].transaction.replace("07", "08"),
            6 => batches.clear(),
            7 => batches[0].bodies[0] = "[]".into(),
            8 => batches[0].proof.timestamp = "8".into(),
            _ => return false,
        }
        true
    });
}

/// Checks that evidence with any single false value is refused. `lie` puts in the false value with a
/// number, and returns false if there is none.
fn check_lies(evidence: &Evidence, lie: impl Fn(&mut Evidence, u32) -> bool) {
    for number in 0.. {
        let mut forged = evidence.clone();
        if !lie(&mut forged, number) {
            assert!(number > 5);
            return;
        }
        let finding = forged.check(&rules(), &verifier());
        assert!(finding.is_err(), "lie {number}: {finding:?}");
    }
}

/// The second bodies of the captured collision: one xxh128, two bodies.
fn collision() -> [String; 2] {
    let honest = include_str!("../../../zellular/tests/vectors/collision4/finalized_after_0.json");
    let forged = include_str!("../../../zellular/tests/vectors/collision4/forged_after_0.json");
    [honest, forged].map(|json| Page::read(json.as_bytes()).unwrap().unwrap().batches.remove(1))
}

/// The part of a page from a batch on.
fn from(bodies: &[&str], first: usize) -> Page {
    let mut hashes = vec![String::new()];
    for body in bodies {
        hashes.push(chain(hashes.last().unwrap(), body));
    }
    let whole = page(bodies);
    Page {
        batches: whole.batches[first - 1..].to_vec(),
        first_chaining_hash: hashes[first].clone(),
        ..whole
    }
}

#[tokio::test(start_paused = true)]
async fn another_body_of_another_gateway_halts_the_replica_with_evidence_of_both() {
    let [honest, forged] = collision();
    let folder = TempDir::new().unwrap();
    let (replica, watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    script.end_with(&["before", &forged, "after"]);
    script.answers.lock().unwrap().push_back(Ok(page(&["before", &forged, "after"])));
    *script.elsewhere.lock().unwrap() = Some(page(&["before", &honest, "after"]));
    let comparing = tokio::spawn(replica.comparison().run(Arc::clone(&script)));
    let halt = replica.follow(script, Arc::default()).await;
    comparing.abort();
    let Halt::Bodies { index: 2, ours, theirs } = &halt else { panic!("{halt}") };
    assert_eq!((&**ours, &**theirs), ("ours", "theirs"));
    // It was applied already, which is why the evidence and not the store keeps the replica from starting again.
    assert_eq!(watch.published.borrow().batch, 3);
    assert_eq!(watch.health.borrow().state, ReplicaState::Halted);

    let evidence = Evidence::read(&folder.path().join("evidence.json")).unwrap();
    let finding = evidence.check(&rules(), &verifier()).unwrap();
    let sha256 = |body: &str| -> Hash { sha2::Sha256::digest(body).into() };
    let (ours, theirs) = (sha256(&forged), sha256(&honest));
    assert_eq!(finding, Finding::Bodies { batch: 2, ours, theirs });
    check_lies(&evidence, |evidence, lie| {
        let Contradiction::Bodies { batch, ours, their_body, .. } = &mut evidence.contradiction
        else {
            panic!("{evidence:?}")
        };
        match lie {
            0 => their_body.clone_from(&ours.bodies[0]),
            1 => their_body.push('x'),
            2 => ours.bodies[0].push('x'),
            3 => *batch = "3".into(),
            4 => ours.after = "0".into(),
            5 => ours.chaining_hash = "0".repeat(32),
            6 => ours.proof.timestamp = "8".into(),
            7 => ours.bodies.clear(),
            _ => return false,
        }
        true
    });
}

#[tokio::test(start_paused = true)]
async fn a_body_that_another_gateway_served_first_is_compared_before_ours_is_applied() {
    // In a page of few batches, and in one of many.
    for after in [1, 100] {
        check_served_first(after).await;
    }
}

async fn check_served_first(after: usize) {
    let bodies = collision().map(|body| {
        let mut bodies = vec!["before".to_string(), body];
        bodies.resize(2 + after, "after".into());
        bodies
    });
    let [honest, forged] =
        bodies.each_ref().map(|bodies| bodies.iter().map(String::as_str).collect::<Vec<_>>());
    let folder = TempDir::new().unwrap();
    let (mut replica, watch) = replica(&folder, u32::MAX).await;
    let script = Arc::new(Script::default());
    *script.elsewhere.lock().unwrap() = Some(page(&honest));
    replica.source = "ours".into();
    replica.take_page(page(&["before"])).unwrap();
    let comparing = tokio::spawn(replica.comparison().run(Arc::clone(&script)));
    while watch.counts.compared_batch.load(Ordering::Relaxed) < 1 {
        tokio::task::yield_now().await;
    }
    script.answers.lock().unwrap().push_back(Ok(from(&forged, 2)));
    let halt = replica.follow(script, Arc::default()).await;
    comparing.abort();
    assert!(matches!(halt, Halt::Bodies { index: 2, .. }), "{halt}");
    assert_eq!(watch.published.borrow().batch, 1);
    let evidence = Evidence::read(&folder.path().join("evidence.json")).unwrap();
    let finding = evidence.check(&rules(), &verifier()).unwrap();
    assert!(matches!(finding, Finding::Bodies { batch: 2, .. }), "{finding:?}");
}

#[tokio::test(start_paused = true)]
async fn a_certified_body_is_not_in_doubt_so_the_other_gateway_is_dishonest() {
    let [honest, forged] = collision();
    let rules = rules();
    let first = Batch::check(&rules, 1, honest.as_bytes());
    let root = Exchange::new(Arc::clone(&rules)).apply(&first).unwrap().root;
    let folder = TempDir::new().unwrap();
    let (mut replica, watch) = replica(&folder, u32::MAX).await;
    replica.source = "ours".into();
    replica.take_page(page(&[&honest, &attestation(root)])).unwrap();
    assert_eq!(watch.published.borrow().certified, Some((1, root)));
    let script = Arc::new(Script::default());
    script.end_with(&[&honest, &attestation(root)]);
    *script.elsewhere.lock().unwrap() = Some(page(&[&forged, &attestation(root)]));
    let comparing = tokio::spawn(replica.comparison().run(Arc::clone(&script)));
    let following = tokio::spawn(replica.follow(Arc::clone(&script), Arc::default()));
    while script.reports.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let reports = script.reports.lock().unwrap().clone();
    assert!(reports[0].starts_with("theirs: its body of batch 1 is forged"), "{reports:?}");
    assert!(!following.is_finished());
    comparing.abort();
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_rollback_returns_to_the_last_certified_batch_wherever_it_is_interrupted() {
    let [honest, forged] = collision();
    let rules = rules();
    let first = Batch::check(&rules, 1, b"[]");
    let root = Exchange::new(Arc::clone(&rules)).apply(&first).unwrap().root;
    let attested = attestation(root);
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    {
        let (mut victim, watch) = replica(&folder, u32::MAX).await;
        victim.take_page(page(&["[]", &attested, &forged, "[]"])).unwrap();
        assert_eq!(watch.published.borrow().batch, 4);
    }
    let data = crate::config::DataDir::open(folder.path()).unwrap();
    let again = || crate::rollback::roll_back(&data, &rules, None, |_| {});
    let last = || {
        let reader = Reader::new(&file("replica.sqlite"), Arc::clone(&rules));
        reader.read_now(|view| view.last_batch()).unwrap()
    };
    std::fs::write(file("evidence.json"), "evidence").unwrap();
    // Killed while it built.
    std::fs::create_dir(file("rollback")).unwrap();
    std::fs::write(file("rollback/partial.sqlite"), "half a store").unwrap();
    // A folder in the way stops it before the stores are exchanged.
    std::fs::create_dir(file("replica.sqlite.before-rollback")).unwrap();
    assert!(again().is_err());
    assert_eq!(last(), 4);
    assert!(file("rollback/built").exists() && file("evidence.json").exists());
    std::fs::remove_dir(file("replica.sqlite.before-rollback")).unwrap();
    // Another one stops it after that.
    std::fs::create_dir(file("evidence.before-rollback.json")).unwrap();
    assert!(again().is_err());
    assert_eq!(last(), 1);
    assert!(file("rollback").exists() && file("evidence.json").exists());
    std::fs::remove_dir(file("evidence.before-rollback.json")).unwrap();
    let done = again().unwrap();
    assert_eq!((done.from, done.batch, done.root), (4, 1, hex::encode(root)));
    assert!(!file("rollback").exists() && !file("evidence.json").exists());
    assert!(file("replica.sqlite.before-rollback").exists());
    assert!(file("evidence.before-rollback.json").exists());

    // The replica goes on with the honest body, to the state of one that never had the other.
    let sequence = ["[]", &attested, &honest, "[]"];
    let (mut victim, watch) = replica(&folder, u32::MAX).await;
    victim.take_page(from(&sequence, 2)).unwrap();
    let other = TempDir::new().unwrap();
    let (mut honest, honest_watch) = replica(&other, u32::MAX).await;
    honest.take_page(page(&sequence)).unwrap();
    assert_eq!(watch.published.borrow().root, honest_watch.published.borrow().root);
    assert_eq!(watch.published.borrow().batch, 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_began_with_a_snapshot_is_rolled_back_to_one() {
    let rules = rules();
    let mut exchange = Exchange::new(Arc::clone(&rules));
    let root = exchange.apply(&Batch::check(&rules, 1, b"[]")).unwrap().root;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("replica.sqlite");
    let position = zellular::Position { index: 1, chaining_hash: chain("", "[]") };
    let mut store = Store::open(&path, &rules).unwrap();
    store.begin(exchange.engine().leaves_one_by_one(), &root, &position).unwrap();
    store.close().unwrap();
    let snapshot = folder.path().join("one.snapshot");
    std::fs::write(&snapshot, exchange.to_snapshot()).unwrap();
    {
        let (mut replica, watch) = replica(&folder, u32::MAX).await;
        assert_eq!(watch.published.borrow().certified, Some((1, root)));
        replica.take_page(from(&["[]", "[2]", "[3]"], 2)).unwrap();
        assert_eq!(watch.published.borrow().batch, 3);
    }
    let data = crate::config::DataDir::open(folder.path()).unwrap();
    let error = crate::rollback::roll_back(&data, &rules, None, |_| {}).unwrap_err();
    assert!(error.to_string().contains("give one with --snapshot"), "{error}");
    let done = crate::rollback::roll_back(&data, &rules, Some(&snapshot), |_| {}).unwrap();
    assert_eq!((done.from, done.batch), (3, 1));
    let store = Store::open(&path, &rules).unwrap();
    assert_eq!((store.start().unwrap(), store.load(&rules).unwrap().1), (1, position));
}

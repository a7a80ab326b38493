//! Tests of the crate `zellular` as another app would use it, on the network of `zellbook devnet`.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use zellular::client::{
    Client, ClientError, ClientOptions, FollowError, Follower, HttpTransport, Network,
};
use zellular::{NodeList, PageError, Position, ProofError};

use super::devnet::Devnet;
use crate::harness::{TIMEOUT, network_vectors};

/// The app name in the genesis of a devnet.
const APP: &str = "zellbook";

fn nodes(path: &Path) -> NodeList {
    NodeList::read(&std::fs::read(path).unwrap()).unwrap()
}

/// Waits for a batch with this body, and checks that the batches up to it have no gap.
async fn wait_for(follower: &mut Follower<HttpTransport>, body: &str) {
    let found = timeout(TIMEOUT, async {
        loop {
            let mut expected = follower.position().index + 1;
            let group = follower.next().await.unwrap();
            for batch in &group.batches {
                assert_eq!(batch.index, expected);
                expected += 1;
            }
            assert_eq!(follower.position().index, group.signature.index);
            if group.batches.iter().any(|batch| batch.body == body) {
                return;
            }
        }
    });
    assert!(found.await.is_ok(), "{body} was not finalized");
}

#[tokio::test]
async fn an_app_posts_follows_and_resumes_on_a_network_with_faults() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("devnet");
    let arguments = ["--nodes", "4", "--interval-ms", "20", "--data", data.to_str().unwrap()];
    let faults = ["--faults", "freeze,lie,duplicate", "--every", "2s", "--seed", "3"];
    let _devnet = Devnet::start(&[&arguments[..], &faults].concat());
    let nodes = nodes(&data.join("nodes.json"));

    let client = Client::connect(APP, Network::Fixed(nodes.clone())).await.unwrap();
    // The emulated network loses no batch under these faults.
    client.post(&["first".into(), "second".into()]).await.unwrap();
    let mut follower = client.follow(Position::start());
    wait_for(&mut follower, "second").await;
    let position = follower.position().clone();
    assert!(position.index >= 2);
    drop((follower, client));

    // Another process would do the same from what it stored.
    let client = Client::connect(APP, Network::Fixed(nodes)).await.unwrap();
    client.post(&["third".into()]).await.unwrap();
    let mut follower = client.follow(position.clone());
    wait_for(&mut follower, "third").await;
    assert!(follower.position().index > position.index);
    assert!(client.gateways().iter().any(|gateway| gateway.is_read_from));

    // A start that the network does not continue is a fork, not a failure of one gateway.
    let false_start = Position { index: position.index, chaining_hash: "0".repeat(32) };
    let mut follower = client.follow(false_start);
    match timeout(TIMEOUT, follower.next()).await.unwrap() {
        Err(FollowError::Fork { after, .. }) => assert_eq!(after, position.index),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn batches_that_other_nodes_signed_are_never_returned() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("devnet");
    let arguments = ["--nodes", "4", "--interval-ms", "20", "--data", data.to_str().unwrap()];
    let devnet = Devnet::start(&arguments);
    let others = nodes(&network_vectors().join("equal4/nodes.json"));
    let mut options = ClientOptions::new(APP, Network::Fixed(others));
    options.gateways = devnet.urls("nodes");
    let transport = HttpTransport::new(tokio::runtime::Handle::current()).unwrap();
    let client = Client::open(options.clone(), transport.clone()).await.unwrap();
    client.post(&["body".into()]).await.unwrap();
    let mut follower = client.follow(Position::start());
    let error = timeout(TIMEOUT, async {
        loop {
            match follower.step().await {
                Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(Some(group)) => panic!("{group:?}"),
                Err(error) => return error,
            }
        }
    });
    let error = error.await.unwrap();
    assert!(
        matches!(
            &error,
            FollowError::Page(PageError::Proof {
                error: ProofError::Signature | ProofError::UnknownNonsigner(_),
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!(follower.position(), &Position::start());
    assert!(client.gateways().iter().any(|gateway| gateway.dishonest_answers == 1));

    options.gateways = vec!["http://user:secret@127.0.0.1:1".into()];
    let refused = Client::open(options, transport).await;
    assert!(matches!(refused, Err(ClientError::Gateway(_))));
}

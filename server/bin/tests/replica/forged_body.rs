//! Tests of a gateway that shows one replica another body than the sequenced one, under a valid signature of the
//! network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use zellbook_core::{Action, SecretKey};

use crate::collision::collide;
use crate::harness::{Given, Process, Replica, balance, client, key, number, replay, run, text};

/// A gateway in front of an honest one. It shows the forged body instead of the sequenced one.
struct Liar {
    url: String,
    /// Whether it withholds everything after the signature that covers the forged body.
    withholds: Arc<AtomicBool>,
}

impl Liar {
    async fn start(honest: &str, sequenced: &str, forged: &str) -> Self {
        let withholds = Arc::new(AtomicBool::new(true));
        let (honest, is_withholding) = (honest.to_string(), Arc::clone(&withholds));
        let (sequenced, forged) = (sequenced.to_string(), forged.to_string());
        let answer = move |request: Request| {
            let url = format!("{honest}{}", request.uri());
            let (sequenced, forged) = (sequenced.clone(), forged.clone());
            let withholds = is_withholding.load(Ordering::SeqCst);
            async move { forge(url, &sequenced, &forged, withholds).await }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
        Self { url, withholds }
    }
}

/// The answer of the honest gateway, with the forged body in it.
async fn forge(url: String, sequenced: &str, forged: &str, withholds: bool) -> Response {
    // Its own state would show that it withholds batches.
    let Some((path, after)) = url.split_once("?after=") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let get = async |after: &str| -> Value {
        client().get(format!("{path}?after={after}")).send().await.unwrap().json().await.unwrap()
    };
    let after: u64 = after.parse().unwrap();
    let mut page = get(&after.to_string()).await;
    let whole = get("0").await;
    let bodies = whole["data"]["batches"].as_array().cloned().unwrap_or_default();
    if let Some(position) = bodies.iter().position(|body| body == sequenced) {
        let index = position as u64 + 1;
        let signatures = whole["data"]["finalized_signatures"].as_array().unwrap();
        let mut signed = signatures.iter().map(|signature| signature["index"].as_u64().unwrap());
        let end = signed.find(|signed| *signed >= index).filter(|_| withholds).unwrap_or(u64::MAX);
        if after >= end {
            page["data"] = Value::Null;
        } else if let Some(data) = page["data"].as_object_mut() {
            let kept = usize::try_from(end - after).unwrap_or(usize::MAX);
            data["batches"].as_array_mut().unwrap().truncate(kept);
            let signatures = data["finalized_signatures"].as_array_mut().unwrap();
            signatures.retain(|signature| signature["index"].as_u64().unwrap() <= end);
        }
        for body in page["data"]["batches"].as_array_mut().into_iter().flatten() {
            if body == sequenced {
                *body = forged.into();
            }
        }
    }
    axum::Json(page).into_response()
}

/// A transfer of 9 ETH that was never sequenced: the two bodies, and its hash.
struct Forgery {
    sequenced: String,
    forged: String,
    hash: String,
}

impl Forgery {
    fn new(replica: &Replica, from: &SecretKey, to: &SecretKey) -> Self {
        let transfer = Action::Transfer {
            token: "ETH".into(),
            to: to.public_key(),
            amount: "9".parse().unwrap(),
        };
        let (element, hash) = replica.sign(from, transfer);
        let at = element.find("\"9\"").unwrap() + 1;
        let (sequenced, forged) = collide(&element, at);
        Self { sequenced, forged, hash }
    }

    /// Posts the body as anyone can, and returns the index of its batch.
    async fn post(&self, sequencer: &str, replica: &Replica) -> u64 {
        let request = client().put(format!("{sequencer}/node/zellbook/batches"));
        let request = request.header("content-type", "text/plain").body(self.sequenced.clone());
        assert!(request.send().await.unwrap().status().is_success());
        let is_it = |batch: &&Value| batch["body"] == self.sequenced;
        let find = |body: &Value| body["batches"].as_array()?.iter().find(is_it).cloned();
        let found = replica.until("/v1/batches?after=0", |body| find(body).is_some()).await;
        number(&find(&found).unwrap()["index"])
    }
}

async fn sequencer(folder: &TempDir) -> (Process, Given) {
    let data = folder.path().join("sequencer");
    let arguments = ["--data", data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    (sequencer, Given::network(folder, &data.join("nodes.json")))
}

/// Waits until a replica has everything that another one has, and compares the roots.
async fn agrees(one: &Replica, other: &Replica) {
    let batch = other.batch().await;
    let path = format!("/v1/batches/{batch}");
    let found = one.until(&path, |body| body["root"].is_string()).await;
    assert_eq!(found["root"], other.get(&path).await["root"], "batch {batch}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_gateway_alone_shows_a_forged_transfer_as_sequenced_but_never_as_certified() {
    let folder = TempDir::new().unwrap();
    let (sequencer, network) = sequencer(&folder).await;
    let a = Replica::start(&folder, "a", &network.arguments_of(0)).await;
    let b = Replica::start(&folder, "b", &network.arguments_of(1)).await;
    let (mallory, merchant) = (key(1), key(2));
    a.fund(&[mallory.public_key()]).await;
    a.busy_until(&mallory, "/v1/status", |status| status["certified_batch"].is_string()).await;

    let forgery = Forgery::new(&a, &mallory, &merchant);
    let liar = Liar::start(&sequencer.url, &forgery.sequenced, &forgery.forged).await;
    let with = |gateway: &str| {
        let mut all: Vec<String> = network.arguments().into_iter().map(Into::into).collect();
        all.extend(["--gateway".into(), gateway.into()]);
        all
    };
    let start = async |gateway: &str| {
        let all = with(gateway);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Replica::start(&folder, "victim", &all).await
    };
    let mut victim = start(&liar.url).await;
    assert!(victim.process.log().contains("there is only one gateway"), "{}", victim.process.log());
    victim.until("/v1/status", |status| status["certified_batch"].is_string()).await;

    let index = forgery.post(&sequencer.url, &a).await;
    let path = format!("/v1/transactions/{}", forgery.hash);
    let shown = victim.outcome(&forgery.hash).await;
    assert_eq!(shown["status"], "applied");
    assert_eq!(balance(&victim.account(&merchant).await, "ETH"), "9 + 0");
    // For the others it never happened, and they certify that.
    a.busy_until(&mallory, "/v1/status", |status| {
        status["certified_batch"]
            .as_str()
            .is_some_and(|batch| batch.parse::<u64>().unwrap() >= index)
    })
    .await;
    let (status, _) = a.request(Method::GET, &path, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(balance(&a.account(&merchant).await, "ETH"), "0 + 0");
    // The victim does not say so, however long the liar withholds the rest.
    assert_eq!(victim.get(&path).await["certified"], false);
    assert!(number(&victim.status().await["certified_batch"]) < index);
    let (code, report, log) = replay(&victim.data);
    assert_eq!(code, Some(0), "{log}");
    assert!(
        number(&report["certified_batch"]) < index && number(&report["not_certified"]) > 0,
        "{report}"
    );
    let data = victim.data.to_str().unwrap().to_string();
    let said = text(&run(&["replay", "--from", &data]).stdout);
    assert!(said.contains("sequenced and not certified") && !said.contains("proven"), "{said}");

    // The rest brings the certified roots, which differ.
    liar.withholds.store(false, Ordering::SeqCst);
    assert_eq!(victim.process.exit_code(), Some(5), "{}", victim.process.log());
    let evidence = format!("{data}/evidence.json");
    let verified = run(&["verify", &evidence]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    let again = run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again.stderr));

    let back = run(&["--json", "rollback", "--data", &data]);
    assert!(back.status.success(), "{}", text(&back.stderr));
    let back: Value = serde_json::from_slice(&back.stdout).unwrap();
    assert!(number(&back["batch"]) < index && number(&back["batch"]) > 0, "{back}");
    assert!(number(&back["from"]) >= index, "{back}");
    let at = a.get(&format!("/v1/batches/{}", back["batch"].as_str().unwrap())).await;
    assert_eq!(back["root"], at["root"]);
    let victim = start(&sequencer.url).await;
    agrees(&victim, &a).await;
    let (status, _) = victim.request(Method::GET, &path, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(balance(&victim.account(&merchant).await, "ETH"), "0 + 0");
    assert_eq!(balance(&victim.account(&mallory).await, "ETH"), "10 + 0");
    let (code, _, log) = replay(&victim.data);
    assert_eq!(code, Some(0), "{log}");
    drop(b);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_an_honest_gateway_a_forged_body_halts_the_replica_before_anything_is_certified() {
    let folder = TempDir::new().unwrap();
    let (sequencer, network) = sequencer(&folder).await;
    // One of two replicas: it certifies nothing, so only the comparison can find the forgery.
    let a = Replica::start(&folder, "a", &network.arguments_of(0)).await;
    let (mallory, merchant) = (key(1), key(2));
    a.fund(&[mallory.public_key()]).await;
    let forgery = Forgery::new(&a, &mallory, &merchant);
    let liar = Liar::start(&sequencer.url, &forgery.sequenced, &forgery.forged).await;
    let arguments = network.arguments();
    let both = [&arguments[..], &["--gateway", &liar.url, "--gateway", &sequencer.url]].concat();
    let mut victim = Replica::start(&folder, "victim", &both).await;
    victim.ready().await;
    agrees(&victim, &a).await;
    victim.until("/v1/status", |status| status["compared_batch"].is_string()).await;

    let index = forgery.post(&sequencer.url, &a).await;
    assert_eq!(victim.process.exit_code(), Some(5), "{}", victim.process.log());
    let data = victim.data.to_str().unwrap().to_string();
    let evidence = format!("{data}/evidence.json");
    let found: Value = serde_json::from_slice(&std::fs::read(&evidence).unwrap()).unwrap();
    let found = &found["contradiction"];
    assert_eq!((&found["kind"], &found["batch"]), (&"bodies".into(), &index.to_string().into()));
    let mut named =
        [&found["our_gateway"], &found["their_gateway"]].map(|url| url.as_str().unwrap());
    let mut expected = [&*liar.url, &*sequencer.url];
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
    let ours = found["ours"]["bodies"][0].as_str().unwrap();
    let theirs = found["their_body"].as_str().unwrap();
    let mut bodies = [ours, theirs];
    bodies.sort_unstable();
    let mut expected = [&*forgery.sequenced, &*forgery.forged];
    expected.sort_unstable();
    assert!(bodies == expected);
    let verified = run(&["verify", &evidence]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    let said = text(&verified.stdout);
    assert!(said.contains(&liar.url) && said.contains(&sequencer.url), "{said}");

    let back = run(&["rollback", "--data", &data]);
    assert!(back.status.success(), "{}", text(&back.stderr));
    assert!(text(&back.stdout).contains("to genesis"), "{}", text(&back.stdout));
    let honest = [&arguments[..], &["--gateway", &sequencer.url]].concat();
    let mut victim = Replica::start(&folder, "victim", &honest).await;
    victim.ready().await;
    agrees(&victim, &a).await;
    assert_eq!(balance(&victim.account(&merchant).await, "ETH"), "0 + 0");
    assert!(victim.get(&format!("/v1/batches/{index}")).await["body"] == forgery.sequenced);
}

//! Tests of starting from another replica's snapshot or log of batches. A proxy in front of an honest replica
//! tells every lie that a dishonest one could.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zellbook_core::{Action, Batch, Exchange, Transaction};

use crate::harness::{Replica, balance, client, key, now_ms, number, program, run, text};

/// A replica with orders, trades and withdrawals, and with a certified root after its newest snapshot.
async fn honest(folder: &TempDir, every: &str) -> Replica {
    let mut replica = Replica::start(folder, "honest", &["--snapshot-every", every]).await;
    replica.ready().await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    for line in ["sell 2 ETH/USDT @ 2000", "sell 1 ETH/USDT @ 2001", "buy 0.5 BTC/USDT @ 30000"] {
        replica.order(&alice, line).await;
    }
    replica.order(&bob, "buy 0.5 ETH/USDT @ 2000").await;
    let withdraw = Action::Withdraw {
        token: "USDT".into(),
        amount: "7".parse().unwrap(),
        destination: "bank".into(),
    };
    replica.perform(&bob, withdraw).await;
    loop {
        replica.perform(&bob, Action::CancelAll { market: None }).await;
        let snapshots = replica.get("/v1/snapshots").await;
        let Some(newest) = snapshots["snapshots"].as_array().unwrap().first() else { continue };
        let path = format!("/v1/certified?from={}", newest["batch"].as_str().unwrap());
        if replica.request(Method::GET, &path, "").await.0.is_success() {
            return replica;
        }
    }
}

fn arguments(honest: &Replica) -> Vec<String> {
    let file = |name: &str| honest.data.join(name).to_str().unwrap().to_string();
    ["--genesis", &file("genesis.json"), "--network", &file("nodes.json")].map(Into::into).into()
}

async fn start(folder: &TempDir, name: &str, honest: &Replica, more: &[&str]) -> Replica {
    let arguments = arguments(honest);
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    all.extend(more);
    Replica::start(folder, name, &all).await
}

/// Waits until a replica has all batches of another, and checks that their roots are equal.
async fn reaches(replica: &Replica, other: &Replica) {
    let last = other.batch().await;
    replica.until("/v1/status", |status| number(&status["batch"]) >= last).await;
    let path = format!("/v1/batches/{last}");
    assert_eq!(replica.get(&path).await["root"], other.get(&path).await["root"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_starts_from_a_snapshot_and_continues_like_the_others() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let mut new = start(&folder, "new", &honest, &["--bootstrap", &honest.process.url]).await;
    new.ready().await;
    let status = new.status().await;
    let began = number(&status["start"]);
    assert!(began >= 6, "{status}");
    honest.order(&key(2), "buy 1 ETH/USDT @ 2000").await;
    reaches(&new, &honest).await;
    // Orders placed before the snapshot are open and can be filled.
    let (ours, theirs) = (new.account(&key(1)).await, honest.account(&key(1)).await);
    assert_eq!(ours["balances"], theirs["balances"]);
    let open = |account: &Value| {
        let orders = account["open_orders"].as_array().unwrap();
        let parts = |order: &Value| {
            ["id", "price", "quantity", "remaining", "side", "client_id", "expires_ms"]
                .map(|field| order[field].clone())
        };
        orders.iter().map(parts).collect::<Vec<_>>()
    };
    assert_eq!(open(&ours), open(&theirs));
    assert_eq!(open(&ours).len(), 3);
    // The state contains only the start of the hash of the transaction that placed an order.
    let hash = |account: &Value| account["open_orders"][0]["hash"].as_str().unwrap().to_string();
    assert!(hash(&theirs).starts_with(&hash(&ours)) && hash(&ours).len() >= 16);
    let withdrawal = |account: &Value| {
        let withdrawal = &account["withdrawals"][0];
        ["number", "token", "amount", "destination"].map(|field| withdrawal[field].clone())
    };
    let theirs = withdrawal(&honest.account(&key(2)).await);
    assert_eq!(withdrawal(&new.account(&key(2)).await), theirs);
    assert_eq!(theirs[2], "7");
    let book = "/v1/markets/ETH-USDT/book";
    assert_eq!(new.get(book).await["asks"], honest.get(book).await["asks"]);
    // The error for a batch that it does not have explains why.
    let (code, error) = new.request(Method::GET, &format!("/v1/batches/{began}"), "").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(
        error["error"]["message"].as_str().unwrap().contains("started from a snapshot"),
        "{error}"
    );
    // It is a replica like any other: it accepts orders, can be restarted, and lets others start from it.
    let placed = new.order(&key(2), "buy 0.1 ETH/USDT @ 1000").await;
    assert_eq!(placed["status"], "applied");
    new.process.kill();
    new.process.restart("/readyz").await;
    assert!(new.process.log().contains("not needed"), "{}", new.process.log());
    reaches(&new, &honest).await;
    let (data, other) = (new.data.to_str().unwrap(), honest.process.url.as_str());
    let equal = run(&["diff", data, other]);
    assert_eq!(equal.status.code(), Some(0), "{}", text(&equal.stderr));
    assert!(!new.data.join("bootstrap").exists());
    let replay = run(&["replay", "--from", data]);
    assert_eq!(replay.status.code(), Some(1));
    assert!(text(&replay.stderr).contains("started from a snapshot"), "{}", text(&replay.stderr));
    // Where a replica that started from a snapshot differs at its first batch, the one before may differ too.
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["replica.sqlite", "replica.sqlite-wal", "genesis.json"] {
        let from = new.data.join(name);
        if from.exists() {
            std::fs::copy(from, copy.join(name)).unwrap();
        }
    }
    let store = rusqlite::Connection::open(copy.join("replica.sqlite")).unwrap();
    store.execute("UPDATE batches SET root = zeroblob(32)", []).unwrap();
    drop(store);
    let differs = run(&["diff", "--json", copy.to_str().unwrap(), other]);
    assert_eq!(differs.status.code(), Some(3), "{}", text(&differs.stdout));
    let found: Value = serde_json::from_slice(&differs.stdout).unwrap();
    let first = (began + 1).to_string();
    assert_eq!((&found["batch"], &found["is_first"]), (&first.into(), &false.into()), "{found}");
    assert!(
        text(&differs.stderr).contains("may have differed before"),
        "{}",
        text(&differs.stderr)
    );
    // Such a replica has no log for others to start from, and says so: it is not dishonest.
    let data = folder.path().join("fourth");
    let arguments = ["--bootstrap-log", &new.process.url];
    let (code, said) = refused(&data, &honest, &arguments).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("it started from a snapshot and has only the batches after"), "{said}");
    let mut third = start(&folder, "third", &honest, &["--bootstrap-log", other]).await;
    third.ready().await;
    assert_eq!(balance(&third.account(&key(1)).await, "BTC"), balance(&ours, "BTC"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_an_older_transaction_is_before_the_start_and_not_rejected() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let old = honest.account(&key(1)).await["open_orders"][0]["hash"].as_str().unwrap().to_string();
    let element = honest.get(&format!("/v1/transactions/{old}/signed")).await["element"].clone();
    let new = start(&folder, "new", &honest, &["--bootstrap", &honest.process.url]).await;
    // It used up its nonce, and it was applied. The new replica knows only the first of that.
    for (replica, expected) in [(&new, "before_start"), (&honest, "")] {
        let url = "/v1/transactions";
        let (status, answer) = replica.request(Method::POST, url, element.as_str().unwrap()).await;
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        assert_eq!((status.is_success(), code), (expected.is_empty(), expected), "{answer}");
    }
    // Two with one nonce, both after the start: of these, the outcome is known everywhere.
    let nonce = now_ms() + 1_000;
    let twice = ["ETH/USDT", "BTC/USDT"].map(|market| {
        let transaction = Transaction {
            account: key(1).public_key(),
            signer: None,
            nonce,
            valid_until: None,
            action: Action::CancelAll { market: Some(market.into()) },
        };
        let hash = transaction.hash(&honest.rules.network).to_string();
        (transaction.sign(&honest.rules.network, &key(1)).to_json(), hash)
    });
    let nodes = std::fs::read(honest.data.join("nodes.json")).unwrap();
    let nodes: Value = serde_json::from_slice(&nodes).unwrap();
    let node = nodes.as_object().unwrap().values().next().unwrap()["socket"].as_str().unwrap();
    let body = format!("[{},{},{}]", element.as_str().unwrap(), twice[0].0, twice[1].0);
    let bulk = json!({ honest.rules.genesis.app_name.clone(): [body] }).to_string();
    client().put(format!("{node}/node/batches")).body(bulk).send().await.unwrap();
    for (hash, here, there) in [
        (&old, "before_start", "applied"),
        (&twice[0].1, "applied", "applied"),
        (&twice[1].1, "rejected", "rejected"),
    ] {
        let path = format!("/v1/transactions/{hash}");
        for (replica, expected) in [(&new, here), (&honest, there)] {
            let status = replica.until(&path, |status| status["batch"].is_string()).await;
            assert_eq!(status["status"], expected, "{status}");
            let is_rejected = expected == "rejected";
            assert_eq!(status["reject"]["name"] == "nonce_used", is_rejected, "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_starts_from_an_exchange_that_has_become_quiet() {
    let folder = TempDir::new().unwrap();
    let mut honest = Replica::start(&folder, "honest", &["--snapshot-every", "2"]).await;
    honest.ready().await;
    honest.fund(&[key(1).public_key()]).await;
    honest.order(&key(1), "sell 2 ETH/USDT @ 2000").await;
    // From here on nobody sends anything. The newest snapshot, whichever it is, gets certified all the same.
    let has_one = |body: &Value| body["snapshots"][0]["batch"].is_string();
    let newest = honest.until("/v1/snapshots", has_one).await;
    let newest = newest["snapshots"][0]["batch"].as_str().unwrap().to_string();
    honest.until(&format!("/v1/certified?from={newest}"), |body| body["batch"].is_string()).await;
    let mut new = start(&folder, "new", &honest, &["--bootstrap", &honest.process.url]).await;
    new.ready().await;
    assert!(number(&new.status().await["start"]) >= number(&Value::from(newest)));
    assert_eq!(balance(&new.account(&key(1)).await, "ETH"), "8 + 2");
}

/// Changes a response on its way through the proxy.
type Change = Arc<dyn Fn(&str, &HeaderMap, Bytes) -> Response + Send + Sync>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_downloaded_only_after_its_certified_root_and_its_size_are_checked() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let huge = json_lie("/v1/snapshots", |body| {
        body["snapshots"][0]["bytes"] = "99999999999999".into();
    });
    let uncertified = json_lie("/v1/certified", |body| flip_hex(&mut body["root"]));
    let as_it_is = json_lie("/v1/certified", |_| ());
    for (number, (change, more, expected)) in [
        (uncertified, &[][..], "it does not attest to this root"),
        (huge, &[], "more than the limit of 1073741824"),
        (as_it_is, &["--snapshot-bytes-max", "100"], "use --snapshot-bytes-max "),
    ]
    .into_iter()
    .enumerate()
    {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let change: Change = Arc::new(move |path, headers, bytes| {
            noted.lock().unwrap().push(path.to_string());
            change(path, headers, bytes)
        });
        let liar = proxy(&honest.process.url, change).await;
        let data = folder.path().join(format!("new{number}"));
        let (code, said) = refused(&data, &honest, &[&["--bootstrap", &liar], more].concat()).await;
        assert_ne!(code, Some(0));
        assert!(said.contains(expected), "{said}");
        let asked = asked.lock().unwrap();
        assert!(asked.iter().any(|path| path.starts_with("/v1/certified")), "{asked:?}");
        assert!(!asked.iter().any(|path| path.starts_with("/v1/snapshots/")), "{asked:?}");
    }
}

/// Starts a proxy in front of a replica.
async fn proxy(url: &str, change: Change) -> String {
    let (url, http) = (url.to_string(), client());
    let router = Router::new().fallback(move |request: Request| {
        let (url, http, change) = (url.clone(), http.clone(), Arc::clone(&change));
        async move {
            let path = request.uri().path_and_query().unwrap().as_str().to_string();
            let answer = http.get(format!("{url}{path}")).send().await.unwrap();
            let status = answer.status();
            let bytes = answer.bytes().await.unwrap();
            if !status.is_success() {
                return (status, bytes).into_response();
            }
            change(&path, request.headers(), bytes)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// Changes the JSON of paths that start with `begins`.
fn json_lie(begins: &'static str, lie: impl Fn(&mut Value) + Send + Sync + 'static) -> Change {
    Arc::new(move |path, _, bytes| {
        // Snapshot files are not JSON.
        if !path.starts_with(begins) || path.starts_with("/v1/snapshots/") {
            return bytes.into_response();
        }
        let mut body: Value = serde_json::from_slice(&bytes).unwrap();
        lie(&mut body);
        body.to_string().into_response()
    })
}

/// Replaces the snapshot, and its size and hash in the list accordingly.
fn snapshot_lie(make: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static, url: &str) -> Change {
    let made: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let url = url.to_string();
    let make = Arc::new(make);
    Arc::new(move |path, _, bytes| match path {
        "/v1/snapshots" => {
            let mut body: Value = serde_json::from_slice(&bytes).unwrap();
            let newest = body["snapshots"][0]["batch"].as_str().unwrap().to_string();
            let (url, make) = (url.clone(), Arc::clone(&make));
            let fetch = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    let path = format!("{url}/v1/snapshots/{newest}");
                    client().get(path).send().await.unwrap().bytes().await.unwrap()
                })
            });
            let forged = make(&fetch.join().unwrap());
            body["snapshots"][0]["bytes"] = forged.len().to_string().into();
            body["snapshots"][0]["sha256"] = hex::encode(Sha256::digest(&forged)).into();
            *made.lock().unwrap() = Some(forged);
            body.to_string().into_response()
        }
        path if path.starts_with("/v1/snapshots/") => {
            made.lock().unwrap().clone().unwrap().into_response()
        }
        _ => bytes.into_response(),
    })
}

fn flip_hex(value: &mut Value) {
    let text = value.as_str().unwrap();
    let first = if text.starts_with('0') { "1" } else { "0" };
    *value = format!("{first}{}", &text[1..]).into();
}

/// Runs a new replica until it exits; returns its exit code and standard error.
async fn refused(data: &Path, honest: &Replica, more: &[&str]) -> (Option<i32>, String) {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    command.args(arguments(honest)).args(more);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code(), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lie_about_a_snapshot_is_detected_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let url = honest.process.url.clone();
    let rules = Arc::new(honest.rules.clone());
    let newest = |body: &mut Value, act: &dyn Fn(&mut Value)| act(&mut body["snapshots"][0]);
    let lies: Vec<(&str, Change, &str)> = vec![
        (
            "another root is called certified",
            json_lie("/v1/certified", |body| flip_hex(&mut body["root"])),
            "it does not attest to this root",
        ),
        (
            "nobody signed",
            json_lie("/v1/certified", |body| body["attestations"] = json!([])),
            "have 0 of 1 weight",
        ),
        (
            "a signature is forged",
            json_lie("/v1/certified", |body| {
                let transaction = body["attestations"][0]["transaction"].as_str().unwrap();
                let at = transaction.find("\"signature\":\"").unwrap() + 13;
                let digit = if &transaction[at..=at] == "1" { "2" } else { "1" };
                let forged = format!("{}{digit}{}", &transaction[..at], &transaction[at + 1..]);
                body["attestations"][0]["transaction"] = forged.into();
            }),
            "is not certified: attestation 0: the signature",
        ),
        (
            "the certified batch is an earlier one",
            json_lie("/v1/certified", |body| body["batch"] = "1".into()),
            "it sent one of batch 1",
        ),
        (
            "a thousand attestations",
            json_lie("/v1/certified", |body| {
                body["attestations"] = vec![body["attestations"][0].clone(); 1000].into();
            }),
            "more attestations than",
        ),
        (
            "the hash is another",
            json_lie("/v1/snapshots", move |body| {
                newest(body, &|newest| flip_hex(&mut newest["sha256"]))
            }),
            "has SHA-256",
        ),
        (
            "it is longer than it says",
            json_lie("/v1/snapshots", move |body| {
                newest(body, &|newest| newest["bytes"] = "100".into())
            }),
            "is longer than the 100 bytes",
        ),
        (
            "the list is endless",
            Arc::new(|_, _, _| {
                let piece = Bytes::from(vec![b' '; 1 << 16]);
                Body::from_stream(futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(
                    piece,
                )))
                .into_response()
            }),
            "the response is longer than",
        ),
        (
            "the chain is another",
            json_lie("/v1/snapshots", move |body| {
                newest(body, &|newest| flip_hex(&mut newest["chaining_hash"]))
            }),
            "first_chaining_hash|proves nothing",
        ),
        (
            "the signature under the chain is forged",
            json_lie("/v1/batches", |body| {
                let sign = |batch: &mut Value| batch["proof"]["timestamp"] = "1".into();
                match body["batches"].as_array_mut() {
                    Some(batches) => batches.iter_mut().for_each(sign),
                    None => sign(body),
                }
            }),
            "proves nothing",
        ),
        ("it is cut off", snapshot_lie(|bytes| bytes[..bytes.len() - 9].to_vec(), &url), "damaged"),
        (
            "it is of nothing",
            snapshot_lie(|_| b"nothing".to_vec(), &url),
            "not a Zellbook snapshot",
        ),
        (
            "a balance is raised",
            snapshot_lie(
                |bytes| {
                    let mut bytes = bytes.to_vec();
                    let at = bytes.len() - 200;
                    bytes[at] ^= 1;
                    bytes
                },
                &url,
            ),
            "its snapshot of batch",
        ),
        (
            "it is a true state of other batches",
            snapshot_lie(
                move |bytes| {
                    let last = Exchange::from_snapshot(Arc::clone(&rules), bytes)
                        .unwrap()
                        .counters()
                        .batch;
                    let mut other = Exchange::new(Arc::clone(&rules));
                    for index in 1..=last {
                        other.apply(&Batch::check(&rules, index, b"[]")).unwrap();
                    }
                    other.to_snapshot()
                },
                &url,
            ),
            "but replicas certified",
        ),
    ];
    let count = lies.len();
    for (number, (name, change, expected)) in lies.into_iter().enumerate() {
        let liar = proxy(&url, change).await;
        let data = folder.path().join(format!("new{number}"));
        let (code, said) = refused(&data, &honest, &["--bootstrap", &liar]).await;
        assert_eq!(code, Some(3), "{name}: {said}");
        assert!(expected.split('|').any(|part| said.contains(part)), "{name}: {said}");
        assert!(said.contains("nothing from it was kept"), "{name}: {said}");
        assert!(
            !data.join("replica.sqlite").exists() && !data.join("bootstrap").exists(),
            "{name}"
        );
    }
    assert_eq!(count, 14);
    // After a lie, the same data directory can still start from an honest replica.
    let mut new = start(&folder, "new3", &honest, &["--bootstrap", &url]).await;
    new.ready().await;
    reaches(&new, &honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_download_that_is_too_slow_is_given_up() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let slow: Change = Arc::new(|path, _, bytes| {
        if !path.starts_with("/v1/snapshots/") {
            return bytes.into_response();
        }
        let pieces = futures_util::stream::iter(bytes.to_vec()).then(|byte| async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok::<_, std::io::Error>(vec![byte])
        });
        Body::from_stream(pieces).into_response()
    });
    let liar = proxy(&honest.process.url, slow).await;
    let data = folder.path().join("new");
    let (code, said) = refused(&data, &honest, &["--bootstrap", &liar]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("slower than any link"), "{said}");
    assert!(!data.join("replica.sqlite").exists() && !data.join("bootstrap").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_resumes_after_a_crash() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let ranges: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let asked = Arc::clone(&ranges);
    // The first response stalls half-way; the later ones honour the range.
    let change: Change = Arc::new(move |path, headers, bytes| {
        if !path.starts_with("/v1/snapshots/") {
            return bytes.into_response();
        }
        let range = headers.get("range").map(|range| range.to_str().unwrap().to_string());
        let is_first = asked.lock().unwrap().is_empty();
        asked.lock().unwrap().push(range.clone());
        if is_first {
            let half = bytes.slice(..bytes.len() / 2);
            let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(half)])
                .chain(futures_util::stream::pending());
            return Body::from_stream(pieces).into_response();
        }
        let from: usize = range.unwrap()[6..].trim_end_matches('-').parse().unwrap();
        let content_range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        (StatusCode::PARTIAL_CONTENT, [("content-range", content_range)], bytes.slice(from..))
            .into_response()
    });
    let url = proxy(&honest.process.url, change).await;
    let data = folder.path().join("new");
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let mut first = command.args(arguments(&honest)).args(["--bootstrap", &url]).spawn().unwrap();
    let partial = || {
        let entries = std::fs::read_dir(data.join("bootstrap")).ok()?;
        entries.flatten().find_map(|entry| entry.metadata().ok().map(|data| data.len()))
    };
    while partial().is_none_or(|length| length == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let had = partial().unwrap();
    let mut new = start(&folder, "new", &honest, &["--bootstrap", &url]).await;
    new.ready().await;
    reaches(&new, &honest).await;
    assert_eq!(*ranges.lock().unwrap(), [None, Some(format!("bytes={had}-"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_catches_up_from_anothers_log_without_the_network_and_detects_every_lie() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    let last = honest.batch().await;
    // No gateway responds.
    let dead = ["--gateway", "http://127.0.0.1:9"];
    let lies: [(&str, Change, &str); 4] = [
        (
            "a body is another",
            json_lie("/v1/batches", |body| {
                for batch in body["batches"].as_array_mut().unwrap() {
                    if number(&batch["index"]) == 5 {
                        batch["body"] = "[]".into();
                    }
                }
            }),
            "over batch 5 proves nothing|proves nothing",
        ),
        (
            "a batch is left out",
            json_lie("/v1/batches", |body| {
                body["batches"].as_array_mut().unwrap().remove(2);
            }),
            "is out of sequence",
        ),
        (
            "the proofs are of others",
            json_lie("/v1/batches", |body| {
                for batch in body["batches"].as_array_mut().unwrap() {
                    batch["proof"]["signature"] = "1 1 2".into();
                }
            }),
            "proves nothing",
        ),
        (
            "it begins elsewhere",
            json_lie("/v1/batches", |body| {
                flip_hex(&mut body["batches"][0]["chaining_hash"]);
            }),
            "first_chaining_hash",
        ),
    ];
    let data = folder.path().join("new");
    for (name, change, expected) in lies {
        let liar = proxy(&honest.process.url, change).await;
        let more = [&dead[..], &["--bootstrap-log", &liar]].concat();
        let (code, said) = refused(&data, &honest, &more).await;
        assert_eq!(code, Some(3), "{name}: {said}");
        assert!(expected.split('|').any(|part| said.contains(part)), "{name}: {said}");
    }
    // Batches proven before a lie are kept, and the honest log continues from there.
    let more = [&dead[..], &["--bootstrap-log", &honest.process.url]].concat();
    let new = start(&folder, "new", &honest, &more).await;
    assert!(new.batch().await >= last);
    let path = format!("/v1/batches/{last}");
    assert_eq!(new.get(&path).await["root"], honest.get(&path).await["root"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_log_could_not_prove_is_not_held_against_the_gateway_that_follows() {
    let folder = TempDir::new().unwrap();
    let honest = honest(&folder, "6").await;
    // At the end of the log, the other replica invents one more batch, under a signature that covers it only
    // together with later ones.
    let state: Mutex<(Option<Value>, bool)> = Mutex::default();
    let lie = json_lie("/v1/batches", move |body| {
        let batches = body["batches"].as_array_mut().unwrap();
        let (last, has_ended) = &mut *state.lock().unwrap();
        if *has_ended {
            batches.clear();
        } else if let Some(sent) = batches.last() {
            *last = Some(sent.clone());
        } else {
            let mut invented = last.take().unwrap();
            let next = number(&invented["index"]) + 1;
            let hash = invented["chaining_hash"].as_str().unwrap();
            invented["chaining_hash"] = zellular::chain(hash, "[]").into();
            invented["body"] = "[]".into();
            invented["index"] = next.to_string().into();
            invented["proof"]["index"] = (next + 5).to_string().into();
            batches.push(invented);
            *has_ended = true;
        }
    });
    let liar = proxy(&honest.process.url, lie).await;
    let new = start(&folder, "new", &honest, &["--bootstrap-log", &liar]).await;
    for _ in 0..3 {
        honest.perform(&key(2), Action::CancelAll { market: None }).await;
    }
    reaches(&new, &honest).await;
    let gateway = new.status().await["gateways"][0].clone();
    assert_eq!(gateway["failures"], "0", "{gateway}");
}

//! A replica whose root is not the one that replicas certify.

use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use zellbook_core::transaction::Action;

use crate::harness::{Replica, key, new_key, now_ms, run, text};

#[tokio::test]
async fn it_halts_with_both_roots_and_does_not_start_again() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (issuer_key, data) = (file("issuer.key"), file("data"));
    let issuer = new_key(&issuer_key);
    std::fs::create_dir(&data).unwrap();
    // The one replica of genesis is not this one, and lies.
    let liar = key(5);
    let (public_key, genesis) = (liar.public_key().to_string(), file("data/genesis.json"));
    let arguments =
        ["genesis", "new", "--faucet", "--issuer", &issuer, "--replica", &public_key, "--out"];
    assert!(run(&[&arguments[..], &[&genesis]].concat()).status.success());
    let mut replica = Replica::start(&folder, "data", &["--issuer-key", &issuer_key]).await;
    replica.fund(&[key(1).public_key()]).await;
    let ours = replica.get("/v1/batches/1").await["root"].as_str().unwrap().to_string();
    let mut root = [0; 32];
    hex::decode_to_slice(&ours, &mut root).unwrap();
    let attest = |batch, root| Action::Attest { batch, root, clock: now_ms() };
    let honest = replica.act(&liar, attest(1, root)).await;
    assert_eq!(honest["status"], "applied", "{honest}");
    let status = replica.status().await;
    assert_eq!(
        (&status["certified_batch"], &status["certified_root"]),
        (&"1".into(), &ours.into())
    );

    let last = replica.batch().await;
    let ours = status["root"].as_str().unwrap();
    let (json, _) = replica.sign(&liar, attest(last, [7; 32]));
    replica.submit(&json).await;
    assert_eq!(replica.process.exit_code(), Some(5));
    let log = replica.process.log();
    assert!(log.contains(&format!("certified the root {}", "07".repeat(32))), "{log}");
    assert!(log.contains(&format!("but ours is {ours}")), "{log}");
    let again = run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    assert_eq!(again.status.code(), Some(5));
    let message = text(&again.stderr);
    assert!(message.contains(&"07".repeat(32)) && message.contains(ours), "{message}");
    // The evidence is there, anyone can check it, and an audit finds it.
    let evidence = file("data/evidence.json");
    let checked = run(&["verify", &evidence]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("with weight 1 of 1, signed the state root"));
    let missing = run(&["verify", &file("no.json")]);
    assert!(missing.status.code() == Some(1) && text(&missing.stderr).contains("no.json"));
    std::fs::copy(&evidence, file("alone.json")).unwrap();
    let alone = run(&["verify", &file("alone.json")]);
    assert_eq!(alone.status.code(), Some(2), "{}", text(&alone.stderr));
    assert!(text(&alone.stderr).contains("--genesis"), "{}", text(&alone.stderr));
    let forged =
        std::fs::read_to_string(&evidence).unwrap().replace(&"07".repeat(32), &"08".repeat(32));
    std::fs::write(file("data/forged.json"), forged).unwrap();
    let refused = run(&["verify", &file("data/forged.json")]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stdout));
    // An honest replica of the same batches and this one have the same, and one of other batches has not.
    let copy = file("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["genesis.json", "replica.sqlite", "replica.sqlite-wal"] {
        let from = format!("{data}/{name}");
        if std::path::Path::new(&from).exists() {
            std::fs::copy(from, format!("{copy}/{name}")).unwrap();
        }
    }
    let equal = run(&["diff", &data, &copy]);
    assert_eq!(equal.status.code(), Some(0), "{}", text(&equal.stderr));
    let store = rusqlite::Connection::open(format!("{copy}/replica.sqlite")).unwrap();
    store.execute("UPDATE batches SET root = zeroblob(32) WHERE idx >= 2", []).unwrap();
    drop(store);
    let differs = run(&["diff", "--json", &data, &copy]);
    assert_eq!(differs.status.code(), Some(3), "{}", text(&differs.stdout));
    let found: serde_json::Value = serde_json::from_slice(&differs.stdout).unwrap();
    assert_eq!((&found["batch"], &found["differs"]), (&"2".into(), &"root".into()), "{found}");
    // Without it the store still knows.
    std::fs::rename(&evidence, file("evidence.json")).unwrap();
    let again = run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    assert_eq!(again.status.code(), Some(5));
    let audit = run(&["replay", "--from", &data]);
    assert_eq!(audit.status.code(), Some(3));
    assert!(text(&audit.stderr).contains("replicas certified the root"), "{}", text(&audit.stderr));
}

#[tokio::test]
async fn a_key_that_genesis_does_not_name_attests_to_nothing() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("other.key").to_str().unwrap().to_string();
    new_key(&other);
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let stranger =
        replica.act(&key(1), Action::Attest { batch: 0, root: [0; 32], clock: now_ms() }).await;
    assert_eq!(stranger["reject"]["name"], "not_replica");
    assert_eq!(replica.process.terminate(), Some(0));
    let data = replica.data.to_str().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data, "--replica-key", &other];
    let refused = run(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    let message = text(&refused.stderr);
    assert!(message.contains("is not one of the replicas in genesis"), "{message}");
    let mut again = Replica::start(&folder, "data", &[]).await;
    again.ready().await;
    let (status, _) = again.request(Method::GET, "/v1/markets", "").await;
    assert_eq!(status, StatusCode::OK);
}

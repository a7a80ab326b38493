//! Tests of a replica whose root differs from the certified one.

use tempfile::TempDir;
use zellbook_core::Action;

use crate::harness::{Replica, key, new_key, now_ms, run, text};

#[tokio::test]
async fn a_different_certified_root_halts_the_replica_for_good() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (issuer_key, data) = (file("issuer.key"), file("data"));
    let issuer = new_key(&issuer_key);
    std::fs::create_dir(&data).unwrap();
    // The only replica in genesis is another one, and it attests to a false root.
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
    let honest = replica.perform(&liar, attest(1, root)).await;
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
    // The halt evidence is stored, `verify` confirms it, and `replay` finds the same.
    let evidence = file("data/evidence.json");
    let checked = run(&["verify", &evidence]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("with weight 1 of 1, signed the state root"));
    // The file cannot show what is not in it.
    assert!(!text(&checked.stdout).contains("Nobody else"), "{}", text(&checked.stdout));
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
    // `diff` finds no difference to an honest replica of the same batches, but one to a replica of others.
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
    assert_eq!(found["is_first"], true);
    // A root of another length is damage too, wherever it is read.
    for length in [31, 33] {
        let store = rusqlite::Connection::open(format!("{copy}/replica.sqlite")).unwrap();
        store.execute(&format!("UPDATE batches SET root = zeroblob({length})"), []).unwrap();
        drop(store);
        std::fs::copy(format!("{data}/nodes.json"), format!("{copy}/nodes.json")).unwrap();
        let damaged = run(&["replay", "--from", &copy]);
        assert_eq!(damaged.status.code(), Some(3), "{}", text(&damaged.stderr));
    }
    // Without the evidence file, the store still refuses to start.
    std::fs::rename(&evidence, file("evidence.json")).unwrap();
    let again = run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    assert_eq!(again.status.code(), Some(5));
    let audit = run(&["replay", "--from", &data]);
    assert_eq!(audit.status.code(), Some(3));
    assert!(text(&audit.stderr).contains("replicas certified the root"), "{}", text(&audit.stderr));
}

#[tokio::test]
async fn a_replica_that_genesis_does_not_name_does_not_attest() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("other.key").to_str().unwrap().to_string();
    new_key(&other);
    let mut replica = Replica::start(&folder, "data", &[]).await;
    replica.fund(&[key(1).public_key()]).await;
    let attest = Action::Attest { batch: 0, root: [0; 32], clock: now_ms() };
    let (stranger, _) = replica.sign(&key(1), attest);
    assert_eq!(replica.refused(&stranger).await["code"], "not_replica");
    assert_eq!(replica.process.terminate(), Some(0));
    let mut again = Replica::start(&folder, "data", &["--replica-key", &other]).await;
    again.ready().await;
    let log = again.process.log();
    assert!(log.contains("this replica does not attest") && log.contains("--replica-key"), "{log}");
    // The transaction is applied by the follower too, which signs its receipt with the given key.
    let cancelled = again.perform(&key(1), Action::CancelAll { market: None }).await;
    assert_eq!(cancelled["status"], "applied", "{cancelled}");
    let replicas = again.get("/v1/replicas").await;
    assert_eq!(replicas["replicas"][0]["is_this"], false, "{replicas}");
}

//! Checks that the worked examples of `docs/protocol.md` contain what the program computes, because other
//! implementations are written from them. `ZELLBOOK_BLESS=1 cargo test -p zellbook-core --test specification`
//! corrects the values in the document after a change of the protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use zellbook_core::state::ProofEnd;
use zellbook_core::types::{Scheme, TokenIndex};
use zellbook_core::{
    Batch, Exchange, Genesis, LeafKey, Proof, PublicKey, Rules, SecretKey, SignedTransaction,
    Transaction,
};

const TRADER: u8 = 7;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

/// The document while its values are replaced by those that the program computes.
struct Specification(String);

impl Specification {
    /// Returns the text between two markers, the second after the first.
    fn between(&self, before: &str, after: &str) -> String {
        let start = self.0.find(before).unwrap_or_else(|| panic!("{before}")) + before.len();
        let length = self.0[start..].find(after).unwrap_or_else(|| panic!("{after}"));
        self.0[start..start + length].to_string()
    }

    /// Replaces the value between two markers, and every other occurrence of it if it is long enough to be the
    /// same value.
    fn correct(&mut self, before: &str, after: &str, value: &str) {
        let old = self.between(before, after);
        if old.len() >= 16 {
            self.0 = self.0.replace(&old, value);
        } else {
            let (old, new) = (format!("{before}{old}{after}"), format!("{before}{value}{after}"));
            self.0 = self.0.replace(&old, &new);
        }
    }

    fn rules(&mut self) -> Arc<Rules> {
        let start = "```json\n{\"version\":1,\"name\":\"Zellbook development\"";
        let genesis = format!("{}{}", &start[8..], self.between(start, "```")).replace('\n', "");
        let rules = Genesis::read(genesis.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&rules.genesis).unwrap(), genesis, "compact JSON");
        self.correct("This line (", " bytes", &genesis.len().to_string());
        self.correct("has the network id\n`", "`", &rules.network.to_string());
        Arc::new(rules)
    }

    /// The JSON objects of section 4 without line breaks and indentation.
    fn objects(&self) -> Vec<String> {
        let block = self.between("are for the reader).\n\n```json\n", "```");
        block
            .split("\n\n")
            .map(|object| object.lines().map(str::trim).collect::<String>())
            .collect()
    }

    /// Signs every object of section 4 with the key that it names.
    fn sign(&mut self, rules: &Rules) -> Vec<SignedTransaction> {
        let objects = self.objects();
        objects
            .iter()
            .map(|json| {
                let mut fields: serde_json::Map<String, Value> =
                    serde_json::from_str(json).unwrap();
                let signature = fields.remove("signature").unwrap();
                assert_eq!(fields.remove("scheme").unwrap(), "raw");
                let json = Value::Object(fields).to_string();
                let nobody: PublicKey = key(1).public_key();
                let transaction = Transaction::from_json_unsigned(&json, nobody, 0).unwrap();
                let signing = transaction.signing_key();
                let seed = (7..12).find(|seed| key(*seed).public_key() == signing).unwrap();
                let signed = transaction.sign(&rules.network, &key(seed));
                let right = signed.signature.to_string();
                self.0 = self.0.replace(signature.as_str().unwrap(), &right);
                signed
            })
            .collect()
    }

    fn object(&self, kind: &str) -> String {
        let start = format!("{{\"kind\":\"{kind}\"");
        self.objects().into_iter().find(|object| object.starts_with(&start)).unwrap()
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A proof as the document shows it.
fn shown(proof: &Proof) -> String {
    let bytes = hex(&proof.to_bytes());
    let siblings: String = proof.siblings.iter().map(|sibling| hex(sibling) + "\n").collect();
    let end = match &proof.end {
        ProofEnd::Empty => "00".to_string(),
        ProofEnd::Leaf => "01".to_string(),
        ProofEnd::OtherLeaf { path, value } => format!("02\n{}\n{}", hex(path), hex(value)),
    };
    let text = format!("{} {}\n{siblings}{end}\n", &bytes[..4], &bytes[4..6]);
    assert_eq!(text.replace(['\n', ' '], ""), bytes, "the example has no empty sibling");
    text
}

/// Parses the leaves of the document's text block.
fn leaves(block: &str) -> BTreeMap<String, String> {
    let mut leaves: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        let digits = line.replace(' ', "");
        match leaves.last_mut() {
            Some((_, value)) if line.starts_with(' ') => {
                value.push_str(if digits == "(empty)" { "" } else { &digits });
            }
            _ => leaves.push((digits, String::new())),
        }
    }
    leaves.into_iter().collect()
}

fn corrected(document: &str) -> String {
    let mut document = Specification(document.to_string());
    let rules = document.rules();

    // The transactions of section 4. A later one names the hash of the first order.
    let signed = document.sign(&rules);
    let text = signed[0].transaction.text(&rules.network);
    let digest = document.between("| digest of `raw` | `", "`");
    document.0 = document.0.replace(&digest[..16], &hash(&text)[..16]);
    document.0 = document.0.replace(&digest[16..], &hash(&text)[16..]);
    document.correct("| digest of `eip191` | `", "`", &hex(&Scheme::Eip191.digest(&text)));
    let eip191 = key(TRADER).sign(Scheme::Eip191, &text).to_string();
    document.correct("has the same hash and this signature:\n\n```text\n", "\n", &eip191);
    let bytes = (hex(&text.as_bytes()[..12]), &text[..12]);
    document.correct("It starts with the bytes `", "`)", &format!("{}` (`{}", bytes.0, bytes.1));
    let second = signed[1].transaction.text(&rules.network);
    document.correct("Its hash is\n`", "`", &hash(&second));
    let signed = document.sign(&rules);
    for shown in [&signed[0], &signed[1]] {
        let text = shown.transaction.text(&rules.network);
        assert!(document.0.contains(&format!("```text\n{text}\n```")), "{text}");
    }
    let hash_of_first = signed[0].transaction.hash(&rules.network).to_string();
    assert!(document.object("cancel").contains("\"order\""));
    assert!(document.0.contains(&format!("\"transaction\":\"{hash_of_first}\"")));

    // The worked example of section 18.
    let mut exchange = Exchange::new(Arc::clone(&rules));
    document.correct("| 0 | the network id | `", "`", &hex(&exchange.root()));
    for (index, kind) in [(1, "deposit"), (2, "order"), (3, "attest"), (4, "")] {
        if index == 3 {
            document.sign(&rules);
        }
        let object = if kind.is_empty() { String::new() } else { document.object(kind) };
        let body = format!("[{object}]");
        assert!(document.0.contains(&format!(" | {} |\n", body.len())), "{index}");
        let outcome = exchange.apply(&Batch::check(&rules, index, body.as_bytes())).unwrap();
        assert!(outcome.transactions.iter().all(|outcome| outcome.result.is_ok()), "{index}");
        let (chain, root) = (hex(&exchange.counters().body_chain), hex(&outcome.root));
        let table = document.between("| after batch |", "\n\n");
        let row = table.split_once(&format!("\n| {index} | `")).unwrap().1;
        let old = row.lines().next().unwrap().strip_suffix("` |").unwrap();
        let (old_chain, old_root) = old.split_once("` | `").unwrap();
        document.0 = document.0.replace(old_chain, &chain).replace(old_root, &root);
    }
    let written = leaves(
        document
            .between("The leaves after batch 4", "```\n\n## 19")
            .split_once("```text\n")
            .unwrap()
            .1,
    );
    let stored = exchange.engine().leaves();
    let stored = stored.iter().map(|(key, value)| (hex(key), hex(value))).collect();
    assert_eq!(written, stored);

    // The proofs of section 19 and the snapshot of section 20.
    let trader = key(TRADER).public_key();
    let balance = LeafKey::Balance(trader, TokenIndex(2));
    for (title, key) in [
        ("3001.5 locked (key `02`, account, `0002`;", balance),
        (
            "That order 6 is no open order of the trader (key `04`, account, `0000000000000006`;",
            LeafKey::Order(trader, 6),
        ),
        ("The same for order 2 (", LeafKey::Order(trader, 2)),
    ] {
        let (value, proof) = exchange.prove(&key);
        proof.verify(&exchange.root(), &key.to_bytes(), value.as_deref()).unwrap();
        let length = document.between(title, " bytes)").trim().to_string();
        assert_eq!(length, proof.to_bytes().len().to_string(), "{title}");
        let old =
            document.between(title, "\n```\n\n").split_once("```text\n").unwrap().1.to_string();
        document.0 = document.0.replace(&(old + "\n"), &shown(&proof));
    }
    let snapshot = exchange.to_snapshot();
    document.correct(
        "of the state after batch 4 of section 18 has ",
        " bytes",
        &snapshot.len().to_string(),
    );
    document.correct("and the counters. Its SHA-256 is\n`", "`", &hex(&Sha256::digest(&snapshot)));
    document.0
}

#[test]
fn the_examples_of_the_specification_match_what_the_program_computes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let document = std::fs::read_to_string(path).unwrap();
    let right = corrected(&document);
    if std::env::var_os("ZELLBOOK_BLESS").is_some() {
        std::fs::write(path, &right).unwrap();
    }
    for (line, (written, right)) in (1..).zip(document.lines().zip(right.lines())) {
        assert_eq!(written, right, "docs/protocol.md, line {line}");
    }
    assert_eq!(document, right);
}

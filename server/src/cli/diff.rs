//! `zellbook diff`: finds the first batch where two replicas differ, by bisection over their batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use zellbook_core::Rules;
use zellbook_core::wire::{BatchBody, StatusBody};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::output::Output;
use crate::config::read_genesis;
use crate::store::Reader;

#[derive(Args)]
pub struct DiffArguments {
    /// Data directory or URL of a replica
    #[arg(value_name = "DIR|URL")]
    first: String,
    /// Data directory or URL of another replica of the same network
    #[arg(value_name = "DIR|URL")]
    second: String,
}

enum Source {
    Url(Client),
    Folder(Reader),
}

/// One of the two replicas.
struct Side {
    name: String,
    source: Source,
    network: String,
    /// The index before its first batch: 0, or that of the snapshot that it started from.
    start: u64,
    last: u64,
}

fn number(name: &str, text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| format!("{name}: {text:?} is not a whole number").into())
}

impl Side {
    async fn open(name: &str) -> Result<Self, Failure> {
        if name.starts_with("http://") || name.starts_with("https://") {
            let client = Client::new(name)?;
            let status: StatusBody = client.get("/v1/status").await?;
            return Ok(Self {
                name: name.into(),
                source: Source::Url(client),
                network: status.network,
                start: number(name, &status.start)?,
                last: number(name, &status.batch)?,
            });
        }
        let folder = Path::new(name);
        let path: PathBuf = folder.join("replica.sqlite");
        if !path.exists() {
            let path = path.display();
            return Err(format!(
                "{path} does not exist; is {name} the data directory of a replica?"
            )
            .into());
        }
        let rules: Arc<Rules> = Arc::new(read_genesis(&folder.join("genesis.json"))?);
        let network = rules.network.to_string();
        let reader = Reader::new(&path, rules);
        let (start, last) = reader.read_now(|view| Ok((view.start()?, view.last_batch()?)))?;
        Ok(Self { name: name.into(), source: Source::Folder(reader), network, start, last })
    }

    async fn batch(&self, index: u64) -> Result<BatchBody, Failure> {
        let batch = match &self.source {
            Source::Url(client) => client.get(&format!("/v1/batches/{index}")).await?,
            Source::Folder(reader) => {
                // `index` is above both replicas' starts, so it is at least 1. With a limit of 0 bytes
                // there is exactly one batch.
                let found = reader.read_now(|view| view.batches(index - 1, 0))?;
                found
                    .into_iter()
                    .next()
                    .ok_or_else(|| format!("{} has no batch {index}", self.name))?
            }
        };
        if batch.index == index.to_string() {
            Ok(batch)
        } else {
            Err(format!("{} sent batch {} instead of batch {index}", self.name, batch.index).into())
        }
    }
}

struct Difference {
    index: u64,
    first: BatchBody,
    second: BatchBody,
}

impl Difference {
    fn kind(&self) -> &'static str {
        // The cause comes first: other bodies give another chaining hash, and both give another root.
        if self.first.body != self.second.body {
            "body"
        } else if self.first.chaining_hash != self.second.chaining_hash {
            "chaining_hash"
        } else {
            "root"
        }
    }
}

/// Bisects for the first batch after `same` that differs; `same` itself is not compared. Bisection is correct because all batches after
/// a different one differ too: the root commits to the chain of all bodies and to the whole state.
async fn find(
    first: &Side,
    second: &Side,
    mut same: u64,
    last: u64,
) -> Result<Option<Difference>, Failure> {
    let differs = async |index| {
        let (one, other) = (first.batch(index).await?, second.batch(index).await?);
        // Bodies are compared too, because two bodies can have the same xxh128, and so the same chain.
        let equal = (&one.root, &one.chaining_hash) == (&other.root, &other.chaining_hash)
            && one.body == other.body;
        let difference = Difference { index, first: one, second: other };
        Ok::<_, Failure>((!equal).then_some(difference))
    };
    // If the last common batch is equal, so are all before it, and one comparison is enough.
    let Some(mut difference) = differs(last).await? else { return Ok(None) };
    while difference.index - same > 1 {
        let middle = same + (difference.index - same) / 2;
        match differs(middle).await? {
            Some(earlier) => difference = earlier,
            None => same = middle,
        }
    }
    Ok(Some(difference))
}

pub fn diff(arguments: DiffArguments, output: Output) -> Result<(), Failure> {
    block_on(async move {
        let (first, second) =
            (Side::open(&arguments.first).await?, Side::open(&arguments.second).await?);
        if first.network != second.network {
            return Err(Failure::difference(format!(
                "{} belongs to network {} and {} to network {}: they have no common history",
                first.name, first.network, second.name, second.network
            )));
        }
        let (start, last) = (first.start.max(second.start), first.last.min(second.last));
        if last <= start {
            return Err(format!(
                "the replicas have no batch in common: one starts after batch {start}, the other ends at batch {last}"
            )
            .into());
        }
        let from = start + 1;
        let Some(difference) = find(&first, &second, start, last).await? else {
            output.print(
                || {
                    format!(
                        "batches {from} to {last} are equal: bodies, chaining hashes and state roots"
                    )
                },
                || json!({ "equal": true, "from": from.to_string(), "to": last.to_string() }),
            );
            return Ok(());
        };
        let Difference { index, first: one, second: other } = &difference;
        let kind = difference.kind();
        // One of the two started from a snapshot and has nothing of what was before, so the states may have
        // differed there already.
        let is_first = *index > from || start == 0;
        let side = |side: &Side, batch: &BatchBody| {
            format!(
                "{}\n  root           {}\n  chaining hash  {}\n  effects        {} applied, {} rejected\n  body           {} bytes\n",
                side.name,
                batch.root,
                batch.chaining_hash,
                batch.applied,
                batch.rejected,
                batch.body.len()
            )
        };
        output.print(
            || {
                let what = match kind {
                    "body" => "the bodies differ: the replicas follow two histories, or one of them is dishonest",
                    "chaining_hash" => "the bodies are equal, but the network's chaining hashes differ",
                    _ => "the bodies are equal, but the state roots differ: one of the replicas runs a wrong program or has a damaged disk",
                };
                format!("batch {index}: {what}\n{}{}", side(&first, one), side(&second, other))
            },
            || {
                json!({
                    "equal": false, "batch": index.to_string(), "from": from.to_string(),
                    "is_first": is_first, "differs": kind, "first": one, "second": other,
                })
            },
        );
        Err(Failure::difference(if is_first {
            format!("batch {index} is the first one that differs")
        } else {
            format!(
                "batch {index} differs, and is the first one that both have: one of them started from a snapshot after batch {start}, so they may have differed before"
            )
        }))
    })
}

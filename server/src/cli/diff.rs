//! `zellbook diff`: the first batch where two replicas differ.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use zellbook_core::genesis::Rules;
use zellbook_core::wire::{BatchBody, StatusBody};

use super::client::Client;
use super::{Failure, Output, block_on};
use crate::config::read_genesis;
use crate::store::Reader;

#[derive(Args)]
pub struct DiffArguments {
    /// URL or data directory of a replica
    #[arg(value_name = "DIR|URL")]
    first: String,
    /// URL or data directory of another replica of the same network
    #[arg(value_name = "DIR|URL")]
    second: String,
}

/// Where the batches of a replica are read.
enum Source {
    Url(Client),
    Folder(Reader),
}

/// A replica, and which batches it has.
struct Side {
    name: String,
    source: Source,
    network: String,
    /// The batch before its first.
    start: u64,
    last: u64,
}

fn number(name: &str, text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| format!("{name}: {text:?} is no whole number").into())
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
            return Err(
                format!("{} is not there; is {name} a data directory?", path.display()).into()
            );
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
                let found = reader.read_now(|view| view.batches(index - 1, 0))?;
                found
                    .into_iter()
                    .next()
                    .ok_or_else(|| format!("{}: no batch {index}", self.name))?
            }
        };
        if batch.index == index.to_string() {
            Ok(batch)
        } else {
            Err(format!("{}: asked for batch {index}, it gave {}", self.name, batch.index).into())
        }
    }
}

/// A batch where two replicas differ.
struct Difference {
    index: u64,
    first: BatchBody,
    second: BatchBody,
}

impl Difference {
    fn kind(&self) -> &'static str {
        if self.first.body != self.second.body {
            "body"
        } else if self.first.chaining_hash != self.second.chaining_hash {
            "chaining_hash"
        } else {
            "root"
        }
    }
}

/// Bisects for the first batch after `same` that differs. What follows a batch that differs differs
/// too: the root is over the chain of all bodies and over the whole state.
async fn find(
    first: &Side,
    second: &Side,
    mut same: u64,
    last: u64,
) -> Result<Option<Difference>, Failure> {
    let differs = async |index| {
        let (one, other) = (first.batch(index).await?, second.batch(index).await?);
        let equal = (&one.root, &one.chaining_hash) == (&other.root, &other.chaining_hash)
            && one.body == other.body;
        let difference = Difference { index, first: one, second: other };
        Ok::<_, Failure>((!equal).then_some(difference))
    };
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
                "{} is of network {}, {} of {}: they share nothing",
                first.name, first.network, second.name, second.network
            )));
        }
        let (start, last) = (first.start.max(second.start), first.last.min(second.last));
        if last <= start {
            return Err(format!(
                "they have no batch in common: one has none up to {start}, the other none after {last}"
            )
            .into());
        }
        let Some(difference) = find(&first, &second, start, last).await? else {
            let from = start + 1;
            output.print(
                || format!("equal from batch {from} to {last}: bodies, chain and roots"),
                || json!({ "equal": true, "from": from.to_string(), "to": last.to_string() }),
            );
            return Ok(());
        };
        let Difference { index, first: one, second: other } = &difference;
        let kind = difference.kind();
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
                    "body" => "the bodies differ: they follow two histories, or one of them lies",
                    "chaining_hash" => "the bodies are equal, the network's chain before them is not",
                    _ => "the body is equal and was applied differently: one of the two programs or disks is wrong",
                };
                format!("batch {index}: {what}\n{}{}", side(&first, one), side(&second, other))
            },
            || json!({ "equal": false, "batch": index.to_string(), "differs": kind, "first": one, "second": other }),
        );
        Err(Failure::difference(format!("batch {index} is the first that differs")))
    })
}

//! Measures a replica that catches up with a history from a sequencer, both of them the real program with its files on disk.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::history::History;
use crate::process::Server;
use crate::yardstick::Yardstick;

/// How many bodies the sequencer is sent at once.
const BODIES_AT_ONCE: usize = 50;
/// The sequencer has a new group of signed batches after so many milliseconds.
const INTERVAL_MS: &str = "20";
const PAUSE: Duration = Duration::from_millis(50);
/// How long a replica may make no progress.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an order took.
pub struct Cost {
    /// CPU of the replica, as a multiple of the yardstick.
    pub replica_cpu: f64,
    /// CPU of the sequencer meanwhile, likewise.
    pub sequencer_cpu: f64,
    /// Wall time from the start of the replica's process until it serves the last batch, likewise.
    pub wall: f64,
    /// Bytes of the replica's database and its write-ahead log after it has stopped.
    pub replica_bytes: f64,
    /// The same of the sequencer.
    pub sequencer_bytes: f64,
}

/// Fills a sequencer with a history, and lets a new replica catch up with it.
///
/// # Errors
///
/// A sentence that says what failed.
pub fn measure(
    program: &Path,
    folder: &Path,
    history: &History,
    yardstick: &Yardstick,
) -> Result<Cost, String> {
    let [sequencer_data, replica_data] = ["sequencer", "replica"].map(|name| folder.join(name));
    for data in [&sequencer_data, &replica_data] {
        let is_gone = !data.exists() || fs::remove_dir_all(data).is_ok();
        is_gone.then_some(()).ok_or(format!("{} cannot be removed", data.display()))?;
    }
    let genesis = folder.join("genesis.json");
    fs::write(&genesis, &history.genesis)
        .map_err(|error| format!("{}: {error}", genesis.display()))?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let sequencer = Server::start(
        program,
        &[
            "sequencer",
            "--data",
            &text(&sequencer_data),
            "--listen",
            "127.0.0.1:0",
            "--interval-ms",
            INTERVAL_MS,
        ],
    )?;
    fill(&sequencer, history)?;

    let (unit, sequencer_began) = (yardstick.seconds(), sequencer.cpu_seconds()?);
    let began = Instant::now();
    let replica = Server::start(
        program,
        &[
            "serve",
            "--data",
            &text(&replica_data),
            "--listen",
            "127.0.0.1:0",
            "--genesis",
            &text(&genesis),
            "--network",
            &text(&sequencer_data.join("nodes.json")),
        ],
    )?;
    wait(history.bodies.len() as u64, || number(&replica, "/v1/status", "/batch"))?;
    let (wall, cpu) = (began.elapsed().as_secs_f64(), replica.cpu_seconds()?);
    let sequencer_cpu = sequencer.cpu_seconds()? - sequencer_began;
    let unit = f64::min(unit, yardstick.seconds()) * history.orders as f64;
    replica.stop()?;
    sequencer.stop()?;
    let bytes = |path: &Path| {
        // The last commits may be only in the write-ahead log.
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let length = fs::metadata(path).map(|metadata| metadata.len());
        let length = length.map_err(|error| format!("{}: {error}", path.display()))?;
        let length = length + fs::metadata(log).map_or(0, |metadata| metadata.len());
        Ok::<_, String>(length as f64 / history.orders as f64)
    };
    Ok(Cost {
        replica_cpu: cpu / unit,
        sequencer_cpu: sequencer_cpu / unit,
        wall: wall / unit,
        replica_bytes: bytes(&replica_data.join("replica.sqlite"))?,
        sequencer_bytes: bytes(&sequencer_data.join("sequencer.sqlite"))?,
    })
}

/// Sends all bodies to the sequencer, in sequence, and waits until all are signed.
fn fill(sequencer: &Server, history: &History) -> Result<(), String> {
    for bodies in history.bodies.chunks(BODIES_AT_ONCE) {
        let request = json!({ "zellbook": bodies }).to_string();
        loop {
            match sequencer.request("PUT", "/node/batches", &request)? {
                (200, _) => break,
                // It takes only so many bytes a second.
                (429, _) => sleep(PAUSE),
                (status, answer) => {
                    return Err(format!("the sequencer answered {status}: {answer}"));
                }
            }
        }
    }
    wait(history.bodies.len() as u64, || {
        number(sequencer, "/node/state", "/data/apps/zellbook/last_finalized_index")
    })
}

/// Waits until a count has reached a number.
fn wait(until: u64, count: impl Fn() -> Result<u64, String>) -> Result<(), String> {
    let (mut last, mut progressed) = (0, Instant::now());
    while last < until {
        if progressed.elapsed() > PATIENCE {
            return Err(format!("there is no progress after batch {last} of {until}"));
        }
        sleep(PAUSE);
        let found = count()?;
        if found > last {
            (last, progressed) = (found, Instant::now());
        }
    }
    Ok(())
}

/// A number of an answer, which APIs write in digits or as a JSON number.
fn number(server: &Server, path: &str, pointer: &str) -> Result<u64, String> {
    let (_, answer) = server.request("GET", path, "")?;
    let value: Value =
        serde_json::from_str(&answer).map_err(|error| format!("{path}: {error}: {answer}"))?;
    let found = value.pointer(pointer);
    let found = found.and_then(|found| found.as_u64().or_else(|| found.as_str()?.parse().ok()));
    found.ok_or(format!("{path} has no {pointer}: {answer}"))
}

//! Measures what happens to many orders at once, with the real program, as multiples of the yardstick *L*.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::catch_up;
use crate::history::History;
use crate::live::{self, Sending};
use crate::process::cpu_of_children;
use crate::signatures;
use crate::yardstick::Yardstick;

/// The keys, and their orders and cancels: the workload itself, ten times the keys, and ten times both.
const WORKLOADS: [(u64, usize); 3] = [(256, 60_000), (2_560, 60_000), (2_560, 600_000)];
/// How clients send the workload to a replica with the embedded sequencer.
const SENDING: [(&str, Sending); 2] = [
    ("arrays of 500 on 4 connections", Sending { connections: 4, per_request: 500 }),
    ("single orders on 50 connections", Sending { connections: 50, per_request: 1 }),
];
/// The seed of the workload.
const SEED: u64 = 20_261_130;

/// Checks signatures, and replays the workloads with a program: one with so many keys, orders and cancels, or all. A replica
/// then catches up with the same history.
///
/// # Errors
///
/// A sentence that says what failed.
pub fn measure(
    program: &Path,
    folder: &Path,
    workload: Option<(u64, usize)>,
) -> Result<(), String> {
    let yardstick = Yardstick::new();
    println!("L, one verify of libsecp256k1: {:.1} us", yardstick.seconds() * 1e6);
    if workload.is_none() {
        signatures::measure(&yardstick);
    }
    println!(
        "| what | keys | orders | CPU an order | wall time an order | CPU of the sequencer | bytes an order: replica, sequencer |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (keys, orders) in workload.map_or(WORKLOADS.to_vec(), |workload| vec![workload]) {
        let history = History::generate(SEED, keys, orders);
        let (cpu, wall) = replay(program, folder, &history, &yardstick)?;
        println!("| replay --bodies | {keys} | {orders} | {cpu:.2} L | {wall:.2} L | – | – |");
        let cost = catch_up::measure(program, folder, &history, &yardstick)?;
        println!(
            "| catching up | {keys} | {orders} | {:.2} L | {:.2} L | {:.2} L | {:.0}, {:.0} |",
            cost.replica_cpu,
            cost.wall,
            cost.sequencer_cpu,
            cost.replica_bytes,
            cost.sequencer_bytes
        );
        for (what, sending) in SENDING {
            let cost = live::measure(program, folder, &history, sending, &yardstick)?;
            let (cpu, wall) = (cost.cpu, cost.wall);
            println!("| {what} | {keys} | {orders} | {cpu:.2} L | {wall:.2} L | – | – |");
        }
    }
    Ok(())
}

/// The CPU and wall time of an order, as multiples of the yardstick.
fn replay(
    program: &Path,
    folder: &Path,
    history: &History,
    yardstick: &Yardstick,
) -> Result<(f64, f64), String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let (genesis, bodies) = (folder.join("genesis.json"), folder.join("bodies.txt"));
    fs::write(&genesis, &history.genesis).map_err(|error| failed(&genesis, error))?;
    let lines: Result<Vec<String>, _> = history.bodies.iter().map(serde_json::to_string).collect();
    let text = lines.map_err(|error| error.to_string())?.join("\n");
    fs::write(&bodies, text).map_err(|error| failed(&bodies, error))?;
    let before = (yardstick.seconds(), cpu_of_children()?, Instant::now());
    let output = Command::new(program)
        .args(["replay", "--json", "--unsequenced", "--genesis"])
        .arg(&genesis)
        .arg("--bodies")
        .arg(&bodies)
        .stderr(Stdio::null())
        .output()
        .map_err(|error| failed(program, error))?;
    let (wall, cpu) = (before.2.elapsed().as_secs_f64(), cpu_of_children()? - before.1);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    // A replay in which orders are rejected would measure something else.
    if !output.status.success() || !answer.replace(' ', "").contains("\"rejected\":\"0\"") {
        return Err(format!("the replay failed or rejected something: {answer}"));
    }
    let unit = f64::min(before.0, yardstick.seconds()) * history.orders as f64;
    Ok((cpu / unit, wall / unit))
}

//! `zellbook chaos`: runs the chaos test for a range of seeds. Each seed runs twice, and both runs must give
//! the same result; otherwise a failure could not be repeated.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Args;

use zellbook_server::cli::{Failure, Output};

use super::options::{Options, Scenario};
use super::report::Report;
use super::world::run;
use crate::network::faults::FaultKind;

#[derive(Args)]
pub struct ChaosArguments {
    /// Seeds to run: one, for example 7, or a range that excludes its end, for example 0..50
    #[arg(long, default_value = "0..10", value_parser = parse_seeds)]
    seeds: Seeds,
    /// Number of batches to finalize before the faults stop
    #[arg(long, value_name = "COUNT", default_value_t = 300)]
    batches: u64,
    /// Number of replicas
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    replicas: u8,
    /// Number of nodes, with equal stake; a network of four survives the loss of one
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: u8,
    /// Scenario to run
    #[arg(long, value_enum, default_value = "chaos")]
    scenario: Scenario,
    /// Node faults to inject in the scenario chaos: drop, duplicate, freeze, kill, partition, lie,
    /// equivocate, lag
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', default_values_t = FaultKind::ALL)]
    faults: Vec<FaultKind>,
    /// Run each seed only once, without checking that a second run gives the same result
    #[arg(long)]
    once: bool,
    /// Number of threads; each runs one seed at a time
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Folder for the databases during the run [default: /dev/shm if it exists, else the system's
    /// temporary folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct Seeds {
    from: u64,
    /// Excluded.
    to: u64,
}

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let number = |digits: &str| digits.parse::<u64>().ok();
    let seeds = match text.split_once("..") {
        Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| Seeds { from, to }),
        None => number(text).and_then(|from| Some(Seeds { from, to: from.checked_add(1)? })),
    };
    let seeds = seeds.filter(|seeds| seeds.from < seeds.to);
    seeds.ok_or_else(|| "give a number, for example 7, or a range, for example 0..50".into())
}

/// Runs all seeds. Stops at the first failure and prints the command that repeats it.
pub fn chaos(arguments: ChaosArguments, output: Output) -> Result<(), Failure> {
    // The databases sync at every commit. Virtual time does not wait for that, but real time does.
    let memory = PathBuf::from("/dev/shm");
    let parent = match &arguments.folder {
        Some(folder) => folder.clone(),
        None if memory.is_dir() => memory,
        None => std::env::temp_dir(),
    };
    let parent = parent.join(format!("zellbook-chaos-{}", std::process::id()));
    let next = AtomicU64::new(arguments.seeds.from);
    // Only a hint that ends the other threads soon. The failures themselves are behind the mutex.
    let has_failed = AtomicBool::new(false);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.seeds.to {
                        return;
                    }
                    let options = Options {
                        scenario: arguments.scenario,
                        replicas: arguments.replicas.into(),
                        nodes: arguments.nodes.into(),
                        batches: arguments.batches,
                        faults: arguments.faults.clone(),
                        folder: parent.join(seed.to_string()),
                    };
                    match run_seed(&options, seed, arguments.once) {
                        Ok(report) => print(output, seed, &report),
                        Err(error) => {
                            has_failed.store(true, Ordering::Relaxed);
                            if let Ok(mut failures) = failures.lock() {
                                failures.push((seed, error));
                            }
                        }
                    }
                }
            });
        }
    });
    // The databases of a failed run need not be kept: its seed produces them again.
    let _ = std::fs::remove_dir_all(&parent);
    let failures = failures.into_inner().unwrap_or_default();
    let Some((seed, _)) = failures.first() else { return Ok(()) };
    let messages: Vec<String> =
        failures.iter().map(|(seed, error)| format!("seed {seed}: {error}")).collect();
    Err(Failure::difference(format!(
        "{}\nto repeat it: zellbook chaos --seeds {seed} --batches {} --replicas {} --nodes {} --scenario {} --faults {} (with ZELLBOOK_LOG=debug to see what happens)",
        messages.join("\n"),
        arguments.batches,
        arguments.replicas,
        arguments.nodes,
        format!("{:?}", arguments.scenario).to_lowercase(),
        arguments.faults.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","),
    )))
}

fn run_seed(options: &Options, seed: u64, once: bool) -> Result<Report, String> {
    let report = run(options, seed)?;
    if !once {
        // The report has the digest of all bodies and roots, so equal reports mean equal histories.
        let again = run(options, seed)?;
        if again != report {
            return Err(format!("two runs of the same seed differ:\n  {report}\n  {again}"));
        }
    }
    Ok(report)
}

fn print(output: Output, seed: u64, report: &Report) {
    output.print(
        || format!("seed {seed}: {report}"),
        || {
            let (median, p99, longest) = report.latencies;
            serde_json::json!({
                "seed": seed,
                "batches": report.batches,
                "accepted": report.accepted,
                "applied": report.applied,
                "rejected": report.rejected,
                "given_up": report.given_up,
                "copies": report.copies,
                "posted_again": report.posted_again,
                "leader_changes": report.leader_changes,
                "faults": report.faults,
                "virtual_ms": report.elapsed.as_millis() as u64,
                "latency_ms": {
                    "median": median.as_millis() as u64,
                    "p99": p99.as_millis() as u64,
                    "longest": longest.as_millis() as u64,
                },
                "digest": report.digest,
            })
        },
    );
}

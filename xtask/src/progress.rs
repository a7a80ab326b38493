//! Progress reports of long builds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Run, cargo, say};

/// Time between reports of the number of compiled crates.
const REPORT_EVERY: Duration = Duration::from_secs(15);

/// Reports steps with their number and the elapsed time.
pub struct Progress {
    started: Instant,
    begun: AtomicUsize,
    steps: usize,
}

impl Progress {
    pub fn new(steps: usize) -> Self {
        Self { started: Instant::now(), begun: AtomicUsize::new(0), steps }
    }

    /// Reports that the next step begins. Steps of several threads can overlap.
    pub fn step(&self, text: &str) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        say(&format!("[{}] step {number} of {}: {text}", self.elapsed(), self.steps));
    }

    /// Elapsed time in minutes and seconds.
    pub fn elapsed(&self) -> String {
        let seconds = self.started.elapsed().as_secs();
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }

    /// Runs `work`, and reports the counts at intervals until it ends.
    pub fn watch<T>(&self, counts: &[&Count], work: impl FnOnce() -> T) -> T {
        // A channel and not a sleep, so that the thread ends at once with the work and not after its interval.
        let (finished, waiting) = channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut last = Vec::new();
                while waiting.recv_timeout(REPORT_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let now: Vec<String> = counts.iter().filter_map(|count| count.text()).collect();
                    // While a crate is linked, none begins. Equal lines would only look like a stuck build.
                    if !now.is_empty() && now != last {
                        say(&format!("[{}] {}", self.elapsed(), now.join("; ")));
                    }
                    last = now;
                }
            });
            let result = work();
            drop(finished);
            result
        })
    }
}

/// The number of crates of a build that cargo has started to compile.
pub struct Count {
    name: &'static str,
    compiled: AtomicUsize,
    /// The number of crates of the whole build, or zero if unknown. An incremental build compiles fewer.
    total: AtomicUsize,
}

impl Count {
    pub fn new(name: &'static str) -> Self {
        Self { name, compiled: AtomicUsize::new(0), total: AtomicUsize::new(0) }
    }

    /// Asks cargo for the number of crates of a build. It is about right: cargo may build a crate twice, or not at all. `tree`
    /// are arguments for `cargo tree`.
    pub fn expect(&self, tree: &[&str]) -> Run {
        let mut command = cargo();
        command
            // Without the dependencies of tests, which these builds do not compile.
            .args(["tree", "--locked", "--prefix", "none", "--edges", "normal,build"])
            .args(tree);
        let output = command.output().map_err(|error| format!("cargo tree: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut crates: Vec<&str> =
            // The mark means that the crate's dependencies were listed before.
            text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        crates.sort_unstable();
        crates.dedup();
        self.total.store(crates.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Reads a line of cargo's output. Warnings and errors are printed.
    pub fn line(&self, line: &str) {
        let verb = line.split_whitespace().next().unwrap_or_default();
        match verb {
            "Compiling" => drop(self.compiled.fetch_add(1, Ordering::Relaxed)),
            "Downloaded" | "Finished" | "Locking" | "Updating" | "Blocking" => {}
            _ => eprintln!("{line}"),
        }
    }

    fn text(&self) -> Option<String> {
        let compiled = self.compiled.load(Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed);
        let of = if total == 0 { String::new() } else { format!(" of about {total}") };
        (compiled > 0).then(|| format!("{}: {compiled}{of} crates", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_that_cargo_compiles_are_counted() {
        let count = Count::new("page");
        assert_eq!(count.text(), None);
        for line in
            ["   Compiling serde v1.0.229", "    Finished `dev` profile", "   Compiling hex v0.4.3"]
        {
            count.line(line);
        }
        assert_eq!(count.text().as_deref(), Some("page: 2 crates"));
        count.total.store(258, Ordering::Relaxed);
        assert_eq!(count.text().as_deref(), Some("page: 2 of about 258 crates"));
    }
}

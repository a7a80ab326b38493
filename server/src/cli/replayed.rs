//! What a replay of batches leads to: the state, its dump, and what is certified.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use zellbook_core::{Batch, Event, Exchange, Hash, Outcome, Rules};
use zellular::Threshold;

use super::dump::Dump;
use super::failure::Failure;
use super::output::Output;
use crate::config::io_error;

/// The state after the batches applied so far.
pub struct Replay {
    rules: Arc<Rules>,
    exchange: Exchange,
    check: bool,
    /// Our roots after the last certified batch. Certified roots come in order, so older ones are dropped.
    roots: BTreeMap<u64, Hash>,
    /// The number of certified roots so far, all equal to ours.
    certified: u64,
    /// The last batch with such a root.
    certified_batch: u64,
    /// `None` without `--dump`: the events of a long history need much memory.
    dump: Option<Dump>,
    transactions: u64,
    rejected: u64,
    /// The percentage of the stake that signed each batch at least, and whether it is only the default; `None`
    /// without signatures.
    pub threshold: Option<(Threshold, bool)>,
    progress: Progress,
}

/// How far a replay is. In a terminal it is a bar, else a line each second.
struct Progress {
    started: Instant,
    reported: Instant,
    bar: ProgressBar,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        // Hidden if standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let template = "{wide_bar} {percent} %, {msg}, {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { started: now, reported: now, bar }
    }

    fn show(&mut self, done: u64, all: u64, text: String) {
        if self.bar.is_hidden() {
            eprintln!("{text}, {} left", HumanDuration(left(self.started.elapsed(), done, all)));
            return;
        }
        // Both, because a running replica adds to its history.
        self.bar.set_length(all);
        self.bar.set_position(done);
        self.bar.set_message(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The time that is left if the rest goes as fast as what is done.
fn left(elapsed: Duration, done: u64, all: u64) -> Duration {
    let rest = u128::from(all.saturating_sub(done));
    let millis = elapsed.as_millis().saturating_mul(rest) / u128::from(done.max(1));
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

impl Replay {
    pub fn new(rules: &Arc<Rules>, check: bool, with_dump: bool) -> Self {
        Self {
            exchange: Exchange::new(Arc::clone(rules)),
            rules: Arc::clone(rules),
            check,
            roots: BTreeMap::new(),
            certified: 0,
            certified_batch: 0,
            dump: with_dump.then(Dump::default),
            transactions: 0,
            rejected: 0,
            threshold: None,
            progress: Progress::new(),
        }
    }

    pub fn apply(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let index = batch.index;
        let outcome = self
            .exchange
            .apply(batch)
            .map_err(|corrupt| Failure::difference(format!("batch {index}: {corrupt}")))?;
        for transaction in &outcome.transactions {
            self.transactions += 1;
            self.rejected += u64::from(transaction.result.is_err());
        }
        if self.check {
            self.exchange
                .recount()
                .map_err(|broken| Failure::difference(format!("after batch {index}: {broken}")))?;
        }
        if let Some(dump) = &mut self.dump {
            dump.add(&self.rules, &outcome);
        }
        self.check_certified(&outcome)?;
        Ok(outcome)
    }

    /// Fails if replicas certified another root than the one computed here.
    fn check_certified(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        self.roots.insert(outcome.index, outcome.root);
        for event in
            outcome.transactions.iter().flat_map(|transaction| &transaction.result).flatten()
        {
            let Event::Certified { batch, root } = event else { continue };
            // An unknown root counts as different. It cannot be unknown: the replay began at genesis, and
            // roots are dropped only up to the last certified batch.
            let ours = self.roots.get(batch).map_or_else(String::new, hex::encode);
            let certified = hex::encode(root);
            if ours != certified {
                return Err(Failure::difference(format!(
                    "batch {}: replicas certified the root {certified} for batch {batch}, but the root computed here is {ours}",
                    outcome.index
                )));
            }
            self.certified += 1;
            self.certified_batch = *batch;
            // Certified batches only increase, so the roots up to this one are not needed any more.
            self.roots = self.roots.split_off(&(batch + 1));
        }
        Ok(())
    }

    /// The number of batches after the last certified one.
    fn tail(&self) -> u64 {
        self.exchange.counters().batch.saturating_sub(self.certified_batch)
    }

    fn describe_certified(&self) -> String {
        match (self.certified, self.certified_batch) {
            (0, _) => "no batch; replicas certified no root".into(),
            (1, batch) => format!("up to batch {batch}, by 1 root, equal to ours"),
            (roots, batch) => format!("up to batch {batch}, by {roots} roots, all equal to ours"),
        }
    }

    fn describe_sequenced(&self, unsequenced: bool) -> String {
        let (last, tail) = (self.exchange.counters().batch, self.tail());
        if unsequenced {
            return "NOT CHECKED (--unsequenced)".into();
        }
        let tail = match tail {
            0 => "all certified".into(),
            1 => format!(
                "batch {last} is sequenced and not certified: a dishonest gateway may have forged it"
            ),
            tail => format!(
                "the last {tail}, from batch {} on, are sequenced and not certified: a dishonest gateway may have forged them",
                last.saturating_sub(tail).saturating_add(1)
            ),
        };
        format!(
            "all {last} batches, with valid signatures of the network and the stored roots; {tail}"
        )
    }

    fn describe_threshold(&self) -> String {
        let Some((threshold, is_default)) = self.threshold else { return String::new() };
        let source = if is_default {
            ", the default: nothing says that it is the network's own; give that as --threshold"
        } else {
            ""
        };
        format!("\nthreshold     {threshold} % of the stake{source}")
    }

    /// Shows the progress, at most once per second: `done` of `all`, in whatever unit.
    pub fn report(&mut self, done: u64, all: u64) {
        if self.progress.reported.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.progress.reported = Instant::now();
        let batch = self.exchange.counters().batch;
        let text = format!("batch {batch}, {:.0} transactions/s", self.rate());
        self.progress.show(done, all, text);
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn rate(&self) -> f64 {
        self.transactions as f64 / self.progress.started.elapsed().as_secs_f64().max(1e-9)
    }

    /// Writes the dump, and prints the result. `unsequenced` says that nothing showed that the batches were sequenced.
    pub fn finish(
        mut self,
        dump_path: Option<&Path>,
        unsequenced: bool,
        output: Output,
    ) -> Result<(), Failure> {
        self.progress.bar.finish_and_clear();
        let root = hex::encode(self.exchange.root());
        let seconds = self.progress.started.elapsed().as_secs_f64();
        let (counters, rate) = (*self.exchange.counters(), self.rate());
        // Only now that everything was correct: a replay that fails leaves the dump file as it was (section
        // 15 of the protocol).
        if let (Some(path), Some(dump)) = (dump_path, self.dump.take()) {
            let value = dump.finish(&self.rules, &self.exchange);
            let file = File::create(path).map_err(io_error(path))?;
            let mut writer = std::io::BufWriter::new(file);
            serde_json::to_writer(&mut writer, &value)?;
            // Dropping the writer would flush it too, but ignore a full disk.
            writer.flush().map_err(io_error(path))?;
        }
        let applied = self.transactions - self.rejected;
        let threshold = self.describe_threshold();
        output.print(
            || {
                format!(
                    "batches       {}\ntransactions  {} ({applied} applied, {} rejected)\ntrades        {}\nroot          {root}\ncertified     {}\nsequenced     {}{threshold}\nspeed         {rate:.0} transactions/s in {seconds:.2} s",
                    counters.batch,
                    self.transactions,
                    self.rejected,
                    counters.trade,
                    self.describe_certified(),
                    self.describe_sequenced(unsequenced),
                )
            },
            || {
                json!({
                    "batches": counters.batch.to_string(),
                    "transactions": self.transactions.to_string(),
                    "applied": applied.to_string(),
                    "rejected": self.rejected.to_string(),
                    "trades": counters.trade.to_string(),
                    "root": root,
                    "certified_roots": self.certified.to_string(),
                    "certified_batch": self.certified_batch.to_string(),
                    "not_certified": self.tail().to_string(),
                    "sequenced": !unsequenced,
                    "threshold": self.threshold.map(|(threshold, _)| threshold.to_string()),
                    "threshold_is_default": self.threshold.map(|(_, is_default)| is_default),
                    "seconds": seconds,
                    "transactions_per_second": rate,
                })
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_rest_at_the_same_speed() {
        let left = |done, all| left(Duration::from_secs(60), done, all).as_secs();
        assert_eq!([left(1, 4), left(2, 4), left(4, 4), left(5, 4)], [180, 60, 0, 0]);
        assert_eq!(left(0, 4), 240);
    }
}

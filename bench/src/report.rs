//! The table that the command prints.

use std::fmt;

use zellbook_bench::run::Run;
use zellbook_bench::stream::Stream;
use zellbook_bench::tape::Tape;

/// The header of the table.
pub const HEAD: &str = "\
stream   engine             ns/op median    ns/op min  of reference    trades  checksum          match";

/// The result of one engine on one stream.
pub struct Line {
    stream: &'static str,
    /// The engine's name.
    pub engine: &'static str,
    /// Median of the runs, in nanoseconds for each operation.
    median: f64,
    /// Fastest run, in nanoseconds for each operation.
    min: f64,
    tape: Tape,
    /// Whether every run made the expected trades. Otherwise its time means nothing.
    pub matches: bool,
    of_reference: Option<f64>,
}

impl Line {
    /// Summarizes the runs of an engine on a stream, at least one.
    pub fn new(name: &'static str, engine: &'static str, stream: &Stream, runs: &[Run]) -> Self {
        let operations = stream.operations.len() as f64;
        let mut times: Vec<_> =
            runs.iter().map(|run| run.elapsed.as_nanos() as f64 / operations).collect();
        // The median and the minimum, because other load on the machine only ever adds time.
        times.sort_by(f64::total_cmp);
        let expected = stream.expectation.tape;
        // If a run made other trades, the report shows that run's checksum.
        let wrong = runs.iter().map(|run| run.tape).find(|tape| *tape != expected);
        Self {
            stream: name,
            engine,
            median: (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0,
            min: times[0],
            tape: wrong.unwrap_or(expected),
            matches: wrong.is_none(),
            of_reference: None,
        }
    }

    /// The same with its time as a multiple of that of the reference book, if it ran.
    pub fn beside(&self, reference: Option<&Self>) -> Self {
        Self { of_reference: reference.map(|reference| self.median / reference.median), ..*self }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, engine, median, min, tape, matches, of_reference } = self;
        let multiple = of_reference.map_or(String::new(), |multiple| format!("{multiple:.2}"));
        write!(f, "{stream:<8} {engine:<18} {median:>12.1} {min:>12.1} {multiple:>13} ")?;
        write!(f, "{:>9}  {:016x}  ", tape.trades, tape.checksum)?;
        f.write_str(if *matches { "yes" } else { "NO: ITS TIME DOES NOT COUNT" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(stream: &Stream, nanoseconds: &[u64], tape: Tape) -> Line {
        let runs: Vec<_> = nanoseconds
            .iter()
            .map(|&elapsed| Run { elapsed: Duration::from_nanos(elapsed), tape })
            .collect();
        Line::new("small", "engine", stream, &runs)
    }

    #[test]
    fn the_median_of_an_even_number_of_runs_is_the_mean_of_the_middle_two() {
        let stream = Stream::generate(0, 100, 7, 50.0);
        let line = line(&stream, &[9000, 1000, 3000, 2000], stream.expectation.tape);
        assert_eq!((line.median, line.min, line.matches), (25.0, 10.0, true));
    }

    #[test]
    fn a_run_with_unexpected_trades_is_marked_in_the_report() {
        let stream = Stream::generate(0, 100, 7, 50.0);
        let mut tape = stream.expectation.tape;
        tape.checksum ^= 1;
        let line = line(&stream, &[1000], tape);
        assert!(!line.matches && line.to_string().ends_with("NO: ITS TIME DOES NOT COUNT"));
    }
}

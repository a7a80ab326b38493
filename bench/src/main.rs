//! The command: measures engines on named streams, and parts of the exchange.

mod arguments;
mod report;

use std::process::ExitCode;

use zellbook_bench::engine::Engine;
use zellbook_bench::orderbook_rs::Yardstick;
use zellbook_bench::reference::ReferenceBook;
use zellbook_bench::run::{Run, run};
use zellbook_bench::stream::Stream;
use zellbook_bench::zellbook::Zellbook;

use crate::arguments::{Arguments, Command};
use crate::report::Line;

/// An engine, with its type erased so that engines can be listed.
struct Contender {
    name: &'static str,
    preload_max: u64,
    run: fn(&Stream) -> Run,
}

impl Contender {
    const fn of<E: Engine>() -> Self {
        Self { name: E::NAME, preload_max: E::PRELOAD_MAX, run: run::<E> }
    }
}

const CONTENDERS: [Contender; 5] = [
    Contender::of::<Zellbook<0>>(),
    Contender::of::<Zellbook<0, false>>(),
    Contender::of::<Zellbook<10>>(),
    Contender::of::<Yardstick>(),
    Contender::of::<ReferenceBook>(),
];

fn main() -> ExitCode {
    match arguments::parse(std::env::args().skip(1), &CONTENDERS.map(|contender| contender.name)) {
        Ok(Command::Streams(arguments)) if measure(&arguments) => ExitCode::SUCCESS,
        Ok(Command::Streams(_)) => ExitCode::FAILURE,
        Ok(Command::Bulk { program, folder, workload }) => {
            match zellbook_bench::bulk::measure(&program, &folder, workload) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("zellbook-bench: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Ok(Command::Parts) => {
            zellbook_bench::parts::measure();
            ExitCode::SUCCESS
        }
        Ok(Command::State(accounts)) => {
            zellbook_bench::state::measure(accounts);
            ExitCode::SUCCESS
        }
        Ok(Command::Help) => {
            print!("{}", arguments::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zellbook-bench: {error}\n\n{}", arguments::HELP);
            ExitCode::from(2)
        }
    }
}

/// Measures every engine on every stream. Returns whether all of them made the expected trades.
fn measure(arguments: &Arguments) -> bool {
    let mut all_match = true;
    println!("{}", report::HEAD);
    for recipe in &arguments.recipes {
        let stream = recipe.generate();
        let contenders: Vec<_> = CONTENDERS
            .iter()
            .filter(|contender| arguments.engines.contains(&contender.name))
            .filter(|contender| recipe.preload <= contender.preload_max)
            .collect();
        let mut runs = vec![Vec::new(); contenders.len()];
        // In turns, so that other load on the machine affects all engines alike.
        for _ in 0..arguments.repeat {
            for (contender, runs) in contenders.iter().zip(&mut runs) {
                runs.push((contender.run)(&stream));
            }
        }
        let lines: Vec<Line> = contenders
            .iter()
            .zip(&runs)
            .map(|(contender, runs)| Line::new(recipe.name, contender.name, &stream, runs))
            .collect();
        let reference = lines.iter().find(|line| line.engine == ReferenceBook::NAME);
        for line in &lines {
            all_match &= line.matches;
            println!("{}", line.beside(reference));
        }
    }
    all_match
}

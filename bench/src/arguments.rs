//! The arguments of the command.

use std::path::PathBuf;

use zellbook_bench::catalogue::{RECIPES, Recipe};

/// What `--help` prints.
pub const HELP: &str = "\
Measures matching engines on streams of operations, or the other parts of the exchange.

Usage: zellbook-bench streams [STREAM ...] [--repeat N] [--engine NAME ...]
       zellbook-bench parts
       zellbook-bench state [ACCOUNTS]
       zellbook-bench bulk PROGRAM FOLDER [KEYS ORDERS]

  STREAM         mix0, mix10k, mix1m or mix10m: the number of orders in the book when timing starts.
                 Default: mix0, mix10k and mix1m. mix10m needs more than a gigabyte of memory;
                 engines that cannot hold it are skipped.
  --repeat N     Runs each engine N times on each stream. Default: 5.
  --engine NAME  Measures only this engine. Can be repeated.
  --help         Prints this help.

`bulk` checks up to 4,096 signatures at once, writes a history of signed orders and cancels to the
folder, replays it with a built zellbook, lets a replica catch up with it from a sequencer, and posts
its orders to a replica as clients do. Its figures are multiples of L, one verify of libsecp256k1, timed in the same run. With KEYS and ORDERS
it measures only a history of so many.

`parts` measures signatures, the state root, and the slowest batches of 5 KB.

`state` measures a state of so many accounts, on all cores: restoring it from its leaves, proofs, and
its snapshot. Default: 1,000,000.

Engines run on one thread and take turns, and each run starts with an empty engine. Filling the book
and converting operations to an engine's own format are not timed. The exit code is 1 if an engine
makes other trades than expected.
";

/// The parsed command.
pub enum Command {
    /// Print the help.
    Help,
    /// Time engines on streams.
    Streams(Arguments),
    /// Time the parts around matching.
    Parts,
    /// Time a state of so many accounts.
    State(usize),
    /// Time many orders at once.
    Bulk {
        /// The built `zellbook`.
        program: PathBuf,
        /// Where the workload is written.
        folder: PathBuf,
        /// The keys, and their orders and cancels, of the only history to measure.
        workload: Option<(u64, usize)>,
    },
}

/// Which engines to measure on which streams.
pub struct Arguments {
    /// The streams, in the order given.
    pub recipes: Vec<Recipe>,
    /// Runs of each engine on each stream; at least 1.
    pub repeat: usize,
    /// Names of the engines to measure.
    pub engines: Vec<&'static str>,
}

/// Parses the arguments. The error is a sentence for the user.
pub fn parse(
    mut arguments: impl Iterator<Item = String>,
    engines: &[&'static str],
) -> Result<Command, String> {
    match arguments.next().as_deref() {
        Some("streams") => (),
        Some("parts") => return Ok(Command::Parts),
        Some("state") => {
            let accounts = arguments.next().map_or(Ok(1_000_000), |text| {
                let accounts = text.parse().ok().filter(|accounts| *accounts > 0);
                accounts.ok_or(format!("\"{text}\" is not a number of accounts; use 1 or more"))
            });
            return accounts.map(Command::State);
        }
        Some("bulk") => {
            let mut path = |name| arguments.next().ok_or(format!("bulk needs a {name}"));
            let (program, folder) = (path("program")?.into(), path("folder")?.into());
            let number = |text: String| {
                text.parse::<u32>().map_err(|_| format!("\"{text}\" is not a number"))
            };
            let workload = match arguments.next() {
                None => None,
                Some(keys) => {
                    let orders = arguments.next().ok_or("bulk needs a number of orders")?;
                    Some((number(keys)?.into(), number(orders)? as usize))
                }
            };
            return Ok(Command::Bulk { program, folder, workload });
        }
        Some("--help" | "-h") | None => return Ok(Command::Help),
        Some(other) => return Err(format!("there is no command \"{other}\"")),
    }
    let mut parsed = Arguments { recipes: Vec::new(), repeat: 5, engines: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--repeat" => {
                let text = value()?;
                let repeat = text.parse().ok().filter(|repeat| *repeat > 0);
                parsed.repeat =
                    repeat.ok_or(format!("\"{text}\" is not a number of runs; use 1 or more"))?;
            }
            "--engine" => {
                let name = value()?;
                let engine = engines.iter().find(|engine| **engine == name);
                parsed.engines.push(engine.ok_or(format!(
                    "there is no engine \"{name}\"; the engines are {}",
                    engines.join(", ")
                ))?);
            }
            name => {
                let recipe = Recipe::named(name);
                parsed.recipes.push(recipe.ok_or(format!("there is no stream \"{name}\""))?);
            }
        }
    }
    if parsed.recipes.is_empty() {
        parsed.recipes.extend_from_slice(&RECIPES[..3]);
    }
    if parsed.engines.is_empty() {
        parsed.engines.extend_from_slice(engines);
    }
    Ok(Command::Streams(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        match parse(line.split_whitespace().map(String::from), &["a", "b"])? {
            Command::Streams(arguments) => Ok(arguments),
            _ => Err("another command".into()),
        }
    }

    #[test]
    fn without_names_every_engine_runs_the_three_smaller_streams() {
        let arguments = read("streams").unwrap();
        let names: Vec<_> = arguments.recipes.iter().map(|recipe| recipe.name).collect();
        assert_eq!(names, ["mix0", "mix10k", "mix1m"]);
        assert_eq!((arguments.repeat, arguments.engines), (5, vec!["a", "b"]));
    }

    #[test]
    fn names_select_streams_and_engines() {
        let arguments = read("streams mix10m --repeat 3 --engine b").unwrap();
        assert_eq!(arguments.recipes[0].preload, 10_000_000);
        assert_eq!((arguments.repeat, arguments.engines), (3, vec!["b"]));
    }

    #[test]
    fn an_invalid_argument_is_named_in_the_error() {
        for (line, error) in [
            ("strims", "there is no command \"strims\""),
            ("state 0", "\"0\" is not a number of accounts; use 1 or more"),
            ("bulk", "bulk needs a program"),
            ("bulk zellbook", "bulk needs a folder"),
            ("bulk zellbook folder 9", "bulk needs a number of orders"),
            ("bulk zellbook folder 9 x", "\"x\" is not a number"),
            ("streams mix2", "there is no stream \"mix2\""),
            ("streams --repeat 0", "\"0\" is not a number of runs; use 1 or more"),
            ("streams --repeat", "--repeat needs a value"),
            ("streams --engine c", "there is no engine \"c\"; the engines are a, b"),
        ] {
            assert_eq!(read(line).err().as_deref(), Some(error));
        }
    }
}

//! The arguments of the command.

use zellbook_bench::catalogue::{RECIPES, Recipe};

/// What `--help` prints.
pub const HELP: &str = "\
Times matching engines on streams of operations, one thread, by turns; or parts of the exchange.

Usage: zellbook-bench streams [STREAM ...] [--repeat N] [--engine NAME ...]
       zellbook-bench parts

  STREAM         mix0, mix10k, mix1m or mix10m; the number is of orders that rest before the clock
                 starts. Without any: mix0, mix10k and mix1m. mix10m takes a gigabyte and more,
                 and engines that cannot hold it are left out.
  --repeat N     Times each engine N times on each stream (5).
  --engine NAME  Times only this engine; may be given again for more.
  --help         Prints this.

`parts` times signatures, the root, proofs, snapshots, and the worst batches of 5 KB.

A preload is not timed, nor is the translation of operations into an engine's own terms. Each run
starts with an empty engine. The exit code is 1 if an engine's trades are not the expected ones.
";

/// What to do.
pub enum Command {
    /// Print the help.
    Help,
    /// Time engines on streams.
    Streams(Arguments),
    /// Time the parts around matching.
    Parts,
}

/// What engines to time on what streams.
pub struct Arguments {
    /// The streams, in the order given.
    pub recipes: Vec<Recipe>,
    /// Runs of each engine on each stream; at least 1.
    pub repeat: usize,
    /// Names of the engines.
    pub engines: Vec<&'static str>,
}

/// Reads the arguments. The error says what is wrong.
pub fn parse(
    mut arguments: impl Iterator<Item = String>,
    engines: &[&'static str],
) -> Result<Command, String> {
    match arguments.next().as_deref() {
        Some("streams") => (),
        Some("parts") => return Ok(Command::Parts),
        Some("--help" | "-h") | None => return Ok(Command::Help),
        Some(other) => return Err(format!("there is no command \"{other}\"")),
    }
    let mut parsed = Arguments { recipes: Vec::new(), repeat: 5, engines: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--repeat" => {
                let text = value()?;
                let repeat = text.parse().ok().filter(|repeat| *repeat > 0);
                parsed.repeat = repeat.ok_or(format!("\"{text}\" is no number of runs"))?;
            }
            "--engine" => {
                let name = value()?;
                let engine = engines.iter().find(|engine| **engine == name);
                parsed.engines.push(engine.ok_or(format!(
                    "there is no engine \"{name}\"; there are {}",
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
            Command::Help | Command::Parts => Err("another command".into()),
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
    fn names_choose_what_runs() {
        let arguments = read("streams mix10m --repeat 3 --engine b").unwrap();
        assert_eq!(arguments.recipes[0].preload, 10_000_000);
        assert_eq!((arguments.repeat, arguments.engines), (3, vec!["b"]));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (line, error) in [
            ("strims", "there is no command \"strims\""),
            ("streams mix2", "there is no stream \"mix2\""),
            ("streams --repeat 0", "\"0\" is no number of runs"),
            ("streams --repeat", "--repeat wants a value"),
            ("streams --engine c", "there is no engine \"c\"; there are a, b"),
        ] {
            assert_eq!(read(line).err().as_deref(), Some(error));
        }
    }
}

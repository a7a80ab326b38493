//! `cargo xtask`: set-up, builds and checks. It contains no logic of the exchange.

mod bench;
mod builds;
mod process;
mod progress;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::env;
use std::process::{Command, ExitCode};

use builds::Page;
use process::{Run, replace, say};
use progress::Progress;
use workspace::root;

const HELP: &str = "cargo xtask COMMAND

  run [ARGUMENTS]   build the page and the server, and start the exchange at http://127.0.0.1:8080
                    (arguments go to `zellbook serve`: see cargo xtask run --help)
  test              run every test, browser tests included
  tidy              check the structure: imports, file lengths, paths and commands in documents
  bench [ARGUMENTS] time the engine on the benchmark streams, beside orderbook-rs, and the parts around
                    it (`wasm`: what the page computes; `page`: its frames in a busy market; other
                    arguments go to the benchmark: see cargo xtask bench --help)
  web [--quick]     build the page into target/site (--quick: neither optimized nor compressed)
  screenshots       write docs/screenshots, with the page driven in a browser

Each command installs what it needs where it can, and says what to install where it cannot.
";

/// The commands in HELP, for `tidy`, which checks commands in documents.
const COMMANDS: [&str; 6] = ["bench", "run", "screenshots", "test", "tidy", "web"];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    // Accepted as in `cargo run -- …`, though the alias of this command already ends with one.
    let rest: Vec<String> = arguments.filter(|argument| argument != "--").collect();
    let result = match command.as_deref() {
        Some("run") => run(&rest),
        // It takes seconds, so it comes before what takes long.
        Some("test") => tidy::tidy(&root(), &COMMANDS).and_then(|()| test::test()),
        Some("tidy") => tidy::tidy(&root(), &COMMANDS),
        Some("bench") => bench::bench(&rest),
        Some("web") => match rest.as_slice() {
            [] => builds::page(Page::Small).map(drop),
            [flag] if flag == "--quick" => builds::page(Page::Quick).map(drop),
            _ => Err(format!("web takes no arguments but --quick: {}", rest.join(" "))),
        },
        Some("screenshots") => test::screenshots(),
        _ => {
            print!("{HELP}");
            return if command.is_none() { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the page and the server, and starts the exchange.
fn run(arguments: &[String]) -> Run {
    // Five steps of the builds, and the start.
    let progress = Progress::new(6);
    let (page, server) = builds::page_and_server(&progress)?;
    progress.step("starting the exchange");
    say(
        "the exchange is at http://127.0.0.1:8080 unless --listen says otherwise; its data is in ./data, Ctrl-C stops it",
    );
    replace(
        Command::new(server)
            .current_dir(root())
            .arg("serve")
            .arg("--page")
            .arg(page)
            .args(arguments),
    )
}

//! `cargo xtask`: set-up, builds and checks. No logic of the product.

mod page;
mod split;
mod test;
mod tools;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use page::Build;
use tools::{Run, cargo, say};

const HELP: &str = "cargo xtask COMMAND

  run [ARGUMENTS]   set up, build page and server, and start the exchange at http://127.0.0.1:8080
                    (arguments go to `zellbook serve`: see cargo xtask run -- --help)
  test              set up and run every test, browser tests included
  bench [ARGUMENTS] time the engine on the benchmark streams, beside orderbook-rs, and the parts around
                    it (`wasm`: what the page computes; `page`: its frames in a busy market; other
                    arguments go to the benchmark: see cargo xtask bench --help)
  web [--quick]     build the page into target/site (quickly: neither optimized nor compressed)
  screenshots       drive the page and write docs/screenshots
";

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.filter(|argument| argument != "--").collect();
    let result = match command.as_deref() {
        Some("run") => run(&rest),
        Some("test") => test::test(),
        Some("bench") => bench(&rest),
        Some("web") => match rest.as_slice() {
            [] => page::build(Build::Small).map(drop),
            [flag] if flag == "--quick" => page::build(Build::Quick).map(drop),
            _ => Err(format!("web takes only --quick, not {}", rest.join(" "))),
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

/// Builds what is needed and starts the exchange.
fn run(arguments: &[String]) -> Run {
    let page = page::build(Build::Small)?;
    let server = build_server()?;
    say(
        "starting the exchange, at http://127.0.0.1:8080 unless --listen says otherwise; its data is in ./data, Ctrl-C stops it",
    );
    tools::replace(
        std::process::Command::new(server)
            .current_dir(root())
            .arg("serve")
            .arg("--page")
            .arg(page)
            .args(arguments),
    )
}

/// Builds the benchmarks, which are a workspace of their own, and runs them.
fn bench(arguments: &[String]) -> Run {
    let folder = target().join("bench");
    let build = |arguments: &[&str]| {
        let manifest = root().join("bench/Cargo.toml");
        let mut build = cargo();
        build.arg("build").arg("--locked").arg("--manifest-path").arg(manifest).args(arguments);
        tools::run(build.env("CARGO_TARGET_DIR", &folder))
    };
    let wasm = || {
        tools::ensure_wasm_target()?;
        say("building what the page computes");
        let package = ["--package", "zellbook-bench-wasm"];
        build(
            &[&package[..], &["--target", "wasm32-unknown-unknown", "--profile", "page"]].concat(),
        )?;
        let module = folder.join("wasm32-unknown-unknown/page/zellbook_bench_wasm.wasm");
        say("wasm");
        let script = root().join("bench/wasm/time.mjs");
        tools::run(std::process::Command::new("node").arg(script).arg(module))
    };
    if arguments == ["wasm"] {
        return wasm();
    }
    if arguments == ["page"] {
        return test::frames();
    }
    say("building the benchmarks in release");
    build(&["--release"])?;
    let program = folder.join("release/zellbook-bench");
    if !arguments.is_empty() {
        return tools::run(std::process::Command::new(program).args(arguments));
    }
    say("streams");
    let streams = ["streams", "mix0", "mix10k", "mix1m", "mix10m"];
    tools::run(std::process::Command::new(&program).args(streams))?;
    say("parts");
    tools::run(std::process::Command::new(&program).arg("parts"))?;
    wasm()
}

/// Builds the server and returns its path.
pub fn build_server() -> Result<PathBuf, String> {
    say("building the server");
    tools::run(cargo().args(["build", "--locked", "--package", "zellbook"]))?;
    Ok(target().join("debug/zellbook"))
}

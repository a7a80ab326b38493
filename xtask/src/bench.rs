//! `cargo xtask bench` builds and runs the benchmarks, which are a separate workspace.

use std::path::Path;
use std::process::Command;

use crate::process::{Run, cargo, run, say};
use crate::test;
use crate::tools::ensure_wasm_target;
use crate::workspace::{root, target};

/// Runs the benchmarks in the arguments, or all.
pub fn bench(arguments: &[String]) -> Run {
    if arguments == ["wasm"] {
        return wasm();
    }
    if arguments == ["page"] {
        return test::frames();
    }
    say("building the benchmarks in release");
    build(&["--release"])?;
    let program = target().join("bench/release/zellbook-bench");
    if let Some((name, workload)) = arguments.split_first()
        && name == "bulk"
    {
        return bulk(&program, workload);
    }
    if !arguments.is_empty() {
        return run(Command::new(program).args(arguments));
    }
    say("many orders at once");
    bulk(&program, &[])?;
    say("streams");
    run(Command::new(&program).args(["streams", "mix0", "mix10k", "mix1m", "mix10m"]))?;
    say("parts");
    run(Command::new(&program).arg("parts"))?;
    say("states");
    for accounts in ["100000", "1000000"] {
        run(Command::new(&program).args(["state", accounts]))?;
    }
    wasm()
}

/// Replays histories, or one of so many keys and orders, with the program that an operator runs.
fn bulk(benchmark: &Path, workload: &[String]) -> Run {
    say("building zellbook in release");
    run(cargo().args(["build", "--locked", "--release", "--package", "zellbook"]))?;
    let folder = target().join("bench/bulk");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = target().join("release/zellbook");
    run(Command::new(benchmark).arg("bulk").arg(program).arg(folder).args(workload))
}

/// Times the code of the core that the page runs, as wasm in Node.js.
fn wasm() -> Run {
    ensure_wasm_target()?;
    say("building the wasm benchmark");
    build(&[
        "--package",
        "zellbook-bench-wasm",
        "--target",
        "wasm32-unknown-unknown",
        "--profile",
        "page",
    ])?;
    let module = target().join("bench/wasm32-unknown-unknown/page/zellbook_bench_wasm.wasm");
    say("wasm");
    run(Command::new("node").arg(root().join("bench/wasm/time.mjs")).arg(module))
}

fn build(arguments: &[&str]) -> Run {
    let manifest = root().join("bench/Cargo.toml");
    let mut build = cargo();
    build.args(["build", "--locked", "--manifest-path"]).arg(manifest).args(arguments);
    // A folder of its own, so that the two workspaces neither mix their builds nor wait for each other.
    run(build.env("CARGO_TARGET_DIR", target().join("bench")))
}

//! `cargo xtask test` runs all tests: the tests of the crates, the model in release, the test vectors with other
//! implementations, the chaos test, the Python clients, the core as wasm in a browser, and the page in a browser.

use std::path::PathBuf;
use std::process::Command;

use crate::builds::{self, Page};
use crate::process::{Run, cargo, run, say};
use crate::tools::{
    ensure_chromium, ensure_nginx, ensure_npm, ensure_python, ensure_wasm_target,
    ensure_wasm_test_runner,
};
use crate::workspace::root;

/// Flags for a browser that runs in a container, without a screen and without connections of its own.
const CHROMIUM_FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking";

/// The tests in `server/bin/tests/replica/attacks`.
const ATTACKS: &str = "attacks::";

pub fn test() -> Run {
    let python = ensure_python(&root().join("tests/guide/requirements.txt"))?;
    ensure_nginx()?;
    let native = ["test", "--locked", "--workspace", "--exclude", "zellbook-web"];
    say("native tests");
    run(cargo().args(native).args(["--", "--skip", ATTACKS]).env("ZELLBOOK_TEST_PYTHON", python))?;
    // Alone, since they measure how long honest clients wait.
    say("attacks, one at a time");
    run(cargo().args(native).args(["--tests", "--", ATTACKS, "--test-threads", "1"]))?;
    model()?;
    vectors()?;
    chaos()?;
    sdk()?;
    wasm_tests()?;
    browser("test", &[])
}

/// Compares the engine with the naive model, and signatures together with signatures alone. A release build, because so many
/// cases take too long in a debug build.
fn model() -> Run {
    say(
        "the engine against the naive model, 20,000 cases of 100 transactions; 100,000 forged signatures",
    );
    run(cargo()
        .args(["test", "--locked", "--release", "--package", "zellbook-core"])
        .args(["--test", "model", "--test", "signatures"])
        .env("ZELLBOOK_MODEL_CASES", "20000")
        .env("ZELLBOOK_SIGNATURE_CASES", "100000"))
}

/// Checks the test vectors in Python, with libraries that share no code with the core.
fn vectors() -> Run {
    let folder = root().join("tests/vectors");
    let python = ensure_python(&folder.join("requirements.txt"))?;
    say("checking docs/vectors in Python");
    for (check, vectors) in [("check.py", "transactions.json"), ("receipts.py", "receipts.json")] {
        run(Command::new(&python)
            .arg(folder.join(check))
            .arg(root().join("docs/vectors").join(vectors)))?;
    }
    Ok(())
}

/// Runs replicas on the emulated network with faults, in virtual time. Each seed runs twice and must give the same history.
fn chaos() -> Run {
    say("the chaos test: replicas on a failing network, 50 seeds of at least 300 batches");
    run(cargo()
        .args(["run", "--quiet", "--locked", "--release", "--package", "zellbook", "--"])
        .args(["chaos", "--seeds", "0..50", "--batches", "300"]))
}

/// Runs the Python SDK of the Zellular Sequencer against the embedded sequencer and the emulated network.
fn sdk() -> Run {
    let folder = root().join("tests/sdk");
    let python = ensure_python(&folder.join("requirements.txt"))?;
    let server = builds::server()?;
    say("the Zellular SDK against the embedded sequencer and the emulated network");
    run(Command::new(python).arg(folder.join("check.py")).arg(server))
}

/// Runs the golden history, and a page of finalized batches from a real network, as wasm in the browser.
fn wasm_tests() -> Run {
    ensure_wasm_target()?;
    let (browser, driver) = ensure_chromium()?;
    let runner = ensure_wasm_test_runner()?;
    say("wasm tests in the browser");
    let folder = root().join("target/wasm-tests");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let flags: Vec<String> = CHROMIUM_FLAGS.split(' ').map(|flag| format!("\"{flag}\"")).collect();
    let browser = browser.display();
    let capabilities = format!(
        "{{\"goog:chromeOptions\":{{\"binary\":\"{browser}\",\"args\":[{}]}}}}",
        flags.join(",")
    );
    let config = folder.join("webdriver.json");
    std::fs::write(&config, capabilities).map_err(|error| error.to_string())?;
    run(cargo()
        .args(["test", "--locked", "--target", "wasm32-unknown-unknown"])
        .args(["--package", "zellbook-core", "--test", "golden", "--test", "signatures"])
        .args(["--package", "zellular", "--test", "page"])
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner)
        .env("CHROMEDRIVER", &driver)
        .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", &config)
        .env("WASM_BINDGEN_TEST_TIMEOUT", "120"))
}

/// Runs a script of `tests/browser`, which drives the page in a browser.
fn browser(what: &str, arguments: &[&str]) -> Run {
    let page = builds::page(Page::Small)?;
    let server = builds::server()?;
    let (browser, _) = ensure_chromium()?;
    let folder: PathBuf = root().join("tests/browser");
    ensure_npm(&folder)?;
    say("driving the page in the browser");
    run(Command::new("npm")
        .args(["run", "--silent", what])
        .args(arguments)
        .current_dir(&folder)
        .env("ZELLBOOK_SERVER_BINARY", server)
        .env("ZELLBOOK_PAGE", page)
        .env("ZELLBOOK_CHROMIUM", browser)
        .env("ZELLBOOK_CHROMIUM_FLAGS", CHROMIUM_FLAGS))
}

/// Measures the page's frame times in a busy market.
pub fn frames() -> Run {
    browser("frames", &[])
}

/// Writes the screenshots for the documentation.
pub fn screenshots() -> Run {
    browser("screenshots", &[])
}

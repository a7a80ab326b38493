//! Every test: native, the model in release, the vectors by other implementations, the chaos test of a
//! failing network, the network's SDK, wasm in the browser, the guide's client, and the page as a person
//! uses it.

use std::path::PathBuf;
use std::process::Command;

use crate::builds::{self, Page};
use crate::process::{Run, cargo, run, say};
use crate::tools::{
    ensure_chromium, ensure_npm, ensure_python, ensure_wasm_target, ensure_wasm_test_runner,
};
use crate::workspace::root;

/// Flags for a browser without a screen, in a container, that talks to nobody else.
const CHROMIUM_FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking";

/// Runs everything.
pub fn test() -> Run {
    let python = ensure_python(&root().join("tests/guide/requirements.txt"))?;
    say("native tests");
    run(cargo()
        .args(["test", "--locked", "--workspace", "--exclude", "zellbook-web"])
        .env("ZELLBOOK_TEST_PYTHON", python))?;
    model()?;
    vectors()?;
    chaos()?;
    sdk()?;
    wasm_tests()?;
    browser("test", &[])
}

/// The engine against the naive model on as many cases as the promise says, at full speed.
fn model() -> Run {
    say("the engine against the naive model, 20,000 cases of 100 transactions");
    run(cargo()
        .args(["test", "--locked", "--release", "--package", "zellbook-core", "--test", "model"])
        .env("ZELLBOOK_MODEL_CASES", "20000"))
}

/// The vectors of signatures, checked in Python by libraries that are strangers to ours.
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

/// Replicas on the emulated network with all its faults, in virtual time: each seed twice, with one history.
fn chaos() -> Run {
    say("the chaos test: replicas on a failing network, 50 seeds of at least 300 batches");
    run(cargo()
        .args(["run", "--quiet", "--locked", "--release", "--package", "zellbook", "--"])
        .args(["chaos", "--seeds", "0..50", "--batches", "300"]))
}

/// The network's own client in Python against the embedded sequencer and the emulated network.
fn sdk() -> Run {
    let folder = root().join("tests/sdk");
    let python = ensure_python(&folder.join("requirements.txt"))?;
    let server = builds::server()?;
    say("the Zellular SDK against the embedded sequencer and the emulated network");
    run(Command::new(python).arg(folder.join("check.py")).arg(server))
}

/// The golden history and a page of a real network, in the browser.
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
        .args(["--package", "zellbook-core", "--test", "golden"])
        .args(["--package", "zellular", "--test", "page"])
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner)
        .env("CHROMEDRIVER", &driver)
        .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", &config)
        .env("WASM_BINDGEN_TEST_TIMEOUT", "120"))
}

/// Drives the page in a browser with the scripts of `tests/browser`.
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

/// Measures the frames of the page in a busy market.
pub fn frames() -> Run {
    browser("frames", &[])
}

/// Writes the screenshots of the documentation.
pub fn screenshots() -> Run {
    browser("screenshots", &[])
}

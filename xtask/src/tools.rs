//! Installs the programs and packages that builds and tests need, where that is possible.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Run, cargo, run, say, works};
use crate::workspace::{root, target};

/// Adds the wasm target if it is missing.
pub fn ensure_wasm_target() -> Run {
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let installed = installed.map_err(|error| {
        format!("rustup is needed to add the wasm target, and could not be run: {error}; see https://rustup.rs")
    })?;
    if String::from_utf8_lossy(&installed.stdout).contains("wasm32-unknown-unknown") {
        return Ok(());
    }
    say("adding the wasm target");
    run(Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"]))
}

/// Installs the npm packages of a folder, unless those of the same lock file are installed.
pub fn ensure_npm(folder: &Path) -> Run {
    if !works(Command::new("npm").arg("--version")) {
        return Err("Node.js with npm is needed: install the package nodejs of your system, or see https://nodejs.org".into());
    }
    let lock = fs::read(folder.join("package-lock.json"))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    // The whole lock file and not its time, which changes with each checkout.
    let stamp = folder.join("node_modules/.stamp");
    if fs::read(&stamp).is_ok_and(|stamped| stamped == lock) {
        return Ok(());
    }
    say(&format!("installing the npm packages of {}", folder.display()));
    let mut npm = Command::new("npm");
    // `ci` installs exactly the lock file. Without scripts, no package runs code of its own when it is installed.
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
    run(&mut npm)?;
    // Last, so that an interrupted installation is repeated.
    fs::write(&stamp, lock).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Finds the first of these programs that is on PATH.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let all = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.into_iter().find(|file| file.is_file())
}

/// Finds or installs Chromium and its driver.
pub fn ensure_chromium() -> Result<(PathBuf, PathBuf), String> {
    let search = || {
        let browser =
            find(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])?;
        Some((browser, find(&["chromedriver", "chromium.chromedriver"])?))
    };
    if let Some(found) = search() {
        return Ok(found);
    }
    let hint = "the browser tests need Chromium and its driver: install the packages chromium and chromium-driver (Debian), chromium-browser and chromium-chromedriver (Ubuntu), or put `chromium` and `chromedriver` on PATH";
    install(&["chromium", "chromium-driver"], hint)?;
    search().ok_or_else(|| hint.into())
}

/// Finds or installs nginx, which the tests of a replica behind a proxy run, and openssl, which makes its certificate.
pub fn ensure_nginx() -> Run {
    // Debian has nginx in a folder that is often on the path of root only.
    let has_nginx = find(&["nginx"]).is_some() || Path::new("/usr/sbin/nginx").is_file();
    if has_nginx && find(&["openssl"]).is_some() {
        return Ok(());
    }
    install(
        &["nginx", "openssl"],
        "the tests of a replica behind a proxy need nginx and openssl: install the packages nginx and openssl",
    )
}

/// Installs packages of the system where apt-get can. The hint says what to do where it cannot.
fn install(packages: &[&str], hint: &str) -> Run {
    if find(&["apt-get"]).is_none() {
        return Err(hint.into());
    }
    say(&format!("installing {}", packages.join(" and ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])
        .and_then(|()| apt(&[&["install", "-y", "-qq"], packages].concat()))
        .map_err(|error| format!("{hint} ({error})"))
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String, String> {
    let path = root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    // A search in the text, so that this crate, which every command builds first, needs no TOML parser.
    let mark = format!("name = \"{package}\"\nversion = \"");
    let at = lock.find(&mark).ok_or_else(|| format!("{package} is not in Cargo.lock"))?;
    let rest = lock.get(at + mark.len()..).unwrap_or_default();
    Ok(rest.split('"').next().unwrap_or_default().to_string())
}

/// Finds or installs wasm-bindgen's test runner, whose version must be that of the library in Cargo.lock.
pub fn ensure_wasm_test_runner() -> Result<PathBuf, String> {
    let version = locked_version("wasm-bindgen")?;
    // A folder for each version, so that another commit finds its own runner.
    let folder = target().join("tools").join(format!("wasm-bindgen-cli-{version}"));
    let runner = folder.join("bin/wasm-bindgen-test-runner");
    if runner.is_file() {
        return Ok(runner);
    }
    say("installing the test runner of wasm-bindgen (two minutes, once)");
    let install = |locked: &[&str]| {
        let mut install = cargo();
        // A debug build is ready sooner, and the runner has little to do.
        install.args(["install", "wasm-bindgen-cli", "--debug", "--version", &version]);
        run(install.args(locked).args([OsStr::new("--root"), folder.as_os_str()]))
    };
    // The tool's lock file needs exact versions, which a mirror of the registry may not have yet.
    install(&["--locked"]).or_else(|error| {
        say(&format!("{error}; trying with the versions that the registry has"));
        install(&[])
    })?;
    Ok(runner)
}

/// Creates a virtual environment with the packages of a requirements file, and returns its Python.
pub fn ensure_python(requirements: &Path) -> Result<PathBuf, String> {
    let wanted =
        fs::read(requirements).map_err(|error| format!("{}: {error}", requirements.display()))?;
    let name = requirements.parent().and_then(Path::file_name).unwrap_or_default();
    let folder = target().join("tools/python").join(name);
    let (python, stamp) = (folder.join("bin/python"), folder.join("stamp"));
    if fs::read(&stamp).is_ok_and(|stamped| stamped == wanted) {
        return Ok(python);
    }
    say("creating a virtual environment for the Python tests");
    // From scratch, so that no package of an earlier requirements file remains.
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).map_err(|error| {
        format!("Python 3 with venv is needed for the guide's client and the vectors: install the packages python3 and python3-venv ({error})")
    })?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(pip.arg(requirements))?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}

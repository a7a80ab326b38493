//! The replicas of a devnet. Each is a child process that is restarted when it exits, and that cannot outlive
//! this process.

use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use zellbook_server::cli::{Failure, HALTED};
use zellbook_server::config::io_error;

use super::arguments::{DevnetArguments, port_of};

/// How often to check whether a replica exited.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long replicas may take to start, and to stop.
const START_STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait before a replica is restarted.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// A replica that exits within this time after its start counts as failed to start.
const SOON: Duration = Duration::from_secs(10);
/// A replica is given up after this many failed starts in a row.
const STARTS_MAX: u32 = 3;

pub struct Replicas(Vec<Replica>);

struct Replica {
    command: Command,
    child: Child,
    url: String,
    log: PathBuf,
    started: Instant,
    /// The number of failed starts in a row.
    failures: u32,
    /// When it was found to have exited.
    ended: Option<Instant>,
    /// Whether it is not restarted any more.
    is_over: bool,
}

impl Replicas {
    /// Starts the replicas of a folder that has genesis, node list and keys.
    pub fn start(arguments: &DevnetArguments, folder: &Path) -> Result<Self, Failure> {
        let replicas = (0..arguments.replicas).map(|n| Replica::start(arguments, n, folder));
        Ok(Self(replicas.collect::<Result<_, _>>()?))
    }

    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(|replica| replica.url.clone()).collect()
    }

    /// Waits until all replicas respond.
    pub async fn wait_until_served(&mut self) -> Result<(), Failure> {
        let client = reqwest::Client::builder().no_proxy().timeout(START_STOP_TIMEOUT).build()?;
        let since = Instant::now();
        for replica in &mut self.0 {
            let url = format!("{}/v1/status", replica.url);
            // Any response will do: it shows that the port is served.
            while client.get(&url).send().await.is_err() {
                if replica.status().is_some() || since.elapsed() > START_STOP_TIMEOUT {
                    return Err(replica.end().into());
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Restarts replicas that exit, and returns once none can be restarted.
    pub async fn keep_running(&mut self) -> Failure {
        loop {
            for replica in self.0.iter_mut().filter(|replica| !replica.is_over) {
                replica.keep_running();
            }
            if self.0.iter().all(|replica| replica.is_over) {
                return "no replica is running any more".into();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Stops all replicas with SIGTERM, as an operator would.
    pub async fn stop(&mut self) {
        tracing::info!("stopping {} replicas", self.0.len());
        // All are asked before any is awaited, so that they stop at the same time.
        self.0.iter_mut().for_each(Replica::ask_to_stop);
        let asked = Instant::now();
        while self.0.iter_mut().any(|replica| replica.status().is_none())
            && asked.elapsed() < START_STOP_TIMEOUT
        {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Replica {
    fn start(arguments: &DevnetArguments, number: u8, folder: &Path) -> Result<Self, Failure> {
        let port = match port_of(arguments.port, number.into())? {
            // The port must be known here, for the URL, and stay the same over restarts. If another program
            // takes it first, the replica fails to start and is reported.
            0 => TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
            port => port,
        };
        let address = format!("127.0.0.1:{port}");
        let data = folder.join(format!("replica-{number}"));
        let log = data.join("log");
        let errors = OpenOptions::new().create(true).append(true).open(&log);
        let errors = errors.map_err(io_error(&log))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--stop-with-input", "--listen", &address, "--data"]).arg(&data);
        command.arg("--genesis").arg(folder.join("genesis.json"));
        command.arg("--network").arg(folder.join("nodes.json"));
        command.arg("--issuer-key").arg(folder.join("issuer.key"));
        command.args(["--threshold", &arguments.threshold.to_string()]);
        if let Some(page) = &arguments.page {
            command.arg("--page").arg(page);
        }
        // The pipe closes when this process ends, even if it is killed, and stops the replica.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn()?;
        let (url, started) = (format!("http://{address}"), Instant::now());
        Ok(Self { command, child, url, log, started, failures: 0, ended: None, is_over: false })
    }

    /// The exit status, if it has exited.
    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Restarts it if it exited a while ago.
    fn keep_running(&mut self) {
        let Some(status) = self.status() else { return };
        let Some(ended) = self.ended else {
            self.ended = Some(Instant::now());
            self.failures = if self.started.elapsed() < SOON { self.failures + 1 } else { 0 };
            // A halted replica would halt again; its evidence needs an operator.
            self.is_over = status.code() == Some(HALTED.into()) || self.failures >= STARTS_MAX;
            let then =
                if self.is_over { "it will not be restarted" } else { "it will be restarted" };
            tracing::warn!("{}\n{then}", self.end());
            return;
        };
        // A short wait, so that a replica that cannot start does not use up a core.
        if ended.elapsed() < RESTART_AFTER {
            return;
        }
        match self.command.spawn() {
            Ok(child) => {
                (self.child, self.started, self.ended) = (child, Instant::now(), None);
            }
            Err(error) => {
                tracing::warn!("cannot restart the replica at {}: {error}", self.url);
                self.is_over = true;
            }
        }
    }

    /// A message about a replica that exited or does not respond, with the end of its log.
    fn end(&mut self) -> String {
        let status =
            self.status().map_or_else(|| "no response".into(), |status| status.to_string());
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n  ");
        format!("the replica at {} failed: {status}\n  {last}", self.url)
    }

    /// Sends SIGTERM.
    fn ask_to_stop(&mut self) {
        // After it exited, another process may have its id.
        if self.status().is_some() {
            return;
        }
        // If this fails, dropping it kills it.
        // The standard library can only send SIGKILL, and calling libc would need `unsafe`.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // Fails if it has already stopped, as it should have.
        let _ = self.child.kill();
        // Collects the exit status, and makes sure that the replica's files are closed before the folder is removed.
        let _ = self.child.wait();
    }
}

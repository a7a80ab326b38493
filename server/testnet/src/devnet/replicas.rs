//! The replicas of a devnet: each a process of its own, which is started again when it ends, and does not
//! outlive the command.

use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use zellbook_server::cli::{Failure, HALTED};
use zellbook_server::config::io_error;

use super::arguments::{DevnetArguments, port_of};

/// How often it is looked whether a replica ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long replicas have to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long after its end a replica is started again.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// One that ends so soon after its start has failed to start.
const SOON: Duration = Duration::from_secs(10);
/// How often in a row it may.
const STARTS_MAX: u32 = 3;

/// All replicas.
pub struct Replicas(Vec<Replica>);

/// One of them.
struct Replica {
    command: Command,
    child: Child,
    url: String,
    log: PathBuf,
    started: Instant,
    /// How often in a row it ended soon.
    failures: u32,
    /// When it was seen to have ended, if it did.
    ended: Option<Instant>,
    /// Whether it is not started again.
    is_over: bool,
}

impl Replicas {
    /// Starts those of a folder, which has genesis, node list and keys.
    pub fn start(arguments: &DevnetArguments, folder: &Path) -> Result<Self, Failure> {
        let replicas = (0..arguments.replicas).map(|n| Replica::start(arguments, n, folder));
        Ok(Self(replicas.collect::<Result<_, _>>()?))
    }

    /// Where they are.
    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(|replica| replica.url.clone()).collect()
    }

    /// Waits until all answer.
    pub async fn wait_until_served(&mut self) -> Result<(), Failure> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let since = Instant::now();
        for replica in &mut self.0 {
            let url = format!("{}/v1/status", replica.url);
            while client.get(&url).send().await.is_err() {
                if replica.status().is_some() || since.elapsed() > PATIENCE {
                    return Err(replica.end().into());
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Tells of replicas that end and starts them again, until none can be started.
    pub async fn keep_running(&mut self) -> Failure {
        loop {
            for replica in self.0.iter_mut().filter(|replica| !replica.is_over) {
                replica.keep_running();
            }
            if self.0.iter().all(|replica| replica.is_over) {
                return "no replica is left".into();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Stops them, as an operator would.
    pub async fn stop(&mut self) {
        tracing::info!("stopping {} replicas", self.0.len());
        self.0.iter_mut().for_each(Replica::ask_to_stop);
        let asked = Instant::now();
        while self.0.iter_mut().any(|replica| replica.status().is_none())
            && asked.elapsed() < PATIENCE
        {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Replica {
    fn start(arguments: &DevnetArguments, number: u8, folder: &Path) -> Result<Self, Failure> {
        let port = match port_of(arguments.port, number.into())? {
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
        // Its input ends when this process does, however that ends.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn()?;
        let (url, started) = (format!("http://{address}"), Instant::now());
        Ok(Self { command, child, url, log, started, failures: 0, ended: None, is_over: false })
    }

    /// How it ended, if it did.
    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Starts it again a while after it ended.
    fn keep_running(&mut self) {
        let Some(status) = self.status() else { return };
        let Some(ended) = self.ended else {
            self.ended = Some(Instant::now());
            self.failures = if self.started.elapsed() < SOON { self.failures + 1 } else { 0 };
            // One that halted has found something that its operator is to look at.
            self.is_over = status.code() == Some(HALTED.into()) || self.failures >= STARTS_MAX;
            let then = if self.is_over { "it stays so" } else { "it is started again" };
            tracing::warn!("{}\n{then}", self.end());
            return;
        };
        if ended.elapsed() < START_AGAIN_AFTER {
            return;
        }
        match self.command.spawn() {
            Ok(child) => {
                (self.child, self.started, self.ended) = (child, Instant::now(), None);
            }
            Err(error) => {
                tracing::warn!("the replica at {} is not started again: {error}", self.url);
                self.is_over = true;
            }
        }
    }

    /// What is said of one that is not there, with the end of its log.
    fn end(&mut self) -> String {
        let status =
            self.status().map_or_else(|| "does not answer".into(), |status| status.to_string());
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n  ");
        format!("the replica at {} ended: {status}\n  {last}", self.url)
    }

    /// Asks it to stop, as an operator would.
    fn ask_to_stop(&mut self) {
        // Its number may be another process's once it is gone.
        if self.status().is_some() {
            return;
        }
        // If it cannot be asked, it is killed in the end.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It has stopped already, if all is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

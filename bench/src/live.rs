//! Measures a replica with the embedded sequencer that takes orders from clients, the real program with its files on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::history::History;
use crate::process::{Connection, Server};
use crate::yardstick::Yardstick;

const PAUSE: Duration = Duration::from_millis(50);
/// How long the replica may take to apply what it took.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most transactions in a request for the deposits.
const AT_ONCE: usize = 500;

/// How clients send orders.
#[derive(Clone, Copy)]
pub struct Sending {
    /// How many connections send at once. One account's orders come over one of them.
    pub connections: usize,
    /// How many orders are in a request: an array, or one without.
    pub per_request: usize,
}

/// What an order took from its request to its effect, as multiples of the yardstick.
pub struct Cost {
    /// CPU of the program, which is replica and sequencer.
    pub cpu: f64,
    /// Wall time.
    pub wall: f64,
}

/// Lets a new replica take the orders of a history.
///
/// # Errors
///
/// A sentence that says what failed, or that an order was refused.
pub fn measure(
    program: &Path,
    folder: &Path,
    history: &History,
    sending: Sending,
    yardstick: &Yardstick,
) -> Result<Cost, String> {
    let data = folder.join("live");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    }
    let genesis = folder.join("genesis.json");
    fs::write(&genesis, &history.genesis)
        .map_err(|error| format!("{}: {error}", genesis.display()))?;
    let (data, genesis) = (data.to_string_lossy(), genesis.to_string_lossy());
    let arguments = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--genesis", &genesis];
    let server = Server::start(program, &arguments)?;
    let (deposits, orders) = transactions(history)?;
    for part in deposits.chunks(AT_ONCE) {
        post(&mut server.connect()?, part)?;
    }
    until_applied(&server)?;
    let mut shares = vec![Vec::new(); sending.connections];
    for (number, orders) in orders.into_values().enumerate() {
        shares[number % sending.connections].push(orders);
    }
    let (unit, cpu, began) = (yardstick.seconds(), server.cpu_seconds()?, Instant::now());
    scope(|scope| {
        let clients: Vec<_> =
            shares.iter().map(|share| scope.spawn(|| send(&server, share, sending))).collect();
        clients.into_iter().try_for_each(|client| {
            client.join().unwrap_or_else(|_| Err("a client has panicked".into()))
        })
    })?;
    until_applied(&server)?;
    let (wall, cpu) = (began.elapsed().as_secs_f64(), server.cpu_seconds()? - cpu);
    let unit = f64::min(unit, yardstick.seconds()) * history.orders as f64;
    server.stop()?;
    Ok(Cost { cpu: cpu / unit, wall: wall / unit })
}

/// The deposits, and the orders and cancels of each account in their sequence.
type Transactions = (Vec<String>, BTreeMap<String, Vec<String>>);

fn transactions(history: &History) -> Result<Transactions, String> {
    let (mut deposits, mut orders) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for body in &history.bodies {
        let elements: Vec<Value> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        for element in elements {
            let text = element.to_string();
            if element["kind"] == "deposit" {
                deposits.push(text);
            } else {
                let account = element["account"].as_str().unwrap_or_default().to_owned();
                orders.entry(account).or_default().push(text);
            }
        }
    }
    Ok((deposits, orders))
}

/// Sends the orders of some accounts, which take turns.
fn send(server: &Server, accounts: &[Vec<String>], sending: Sending) -> Result<(), String> {
    let mut connection = server.connect()?;
    let longest = accounts.iter().map(Vec::len).max().unwrap_or_default();
    let all = (0..longest).flat_map(|at| accounts.iter().filter_map(move |orders| orders.get(at)));
    let all: Vec<String> = all.cloned().collect();
    all.chunks(sending.per_request).try_for_each(|part| post(&mut connection, part))
}

/// Posts transactions. All of them must be accepted.
fn post(connection: &mut Connection, part: &[String]) -> Result<(), String> {
    let body = match part {
        [one] => one.clone(),
        many => format!("[{}]", many.join(",")),
    };
    let (status, answer) = connection.request("POST", "/v1/transactions", &body)?;
    if status != 202 || answer.contains("\"error\":{") {
        let start: String = answer.chars().take(400).collect();
        return Err(format!("a request was answered {status}: {start}"));
    }
    Ok(())
}

/// Waits until nothing is on its way.
fn until_applied(server: &Server) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let (_, answer) = server.request("GET", "/v1/status", "")?;
        let status: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        if status["outbox"] == "0" {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the outbox does not become empty: {answer}"));
        }
        sleep(PAUSE);
    }
}

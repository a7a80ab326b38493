//! A node with the captured network's history that misbehaves on demand. It writes HTTP by hand, so that it
//! can send what no library would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zellular::chain;

use crate::harness::network_vectors;

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The batches after an index.
    Page(u64),
    /// The last finalized batch.
    Last,
    /// The state of the node.
    State,
    Other,
}

/// A response.
#[derive(Clone)]
pub enum Sent {
    /// These bytes; then the connection is closed.
    Raw(Vec<u8>),
    /// A status, further header lines, and a body with its length.
    Answer(u16, String, Vec<u8>),
    /// The first bytes, then the others again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// The first bytes, then one of the others each second.
    Trickle(Vec<u8>, Vec<u8>),
    /// Nothing, for ever.
    Silence,
}

impl Sent {
    pub fn json(body: impl ToString) -> Self {
        Self::Answer(
            200,
            "content-type: application/json\r\n".into(),
            body.to_string().into_bytes(),
        )
    }
}

type Answering = dyn Fn(Asked, u64) -> Option<Sent> + Send + Sync;

/// Chooses a response instead of the honest one, by the request and by the number of attacks so far.
#[derive(Clone)]
pub struct Attack(Arc<Answering>);

impl Attack {
    /// Always honest.
    pub fn none() -> Self {
        Self(Arc::new(|_, _| None))
    }

    pub fn by(answer: impl Fn(Asked, u64) -> Option<Sent> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    /// The same response instead of every page.
    pub fn on_pages(sent: Sent) -> Self {
        Self::by(move |asked, _| matches!(asked, Asked::Page(_)).then(|| sent.clone()))
    }
}

/// A listening node.
pub struct Node {
    pub url: String,
    /// The number of attacks so far.
    pub attacks: Arc<AtomicUsize>,
    followed: Arc<AtomicBool>,
    is_open: Arc<AtomicBool>,
}

impl Node {
    pub async fn start(attack: Attack) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            attacks: Arc::default(),
            followed: Arc::default(),
            is_open: Arc::new(AtomicBool::new(true)),
        };
        let (attacks, followed) = (Arc::clone(&node.attacks), Arc::clone(&node.followed));
        let (is_open, url) = (Arc::clone(&node.is_open), node.url.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let (attack, attacks) = (attack.clone(), Arc::clone(&attacks));
                let (followed, url) = (Arc::clone(&followed), url.clone());
                tokio::spawn(async move {
                    // Fails when the client disconnects.
                    let _ = answer(stream, &attack, &attacks, &followed, &url).await;
                });
            }
        });
        node
    }

    /// An honest node that drops connections until it is opened.
    pub async fn start_closed() -> Self {
        let node = Self::start(Attack::none()).await;
        node.is_open.store(false, Ordering::SeqCst);
        node
    }

    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }

    /// Whether a client followed a redirect.
    pub fn was_followed(&self) -> bool {
        self.followed.load(Ordering::SeqCst)
    }
}

async fn answer(
    mut stream: TcpStream,
    attack: &Attack,
    attacks: &AtomicUsize,
    followed: &AtomicBool,
    url: &str,
) -> std::io::Result<()> {
    loop {
        let Some(path) = read_request(&mut stream).await? else { return Ok(()) };
        if path.contains("elsewhere") {
            followed.store(true, Ordering::SeqCst);
        }
        let asked = asked(&path);
        let made = attacks.load(Ordering::SeqCst) as u64;
        let sent = match (attack.0)(asked, made) {
            Some(sent) => {
                attacks.fetch_add(1, Ordering::SeqCst);
                sent
            }
            None => honest(asked),
        };
        match sent {
            Sent::Raw(bytes) => {
                let text = String::from_utf8_lossy(&bytes).replace("{url}", url);
                let bytes = if text.contains(url) { text.into_bytes() } else { bytes };
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Sent::Answer(status, headers, body) => {
                let headers = headers.replace("{url}", url);
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Sent::Endless(first, again) => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&again).await?;
                }
            }
            Sent::Trickle(first, rest) => {
                stream.write_all(&first).await?;
                for byte in rest.iter().cycle() {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Sent::Silence => loop {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            },
        }
    }
}

/// The path of the next request. Its body is read and discarded.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(head.split(' ').nth(1).map(Into::into))
}

fn asked(path: &str) -> Asked {
    match path.split_once("?after=") {
        Some((_, after)) => after.parse().map_or(Asked::Other, Asked::Page),
        None if path.ends_with("/finalized/last") => Asked::Last,
        None if path == "/node/state" => Asked::State,
        None => Asked::Other,
    }
}

/// A captured response.
pub fn captured(file: &str) -> Value {
    let path = network_vectors().join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The page that an honest node returns after an index.
pub fn page(after: u64) -> Value {
    let mut page = captured("equal4/finalized_after_0.json");
    let bodies = page["data"]["batches"].as_array().unwrap().clone();
    let after = usize::try_from(after).unwrap_or(usize::MAX);
    if after >= bodies.len() {
        page["data"] = Value::Null;
        return page;
    }
    let mut hash = String::new();
    for body in &bodies[..=after] {
        hash = chain(&hash, body.as_str().unwrap());
    }
    let data = &mut page["data"];
    data["batches"] = Value::from(bodies[after..].to_vec());
    data["first_chaining_hash"] = hash.into();
    let signatures = data["finalized_signatures"].as_array_mut().unwrap();
    signatures.retain(|signature| signature["index"].as_u64().unwrap() > after as u64);
    page
}

/// The state that an honest node reports, with this finalized index.
pub fn state(finalized: &Value) -> Value {
    let mut state = captured("equal4/state.json");
    state["data"]["apps"]["orderbook"]["last_finalized_index"] = finalized.clone();
    state
}

fn honest(asked: Asked) -> Sent {
    match asked {
        Asked::Page(after) => Sent::json(page(after)),
        Asked::Last => Sent::json(captured("equal4/last_finalized.json")),
        Asked::State => Sent::json(state(&json!(14))),
        Asked::Other => Sent::Answer(404, String::new(), Vec::new()),
    }
}

//! Programs that run beside the benchmark, and requests to them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// How long a program may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `zellbook`. It is killed when this is dropped.
pub struct Server {
    child: Child,
    /// Host and port.
    address: String,
}

impl Server {
    /// Starts a program, and waits until its log names the address that it listens at.
    ///
    /// # Errors
    ///
    /// A sentence that says what failed.
    pub fn start(program: &Path, arguments: &[&str]) -> Result<Self, String> {
        let failed = |error| format!("{}: {error}", program.display());
        let mut command = Command::new(program);
        command.args(arguments).env_remove("ZELLBOOK_LOG").stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let log = child.stderr.take().map(BufReader::new).ok_or("the program has no log")?;
        let mut lines = log.lines().map_while(Result::ok);
        let mut server = Self { child, address: String::new() };
        // A replica names the address of its embedded sequencer first.
        let is_replica = arguments.first() == Some(&"serve");
        let sought = if is_replica { "serving at http://" } else { "listening at http://" };
        let line = lines.find(|line| line.contains(sought));
        let line = line.ok_or(format!("{} ended before it listened", arguments.join(" ")))?;
        server.address = line.rsplit("http://").next().unwrap_or_default().trim().into();
        // Read on, or the program would wait once the pipe is full.
        spawn(move || lines.for_each(drop));
        Ok(server)
    }

    /// The seconds that it has run on all processors so far.
    ///
    /// # Errors
    ///
    /// See [`cpu_seconds`].
    pub fn cpu_seconds(&self) -> Result<f64, String> {
        cpu_seconds(&format!("/proc/{}/stat", self.child.id()), 11)
    }

    /// Opens a connection for requests.
    ///
    /// # Errors
    ///
    /// A sentence that says what failed.
    pub fn connect(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect(&self.address);
        let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let stream = stream.map_err(|error| format!("{}: {error}", self.address))?;
        Ok(Connection { stream: BufReader::new(stream), address: self.address.clone() })
    }

    /// Sends a request on a new connection, and returns the status and the body of the answer.
    ///
    /// # Errors
    ///
    /// A sentence that says what failed.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        self.connect()?.request(method, path, body)
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    ///
    /// A sentence that says what failed.
    pub fn stop(mut self) -> Result<(), String> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        sent.map_err(|error| format!("kill: {error}"))?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.child.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        Err("the program does not stop".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection for one request after the other.
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    /// Sends a request, and returns the status and the body of the answer.
    ///
    /// # Errors
    ///
    /// A sentence that says what failed.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<(u16, String), String> {
        let failed = |error: String| format!("{method} {path}: {error}");
        let (address, length) = (&self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        sent.map_err(|error| failed(error.to_string()))?;
        self.answer().map_err(|error| failed(error.to_string()))
    }

    fn answer(&mut self) -> std::io::Result<(u16, String)> {
        let malformed = || std::io::Error::other("not an answer of HTTP with a length");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(malformed());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let (status, length): (u16, usize) = status.zip(length).ok_or_else(malformed)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        String::from_utf8(body).map(|body| (status, body)).map_err(|_| malformed())
    }
}

/// The seconds that child processes which have ended have run.
///
/// # Errors
///
/// See [`cpu_seconds`].
pub fn cpu_of_children() -> Result<f64, String> {
    cpu_seconds("/proc/self/stat", 13)
}

/// The sum of a field of a `stat` file and the next one, which are times in user and in system mode, in hundredths of a
/// second. The field is counted from the state, which is 0. Source: proc(5).
///
/// # Errors
///
/// On other systems than Linux.
pub(crate) fn cpu_seconds(path: &str, field: usize) -> Result<f64, String> {
    let stat = fs::read_to_string(path)
        .map_err(|error| format!("{path}: {error}; this benchmark needs Linux"))?;
    // The name, in parentheses, can have spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(field).take(2);
    let ticks: Result<Vec<u64>, _> = fields.map(str::parse).collect();
    Ok(ticks.map_err(|error| error.to_string())?.iter().sum::<u64>() as f64 / 100.0)
}

//! Where the requests of a connection begin and end, read more strictly than hyper does.
//!
//! hyper accepts a bare LF as the end of a line, and lets `Transfer-Encoding` win over `Content-Length`. A
//! proxy may read such bytes in another way and then disagree with this server on where the next request
//! begins (request smuggling). So the bytes are examined before hyper gets them, and where they are
//! malformed, hyper gets a byte that it refuses.

/// The longest line of a head, a chunk's size or a trailer.
const LINE_BYTES_MAX: usize = 16 << 10;

/// What the next byte of a connection belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    /// The head of a request, or the time before it.
    #[default]
    Head,
    /// A body with this many bytes left.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    Trailer,
    /// Another protocol, after a request to change to WebSocket. If the server refuses the change, it
    /// closes the connection.
    ///
    /// Only after a `GET` without a body: the server would read the body of another request, unexamined, before
    /// it refuses the change.
    Other,
}

#[derive(Debug, Default)]
pub struct Framing {
    part: Part,
    /// The present line so far.
    line: Vec<u8>,
    head: Head,
}

/// What the lines of a head say about the rest of the message.
#[derive(Debug, Default)]
struct Head {
    lines: usize,
    is_get: bool,
    length: Option<u64>,
    is_chunked: bool,
    to_websocket: bool,
}

struct Malformed;

impl Framing {
    /// Whether the client still has to send the rest of a body.
    pub const fn is_in_body(&self) -> bool {
        !matches!(self.part, Part::Head | Part::Other)
    }

    /// Reads the next bytes of the connection. The error is the position of the byte where they are
    /// malformed; after it, the connection is of no more use.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.part {
                Part::Other => return Ok(()),
                Part::Body(left) | Part::Chunk(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= step as u64;
                    at += step;
                    match self.part {
                        Part::Body(0) => self.part = Part::Head,
                        Part::Chunk(0) => self.part = Part::ChunkEnd,
                        _ => {}
                    }
                }
                _ => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let step = end.map_or(rest.len(), |end| end + 1);
                    self.line.extend_from_slice(&rest[..step]);
                    at += step;
                    if self.line.len() > LINE_BYTES_MAX {
                        return Err(at - 1);
                    }
                    if end.is_some() {
                        let line = std::mem::take(&mut self.line);
                        self.take_line(&line).map_err(|Malformed| at - 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes a line with its end.
    fn take_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let line = line.strip_suffix(b"\r\n").ok_or(Malformed)?;
        if line.contains(&b'\r') {
            return Err(Malformed);
        }
        self.part = match self.part {
            // Empty lines before a request are allowed.
            Part::Head if line.is_empty() && self.head.lines == 0 => Part::Head,
            Part::Head if line.is_empty() => std::mem::take(&mut self.head).next_part(),
            Part::Head => {
                self.head.take(line)?;
                Part::Head
            }
            Part::ChunkSize => match chunk_size(line)? {
                0 => Part::Trailer,
                size => Part::Chunk(size),
            },
            Part::ChunkEnd if line.is_empty() => Part::ChunkSize,
            Part::ChunkEnd => return Err(Malformed),
            Part::Trailer if line.is_empty() => Part::Head,
            Part::Trailer => Part::Trailer,
            // These have no lines.
            Part::Body(_) | Part::Chunk(_) | Part::Other => return Err(Malformed),
        };
        Ok(())
    }
}

impl Head {
    fn take(&mut self, line: &[u8]) -> Result<(), Malformed> {
        self.lines += 1;
        if self.lines == 1 {
            self.is_get = line.starts_with(b"GET ");
            return Ok(());
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // White space before a name continues the value of the line before, for readers that know this
        // obsolete form. White space after a name is ignored by some.
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return Err(Malformed);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            // Two lengths, even equal ones, are an attack or a fault.
            if self.length.replace(decimal(value)?).is_some() {
                return Err(Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // The last coding decides. `gate::check_codings` refuses others before it.
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            self.is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if !self.is_chunked {
                return Err(Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.to_websocket = value.eq_ignore_ascii_case(b"websocket");
        }
        if self.is_chunked && self.length.is_some() { Err(Malformed) } else { Ok(()) }
    }

    fn next_part(self) -> Part {
        match self.length {
            _ if self.is_chunked => Part::ChunkSize,
            None | Some(0) if self.is_get && self.to_websocket => Part::Other,
            None | Some(0) => Part::Head,
            Some(length) => Part::Body(length),
        }
    }
}

fn decimal(digits: &[u8]) -> Result<u64, Malformed> {
    // `parse` alone would accept a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Malformed);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    u64::from_str_radix(digits, 16).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the text whole and byte by byte, and returns where it is malformed.
    fn read(text: &str) -> (Framing, Result<(), usize>) {
        let (mut whole, mut single) = (Framing::default(), Framing::default());
        let result = whole.read(text.as_bytes());
        let bytes = text.as_bytes().iter().enumerate();
        let by_byte = bytes
            .map(|(at, byte)| single.read(&[*byte]).map_err(|_| at))
            .find(Result::is_err)
            .unwrap_or(Ok(()));
        assert_eq!(result, by_byte, "{text:?}");
        if result.is_ok() {
            assert_eq!(whole.part, single.part, "{text:?}");
        }
        (whole, result)
    }

    #[test]
    fn messages_end_where_their_heads_say() {
        for text in [
            "",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-LENGTH:  3 \r\n\r\na\nb",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0A;x=y\r\n\n\n\n\n\n\n\n\n\n\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
        ] {
            let (framing, result) = read(text);
            assert_eq!((result, framing.part), (Ok(()), Part::Head), "{text:?}");
        }
        let (framing, _) = read("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
        assert_eq!((framing.is_in_body(), framing.part), (true, Part::Body(6)));
    }

    #[test]
    fn only_a_get_without_a_body_can_change_the_protocol() {
        for (request, rest, part) in [
            ("GET / HTTP/1.1\r\n", "\n\n\0", Part::Other),
            ("GET / HTTP/1.1\r\nContent-Length: 0\r\n", "\n\n\0", Part::Other),
            ("GET / HTTP/1.1\r\nContent-Length: 5\r\n", "\n\n\0", Part::Body(2)),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "5\r\n\n\n\0", Part::Chunk(2)),
            ("POST / HTTP/1.1\r\n", "", Part::Head),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\n", "\n\n\0", Part::Body(2)),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "5\r\n\n\n\0", Part::Chunk(2)),
        ] {
            let text = format!("{request}Upgrade: WebSocket\r\n\r\n{rest}");
            let (framing, result) = read(&text);
            assert_eq!((result, framing.part), (Ok(()), part), "{text:?}");
        }
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_malformed() {
        for text in [
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1\r\nHost: a\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nA: b\rc\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +3\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n",
            "POST / HTTP/1.1\r\nContent-Length: \r\n",
            "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\naGET / HTTP/1.1\n",
        ] {
            assert_eq!(read(text).1, Err(text.len() - 1), "{text:?}");
        }
        let long = "a".repeat(LINE_BYTES_MAX + 1);
        assert!(read(&long).1.is_err());
    }
}

//! A client before the edge: one blocking connection, well-behaved requests by builder, anything else as bytes.

use super::wire::{Body, Framing, Head, Reader, each_pattern_piece, value};
use serde_json::Value;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// The Host that requests name unless they say otherwise.
pub const HOST: &str = "api.tickettoken.com";
const TIMEOUT: Duration = Duration::from_secs(20);

/// One connection.
pub struct Client {
    stream: TcpStream,
    reader: Reader,
}

/// An answer as it was received.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Body,
    /// Statuses of the 1xx answers that came before.
    pub interim: Vec<u16>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).expect("the edge accepts a connection")
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        let reader = Reader::new(stream.try_clone()?);
        Ok(Client { stream, reader })
    }

    pub fn request<'client>(&'client mut self, method: &str, target: &str) -> Request<'client> {
        Request {
            client: self,
            method: method.to_owned(),
            target: target.to_owned(),
            fields: vec![("Host".to_owned(), HOST.to_owned())],
            body: Payload::None,
        }
    }

    /// GET without a token.
    pub fn get(&mut self, target: &str) -> Response {
        self.request("GET", target).send()
    }

    /// GET with a bearer token.
    pub fn fetch_as(&mut self, token: &str, target: &str) -> Response {
        self.request("GET", target).bearer(token).send()
    }

    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the edge reads what is sent");
    }

    /// The same where the edge may have closed already.
    pub fn try_send_raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// The next answer, to a request that was sent with this method.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response_to(method).expect("the edge answers")
    }

    pub fn try_response_to(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let head = self.reader.head()?.ok_or_else(|| {
                io::Error::new(ErrorKind::UnexpectedEof, "the connection ended without an answer")
            })?;
            let status = status(&head)?;
            if (100..200).contains(&status) {
                interim.push(status);
                continue;
            }
            let body = self.reader.body(framing(&head, method, status)?)?;
            return Ok(Response { status, fields: head.fields, body, interim });
        }
    }

    /// The body behind a head that was read alone.
    pub fn body_behind(&mut self, head: &Head, method: &str) -> io::Result<Body> {
        let status = status(head)?;
        self.reader.body(framing(head, method, status)?)
    }

    /// The next head alone; its body stays on the connection.
    pub fn head(&mut self) -> Head {
        self.reader.head().expect("the edge answers").expect("the edge answers before it closes")
    }

    /// Whether the edge closes the connection without another byte; waits for it.
    pub fn is_closed(&mut self) -> bool {
        self.reader.is_closed()
    }

    /// Ends our direction; answers can still be read.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Goes away with a reset, as a crashed client does.
    pub fn vanish(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))
            .expect("a socket can be told to reset");
    }

    pub fn set_timeout(&self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).expect("a positive limit");
    }
}

/// A request that is being written.
pub struct Request<'client> {
    client: &'client mut Client,
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Payload,
}

enum Payload {
    None,
    Bytes(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
    Pattern(u64),
}

impl Request<'_> {
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Adds a field; the same name may come twice.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.fields.retain(|field| field.0 != "Host");
        self.header("Host", host)
    }

    /// A body under Content-Length.
    #[must_use]
    pub fn body(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body = Payload::Bytes(bytes.as_ref().to_vec());
        self
    }

    #[must_use]
    pub fn json(self, document: &Value) -> Self {
        self.header("Content-Type", "application/json").body(document.to_string())
    }

    /// A chunked body.
    #[must_use]
    pub fn chunks(mut self, pieces: &[&[u8]]) -> Self {
        self.body = Payload::Chunks(pieces.iter().map(|piece| piece.to_vec()).collect());
        self
    }

    /// `length` bytes of the test pattern under Content-Length.
    #[must_use]
    pub fn pattern(mut self, length: u64) -> Self {
        self.body = Payload::Pattern(length);
        self
    }

    /// Sends and reads the answer.
    pub fn send(self) -> Response {
        self.try_send().expect("the edge answers")
    }

    pub fn try_send(self) -> io::Result<Response> {
        let method = self.method.clone();
        let client = self.write()?;
        client.try_response_to(&method)
    }

    /// Sends only; the answer is read later or never.
    pub fn send_only(self) {
        self.write().expect("the edge reads what is sent");
    }

    fn write<'client>(self) -> io::Result<&'client mut Client>
    where
        Self: 'client,
    {
        let client: &'client mut Client = self.client;
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Payload::None => {}
            Payload::Bytes(bytes) => head.push_str(&format!("Content-Length: {}\r\n", bytes.len())),
            Payload::Pattern(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
            Payload::Chunks(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        client.stream.write_all(head.as_bytes())?;
        match self.body {
            Payload::None => {}
            Payload::Bytes(bytes) => ignore_early_close(client.stream.write_all(&bytes))?,
            Payload::Pattern(length) => {
                let stream = &mut client.stream;
                ignore_early_close(each_pattern_piece(length, |piece| stream.write_all(piece)))?;
            }
            Payload::Chunks(pieces) => {
                let mut bytes = Vec::new();
                for piece in pieces {
                    bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    bytes.extend_from_slice(&piece);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
                ignore_early_close(client.stream.write_all(&bytes))?;
            }
        }
        Ok(client)
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body.bytes);
        parsed.unwrap_or_else(|fault| panic!("status {}, no JSON ({fault}): {}", self.status, self.text()))
    }

    /// Requires this status, and shows the answer if it is another one.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Response {
        assert_eq!(self.status, status, "{:?}\n{}", self.fields, self.text());
        self
    }

    /// Requires a problem of the edge with all the members that the platform names, and gives it back.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        self.expect_status(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.headers("x-request-id").len(), 1, "{:?}", self.fields);
        let problem = self.json();
        let text = |member: &str| problem.get(member).and_then(Value::as_str).map(str::to_owned);
        assert_eq!(text("code").as_deref(), Some(code), "{problem}");
        assert_eq!(problem.get("status"), Some(&Value::from(status)));
        assert_eq!(problem.get("statusCode"), Some(&Value::from(status)));
        assert_eq!(text("error"), text("title"));
        assert_eq!(text("message"), text("detail"));
        assert_eq!(text("requestId").as_deref(), self.header("x-request-id"));
        assert_eq!(text("correlationId").as_deref(), self.header("x-correlation-id"));
        let kind = text("type").expect("a problem has a type");
        assert!(kind.starts_with("https://api.tickettoken.com/errors/"), "{kind}");
        for member in ["title", "detail", "timestamp"] {
            assert!(text(member).is_some_and(|text| !text.is_empty()), "{member} of {problem}");
        }
        // Empty where there was no request line to take a path from.
        assert!(text("instance").is_some(), "{problem}");
        if matches!(status, 429 | 503) {
            let wait = self.header("retry-after").and_then(|value| value.parse::<u32>().ok());
            assert!(wait.is_some_and(|seconds| seconds >= 1), "{:?}", self.fields);
        }
        problem
    }
}

/// The edge may answer and close before it has read a body to its end; the answer is what counts.
fn ignore_early_close(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
        other => other,
    }
}

fn status(head: &Head) -> io::Result<u16> {
    let line = String::from_utf8_lossy(&head.start);
    let status =
        line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|word| word.parse().ok());
    status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, format!("status line: {line}")))
}

fn framing(head: &Head, method: &str, status: u16) -> io::Result<Framing> {
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok(Framing::None);
    }
    match (head.is_chunked(), head.length()) {
        (true, Some(_)) => Err(io::Error::new(ErrorKind::InvalidData, "both framing fields in an answer")),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::UntilClose),
    }
}

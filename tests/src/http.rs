//! A client that speaks HTTP/1.1 over a bare socket, so that a test decides
//! over every byte it sends and sees every chunk as it comes.

mod answer;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use answer::find;
pub use answer::{Answer, Refusal, Stream};

/// How long a peer may stay silent before a test gives up on it.
const SILENCE: Duration = Duration::from_secs(60);

/// Sends requests to one address, each on a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    headers: Vec<(String, String)>,
}

/// A request that is being put together.
#[derive(Clone, Debug)]
pub struct Request {
    address: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A connection that is kept, for many requests or a stream.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

/// Names in lower case, and values.
type Headers = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunks,
    UntilClose,
    Ended,
}

impl Client {
    /// For `http://host:port`; with the token as bearer if there is one.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let bearer = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        Self {
            address: address.to_owned(),
            headers: bearer.into_iter().collect(),
        }
    }

    /// The same with another header on every request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Begins a request.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request {
            address: self.address.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: self.headers.clone(),
            body: Vec::new(),
        }
    }

    /// Gets a resource.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path).json(body).send()
    }

    /// A JSON-RPC call of A2A 1.0.
    pub fn rpc(&self, path: &str, method: &str, params: &Value) -> Answer {
        self.rpc_request(path, method, params).send()
    }

    /// The same, not sent yet.
    pub fn rpc_request(&self, path: &str, method: &str, params: &Value) -> Request {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.request("POST", path)
            .header("a2a-version", "1.0")
            .json(&body)
    }

    /// A call of A2A's HTTP+JSON binding.
    pub fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = self.request(method, path).header("a2a-version", "1.0");
        match body {
            Some(body) => request.a2a_json(body).send(),
            None => request.send(),
        }
    }

    /// Says `text` to whoever lives at `path`, over JSON-RPC.
    pub fn say(&self, path: &str, text: &str) -> Answer {
        self.rpc(path, "SendMessage", &message(text))
    }
}

/// A SendMessageRequest of one text part.
pub fn message(text: &str) -> Value {
    json!({"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}]}})
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a header out again, whatever its case.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// A JSON body of A2A's HTTP+JSON binding.
    #[must_use]
    pub fn a2a_json(self, body: &Value) -> Self {
        self.header("content-type", "application/a2a+json")
            .body(body.to_string())
    }

    /// Any body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it on a connection of its own and reads the whole answer.
    ///
    /// # Panics
    /// When the peer breaks the connection or is silent for long.
    #[track_caller]
    pub fn send(self) -> Answer {
        let line = format!("{} {}", self.method, self.path);
        match self.try_send() {
            Ok(answer) => answer,
            Err(error) => panic!("{line}: {error}"),
        }
    }

    /// The same, for a peer that may go away meanwhile.
    ///
    /// # Errors
    /// When it does.
    pub fn try_send(self) -> io::Result<Answer> {
        Connection::open(&self.address)?.send(&self)
    }

    /// Sends it and gives the answer's head as soon as it has come.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn open(self) -> Stream {
        let line = format!("{} {}", self.method, self.path);
        let opened = Connection::open(&self.address).and_then(|mut connection| {
            connection.write(&self)?;
            connection.stream()
        });
        match opened {
            Ok(stream) => stream,
            Err(error) => panic!("{line}: {error}"),
        }
    }

    /// Sends it and reads nothing: the connection can be dropped at will.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub fn start(self) -> io::Result<Connection> {
        let mut connection = Connection::open(&self.address)?;
        connection.write(&self)?;
        Ok(connection)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        if self.method != "GET" || !self.body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(SILENCE))?;
        socket.set_write_timeout(Some(SILENCE))?;
        socket.set_nodelay(true)?;
        let reader = BufReader::new(socket);
        Ok(Self { reader })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks or the peer is silent for long.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        // A peer that refuses a long body may answer before it has read it all.
        let written = self.write(request);
        let (status, headers, mut framing) = self.head().map_err(|e| written.err().unwrap_or(e))?;
        if request.method == "HEAD" {
            // The length is that of what is not sent.
            framing = Framing::Ended;
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(&mut framing)? {
            body.extend(chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    fn write(&mut self, request: &Request) -> io::Result<()> {
        self.write_raw(&request.bytes())
    }

    /// Reads the head of the next answer.
    ///
    /// # Errors
    /// When none comes.
    pub fn stream(mut self) -> io::Result<Stream> {
        let (status, headers, framing) = self.head()?;
        Ok(Stream {
            status,
            headers,
            connection: self,
            framing,
            text: String::new(),
        })
    }

    fn head(&mut self) -> io::Result<(u16, Headers, Framing)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| broken(&format!("no status line: `{line}`")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let framing = match (
            find(&headers, "transfer-encoding"),
            find(&headers, "content-length"),
        ) {
            (Some("chunked"), _) => Framing::Chunks,
            (_, Some(length)) => Framing::Length(length.parse().map_err(|_| broken(length))?),
            (_, None) if status == 204 || status == 304 => Framing::Ended,
            (_, None) => Framing::UntilClose,
        };
        Ok((status, headers, framing))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The next piece of a body; none at its end.
    fn chunk(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        let mut piece = Vec::new();
        match *framing {
            Framing::Ended => return Ok(None),
            Framing::UntilClose => {
                self.reader.read_to_end(&mut piece)?;
                *framing = Framing::Ended;
            }
            Framing::Length(length) => {
                piece.resize(length, 0);
                self.reader.read_exact(&mut piece)?;
                *framing = Framing::Ended;
            }
            Framing::Chunks => {
                let line = self.line()?;
                let size = usize::from_str_radix(&line, 16).map_err(|_| broken(&line))?;
                piece.resize(size, 0);
                self.reader.read_exact(&mut piece)?;
                self.line()?;
                if size == 0 {
                    *framing = Framing::Ended;
                    return Ok(None);
                }
            }
        }
        Ok(Some(piece))
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

//! What it asks of its host.

use std::fmt::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};

use spin_sdk::key_value::Store;
use wasi::clocks::monotonic_clock;
use wasi::http::outgoing_handler;
use wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingRequest, ResponseOutparam, Scheme,
};
use wasi::io::streams::{InputStream, StreamError};

use crate::answer::{Streamed, text};

/// The value of `name` in a query: up to `&`, and for `url` all of the rest.
pub fn value<'a>(query: &'a str, name: &str) -> &'a str {
    let from = query
        .split_once(&format!("{name}="))
        .map_or("", |(_, value)| value);
    if name == "url" {
        return from;
    }
    from.split('&').next().unwrap_or_default()
}

pub fn sleep_ms(ms: u64) {
    monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)).block();
}

/// Method, address and headers of a request, one a line.
pub fn described(request: &IncomingRequest) -> String {
    let mut lines = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.method(),
        request.scheme(),
        request.authority(),
        request.path_with_query(),
    );
    for (name, value) in request.headers().entries() {
        let _ = writeln!(lines, "{name}: {}", String::from_utf8_lossy(&value));
    }
    lines
}

/// Sends each piece of a request's body back as it comes.
pub fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut streamed = Streamed::start(out);
    while let Some(piece) = piece(&stream) {
        streamed.write(&piece);
    }
    streamed.finish();
}

/// The next piece of a body; `None` at its end.
fn piece(stream: &InputStream) -> Option<Vec<u8>> {
    match stream.blocking_read(64 * 1024) {
        Ok(piece) => Some(piece),
        Err(StreamError::Closed) => None,
        Err(StreamError::LastOperationFailed(error)) => {
            panic!("the body broke off: {}", error.to_debug_string())
        }
    }
}

/// What a store answers to everything that can be asked of it.
pub fn key_value(query: &str) -> String {
    let label = value(query, "label");
    let label = if label.is_empty() { "default" } else { label };
    let store = match Store::open(label) {
        Ok(store) => store,
        Err(error) => return format!("open: {error:?}\n"),
    };
    let size = value(query, "n").parse().unwrap_or(3);
    let key = "k".repeat(value(query, "key").parse().unwrap_or(1));
    let mut lines = String::new();
    let _ = writeln!(
        lines,
        "get: {:?}",
        store.get(&key).map(|v| v.map(|v| v.len()))
    );
    let _ = writeln!(lines, "set: {:?}", store.set(&key, &vec![7; size]));
    let _ = writeln!(
        lines,
        "get: {:?}",
        store.get(&key).map(|v| v.map(|v| v.len()))
    );
    let _ = writeln!(lines, "exists: {:?}", store.exists(&key));
    let _ = writeln!(lines, "keys: {:?}", store.get_keys().map(|keys| keys.len()));
    if !query.contains("keep") {
        let _ = writeln!(lines, "delete: {:?}", store.delete(&key));
        let _ = writeln!(lines, "exists: {:?}", store.exists(&key));
    }
    lines
}

pub fn variable(name: &str) -> String {
    match spin_sdk::variables::get(name) {
        Ok(value) => format!("value: {value}\n"),
        Err(error) => format!("{error:?}\n"),
    }
}

pub fn environment() -> String {
    std::env::vars().fold(String::new(), |mut lines, (name, value)| {
        let _ = writeln!(lines, "{name}={value}");
        lines
    })
}

/// What is in a file, and what happens to who writes there.
pub fn file(path: &str) -> String {
    let read = std::fs::read_to_string(path).map_err(|error| error.kind());
    let written = std::fs::write(path, "mine").map_err(|error| error.kind());
    let made = std::fs::write("/new.txt", "mine").map_err(|error| error.kind());
    format!("read: {read:?}\nwrite: {written:?}\nnew: {made:?}\n")
}

/// What becomes of sockets that a component may not have.
pub fn sockets() -> String {
    let tcp = TcpStream::connect("127.0.0.1:80").map(|_| ());
    let udp = UdpSocket::bind("127.0.0.1:0").map(|_| ());
    let name = ("localhost", 80)
        .to_socket_addrs()
        .map(|found| found.count());
    format!(
        "tcp: {:?}\nudp: {:?}\nname: {:?}\n",
        tcp.map_err(|error| error.kind()),
        udp.map_err(|error| error.kind()),
        name.map_err(|error| error.kind()),
    )
}

/// Fetches a URL and passes the answer on, piece by piece.
pub fn outbound(out: ResponseOutparam, url: &str) {
    let request = OutgoingRequest::new(Fields::new());
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if !scheme.is_empty() {
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        };
        let _ = request.set_scheme(Some(&scheme));
        let _ = request.set_authority(Some(authority));
    }
    let _ = request.set_path_with_query(Some(path));
    let future = match outgoing_handler::handle(request, None) {
        Ok(future) => future,
        Err(error) => return text(out, &format!("error: {error:?}\n")),
    };
    future.subscribe().block();
    let response = match future.get().unwrap().unwrap() {
        Ok(response) => response,
        Err(error) => return text(out, &format!("error: {error:?}\n")),
    };
    let body: IncomingBody = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut streamed = Streamed::start(out);
    streamed.write(format!("{}\n", response.status()).as_bytes());
    while let Some(piece) = piece(&stream) {
        streamed.write(&piece);
    }
    streamed.finish();
}

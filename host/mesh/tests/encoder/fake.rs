//! An embeddings endpoint of this process, over real sockets, that does as it is told.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What it does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// Vectors of so many numbers.
    Vectors(usize),
    /// The same, and 400 for a request with a text that has this in it.
    Refuses(&'static str, usize),
    /// The same, and 413 for more than so many texts.
    Takes(usize, usize),
    /// Says nothing.
    Silent,
    /// Nothing but a status, with a place to go on for those that redirect.
    Status(u16),
    /// This as the body of a good answer.
    Says(&'static str),
    /// One vector too few.
    Short,
    /// More than anybody reads.
    Huge,
    /// Half of a good answer.
    Cut,
}

/// The endpoint; gone when dropped, with all of its connections.
pub struct Fake {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    does: Mutex<Does>,
    /// Head and JSON of each request.
    seen: Mutex<Vec<(String, Value)>>,
    open: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl Fake {
    pub fn start(does: Does) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), does)
    }

    /// At an address where one was before.
    pub fn at(address: SocketAddr, does: Does) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            does: Mutex::new(does),
            seen: Mutex::default(),
            open: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                serving
                    .open
                    .lock()
                    .unwrap()
                    .push(stream.try_clone().unwrap());
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serve(&stream, &serving));
            }
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1/", self.address)
    }

    pub fn does(&self, does: Does) {
        *self.shared.does.lock().unwrap() = does;
    }

    /// Head and JSON of each request so far.
    pub fn seen(&self) -> Vec<(String, Value)> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// All texts it was asked for.
    pub fn texts(&self) -> Vec<String> {
        let texts = |(_, asked): &(String, Value)| {
            let input = asked["input"].as_array().unwrap();
            let text = |text: &Value| text.as_str().unwrap().to_owned();
            input.iter().map(text).collect::<Vec<_>>()
        };
        self.seen().iter().flat_map(texts).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the one who accepts, so that it sees that.
        let _ = TcpStream::connect(self.address);
        self.accepting.take().unwrap().join().unwrap();
        for stream in self.shared.open.lock().unwrap().iter() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Answers on one connection until it ends.
fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    while let Some((head, asked)) = request(&mut reader) {
        shared.seen.lock().unwrap().push((head, asked.clone()));
        let does = *shared.does.lock().unwrap();
        if answer(stream, does, &asked).is_none() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Value)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).unwrap()))
}

/// `None` when the connection is to end.
fn answer(stream: &TcpStream, does: Does, asked: &Value) -> Option<()> {
    let input = asked["input"].as_array().unwrap();
    let texts: Vec<&str> = input.iter().map(|text| text.as_str().unwrap()).collect();
    let vectors = |numbers| vectors(&texts, numbers).to_string();
    match does {
        Does::Vectors(numbers) => say(stream, 200, &vectors(numbers)),
        Does::Refuses(word, _) if texts.iter().any(|text| text.contains(word)) => {
            say(stream, 400, "{}")
        }
        Does::Takes(most, _) if texts.len() > most => say(stream, 413, "{}"),
        Does::Refuses(_, numbers) | Does::Takes(_, numbers) => say(stream, 200, &vectors(numbers)),
        Does::Silent => Some(()),
        Does::Status(status) => say(stream, status, "{\"error\":\"sk-secret\"}"),
        Does::Says(body) => say(stream, 200, body),
        Does::Short => {
            let mut answer = self::vectors(&texts, 4);
            answer["data"].as_array_mut().unwrap().pop();
            say(stream, 200, &answer.to_string())
        }
        Does::Huge => say(stream, 200, &" ".repeat(17 * 1024 * 1024)),
        Does::Cut => {
            let whole = vectors(4);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len());
            let mut stream = stream;
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&whole.as_bytes()[..whole.len() / 2]);
            let _ = stream.shutdown(std::net::Shutdown::Both);
            None
        }
    }
}

fn say(mut stream: &TcpStream, status: u16, body: &str) -> Option<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} So\r\ncontent-length: {length}\r\nlocation: /v1/embeddings\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()
}

/// Texts that share letters have vectors that are alike.
fn vectors(texts: &[&str], numbers: usize) -> Value {
    let vector = |text: &str| {
        let mut vector = vec![0.0; numbers];
        text.bytes()
            .for_each(|byte| vector[usize::from(byte) % numbers] += 1.0);
        vector
    };
    let row = |(index, text): (usize, &&str)| json!({ "object": "embedding", "index": index, "embedding": vector(text) });
    // From the last to the first: what counts is the index.
    let rows: Vec<Value> = texts.iter().enumerate().map(row).rev().collect();
    json!({ "object": "list", "data": rows, "model": "m", "usage": { "total_tokens": 1 } })
}

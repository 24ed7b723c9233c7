//! What is fuzzed: each parser of bytes that come from strangers, as one
//! function of bytes. None may panic, and what is read and written again has to
//! be read as the same.
//!
//! `cargo xtask fuzz TARGET` feeds them inputs that libFuzzer makes up
//! (`libfuzzer/`, nightly); a test feeds them `seeds/`, which is what is known to
//! be good, bad, or once broke something.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use kgents_app::{LockedApp, RuntimeConfig, manifest};
use kgents_gateway::carry::Carried;
use kgents_gateway::reading::Reading;
use kgents_gateway::{RequestHead, decode};

/// Longest line of an answer that is fuzzed, in bytes.
const LINE_BYTES_MAX: usize = 4096;

/// A parser: its name, which is its folder of seeds, and what feeds it.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("manifest", manifest),
    ("lock", lock),
    ("runtime", runtime),
    ("request", request),
    ("gateway", gateway),
    ("answer", answer),
    ("ask", ask),
];

/// `spin.toml`.
pub fn manifest(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = manifest::parse(text);
    }
}

/// A locked application's JSON: what is read is written and read as the same.
pub fn lock(bytes: &[u8]) {
    let Ok(lock) = LockedApp::from_json(bytes) else {
        return;
    };
    let again = lock.to_json().and_then(|json| LockedApp::from_json(&json));
    assert!(
        again.is_ok_and(|again| again == lock),
        "another application"
    );
}

/// `runtime-config.toml`.
pub fn runtime(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = RuntimeConfig::parse(text);
    }
}

/// A caller's request: a line of method and target, lines of headers, an empty
/// line, the body.
pub fn request(bytes: &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let body = body.strip_prefix(b"\n\n").unwrap_or(body);
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let mut lines = head.split('\n');
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or_default();
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let head = RequestHead {
        method: &method,
        path,
        query,
        headers: &headers,
    };
    match decode(&head, Bytes::copy_from_slice(body)) {
        // What the gateway would send on is read by the nucleus, and as the same
        // once the space around documents is gone.
        Ok(arrived) => {
            let carried = Carried::new(None, "http://mesh.example".to_owned(), arrived.call);
            let read = Carried::read(&carried.to_bytes());
            let again =
                read.map(|read| Carried::read(&read.to_bytes()).is_ok_and(|again| again == read));
            assert_eq!(again.ok(), Some(true), "another call");
        }
        Err(refusal) => drop(refusal.reply.unary(Err(&refusal.failure))),
    }
}

/// What a gateway sends to the nucleus.
pub fn gateway(bytes: &[u8]) {
    let _ = Carried::read(bytes);
}

/// What a nucleus answers a gateway, in two pieces.
pub fn answer(bytes: &[u8]) {
    let mut reading = Reading::new(LINE_BYTES_MAX);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for piece in [first, second] {
        reading.feed(piece);
        while let Ok(Some(_)) = reading.step() {}
    }
    reading.close();
    while let Ok(Some(_)) = reading.step() {}
}

/// What `/v1/decide` is asked.
pub fn ask(bytes: &[u8]) {
    use kgents_decide::ask::{HealthAsk, PheromoneAsk, PolicyAsk, RouterAsk};
    let _ = kgents_decide_wire::from_json::<RouterAsk>(bytes);
    let _ = kgents_decide_wire::from_json::<PolicyAsk>(bytes);
    let _ = kgents_decide_wire::from_json::<PheromoneAsk>(bytes);
    let _ = kgents_decide_wire::from_json::<HealthAsk>(bytes);
}

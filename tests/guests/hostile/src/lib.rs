//! A Spin HTTP component that does, or misdoes, what its path says. Whatever it
//! does may cost its own request and no other.
//!
//! In reading order: this file (what each path does), `answer` (how answers are
//! written), `host` (what it asks of its host).

#![cfg(target_family = "wasm")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a guest that traps is what is tested here"
)]

mod answer;
mod host;

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{ErrorCode, Fields, IncomingRequest, ResponseOutparam};

use answer::{Streamed, text};

struct Hostile;

wasi::http::proxy::export!(Hostile);

/// Requests that this instance has served.
static SERVED: AtomicU32 = AtomicU32::new(0);

impl Guest for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = || -> u64 { host::value(query, "n").parse().unwrap_or(0) };
        match path.rsplit('/').next().unwrap_or_default() {
            // What a good component does.
            "count" => text(out, &served.to_string()),
            "request" => text(out, &host::described(&request)),
            "echo" => host::echo(&request, out),
            "stream" => stream(out, number()),
            "sleep" => {
                host::sleep_ms(number());
                text(out, "slept\n");
            }
            "kv" => text(out, &host::key_value(query)),
            "variable" => text(out, &host::variable(host::value(query, "name"))),
            "env" => text(out, &host::environment()),
            "file" => text(out, &host::file(host::value(query, "path"))),
            "outbound" => host::outbound(out, host::value(query, "url")),
            // What a bad one does.
            "loop" => endless(),
            "allocate" => allocate(),
            "trap" => panic!("asked to"),
            "half" => half(out),
            "silent" => {}
            "drop" => {
                drop(out);
                host::sleep_ms(u64::MAX / 2_000_000);
            }
            "error" => ResponseOutparam::set(out, Err(ErrorCode::LoopDetected)),
            "flood-logs" => flood(out),
            "headers" => headers(out, number()),
            "header" => header(out, number()),
            "never-read" => text(out, "did not read\n"),
            "never-write" => {
                let streamed = Streamed::start(out);
                host::sleep_ms(u64::MAX / 2_000_000);
                streamed.finish();
            }
            "write-for-ever" => write_for_ever(out),
            "socket" => text(out, &host::sockets()),
            "leak" => leak(out, number()),
            _ => text(out, "nothing is done here\n"),
        }
    }
}

fn stream(out: ResponseOutparam, pieces: u64) {
    let mut streamed = Streamed::start(out);
    for piece in 0..pieces {
        streamed.write(format!("piece {piece}\n").as_bytes());
        host::sleep_ms(5);
    }
    streamed.finish();
}

fn endless() {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn allocate() {
    let mut held = Vec::new();
    loop {
        held.push(vec![1u8; 1 << 20]);
        black_box(&held);
    }
}

fn half(out: ResponseOutparam) {
    let mut streamed = Streamed::start(out);
    streamed.write(b"half\n");
    host::sleep_ms(20);
    panic!("asked to, in the middle");
}

fn flood(out: ResponseOutparam) {
    let line = "all work and no play makes jack a dull boy ".repeat(20);
    for _ in 0..20_000 {
        println!("{line}");
        eprintln!("{line}");
    }
    text(out, "flooded\n");
}

/// Answers with as many headers as it is let set.
fn headers(out: ResponseOutparam, count: u64) {
    let fields = Fields::new();
    let taken = (0..count)
        .take_while(|index| fields.append(&format!("x-{index}"), &b"x".to_vec()).is_ok())
        .count();
    answer::with(out, fields, &taken.to_string());
}

/// Answers with a header of as many bytes, if it is let set it.
fn header(out: ResponseOutparam, bytes: u64) {
    let fields = Fields::new();
    let value = vec![b'x'; usize::try_from(bytes).unwrap()];
    let taken = fields.append(&"x-large".to_owned(), &value).is_ok();
    answer::with(out, fields, if taken { "taken" } else { "refused" });
}

fn write_for_ever(out: ResponseOutparam) {
    let mut streamed = Streamed::start(out);
    let piece = vec![b'x'; 64 * 1024];
    while streamed.write(&piece) {}
}

/// Makes resources of the host that it never gives back.
fn leak(out: ResponseOutparam, count: u64) {
    for _ in 0..count {
        std::mem::forget(Fields::new());
    }
    text(out, "leaked\n");
}

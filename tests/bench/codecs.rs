//! The codecs: bytes of a protocol to a call and back, without I/O.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kgents_gateway::upstream::{self, Events};
use kgents_gateway::{Binding, RequestHead, ResultFacts, decode};

use crate::Settings;
use crate::load::MESSAGE;
use crate::table::{Cell, Table};

const TASK: &str = r#"{"task":{"id":"8a1d","contextId":"c77","status":{"state":"TASK_STATE_COMPLETED","timestamp":"2026-11-24T10:00:00.000Z"},"artifacts":[{"artifactId":"a","parts":[{"text":"The translation team has 998,000 tokens left."}]}],"metadata":{"usage":{"totalTokens":42}}}}"#;

/// Where the JSON-RPC agent is.
const AGENT: &str = "http://a:1/";

/// Measures reading and writing on both sides.
///
/// # Errors
/// When a codec refuses what is right.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let rounds = if settings.quick { 20_000 } else { 200_000 };
    let mut table = Table::new("Codecs, one thread", &["", "bytes", "µs", "MB/s"]);
    let method = Method::POST;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("a2a-version", HeaderValue::from_static("1.0"));
    let head = RequestHead {
        method: &method,
        path: "/agents/b-gent",
        query: None,
        headers: &headers,
    };
    let small = Bytes::from_static(MESSAGE.as_bytes());
    let large = Bytes::from(MESSAGE.replace("how many", &"how many ".repeat(110_000)));
    let mut time = |name: &str, bytes: usize, rounds: u32, each: &mut dyn FnMut()| {
        let seconds = mean(rounds, each);
        table.row([
            Cell::text(name),
            Cell::Number(bytes as f64, 0),
            Cell::Number(seconds * 1e6, 2),
            Cell::Number(bytes as f64 / seconds / 1e6, 0),
        ]);
    };
    let read = |body: &Bytes| black_box(decode(black_box(&head), body.clone()).is_ok());
    let parse = |body: &Bytes| {
        black_box(serde_json::from_slice::<serde::de::IgnoredAny>(black_box(body)).is_ok())
    };
    time(
        "peer: serde_json skips a small message",
        small.len(),
        rounds,
        &mut || {
            parse(&small);
        },
    );
    time("read a small message", small.len(), rounds, &mut || {
        read(&small);
    });
    time(
        "peer: serde_json skips a large message",
        large.len(),
        50,
        &mut || {
            parse(&large);
        },
    );
    time("read a large message", large.len(), 50, &mut || {
        read(&large);
    });

    let arrived =
        decode(&head, small.clone()).map_err(|refusal| anyhow!("{:?}", refusal.failure))?;
    let failed = |failure| anyhow!("{failure:?}");
    let request = || upstream::request(Binding::JsonRpc, AGENT, &arrived.call.operation, 7);
    let sent = request().map_err(failed)?;
    time(
        "write it to the agent",
        sent.body.len(),
        rounds,
        &mut || {
            black_box(request().is_ok());
        },
    );
    let answer = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":7,"result":{TASK}}}"#));
    let from_agent = || upstream::answer(sent.expect, StatusCode::OK, None, answer.clone());
    let payload = from_agent().map_err(failed)?;
    time("read the agent's answer", answer.len(), rounds, &mut || {
        black_box(from_agent().is_ok());
    });
    time(
        "what the mesh has to know of it",
        answer.len(),
        rounds,
        &mut || {
            black_box(ResultFacts::of(&payload));
        },
    );
    time("write it to the caller", answer.len(), rounds, &mut || {
        black_box(arrived.reply.unary(Ok(&payload)));
    });
    let frame = arrived.reply.event(Ok(&payload));
    let frame = String::from_utf8(frame.to_vec())?.replace(r#""id":"5d3a""#, r#""id":7"#);
    time("pass one event on", frame.len(), rounds, &mut || {
        let mut events = Events::new(sent.expect);
        events.feed(frame.as_bytes());
        for event in events.flatten() {
            black_box(ResultFacts::of(&event));
            black_box(arrived.reply.event(Ok(&event)));
        }
    });
    table.note("Peer: skipping the same bytes is what any JSON reader that checks must do.");
    Ok(vec![table])
}

/// Mean seconds of the best of five runs.
fn mean(rounds: u32, each: &mut dyn FnMut()) -> f64 {
    let run = |_| {
        let began = Instant::now();
        for _ in 0..rounds {
            each();
        }
        began.elapsed().as_secs_f64() / f64::from(rounds)
    };
    (0..5).map(run).fold(f64::INFINITY, f64::min)
}

//! What the codecs cost, one thread:
//! `cargo run --release -p kgents-gateway --example measure`.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use kgents_gateway::upstream::{self, Events};
use kgents_gateway::{Binding, RequestHead, ResultFacts, decode};

const ROUNDS: u32 = 200_000;

/// Mean nanoseconds of the best of five runs.
fn time(name: &str, rounds: u32, mut each: impl FnMut()) {
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                each();
            }
            start.elapsed().as_nanos() / u128::from(rounds)
        })
        .min();
    println!("{name:<44} {:>10} ns", best.unwrap_or_default());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
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
    let params = r#"{"message":{"messageId":"0b6f6b1e-3c1e-4b0e-8f43-9d8a3f8d2a11","role":"ROLE_USER","parts":[{"text":"how many tokens does the translation team have left?"}]},"configuration":{}}"#;
    let rpc =
        format!(r#"{{"jsonrpc":"2.0","id":"5d3a","method":"SendMessage","params":{params}}}"#);
    let small = Bytes::from(rpc.clone());
    let large = Bytes::from(rpc.replace("how many", &"how many ".repeat(110_000)));
    println!("small {} bytes, large {} bytes", small.len(), large.len());
    time("decode JSON-RPC SendMessage, small", ROUNDS, || {
        black_box(decode(black_box(&head), small.clone()).is_ok());
    });
    time("decode JSON-RPC SendMessage, large", 50, || {
        black_box(decode(black_box(&head), large.clone()).is_ok());
    });
    let send = RequestHead {
        path: "/agents/b-gent/message:send",
        ..head
    };
    let plain = Bytes::from(params);
    time("decode HTTP+JSON SendMessage, small", ROUNDS, || {
        black_box(decode(black_box(&send), plain.clone()).is_ok());
    });

    let arrived = decode(&head, small.clone()).map_err(|refusal| refusal.failure)?;
    time("write upstream JSON-RPC request", ROUNDS, || {
        let written =
            upstream::request(Binding::JsonRpc, "http://a:1/", &arrived.call.operation, 7);
        black_box(written.is_ok());
    });
    let expect =
        upstream::request(Binding::JsonRpc, "http://a:1/", &arrived.call.operation, 7)?.expect;
    let task = r#"{"task":{"id":"8a1d","contextId":"c77","status":{"state":"TASK_STATE_COMPLETED","timestamp":"2026-11-24T10:00:00.000Z"},"artifacts":[{"artifactId":"a","parts":[{"text":"The translation team has 998,000 tokens left."}]}],"metadata":{"usage":{"totalTokens":42}}}}"#;
    let answer = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":7,"result":{task}}}"#));
    time("read upstream JSON-RPC answer", ROUNDS, || {
        let read = upstream::answer(expect, http::StatusCode::OK, None, answer.clone());
        black_box(read.is_ok());
    });
    let payload = upstream::answer(expect, http::StatusCode::OK, None, answer.clone())?;
    time("facts of a result", ROUNDS, || {
        black_box(ResultFacts::of(&payload));
    });
    time("encode JSON-RPC answer", ROUNDS, || {
        black_box(arrived.reply.unary(Ok(&payload)));
    });
    let frame = arrived.reply.event(Ok(&payload));
    let frame = String::from_utf8(frame.to_vec())?.replace(r#""id":"5d3a""#, r#""id":7"#);
    time("one event: read, facts, encode", ROUNDS, || {
        let mut events = Events::new(expect);
        events.feed(frame.as_bytes());
        for event in events.flatten() {
            black_box(ResultFacts::of(&event));
            black_box(arrived.reply.event(Ok(&event)));
        }
    });
    Ok(())
}

//! What the agent answers, in the words of either binding.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use serde_json::{Value, json};

use super::{Seen, State};

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Which binding asked, and what it has to be told again.
#[derive(Clone)]
enum Voice {
    Rpc { id: Value },
    Rest,
}

/// What was asked.
enum Asked {
    Message { text: String, streams: bool },
    GetTask(String),
    CancelTask(String),
    Nonsense,
}

/// Counts a caller that goes away before this is over.
struct Waiting(Option<Arc<State>>);

impl Waiting {
    fn of(state: &Arc<State>) -> Self {
        Self(Some(Arc::clone(state)))
    }

    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(state) = &self.0 {
            state.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Answers a request.
pub async fn speak(state: &Arc<State>, seen: &Seen) -> Response<Body> {
    let (voice, asked) = understand(seen);
    let (text, streams) = match asked {
        Asked::Message { text, streams } => (text, streams),
        Asked::GetTask(id) => return voice.task(state, &id),
        Asked::CancelTask(id) => {
            let mut tasks = state.tasks.lock().unwrap();
            if let Some((_, of)) = tasks.iter_mut().find(|(other, _)| *other == id) {
                *of = "TASK_STATE_CANCELED";
            }
            drop(tasks);
            return voice.task(state, &id);
        }
        Asked::Nonsense => return voice.error(-32601, 404, "METHOD_NOT_FOUND", "what?"),
    };
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let result = match word {
        "begin" => json!({"task": begin(state)}).to_string(),
        "stream" if streams => return voice.stream(state, true),
        "linger" if streams => return voice.stream(state, false),
        "break" => return broken_off(),
        "garbage" => return plain(200, "<html>I am not an agent</html>"),
        "fail" => return voice.error(-32042, 418, "OUT_OF_PAPER", "the printer is out of paper"),
        "raw" => state.raw.lock().unwrap().clone(),
        "hang" => {
            let _waiting = Waiting::of(state);
            std::future::pending::<()>().await;
            return broken_off();
        }
        "hold" => {
            let waiting = Waiting::of(state);
            state.gate.acquire().await.unwrap().forget();
            waiting.finish();
            message(&text, None)
        }
        "use" => message(&text, rest.parse().ok()),
        _ => message(&text, None),
    };
    match streams {
        true => voice.events(stream::iter([result]).boxed()),
        false => voice.result(&result),
    }
}

fn understand(seen: &Seen) -> (Voice, Asked) {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let path = seen.line.split(['?', ' ']).nth(1).unwrap_or_default();
    if path == "/rpc" {
        let id = body["id"].clone();
        let asked = of_method(body["method"].as_str().unwrap_or_default(), &body["params"]);
        return (Voice::Rpc { id }, asked);
    }
    let asked = match path.trim_start_matches("/rest") {
        "/message:send" => of_method("SendMessage", &body),
        "/message:stream" => of_method("SendStreamingMessage", &body),
        path => match path.strip_prefix("/tasks/") {
            Some(id) => match id.strip_suffix(":cancel") {
                Some(id) => Asked::CancelTask(id.to_owned()),
                None => Asked::GetTask(id.to_owned()),
            },
            None => Asked::Nonsense,
        },
    };
    (Voice::Rest, asked)
}

fn of_method(method: &str, params: &Value) -> Asked {
    let id = || params["id"].as_str().unwrap_or_default().to_owned();
    let text = || {
        let text = params.pointer("/message/parts/0/text");
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    match method {
        "SendMessage" | "SendStreamingMessage" => Asked::Message {
            text: text(),
            streams: method == "SendStreamingMessage",
        },
        "GetTask" => Asked::GetTask(id()),
        "CancelTask" => Asked::CancelTask(id()),
        _ => Asked::Nonsense,
    }
}

fn begin(state: &State) -> Value {
    let mut tasks = state.tasks.lock().unwrap();
    let id = format!("{}-task-{}", state.options.name, tasks.len());
    tasks.push((id.clone(), "TASK_STATE_WORKING"));
    task(&id, "TASK_STATE_WORKING")
}

fn task(id: &str, state: &str) -> Value {
    json!({"id": id, "contextId": "c-1", "status": {"state": state}, "kept": {"by": "agent"}})
}

fn message(text: &str, tokens: Option<u64>) -> String {
    let mut message = json!({"messageId": "a-1", "role": "ROLE_AGENT", "parts": [{"text": text}]});
    if let Some(tokens) = tokens {
        message["metadata"] = json!({"https://kgents.io/ext/usage/v1": {"totalTokens": tokens}});
    }
    json!({ "message": message }).to_string()
}

impl Voice {
    fn wrap(&self, result: &str) -> String {
        match self {
            Self::Rpc { id } => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
            Self::Rest => result.to_owned(),
        }
    }

    fn result(&self, result: &str) -> Response<Body> {
        json(&self.wrap(result))
    }

    fn task(&self, state: &State, id: &str) -> Response<Body> {
        let tasks = state.tasks.lock().unwrap();
        match tasks.iter().find(|(other, _)| other == id) {
            Some((id, state)) => self.result(&task(id, state).to_string()),
            None => self.error(-32001, 404, "TASK_NOT_FOUND", "no such task"),
        }
    }

    fn error(&self, code: i64, status: u16, reason: &str, text: &str) -> Response<Body> {
        let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                          "domain": "agents.example"});
        match self {
            Self::Rpc { id } => {
                let error = json!({"code": code, "message": text, "data": [info]});
                json(&json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())
            }
            Self::Rest => {
                let error = json!({"code": status, "status": "UNKNOWN", "message": text, "details": [info]});
                let mut response = json(&json!({ "error": error }).to_string());
                *response.status_mut() = status.try_into().unwrap();
                response
            }
        }
    }

    /// A task from its beginning to its end; when `ends` is false it never does.
    fn stream(&self, state: &Arc<State>, ends: bool) -> Response<Body> {
        let begun = begin(state);
        let id = begun["id"].as_str().unwrap_or_default().to_owned();
        let status = |state: &str| json!({"statusUpdate": {"taskId": id, "contextId": "c-1", "status": {"state": state}}});
        let artifact = json!({"artifactUpdate": {"taskId": id, "contextId": "c-1", "artifact":
            {"artifactId": "a", "parts": [{"text": "half of it"}]}, "kept": true}});
        let rest = [
            status("TASK_STATE_WORKING"),
            artifact,
            status("TASK_STATE_COMPLETED"),
        ];
        let rest: Vec<String> = rest.iter().map(Value::to_string).collect();
        let first = stream::iter([json!({ "task": begun }).to_string()]);
        let waiting = Some(Waiting::of(state));
        let held = stream::unfold(
            (Arc::clone(state), rest.into_iter(), waiting),
            move |(state, mut rest, mut waiting)| async move {
                if !ends {
                    std::future::pending::<()>().await;
                }
                let event = rest.next()?;
                state.gate.acquire().await.unwrap().forget();
                if rest.len() == 0
                    && let Some(waiting) = waiting.take()
                {
                    waiting.finish();
                }
                Some((event, (state, rest, waiting)))
            },
        );
        self.events(first.chain(held).boxed())
    }

    fn events(&self, events: stream::BoxStream<'static, String>) -> Response<Body> {
        let voice = self.clone();
        let frames = events.map(move |event| {
            let event = format!("data: {}\n\n", voice.wrap(&event));
            Ok(Frame::data(Bytes::from(event)))
        });
        respond(
            "text/event-stream",
            BodyExt::boxed_unsync(StreamBody::new(frames)),
        )
    }
}

/// A body that breaks off after its beginning has been sent.
fn broken_off() -> Response<Body> {
    let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"jsonrpc\":")))]);
    let broken = stream::once(async {
        // The server flushes what it has when there is nothing more at once.
        tokio::task::yield_now().await;
        Err(io::Error::other("broken off"))
    });
    let body = StreamBody::new(begun.chain(broken));
    respond("application/json", BodyExt::boxed_unsync(body))
}

/// JSON with status 200, and headers that no caller may ever see.
pub fn json(text: &str) -> Response<Body> {
    let body = Full::from(text.to_owned()).map_err(|never| match never {});
    let mut response = respond("application/json", body.boxed_unsync());
    for (name, value) in [
        ("kgents-event", "evt-forged"),
        ("kgents-agent", "somebody-else"),
        ("set-cookie", "of=the-agent"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Words that are no JSON.
pub fn plain(status: u16, text: &str) -> Response<Body> {
    let body = Full::from(text.to_owned()).map_err(|never| match never {});
    let mut response = respond("text/html", body.boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    response
}

fn respond(content_type: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", content_type.parse().unwrap());
    response
}

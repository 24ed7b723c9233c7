//! A2A 1.0 over JSON-RPC as far as these agents speak it: messages, streams,
//! and the tasks that streams make. Bytes in, bytes out.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Trade, Work};

/// Tasks that can still be read; the oldest goes.
const TASKS_MAX: usize = 64;

/// An answer, before HTTP.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// One JSON-RPC response.
    Once(Value),
    /// One for each event.
    Events(Vec<Value>),
}

/// What the agent remembers.
#[derive(Default)]
pub struct Memory {
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    count: u64,
    tasks: VecDeque<Value>,
}

/// A JSON-RPC error. Source: A2A 1.0, 9.5.
struct Fault {
    code: i32,
    message: String,
}

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Answers a request: `version` is its A2A-Version header, `now` the time in
/// RFC 3339.
pub fn answer(
    trade: &dyn Trade,
    memory: &Memory,
    version: Option<&str>,
    body: &[u8],
    now: &str,
) -> Reply {
    let request: Value = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => {
            let fault = Fault::new(-32700, format!("the body is not JSON: {error}"));
            return Reply::Once(refusal(&Value::Null, &fault));
        }
    };
    let id = request.get("id").cloned().unwrap_or_default();
    match act(trade, memory, version, &request, now) {
        Ok(Acted::Result(result)) => Reply::Once(success(&id, result)),
        Ok(Acted::Events(events)) => {
            let events = events.into_iter().map(|event| success(&id, event));
            Reply::Events(events.collect())
        }
        Err(fault) => Reply::Once(refusal(&id, &fault)),
    }
}

enum Acted {
    Result(Value),
    Events(Vec<Value>),
}

fn act(
    trade: &dyn Trade,
    memory: &Memory,
    version: Option<&str>,
    request: &Value,
    now: &str,
) -> Result<Acted, Fault> {
    let method = request.get("method").and_then(Value::as_str);
    let is_call = request.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    let Some(method) = method.filter(|_| is_call) else {
        return Err(Fault::new(-32600, "that is no JSON-RPC 2.0 request"));
    };
    if !version.is_some_and(|version| version == "1.0" || version.starts_with("1.0.")) {
        let message = "only A2A 1.0 is spoken here; send the header A2A-Version: 1.0";
        return Err(Fault::new(-32009, message));
    }
    let params = request.get("params").unwrap_or(&Value::Null);
    match method {
        "SendMessage" => {
            let worked = trade.work(&text_of(params)?);
            Ok(Acted::Result(match worked {
                Ok(work) => json!({"message": memory.message(trade, params, &work)}),
                Err(why) => json!({"task": memory.rejected(trade, params, &why, now)}),
            }))
        }
        "SendStreamingMessage" => {
            let worked = trade.work(&text_of(params)?);
            Ok(Acted::Events(match worked {
                Ok(work) => memory.events(trade, params, &work, now),
                Err(why) => vec![json!({"task": memory.rejected(trade, params, &why, now)})],
            }))
        }
        "GetTask" => memory.task(params).map(Acted::Result),
        "CancelTask" => {
            memory.task(params)?;
            // Every task has ended by the time its id is known.
            Err(Fault::new(-32002, "the task has ended already"))
        }
        _ => Err(Fault::new(
            -32601,
            "only SendMessage, SendStreamingMessage, GetTask and CancelTask are known here",
        )),
    }
}

/// The words of a message.
fn text_of(params: &Value) -> Result<String, Fault> {
    let parts = params.pointer("/message/parts").and_then(Value::as_array);
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return Err(Fault::new(-32602, "`message.parts` is missing or empty"));
    };
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.get("text").and_then(Value::as_str))
        .collect();
    if texts.is_empty() {
        return Err(Fault::new(-32005, "only text parts are understood here"));
    }
    Ok(texts.join("\n"))
}

impl Memory {
    /// A new id, unique while the agent runs.
    fn id(&self, trade: &dyn Trade, kind: &str) -> String {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.count += 1;
        format!("{}-{kind}-{}", trade.name(), made.count)
    }

    fn context(&self, trade: &dyn Trade, params: &Value) -> String {
        let given = params.pointer("/message/contextId").and_then(Value::as_str);
        given.map_or_else(|| self.id(trade, "context"), str::to_owned)
    }

    fn message(&self, trade: &dyn Trade, params: &Value, work: &Work) -> Value {
        json!({
            "messageId": self.id(trade, "message"),
            "contextId": self.context(trade, params),
            "role": "ROLE_AGENT",
            "parts": [{"text": work.answer}, {"data": work.data}],
        })
    }

    fn rejected(&self, trade: &dyn Trade, params: &Value, why: &str, now: &str) -> Value {
        let words = json!({
            "messageId": self.id(trade, "message"),
            "role": "ROLE_AGENT",
            "parts": [{"text": why}],
        });
        let task = json!({
            "id": self.id(trade, "task"),
            "contextId": self.context(trade, params),
            "status": {"state": "TASK_STATE_REJECTED", "timestamp": now, "message": words},
        });
        self.keep(task.clone());
        task
    }

    /// A task told event by event: begun, each step, the answer, done.
    fn events(&self, trade: &dyn Trade, params: &Value, work: &Work, now: &str) -> Vec<Value> {
        let (task, context) = (self.id(trade, "task"), self.context(trade, params));
        let status = |state: &str| json!({"state": state, "timestamp": now});
        let mut events = vec![json!({"task": {
            "id": task, "contextId": context, "status": status("TASK_STATE_WORKING"),
        }})];
        let count = work.steps.len();
        for (place, step) in work.steps.iter().enumerate() {
            let text = if place + 1 < count {
                format!("{step}\n")
            } else {
                step.clone()
            };
            events.push(json!({"artifactUpdate": {
                "taskId": task, "contextId": context,
                "append": place > 0, "lastChunk": place + 1 == count,
                "artifact": {"artifactId": "steps", "name": "Steps", "parts": [{"text": text}]},
            }}));
        }
        let answer = json!({
            "artifactId": "answer", "name": "Answer",
            "parts": [{"text": work.answer}, {"data": work.data}],
        });
        events.push(json!({"artifactUpdate": {
            "taskId": task, "contextId": context, "lastChunk": true, "artifact": answer,
        }}));
        events.push(json!({"statusUpdate": {
            "taskId": task, "contextId": context, "status": status("TASK_STATE_COMPLETED"),
        }}));
        self.keep(json!({
            "id": task, "contextId": context, "status": status("TASK_STATE_COMPLETED"),
            "artifacts": [
                {"artifactId": "steps", "name": "Steps", "parts": [{"text": work.steps.join("\n")}]},
                answer,
            ],
        }));
        events
    }

    fn keep(&self, task: Value) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.tasks.push_back(task);
        if made.tasks.len() > TASKS_MAX {
            made.tasks.pop_front();
        }
    }

    fn task(&self, params: &Value) -> Result<Value, Fault> {
        let Some(id) = params.get("id").and_then(Value::as_str) else {
            return Err(Fault::new(-32602, "`id` is missing"));
        };
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let found = made
            .tasks
            .iter()
            .find(|task| task.get("id").and_then(Value::as_str) == Some(id));
        found
            .cloned()
            .ok_or_else(|| Fault::new(-32001, "there is no such task, or no more"))
    }
}

fn success(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn refusal(id: &Value, fault: &Fault) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": fault.code, "message": fault.message}})
}

#[cfg(test)]
mod tests {
    use super::super::Calc;
    use super::*;
    use proptest::prelude::*;

    const NOW: &str = "2026-01-01T00:00:00.000Z";

    fn once(memory: &Memory, version: Option<&str>, body: &Value) -> Value {
        match answer(&Calc, memory, version, body.to_string().as_bytes(), NOW) {
            Reply::Once(value) => value,
            Reply::Events(events) => panic!("events: {events:?}"),
        }
    }

    fn call(method: &str, params: Value) -> Value {
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    }

    fn words(text: &str) -> Value {
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}})
    }

    #[test]
    fn a_message_is_answered_with_words_and_data() {
        let response = once(
            &Memory::default(),
            Some("1.0"),
            &call("SendMessage", words("6 * 7")),
        );
        assert_eq!(response["id"], 7);
        let parts = &response["result"]["message"]["parts"];
        assert_eq!(parts[0]["text"], "42");
        assert_eq!(parts[1]["data"]["result"], 42.0);
    }

    #[test]
    fn a_stream_tells_each_step_and_its_task_can_be_read_but_not_cancelled() {
        let memory = Memory::default();
        let body = call("SendStreamingMessage", words("1 + 2 + 3")).to_string();
        let Reply::Events(events) = answer(&Calc, &memory, Some("1.0"), body.as_bytes(), NOW)
        else {
            panic!("no events")
        };
        let text = |place: usize| {
            events[place]["result"]["artifactUpdate"]["artifact"]["parts"][0]["text"].clone()
        };
        assert_eq!(events.len(), 5);
        assert_eq!(
            (text(1), text(2), text(3)),
            (json!("1 + 2 = 3\n"), json!("3 + 3 = 6"), json!("6"))
        );
        let id = events[0]["result"]["task"]["id"].clone();
        let task = once(&memory, Some("1.0"), &call("GetTask", json!({"id": id})));
        assert_eq!(task["result"]["status"]["state"], "TASK_STATE_COMPLETED");
        let cancelled = once(&memory, Some("1.0"), &call("CancelTask", json!({"id": id})));
        assert_eq!(cancelled["error"]["code"], -32002);
    }

    #[test]
    fn bad_requests_get_the_errors_of_the_protocol() {
        let memory = Memory::default();
        let ok = call("SendMessage", words("1+1"));
        for (version, body, code) in [
            (Some("1.0"), json!([]), -32600),
            (
                Some("1.0"),
                json!({"jsonrpc": "1.0", "method": "SendMessage"}),
                -32600,
            ),
            (None, ok.clone(), -32009),
            (Some("0.3"), ok.clone(), -32009),
            (Some("1.0"), call("Nonsense", json!({})), -32601),
            (Some("1.0"), call("SendMessage", json!({})), -32602),
            (
                Some("1.0"),
                call("SendMessage", json!({"message": {"parts": [{"data": 1}]}})),
                -32005,
            ),
            (Some("1.0"), call("GetTask", json!({"id": "x"})), -32001),
        ] {
            assert_eq!(
                once(&memory, version, &body)["error"]["code"],
                code,
                "{body}"
            );
        }
        let broken = answer(&Calc, &memory, Some("1.0"), b"{", NOW);
        let Reply::Once(response) = broken else {
            panic!("events")
        };
        assert_eq!(response["error"]["code"], -32700);
    }

    #[test]
    fn what_it_cannot_do_is_a_rejected_task() {
        let memory = Memory::default();
        let response = once(
            &memory,
            Some("1.0"),
            &call("SendMessage", words("good morning")),
        );
        let status = &response["result"]["task"]["status"];
        assert_eq!(status["state"], "TASK_STATE_REJECTED");
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = answer(&Calc, &Memory::default(), Some("1.0"), &body, NOW);
        }
    }
}

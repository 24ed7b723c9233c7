//! What is sent: A2A 1.0 messages in JSON-RPC.

use serde::Serialize;
use serde_json::value::RawValue;

/// The version of A2A that is spoken. Source: A2A 1.0, `A2A-Version`.
pub const A2A_VERSION: &str = "1.0";

/// A message to an agent.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Words.
    pub text: &'a str,
    /// A data part: JSON, sent as it was written.
    pub data: Option<&'a RawValue>,
    /// Its own id.
    pub id: MessageId,
    /// True sends SendStreamingMessage.
    pub stream: bool,
}

/// A message's id: unique on this machine, as no two messages of one process
/// are sent in one nanosecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageId(String);

impl MessageId {
    /// An id of `process` at `now_ms`, told apart by `number`.
    pub fn new(now_ms: u64, process: u32, number: u32) -> Self {
        Self(format!("cli-{now_ms:x}-{process:x}-{number:x}"))
    }
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u32,
    method: &'static str,
    params: Params<'a>,
}

#[derive(Serialize)]
struct Params<'a> {
    message: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    message_id: &'a str,
    role: &'static str,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Part<'a> {
    Text(&'a str),
    Data(&'a RawValue),
}

impl Message<'_> {
    /// The JSON-RPC request.
    pub fn to_json(&self) -> Vec<u8> {
        let mut parts = vec![Part::Text(self.text)];
        parts.extend(self.data.map(Part::Data));
        let request = Request {
            jsonrpc: "2.0",
            id: 1,
            method: if self.stream {
                "SendStreamingMessage"
            } else {
                "SendMessage"
            },
            params: Params {
                message: Body {
                    message_id: &self.id.0,
                    role: "ROLE_USER",
                    parts,
                },
            },
        };
        // Nothing in it is without a JSON form.
        serde_json::to_vec(&request).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_as_a2a_1_0_has_it() {
        let data = serde_json::value::to_raw_value(&serde_json::json!({"n": 1})).unwrap();
        let message = Message {
            text: "allocate",
            data: Some(&data),
            id: MessageId::new(255, 16, 1),
            stream: false,
        };
        assert_eq!(
            String::from_utf8(message.to_json()).unwrap(),
            concat!(
                r#"{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"#,
                r#""messageId":"cli-ff-10-1","role":"ROLE_USER","#,
                r#""parts":[{"text":"allocate"},{"data":{"n":1}}]}}}"#
            )
        );
    }
}

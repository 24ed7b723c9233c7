//! The wire format of `POST /v1/exchange`, version 1, both sides of it: what a
//! gateway sends for a caller, and the lines of JSON it is answered with. See
//! docs/api.md.
//!
//! A line holds exactly the bytes of the answer that is on it. An agent may
//! format its JSON with line ends; such a line travels inside another,
//! `{"line": "…"}`, as a string.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::call::{Call, Failure, FailureKind, Payload, ReplyHead};

/// Where a nucleus takes it.
pub const PATH: &str = "/v1/exchange";
/// The version spoken here.
pub const VERSION: u32 = 1;
/// Content type of the answer.
pub const LINES: &str = "application/x-ndjson";
/// Bytes of one line, at most: the largest answer of an agent that the mesh
/// reads is 16 MiB, and as a string it may take twice that.
pub const LINE_BYTES_MAX: usize = 33 * 1024 * 1024;
/// What the head of a request may add to what is carried of its body: path,
/// query, token and extensions, escaped.
const HEAD_BYTES_MAX: usize = 512 * 1024;

/// A decoded call, carried by a gateway. Holds the caller's token, so it has no
/// `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Version of this format: 1.
    pub version: u32,
    /// The caller's own bearer token, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How the caller reaches the gateway, for the URLs in cards.
    pub base_url: String,
    /// What the codec made of the request.
    pub call: Call,
}

/// A request of any version, as far as every version is alike.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Carried {
    /// A call in the version spoken here.
    #[must_use]
    pub fn new(token: Option<String>, base_url: String, call: Call) -> Self {
        Self {
            version: VERSION,
            token,
            base_url,
            call,
        }
    }

    /// The body of the request.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Payload::of(self).as_bytes().clone()
    }

    /// Reads the body of a request. Another version may have other members, so
    /// what does not fit is first looked through for the version it claims.
    ///
    /// # Errors
    /// `InvalidParams`, naming the member.
    pub fn read(body: &[u8]) -> Result<Self, Failure> {
        let other = |version: u32| {
            let message = format!("`version`: {version} is not spoken here");
            Failure::new(FailureKind::InvalidParams, message).hint("send 1")
        };
        if !is_object(body) {
            let message = "the body has to be one JSON object";
            return Err(Failure::new(FailureKind::InvalidParams, message));
        }
        match serde_json::from_slice::<Self>(body) {
            Ok(carried) if carried.version == VERSION => Ok(carried),
            Ok(carried) => Err(other(carried.version)),
            Err(error) => match serde_json::from_slice::<Versioned>(body) {
                Ok(claim) if claim.version != VERSION => Err(other(claim.version)),
                _ => Err(Failure::new(FailureKind::InvalidParams, error.to_string())),
            },
        }
    }

    /// How many bytes a carried call may have where callers' bodies may have
    /// `body_max`: the body is in it raw, and its text and data once more.
    #[must_use]
    pub const fn bytes_max(body_max: usize) -> usize {
        body_max.saturating_mul(2).saturating_add(HEAD_BYTES_MAX)
    }
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// First, always.
    Head {
        /// For the `kgents-*` headers; without an event when there are none.
        head: ReplyHead,
        /// Whether events follow, and not one answer.
        stream: bool,
    },
    /// The one answer.
    Answer(Payload),
    /// An event of a stream.
    Event(Payload),
    /// Instead of the answer, or the last event of a stream.
    Failure(Failure),
    /// Nothing to say yet, and still here.
    Heartbeat,
    /// Last, always.
    End,
}

/// An answer that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line has more bytes than are taken.
    #[error("a line is above {bytes_max} bytes")]
    TooLarge {
        /// How many are taken.
        bytes_max: usize,
    },
    /// A line is not a JSON object of this format.
    #[error("a line is not of this format")]
    NotALine,
    /// A line came where it may not.
    #[error("a line is out of order")]
    OutOfOrder,
    /// The answer ended before it was said to end.
    #[error("the answer was cut off")]
    CutOff,
}

#[derive(Serialize)]
struct HeadLine<'a> {
    head: &'a ReplyHead,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct FailureLine<'a> {
    failure: &'a Failure,
}

/// What a line may hold; what is not known is passed over.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(default)]
    head: Option<ReplyHead>,
    #[serde(default)]
    stream: bool,
    #[serde(borrow, default, deserialize_with = "present")]
    answer: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    event: Option<&'a RawValue>,
    #[serde(default)]
    failure: Option<Failure>,
    #[serde(default)]
    heartbeat: bool,
    #[serde(default)]
    end: bool,
    #[serde(borrow, default)]
    line: Option<Cow<'a, str>>,
}

/// A member that is there is there, `null` too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Line {
    /// The line, with its line feed.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut line = match self {
            Self::Head { head, stream } => {
                let stream = *stream;
                Payload::of(&HeadLine { head, stream }).as_bytes().to_vec()
            }
            Self::Answer(payload) => member("answer", payload),
            Self::Event(payload) => member("event", payload),
            Self::Failure(failure) => Payload::of(&FailureLine { failure }).as_bytes().to_vec(),
            Self::Heartbeat => return Bytes::from_static(b"{\"heartbeat\":true}\n"),
            Self::End => return Bytes::from_static(b"{\"end\":true}\n"),
        };
        if line.contains(&b'\n') {
            let text = String::from_utf8_lossy(&line);
            line = member("line", &Payload::of(&text));
        }
        line.push(b'\n');
        Bytes::from(line)
    }

    /// Reads a line; `None` for one that this version does not know.
    ///
    /// # Errors
    /// `NotALine`.
    pub fn decode(line: &Bytes) -> Result<Option<Self>, Broken> {
        let members = members(line)?;
        let Some(inner) = members.line else {
            return Ok(Self::of(line, members));
        };
        let inner = Bytes::from(inner.into_owned());
        let members = self::members(&inner)?;
        Ok(Self::of(&inner, members))
    }

    fn of(line: &Bytes, members: Members<'_>) -> Option<Self> {
        let payload = |raw: &RawValue| Payload::trusted(line.slice_ref(raw.get().as_bytes()));
        let Members { head, stream, .. } = members;
        if let Some(head) = head {
            return Some(Self::Head { head, stream });
        }
        if let Some(answer) = members.answer {
            return Some(Self::Answer(payload(answer)));
        }
        if let Some(event) = members.event {
            return Some(Self::Event(payload(event)));
        }
        if let Some(failure) = members.failure {
            return Some(Self::Failure(failure));
        }
        if members.end {
            return Some(Self::End);
        }
        members.heartbeat.then_some(Self::Heartbeat)
    }
}

fn members(line: &Bytes) -> Result<Members<'_>, Broken> {
    if !is_object(line) {
        return Err(Broken::NotALine);
    }
    serde_json::from_slice(line).map_err(|_| Broken::NotALine)
}

/// Whether JSON, if it is some, is an object; serde reads arrays as structs too.
fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

fn member(name: &str, value: &Payload) -> Vec<u8> {
    [b"{\"", name.as_bytes(), b"\":", value.as_bytes(), b"}"].concat()
}

/// Lines out of chunks; any chunking of one answer gives the same lines.
#[derive(Debug)]
pub struct Lines {
    bytes_max: usize,
    /// INVARIANT: holds no line feed.
    begun: BytesMut,
}

impl Lines {
    /// A reader of lines of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            begun: BytesMut::new(),
        }
    }

    /// Takes a chunk, handing out each line that it completes. Empty lines, and
    /// those that this version does not know, are passed over.
    ///
    /// # Errors
    /// `TooLarge` or `NotALine`; there is nothing to be read after that.
    pub fn feed(&mut self, mut chunk: &[u8], mut each: impl FnMut(Line)) -> Result<(), Broken> {
        loop {
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let (line, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            if self.begun.len() + line.len() > self.bytes_max {
                let bytes_max = self.bytes_max;
                return Err(Broken::TooLarge { bytes_max });
            }
            self.begun.extend_from_slice(line);
            let Some((_, rest)) = rest.split_first() else {
                return Ok(());
            };
            let whole = self.begun.split().freeze();
            if !whole.trim_ascii().is_empty()
                && let Some(line) = Line::decode(&whole)?
            {
                each(line);
            }
            chunk = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call::{AgentError, Operation, Target};

    /// The request of docs/api.md.
    const DOCUMENTED: &str = r#"{"version":1,"token":"eyJ…","base_url":"https://mesh.example",
        "call":{"target":{"agent":"echo"},"operation":{"send_message":{
        "params":{"message":{"messageId":"m1","role":"ROLE_USER","parts":[{"text":"hello"}]}},
        "text":"hello","data":null,"task_id":null,"context_id":null,"message_id":"m1"}},
        "traceparent":null}}"#;

    fn payload(text: &str) -> Payload {
        Payload::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn head() -> ReplyHead {
        ReplyHead {
            event: "evt-1".into(),
            agent: Some("echo".into()),
            ..ReplyHead::default()
        }
    }

    fn lines(chunks: &[&[u8]]) -> (Vec<Line>, Result<(), Broken>) {
        let mut reader = Lines::new(200);
        let mut lines = Vec::new();
        for chunk in chunks {
            if let Err(broken) = reader.feed(chunk, |line| lines.push(line)) {
                return (lines, Err(broken));
            }
        }
        (lines, Ok(()))
    }

    #[test]
    fn the_documented_request_is_read() {
        let carried = Carried::read(DOCUMENTED.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(carried.version, VERSION);
        assert_eq!(carried.call.operation.name(), "SendMessage");
    }

    #[test]
    fn what_a_gateway_sends_is_what_the_nucleus_reads() {
        for token in [None, Some("eyJ".to_owned())] {
            let call = Call {
                target: Target::Mesh,
                operation: Operation::Card,
                traceparent: None,
                extensions: Some("https://e.example/1".into()),
            };
            let sent = Carried::new(token, "http://m.example".into(), call);
            assert!(Carried::read(&sent.to_bytes()).is_ok_and(|read| read == sent));
        }
    }

    #[test]
    fn a_member_that_nobody_knows_is_refused() {
        let more = DOCUMENTED.replacen("\"version\"", "\"sudo\":true,\"version\"", 1);
        let failure = Carried::read(more.as_bytes()).err().unwrap();
        assert!(failure.message.contains("`sudo`"), "{}", failure.message);
    }

    #[test]
    fn another_version_is_told_to_be_that_whatever_else_it_holds() {
        let later = DOCUMENTED.replacen("\"version\":1", "\"version\":2", 1);
        for body in [r#"{"version":2}"#, r#"{"version":2,"calls":[]}"#, &later] {
            let failure = Carried::read(body.as_bytes()).err().unwrap();
            assert_eq!(failure.message, "`version`: 2 is not spoken here", "{body}");
        }
        let failure = Carried::read(br#"{"version":1}"#).err().unwrap();
        assert!(
            failure.message.contains("`base_url`"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn a_list_of_the_members_is_not_taken_for_a_request() {
        let list = r#"[1,null,"http://m.example",{"target":"mesh","operation":"card","traceparent":null}]"#;
        let failure = Carried::read(list.as_bytes()).err().unwrap();
        assert_eq!(failure.message, "the body has to be one JSON object");
    }

    #[test]
    fn every_line_is_what_the_documentation_says() {
        let failure = Failure::new(FailureKind::Denied, "no");
        let cases = [
            (
                Line::Head {
                    head: head(),
                    stream: false,
                },
                r#"{"head":{"event":"evt-1","agent":"echo","fallback":false}}"#,
            ),
            (
                Line::Head {
                    head: ReplyHead::default(),
                    stream: true,
                },
                r#"{"head":{"event":"","fallback":false},"stream":true}"#,
            ),
            (
                Line::Answer(payload(r#"{"b": 1.0, "a":1,"b":2}"#)),
                r#"{"answer":{"b": 1.0, "a":1,"b":2}}"#,
            ),
            (Line::Answer(payload("null")), r#"{"answer":null}"#),
            (Line::Event(payload("[1]")), r#"{"event":[1]}"#),
            (
                Line::Failure(failure),
                r#"{"failure":{"kind":"denied","message":"no"}}"#,
            ),
            (Line::Heartbeat, r#"{"heartbeat":true}"#),
            (Line::End, r#"{"end":true}"#),
            (
                Line::Answer(payload("{\n\"a\":\"b\"\r\n}")),
                r#"{"line":"{\"answer\":{\n\"a\":\"b\"\r\n}}"}"#,
            ),
        ];
        for (line, text) in cases {
            assert_eq!(line.encode(), format!("{text}\n"));
            assert_eq!(lines(&[&line.encode()]), (vec![line], Ok(())), "{text}");
        }
    }

    #[test]
    fn an_agents_own_formatting_survives_inside_a_failure_too() {
        let mut failure = Failure::new(FailureKind::Agent, "oh")
            .fact("a", "b")
            .hint("c");
        failure.agent_error = Some(Box::new(AgentError {
            code: 7,
            data: Some(payload("[\n 1 ]")),
        }));
        let line = Line::Failure(failure);
        let bytes = line.encode();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(lines(&[&bytes]), (vec![line], Ok(())));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_nonsense_is_not() {
        let check = |text: &str, expected: Result<&[Line], Broken>| {
            let (got, ended) = lines(&[text.as_bytes()]);
            let got = ended.map(|()| got);
            assert_eq!(got.as_deref().map_err(|e| *e), expected, "{text:?}");
        };
        check(
            "{\"news\":1}\n\n \r\n{\"end\":true,\"x\":{}}\r\n",
            Ok(&[Line::End]),
        );
        check("{\"end\":false}\n{\"line\":\"{}\"}\n", Ok(&[]));
        check("{\"line\":\"{\\\"line\\\":\\\"{}\\\"}\"}\n", Ok(&[]));
        check("{\"end\":true}", Ok(&[]));
        for nonsense in [
            "nonsense\n",
            "null\n",
            "[]\n",
            "[{\"event\":\"e\"}]\n",
            "{\"end\":1}\n",
            "{\"head\":7}\n",
            "{\"failure\":{\"kind\":\"odd\",\"message\":\"\"}}\n",
            "{\"end\":true,\"end\":true}\n",
            "{\"line\":\"x\"}\n",
            "\u{feff}{\"end\":true}\n",
        ] {
            check(nonsense, Err(Broken::NotALine));
        }
        let long = format!("{{\"answer\":\"{}\"}}", "a".repeat(200));
        check(&long, Err(Broken::TooLarge { bytes_max: 200 }));
    }

    proptest! {
        #[test]
        fn no_body_of_a_gateway_makes_the_reader_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            with in "[\\PC]{0,6}",
        ) {
            let _ = Carried::read(&bytes);
            let at = at.index(DOCUMENTED.len());
            if let (Some(before), Some(after)) = (DOCUMENTED.get(..at), DOCUMENTED.get(at..)) {
                let _ = Carried::read(before.as_bytes());
                let _ = Carried::read(format!("{before}{with}{after}").as_bytes());
            }
        }

        #[test]
        fn no_bytes_make_the_reader_of_lines_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = lines(&[&bytes]);
            let _ = Line::decode(&Bytes::from(bytes));
        }

        #[test]
        fn every_chunking_gives_the_same_lines(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{\"head\":{\"event\":\"e\"}}", "{\"answer\":[1, 2]}", "{\"event\":{}}",
                    "{\"line\":\"{\\\"event\\\":[\\n]}\"}", "{\"end\":true}", "{\"heartbeat\":true}",
                    "\n", "\n", "\n", "\r\n", " ", "{", "é", "{\"event\":\"é\"}",
                    "{\"answer\":\"long enough to be beyond the bound when it comes twice or three times over, and over\"}",
                ]),
                0..30,
            ),
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let text: String = pieces.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = lines(&[bytes]);
            prop_assert_eq!(&lines(&chunks), &whole);
            prop_assert_eq!(&lines(&single), &whole);
        }

        /// Whatever an agent answers comes out byte by byte as it went in.
        #[test]
        fn an_answer_is_carried_as_it_is(
            text in "[ \n\r\t]{0,3}(\"[a-zé\\\\n ]{0,9}\"|[0-9]{1,5}|\\[[ \n]{0,3}(1|null|\\{[\n ]{0,2}\\})?\\])[ \n]{0,3}",
        ) {
            if let Ok(payload) = Payload::parse(Bytes::from(text)) {
                for line in [Line::Answer(payload.clone()), Line::Event(payload)] {
                    let trimmed = |line: &Line| match line {
                        Line::Answer(p) | Line::Event(p) => p.as_bytes().trim_ascii().to_vec(),
                        _ => Vec::new(),
                    };
                    let (read, ended) = lines(&[&line.encode()]);
                    prop_assert_eq!(ended, Ok(()));
                    prop_assert_eq!(read.len(), 1);
                    prop_assert_eq!(trimmed(&read[0]), trimmed(&line));
                }
            }
        }
    }
}

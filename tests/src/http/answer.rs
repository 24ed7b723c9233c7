//! Answers as they came, whole or event by event.

use std::io;

use serde_json::Value;

use super::{Connection, Framing};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

/// What an error says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `error.code`.
    pub code: i64,
    /// The ErrorInfo's reason; empty when there is none.
    pub reason: String,
    /// What to do about it; empty when there is none.
    pub hint: String,
    /// In words.
    pub message: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {} {}", self.status, self.text()),
        }
    }

    /// The first words of an A2A answer in either binding.
    ///
    /// # Panics
    /// When the body is no JSON.
    #[track_caller]
    pub fn words(&self) -> String {
        let body = self.json();
        let result = body.get("result").unwrap_or(&body);
        let text = result.pointer("/message/parts/0/text");
        match text.and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => body.to_string(),
        }
    }

    /// The mesh's facts about a refusal in any binding: the ErrorInfo's reason,
    /// the hint, and the code of JSON-RPC or HTTP.
    ///
    /// # Panics
    /// When the body is no refusal.
    #[track_caller]
    pub fn refusal(&self) -> Refusal {
        let body = self.json();
        let Some(error) = body.get("error") else {
            panic!("not refused: {} {body}", self.status);
        };
        let details = error.get("data").or_else(|| error.get("details"));
        let info = details
            .and_then(Value::as_array)
            .and_then(|details| details.iter().find(|one| one.get("reason").is_some()));
        let text = |at: &str| {
            let found = info.and_then(|info| info.pointer(at));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Refusal {
            status: self.status,
            code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
            reason: text("/reason"),
            hint: text("/metadata/hint"),
            message: error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.as_str())
}

/// An answer whose body is read as it comes.
#[derive(Debug)]
pub struct Stream {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub(super) connection: Connection,
    pub(super) framing: Framing,
    pub(super) text: String,
}

impl Stream {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The next Server-Sent Event's data, waiting for it; none at the end.
    ///
    /// # Errors
    /// When the stream breaks off.
    pub fn try_event(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let data: Vec<&str> = event
                    .lines()
                    .filter_map(|line| line.strip_prefix("data:"))
                    .map(|data| data.strip_prefix(' ').unwrap_or(data))
                    .collect();
                if !data.is_empty() {
                    return Ok(Some(data.join("\n")));
                }
                continue;
            }
            match self.connection.chunk(&mut self.framing)? {
                Some(piece) => self.text.push_str(&String::from_utf8_lossy(&piece)),
                None => return Ok(None),
            }
        }
    }

    /// The next comment, waiting for it and passing over events; none at the end.
    ///
    /// # Errors
    /// When the stream breaks off.
    pub fn comment(&mut self) -> io::Result<Option<String>> {
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(comment) = line.strip_prefix(':') {
                    return Ok(Some(comment.to_owned()));
                }
            }
            match self.connection.chunk(&mut self.framing)? {
                Some(piece) => self.text.push_str(&String::from_utf8_lossy(&piece)),
                None => return Ok(None),
            }
        }
    }

    /// The next event, parsed.
    ///
    /// # Panics
    /// When the stream breaks off, or an event is not JSON.
    #[track_caller]
    pub fn event(&mut self) -> Option<Value> {
        match self.try_event() {
            Ok(text) => text.map(|text| match serde_json::from_str(&text) {
                Ok(value) => value,
                Err(error) => panic!("{error}: {text}"),
            }),
            Err(error) => panic!("the stream broke off: {error}"),
        }
    }
}

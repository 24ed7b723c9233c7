//! An answer as a caller sees it, without what differs between two calls by
//! nature.

use std::fmt;

use kgents_tests::Answer;
use kgents_tests::http::Client;

use crate::table::Request;

/// Headers that belong to a connection or a moment, not to the answer.
const NOT_COMPARED: [&str; 4] = ["date", "connection", "content-length", "transfer-encoding"];

/// Status, headers and body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    /// What `client` sees of a request.
    #[track_caller]
    pub fn of(client: &Client, request: &Request) -> Self {
        let mut sent = client
            .request(&request.method, &request.path)
            .body(request.body.as_str());
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        Self::answer(&sent.send())
    }

    fn answer(answer: &Answer) -> Self {
        let compared = |(name, _): &&(String, String)| !NOT_COMPARED.contains(&name.as_str());
        let mut headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .filter(compared)
            .map(|(name, value)| (name.clone(), alike(value)))
            .collect();
        headers.sort();
        Self {
            status: answer.status,
            headers,
            body: alike(&answer.text()),
        }
    }

    /// The body, made alike.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}\n    {}", self.status, self.headers, self.body)
    }
}

/// The text with audit events' names and the agent's task numbers masked; their
/// lengths stay as they are.
pub fn alike(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (kept, length) = match rest {
            // evt-2026-11-27-202240-a959839dae
            _ if rest.starts_with("evt-") => ("evt-", hyphenated(&rest[4..])),
            _ if rest.starts_with("task-") => ("task-", digits(&rest[5..])),
            _ => ("", 0),
        };
        if length > 0 {
            masked.push_str(kept);
            masked.extend(std::iter::repeat_n('#', length));
            rest = &rest[kept.len() + length..];
            continue;
        }
        let next = rest.chars().next().map_or(1, char::len_utf8);
        masked.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    masked
}

fn hyphenated(text: &str) -> usize {
    let of_a_name = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    text.bytes().take_while(of_a_name).count()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[test]
fn only_names_that_differ_by_nature_are_masked() {
    let masked = alike("evt-2026-11-27-202240-a959839dae, task-12 and événement");
    assert_eq!(
        masked,
        "evt-############################, task-## and événement"
    );
    assert_eq!(alike("event evt task- x"), "event evt task- x");
}

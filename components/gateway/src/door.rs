//! What every front door does alike, be it the listener of the mesh or a gateway
//! elsewhere: whose token it is, how callers reach it, how much of a stranger is
//! read, which headers an answer has, and what is said when nobody answered.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::call::{Call, Failure, FailureKind, Payload, ReplyHead};
use crate::carry::Broken;
use crate::decode::decode;
use crate::head::RequestHead;
use crate::path::accepts;
use crate::reply::{Encoded, ReplyShape};

/// Whether the process answers at all; public.
pub const HEALTH_PATH: &str = "/healthz";
/// Whether it can serve; public.
pub const READY_PATH: &str = "/readyz";
/// Content type of an answer in words.
const PLAIN: &str = "text/plain; charset=utf-8";
/// After so long without a word a stream gets a heartbeat, so that nothing in
/// between takes it for dead: proxies commonly wait for 30 to 60 seconds.
pub const HEARTBEAT_AFTER: Duration = Duration::from_secs(15);
/// How long a caller may take to send a body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest body, in bytes, that is read for a caller nobody knows: room for the
/// question it is refused, and not for filling the memory.
pub const STRANGER_BYTES_MAX: usize = 64 * 1024;
/// Of a body that is too large so many bytes are thrown away at most,
pub const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// and for so long, before the connection is closed on the rest: one that is
/// closed on unread bytes is reset, and the answer with it.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The bearer token of a request; an Authorization of another kind is a token
/// that does not verify.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().unwrap_or_default();
    if values.next().is_some() {
        // Something on the way may have looked at the other one.
        return Some(String::new());
    }
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    Some(if is_bearer {
        token.trim().to_owned()
    } else {
        String::new()
    })
}

/// How a caller reaches us, for the URLs in cards: as the operator says, else as
/// the caller's `Host` says, else `otherwise`.
#[must_use]
pub fn base_url(public_url: Option<&str>, host: Option<&str>, otherwise: &str) -> String {
    if let Some(url) = public_url {
        return url.trim_end_matches('/').to_owned();
    }
    match host.map(str::parse::<Authority>) {
        Some(Ok(authority)) if !authority.as_str().contains('@') => format!("http://{authority}"),
        _ => otherwise.to_owned(),
    }
}

/// How large a body may be where `body_max` is what a known caller may send.
#[must_use]
pub fn body_bytes(body_max: usize, known: bool) -> usize {
    if known {
        body_max
    } else {
        body_max.min(STRANGER_BYTES_MAX)
    }
}

/// The caller showed nothing.
#[must_use]
pub fn no_identity() -> Failure {
    Failure::new(FailureKind::Unauthenticated, "no identity was shown")
        .hint("send `Authorization: Bearer $(kgents token)`")
}

/// The body has more than `max` bytes.
#[must_use]
pub fn too_large(max: usize) -> Failure {
    Failure::new(
        FailureKind::TooLarge,
        format!("the body is above {max} bytes"),
    )
    .hint("send less, or raise `limits.body` in mesh.yaml")
}

/// The body ended before its end.
#[must_use]
pub fn broke_off() -> Failure {
    Failure::new(FailureKind::Malformed, "the body broke off")
}

/// The body took longer than [`BODY_TIMEOUT`].
#[must_use]
pub fn too_slow() -> Failure {
    Failure::new(FailureKind::Malformed, "the body took too long to come")
}

/// A request as a door takes it, and how to answer it: what the codec made of it,
/// or why it refused. `read` is called where the body matters, once.
pub async fn arrive<F>(
    head: RequestHead<'_>,
    read: impl FnOnce() -> F,
) -> (Result<Call, Failure>, ReplyShape)
where
    F: Future<Output = Result<Bytes, Failure>>,
{
    let body = match accepts(head.method, head.path) {
        Err(refusal) => return (Err(*refusal.failure), refusal.reply),
        Ok(route) if route.needs_body() => match read().await {
            Ok(body) => body,
            Err(failure) => return (Err(failure), route.reply()),
        },
        Ok(_) => Bytes::new(),
    };
    match decode(&head, body) {
        Ok(arrived) => (Ok(arrived.call), arrived.reply),
        Err(refusal) => (Err(*refusal.failure), refusal.reply),
    }
}

/// How an answer at once leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Once {
    /// As a whole.
    Whole(Encoded),
    /// As a stream of this one event: the caller asked for a stream.
    Event(Bytes),
}

impl ReplyShape {
    /// Puts an answer at once into the words of the binding that asked.
    #[must_use]
    pub fn once(&self, result: Result<&Payload, &Failure>) -> Once {
        if self.stream && result.is_ok() {
            Once::Event(self.event(result))
        } else {
            Once::Whole(self.unary(result))
        }
    }
}

/// A short answer in words, for probes.
#[must_use]
pub fn plain(status: StatusCode, words: &str) -> Encoded {
    Encoded {
        status,
        content_type: PLAIN,
        headers: Vec::new(),
        body: Bytes::from(words.to_owned()),
    }
}

/// The headers of an answer that leaves as a whole.
#[must_use]
pub fn whole_headers(head: &ReplyHead, encoded: &Encoded) -> HeaderMap {
    let mut headers = headers(head, encoded.content_type);
    headers.extend(encoded.headers.iter().cloned());
    headers
}

/// The headers of an answer that leaves piece by piece: nobody in between may
/// keep it, or hold it back.
#[must_use]
pub fn stream_headers(head: &ReplyHead, content_type: &'static str) -> HeaderMap {
    let mut headers = headers(head, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    headers
}

fn headers(head: &ReplyHead, content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if !head.event.is_empty() {
        headers.extend(head.headers());
    }
    headers
}

/// Why a gateway got no answer from its nucleus. `Display` is for the log of the
/// gateway's operator; it holds no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A variable of the gateway is missing or no good.
    #[error("the variable `{variable}` {why}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// No connection, so nothing was asked.
    #[error("the nucleus cannot be reached: {0}")]
    Unreachable(String),
    /// The connection ended before an answer; it may have been done.
    #[error("the nucleus went away: {0}")]
    Lost(String),
    /// The nucleus does not take what this gateway sends.
    #[error("the nucleus answered {0}")]
    Refused(StatusCode),
    /// What came is no answer.
    #[error("the nucleus's answer is none: {0}")]
    Broken(Broken),
}

impl Fault {
    /// What the caller is told: that it is not for them to mend, and nothing of
    /// where the nucleus is. `body_max` is how many bytes of a body this gateway
    /// takes.
    #[must_use]
    pub fn failure(&self, body_max: usize) -> Failure {
        let (message, hint) = match self {
            Self::Variable { .. } => (
                "this gateway is not set up",
                "for its operator: its log names the variable",
            ),
            Self::Unreachable(_) => (
                "the mesh behind this gateway cannot be reached",
                "for its operator: does the nucleus run, and is `nucleus_url` its address?",
            ),
            Self::Lost(_) => (
                "the mesh behind this gateway went away before it answered",
                "whether it was done stands in the audit trail",
            ),
            Self::Refused(StatusCode::PAYLOAD_TOO_LARGE) => return too_large(body_max),
            Self::Refused(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => (
                "the mesh does not take this gateway for one of its own",
                "for its operator: renew `gateway_token`: kgents token --gateway NAME --ttl 24h",
            ),
            Self::Refused(status) if status.is_server_error() => (
                "the mesh behind this gateway cannot answer now",
                "for its operator: see the nucleus's log",
            ),
            Self::Broken(Broken::CutOff) => (
                "the mesh broke off its answer",
                "whether it was done stands in the mesh's audit trail",
            ),
            Self::Refused(_) | Self::Broken(_) => (
                "the mesh behind this gateway answered what it cannot read",
                "for its operator: gateway and nucleus have to be of one version",
            ),
        };
        Failure::new(FailureKind::Unavailable, message).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reply::EVENT_STREAM;

    fn token(value: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.insert(AUTHORIZATION, value);
        bearer(&headers)
    }

    #[test]
    fn only_a_bearer_token_is_one() {
        assert_eq!(bearer(&HeaderMap::new()), None);
        for (value, expected) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("Basic abc", ""),
            ("abc", ""),
            ("", ""),
        ] {
            assert_eq!(
                token(value.as_bytes()).as_deref(),
                Some(expected),
                "{value}"
            );
        }
    }

    #[test]
    fn two_authorizations_are_none_that_verifies() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert_eq!(bearer(&headers).as_deref(), Some(""));
    }

    #[test]
    fn a_caller_is_told_the_address_it_used_unless_the_operator_says_another() {
        let check = |public, host, expected: &str| {
            assert_eq!(base_url(public, host, "http://here"), expected, "{host:?}");
        };
        check(
            Some("https://m.example/"),
            Some("evil"),
            "https://m.example",
        );
        check(None, Some("m.example:80"), "http://m.example:80");
        check(None, Some("user@m.example"), "http://here");
        check(None, Some("a b"), "http://here");
        check(None, None, "http://here");
    }

    #[test]
    fn a_stranger_is_read_less_of_and_never_more_than_the_known() {
        assert_eq!(body_bytes(1 << 20, true), 1 << 20);
        assert_eq!(body_bytes(1 << 20, false), STRANGER_BYTES_MAX);
        assert_eq!(body_bytes(1024, false), 1024);
    }

    #[test]
    fn what_leaves_piece_by_piece_is_kept_and_held_back_by_nobody() {
        let none = ReplyHead::default();
        let headers = stream_headers(&none, EVENT_STREAM);
        assert_eq!(headers.get("cache-control").unwrap(), "no-cache");
        assert_eq!(headers.get("x-accel-buffering").unwrap(), "no");
        assert_eq!(headers.get("content-type").unwrap(), EVENT_STREAM);
        assert_eq!(headers.len(), 3);
        let head = ReplyHead {
            event: "evt-1".into(),
            ..none
        };
        assert!(stream_headers(&head, EVENT_STREAM).contains_key("kgents-event"));
        let refused = ReplyShape::rpc_without_id().unary(Err(&no_identity()));
        let headers = whole_headers(&ReplyHead::default(), &refused);
        assert!(headers.contains_key("www-authenticate"));
        assert!(!headers.contains_key("kgents-event"));
    }

    #[test]
    fn a_caller_learns_nothing_of_where_the_nucleus_is() {
        let faults = [
            Fault::Variable {
                variable: "nucleus_url",
                why: "secret-place".into(),
            },
            Fault::Unreachable("secret-place".into()),
            Fault::Refused(StatusCode::UNAUTHORIZED),
            Fault::Refused(StatusCode::SERVICE_UNAVAILABLE),
            Fault::Refused(StatusCode::NOT_FOUND),
            Fault::Broken(Broken::CutOff),
            Fault::Broken(Broken::NotALine),
        ];
        for fault in faults {
            let failure = fault.failure(7);
            assert_eq!(failure.kind, FailureKind::Unavailable, "{fault}");
            let hint = failure.hint.unwrap_or_default();
            assert!(!format!("{} {hint}", failure.message).contains("secret"));
            assert!(!hint.is_empty(), "{fault}");
        }
        let failure = Fault::Refused(StatusCode::PAYLOAD_TOO_LARGE).failure(7);
        assert_eq!(failure, too_large(7));
    }

    proptest! {
        /// Who shows something is never taken for somebody who shows nothing.
        #[test]
        fn no_authorization_makes_the_reader_panic_or_counts_as_none(
            value in prop::collection::vec(any::<u8>().prop_filter("fit for a header", |b| *b == b'\t' || (*b >= 32 && *b != 127)), 0..60),
        ) {
            prop_assert!(token(&value).is_some());
        }

        #[test]
        fn no_host_makes_an_address_that_is_none(host in "[\\PC]{0,30}") {
            let url = base_url(None, Some(&host), "http://here");
            let read = url.parse::<http::Uri>();
            prop_assert!(read.is_ok_and(|uri| uri.authority().is_some()), "{}", url);
        }
    }
}

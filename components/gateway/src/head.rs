//! What the codecs read of a request's head.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use crate::call::{Failure, FailureKind};
use crate::json::clip;
use crate::query;

/// The A2A version this mesh speaks, as `Major.Minor`.
pub const A2A_VERSION: &str = "1.0";
/// The header, and query parameter, that names the version. Source: A2A 1.0.1 §3.6.
pub const VERSION_HEADER: &str = "a2a-version";
/// The header that lists wanted extensions. Source: A2A 1.0.1 §3.2.6.
pub const EXTENSIONS_HEADER: &str = "a2a-extensions";

/// Bytes of `traceparent` kept, at most; version 00 has 55.
const TRACEPARENT_BYTES_MAX: usize = 128;
/// Bytes of `A2A-Extensions` kept, at most: some twenty URIs.
const EXTENSIONS_BYTES_MAX: usize = 2048;

/// The head of an HTTP request, borrowed from the listener.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as received, still percent-encoded, beginning with `/`.
    pub path: &'a str,
    /// The query without `?`, still percent-encoded.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl RequestHead<'_> {
    /// Checks `A2A-Version`: `1.0`, or with a patch number, which A2A tells us
    /// to ignore. None given means 0.3, which this mesh does not speak.
    pub(crate) fn check_version(&self) -> Result<(), Failure> {
        let mut given = self.headers.get_all(VERSION_HEADER).iter().peekable();
        if given.peek().is_some_and(|value| !value.is_empty()) {
            for value in given {
                let text = String::from_utf8_lossy(value.as_bytes());
                version(text.trim())?;
            }
            return Ok(());
        }
        let parameter = query::pairs(self.query.unwrap_or_default())
            .flatten()
            .find(|(name, _)| name.eq_ignore_ascii_case(VERSION_HEADER));
        version(parameter.as_ref().map_or("", |(_, value)| value.trim()))
    }

    /// Checks that the body is said to be JSON. A browser sends other types to
    /// foreign origins without asking, JSON only after a preflight that we do
    /// not grant; so this also keeps web pages from driving a local mesh.
    pub(crate) fn check_content_type(&self) -> Result<(), Failure> {
        let given = self
            .headers
            .get(CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or("?"));
        let essence = given
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let (kind, sub) = essence.split_once('/').unwrap_or_default();
        let json = sub.eq_ignore_ascii_case("json")
            || sub
                .rsplit_once('+')
                .is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"));
        if kind.eq_ignore_ascii_case("application") && json {
            return Ok(());
        }
        let message = match given {
            None => "the Content-Type header is missing".to_owned(),
            Some(given) => format!("content type `{}` is not JSON", clip(given, 64)),
        };
        Err(Failure::new(FailureKind::ContentType, message)
            .hint("send the header Content-Type: application/json"))
    }

    pub(crate) fn traceparent(&self) -> Option<String> {
        self.short_header("traceparent", TRACEPARENT_BYTES_MAX)
    }

    /// Several headers of one name are joined as RFC 9110 §5.2 allows.
    pub(crate) fn extensions(&self) -> Option<String> {
        let mut values = self
            .headers
            .get_all(EXTENSIONS_HEADER)
            .iter()
            .filter_map(|value| {
                value
                    .to_str()
                    .ok()
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
            });
        let mut joined = values.next()?.to_owned();
        for value in values {
            joined.push(',');
            joined.push_str(value);
        }
        (joined.len() <= EXTENSIONS_BYTES_MAX).then_some(joined)
    }

    fn short_header(&self, name: &str, bytes_max: usize) -> Option<String> {
        let text = self.headers.get(name)?.to_str().ok()?;
        (text.len() <= bytes_max).then(|| text.to_owned())
    }
}

fn version(given: &str) -> Result<(), Failure> {
    let fits = given.strip_prefix(A2A_VERSION).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('.').is_some_and(|patch| {
                !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())
            })
    });
    if fits {
        return Ok(());
    }
    let message = if given.is_empty() {
        "no A2A version is named, which means 0.3, and this mesh speaks 1.0".to_owned()
    } else {
        format!("A2A version `{}` is not spoken here", clip(given, 16))
    };
    Err(Failure::new(FailureKind::VersionNotSupported, message)
        .hint("send the header A2A-Version: 1.0")
        .fact("supportedVersions", A2A_VERSION))
}

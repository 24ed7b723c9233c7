//! One request and its answer, wherever it leads, bounded in size and time.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;

use super::Registry;
use super::upload::Upload;
use crate::OciError;
use crate::error::quoted;

/// Redirects that are followed for one request: a registry sends to its storage,
/// which may send to a mirror.
const REDIRECTS_MAX: usize = 5;
/// What is read of a refusal, bytes.
const REFUSAL_BYTES_MAX: u64 = 16 * 1024;
/// What is shown of it, characters.
const MESSAGE_CHARS: usize = 300;
const USER_AGENT: &str = concat!("kgents/", env!("CARGO_PKG_VERSION"));

/// One request.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            accept: None,
            content_type: None,
            body: Bytes::new(),
        }
    }
}

impl Registry {
    /// Make the request, with credentials once they are asked for, where it leads;
    /// the answer may still be a refusal.
    pub(super) async fn send(
        &self,
        what: &str,
        mut call: Call,
    ) -> Result<Response<Incoming>, OciError> {
        let mut authorized = false;
        let mut redirects = 0;
        loop {
            // Credentials are for the registry alone, whatever it leads to.
            let ours = self.is_ours(&call.uri);
            let shown = if ours {
                self.authorization.lock().await.clone()
            } else {
                None
            };
            let response = self.exchange(what, &call, shown.as_ref()).await?;
            let status = response.status();
            let reads = matches!(call.method, Method::GET | Method::HEAD);
            if status == StatusCode::UNAUTHORIZED && ours && !authorized {
                authorized = true;
                self.authorize(what, response.headers(), shown).await?;
            } else if status.is_redirection() && reads {
                redirects += 1;
                if redirects > REDIRECTS_MAX {
                    return Err(self.protocol(what, "it leads from one address to the next"));
                }
                call.uri = self.location(what, &call.uri, response.headers())?;
            } else {
                return Ok(response);
            }
        }
    }

    /// One request and the head of its answer.
    pub(super) async fn exchange(
        &self,
        what: &str,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, OciError> {
        let sent = Arc::new(AtomicU64::new(0));
        let mut builder = Request::builder()
            .method(&call.method)
            .uri(&call.uri)
            .header(header::USER_AGENT, USER_AGENT);
        if let Some(authorization) = authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        if let Some(accept) = call.accept {
            builder = builder.header(header::ACCEPT, accept);
        }
        if let Some(content_type) = call.content_type {
            builder = builder.header(header::CONTENT_TYPE, content_type);
        }
        if matches!(call.method, Method::POST | Method::PUT) {
            // Some registries insist on it, even if there is nothing to come.
            builder = builder.header(header::CONTENT_LENGTH, call.body.len());
        }
        let request = builder
            .body(Upload::new(call.body.clone(), Arc::clone(&sent)))
            .map_err(|_| self.protocol(what, "the address it leads to cannot be called"))?;
        let host = host_of(&call.uri);
        let answering = self.client.request(request);
        match self.unless_silent(&sent, answering).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) if answers_without_tls(&error) => Err(self.protocol(
                what,
                "it speaks plain HTTP; if nobody can be in between, say `--insecure`",
            )),
            Some(Err(error)) => Err(OciError::Unreachable {
                registry: host,
                what: what.to_owned(),
                source: error.into(),
            }),
            None => Err(self.silent(host, what)),
        }
    }

    /// Wait for `answer` as long as something moves; `None` when nothing has.
    async fn unless_silent<T>(
        &self,
        sent: &AtomicU64,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        let mut answer = std::pin::pin!(answer);
        let mut before = None;
        loop {
            let waited = tokio::time::timeout(self.times.idle, &mut answer).await;
            if let Ok(answer) = waited {
                return Some(answer);
            }
            let now = sent.load(Ordering::Relaxed);
            if before.replace(now).unwrap_or(0) == now {
                return None;
            }
        }
    }

    /// The body of an answer, at most `bytes_max`; each piece is shown to `seen`.
    pub(super) async fn read(
        &self,
        what: &str,
        response: Response<Incoming>,
        bytes_max: u64,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<Bytes, OciError> {
        let too_large = || OciError::TooLarge {
            what: what.to_owned(),
            bytes_max,
        };
        if content_length(&response).is_some_and(|bytes| bytes > bytes_max) {
            return Err(too_large());
        }
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        loop {
            let frame = tokio::time::timeout(self.times.idle, body.frame()).await;
            let frame = frame.map_err(|_| self.silent(self.name.clone(), what))?;
            let Some(frame) = frame else {
                return Ok(bytes.into());
            };
            let frame = frame.map_err(|error| OciError::Unreachable {
                registry: self.name.clone(),
                what: what.to_owned(),
                source: error.into(),
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() as u64 + data.len() as u64 > bytes_max {
                return Err(too_large());
            }
            seen(&data);
            bytes.extend_from_slice(&data);
        }
    }

    /// The answer if its status is one of `expected`, else what it means.
    pub(super) async fn accepted(
        &self,
        what: &str,
        response: Response<Incoming>,
        expected: &[StatusCode],
    ) -> Result<Response<Incoming>, OciError> {
        let status = response.status();
        if expected.contains(&status) {
            return Ok(response);
        }
        let (registry, what) = (self.name.clone(), what.to_owned());
        if status == StatusCode::NOT_FOUND {
            return Err(OciError::Absent { registry, what });
        }
        let body = self.read(&what, response, REFUSAL_BYTES_MAX, |_| {}).await;
        let message = body.map(|body| message(&body)).unwrap_or_default();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.denied(&what, message));
        }
        Err(OciError::Refused {
            registry,
            what,
            status: status.as_u16(),
            message,
        })
    }

    /// Where an answer leads, from `from`.
    pub(super) fn location(
        &self,
        what: &str,
        from: &Uri,
        headers: &HeaderMap,
    ) -> Result<Uri, OciError> {
        let location = headers.get(header::LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| self.protocol(what, "it does not say where to"))?;
        let absolute = match (location.starts_with('/'), location.starts_with("//")) {
            (_, true) => format!("{}:{location}", from.scheme_str().unwrap_or("https")),
            (true, false) => format!("{}{location}", origin_of(from)),
            (false, false) => location.to_owned(),
        };
        let to: Uri = absolute
            .parse()
            .map_err(|_| self.protocol(what, "it leads to what is no address"))?;
        if to.host().is_none() || !matches!(to.scheme_str(), Some("http" | "https")) {
            return Err(self.protocol(what, "it leads to what is no address"));
        }
        if from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS) {
            return Err(self.protocol(what, "it leads from https to http"));
        }
        Ok(to)
    }

    fn is_ours(&self, uri: &Uri) -> bool {
        let ours: Result<Uri, _> = self.origin.parse();
        ours.is_ok_and(|ours| {
            ours.scheme() == uri.scheme()
                && ours.host() == uri.host()
                && port_of(&ours) == port_of(uri)
        })
    }
}

/// What a refusal says, after `: `; empty if it is in no form that is known.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        errors: Vec<Said>,
        /// Token services say it like this.
        details: Option<String>,
    }
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return String::new();
    };
    let said = match (refusal.errors.first(), refusal.details) {
        (Some(said), _) if said.message.is_empty() => said.code.clone(),
        (Some(said), _) => said.message.clone(),
        (None, details) => details.unwrap_or_default(),
    };
    match quoted(&said, MESSAGE_CHARS) {
        said if said.is_empty() => said,
        said => format!(": {said}"),
    }
}

/// Whether TLS was tried and something else came back.
fn answers_without_tls(error: &(dyn Error + 'static)) -> bool {
    let found = error.downcast_ref::<rustls::Error>();
    // What is within an error of the system is not among its causes.
    let cause = match error.downcast_ref::<std::io::Error>() {
        Some(system) => system
            .get_ref()
            .map(|within| within as &(dyn Error + 'static)),
        None => error.source(),
    };
    matches!(found, Some(rustls::Error::InvalidMessage(_)))
        || cause.is_some_and(answers_without_tls)
}

fn content_length(response: &Response<Incoming>) -> Option<u64> {
    let length = response.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn port_of(uri: &Uri) -> u16 {
    let standard = if uri.scheme() == Some(&Scheme::HTTP) {
        80
    } else {
        443
    };
    uri.port_u16().unwrap_or(standard)
}

fn host_of(uri: &Uri) -> String {
    uri.authority()
        .map(|authority| authority.to_string())
        .unwrap_or_default()
}

fn origin_of(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or("https"), host_of(uri))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Times;
    use crate::credentials::Login;
    use crate::registry::Access;

    fn registry(reference: &str, plain: bool) -> Registry {
        let reference = reference.parse().unwrap();
        let login = Login::Password {
            name: "ada".to_owned(),
            secret: "secret".to_owned(),
        };
        Registry::new(&reference, Access::Pull, plain, login, Times::default()).unwrap()
    }

    fn leads(from: &str, location: &str) -> Result<String, String> {
        let registry = registry("registry.example/shop", false);
        let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
        let to = registry.location("x", &from.parse().unwrap(), &headers);
        to.map(|to| to.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn where_an_answer_leads_is_read_as_browsers_read_it() {
        let from = "https://registry.example/v2/shop/blobs/x";
        for (location, to) in [
            ("/v2/y?a=b", "https://registry.example/v2/y?a=b"),
            (
                "https://store.example:8443/y",
                "https://store.example:8443/y",
            ),
            ("//store.example/y", "https://store.example/y"),
        ] {
            assert_eq!(leads(from, location).as_deref(), Ok(to));
        }
        for (location, why) in [
            ("http://registry.example/y", "from https to http"),
            ("y", "what is no address"),
            ("ftp://store.example/y", "what is no address"),
        ] {
            let error = leads(from, location).unwrap_err();
            assert!(error.contains(why), "{location}: {error}");
        }
        let plain = leads("http://localhost:5000/v2/x", "http://store.example/y");
        assert_eq!(plain.as_deref(), Ok("http://store.example/y"));
    }

    #[test]
    fn credentials_are_for_the_registry_alone() {
        let registry = registry("registry.example/shop", false);
        for (uri, ours) in [
            ("https://registry.example/v2/", true),
            ("https://registry.example:443/v2/", true),
            ("http://registry.example/v2/", false),
            ("https://registry.example:8443/v2/", false),
            ("https://store.example/v2/", false),
        ] {
            assert_eq!(registry.is_ours(&uri.parse().unwrap()), ours, "{uri}");
        }
    }

    #[tokio::test]
    async fn a_registry_without_tls_is_told_from_one_that_is_not_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 512]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        let reference = format!("{host}/shop:1");
        let registry = registry(&reference, false);
        let fetched = registry.manifest(&reference.parse().unwrap()).await;
        let error = fetched.err().unwrap();
        assert_eq!(error.code(), "protocol", "{error:?}");
        assert!(error.to_string().contains("`--insecure`"), "{error}");
    }

    #[test]
    fn what_a_registry_says_is_passed_on_and_cut_short() {
        let said = br#"{"errors":[{"code":"DENIED","message":"no\nway","detail":null}]}"#;
        assert_eq!(message(said), ": no way");
        assert_eq!(message(br#"{"errors":[{"code":"DENIED"}]}"#), ": DENIED");
        assert_eq!(message(br#"{"details":"bad password"}"#), ": bad password");
        for nothing in [&b"<html>"[..], b"{}", b"[]", b"", br#"{"errors":1}"#] {
            assert_eq!(message(nothing), "");
        }
        let long = format!(r#"{{"details":"{}"}}"#, "x".repeat(10_000));
        assert!(message(long.as_bytes()).chars().count() < 310);
    }
}

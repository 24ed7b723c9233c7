//! Requests that guests send: judged by `allowed_outbound_hosts`, then answered
//! by a component of the same application without a socket, or sent over HTTP.
//!
//! Reading order: this file (where to, and may it), `client` (how).

mod client;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Instant;

use http::{HeaderName, Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::p2::DEFAULT_OUTGOING_BODY_CHUNK_SIZE;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

pub(crate) use client::Client;

use crate::runner::Inner;
use crate::speech::Verdict;
use crate::state::Permits;

/// Host that means the application itself; `self` is taken as well.
pub(crate) const SELF_HOST: &str = "self.alt";

/// What follows the id of a component in the name it has for its neighbours.
const CHAIN_SUFFIX: &str = ".spin.internal";

/// How deep components of one application may call each other before the call is
/// refused as a loop.
pub(crate) const DEPTH_MAX: u8 = 16;

/// Bodies that one request's guest may write in pieces of up to 1 MiB, which the
/// host holds until somebody takes them: its answer, and requests it sends.
const LARGE_BODIES_MAX: u32 = 16;

/// What it may write at once into any further one, in bytes: what WASI always
/// lets through.
const PIECE_BYTES: usize = 4096;

/// The client that a component sees when another one calls it; as in Spin.
pub(crate) const CHAINED_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Headers that only the two ends of a connection may set.
static FORBIDDEN: [HeaderName; 9] = DEFAULT_FORBIDDEN_HEADERS;

/// What becomes of the end of a response; nothing to say about it here.
type Ended = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// The way out of one guest.
pub(crate) struct Outbound {
    /// Not held: instances that wait to be used again belong to the runner.
    pub(crate) runner: Weak<Inner>,
    /// What its component may do.
    pub(crate) permits: Arc<Permits>,
    /// How many components called each other until this one was called.
    pub(crate) depth: u8,
    /// Bodies that it has begun to write.
    pub(crate) bodies: u32,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// A component of the application, by its id.
    Chained(String),
    /// The application, by its routes.
    Itself,
    /// Anywhere else.
    Elsewhere,
}

impl Target {
    fn of(host: &str) -> Self {
        if host == SELF_HOST || host == "self" {
            return Self::Itself;
        }
        match host.strip_suffix(CHAIN_SUFFIX) {
            Some(id) if !id.is_empty() => Self::Chained(id.to_owned()),
            _ => Self::Elsewhere,
        }
    }
}

/// Whether a `Host` header has the name of a component, which only components may
/// use.
pub(crate) fn names_neighbour(host: &[u8]) -> bool {
    let end = host.iter().position(|byte| *byte == b':');
    let name = host.split_at_checked(end.unwrap_or(host.len()));
    name.is_some_and(|(name, _)| name.to_ascii_lowercase().ends_with(CHAIN_SUFFIX.as_bytes()))
}

impl WasiHttpHooks for Outbound {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        // As the default has it, without an allocation for each header.
        FORBIDDEN.contains(name)
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.bodies = self.bodies.saturating_add(1);
        if self.bodies > LARGE_BODIES_MAX {
            PIECE_BYTES
        } else {
            DEFAULT_OUTGOING_BODY_CHUNK_SIZE
        }
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _ended: Ended,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Ended), Error>> + Send> {
        let runner = self.runner.upgrade();
        let permits = Arc::clone(&self.permits);
        let depth = self.depth;
        Box::new(async move {
            let runner = runner.ok_or(Error::ConnectionTerminated)?;
            let response = send(runner, &permits, depth, request, options).await?;
            let ended: Ended = Box::new(std::future::ready(Ok(())));
            Ok((response, ended))
        })
    }
}

async fn send(
    runner: Arc<Inner>,
    permits: &Permits,
    depth: u8,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Response<WasiBody>, Error> {
    let target = judge(permits, request.uri())?;
    let options = options.unwrap_or_default();
    // Whom a request is for is in its address; HTTP/2 wants it nowhere else.
    request.headers_mut().remove(header::HOST);
    if target == Target::Elsewhere {
        return runner.client().send(request, options).await;
    }
    let depth = depth + 1;
    if depth > DEPTH_MAX {
        note(
            permits,
            request.uri(),
            "components call each other in a loop",
        );
        return Err(Error::LoopDetected);
    }
    let answering = async {
        match target {
            Target::Chained(id) => runner.chained(&id, request, depth).await,
            _ => Ok(runner.itself(request, depth).await),
        }
    };
    let response = client::first_byte(options, answering).await??;
    Ok(response.map(|body| {
        let body = body.map_err(|error| {
            tracing::debug!(%error, "the answer of a neighbour broke off");
            Error::HttpResponseIncomplete
        });
        client::between_bytes(options, body)
    }))
}

/// Where a request goes, if it may go there.
fn judge(permits: &Permits, uri: &Uri) -> Result<Target, Error> {
    let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?;
    let scheme = uri.scheme_str().unwrap_or("https");
    if names_user(uri) {
        // What stands before the `@` would be judged by nobody.
        return Err(Error::HttpRequestUriInvalid);
    }
    let target = Target::of(host);
    let allowed = match target {
        Target::Itself => permits.hosts.allows_self(scheme),
        Target::Chained(_) | Target::Elsewhere => {
            permits.hosts.allows(scheme, host, uri.port_u16())
        }
    };
    if !allowed {
        note(
            permits,
            uri,
            "a request to a host that is not in `allowed_outbound_hosts`",
        );
        return Err(Error::HttpRequestDenied);
    }
    Ok(target)
}

fn names_user(uri: &Uri) -> bool {
    uri.authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
}

/// Say in the log what was refused. A guest can make this happen as often as it
/// likes, so it counts as what it writes itself.
fn note(permits: &Permits, uri: &Uri, what: &str) {
    let speaker = &permits.speaker;
    let host = uri.host().unwrap_or_default();
    let bytes = what.len().saturating_add(host.len());
    if speaker.allowance.take(bytes, Instant::now()) == Verdict::Write {
        tracing::warn!(
            app = &*speaker.app,
            component = &*speaker.component,
            scheme = uri.scheme_str(),
            host,
            port = uri.port_u16(),
            "refused: {what}",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_the_application_itself_are_told_from_the_world() {
        for (host, target) in [
            ("self.alt", Target::Itself),
            ("self", Target::Itself),
            ("b.spin.internal", Target::Chained("b".to_owned())),
            ("spin.internal", Target::Elsewhere),
            (".spin.internal", Target::Elsewhere),
            ("b.spin.internal.example.com", Target::Elsewhere),
            ("example.com", Target::Elsewhere),
        ] {
            assert_eq!(Target::of(host), target, "{host}");
        }
    }

    #[test]
    fn names_of_neighbours_are_seen_in_any_spelling() {
        for host in ["b.spin.internal", "B.Spin.Internal", "b.spin.internal:80"] {
            assert!(names_neighbour(host.as_bytes()), "{host}");
        }
        for host in ["", ":", "b.spin.internal.example", "internal"] {
            assert!(!names_neighbour(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_user_in_an_address_is_seen() {
        assert!(names_user(&Uri::from_static(
            "http://allowed.example@evil.example/"
        )));
        assert!(!names_user(&Uri::from_static("http://example.com/a@b")));
    }
}

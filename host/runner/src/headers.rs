//! The headers that tell a component how its request was routed, as Spin sets
//! them. What a client sends under these names is dropped: a component may rely
//! on them. (Real Spin lets a client add a second value.)

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use kgents_app::RouteMatch;

const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// What each `:name` of a route stood for follows this.
const PATH_MATCH: &str = "spin-path-match-";

/// Host of the full URL where a request names none.
const NO_HOST: &str = "localhost";

/// The route of a component that another one calls by its name.
pub(crate) const CHAINED_ROUTE: &str = "/...";

/// How a request came to its component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routed<'a> {
    raw_route: &'a str,
    matched_route: &'a str,
    component_route: &'a str,
    path_info: String,
    named: Vec<(String, String)>,
}

impl<'a> Routed<'a> {
    /// By the routes of the application.
    pub(crate) fn matched(found: RouteMatch<'a>) -> Self {
        Self {
            raw_route: found.raw_route,
            // Without the slash at its end.
            matched_route: found.raw_route.strip_suffix('/').unwrap_or(found.raw_route),
            component_route: found.component_route,
            path_info: found.path_info,
            named: found.named,
        }
    }

    /// By its name, from another component.
    pub(crate) fn chained(path: &str) -> Routed<'static> {
        Routed {
            raw_route: CHAINED_ROUTE,
            matched_route: CHAINED_ROUTE,
            component_route: "",
            path_info: path.to_owned(),
            named: Vec::new(),
        }
    }

    /// Set the headers of a request for it. `uri` as it was asked for.
    pub(crate) fn set(&self, headers: &mut HeaderMap, uri: &Uri, client: SocketAddr) {
        // Only meaningful between two servers; trouble for who passes it on.
        headers.remove(header::CONNECTION);
        let sent: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(PATH_MATCH))
            .cloned()
            .collect();
        for name in sent {
            headers.remove(name);
        }
        let full = full_url(headers, uri);
        let mut set = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
            Ok(value) => drop(headers.insert(name, value)),
            // What cannot be a value was dropped by Spin, too.
            Err(_) => drop(headers.remove(name)),
        };
        set(PATH_INFO, &self.path_info);
        set(FULL_URL, &full);
        set(MATCHED_ROUTE, self.matched_route);
        set(BASE_PATH, "/");
        set(RAW_COMPONENT_ROUTE, self.raw_route);
        set(COMPONENT_ROUTE, self.component_route);
        set(CLIENT_ADDR, &client.to_string());
        for (name, value) in &self.named {
            let name = format!(
                "{PATH_MATCH}{}",
                name.replace('_', "-").to_ascii_lowercase()
            );
            if let Ok(name) = HeaderName::try_from(name) {
                set(name, value);
            }
        }
    }
}

fn full_url(headers: &HeaderMap, uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let named = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    // HTTP/2 has it in the address. (Real Spin says `localhost` then.)
    let host = named.or_else(|| uri.authority().map(Authority::as_str));
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    format!("{scheme}://{}{path}", host.unwrap_or(NO_HOST))
}

/// Why a request is not one for an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHost {
    #[error("the request names no host: send a `Host` header")]
    Absent,
    #[error("the `Host` header is no host")]
    Malformed,
    #[error("the `Host` header and the address of the request name different hosts")]
    Ambiguous,
}

/// Complete the address of a request with the host that it is for.
///
/// # Errors
/// [`BadHost`] when that cannot be told for sure.
pub(crate) fn address(headers: &HeaderMap, uri: &Uri, scheme: Scheme) -> Result<Uri, BadHost> {
    let named: Option<Authority> = match headers.get(header::HOST) {
        Some(host) => Some(Authority::try_from(host.as_bytes()).map_err(|_| BadHost::Malformed)?),
        None => None,
    };
    let authority = match (named, uri.authority()) {
        (None, None) => return Err(BadHost::Absent),
        (Some(named), Some(other)) if named != *other => return Err(BadHost::Ambiguous),
        (Some(named), _) => named,
        (None, Some(authority)) => authority.clone(),
    };
    let path = uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| BadHost::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "127.0.0.1:8777";

    fn set(routed: &Routed<'_>, uri: &str, sent: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        routed.set(&mut headers, &uri.parse().unwrap(), CLIENT.parse().unwrap());
        headers
    }

    fn routed() -> Routed<'static> {
        Routed {
            raw_route: "/foo/:user_id/...",
            matched_route: "/foo/:user_id/...",
            component_route: "/foo/:user_id",
            path_info: "/bar".to_owned(),
            named: vec![("user_id".to_owned(), "42".to_owned())],
        }
    }

    #[test]
    fn a_component_is_told_how_its_request_was_routed() {
        let uri = "https://fermyon.dev/foo/42/bar?key1=value1&key2=value2";
        let headers = set(&routed(), uri, &[("host", "fermyon.dev"), ("x", "y")]);
        for (name, value) in [
            ("spin-full-url", uri),
            ("spin-path-info", "/bar"),
            ("spin-matched-route", "/foo/:user_id/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/foo/:user_id/..."),
            ("spin-component-route", "/foo/:user_id"),
            ("spin-client-addr", CLIENT),
            ("spin-path-match-user-id", "42"),
            ("x", "y"),
        ] {
            assert_eq!(headers.get(name).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn what_a_client_says_under_these_names_is_dropped() {
        let sent = [
            ("spin-client-addr", "10.0.0.1:1"),
            ("spin-client-addr", "10.0.0.2:1"),
            ("spin-path-match-admin", "yes"),
            ("connection", "close"),
        ];
        let headers = set(&routed(), "http://a/foo/42/bar", &sent);
        let addresses: Vec<_> = headers.get_all("spin-client-addr").iter().collect();
        assert_eq!(addresses, [CLIENT]);
        assert!(!headers.contains_key("spin-path-match-admin"));
        assert!(!headers.contains_key("connection"));
    }

    #[test]
    fn a_component_called_by_a_neighbour_sees_all_of_the_path() {
        let headers = set(&Routed::chained("/a/b"), "http://x.spin.internal/a/b", &[]);
        assert_eq!(headers.get("spin-path-info").unwrap(), "/a/b");
        assert_eq!(headers.get("spin-raw-component-route").unwrap(), "/...");
        assert_eq!(headers.get("spin-component-route").unwrap(), "");
    }

    #[test]
    fn the_host_must_be_told_and_told_once() {
        let host = |host: Option<&str>, uri: &str| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert("host", HeaderValue::from_str(host).unwrap());
            }
            address(&headers, &uri.parse().unwrap(), Scheme::HTTP).map(|uri| uri.to_string())
        };
        assert_eq!(host(Some("a:80"), "/x?y").unwrap(), "http://a:80/x?y");
        assert_eq!(host(None, "http://a/x").unwrap(), "http://a/x");
        assert_eq!(host(Some("a"), "http://a/x").unwrap(), "http://a/x");
        assert_eq!(host(None, "/x"), Err(BadHost::Absent));
        assert_eq!(host(Some("b"), "http://a/x"), Err(BadHost::Ambiguous));
        assert_eq!(host(Some("a/b"), "/x"), Err(BadHost::Malformed));
    }
}

//! Where an agent listens, and in which binding.

use http::Uri;
use serde::{Deserialize, Serialize};

use crate::json::clip;

/// Bytes of an interface's URL, at most.
pub const URL_BYTES_MAX: usize = 2048;

/// The A2A bindings that the mesh speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Binding {
    /// JSON-RPC 2.0 by POST.
    #[serde(rename = "JSONRPC")]
    JsonRpc,
    /// HTTP+JSON, one path an operation.
    #[serde(rename = "HTTP+JSON")]
    HttpJson,
}

/// One way to reach an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Absolute http or https URL without user, fragment, or (HTTP+JSON) query.
    pub url: String,
    /// Its binding.
    pub binding: Binding,
    /// `Major.Minor` of A2A, major 1.
    pub version: String,
}

impl Binding {
    /// The name in an agent card.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonRpc => "JSONRPC",
            Self::HttpJson => "HTTP+JSON",
        }
    }

    /// The binding of that name; `None` for those we do not speak.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::JsonRpc, Self::HttpJson]
            .into_iter()
            .find(|binding| binding.name() == name)
    }
}

/// Checks a URL that the mesh would dial. Which networks may be dialled is the
/// dialler's to say; this only refuses what parsers disagree about.
///
/// # Errors
/// A phrase that completes "`field` …".
pub(crate) fn check_url(url: &str, binding: Binding) -> Result<(), String> {
    if url.len() > URL_BYTES_MAX {
        return Err(format!("is longer than {URL_BYTES_MAX} bytes"));
    }
    if url
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>'))
    {
        return Err("holds a character that no URL has".to_owned());
    }
    if url.contains('#') {
        return Err("has a fragment".to_owned());
    }
    let uri: Uri = url
        .parse()
        .map_err(|_| format!("is no URL: `{}`", clip(url, 128)))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with http:// or https://".to_owned());
    }
    let authority = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    if authority.contains('@') {
        return Err("names a user; use credentials instead".to_owned());
    }
    let host = uri.host().unwrap_or_default();
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let fits = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    let port = authority.strip_prefix(host).unwrap_or_default();
    let port_fits = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !fits || !port_fits {
        return Err(format!("has no usable host: `{}`", clip(authority, 128)));
    }
    if binding == Binding::HttpJson && uri.query().is_some() {
        return Err("has a query, to which no path can be added".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_parsers_could_read_in_two_ways_is_refused() {
        let refused = [
            "",
            "agent.example",
            "ftp://a/",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://user@host/",
            "http://a:b@host/",
            "http://host\\@evil/",
            "http://host/#f",
            "http://ho st/",
            "http://host/\n",
            "http://host:0/",
            "http://host:/",
            "http://host:99999/",
            "http://[::1/",
            "http://[zz]/",
            "http://h%6fst/",
            "//host/",
        ];
        for url in refused {
            assert!(check_url(url, Binding::JsonRpc).is_err(), "{url}");
        }
        for url in [
            "http://127.0.0.1:9999",
            "https://agent.example/a2a/v1/",
            "http://[::1]:80/",
            "http://svc_a.ns.svc.cluster.local:8080/rpc?key=1",
        ] {
            assert_eq!(check_url(url, Binding::JsonRpc), Ok(()), "{url}");
        }
        assert!(check_url("http://host/?a=1", Binding::HttpJson).is_err());
        assert!(
            check_url(
                &format!("http://host/{}", "a".repeat(2048)),
                Binding::JsonRpc
            )
            .is_err()
        );
    }
}

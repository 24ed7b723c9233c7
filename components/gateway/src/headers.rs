//! The `kgents-*` headers, and what must not travel through the mesh.

use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::call::ReplyHead;

/// Beginning of the header names that only the mesh sets.
pub const PREFIX: &str = "kgents-";

/// Which way headers travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    /// From a caller to an agent.
    Agent,
    /// From an agent to a caller.
    Caller,
}

impl ReplyHead {
    /// The headers that tell about an answer. What cannot stand in a header is
    /// left out.
    #[must_use]
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let confidence = self.confidence.filter(|value| value.is_finite());
        let confidence = confidence.map(|value| format!("{value:.4}"));
        let texts = [
            (
                "kgents-event",
                Some(self.event.as_str()).filter(|event| !event.is_empty()),
            ),
            ("kgents-agent", self.agent.as_deref()),
            ("kgents-cluster", self.cluster.as_deref()),
            ("kgents-method", self.method.as_deref()),
            ("kgents-confidence", confidence.as_deref()),
            (
                "kgents-fallback",
                Some(if self.fallback { "true" } else { "false" }),
            ),
        ];
        texts
            .into_iter()
            .filter_map(|(name, text)| {
                let value = HeaderValue::from_str(text?).ok()?;
                Some((HeaderName::from_static(name), value))
            })
            .collect()
    }
}

/// Takes out what is ours, what belongs to one hop, and credentials: a caller's
/// never reach an agent, and an agent's cookies and challenges never reach a
/// caller, for whom every agent shares one origin. Source: RFC 9110 §7.6.1.
pub fn strip(headers: &mut HeaderMap, toward: Toward) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let ours = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX))
        .cloned();
    let ours: Vec<HeaderName> = ours.collect();
    let hop = [
        CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        AUTHORIZATION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    let way = match toward {
        Toward::Agent => [COOKIE, HOST],
        Toward::Caller => [SET_COOKIE, WWW_AUTHENTICATE],
    };
    for name in named.into_iter().chain(ours).chain(hop).chain(way) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_tells_what_it_knows() {
        let head = ReplyHead {
            event: "evt-1".into(),
            agent: Some("b-gent".into()),
            cluster: Some("bad\nvalue".into()),
            method: Some("search".into()),
            confidence: Some(0.87),
            fallback: false,
        };
        let told: Vec<_> = head
            .headers()
            .into_iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                "kgents-event: evt-1",
                "kgents-agent: b-gent",
                "kgents-method: search",
                "kgents-confidence: 0.8700",
                "kgents-fallback: false"
            ]
        );
        let nan = ReplyHead {
            confidence: Some(f32::NAN),
            ..ReplyHead::default()
        };
        assert_eq!(nan.headers().len(), 1);
    }

    #[test]
    fn only_what_may_travel_travels() {
        let map = || -> HeaderMap {
            [
                ("kgents-agent", "x"),
                ("connection", "close, X-Hop"),
                ("x-hop", "1"),
                ("keep-alive", "5"),
                ("authorization", "Bearer a"),
                ("cookie", "a"),
                ("set-cookie", "a"),
                ("www-authenticate", "Basic"),
                ("te", "trailers"),
                ("a2a-version", "1.0"),
            ]
            .into_iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
        };
        let kept = |toward| {
            let mut headers = map();
            strip(&mut headers, toward);
            let mut names: Vec<_> = headers.keys().map(|n| n.to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(
            kept(Toward::Agent),
            ["a2a-version", "set-cookie", "www-authenticate"]
        );
        assert_eq!(kept(Toward::Caller), ["a2a-version", "cookie"]);
    }
}

//! Which addresses the mesh may call: public ones, and what the operator adds.
//! Decided on the address that is connected to, after name resolution, so that
//! a name cannot point inside later.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One line of `upstreams.allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// This machine: 127.0.0.0/8 and ::1.
    Loopback,
    /// Private networks: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// A range.
    Net(IpNet),
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "private" => Ok(Self::Private),
            _ => text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map(Self::Net)
                .map_err(|_| {
                    format!("`{text}` is not loopback, private, or a range like 10.1.0.0/16")
                }),
        }
    }
}

/// The rules together.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    rules: Vec<Rule>,
    /// Where the mesh itself listens: a call there would come back for ever.
    own: Vec<SocketAddr>,
}

impl Allow {
    /// Public addresses and what these rules add.
    pub const fn new(rules: Vec<Rule>) -> Self {
        let own = Vec::new();
        Self { rules, own }
    }

    /// All but where the mesh itself listens.
    #[must_use]
    pub fn except(mut self, own: Vec<SocketAddr>) -> Self {
        self.own = own;
        self
    }

    /// Whether a host and port are one of the mesh's own listeners, as far as
    /// the URL tells.
    fn is_own(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(canonical);
        self.own.iter().any(|own| {
            let same = match address {
                Some(address) => {
                    address == canonical(own.ip())
                        || address.is_unspecified()
                        || (own.ip().is_unspecified() && address.is_loopback())
                        || (own.ip().is_loopback() && address.is_loopback())
                }
                None => host.eq_ignore_ascii_case("localhost"),
            };
            same && own.port() == port
        })
    }

    /// Whether this address may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        let ranges = self.rules.iter().any(|rule| match rule {
            Rule::Net(net) => net.contains(&address),
            Rule::Loopback => address.is_loopback(),
            Rule::Private => is_private(address),
        });
        ranges || is_public(address)
    }

    /// Checks a URL whose host is an address literal; names are checked when
    /// they are resolved.
    ///
    /// # Errors
    /// What is not allowed about it.
    pub fn check_url(&self, url: &str) -> Result<(), Unfit> {
        let uri = url.parse::<http::Uri>().ok();
        let fits = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
        let uri = uri.filter(fits);
        let host = uri.as_ref().and_then(http::Uri::host);
        let host = host.ok_or_else(|| Unfit::Url(url.to_owned()))?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.as_ref().map_or(0, port_of);
        if self.is_own(literal, port) {
            return Err(Unfit::Own(url.to_owned()));
        }
        match literal.parse::<IpAddr>() {
            Ok(address) if !self.permits(address) => Err(Unfit::Address(address)),
            _ => Ok(()),
        }
    }
}

fn port_of(uri: &http::Uri) -> u16 {
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    uri.port_u16().unwrap_or(usual)
}

/// Why the mesh does not call a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a URL of HTTP with a host.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// One of the mesh's own listeners.
    #[error("`{0}` is this mesh itself")]
    Own(String),
    /// An address that the rules leave out.
    #[error("`{0}` is not an address the mesh may call")]
    Address(IpAddr),
}

impl Unfit {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Url(_) => "the mesh calls http:// and https:// only",
            Self::Own(_) => "give the address of the agent, not the mesh's address for it",
            Self::Address(_) => "allow the range under `upstreams.allow` in mesh.yaml",
        }
    }
}

/// An IPv4 address that hides in an IPv6 one is judged as what it is.
fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_canonical(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(is_private(address)
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let [head, second, ..] = v6.segments();
            // Global unicast only (2000::/3), less what wraps or documents.
            (head & 0xe000) == 0x2000
                && head != 0x2002
                && !(head == 0x2001 && (second == 0 || second == 0x0db8))
                && v6 != Ipv6Addr::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(rules: &[&str], address: &str) -> bool {
        Allow::new(rules.iter().map(|r| r.parse().unwrap()).collect())
            .permits(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_called_unless_the_operator_adds_more() {
        for address in ["8.8.8.8", "2606:4700::1111"] {
            assert!(permits(&[], address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
        ] {
            assert!(!permits(&[], address), "{address}");
        }
        assert!(permits(&["loopback"], "127.8.8.8") && !permits(&["loopback"], "10.0.0.1"));
        assert!(permits(&["private"], "10.0.0.1") && !permits(&["private"], "169.254.169.254"));
        assert!(permits(&["10.1.0.0/16"], "10.1.2.3") && !permits(&["10.1.0.0/16"], "10.2.0.1"));
    }

    #[test]
    fn a_rule_that_is_none_says_what_it_could_be() {
        assert!("lan".parse::<Rule>().unwrap_err().contains("loopback"));
        assert!("10.0.0.0/40".parse::<Rule>().is_err());
    }

    #[test]
    fn the_mesh_does_not_call_itself() {
        let allow =
            Allow::new(vec![Rule::Loopback]).except(vec!["127.0.0.1:8420".parse().unwrap()]);
        for url in [
            "http://127.0.0.1:8420/agents/loop",
            "http://localhost:8420/",
            "http://[::ffff:127.0.0.1]:8420/",
            "http://127.0.0.2:8420/",
        ] {
            assert!(matches!(allow.check_url(url), Err(Unfit::Own(_))), "{url}");
        }
        assert!(allow.check_url("http://127.0.0.1:8421/").is_ok());
    }

    #[test]
    fn literals_in_urls_are_judged() {
        let allow = Allow::default();
        assert!(allow.check_url("http://[::1]:80/").is_err());
        assert!(allow.check_url("http://10.0.0.1/x").is_err());
        assert!(allow.check_url("http://agent.example/x").is_ok());
        assert!(allow.check_url("/x").is_err());
    }

    #[test]
    fn what_is_no_http_is_not_taken_for_a_range_to_allow() {
        let allow = Allow::default();
        for url in ["file:///etc/passwd", "ftp://8.8.8.8/", "http://", "x", ""] {
            let unfit = allow.check_url(url).unwrap_err();
            assert_eq!(unfit, Unfit::Url(url.to_owned()));
            assert!(unfit.hint().contains("https"), "{url}");
        }
        let unfit = allow.check_url("https://10.0.0.1/x").unwrap_err();
        assert!(unfit.hint().contains("upstreams.allow"), "{unfit}");
    }
}

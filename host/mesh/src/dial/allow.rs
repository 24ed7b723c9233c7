//! Which addresses the mesh may call: public ones, and what the operator adds.
//! Decided on the address that is connected to, after name resolution, so that
//! a name cannot point inside later.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

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
pub struct Allow(Vec<Rule>);

impl Allow {
    /// Public addresses and what these rules add.
    pub const fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether this address may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        let ranges = self.0.iter().any(|rule| match rule {
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
    /// A sentence that says what is not allowed.
    pub fn check_url(&self, url: &str) -> Result<(), String> {
        let uri: http::Uri = url.parse().map_err(|_| format!("`{url}` is not a URL"))?;
        let host = uri.host().ok_or_else(|| format!("`{url}` names no host"))?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) if !self.permits(address) => {
                Err(format!("`{address}` is not an address the mesh may call"))
            }
            _ => Ok(()),
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
    fn literals_in_urls_are_judged() {
        let allow = Allow::default();
        assert!(allow.check_url("http://[::1]:80/").is_err());
        assert!(allow.check_url("http://10.0.0.1/x").is_err());
        assert!(allow.check_url("http://agent.example/x").is_ok());
        assert!(allow.check_url("/x").is_err());
    }
}

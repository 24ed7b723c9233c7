//! Where a component may send requests: `allowed_outbound_hosts`, with Spin's rules.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::str::FromStr;

use ipnet::IpNet;

use crate::names::quoted;
use crate::template::Template;
use crate::variables::{Variables, environment_name};
use crate::{AppError, Problem};

/// Below this name are the components of the application itself.
const CHAINING_SUFFIX: &str = ".spin.internal";

/// One entry of `allowed_outbound_hosts`: `scheme://host:port`, each of them possibly `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    scheme: Scheme,
    host: HostRule,
    ports: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Any,
    Only(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostRule {
    Any,
    /// With the dot: `.example.com`.
    Below(String),
    /// The application itself, where requests have no host of their own.
    Itself,
    Only(Host),
    Net(IpNet),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ports {
    Any,
    /// From the first to before the last, as Spin reads `8000..9000`; a port by itself is a
    /// range of one, and `u32` so that it has an end.
    Only(Range<u32>),
}

/// A host in one spelling, so that spellings of one host are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl HostPattern {
    fn allows(&self, scheme: &str, host: &Host, port: Option<u16>) -> bool {
        let host_is_allowed = match (&self.host, host) {
            (HostRule::Any, _) => true,
            (HostRule::Below(suffix), Host::Name(name)) => name.ends_with(suffix.as_str()),
            (HostRule::Only(only), host) => only == host,
            (HostRule::Net(net), Host::Address(address)) => net.contains(address),
            (HostRule::Below(_) | HostRule::Net(_) | HostRule::Itself, _) => false,
        };
        let port_is_allowed = match &self.ports {
            Ports::Any => true,
            Ports::Only(range) => port
                .or_else(|| usual_port(scheme))
                .is_some_and(|port| range.contains(&u32::from(port))),
        };
        self.scheme.allows(scheme) && host_is_allowed && port_is_allowed
    }
}

impl Scheme {
    fn allows(&self, scheme: &str) -> bool {
        match self {
            Scheme::Any => true,
            Scheme::Only(only) => only.eq_ignore_ascii_case(scheme),
        }
    }
}

impl FromStr for HostPattern {
    type Err = Problem;

    fn from_str(text: &str) -> Result<HostPattern, Problem> {
        let in_pattern = |problem: Problem| {
            Problem::new(format!("{} does not name hosts: {problem}", quoted(text)))
        };
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(|| {
            in_pattern(Problem::new(
                "write `scheme://host` or `scheme://host:port`, each possibly `*`, such as \
                 `https://example.com`",
            ))
        })?;
        let (host, port) = host_and_port(rest).map_err(in_pattern)?;
        Ok(HostPattern {
            ports: ports(port, scheme).map_err(in_pattern)?,
            scheme: scheme_rule(scheme).map_err(in_pattern)?,
            host: host_rule(host).map_err(in_pattern)?,
        })
    }
}

/// Parts the port off, which is what follows the last colon unless that is inside of an address.
fn host_and_port(rest: &str) -> Result<(&str, &str), Problem> {
    match rest.rsplit_once(':') {
        None => Ok((rest, "")),
        Some((host, "")) => Ok((host, "")),
        Some(_) if host_rule(rest).is_ok() => Ok((rest, "")),
        Some((host, port)) => match port.split_once('/') {
            None => Ok((host, port)),
            Some((port, "")) => Ok((host, port)),
            Some(_) => Err(Problem::new(
                "leave out the path: all paths of a host are allowed",
            )),
        },
    }
}

fn scheme_rule(scheme: &str) -> Result<Scheme, Problem> {
    if scheme == "*" {
        return Ok(Scheme::Any);
    }
    if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphabetic()) {
        return Err(Problem::new(format!(
            "{} is not a scheme; write letters such as `https`, or `*`",
            quoted(scheme)
        )));
    }
    Ok(Scheme::Only(scheme.to_ascii_lowercase()))
}

fn host_rule(host: &str) -> Result<HostRule, Problem> {
    let host = host.trim();
    let host = host.strip_suffix('/').unwrap_or(host);
    match host.to_ascii_lowercase().as_str() {
        "*" => return Ok(HostRule::Any),
        "self" | "self.alt" => return Ok(HostRule::Itself),
        _ => {}
    }
    if let Ok(net) = host.parse::<IpNet>() {
        return Ok(HostRule::Net(net));
    }
    if host.contains('/') {
        return Err(Problem::new(
            "leave out the path: all paths of a host are allowed",
        ));
    }
    if let Some(domain) = host.strip_prefix("*.") {
        return match Host::of(domain) {
            Some(Host::Name(name)) => Ok(HostRule::Below(format!(".{name}"))),
            _ => Err(Problem::new(format!(
                "{} is not a name that others can be below; write `*.example.com`",
                quoted(domain)
            ))),
        };
    }
    Host::of(host).map(HostRule::Only).ok_or_else(|| {
        Problem::new(format!(
            "{} is not a host; write a name in ASCII, an address (`[::1]` in brackets), \
             `*.example.com`, or `*`",
            quoted(host)
        ))
    })
}

fn ports(port: &str, scheme: &str) -> Result<Ports, Problem> {
    let number = |text: &str| {
        text.parse::<u16>().map(u32::from).map_err(|_| {
            Problem::new(format!(
                "{} is not a port; write a number to 65535, a range such as `8000..9000`, or `*`",
                quoted(text)
            ))
        })
    };
    if port == "*" {
        return Ok(Ports::Any);
    }
    if port.is_empty() {
        let port = usual_port(&scheme.to_ascii_lowercase())
            .map(u32::from)
            .ok_or_else(|| {
                Problem::new(format!(
                    "{} has no usual port; write one, or `:*`",
                    quoted(&format!("{scheme}://"))
                ))
            })?;
        return Ok(Ports::Only(port..port + 1));
    }
    let Some((first, end)) = port.split_once("..") else {
        let port = number(port)?;
        return Ok(Ports::Only(port..port + 1));
    };
    let (first, end) = (number(first)?, number(end)?);
    if first >= end {
        return Err(Problem::new(format!(
            "no port is in {}; the end is not part of a range",
            quoted(port)
        )));
    }
    Ok(Ports::Only(first..end))
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        _ => None,
    }
}

impl Host {
    /// `None` for what is no host. A number that is not an address written out in full (`127.1`,
    /// `0x7f.1`) is no host either: what it would reach is not what it reads like.
    fn of(text: &str) -> Option<Host> {
        if let Some(inside) = text.strip_prefix('[') {
            let address = inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(Host::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Host::Address(address.into()));
        }
        let name = text.to_ascii_lowercase();
        let last = name.strip_suffix('.').unwrap_or(&name).rsplit('.').next()?;
        let is_number =
            last.starts_with(|c: char| c.is_ascii_digit())
                && last.strip_prefix("0x").unwrap_or(last).chars().all(|c| {
                    c.is_ascii_hexdigit() && (c.is_ascii_digit() || last.starts_with("0x"))
                });
        let is_name = name
            .strip_suffix('.')
            .unwrap_or(&name)
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(is_name_char));
        (is_name && !is_number).then_some(Host::Name(name))
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Components of the application itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChainedTo {
    All,
    Component(String),
}

/// Where one component may send requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    patterns: Vec<HostPattern>,
}

impl AllowedHosts {
    /// Puts in the variables. `*.spin.internal` stands for `component_ids`, the components of
    /// this application, and nothing else. An entry that is empty, or `http://` or `https://`
    /// alone, once the variables are in is left out: an address that nobody has set.
    ///
    /// `place` is for errors: `component.x.allowed_outbound_hosts`.
    pub fn resolve(
        templates: &[Template],
        variables: &Variables,
        component_ids: &[String],
        place: &str,
    ) -> Result<AllowedHosts, AppError> {
        let mut patterns = Vec::new();
        for template in templates {
            let text = variables
                .render(template)
                .map_err(|problem| problem.at(place))?;
            if !template.is_literal() && matches!(text.as_str(), "" | "http://" | "https://") {
                continue;
            }
            // The value may be secret: the template is shown in its place.
            let pattern: HostPattern = text.parse().map_err(|problem: Problem| {
                if template.is_literal() {
                    problem.at(place)
                } else {
                    let names: Vec<String> = template
                        .variables()
                        .map(|name| format!("`{name}` ({})", environment_name(None, name)))
                        .collect();
                    AppError::invalid(
                        place,
                        format!(
                            "with the value of {} put in, {} does not name hosts; it must give \
                             `scheme://host` or `scheme://host:port`",
                            names.join(", "),
                            quoted(&template.to_string())
                        ),
                    )
                }
            })?;
            if pattern.host == HostRule::Below(CHAINING_SUFFIX.to_owned()) {
                patterns.extend(component_ids.iter().map(|id| HostPattern {
                    host: HostRule::Only(Host::Name(
                        format!("{id}{CHAINING_SUFFIX}").to_ascii_lowercase(),
                    )),
                    ..pattern.clone()
                }));
            } else {
                patterns.push(pattern);
            }
        }
        Ok(AllowedHosts { patterns })
    }

    /// Whether a request of this scheme may go anywhere.
    pub fn allows_scheme(&self, scheme: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.scheme.allows(scheme))
    }

    /// Whether a request may go there. `host` as it stands in an address: a name, `127.0.0.1`,
    /// `[::1]`. Without a port it is the usual one of the scheme.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        Host::of(host).is_some_and(|host| {
            self.patterns
                .iter()
                .any(|pattern| pattern.allows(scheme, &host, port))
        })
    }

    /// Whether a request without a host of its own, or to `http://self`, may go to the
    /// application itself.
    pub fn allows_self(&self, scheme: &str) -> bool {
        self.patterns.iter().any(|pattern| {
            pattern.scheme.allows(scheme)
                && matches!(pattern.host, HostRule::Any | HostRule::Itself)
        })
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What an entry can be checked for before the variables have values.
    pub(crate) fn check(template: &Template) -> Result<(), Problem> {
        if template.is_literal() {
            template.to_string().parse::<HostPattern>()?;
        }
        Ok(())
    }

    /// The components of the application that an entry without variables is for.
    pub(crate) fn chained_to(template: &Template) -> Option<ChainedTo> {
        let pattern = template.to_string().parse::<HostPattern>().ok()?;
        match &pattern.host {
            HostRule::Below(suffix) if suffix == CHAINING_SUFFIX => Some(ChainedTo::All),
            HostRule::Only(Host::Name(name)) => {
                let id = name.strip_suffix(CHAINING_SUFFIX)?;
                Some(ChainedTo::Component(id.to_owned()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::Any => f.write_str("*://")?,
            Scheme::Only(scheme) => write!(f, "{scheme}://")?,
        }
        match &self.host {
            HostRule::Any => f.write_str("*")?,
            HostRule::Below(suffix) => write!(f, "*{suffix}")?,
            HostRule::Itself => f.write_str("self")?,
            HostRule::Only(Host::Name(name)) => f.write_str(name)?,
            HostRule::Only(Host::Address(IpAddr::V4(address))) => write!(f, "{address}")?,
            HostRule::Only(Host::Address(IpAddr::V6(address))) => write!(f, "[{address}]")?,
            HostRule::Net(net) => write!(f, "{net}")?,
        }
        match &self.ports {
            Ports::Any => f.write_str(":*"),
            Ports::Only(range) if range.end == range.start + 1 => write!(f, ":{}", range.start),
            Ports::Only(range) => write!(f, ":{}..{}", range.start, range.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts(patterns: &[&str]) -> AllowedHosts {
        let templates: Vec<Template> = patterns
            .iter()
            .map(|pattern| pattern.parse().unwrap())
            .collect();
        let ids = ["gateway".to_owned(), "decide".to_owned()];
        AllowedHosts::resolve(&templates, &Variables::default(), &ids, "hosts").unwrap()
    }

    #[test]
    fn hosts_are_allowed_by_spins_rules() {
        for (pattern, address, expected) in [
            ("https://example.com", "https://example.com", true),
            ("https://example.com", "https://EXAMPLE.com:443", true),
            ("https://example.com", "https://example.com:8443", false),
            ("https://example.com", "http://example.com", false),
            ("https://example.com", "https://sub.example.com", false),
            ("https://example.com", "https://example.com.evil.org", false),
            ("https://example.com/", "https://example.com", true),
            (
                "https://example.com:8443/",
                "https://example.com:8443",
                true,
            ),
            ("HTTPS://Example.com", "https://example.com", true),
            ("*://example.com:80", "http://example.com", true),
            ("*://*:*", "redis://10.0.0.1:1", true),
            ("http://*.example.com", "http://a.b.example.com", true),
            ("http://*.example.com", "http://example.com", false),
            ("http://*.example.com", "http://evilexample.com", false),
            ("http://localhost:8000..8002", "http://localhost:8001", true),
            (
                "http://localhost:8000..8002",
                "http://localhost:8002",
                false,
            ),
            ("http://10.0.0.0/8:80", "http://10.1.2.3", true),
            ("http://10.1.2.3/8", "http://10.200.0.1", true),
            ("http://10.0.0.0/8", "http://11.0.0.1", false),
            ("*://fd00::/8:*", "http://[fd00::1]:9", true),
            ("http://[::1]", "http://[0:0:0:0:0:0:0:1]", true),
            ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://127.0.0.1", "http://127.1", false),
            ("http://0.0.0.0/0", "http://2130706433", false),
            ("http://*:80", "http://0x7f.0x1", false),
            ("http://self", "http://self", false),
            ("foo://h:7", "foo://h", false),
            ("foo://h:7", "foo://h:7", true),
        ] {
            let uri: http::Uri = address.parse().unwrap();
            let (scheme, host) = (uri.scheme_str().unwrap(), uri.host().unwrap());
            let allowed = hosts(&[pattern]).allows(scheme, host, uri.port_u16());
            assert_eq!(allowed, expected, "{pattern} {address}");
        }
    }

    #[test]
    fn chaining_by_wildcard_means_the_components_that_are_there() {
        let hosts = hosts(&["http://*.spin.internal"]);
        assert!(hosts.allows("http", "decide.spin.internal", None));
        assert!(!hosts.allows("http", "other.spin.internal", None));
        assert!(!hosts.allows("https", "decide.spin.internal", None));
    }

    #[test]
    fn requests_to_itself_are_allowed_by_self_or_by_any_host() {
        assert!(hosts(&["http://self"]).allows_self("http"));
        assert!(hosts(&["http://self.alt"]).allows_self("http"));
        assert!(hosts(&["http://SELF/"]).allows_self("http"));
        assert!(hosts(&["*://*:*"]).allows_self("http"));
        assert!(!hosts(&["http://self"]).allows_self("https"));
        assert!(!hosts(&["http://localhost"]).allows_self("http"));
        assert!(!hosts(&[]).allows_self("http") && hosts(&[]).is_empty());
    }

    #[test]
    fn a_scheme_is_allowed_that_a_pattern_is_for() {
        assert!(hosts(&["http://a", "https://b"]).allows_scheme("https"));
        assert!(hosts(&["*://a:1"]).allows_scheme("https"));
        assert!(!hosts(&["http://a"]).allows_scheme("https"));
    }

    #[test]
    fn entries_that_are_no_hosts_are_refused() {
        for text in [
            "",
            "*",
            "example.com",
            "http://",
            "https://example.com/path",
            "http://a:b",
            "http://example.com:99999",
            "http://a.*",
            "http://*.*.com",
            "foo://example.com",
            "h+s://example.com:1",
            "://example.com:1",
            "http://{a,b}",
            "http://a:{1,2}",
            "http://127.1",
            "http://a b",
            "http://a:9..3",
            "http://a:3..3",
            "http://é.com",
            "insecure:allow-all",
            "http://user@example.com",
            "http://*.10.0.0.1",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn variables_are_put_in_and_their_values_stay_out_of_errors() {
        use crate::app::Variable;
        use std::collections::BTreeMap;
        let variable = |value: &str| Variable {
            default: Some(value.to_owned()),
            secret: true,
        };
        let declared = BTreeMap::from([
            ("url".to_owned(), variable("http://127.0.0.1:8080")),
            ("unset".to_owned(), variable("")),
            ("bad".to_owned(), variable("hush hush")),
        ]);
        let variables = Variables::find(&declared, &[], |_| None).unwrap();
        let resolve = |text: &str| {
            AllowedHosts::resolve(
                &[text.parse().unwrap()],
                &variables,
                &[],
                "component.x.hosts",
            )
        };
        assert!(
            resolve("{{ url }}")
                .unwrap()
                .allows("http", "127.0.0.1", Some(8080))
        );
        assert!(resolve("{{ unset }}").unwrap().is_empty());
        assert!(resolve("https://{{ unset }}").unwrap().is_empty());
        let error = resolve("http://{{ bad }}").unwrap_err().to_string();
        assert!(
            error.starts_with("component.x.hosts")
                && error.contains("`bad` (SPIN_VARIABLE_BAD)")
                && !error.contains("hush"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z*]{0,5}://[a-z0-9.:/*\\[\\]]{0,20}") {
            if let Ok(pattern) = text.parse::<HostPattern>() {
                let written = pattern.to_string();
                prop_assert_eq!(written.parse::<HostPattern>(), Ok(pattern), "{}", written);
            }
        }

        #[test]
        fn a_host_is_allowed_by_itself_and_not_by_another(
            name in "[a-z]{1,10}(\\.[a-z]{1,5}){0,3}", other in "[a-z]{1,10}", port in 1u16..,
        ) {
            let hosts = hosts(&[&format!("http://{name}:{port}")]);
            prop_assert!(hosts.allows("http", &name, Some(port)));
            let neighbours = [format!("{name}.{other}"), format!("{other}.{name}")];
            for neighbour in &neighbours {
                prop_assert!(!hosts.allows("http", neighbour, Some(port)), "{}", neighbour);
            }
        }

        #[test]
        fn asking_never_panics(scheme in "\\PC{0,8}", host in "\\PC{0,20}", port in any::<u16>()) {
            let _ = hosts(&["*://*:*", "http://10.0.0.0/8"]).allows(&scheme, &host, Some(port));
        }
    }
}

//! Values that a configuration file writes as text: durations, addresses,
//! ranges, names. Each is parsed once, and knows how to say what is right.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use kgents_mesh::decisions::RedisUrl;
use kgents_mesh::dial::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time written like `10s` or `2m 30s`; above 0 and at most a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-duration", "examples" = ["10s", "2m 30s"]))]
pub struct Span(Duration);

/// Longest duration a file may ask for: longer is a slip of the unit.
const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A socket address like `127.0.0.1:8420`; port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-address", "examples" = ["127.0.0.1:8420", "[::1]:0"]))]
pub struct Address(SocketAddr);

/// Network addresses that agents may have: `loopback`, `private`, or a range.
/// What these mean is the dialler's to say; this keeps how it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-range", "examples" = ["loopback", "private", "10.1.0.0/16"]))]
pub struct Range {
    text: String,
    rule: Rule,
}

/// An RFC 1123 label: 1 to 63 of a–z, 0–9 and `-`, not at the ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-label", "examples" = ["translation"]))]
pub struct Label(String);

/// A SPIFFE trust domain: 1 to 255 of a–z, 0–9, `.`, `-` and `_`.
/// Source: SPIFFE ID specification, section 2.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-trust-domain", "examples" = ["mesh.local"]))]
pub struct TrustDomain(String);

/// An `http://` or `https://` URL with a host and without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-url", "examples" = ["https://mesh.example.com"]))]
pub struct HttpUrl(String);

/// A Redis or Valkey server, `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` or
/// `rediss://` over TLS. Shown without user and password, and written out with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-redis", "examples" = ["redis://127.0.0.1:6379/0"]))]
pub struct RedisAddress(RedisUrl);

/// Where an agent's card is: an `http(s)://` URL, or a file relative to the
/// mesh folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-card-source", "examples" = ["https://agents.example.com/.well-known/agent-card.json", "cards/planner.json"]))]
pub enum CardSource {
    /// Fetched when the mesh starts.
    Url(HttpUrl),
    /// Read from the mesh folder; never outside it.
    File(String),
}

/// What somebody would ask: a sentence or two, at most 2,048 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "kgents-example", "examples" = ["how do I get from Berlin to Lisbon by train?"]))]
pub struct Example(String);

impl Span {
    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// A default from this program's own constants.
    pub const fn of(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let right = "write a duration like `10s` or `2m 30s`";
        let duration = humantime::parse_duration(text)
            .map_err(|_| format!("`{text}` is not a duration; {right}"))?;
        if duration.is_zero() || duration > SPAN_MAX {
            return Err(format!("`{text}` must be above 0 and at most `1day`"));
        }
        Ok(Self(duration))
    }
}

impl Address {
    /// The address.
    pub const fn get(self) -> SocketAddr {
        self.0
    }

    /// A default from this program's own constants.
    pub const fn of(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "`{text}` is not an address; write an IP address and a port like `127.0.0.1:8420`"
            )
        })
    }
}

impl Range {
    /// This machine.
    pub fn loopback() -> Self {
        Self {
            text: "loopback".to_owned(),
            rule: Rule::Loopback,
        }
    }

    /// The dialler's rule.
    pub const fn rule(&self) -> Rule {
        self.rule
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.to_owned(),
            rule: text.parse()?,
        })
    }
}

impl Label {
    /// A default from this program's own constants, which a test checks.
    pub fn of(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The label.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=63).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{text}` is not a name; use 1 to 63 of a-z, 0-9 and `-`, not at the ends (RFC 1123)"
        ))
    }
}

impl TrustDomain {
    /// A default from this program's own constants, which a test checks.
    pub fn of(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The trust domain.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if (1..=255).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{text}` is not a trust domain; use a-z, 0-9, `.`, `-` and `_` like `mesh.local`"
        ))
    }
}

impl HttpUrl {
    /// The URL as written.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a URL; write one like `https://mesh.example.com`");
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err("a URL must not carry a password; put it under `credentials`".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl RedisAddress {
    /// The address, with its password.
    pub fn get(&self) -> &RedisUrl {
        &self.0
    }
}

impl FromStr for RedisAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for RedisAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

// Not by the macro below, which shows what it writes.
impl From<RedisAddress> for String {
    fn from(value: RedisAddress) -> Self {
        value.0.secret().to_owned()
    }
}

impl FromStr for CardSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return text.parse().map(Self::Url);
        }
        let path = std::path::Path::new(text);
        let inside = path.components().all(|part| {
            matches!(
                part,
                std::path::Component::Normal(_) | std::path::Component::CurDir
            )
        });
        let known = path
            .extension()
            .is_some_and(|ending| ["json", "yaml", "yml"].iter().any(|known| ending == *known));
        if inside && known && !text.contains("://") {
            return Ok(Self::File(text.to_owned()));
        }
        Err(format!(
            "`{text}` is neither an http(s) URL nor a .json or .yaml file inside the mesh folder"
        ))
    }
}

impl FromStr for Example {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: usize = kgents_mesh::learning::feedback::TEXT_BYTES_MAX;
        if text.len() > MOST {
            let bytes = text.len();
            return Err(format!("has {bytes} bytes, at most {MOST} may be"));
        }
        if kgents_mesh::learning::taught::as_learnt(text).is_empty() {
            return Err("has no word; write what somebody would ask".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// Gives a text value its two serde directions.
macro_rules! written_as_text {
    ($($name:ident => $show:expr;)*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                let show: fn(&$name) -> String = $show;
                show(&value)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let show: fn(&$name) -> String = $show;
                formatter.write_str(&show(self))
            }
        }
    )*};
}

written_as_text! {
    Span => |span| humantime::format_duration(span.0).to_string();
    Address => |address| address.0.to_string();
    Range => |range| range.text.clone();
    Label => |label| label.0.clone();
    TrustDomain => |domain| domain.0.clone();
    HttpUrl => |url| url.0.clone();
    Example => |example| example.0.clone();
    CardSource => |source| match source {
        CardSource::Url(url) => url.0.clone(),
        CardSource::File(file) => file.clone(),
    };
}

/// Checks a text against one of the formats above, for the schema's check.
///
/// # Errors
/// What is wrong with it, with what would be right.
pub fn check_format(format: &str, text: &str) -> Result<(), String> {
    match format {
        "kgents-duration" => text.parse::<Span>().map(drop),
        "kgents-address" => text.parse::<Address>().map(drop),
        "kgents-range" => text.parse::<Range>().map(drop),
        "kgents-label" => text.parse::<Label>().map(drop),
        "kgents-trust-domain" => text.parse::<TrustDomain>().map(drop),
        "kgents-url" => text.parse::<HttpUrl>().map(drop),
        "kgents-card-source" => text.parse::<CardSource>().map(drop),
        "kgents-redis" => text.parse::<RedisAddress>().map(drop),
        "kgents-example" => text.parse::<Example>().map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_format_takes_what_is_right_and_refuses_what_is_wrong() {
        let cases = [
            ("kgents-duration", "10s", true),
            ("kgents-duration", "0s", false),
            ("kgents-duration", "2days", false),
            ("kgents-duration", "ten", false),
            ("kgents-address", "127.0.0.1:0", true),
            ("kgents-address", "localhost:80", false),
            ("kgents-range", "loopback", true),
            ("kgents-range", "10.1.0.0/16", true),
            ("kgents-range", "10.0.0.0/33", false),
            ("kgents-range", "fd00::/8", true),
            ("kgents-range", "everything", false),
            ("kgents-label", "b-gent", true),
            ("kgents-label", "B-gent", false),
            ("kgents-label", "-a", false),
            ("kgents-trust-domain", "mesh.local", true),
            ("kgents-trust-domain", "spiffe://x", false),
            ("kgents-url", "https://a.example/x", true),
            ("kgents-url", "ftp://a.example", false),
            ("kgents-url", "http://u:p@a.example", false),
            ("kgents-example", "who can translate?", true),
            ("kgents-example", " ?! ", false),
            ("kgents-card-source", "cards/a.json", true),
            ("kgents-card-source", "../a.json", false),
            ("kgents-card-source", "/etc/passwd", false),
            ("kgents-card-source", "file:///a.json", false),
            ("kgents-redis", "redis://:p@a.example:6379/1", true),
            ("kgents-redis", "rediss://a.example", true),
            ("kgents-redis", "http://a.example", false),
            ("kgents-redis", "redis://a.example/first", false),
        ];
        for (format, text, right) in cases {
            assert_eq!(check_format(format, text).is_ok(), right, "{format} {text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_format_panic(text in "\\PC{0,60}") {
            for format in ["duration", "address", "range", "label", "trust-domain", "url", "card-source", "example"] {
                let _ = check_format(&format!("kgents-{format}"), &text);
            }
        }

        #[test]
        fn a_range_reads_back_as_written(address: u32, bits in 0u8..=32) {
            let text = format!("{}/{bits}", std::net::Ipv4Addr::from(address));
            prop_assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        }
    }
}

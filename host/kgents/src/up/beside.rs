//! A mesh beside Spin: it serves gateways only, and tells the variables that the
//! gateway of `spin.toml` is started with, ready to be pasted into a shell.

use crate::config::Config;
use crate::config::run::Run;
use crate::output::Output;
use kgents_mesh::identity::{Authority, Error, Grant, TTL_MAX};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

/// The gateway that a token is made for.
const GATEWAY: &str = "spin";
/// What Spin's own provider of variables reads from the environment.
const PREFIX: &str = "SPIN_VARIABLE_";

/// What a gateway needs to know of its mesh. Holds a token.
#[derive(Serialize)]
pub struct Beside {
    /// By name in the environment.
    variables: BTreeMap<String, String>,
    /// Until when the gateway's token is good, RFC 3339.
    token_expires_at: String,
}

/// What a program is told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    run: &'a Run,
    #[serde(flatten)]
    beside: &'a Beside,
}

impl Beside {
    /// The variables of a gateway that reaches the mesh at `listen`.
    ///
    /// # Errors
    /// When no token can be made.
    pub fn new(
        config: &Config,
        listen: SocketAddr,
        authority: &Authority,
        now_ms: u64,
    ) -> Result<Self, Error> {
        let grant = Grant {
            path: format!("/gateways/{GATEWAY}"),
            audience: config.mesh.trust_domain.get().to_owned(),
            // The longest there is: it has to be pasted anew when it ends.
            ttl: TTL_MAX,
        };
        let token = authority.issue(&grant, now_ms)?;
        let expires = UNIX_EPOCH + Duration::from_millis(now_ms) + TTL_MAX;
        let mut variables = vec![
            ("NUCLEUS_URL", format!("http://{}", reachable(listen))),
            ("GATEWAY_TOKEN", token),
            ("BODY_MAX", config.mesh.limits.body.to_string()),
        ];
        if let Some(url) = &config.mesh.public_url {
            variables.push(("PUBLIC_URL", url.get().to_owned()));
        }
        let named = |(name, value): (&str, String)| (format!("{PREFIX}{name}"), value);
        Ok(Self {
            variables: variables.into_iter().map(named).collect(),
            token_expires_at: humantime::format_rfc3339_seconds(expires).to_string(),
        })
    }

    /// Says them: the lines alone on stdout, the words around them on stderr.
    pub fn announce(&self, run: &Run, output: Output, invocation: &str) {
        let beside = self;
        output.show_next(&Told { run, beside }, |_| self.lines());
        output.note(&format!(
            "kgents {} serves gateways at {}, and nobody else\n  metrics   {}/metrics\n\
             paste the lines above into the shell that starts Spin\n\
             their token is good until {}; after that: {invocation} token --gateway {GATEWAY} --ttl 24h\n\
             Ctrl-C stops it.",
            run.version, run.listen, run.admin, self.token_expires_at
        ));
    }

    fn lines(&self) -> String {
        let line = |(name, value): (&String, &String)| format!("export {name}={}\n", quoted(value));
        self.variables.iter().map(line).collect()
    }
}

/// A word that a shell takes as it is.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// An address that can be connected to: whoever listens on all of them is
/// reached on loopback.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Start};

    fn config() -> Config {
        let empty = tempfile::tempdir().unwrap();
        let environment = Environment {
            login: Some("ada".into()),
            current_dir: empty.path().to_owned(),
            ..Environment::default()
        };
        Config::load(&environment, Start::default()).unwrap()
    }

    #[test]
    fn a_gateway_is_told_all_it_needs_in_lines_for_a_shell() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), "mesh.local").unwrap();
        let listen = "0.0.0.0:8420".parse().unwrap();
        let mut config = config();
        let beside = Beside::new(&config, listen, &authority, 1_000).unwrap();
        let lines = beside.lines();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[0], "export SPIN_VARIABLE_BODY_MAX='4194304'");
        let token = lines[1].strip_prefix("export SPIN_VARIABLE_GATEWAY_TOKEN='");
        let token = token.unwrap().trim_end_matches('\'');
        let who = authority.verify(token, 2_000).unwrap();
        assert_eq!(who.name(), "spin");
        assert_eq!(who.kind(), kgents_mesh::principal::PrincipalKind::Gateway);
        assert_eq!(
            lines[2],
            "export SPIN_VARIABLE_NUCLEUS_URL='http://127.0.0.1:8420'"
        );
        assert_eq!(lines.len(), 3);
        assert_eq!(beside.token_expires_at, "1970-01-02T00:00:01Z");

        config.mesh.public_url = Some("https://m.example".parse().unwrap());
        let beside = Beside::new(&config, listen, &authority, 1_000).unwrap();
        let url = "export SPIN_VARIABLE_PUBLIC_URL='https://m.example";
        assert!(beside.lines().contains(url), "the token aside");
    }

    #[test]
    fn no_value_leaves_its_quotes() {
        assert_eq!(quoted("a'b $(c)"), r"'a'\''b $(c)'");
        let check = |listen: &str, expected: &str| {
            let listen = listen.parse().unwrap();
            assert_eq!(reachable(listen).to_string(), expected);
        };
        check("[::]:1", "[::1]:1");
        check("10.0.0.1:1", "10.0.0.1:1");
    }
}

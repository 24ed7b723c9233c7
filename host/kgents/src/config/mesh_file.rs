//! `mesh.yaml`: who this mesh is and how it behaves. The doc comments below are
//! what editors show, by way of the published schema.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Address, CardSource, HttpUrl, Label, Range, RedisAddress, Span, TrustDomain};

/// Name until somebody chooses one; `.local` is never a public name (RFC 6762).
const TRUST_DOMAIN: &str = "mesh.local";
/// The cluster's name until there are two.
const CLUSTER: &str = "local";
/// Beside, and not on, the ports that agents usually take (8000, 8080, 9999).
const LISTEN_PORT: u16 = 8420;
/// Next to the port of callers.
const ADMIN_PORT: u16 = 8421;
/// Agents think: a minute is what HTTP clients of language models wait.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection that takes longer than a lost packet and its retries is dead.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A searched agent is accepted when four in five such decisions are right.
const ACCEPT: f64 = 0.8;
/// Above this a local agent wins over a slightly better one elsewhere.
const PREFER_LOCAL: f64 = 0.85;
/// Whatever was answered is on disk either way; this is about calls that a crash
/// cut off, and doubles what each call waits for the disk.
const STRICT: bool = false;
/// Often enough to notice within half a minute (three failures make failed).
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// Slower than this is degraded, so waiting longer would tell nothing more.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// What a person waits for a search before it feels slow, less what the rest takes.
const ENCODER_TIMEOUT: Duration = Duration::from_millis(800);
/// Texts of cards in one request: what common servers take, and a second's work for a
/// small one.
const ENCODER_BATCH: u32 = 64;
/// Some tens of megabytes at most, and more questions than people repeat in a day.
const DECISIONS: u32 = 16_384;
/// 4 MiB: a long document as text; pictures travel by URL.
const BODY_BYTES: u64 = 4 * 1024 * 1024;

/// The mesh: who it is, where it listens, whom it may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "mesh.yaml")]
pub struct MeshFile {
    /// Root of all identities here: `spiffe://<trust_domain>/agents/<name>`.
    pub trust_domain: TrustDomain,
    /// This cluster's name, for routing and audit.
    pub cluster: Label,
    /// Where it stands, for example `eu-west-1`; it has no effect yet.
    pub region: Option<Label>,
    /// Where callers connect: an IP address and a port; port 0 takes a free one.
    pub listen: Address,
    /// Where `/metrics` is served; keep it on loopback.
    pub admin: Address,
    /// Whether callers without an identity are let in, as the user `anonymous`.
    pub anonymous: Anonymous,
    /// Which addresses agents may have, and how long to wait for them.
    pub upstreams: Upstreams,
    /// The agent that takes what nobody else takes; none by default.
    pub fallback: Option<Label>,
    /// When a searched agent is good enough: calibrated probabilities.
    pub thresholds: Thresholds,
    /// Cards of agents to register at start: URLs, or files in this folder.
    pub agents: Vec<CardSource>,
    /// How carefully interactions are recorded.
    pub audit: Audit,
    /// How often agents are probed.
    pub health: Health,
    /// The largest things that are accepted.
    pub limits: Limits,
    /// The URL that callers see, where a proxy stands in front of the mesh.
    pub public_url: Option<HttpUrl>,
    /// Where the component `decide` is deployed, to ask its deciders instead of the
    /// mesh's own: the same answers, for an HTTP request each.
    pub deciders: Option<HttpUrl>,
    /// An OpenAI-compatible embeddings endpoint to use instead of the installed model.
    pub encoder: Option<EncoderFile>,
    /// What is remembered of routing decisions.
    pub decisions: Decisions,
}

/// Callers without an identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// They are refused with 401.
    #[default]
    Deny,
    /// They are the user `anonymous`; policies decide what that may do.
    Allow,
}

/// The addresses of agents, and patience with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upstreams {
    /// Ranges besides public addresses: `loopback`, `private`, or a CIDR.
    pub allow: Vec<Range>,
    /// How long an agent may stay silent before it has timed out.
    pub timeout: Span,
    /// How long connecting may take.
    pub connect_timeout: Span,
}

/// Calibrated probabilities, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// A searched agent is accepted from here on.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub accept: f64,
    /// A local agent from here on wins over a better one in another cluster.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub prefer_local: f64,
}

/// The audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// True: an agent is only called once the intent is safe on disk, which
    /// costs each call a second wait for the disk. False: a crash may leave a
    /// call unrecorded that was under way and never answered.
    pub strict: bool,
}

/// Probing of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Time between two probes of one agent.
    pub every: Span,
    /// A slower answer degrades the agent.
    pub timeout: Span,
}

/// An embeddings endpoint: `POST {url}/embeddings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderFile {
    /// What `/embeddings` is appended to, for example `http://127.0.0.1:11434/v1`. It is
    /// called wherever it is, whatever `upstreams.allow` says.
    pub url: HttpUrl,
    /// The model's name there.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// A file that holds the key and that nobody but its owner may read, relative to
    /// this folder; no key by default. Read for each request.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub key_file: Option<String>,
    /// How long a question waits for its vector; by words alone afterwards.
    #[serde(default = "encoder_timeout")]
    pub timeout: Span,
    /// Texts in one request, 1 to 2,048.
    #[serde(default = "encoder_batch")]
    #[schemars(range(min = 1, max = 2048))]
    pub batch: u32,
    /// Numbers that vectors are asked to have, 1 to 16,384, where the model can make
    /// shorter ones: 384 loses least. By default the model's own number.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16384))]
    pub dimensions: Option<u32>,
}

const fn encoder_timeout() -> Span {
    Span::of(ENCODER_TIMEOUT)
}

const fn encoder_batch() -> u32 {
    ENCODER_BATCH
}

/// Routing decisions that are served again: to the same caller, for the same words, for
/// as long as nothing they rest on has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Decisions {
    /// How many are kept in memory, 0 to 1,048,576; each takes two kilobytes at most.
    #[schemars(range(min = 0, max = 1_048_576))]
    pub entries: u32,
    /// A Redis or Valkey server where they outlive a restart and are shared by meshes
    /// with the same agents, policies and settings; none by default. Who may write there
    /// decides where callers are led, within what policies permit.
    pub shared: Option<RedisAddress>,
}

/// The largest things that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one request's body: 1 KiB to 64 MiB.
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub body: u64,
}

impl Default for MeshFile {
    fn default() -> Self {
        let loopback = |port| Address::of(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            trust_domain: TrustDomain::of(TRUST_DOMAIN),
            cluster: Label::of(CLUSTER),
            region: None,
            listen: loopback(LISTEN_PORT),
            admin: loopback(ADMIN_PORT),
            anonymous: Anonymous::default(),
            upstreams: Upstreams::default(),
            fallback: None,
            thresholds: Thresholds::default(),
            agents: Vec::new(),
            audit: Audit::default(),
            health: Health::default(),
            limits: Limits::default(),
            public_url: None,
            deciders: None,
            encoder: None,
            decisions: Decisions::default(),
        }
    }
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            // What `init` writes: agents on this machine work at once, a
            // company's network only when its operator says so.
            allow: vec![Range::loopback()],
            timeout: Span::of(UPSTREAM_TIMEOUT),
            connect_timeout: Span::of(CONNECT_TIMEOUT),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            accept: ACCEPT,
            prefer_local: PREFER_LOCAL,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { strict: STRICT }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            every: Span::of(HEALTH_EVERY),
            timeout: Span::of(HEALTH_TIMEOUT),
        }
    }
}

impl Default for Decisions {
    fn default() -> Self {
        Self {
            entries: DECISIONS,
            shared: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: BODY_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;

    fn mistakes(yaml: &str) -> Vec<String> {
        match parse::<MeshFile>(yaml) {
            Ok(file) => panic!("accepted {file:?}"),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parse::<MeshFile>("").unwrap(), MeshFile::default());
        assert_eq!(
            parse::<MeshFile>("# nothing yet\n").unwrap(),
            MeshFile::default()
        );
    }

    #[test]
    fn every_key_is_read() {
        let file = parse::<MeshFile>(
            "trust_domain: acme.example\ncluster: eu\nregion: eu-west-1\nlisten: '[::1]:0'\n\
             admin: 127.0.0.1:1\nanonymous: allow\n\
             upstreams: {allow: [loopback, private, 10.0.0.0/8], timeout: 2m 30s, connect_timeout: 1s}\n\
             fallback: echo\nthresholds: {accept: 0.5, prefer_local: 1}\n\
             agents: [http://a.example/card, cards/b.yaml]\naudit: {strict: true}\n\
             health: {every: 1m, timeout: 2s}\nlimits: {body: 1024}\npublic_url: https://m.example\n\
             deciders: http://decide.example\n\
             encoder: {url: http://127.0.0.1:11434/v1, model: m, key_file: keys/e,\n  \
             timeout: 2s, batch: 8, dimensions: 384}\n\
             decisions: {entries: 0, shared: 'redis://:secret@127.0.0.1:6379/1'}\n",
        )
        .unwrap();
        assert_eq!(file.trust_domain.get(), "acme.example");
        assert_eq!(file.upstreams.timeout.get(), Duration::from_secs(150));
        assert_eq!(file.upstreams.allow.len(), 3);
        assert_eq!(file.anonymous, Anonymous::Allow);
        assert_eq!(file.agents.len(), 2);
        assert_eq!(file.limits.body, 1024);
        assert!(file.audit.strict);
        assert_eq!(
            file.deciders.as_ref().unwrap().get(),
            "http://decide.example"
        );
        let encoder = file.encoder.as_ref().unwrap();
        assert_eq!((encoder.batch, encoder.dimensions), (8, Some(384)));
        assert_eq!(encoder.key_file.as_deref(), Some("keys/e"));
        assert_eq!(file.decisions.entries, 0);
        assert!(file.decisions.shared.is_some());
        assert!(!format!("{file:?}").contains("secret"));
        let again = serde_saphyr::to_string(&file).unwrap();
        assert_eq!(parse::<MeshFile>(&again).unwrap(), file);
    }

    #[test]
    fn mistakes_in_decisions_name_the_field_and_repeat_no_password() {
        assert_eq!(
            mistakes("decisions:\n  entires: 5\n  entries: -1\n  shared: http://:secret@host\n"),
            [
                "line 2: decisions: `entires` is not known; did you mean `entries`?",
                "line 3: decisions.entries: is -1, must be at least 0",
                "line 4: decisions.shared: is not the address of a Redis server; write `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`",
            ]
        );
    }

    #[test]
    fn an_encoder_needs_no_more_than_where_it_is_and_its_model() {
        let yaml = "encoder: {url: https://e.example/v1, model: m}\n";
        let encoder = parse::<MeshFile>(yaml).unwrap().encoder.unwrap();
        assert_eq!(encoder.timeout.get(), Duration::from_millis(800));
        assert_eq!((encoder.batch, encoder.dimensions), (64, None));
        assert_eq!(parse::<MeshFile>("encoder: null\n").unwrap().encoder, None);
    }

    #[test]
    fn mistakes_in_an_encoder_name_the_field() {
        assert_eq!(
            mistakes(
                "encoder:\n  url: ftp://e\n  model: ''\n  kye_file: x\n  timeout: 0s\n  \
                 batch: 0\n  dimensions: 20000\n"
            ),
            [
                "line 2: encoder.url: `ftp://e` is not a URL; write one like `https://mesh.example.com`",
                "line 3: encoder.model: must not be empty",
                "line 4: encoder: `kye_file` is not known; did you mean `key_file`?",
                "line 5: encoder.timeout: `0s` must be above 0 and at most `1day`",
                "line 6: encoder.batch: is 0, must be at least 1",
                "line 7: encoder.dimensions: is 20000, must be at most 16384",
            ]
        );
        let told = mistakes("encoder: {url: http://e.example}\n");
        assert_eq!(told, ["line 1: encoder: `model` is missing"]);
        let told = mistakes("encoder: http://e.example\n");
        assert_eq!(told, ["line 1: encoder: must be a mapping, not text"]);
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        assert_eq!(
            mistakes(
                "trust_domian: x\ncluster: Not A Label\nlisten: here\nanonymous: maybe\n\
                 upstreams:\n  allow: [10.0.0.0/99]\n  timeout: soon\n  conect_timeout: 1s\n\
                 thresholds: {accept: 1.5}\nlimits: {body: 1}\nhealth: 10s\nagents: [ftp://x]\n"
            ),
            [
                "line 1: `trust_domian` is not known; did you mean `trust_domain`?",
                "line 2: cluster: `Not A Label` is not a name; use 1 to 63 of a-z, 0-9 and `-`, not at the ends (RFC 1123)",
                "line 3: listen: `here` is not an address; write an IP address and a port like `127.0.0.1:8420`",
                "line 4: anonymous: `maybe` is none of `deny`, `allow`",
                "line 6: upstreams.allow[0]: `10.0.0.0/99` is not loopback, private, or a range like 10.1.0.0/16",
                "line 7: upstreams.timeout: `soon` is not a duration; write a duration like `10s` or `2m 30s`",
                "line 8: upstreams: `conect_timeout` is not known; did you mean `connect_timeout`?",
                "line 9: thresholds.accept: is 1.5, must be at most 1",
                "line 10: limits.body: is 1, must be at least 1024",
                "line 11: health: must be a mapping, not text",
                "line 12: agents[0]: `ftp://x` is neither an http(s) URL nor a .json or .yaml file inside the mesh folder",
            ]
        );
    }
}

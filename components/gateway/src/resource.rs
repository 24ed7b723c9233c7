//! The AgentCard resource, `a2a.kgents.io/v1`: what people write in a mesh
//! folder, and in a cluster. Unknown keys are refused.

use std::collections::BTreeMap;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::{Failure, Payload};
use crate::card::{Card, DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX, SKILLS_MAX, Skill};
use crate::fields::{LINES, ONE_LINE, check_text, refused};
use crate::interface::Binding;
use crate::json::clip;
use crate::own::{self, Written, WrittenInterface};
use crate::slug::is_label;

/// Labels of one agent, at most.
pub const LABELS_MAX: usize = 64;

/// An agent as a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentCard {
    /// `a2a.kgents.io/v1`.
    pub api_version: ApiVersion,
    /// `AgentCard`.
    pub kind: Kind,
    /// The agent's name, and what Kubernetes adds.
    pub metadata: Metadata,
    /// The agent.
    pub spec: Spec,
}

/// Version of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one.
    #[serde(rename = "a2a.kgents.io/v1")]
    V1,
}

/// Kind of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// The only one.
    AgentCard,
}

/// Who it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// An RFC 1123 label.
    pub name: String,
    /// Its namespace in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kubernetes labels; not read by the mesh.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Kubernetes annotations; not read by the mesh.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What it is for.
    pub description: String,
    /// Its own version; default `1.0.0`.
    #[serde(default = "first_version")]
    pub version: String,
    /// Where it listens, preferred first.
    #[serde(default)]
    pub interfaces: Vec<SpecInterface>,
    /// What it can do.
    #[serde(default)]
    pub skills: Vec<SpecSkill>,
    /// Whether it streams; default false, by which every client can talk to it.
    #[serde(default)]
    pub streaming: bool,
    /// What policies can ask about.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the mesh shows the agent; default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// One way to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecInterface {
    /// http or https.
    pub url: String,
    /// `JSONRPC` (default) or `HTTP+JSON`.
    #[serde(default = "first_binding")]
    pub binding: Binding,
    /// A2A version; default `1.0`.
    #[serde(default = "first_protocol")]
    pub version: String,
}

/// Something it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecSkill {
    /// Unique in the agent.
    pub id: String,
    /// For people; default the id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Keywords.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What someone would ask.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// What the mesh shows an agent. A file or variable is read on the mesh's
/// machine, so only who may write its folder may name one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Credentials {
    /// A JWT-SVID made for this agent.
    Svid,
    /// A bearer token, read from this file each time.
    BearerFile(String),
    /// A bearer token, from this environment variable.
    BearerEnv(String),
    /// A header of another name.
    Header(HeaderCredential),
}

/// A credential in a header of its own; `file` and `env` exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderCredential {
    /// The header's name, such as `x-api-key`.
    pub name: String,
    /// Where to read its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The variable that holds its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

fn first_version() -> String {
    "1.0.0".to_owned()
}

fn first_binding() -> Binding {
    Binding::JsonRpc
}

fn first_protocol() -> String {
    crate::head::A2A_VERSION.to_owned()
}

/// Reads the resource form into a card.
pub(crate) fn parse(raw: Payload) -> Result<Card, Failure> {
    let mut source = serde_json::Deserializer::from_slice(raw.as_bytes());
    let resource: AgentCard = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let field = match error.path().to_string().as_str() {
            "." => "the resource".to_owned(),
            path => format!("`{}`", clip(path, 128)),
        };
        refused(
            &field,
            &format!("does not fit: {}", clip(&error.inner().to_string(), 200)),
        )
    })?;
    check(&resource)?;
    let interfaces = resource
        .spec
        .interfaces
        .iter()
        .map(|interface| WrittenInterface {
            url: &interface.url,
            binding: interface.binding,
            version: &interface.version,
        });
    let card = own::write(&Written {
        name: &resource.metadata.name,
        description: &resource.spec.description,
        version: &resource.spec.version,
        interfaces: interfaces.collect(),
        skills: &resource.spec.skills.iter().map(skill).collect::<Vec<_>>(),
        streaming: resource.spec.streaming,
    });
    let card = Card::parse(card).map_err(in_spec)?;
    Ok(card.with_resource(raw, resource.spec.labels, resource.spec.credentials))
}

/// The written card has A2A's names for what the resource calls otherwise.
fn in_spec(mut failure: Failure) -> Failure {
    for (theirs, ours) in [
        ("`supportedInterfaces", "`spec.interfaces"),
        ("`skills", "`spec.skills"),
        ("`description", "`spec.description"),
        ("`version", "`spec.version"),
        ("`name", "`metadata.name"),
        ("protocolVersion", "version"),
        ("protocolBinding", "binding"),
    ] {
        failure.message = failure.message.replace(theirs, ours);
        for (_, value) in &mut failure.metadata {
            *value = value.replace(theirs.trim_start_matches('`'), ours.trim_start_matches('`'));
        }
    }
    failure
}

fn skill(skill: &SpecSkill) -> Skill {
    let SpecSkill {
        id,
        name,
        description,
        tags,
        examples,
    } = skill.clone();
    let name = if name.is_empty() { id.clone() } else { name };
    Skill {
        id,
        name,
        description,
        tags,
        examples,
    }
}

fn check(resource: &AgentCard) -> Result<(), Failure> {
    let AgentCard { metadata, spec, .. } = resource;
    if !is_label(&metadata.name) {
        let what = format!("is no RFC 1123 label: `{}`", clip(&metadata.name, 64));
        return Err(
            refused("`metadata.name`", &what).hint("1 to 63 lower-case letters, digits and `-`")
        );
    }
    if spec.interfaces.is_empty() {
        return Err(refused("`spec.interfaces`", "is missing or empty")
            .hint("give at least one url at which the agent listens"));
    }
    if spec.skills.len() > SKILLS_MAX {
        return Err(refused(
            "`spec.skills`",
            &format!("has more than {SKILLS_MAX} elements"),
        ));
    }
    if spec.labels.len() > LABELS_MAX {
        return Err(refused(
            "`spec.labels`",
            &format!("has more than {LABELS_MAX} labels"),
        ));
    }
    for (name, value) in &spec.labels {
        if name.is_empty() {
            return Err(refused("`spec.labels`", "has a label without a name"));
        }
        check_text("`spec.labels`", name, NAME_CHARS_MAX, ONE_LINE)?;
        check_text(
            &format!("`spec.labels.{}`", clip(name, 64)),
            value,
            NAME_CHARS_MAX,
            ONE_LINE,
        )?;
    }
    check_text(
        "`spec.description`",
        &spec.description,
        DESCRIPTION_CHARS_MAX,
        LINES,
    )?;
    spec.credentials.as_ref().map_or(Ok(()), check_credentials)
}

fn check_credentials(credentials: &Credentials) -> Result<(), Failure> {
    let at = |name: &str| format!("`spec.credentials.{name}`");
    match credentials {
        Credentials::Svid => Ok(()),
        Credentials::BearerFile(file) => check_file(&at("bearerFile"), file),
        Credentials::BearerEnv(env) => check_env(&at("bearerEnv"), env),
        Credentials::Header(header) => {
            let name = header
                .name
                .parse::<HeaderName>()
                .ok()
                .filter(may_be_credential);
            if name.is_none() {
                let what = format!("cannot carry a credential: `{}`", clip(&header.name, 64));
                return Err(refused(&at("header.name"), &what).hint("such as x-api-key"));
            }
            match (&header.file, &header.env) {
                (Some(file), None) => check_file(&at("header.file"), file),
                (None, Some(env)) => check_env(&at("header.env"), env),
                _ => Err(refused(&at("header"), "needs either `file` or `env`")),
            }
        }
    }
}

/// Headers that frame the request, or that the mesh sets itself.
fn may_be_credential(name: &HeaderName) -> bool {
    let name = name.as_str();
    let framing = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "accept",
        "expect",
        "traceparent",
        "tracestate",
    ];
    !framing.contains(&name) && !name.starts_with("a2a-") && !name.starts_with("kgents-")
}

fn check_file(path: &str, file: &str) -> Result<(), Failure> {
    if file.is_empty() {
        return Err(refused(path, "is empty"));
    }
    check_text(path, file, 4096, ONE_LINE)
}

fn check_env(path: &str, env: &str) -> Result<(), Failure> {
    let fits = !env.is_empty()
        && env.len() <= NAME_CHARS_MAX
        && env
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(())
    } else {
        Err(refused(path, "is no name of an environment variable"))
    }
}

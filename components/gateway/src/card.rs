//! Agent cards: read, checked, and rewritten so that callers reach the agent
//! through the mesh. Source: A2A 1.0.1 §4.4, §8.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::call::{Failure, FailureKind, Payload};
use crate::deprecation::{self, Deprecation};
use crate::fields::{Fields, LINES, ONE_LINE, refused};
use crate::head::A2A_VERSION;
use crate::interface::{Binding, Interface, check_url};
use crate::json::{self, Broken, clip};
use crate::resource::{self, Credentials};
use crate::slug::slug;

/// Bytes of a card, at most.
pub const CARD_BYTES_MAX: usize = 256 * 1024;
/// Characters of names and versions, at most.
pub const NAME_CHARS_MAX: usize = 128;
/// Characters of descriptions and examples, at most.
pub const DESCRIPTION_CHARS_MAX: usize = 8192;
/// Interfaces of one agent, at most.
pub const INTERFACES_MAX: usize = 16;
/// Skills of one agent, at most.
pub const SKILLS_MAX: usize = 256;
/// Tags, or examples, of one skill, at most.
pub const TAGS_MAX: usize = 128;

/// Members that the mesh reads or replaces; each has exactly one meaning.
const MEMBERS: &[&str] = &[
    "name",
    "description",
    "version",
    "skills",
    "capabilities",
    "supportedInterfaces",
    "securitySchemes",
    "securityRequirements",
    "signatures",
    // Of A2A 0.3, by which an old client would go around the mesh.
    "url",
    "preferredTransport",
    "protocolVersion",
    "additionalInterfaces",
    "security",
    "supportsAuthenticatedExtendedCard",
];
/// Those that do not survive rewriting as they are.
const REPLACED_FROM: usize = 3;

/// How every agent of the mesh is authenticated to.
const SECURITY: &str = concat!(
    r#""securitySchemes":{"mesh":{"httpAuthSecurityScheme":{"scheme":"Bearer","bearerFormat":"JWT","#,
    r#""description":"A JWT-SVID of this mesh's trust domain"}}},"#,
    r#""securityRequirements":[{"schemes":{"mesh":{"list":[]}}}]"#
);

/// An agent, as its card tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its name as written; one line.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Its own version; may be empty.
    pub version: String,
    /// Where it listens, in its order of preference; at least one.
    pub interfaces: Vec<Interface>,
    /// What it can do.
    pub skills: Vec<Skill>,
    /// Whether it streams.
    pub streaming: bool,
    /// Labels; only of the resource form.
    pub labels: BTreeMap<String, String>,
    /// What the mesh shows the agent; only of the resource form, so that no
    /// fetched card can ask for secrets.
    pub credentials: Option<Credentials>,
    deprecated: Option<Deprecation>,
    raw: Payload,
    /// The members that survive rewriting, without braces.
    kept: Bytes,
}

/// Something an agent can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skill {
    /// Unique in its card.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Keywords.
    pub tags: Vec<String>,
    /// What someone would ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

impl Card {
    /// Reads an A2A 1.0 card, or an AgentCard resource (recognised by its
    /// `apiVersion`), as JSON.
    ///
    /// # Errors
    /// `Refused`, naming the field: not an object, ambiguous, over a limit, or
    /// without an interface that the mesh speaks.
    pub fn parse(raw: Payload) -> Result<Self, Failure> {
        let bytes = raw.as_bytes().clone();
        if bytes.len() > CARD_BYTES_MAX {
            return Err(refused(
                "the card",
                &format!("is above {CARD_BYTES_MAX} bytes"),
            ));
        }
        let text = json::text(&bytes).map_err(|broken| match broken {
            Broken::Syntax(detail) => refused("the card", &format!("is not JSON: {detail}")),
            Broken::Fault(_) => refused("the card", "is ambiguous"),
        })?;
        let fields = Fields::read("", text)?;
        if fields.get("apiVersion").is_some() {
            return resource::parse(raw.clone());
        }
        fields.strict(MEMBERS)?;
        let interfaces = interfaces(&fields)?;
        let capabilities = match fields.get("capabilities") {
            Some(raw) => Some(Fields::read("capabilities", raw.get())?),
            None => None,
        };
        let deprecated = capabilities.as_ref().map(deprecation::read).transpose()?;
        let (streaming, capabilities) = capabilities_of(capabilities)?;
        let (skills, rewritten) = skills(&fields)?;
        Ok(Self {
            name: fields.required("name", NAME_CHARS_MAX, ONE_LINE)?,
            description: fields.text("description", DESCRIPTION_CHARS_MAX, LINES)?,
            version: fields.text("version", NAME_CHARS_MAX, ONE_LINE)?,
            interfaces,
            skills,
            streaming,
            labels: BTreeMap::new(),
            credentials: None,
            deprecated: deprecated.flatten(),
            kept: kept(&fields, &capabilities, &rewritten),
            raw,
        })
    }

    /// The card as it was registered; what is stored.
    #[must_use]
    pub fn raw(&self) -> &Payload {
        &self.raw
    }

    /// Who takes over from this agent, where its card says that it is deprecated.
    #[must_use]
    pub fn deprecated(&self) -> Option<&Deprecation> {
        self.deprecated.as_ref()
    }

    /// The agent's name in paths: its name if that is an RFC 1123 label, else
    /// its slug; `None` when nothing of the name can stand in one.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        slug(&self.name)
    }

    /// The first interface, by the agent's preference.
    #[must_use]
    pub fn interface(&self) -> Option<&Interface> {
        self.interfaces.first()
    }

    /// The card that callers get: the same, but reached and authenticated to
    /// through the mesh at `base_url`, the agent's own below the mesh
    /// (`http://host:port/agents/name`, with or without trailing slash).
    /// Signatures are gone, since they no longer hold.
    #[must_use]
    pub fn rewrite(&self, base_url: &str) -> Payload {
        let mut bindings: Vec<Binding> = Vec::new();
        for interface in &self.interfaces {
            if !bindings.contains(&interface.binding) {
                bindings.push(interface.binding);
            }
        }
        let url = base_url.trim_end_matches('/');
        let interfaces = Payload::of(&mesh_interfaces(url, &bindings));
        Payload::trusted(Bytes::from(
            [
                b"{".as_slice(),
                &self.kept,
                br#","supportedInterfaces":"#,
                interfaces.as_bytes(),
                b",",
                SECURITY.as_bytes(),
                b"}",
            ]
            .concat(),
        ))
    }

    pub(crate) fn with_resource(
        mut self,
        raw: Payload,
        labels: BTreeMap<String, String>,
        credentials: Option<Credentials>,
    ) -> Self {
        self.raw = raw;
        self.labels = labels;
        self.credentials = credentials;
        self
    }
}

/// One interface as a card tells it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CardInterface<'a> {
    pub url: &'a str,
    pub protocol_binding: &'static str,
    pub protocol_version: &'a str,
}

pub(crate) fn mesh_interfaces<'a>(url: &'a str, bindings: &[Binding]) -> Vec<CardInterface<'a>> {
    let interface = |binding: &Binding| CardInterface {
        url,
        protocol_binding: binding.name(),
        protocol_version: A2A_VERSION,
    };
    bindings.iter().map(interface).collect()
}

fn interfaces(fields: &Fields<'_>) -> Result<Vec<Interface>, Failure> {
    const AT: &str = "supportedInterfaces";
    let elements = fields.array(AT, INTERFACES_MAX)?;
    if elements.is_empty() {
        let failure = refused(&format!("`{AT}`"), "is missing or empty");
        return Err(if fields.get("url").is_some() {
            failure.hint("this is a card of A2A 0.3; the mesh speaks 1.0")
        } else {
            failure.hint("give at least one interface with url, protocolBinding, protocolVersion")
        });
    }
    let mut usable = Vec::new();
    let mut unusable = Vec::new();
    for (index, raw) in elements.into_iter().enumerate() {
        let at = format!("{AT}[{index}]");
        let fields = Fields::read(&at, raw.get())?;
        fields.strict(&["url", "protocolBinding", "protocolVersion", "tenant"])?;
        let name = fields.required("protocolBinding", NAME_CHARS_MAX, ONE_LINE)?;
        let version = fields.required("protocolVersion", NAME_CHARS_MAX, ONE_LINE)?;
        let tenant = fields.text("tenant", NAME_CHARS_MAX, ONE_LINE)?;
        let Some(binding) = Binding::of_name(&name) else {
            unusable.push(format!("{at} is {}", clip(&name, 32)));
            continue;
        };
        if !speaks(&version) {
            unusable.push(format!("{at} is of version {}", clip(&version, 16)));
            continue;
        }
        if !tenant.is_empty() {
            unusable.push(format!("{at} asks for a tenant"));
            continue;
        }
        let url = fields.required("url", usize::MAX, ONE_LINE)?;
        check_url(&url, binding).map_err(|what| refused(&format!("`{at}.url`"), &what))?;
        usable.push(Interface {
            url,
            binding,
            version,
        });
    }
    if usable.is_empty() {
        let what = format!("has none that the mesh speaks: {}", unusable.join(", "));
        return Err(refused(&format!("`{AT}`"), &what)
            .hint("the mesh speaks JSONRPC and HTTP+JSON of A2A 1.x, without tenants"));
    }
    Ok(usable)
}

/// Minor versions of A2A are compatible; the agent says if it will not do 1.0.
fn speaks(version: &str) -> bool {
    version.strip_prefix("1.").is_some_and(|minor| {
        !minor.is_empty()
            && minor
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// Whether it streams, and the capabilities as the mesh can keep them.
fn capabilities_of(fields: Option<Fields<'_>>) -> Result<(bool, String), Failure> {
    const OURS: [&str; 3] = ["streaming", "pushNotifications", "extendedAgentCard"];
    let mut kept = Vec::new();
    let mut streaming = false;
    if let Some(fields) = fields {
        fields.strict(&OURS)?;
        streaming = match fields.get("streaming").map(RawValue::get) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(refused("`capabilities.streaming`", "must be true or false"));
            }
        };
        kept = fields.members_without(OURS.get(1..).unwrap_or_default());
    }
    kept.push(r#""pushNotifications":false"#.to_owned());
    kept.push(r#""extendedAgentCard":false"#.to_owned());
    Ok((streaming, kept.join(",")))
}

/// The skills, and their JSON without security of their own.
fn skills(fields: &Fields<'_>) -> Result<(Vec<Skill>, Vec<String>), Failure> {
    let mut skills: Vec<Skill> = Vec::new();
    let mut kept = Vec::new();
    for (index, raw) in fields.array("skills", SKILLS_MAX)?.into_iter().enumerate() {
        let fields = Fields::read(&format!("skills[{index}]"), raw.get())?;
        let dropped = ["securityRequirements", "security"];
        fields.strict(&[
            "id",
            "name",
            "description",
            "tags",
            "examples",
            dropped[0],
            dropped[1],
        ])?;
        let id = fields.required("id", NAME_CHARS_MAX, ONE_LINE)?;
        // A2A 1.0.1 §4.4.5: unique within the agent. It is how one is named.
        if skills.iter().any(|skill| skill.id == id) {
            let what = format!(
                "is `{}`, which an earlier skill has; each needs its own",
                clip(&id, 64)
            );
            return Err(refused(&format!("`skills[{index}].id`"), &what));
        }
        let name = fields.text("name", NAME_CHARS_MAX, ONE_LINE)?;
        skills.push(Skill {
            name: if name.is_empty() { id.clone() } else { name },
            id,
            description: fields.text("description", DESCRIPTION_CHARS_MAX, LINES)?,
            tags: fields.texts("tags", TAGS_MAX, NAME_CHARS_MAX)?,
            examples: fields.texts("examples", TAGS_MAX, DESCRIPTION_CHARS_MAX)?,
        });
        kept.push(format!(
            "{{{}}}",
            fields.members_without(&dropped).join(",")
        ));
    }
    Ok((skills, kept))
}

fn kept(fields: &Fields<'_>, capabilities: &str, skills: &[String]) -> Bytes {
    let replaced = MEMBERS.get(REPLACED_FROM..).unwrap_or_default();
    let mut members = fields.members_without(replaced);
    members.push(format!(r#""capabilities":{{{capabilities}}}"#));
    members.push(format!(r#""skills":[{}]"#, skills.join(",")));
    Bytes::from(members.join(","))
}

/// For callers that hold bytes.
impl TryFrom<Bytes> for Card {
    type Error = Failure;

    fn try_from(bytes: Bytes) -> Result<Self, Failure> {
        let raw = Payload::parse(bytes).map_err(|error| {
            let message = format!("the card is not JSON: {}", clip(&error.to_string(), 200));
            Failure::new(FailureKind::Refused, message)
        })?;
        Self::parse(raw)
    }
}

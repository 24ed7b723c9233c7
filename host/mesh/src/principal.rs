//! Who a caller is, once verified: a SPIFFE identity and what policies see of it.

use std::sync::Arc;

/// What kind of thing a SPIFFE path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// `/users/<name>`: a person.
    User,
    /// `/agents/<name>`: an agent.
    Agent,
    /// `/gateways/<name>`: a front door of this mesh.
    Gateway,
}

impl PrincipalKind {
    /// Its name in stored state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Gateway => "gateway",
        }
    }
}

/// The user that callers without identity are, where the operator lets them in.
const ANONYMOUS: &str = "anonymous";

/// A verified caller. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(Arc<Facts>);

#[derive(Debug, PartialEq, Eq)]
struct Facts {
    kind: PrincipalKind,
    name: String,
    svid: String,
    entity: String,
    trust_domain: String,
}

/// A SPIFFE ID that the mesh cannot use. Source: SPIFFE-ID, section 2.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// It does not start with `spiffe://`.
    #[error("`{0}` is not a SPIFFE ID: it does not start with spiffe://")]
    Scheme(String),
    /// The path is not `/users|agents|gateways/<name>`.
    #[error("`{0}` names nothing here: the path is not /users/, /agents/ or /gateways/ and a name")]
    Path(String),
    /// A name with characters outside `[a-zA-Z0-9._-]`, empty, or over 128.
    #[error(
        "`{0}` has a name that is empty, too long or holds other characters than letters, digits, `.`, `_` and `-`"
    )]
    Name(String),
    /// The user `anonymous`, which is whoever has no identity.
    #[error("`{0}` cannot be anybody's identity: `anonymous` is who shows none")]
    Reserved(String),
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "spiffe-scheme",
            Self::Path(_) => "spiffe-path",
            Self::Name(_) => "spiffe-name",
            Self::Reserved(_) => "spiffe-reserved",
        }
    }
}

impl Principal {
    /// Reads a SPIFFE ID. `home` is the mesh's own trust domain: principals of
    /// it are known to policies by their name, all others by their whole id, so
    /// that nobody abroad can pass for somebody here.
    ///
    /// # Errors
    /// When it is not an id of a user, agent or gateway.
    pub fn parse(svid: &str, home: &str) -> Result<Self, Error> {
        let rest = svid
            .strip_prefix("spiffe://")
            .ok_or_else(|| Error::Scheme(svid.to_owned()))?;
        let (trust_domain, path) = rest
            .split_once('/')
            .ok_or_else(|| Error::Path(svid.to_owned()))?;
        let (collection, name) = path
            .split_once('/')
            .ok_or_else(|| Error::Path(svid.to_owned()))?;
        let kind = match collection {
            "users" => PrincipalKind::User,
            "agents" => PrincipalKind::Agent,
            "gateways" => PrincipalKind::Gateway,
            _ => return Err(Error::Path(svid.to_owned())),
        };
        if !is_segment(name) || !is_segment(trust_domain) {
            return Err(Error::Name(svid.to_owned()));
        }
        if kind == PrincipalKind::User && name == ANONYMOUS {
            return Err(Error::Reserved(svid.to_owned()));
        }
        let entity = if trust_domain == home { name } else { svid };
        Ok(Self(Arc::new(Facts {
            kind,
            name: name.to_owned(),
            svid: svid.to_owned(),
            entity: entity.to_owned(),
            trust_domain: trust_domain.to_owned(),
        })))
    }

    /// The caller nobody knows, for audit events of refused calls and for
    /// meshes that say `anonymous: allow`.
    pub fn anonymous(home: &str) -> Self {
        Self(Arc::new(Facts {
            kind: PrincipalKind::User,
            name: ANONYMOUS.to_owned(),
            svid: String::new(),
            entity: ANONYMOUS.to_owned(),
            trust_domain: home.to_owned(),
        }))
    }

    /// What it is.
    pub fn kind(&self) -> PrincipalKind {
        self.0.kind
    }

    /// The last path segment.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The whole SPIFFE ID; empty for the anonymous caller.
    pub fn svid(&self) -> &str {
        &self.0.svid
    }

    /// The id policies know it by.
    pub fn entity(&self) -> &str {
        &self.0.entity
    }

    /// The trust domain it comes from.
    pub fn trust_domain(&self) -> &str {
        &self.0.trust_domain
    }

    /// Whether it has an identity at all.
    pub fn is_identified(&self) -> bool {
        !self.0.svid.is_empty()
    }
}

/// Whether `name` may stand as one segment of a SPIFFE path: 1 to 128 of
/// `[a-zA-Z0-9._-]`, not `.` or `..`. Source: SPIFFE-ID, section 2.2.
pub fn is_segment(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && name != "."
        && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_foreign_principal_never_passes_for_a_local_one() {
        let home = Principal::parse("spiffe://mesh.local/users/ada", "mesh.local").unwrap();
        let abroad = Principal::parse("spiffe://evil.example/users/ada", "mesh.local").unwrap();
        assert_eq!(home.entity(), "ada");
        assert_eq!(abroad.entity(), "spiffe://evil.example/users/ada");
    }

    #[test]
    fn ids_that_name_nothing_here_are_refused_by_reason() {
        for (svid, code) in [
            ("https://mesh.local/users/ada", "spiffe-scheme"),
            ("spiffe://mesh.local", "spiffe-path"),
            ("spiffe://mesh.local/roots/ada", "spiffe-path"),
            ("spiffe://mesh.local/users/", "spiffe-name"),
            ("spiffe://mesh.local/users/a/b", "spiffe-name"),
            ("spiffe://mesh.local/users/..", "spiffe-name"),
            ("spiffe:///users/ada", "spiffe-name"),
            ("spiffe://mesh.local/users/anonymous", "spiffe-reserved"),
        ] {
            assert_eq!(
                Principal::parse(svid, "mesh.local").unwrap_err().code(),
                code,
                "{svid}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_the_parser(text in ".*") {
            let _ = Principal::parse(&text, "mesh.local");
        }
    }
}

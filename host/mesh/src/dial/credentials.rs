//! As whom the mesh calls an agent: with what the operator configured for it,
//! or with nothing. The caller's own credentials never come here.

use crate::identity::{Authority, Grant};
use crate::registry::Agent;
use http::{HeaderName, HeaderValue, header};
use kgents_gateway::call::{Failure, FailureKind};
use kgents_gateway::resource::{Credentials, HeaderCredential};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a token for an upstream lives: longer than a call may take.
const SVID_TTL: Duration = Duration::from_secs(900);
/// A token is used until so much of its life is left, since signing one costs
/// more than the rest of a call.
const SVID_LEFT_MS: u64 = 450_000;
/// Tokens kept; more agents than that get a new one each time.
const SVIDS_MAX: usize = 10_000;

/// Reads, or makes, what an agent wants to see.
pub(super) struct Secrets {
    authority: Arc<Authority>,
    /// Tokens made, by agent, with the moment from which they are made anew.
    svids: Mutex<HashMap<String, (HeaderValue, u64)>>,
}

impl Secrets {
    pub fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            svids: Mutex::new(HashMap::new()),
        }
    }

    /// The header that the operator configured for this agent. Files are read
    /// each time, since secrets are renewed in place.
    ///
    /// # Errors
    /// `Unreachable` when the secret is not there or is no header.
    pub fn header(
        &self,
        agent: &Agent,
        now_ms: u64,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Failure> {
        let Some(credentials) = &agent.card.credentials else {
            return Ok(None);
        };
        self.made(credentials, agent, now_ms)
            .map(Some)
            .map_err(|what| {
                let message = format!("agent `{}`: {what}", agent.name);
                Failure::new(FailureKind::Unreachable, message)
                    .hint("mend `spec.credentials` of its card")
            })
    }

    fn made(
        &self,
        credentials: &Credentials,
        agent: &Agent,
        now_ms: u64,
    ) -> Result<(HeaderName, HeaderValue), String> {
        match credentials {
            Credentials::BearerFile(path) => Ok(bearer(&read_secret(path)?)?),
            Credentials::BearerEnv(name) => Ok(bearer(&env_secret(name)?)?),
            Credentials::Header(header) => {
                let name = HeaderName::try_from(header.name.as_str())
                    .map_err(|_| format!("`{}` is not the name of a header", header.name))?;
                Ok((name, sensitive(&header_secret(header)?)?))
            }
            Credentials::Svid => Ok((header::AUTHORIZATION, self.svid(agent, now_ms)?)),
        }
    }

    fn svid(&self, agent: &Agent, now_ms: u64) -> Result<HeaderValue, String> {
        let kept = self.svids.lock().get(&agent.name).cloned();
        if let Some((value, renew_ms)) = kept
            && now_ms < renew_ms
            // A clock that went back would use it for too long.
            && renew_ms <= now_ms.saturating_add(SVID_LEFT_MS)
        {
            return Ok(value);
        }
        let domain = self.authority.trust_domain();
        let grant = Grant {
            path: "/gateways/mesh".to_owned(),
            audience: format!("spiffe://{domain}/agents/{}", agent.name),
            ttl: SVID_TTL,
        };
        let token = self
            .authority
            .issue(&grant, now_ms)
            .map_err(|error| error.to_string())?;
        let (_, value) = bearer(&token)?;
        let mut svids = self.svids.lock();
        if svids.len() >= SVIDS_MAX {
            svids.clear();
        }
        let renew_ms = now_ms.saturating_add(SVID_LEFT_MS);
        svids.insert(agent.name.clone(), (value.clone(), renew_ms));
        Ok(value)
    }
}

fn bearer(secret: &str) -> Result<(HeaderName, HeaderValue), String> {
    Ok((
        header::AUTHORIZATION,
        sensitive(&format!("Bearer {secret}"))?,
    ))
}

fn sensitive(secret: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(secret)
        .map_err(|_| "its secret holds characters no header may".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_secret(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| {
            // Where secrets lie is for the operator's log, not for callers.
            tracing::error!(path, %error, "a secret cannot be read");
            "its secret cannot be read".to_owned()
        })
}

fn env_secret(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| {
        tracing::error!(name, "a secret is not in the environment");
        "its secret is not in the environment".to_owned()
    })
}

fn header_secret(header: &HeaderCredential) -> Result<String, String> {
    match (&header.file, &header.env) {
        (Some(path), _) => read_secret(path),
        (None, Some(name)) => env_secret(name),
        (None, None) => Err(format!("nothing says where `{}` is read from", header.name)),
    }
}

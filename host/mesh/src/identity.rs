//! Identity: the dev authority, which issues and verifies JWT-SVIDs.
//!
//! A JWT-SVID is a JWT signed with ES256 whose `sub` is a SPIFFE ID and whose
//! `aud` names who may accept it. Source: SPIFFE JWT-SVID specification.

use crate::principal::{self, Principal};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kgents_gateway::call::{Failure, FailureKind};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest life of a token this authority issues: a day.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// How many verified tokens are remembered; each a few hundred bytes.
const VERIFIED_CAPACITY: usize = 16_384;
/// Tokens longer than this are refused unread.
const TOKEN_BYTES_MAX: usize = 8_192;

/// The authority cannot be opened or cannot issue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its key cannot be read or written.
    #[error("the authority's key `{path}` cannot be used")]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key file holds something else.
    #[error("`{path}` is not a P-256 key in PKCS#8; move it away to have a new one made")]
    NotAKey {
        /// The key file.
        path: PathBuf,
    },
    /// The subject asked for is not a SPIFFE ID of this mesh.
    #[error(transparent)]
    Subject(#[from] principal::Error),
    /// Longer than [`TTL_MAX`] or zero.
    #[error("a token lives between one second and 24 hours")]
    Ttl,
    /// Signing failed.
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Key { .. } => "authority-key",
            Self::NotAKey { .. } => "authority-not-a-key",
            Self::Subject(_) => "token-subject",
            Self::Ttl => "token-ttl",
            Self::Sign(_) => "token-sign",
        }
    }
}

/// What a token should say.
#[derive(Clone, Debug)]
pub struct Grant {
    /// SPIFFE path: `/users/ada`, `/agents/b-gent`, `/gateways/spin`.
    pub path: String,
    /// Who may accept it; a listener accepts the trust domain's name.
    pub audience: String,
    /// How long it is good for: one second to [`TTL_MAX`].
    pub ttl: Duration,
}

/// Issues and verifies the JWT-SVIDs of one trust domain.
pub struct Authority {
    trust_domain: String,
    key_id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    is_new: bool,
    verified: quick_cache::sync::Cache<String, Verified>,
}

#[derive(Clone)]
struct Verified {
    principal: Principal,
    expires_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    aud: OneOrMany,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(default)]
    iat: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Authority {
    /// Opens the authority whose key lies in `dir`, making one (mode 0600) on
    /// first use.
    ///
    /// # Errors
    /// When the key cannot be read, made, or is no P-256 key.
    pub fn open(dir: &Path, trust_domain: &str) -> Result<Self, Error> {
        let path = dir.join("authority.p8");
        let fail = |source| Error::Key {
            path: path.clone(),
            source,
        };
        let (pkcs8, is_new) = match std::fs::read(&path) {
            Ok(bytes) => (bytes, false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                create_key(dir, &path).map_err(fail)?
            }
            Err(e) => return Err(fail(e)),
        };
        let rng = ring::rand::SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &rng)
            .map_err(|_| Error::NotAKey { path: path.clone() })?;
        let public = pair.public_key().as_ref();
        let decoding = DecodingKey::from_ec_der(public);
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            key_id: key_id(public),
            encoding: EncodingKey::from_ec_der(&pkcs8),
            decoding,
            is_new,
            verified: quick_cache::sync::Cache::new(VERIFIED_CAPACITY),
        })
    }

    /// The trust domain it speaks for.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Whether its key was made at opening, so that nobody knows it yet.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Issues a token.
    ///
    /// # Errors
    /// When the path is not that of a user, agent or gateway, or the life is
    /// out of range.
    pub fn issue(&self, grant: &Grant, now_ms: u64) -> Result<String, Error> {
        if grant.ttl.as_secs() == 0 || grant.ttl > TTL_MAX {
            return Err(Error::Ttl);
        }
        let sub = format!("spiffe://{}{}", self.trust_domain, grant.path);
        Principal::parse(&sub, &self.trust_domain)?;
        let now = now_ms / 1000;
        let claims = Claims {
            sub,
            aud: OneOrMany::Many(vec![grant.audience.clone()]),
            exp: now.saturating_add(grant.ttl.as_secs()),
            nbf: None,
            iat: now,
        };
        let header = Header {
            kid: Some(self.key_id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(Error::Sign)
    }

    /// Verifies a token's signature, audience (the trust domain) and time.
    /// A token once verified is remembered until it expires, so the signature
    /// is checked once.
    ///
    /// # Errors
    /// `Unauthenticated`, with a hint that says what is wrong but nothing of
    /// the token.
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<Principal, Failure> {
        if let Some(hit) = self.verified.get(token) {
            if now_ms < hit.expires_ms {
                return Ok(hit.principal);
            }
            self.verified.remove(token);
            return Err(refuse("the token has expired"));
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refuse("the token is too long"));
        }
        let mut rules = Validation::new(Algorithm::ES256);
        // Time is checked below against the time we are given.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.set_required_spec_claims(&["sub", "aud", "exp"]);
        rules.set_audience(&[&self.trust_domain]);
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules)
            .map_err(|e| refuse(reason(&e)))?
            .claims;
        let expires_ms = claims.exp.saturating_mul(1000);
        if now_ms >= expires_ms {
            return Err(refuse("the token has expired"));
        }
        if claims
            .nbf
            .is_some_and(|nbf| now_ms < nbf.saturating_mul(1000))
        {
            return Err(refuse("the token is not valid yet"));
        }
        let principal = Principal::parse(&claims.sub, &self.trust_domain)
            .map_err(|_| refuse("the token's subject is not a user, agent or gateway"))?;
        if principal.trust_domain() != self.trust_domain {
            return Err(refuse("the token's subject is of another trust domain"));
        }
        self.verified.insert(
            token.to_owned(),
            Verified {
                principal: principal.clone(),
                expires_ms,
            },
        );
        Ok(principal)
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind as K;
    match error.kind() {
        K::InvalidAudience => "the token is meant for another audience",
        K::InvalidSignature => "the token was not signed by this mesh",
        K::MissingRequiredClaim(_) => "the token lacks sub, aud or exp",
        K::InvalidAlgorithm => "the token is not signed with ES256",
        _ => "the token is not a JWT-SVID",
    }
}

fn refuse(message: &str) -> Failure {
    Failure::new(FailureKind::Unauthenticated, message)
        .hint("send `Authorization: Bearer $(kgents token)`")
}

/// The key, and whether it is this one that was made.
fn create_key(dir: &Path, path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let rng = ring::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng)
        .map_err(|_| io::Error::other("no random numbers"))?;
    std::fs::create_dir_all(dir)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            file.write_all(document.as_ref())?;
            file.sync_all()?;
            Ok((document.as_ref().to_vec(), true))
        }
        // Another process was faster: its key is the key.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok((std::fs::read(path)?, false)),
        Err(e) => Err(e),
    }
}

/// The first 64 bits of the key's digest, in hexadecimal.
fn key_id(public: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, public);
    kgents_audit::to_hex(digest.as_ref())
        .chars()
        .take(16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> (tempfile::TempDir, Authority) {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), "mesh.local").unwrap();
        (dir, authority)
    }

    fn grant(path: &str, audience: &str) -> Grant {
        Grant {
            path: path.into(),
            audience: audience.into(),
            ttl: Duration::from_secs(60),
        }
    }

    #[test]
    fn an_issued_token_names_its_principal_until_it_expires() {
        let (_dir, authority) = authority();
        let token = authority
            .issue(&grant("/users/ada", "mesh.local"), 1_000_000)
            .unwrap();
        for _ in 0..2 {
            assert_eq!(authority.verify(&token, 1_030_000).unwrap().entity(), "ada");
        }
        for _ in 0..2 {
            let failure = authority.verify(&token, 1_061_000).unwrap_err();
            assert_eq!(failure.message, "the token has expired");
        }
    }

    #[test]
    fn the_key_outlives_the_process() {
        let (dir, authority) = authority();
        let token = authority
            .issue(&grant("/agents/b-gent", "mesh.local"), 0)
            .unwrap();
        assert!(authority.is_new());
        let again = Authority::open(dir.path(), "mesh.local").unwrap();
        assert!(!again.is_new());
        assert_eq!(again.verify(&token, 1).unwrap().entity(), "b-gent");
    }

    #[test]
    fn bad_tokens_are_refused_each_for_its_reason() {
        let (_dir, ours) = authority();
        let (_other, theirs) = authority();
        let elsewhere = ours.issue(&grant("/users/ada", "other"), 0).unwrap();
        let forged = theirs.issue(&grant("/users/ada", "mesh.local"), 0).unwrap();
        let mut cut = ours.issue(&grant("/users/ada", "mesh.local"), 0).unwrap();
        cut.truncate(cut.len() - 4);
        for (token, message) in [
            (
                elsewhere.as_str(),
                "the token is meant for another audience",
            ),
            (&forged, "the token was not signed by this mesh"),
            ("", "the token is not a JWT-SVID"),
            ("a.b.c", "the token is not a JWT-SVID"),
            (&"x".repeat(10_000), "the token is too long"),
        ] {
            let failure = ours.verify(token, 1).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unauthenticated);
            assert_eq!(failure.message, message);
        }
        // What is left of a signature is mostly no base64, and never a signature.
        let failure = ours.verify(&cut, 1).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unauthenticated);
    }

    #[test]
    fn nobody_is_granted_a_path_outside_the_three_collections() {
        let (_dir, authority) = authority();
        for path in ["/roots/x", "/users/", "users/x", "/users/a/b"] {
            assert!(
                authority.issue(&grant(path, "mesh.local"), 0).is_err(),
                "{path}"
            );
        }
        let forever = Grant {
            ttl: TTL_MAX * 2,
            ..grant("/users/ada", "mesh.local")
        };
        assert_eq!(
            authority.issue(&forever, 0).unwrap_err().code(),
            "token-ttl"
        );
    }
}

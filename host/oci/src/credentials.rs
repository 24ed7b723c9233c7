//! Who one is to a registry: what `docker login` left in Docker's configuration,
//! with its credential helpers.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use tokio::sync::oneshot;

use crate::error::quoted;
use crate::{OciError, Reference};

/// What Docker calls its own registry in its configuration, newest first.
const DOCKER_NAMES: [&str; 2] = ["https://index.docker.io/v1/", "index.docker.io"];
/// How long a credential helper may take: it may ask a person for a password.
const HELPER: Duration = Duration::from_secs(60);

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    folder: Option<PathBuf>,
}

impl Credentials {
    /// None at all: what a registry gives to everybody.
    pub fn none() -> Self {
        Self { folder: None }
    }

    /// What `docker login` left for this user: `config.json` in `$DOCKER_CONFIG`,
    /// else in `~/.docker`.
    pub fn docker() -> Self {
        let named = env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty());
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
        Self {
            folder: named.map(PathBuf::from).or_else(home),
        }
    }

    /// The same file in another folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(folder.into()),
        }
    }

    /// The login for the registry of `reference`; nobody when there is none.
    pub(crate) async fn login(&self, reference: &Reference) -> Result<Login, OciError> {
        let Some(folder) = &self.folder else {
            return Ok(Login::Nobody);
        };
        let path = folder.join("config.json");
        let registry = reference.registry().to_owned();
        let fail = |problem: String| OciError::Credentials {
            registry: registry.clone(),
            problem,
        };
        let names: Vec<String> = match registry.as_str() {
            "docker.io" => DOCKER_NAMES.map(str::to_owned).to_vec(),
            other => vec![other.to_owned()],
        };
        // A thread of its own: a helper that never ends must not keep the
        // runtime from stopping.
        let (done, found) = oneshot::channel();
        thread::spawn(move || {
            let _ = done.send(look_up(&path, &names));
        });
        match tokio::time::timeout(HELPER, found).await {
            Ok(Ok(result)) => result.map_err(fail),
            Ok(Err(_)) => Err(fail("the lookup broke off".to_owned())),
            Err(_) => Err(fail(format!(
                "a credential helper has not answered within {} s",
                HELPER.as_secs()
            ))),
        }
    }
}

/// As whom requests are made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// Without credentials.
    Nobody,
    /// By name and password.
    Password {
        /// User's name.
        name: String,
        /// Password, or a token in its place.
        secret: String,
    },
    /// With a token that a token service changes into another.
    Identity(String),
}

impl Login {
    /// For messages.
    pub(crate) fn who(&self) -> &'static str {
        match self {
            Self::Nobody => "without credentials",
            Self::Password { .. } | Self::Identity(_) => {
                "with the credentials of Docker's configuration"
            }
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.who())
    }
}

/// The first of `names` that the file at `path` knows.
fn look_up(path: &Path, names: &[String]) -> Result<Login, String> {
    for name in names {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Login::Nobody),
            Err(error) => return Err(format!("cannot read `{}`: {error}", path.display())),
        };
        match get_credential_from_reader(BufReader::new(file), name) {
            Ok(DockerCredential::UsernamePassword(name, secret)) => {
                return Ok(Login::Password { name, secret });
            }
            Ok(DockerCredential::IdentityToken(token)) => return Ok(Login::Identity(token)),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(problem(path, &error)),
        }
    }
    Ok(Login::Nobody)
}

/// Whether the registry is just not known. Helpers say so in these words, which
/// Docker itself looks for.
fn is_absent(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        CredentialRetrievalError::HelperFailure { stdout, .. } => {
            stdout.contains("credentials not found")
        }
        _ => false,
    }
}

fn problem(path: &Path, error: &CredentialRetrievalError) -> String {
    let path = path.display();
    match error {
        CredentialRetrievalError::HelperFailure { helper, stdout, .. } => {
            format!("`{helper}` failed: {}", quoted(stdout, 200))
        }
        CredentialRetrievalError::HelperCommunicationError => {
            format!("the credential helper that `{path}` names cannot be run; is it on the PATH?")
        }
        CredentialRetrievalError::MalformedHelperResponse => {
            format!("the credential helper that `{path}` names did not answer as one")
        }
        CredentialRetrievalError::CredentialDecodingError => {
            format!("`auth` in `{path}` is not NAME:PASSWORD in base64; log in again")
        }
        CredentialRetrievalError::CredentialMismatchError => {
            format!("`auth` in `{path}` is not what `username` and `password` say; log in again")
        }
        _ => format!("`{path}` is not a configuration of Docker"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn login(config: &str, reference: &str) -> Result<Login, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        let credentials = Credentials::in_folder(folder.path());
        let found = credentials.login(&reference.parse().unwrap()).await;
        found.map_err(|error| {
            assert_eq!(error.code(), "credentials");
            error.to_string()
        })
    }

    fn ada() -> Result<Login, String> {
        Ok(Login::Password {
            name: "ada".to_owned(),
            secret: "pass:word".to_owned(),
        })
    }

    #[tokio::test]
    async fn the_login_of_the_registry_is_found() {
        // ada:pass:word
        let config = r#"{"auths": {
            "ghcr.io": {"auth": "YWRhOnBhc3M6d29yZA=="},
            "https://quay.io": {"auth": "YWRhOnBhc3M6d29yZA"},
            "https://index.docker.io/v1/": {"username": "ada", "password": "pass:word"},
            "acme.example": {"identitytoken": "secret"}}}"#;
        assert_eq!(login(config, "ghcr.io/a/b").await, ada());
        assert_eq!(login(config, "quay.io/a/b").await, ada());
        assert_eq!(login(config, "a/b").await, ada());
        let token = Login::Identity("secret".to_owned());
        assert_eq!(login(config, "acme.example/a").await, Ok(token.clone()));
        assert!(!format!("{token:?} {:?}", ada()).contains("secret"));
        assert_eq!(login(config, "localhost:5000/a").await, Ok(Login::Nobody));
    }

    #[tokio::test]
    async fn without_a_configuration_one_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let reference = "ghcr.io/a/b".parse().unwrap();
        for credentials in [Credentials::in_folder(folder.path()), Credentials::none()] {
            assert_eq!(credentials.login(&reference).await.unwrap(), Login::Nobody);
        }
        assert_eq!(login("{}", "ghcr.io/a/b").await, Ok(Login::Nobody));
    }

    #[tokio::test]
    async fn a_broken_configuration_is_told() {
        for (config, why) in [
            ("{", "is not a configuration of Docker"),
            (
                r#"{"auths": {"ghcr.io": {"auth": "%%"}}}"#,
                "not NAME:PASSWORD in base64",
            ),
            (
                r#"{"auths": {"ghcr.io": {"auth": "YTpi", "username": "x", "password": "y"}}}"#,
                "not what `username` and `password` say",
            ),
            (
                r#"{"credHelpers": {"ghcr.io": "no-such-helper"}}"#,
                "is it on the PATH?",
            ),
            (r#"{"credsStore": "no-such-helper"}"#, "is it on the PATH?"),
        ] {
            let error = login(config, "ghcr.io/a/b").await.unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}

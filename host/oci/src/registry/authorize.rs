//! Credentials: what a registry asks for, and what it is shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Scheme;
use http::{Method, StatusCode, Uri};
use serde::Deserialize;

use super::challenge::{Challenge, form};
use super::{Access, Call, Registry};
use crate::OciError;
use crate::credentials::Login;

/// Largest answer of a token service that is read; tokens are a few KiB.
const TOKEN_BYTES_MAX: u64 = 256 * 1024;
/// What we are to a token service.
const CLIENT_ID: &str = "kgents";

impl Registry {
    /// Get what the registry asks for in `asked`, after it refused `shown`.
    pub(super) async fn authorize(
        &self,
        what: &str,
        asked: &HeaderMap,
        shown: Option<HeaderValue>,
    ) -> Result<(), OciError> {
        let mut held = self.authorization.lock().await;
        if *held != shown {
            // Another request has got a newer one in the meantime.
            return Ok(());
        }
        let values = asked.get_all(header::WWW_AUTHENTICATE);
        let values = values.iter().filter_map(|value| value.to_str().ok());
        let mut value = match (Challenge::first(values), &self.login) {
            (Some(Challenge::Bearer { realm, service }), _) => {
                let token = self.token(what, &realm, service.as_deref()).await?;
                HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| self.protocol(what, "its token cannot be sent in a header"))?
            }
            (Some(Challenge::Basic), Login::Password { name, secret }) => {
                self.basic(what, name, secret)?
            }
            (Some(Challenge::Basic), Login::Identity(_)) => {
                return Err(OciError::Credentials {
                    registry: self.name.clone(),
                    problem: "Docker's configuration holds an identity token, and the registry wants a password".to_owned(),
                });
            }
            (Some(Challenge::Basic) | None, _) => return Err(self.denied(what, String::new())),
        };
        value.set_sensitive(true);
        *held = Some(value);
        Ok(())
    }

    fn basic(&self, what: &str, name: &str, secret: &str) -> Result<HeaderValue, OciError> {
        let pair = STANDARD.encode(format!("{name}:{secret}"));
        let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
            .map_err(|_| self.protocol(what, "the password cannot be sent in a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A token for this repository from the service at `realm`.
    async fn token(
        &self,
        what: &str,
        realm: &str,
        service: Option<&str>,
    ) -> Result<String, OciError> {
        let odd = || self.protocol(what, "the token service it names has no address");
        let uri: Uri = realm.parse().map_err(|_| odd())?;
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        if uri.host().is_none() || !(secure || uri.scheme() == Some(&Scheme::HTTP)) {
            return Err(odd());
        }
        // A password must not leave in the clear because a registry says so.
        if !secure && self.origin.starts_with("https:") {
            return Err(self.protocol(what, "the token service it names is called without TLS"));
        }
        let scope = format!(
            "repository:{}:{}",
            self.repository,
            match self.access {
                Access::Pull => "pull",
                Access::Push => "pull,push",
            }
        );
        let service = service.unwrap_or_default();
        let (call, authorization) = match &self.login {
            Login::Identity(token) => {
                let mut call = Call::new(Method::POST, uri);
                call.content_type = Some("application/x-www-form-urlencoded");
                call.body = Bytes::from(form([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT_ID),
                    ("service", service),
                    ("scope", &scope),
                    ("refresh_token", token),
                ]));
                (call, None)
            }
            Login::Nobody | Login::Password { .. } => {
                let question = form([("service", service), ("scope", &scope)]);
                let joint = if realm.contains('?') { '&' } else { '?' };
                let uri = format!("{realm}{joint}{question}")
                    .parse()
                    .map_err(|_| odd())?;
                let authorization = match &self.login {
                    Login::Password { name, secret } => Some(self.basic(what, name, secret)?),
                    _ => None,
                };
                (Call::new(Method::GET, uri), authorization)
            }
        };
        let response = self.exchange(what, &call, authorization.as_ref()).await?;
        let response = self.accepted(what, response, &[StatusCode::OK]).await?;
        let body = self.read(what, response, TOKEN_BYTES_MAX, |_| {}).await?;
        token_of(&body).ok_or_else(|| self.protocol(what, "its token service gives no token"))
    }
}

/// The token in the answer of a token service.
fn token_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    [answer.token, answer.access_token]
        .into_iter()
        .find(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_under_two_names() {
        assert_eq!(token_of(br#"{"token":"a"}"#).as_deref(), Some("a"));
        assert_eq!(
            token_of(br#"{"access_token":"b","token":""}"#).as_deref(),
            Some("b")
        );
        for nothing in [&b"{}"[..], b"[]", b"", br#"{"token":1}"#] {
            assert_eq!(token_of(nothing), None);
        }
    }

    #[tokio::test]
    async fn a_password_does_not_leave_in_the_clear() {
        let reference = "registry.example/shop".parse().unwrap();
        let login = Login::Password {
            name: "ada".to_owned(),
            secret: "secret".to_owned(),
        };
        let times = crate::Times::default();
        let registry = Registry::new(&reference, Access::Pull, false, login, times).unwrap();
        for (realm, why) in [
            ("http://auth.example/token", "without TLS"),
            ("auth.example", "has no address"),
            ("file:///etc/passwd", "has no address"),
            ("", "has no address"),
        ] {
            let error = registry.token("x", realm, None).await.unwrap_err();
            assert_eq!(error.code(), "protocol");
            let words = error.to_string();
            assert!(words.contains(why) && !words.contains("secret"), "{words}");
        }
    }
}

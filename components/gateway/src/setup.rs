//! What the operator of a gateway says: its variables.

use http::uri::{Authority, Scheme, Uri};
use http::{HeaderValue, header};

use crate::door::Fault;

/// Where the nucleus is: `http://host:port`.
pub const NUCLEUS_URL: &str = "nucleus_url";
/// The gateway's own token.
pub const GATEWAY_TOKEN: &str = "gateway_token";
/// Largest body, in bytes, that a caller may send; as `limits.body` in mesh.yaml,
/// and when it is not given what that is then.
pub const BODY_MAX: &str = "body_max";
/// How callers reach the gateway; empty where their `Host` says it.
pub const PUBLIC_URL: &str = "public_url";
/// What `body_max` is when nothing is said. The same as for `limits.body`.
const BODY_BYTES_DEFAULT: usize = 4 * 1024 * 1024;
/// What `body_max` may be. The same as for `limits.body`.
const BODY_BYTES: std::ops::RangeInclusive<usize> = 1024..=64 * 1024 * 1024;

/// A gateway's variables, read and checked. Holds its token, so it has no
/// `Debug`.
#[derive(Clone)]
pub struct Setup {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port of the nucleus.
    pub nucleus: Authority,
    /// The gateway's own `Authorization`.
    pub authorization: HeaderValue,
    /// Largest body, in bytes.
    pub body_max: usize,
    /// How callers reach the gateway, when the operator says.
    pub public_url: Option<String>,
}

impl Setup {
    /// Reads the variables with `get`, which gives nothing for one that has no
    /// value, or tells why it cannot be read.
    ///
    /// # Errors
    /// `Fault::Variable` for the first that is missing or no good. It does not
    /// repeat the value.
    pub fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, String>,
    ) -> Result<Self, Fault> {
        let text = |variable| match get(variable) {
            Ok(value) => Ok(value.unwrap_or_default()),
            Err(why) => Err(fault(variable, format!("cannot be read: {why}"))),
        };
        let (scheme, nucleus) = nucleus(text(NUCLEUS_URL)?.trim())?;
        Ok(Self {
            scheme,
            nucleus,
            authorization: authorization(text(GATEWAY_TOKEN)?.trim())?,
            body_max: body_max(text(BODY_MAX)?.trim())?,
            public_url: public_url(text(PUBLIC_URL)?.trim())?,
        })
    }
}

fn fault(variable: &'static str, why: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    let why = why.into();
    Fault::Variable { variable, why }
}

fn nucleus(text: &str) -> Result<(Scheme, Authority), Fault> {
    let wrong = || {
        fault(
            NUCLEUS_URL,
            "has to be like http://host:port, without a path",
        )
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let parts = uri.into_parts();
    let bare = parts.path_and_query.is_none_or(|path| path == "/");
    match (parts.scheme, parts.authority) {
        (Some(scheme), Some(authority))
            if bare
                && (scheme == Scheme::HTTP || scheme == Scheme::HTTPS)
                && !authority.as_str().contains('@') =>
        {
            Ok((scheme, authority))
        }
        _ => Err(wrong()),
    }
}

fn authorization(token: &str) -> Result<HeaderValue, Fault> {
    let wrong = || {
        fault(
            GATEWAY_TOKEN,
            "has to be a token: kgents token --gateway NAME",
        )
    };
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(value)
}

fn body_max(text: &str) -> Result<usize, Fault> {
    if text.is_empty() {
        return Ok(BODY_BYTES_DEFAULT);
    }
    text.parse()
        .ok()
        .filter(|bytes| BODY_BYTES.contains(bytes))
        .ok_or_else(|| fault(BODY_MAX, "has to be a number of bytes, 1024 to 67108864"))
}

fn public_url(text: &str) -> Result<Option<String>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let uri: Option<Uri> = text.parse().ok();
    let fits = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
    });
    if !fits {
        let why = "has to be empty, or like https://host";
        return Err(fault(PUBLIC_URL, why));
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

/// The header that [`Setup::authorization`] is for.
pub const AUTHORIZATION: header::HeaderName = header::AUTHORIZATION;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(url: &str, token: &str, max: &str, public: &str) -> Result<Setup, Fault> {
        let values = [url, token, max, public].map(str::to_owned);
        Setup::read(|name| {
            let names = [NUCLEUS_URL, GATEWAY_TOKEN, BODY_MAX, PUBLIC_URL];
            let at = names.iter().position(|known| *known == name).unwrap();
            Ok(Some(values[at].clone()))
        })
    }

    fn refused(read: Result<Setup, Fault>) -> &'static str {
        match read.err() {
            Some(Fault::Variable { variable, why }) => {
                assert!(!why.contains("secret"), "{why}");
                variable
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn good_variables_are_read() {
        let setup = read(
            "http://127.0.0.1:8420/",
            "abc\n",
            "1024",
            "https://m.example/",
        )
        .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(setup.scheme, Scheme::HTTP);
        assert_eq!(setup.nucleus, "127.0.0.1:8420");
        assert_eq!(setup.authorization, "Bearer abc");
        assert!(setup.authorization.is_sensitive());
        assert_eq!(setup.body_max, 1024);
        assert_eq!(setup.public_url.as_deref(), Some("https://m.example"));
        let plain = read("https://n.example", "a", "", "").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (plain.public_url, plain.body_max),
            (None, BODY_BYTES_DEFAULT)
        );
    }

    #[test]
    fn a_bad_variable_is_named_and_not_repeated() {
        let good = ("http://a:1", "secret", "1024", "");
        for url in [
            "",
            "secret",
            "a:1",
            "ftp://a",
            "http://a/path",
            "http://u:secret@a",
            "/",
        ] {
            assert_eq!(refused(read(url, good.1, good.2, good.3)), NUCLEUS_URL);
        }
        for token in ["", " ", "se cret", "secret\u{e9}\u{0}"] {
            assert_eq!(refused(read(good.0, token, good.2, good.3)), GATEWAY_TOKEN);
        }
        for max in ["x", "-1", "1023", "67108865", "4MiB"] {
            assert_eq!(refused(read(good.0, good.1, max, good.3)), BODY_MAX);
        }
        for public in ["m.example", "ftp://a", "/", "http://a?b"] {
            assert_eq!(refused(read(good.0, good.1, good.2, public)), PUBLIC_URL);
        }
        assert_eq!(refused(Setup::read(|_| Ok(None))), NUCLEUS_URL);
        let missing = Setup::read(|_| Err("the vault is shut".to_owned())).err();
        let text = missing.map(|fault| fault.to_string());
        assert_eq!(
            text.as_deref(),
            Some("the variable `nucleus_url` cannot be read: the vault is shut")
        );
    }

    proptest! {
        #[test]
        fn no_variables_make_the_reader_panic(texts in prop::collection::vec("[\\PC]{0,20}|http://[a-z:/@\\[\\]]{0,12}", 4)) {
            let _ = read(&texts[0], &texts[1], &texts[2], &texts[3]);
        }
    }
}

//! What a registry that wants credentials says: `WWW-Authenticate`, and what is
//! asked of the token service it names. Pure.

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// With name and password on each request.
    Basic,
    /// With a token from a service.
    Bearer {
        /// Address of the service.
        realm: String,
        /// Its name for the registry.
        service: Option<String>,
    },
}

impl Challenge {
    /// The first challenge that is understood, out of the values of all
    /// `WWW-Authenticate` headers; tokens before passwords.
    pub(crate) fn first<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for (scheme, parameters) in values.flat_map(challenges) {
            let parameter = |name: &str| {
                let found = parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = parameter("realm") {
                    let service = parameter("service");
                    return Some(Self::Bearer { realm, service });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

type Parameters = Vec<(String, String)>;

/// The challenges in one header value: `Scheme key="value", key=value, Scheme …`.
fn challenges(value: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let assigned = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        match (assigned, found.last_mut()) {
            (Some(after), Some((_, parameters))) => {
                let (value, after) = parameter_value(after.trim_start_matches([' ', '\t']));
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            // A parameter without a scheme: nobody can tell what is meant.
            (Some(_), None) => return found,
            (None, _) => {
                found.push((word.to_owned(), Parameters::new()));
                rest = after;
            }
        }
    }
}

/// A value, quoted or not, and what comes after it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            other => value.push(other),
        }
    }
    (value, chars.as_str())
}

/// `name=value&…`, for a query or a form.
pub(crate) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_of_registries_are_read() {
        for (values, expected) in [
            (
                vec![
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                ],
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            (
                vec![r#"bearer Realm = "https://a" , error="invalid_token""#],
                bearer("https://a", None),
            ),
            (
                vec![r#"Basic realm="Registry Realm""#],
                Some(Challenge::Basic),
            ),
            (vec!["Basic"], Some(Challenge::Basic)),
            (
                vec![r#"Basic realm="x", Bearer realm="https://a",service=s"#],
                bearer("https://a", Some("s")),
            ),
            (vec!["Negotiate", "Basic realm=x"], Some(Challenge::Basic)),
            (
                vec![r#"Bearer realm="a \"b\" c""#],
                bearer(r#"a "b" c"#, None),
            ),
            (vec!["Bearer"], None),
            (vec!["Digest realm=x"], None),
            (vec!["=", ""], None),
            (vec![], None),
        ] {
            assert_eq!(
                Challenge::first(values.iter().copied()),
                expected,
                "{values:?}"
            );
        }
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(
            form([("scope", "repository:a/b:pull,push"), ("service", "a b&c")]),
            "scope=repository%3Aa%2Fb%3Apull%2Cpush&service=a%20b%26c"
        );
    }

    proptest! {
        #[test]
        fn no_header_does_harm(value in "\\PC{0,80}|[Ba= ,\"\\\\]{0,40}") {
            let _ = Challenge::first(std::iter::once(value.as_str()));
        }
    }
}

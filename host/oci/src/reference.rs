//! What an artefact is called: `REGISTRY/NAME:TAG`, or `REGISTRY/NAME@DIGEST`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use kgents_app::Digest;

use crate::OciError;

/// Docker's own registry, as people write it.
const DOCKER: &str = "docker.io";
/// The same, as it is called.
const DOCKER_HOST: &str = "registry-1.docker.io";
/// The tag that is meant where none is given.
const LATEST: &str = "latest";
/// Longest name, from the distribution specification.
const NAME_BYTES_MAX: usize = 255;
/// Longest tag, from the same.
const TAG_BYTES_MAX: usize = 128;

/// The name of one artefact in one registry. As everywhere in the world of
/// containers, a first part without a dot or port is not a registry but belongs
/// to a name on Docker's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Host and port, as written: `ghcr.io`, `localhost:5000`, `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Host and port to call.
    pub fn host(&self) -> &str {
        if self.registry == DOCKER {
            DOCKER_HOST
        } else {
            &self.registry
        }
    }

    /// Name within the registry: `acme/shop`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when it was given: it decides, whatever the tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether the registry runs on this machine, so that nobody stands between.
    pub fn is_loopback(&self) -> bool {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.registry,
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether `text`, which names no file, is more likely meant as a reference
    /// than as a path: it reads as one, and says its registry.
    pub fn is_likely(text: &str) -> bool {
        let names_registry = text
            .split_once('/')
            .is_some_and(|(first, _)| is_registry(first));
        names_registry && !text.ends_with(".toml") && text.parse::<Self>().is_ok()
    }

    /// What comes after `manifests/` in an address.
    pub(crate) fn manifest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => LATEST.to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        parse(text).map_err(|problem| OciError::Reference {
            text: crate::error::quoted(text, 200),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.contains("://") {
        return Err("leave out the scheme".to_owned());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest
                .parse::<Digest>()
                .map_err(|problem| problem.to_string())?;
            (rest, Some(digest))
        }
        None => (text, None),
    };
    if !rest.contains('/') && is_host(rest) {
        return Err("it is a registry, and names nothing in it".to_owned());
    }
    let (registry, rest) = match rest.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DOCKER, rest),
    };
    check_registry(registry)?;
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let repository = if registry == DOCKER && !name.contains('/') {
        format!("library/{name}")
    } else {
        name.to_owned()
    };
    check_name(&repository)?;
    let tag = tag.or_else(|| digest.is_none().then_some(LATEST));
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        tag: tag.map(str::to_owned),
        digest,
    })
}

/// Whether the first part of a reference is a registry and not a name.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// Whether a text without a slash is a registry and not a name on Docker's own,
/// where no name of one part has a dot.
fn is_host(text: &str) -> bool {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host == "localhost" || host.contains('.') || host.starts_with('[')
}

fn check_registry(registry: &str) -> Result<(), String> {
    let odd = || format!("`{registry}` is no host");
    // An address of IPv6 stands in brackets; its colons are not the port's.
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(format!(
            "`{registry}` has no port from 0 to 65535 after its colon"
        ));
    }
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return address
            .parse::<std::net::Ipv6Addr>()
            .map(|_| ())
            .map_err(|_| odd());
    }
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.split('.').all(label) {
        Ok(())
    } else {
        Err(odd())
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("the name is longer than {NAME_BYTES_MAX} bytes"));
    }
    for part in name.split('/') {
        if !is_name_part(part) {
            return Err(format!(
                "`{part}` is no part of a name: small letters and digits, with `.`, `_` or `-` between them"
            ));
        }
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_name_part(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let mut seen = false;
    for c in part.chars() {
        if u8::try_from(c).is_ok_and(word) {
            let sound = matches!(separator.as_str(), "." | "_" | "__")
                || separator.chars().all(|c| c == '-');
            if !sound || (!seen && !separator.is_empty()) {
                return false;
            }
            separator.clear();
            seen = true;
        } else {
            separator.push(c);
        }
    }
    seen && separator.is_empty()
}

fn check_tag(tag: &str) -> Result<(), String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let first = tag.bytes().next().is_some_and(word);
    let rest = tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    if first && rest && tag.len() <= TAG_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "`{tag}` is no tag: up to {TAG_BYTES_MAX} letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn check(text: &str, registry: &str, repository: &str, written: &str) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.registry(), registry, "{text}");
        assert_eq!(reference.repository(), repository, "{text}");
        assert_eq!(reference.to_string(), written);
        assert_eq!(written.parse::<Reference>().unwrap(), reference);
    }

    #[test]
    fn references_are_read_as_docker_reads_them() {
        check(
            "ghcr.io/acme/shop:1.2",
            "ghcr.io",
            "acme/shop",
            "ghcr.io/acme/shop:1.2",
        );
        check(
            "localhost:5000/shop",
            "localhost:5000",
            "shop",
            "localhost:5000/shop:latest",
        );
        check(
            "127.0.0.1:5000/a/b/c:x",
            "127.0.0.1:5000",
            "a/b/c",
            "127.0.0.1:5000/a/b/c:x",
        );
        check(
            "[::1]:5000/shop:1",
            "[::1]:5000",
            "shop",
            "[::1]:5000/shop:1",
        );
        check(
            "acme/shop:1",
            "docker.io",
            "acme/shop",
            "docker.io/acme/shop:1",
        );
        check(
            "shop",
            "docker.io",
            "library/shop",
            "docker.io/library/shop:latest",
        );
        check(
            "a.b/c__d.e--f:_1.-",
            "a.b",
            "c__d.e--f",
            "a.b/c__d.e--f:_1.-",
        );
        let pinned = format!("ghcr.io/acme/shop@sha256:{HEX}");
        check(&pinned, "ghcr.io", "acme/shop", &pinned);
        let both = format!("ghcr.io/acme/shop:1@sha256:{HEX}");
        check(&both, "ghcr.io", "acme/shop", &both);
        let reference: Reference = both.parse().unwrap();
        assert_eq!(reference.manifest(), format!("sha256:{HEX}"));
    }

    #[test]
    fn docker_is_called_by_the_name_of_its_registry() {
        let reference: Reference = "acme/shop".parse().unwrap();
        assert_eq!(reference.host(), "registry-1.docker.io");
    }

    #[test]
    fn what_is_no_reference_says_why() {
        for (text, why) in [
            ("https://ghcr.io/acme/shop", "leave out the scheme"),
            ("", "no part of a name"),
            ("ghcr.io/", "no part of a name"),
            ("127.0.0.1:28500", "names nothing in it"),
            ("localhost:5000", "names nothing in it"),
            ("[::1]:5000", "names nothing in it"),
            ("ghcr.io", "names nothing in it"),
            ("ghcr.io/Acme/shop", "small letters"),
            ("ghcr.io/acme//shop", "no part of a name"),
            ("ghcr.io/a___b", "no part of a name"),
            ("ghcr.io/acme/shop:", "is no tag"),
            ("ghcr.io/acme/shop:.x", "is no tag"),
            ("ghcr.io:70000/acme/shop", "no port"),
            ("ghcr..io/acme/shop", "is no host"),
            ("../apps/shop", "is no host"),
            ("[::zz]:1/shop", "is no host"),
            ("ghcr.io/acme/shop@md5:1", "is not a digest"),
            ("ghcr.io/acme/shop@sha256:12", "is not a digest"),
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
            assert_eq!(error.code(), "invalid-reference");
        }
        let long = format!("ghcr.io/{}", "a".repeat(300));
        assert!(long.parse::<Reference>().is_err());
        let long = format!("ghcr.io/a:{}", "b".repeat(129));
        assert!(long.parse::<Reference>().is_err());
    }

    #[test]
    fn a_registry_on_this_machine_is_known() {
        for (text, loopback) in [
            ("localhost/a", true),
            ("localhost:5000/a", true),
            ("127.9.9.9/a", true),
            ("[::1]:5000/a", true),
            ("ghcr.io/a", false),
            ("localhost.example.com/a", false),
            ("10.0.0.1:5000/a", false),
            ("a", false),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn paths_are_told_from_references() {
        for (text, likely) in [
            ("ghcr.io/acme/shop:1", true),
            ("localhost:5000/shop", true),
            ("registry.local/shop", true),
            ("apps/shop", false),
            ("shop", false),
            ("./shop", false),
            ("../shop.d/x", false),
            ("my.app/spin.toml", false),
            ("/srv/shop", false),
        ] {
            assert_eq!(Reference::is_likely(text), likely, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_was_read_reads_the_same_again(
            text in "\\PC{0,60}|[a-z0-9.:/@_-]{0,40}"
        ) {
            let _ = Reference::is_likely(&text);
            if let Ok(reference) = text.parse::<Reference>() {
                let again: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(again, reference);
            }
        }
    }
}

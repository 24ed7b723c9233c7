//! The names that a manifest is made of, with Spin's rules for each.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// Quotes what a stranger wrote: escaped, and never longer than a line.
pub(crate) fn quoted(text: &str) -> String {
    const CHARS_SHOWN: usize = 120;
    let mut shown: String = text.escape_debug().take(CHARS_SHOWN).collect();
    if text.escape_debug().count() > CHARS_SHOWN {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Checks the name of a component: words of small (or capital) letters and digits, with `-`
/// between them.
pub(crate) fn component_id(text: &str) -> Result<(), Problem> {
    words(text, '-')
}

/// Checks the label of a key-value store: words with `-`, or words with `_`.
pub(crate) fn store_label(text: &str) -> Result<(), Problem> {
    words(text, '-').or_else(|problem| words(text, '_').map_err(|_| problem))
}

/// Checks the name of a variable: small letters, digits and single `_` inside.
pub(crate) fn variable_name(text: &str) -> Result<(), Problem> {
    let rule = "write small letters, digits and single `_` inside, beginning with a letter";
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    let inside = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts && inside && !text.ends_with('_') && !text.contains("__") {
        return Ok(());
    }
    Err(Problem::new(format!(
        "{} is not the name of a variable; {rule}",
        quoted(text)
    )))
}

fn words(text: &str, between: char) -> Result<(), Problem> {
    let word_is_good = |word: &str| {
        let Some(first) = word.chars().next() else {
            return false;
        };
        let capital = first.is_ascii_uppercase();
        first.is_ascii_alphabetic()
            && word.chars().all(|c| {
                c.is_ascii_digit() || (c.is_ascii_alphabetic() && c.is_ascii_uppercase() == capital)
            })
    };
    if text.split(between).all(word_is_good) {
        return Ok(());
    }
    Err(Problem::new(format!(
        "{} is not a name; write words of small letters and digits, each beginning with a letter, \
         with `{between}` between them",
        quoted(text)
    )))
}

/// What a component imports, as `dependencies` in a manifest name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DependencyName {
    /// An import with a plain name: `sum`.
    Plain(String),
    /// An interface of a package, or all of them: `kgents:router`, `kgents:router/route@0.1.0`.
    Package {
        /// `namespace:name`.
        package: String,
        /// One interface, or all.
        interface: Option<String>,
        /// This version exactly, or any.
        version: Option<Version>,
    },
}

impl DependencyName {
    /// Whether the import `import` (`namespace:name/interface@version`, or a plain name) is meant.
    pub fn means(&self, import: &str) -> bool {
        match (self, ImportName::of(import)) {
            (DependencyName::Plain(name), None) => name == import,
            (
                DependencyName::Package {
                    package,
                    interface,
                    version,
                },
                Some(import),
            ) => {
                package == import.package
                    && interface
                        .as_deref()
                        .is_none_or(|interface| interface == import.interface)
                    && version.as_ref().is_none_or(|version| {
                        import.version.is_some_and(|found| {
                            Version::parse(found).is_ok_and(|found| found == *version)
                        })
                    })
            }
            _ => false,
        }
    }

    /// Whether there can be an import that both mean.
    pub fn overlaps(&self, other: &DependencyName) -> bool {
        let (
            DependencyName::Package {
                package,
                interface,
                version,
            },
            DependencyName::Package {
                package: other_package,
                interface: other_interface,
                version: other_version,
            },
        ) = (self, other)
        else {
            return self == other;
        };
        let versions_differ = match (version, other_version) {
            (Some(one), Some(two)) => compatible_version(one) != compatible_version(two),
            _ => false,
        };
        let interfaces_differ = match (interface, other_interface) {
            (Some(one), Some(two)) => one != two,
            _ => false,
        };
        package == other_package && !versions_differ && !interfaces_differ
    }
}

/// The first of the versions that can stand in for `version` by the rules of semantic versions.
fn compatible_version(version: &Version) -> Version {
    let Version {
        major,
        minor,
        patch,
        pre,
        ..
    } = version;
    let mut first = Version::new(*major, *minor, *patch);
    if !pre.is_empty() {
        first.pre = pre.clone();
    } else if *major > 0 {
        first = Version::new(*major, 0, 0);
    } else if *minor > 0 {
        first = Version::new(0, *minor, 0);
    }
    first
}

/// An import or export that is an interface of a package, taken apart.
pub(crate) struct ImportName<'a> {
    pub package: &'a str,
    pub interface: &'a str,
    pub version: Option<&'a str>,
}

impl<'a> ImportName<'a> {
    /// `None` for a plain name.
    pub fn of(name: &'a str) -> Option<ImportName<'a>> {
        let (package, rest) = name.split_once('/')?;
        let (interface, version) = match rest.split_once('@') {
            Some((interface, version)) => (interface, Some(version)),
            None => (rest, None),
        };
        package.contains(':').then_some(ImportName {
            package,
            interface,
            version,
        })
    }
}

impl FromStr for DependencyName {
    type Err = Problem;

    fn from_str(text: &str) -> Result<DependencyName, Problem> {
        let in_name = |problem: Problem| {
            Problem::new(format!(
                "{} does not name an import: {problem}",
                quoted(text)
            ))
        };
        if !text.contains([':', '/']) {
            words(text, '-').map_err(in_name)?;
            return Ok(DependencyName::Plain(text.to_owned()));
        }
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => {
                let version = Version::parse(version).map_err(|error| {
                    in_name(Problem::new(format!(
                        "{} is not a version such as `0.1.0` ({error})",
                        quoted(version)
                    )))
                })?;
                (name, Some(version))
            }
            None => (text, None),
        };
        let (package, interface) = match name.split_once('/') {
            Some((package, interface)) => (package, Some(interface)),
            None => (name, None),
        };
        let (namespace, package_name) = package
            .split_once(':')
            .ok_or_else(|| in_name(Problem::new("a package is written `namespace:name`")))?;
        for word in [Some(namespace), Some(package_name), interface]
            .into_iter()
            .flatten()
        {
            words(word, '-').map_err(in_name)?;
        }
        Ok(DependencyName::Package {
            package: package.to_owned(),
            interface: interface.map(str::to_owned),
            version,
        })
    }
}

impl fmt::Display for DependencyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DependencyName::Plain(name) => f.write_str(name),
            DependencyName::Package {
                package,
                interface,
                version,
            } => {
                f.write_str(package)?;
                if let Some(interface) = interface {
                    write!(f, "/{interface}")?;
                }
                if let Some(version) = version {
                    write!(f, "@{version}")?;
                }
                Ok(())
            }
        }
    }
}

impl From<DependencyName> for String {
    fn from(name: DependencyName) -> String {
        name.to_string()
    }
}

impl TryFrom<String> for DependencyName {
    type Error = Problem;

    fn try_from(text: String) -> Result<DependencyName, Problem> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DependencyName {
        text.parse().expect(text)
    }

    #[test]
    fn names_follow_spins_rules() {
        for good in ["gateway", "a", "my-app2", "MY-app"] {
            assert!(component_id(good).is_ok(), "{good}");
        }
        for bad in ["", "a_b", "a--b", "2a", "a-2", "aB", "a b", "é", "-a"] {
            assert!(component_id(bad).is_err(), "{bad}");
        }
        assert!(store_label("a_b").is_ok() && store_label("a-b").is_ok());
        assert!(store_label("a_b-c").is_err());
        for bad in ["", "aX", "1bc", "_x", "x.y", "x_", "a__b", "x-y"] {
            assert!(variable_name(bad).is_err(), "{bad}");
        }
        assert!(variable_name("a_1_b_3").is_ok());
    }

    #[test]
    fn a_package_means_all_its_interfaces_and_a_version_only_itself() {
        let check = |dependency: &str, import: &str| name(dependency).means(import);
        assert!(check("kgents:router", "kgents:router/route@0.1.0"));
        assert!(check("kgents:router", "kgents:router/route"));
        assert!(check("kgents:router/route", "kgents:router/route@0.1.0"));
        assert!(check("kgents:router@0.1.0", "kgents:router/route@0.1.0"));
        assert!(check("sum", "sum"));
        assert!(!check("kgents:router@0.1.1", "kgents:router/route@0.1.0"));
        assert!(!check("kgents:router@0.1.0", "kgents:router/route"));
        assert!(!check("kgents:router/ladder", "kgents:router/route@0.1.0"));
        assert!(!check("kgents:policy", "kgents:router/route"));
        assert!(!check("route", "kgents:router/route"));
    }

    #[test]
    fn two_names_overlap_when_one_import_can_be_meant_by_both() {
        for (one, two, overlap) in [
            ("a:b", "a:b/c", true),
            ("a:b/c", "a:b/d", false),
            ("a:b/c@0.1.0", "a:b/c@0.2.0", false),
            ("a:b/c@1.1.0", "a:b/c@1.2.0", true),
            ("a:b@1.0.0", "a:b/c", true),
            ("a:b", "a:c", false),
            ("a", "a", true),
        ] {
            assert_eq!(name(one).overlaps(&name(two)), overlap, "{one} {two}");
            assert_eq!(name(two).overlaps(&name(one)), overlap, "{two} {one}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_read_is_written_the_same(text in "\\PC{0,30}|[a-z:/@.0-9-]{0,30}") {
            if let Ok(name) = text.parse::<DependencyName>() {
                prop_assert_eq!(name.to_string().parse::<DependencyName>(), Ok(name));
            }
        }
    }
}

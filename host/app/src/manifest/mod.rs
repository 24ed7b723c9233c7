//! `spin.toml`, version 2: read strictly and made whole.
//!
//! What Spin only carries along for other tools is accepted and left alone: `targets`, `tool`
//! tables other than ours, `build`, profiles that are not asked for. Everything else either has
//! an effect here or is refused by name.

mod checks;
mod dependencies;
mod schema;

use std::collections::BTreeMap;

use crate::AppError;
use crate::files::Mount;
use crate::limits::LimitsTable;
use crate::lock::{Inherit, LockedVariable};
use crate::names::{DependencyName, quoted};

/// A manifest over this is a mistake.
pub(crate) const BYTES_MAX: u64 = 1 << 20;

/// What it is called where nobody said which file it is.
const DOCUMENT: &str = "spin.toml";

/// A manifest that is well formed, with a name for each trigger and component.
///
/// Whether the files are there, and what they are, is seen when it is packed.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) authors: Vec<String>,
    pub(crate) variables: BTreeMap<String, LockedVariable>,
    pub(crate) triggers: Vec<ManifestTrigger>,
    pub(crate) components: BTreeMap<String, ManifestComponent>,
}

impl Manifest {
    /// The name of the application.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the components.
    pub fn component_ids(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }
}

/// A trigger for HTTP.
#[derive(Debug, Clone)]
pub(crate) struct ManifestTrigger {
    pub id: String,
    /// What the lock keeps of it.
    pub config: serde_json::Value,
}

/// A component, with the profile that was asked for put in.
#[derive(Debug, Clone)]
pub(crate) struct ManifestComponent {
    pub source: Source,
    pub description: String,
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub files: Vec<Mount>,
    pub exclude_files: Vec<String>,
    pub allowed_outbound_hosts: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub dependencies: BTreeMap<DependencyName, ManifestDependency>,
    pub limits: Option<LimitsTable>,
}

/// A file, as its path was written: absolute, or below the folder of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source(pub String);

#[derive(Debug, Clone)]
pub(crate) struct ManifestDependency {
    pub source: Source,
    pub export: Option<String>,
    pub inherit: Inherit,
}

/// Reads a manifest, without a profile.
///
/// Fails for anything that is not a manifest of version 2, has an unknown key, does not fit
/// together, or is not supported.
pub fn parse(text: &str) -> Result<Manifest, AppError> {
    parse_with_profile(text, None)
}

/// Reads a manifest, with the overrides of `profile` in the components that have it.
///
/// Fails as [`parse`] does, and when no component has that profile.
pub fn parse_with_profile(text: &str, profile: Option<&str>) -> Result<Manifest, AppError> {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if bytes > BYTES_MAX {
        return Err(AppError::TooLarge {
            at: DOCUMENT.to_owned(),
            bytes,
            bytes_max: BYTES_MAX,
        });
    }
    // The version is looked at first: with another one, every other complaint would be beside
    // the point.
    let table: toml::Table =
        toml::from_str(text).map_err(|error| document_error(DOCUMENT, text, &error))?;
    check_version(&table)?;
    let document: schema::Document =
        toml::from_str(text).map_err(|error| document_error(DOCUMENT, text, &error))?;
    checks::manifest(document, profile)
}

fn check_version(table: &toml::Table) -> Result<(), AppError> {
    const FIELD: &str = "spin_manifest_version";
    let hint = "version 2 is read: `spin doctor` updates a manifest of version 1";
    match table.get(FIELD) {
        Some(toml::Value::Integer(2)) => Ok(()),
        Some(toml::Value::String(version)) if version.trim() == "2" => Err(AppError::invalid(
            FIELD,
            "is a text and has to be a number; write `spin_manifest_version = 2`",
        )),
        Some(toml::Value::String(version)) => {
            Err(AppError::unsupported(FIELD, quoted(version), hint))
        }
        Some(toml::Value::Integer(version)) => Err(AppError::unsupported(
            FIELD,
            format!("version {version}"),
            hint,
        )),
        Some(_) => Err(AppError::invalid(FIELD, "is not a number; write `2`")),
        None if table.contains_key("spin_version") => {
            Err(AppError::unsupported("spin_version", "version 1", hint))
        }
        None => Err(AppError::invalid(
            FIELD,
            "is not there; a manifest begins with `spin_manifest_version = 2`",
        )),
    }
}

/// The complaint and its line, without the text of the line: it may hold a secret.
pub(crate) fn document_error(document: &str, text: &str, error: &toml::de::Error) -> AppError {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| {
            let number = before.matches('\n').count() + 1;
            format!("line {number}: ")
        });
    let line = line.unwrap_or_default();
    AppError::document(document, &format!("{line}{}", error.message()))
}

#[cfg(test)]
mod tests;

//! What `kgents init` writes. The texts are files under `templates/`, so that
//! they can be read as what they are.

use std::path::{Path, PathBuf};

use crate::config::MESH_FILE;

/// mesh.yaml; every key shown is at its default.
pub const MESH_YAML: &str = include_str!("templates/mesh.yaml");
const OPERATOR_CEDAR: &str = include_str!("templates/operator.cedar");
const BUDGET_YAML: &str = include_str!("templates/budget.yaml");
const AGENTS_README: &str = include_str!("templates/agents.md");
const GITIGNORE: &str =
    "# Secrets that cards point to, and editors' leftovers.\nsecrets/\n*.swp\n*~\n";
const ALLOW_CEDAR: &str = include_str!("templates/allow.cedar");

/// The folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is there already.
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    /// The operating system said no.
    #[error("`{}` cannot be written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Name and text of the policy that lets the local operator do everything.
/// `operator` has only characters that SPIFFE takes, so it needs no escaping.
pub fn operator_policy(operator: &str) -> (&'static str, String) {
    (
        "operator.cedar",
        OPERATOR_CEDAR.replace("{operator}", operator),
    )
}

/// Name and text of the budget of the whole mesh.
pub const fn mesh_budget() -> (&'static str, &'static str) {
    ("mesh.yaml", BUDGET_YAML)
}

/// Name and text of the policy that lets every identified principal route to
/// and invoke `agent`, an RFC 1123 label, so it needs no escaping.
pub fn allow_policy(agent: &str) -> (String, String) {
    (
        format!("allow-{agent}.cedar"),
        ALLOW_CEDAR.replace("{agent}", agent),
    )
}

/// Id of that policy.
pub fn allow_policy_id(agent: &str) -> String {
    format!("allow-{agent}")
}

/// Writes a mesh folder and tells which files, relative to it.
///
/// # Errors
/// When one of the files is there already and `force` is not set (then nothing
/// is written), or the disk says no.
pub fn write(dir: &Path, operator: &str, force: bool) -> Result<Vec<PathBuf>, Error> {
    let (policy, policy_text) = operator_policy(operator);
    let (budget, budget_text) = mesh_budget();
    let files = [
        (PathBuf::from(MESH_FILE), MESH_YAML.to_owned()),
        (Path::new("policies").join(policy), policy_text),
        (Path::new("budgets").join(budget), budget_text.to_owned()),
        (
            Path::new("agents").join("README.md"),
            AGENTS_README.to_owned(),
        ),
        (PathBuf::from(".gitignore"), GITIGNORE.to_owned()),
    ];
    if !force && let Some((file, _)) = files.iter().find(|(file, _)| dir.join(file).exists()) {
        return Err(Error::Exists(dir.join(file)));
    }
    for (file, text) in &files {
        put(&dir.join(file), text)?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

/// Writes one file whole or not at all, so that a watcher never reads half.
///
/// # Errors
/// When the disk says no.
pub fn put(path: &Path, text: &str) -> Result<(), Error> {
    let fail = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::write(&fresh, text).map_err(fail)?;
    std::fs::rename(&fresh, path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::folder;

    #[test]
    fn what_init_writes_is_read_without_a_mistake_and_is_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), "ada", false).unwrap();
        assert_eq!(files.len(), 5);
        let content = folder::read(dir.path()).unwrap();
        assert_eq!(content, folder::built_in("ada").unwrap());
        assert_eq!(content.mesh, crate::config::MeshFile::default());
        assert_eq!(content.budgets[0].spec.tokens, 1_000_000);
        assert!(
            content.policies[0]
                .text
                .contains(r#"principal == User::"ada""#)
        );
        assert!(content.cards.is_empty());
    }

    #[test]
    fn nothing_is_overwritten_unless_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("policies")).unwrap();
        let mine = dir.path().join("policies/operator.cedar");
        std::fs::write(&mine, "mine").unwrap();
        assert!(
            matches!(write(dir.path(), "ada", false), Err(Error::Exists(path)) if path == mine)
        );
        assert!(!dir.path().join("mesh.yaml").exists());
        write(dir.path(), "ada", true).unwrap();
        assert_ne!(std::fs::read_to_string(&mine).unwrap(), "mine");
    }

    #[test]
    fn the_card_that_the_readme_shows_is_one() {
        let yaml = AGENTS_README
            .split("```yaml\n")
            .nth(1)
            .unwrap()
            .split("```")
            .next()
            .unwrap();
        for line in [
            "credentials: svid",
            "credentials: {bearerEnv: PLANNER_TOKEN}",
        ] {
            let shown = yaml.replace(&format!("# {line}"), line);
            assert_ne!(shown, yaml);
            let json = crate::config::resources::card_json(&shown).unwrap();
            assert!(json.contains(r#""name":"planner""#));
        }
    }

    #[test]
    fn no_template_keeps_a_hole() {
        for text in [operator_policy("ada").1, allow_policy("planner").1] {
            assert!(
                !text.contains("{operator}") && !text.contains("{agent}"),
                "{text}"
            );
        }
        assert!(allow_policy("planner").1.contains(r#"Agent::"planner""#));
    }
}

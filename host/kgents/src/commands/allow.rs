//! The policy behind `agents add --allow everyone`: written into the mesh
//! folder, which the running mesh watches, and seen to be in force.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::client::{Error, Mesh, chain};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::{config::folder::POLICIES, templates};

/// How long the mesh may take to notice: its watcher needs well below a second.
const NOTICE_MS: u64 = 5_000;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where policies are written.
///
/// # Errors
/// When the running mesh has no folder.
pub fn policies_of(mesh: &Mesh) -> Result<PathBuf, Failure> {
    let dir = mesh.run().mesh_dir.as_deref().ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "NO_MESH_DIR",
            "--allow writes a policy, but this mesh runs without a folder",
        )
        .hint("run it from one: kgents init my-mesh && kgents up my-mesh")
    })?;
    Ok(dir.join(POLICIES))
}

/// Writes the policy that lets every identified principal use `agent`.
///
/// # Errors
/// When the disk says no.
pub fn write(policies: &Path, agent: &str) -> Result<PathBuf, Failure> {
    let (name, text) = templates::allow_policy(agent);
    let path = policies.join(name);
    templates::put(&path, &text)
        .map_err(|error| Failure::new(Exit::Failed, "POLICY_FILE", chain(&error)))?;
    Ok(path)
}

/// Waits until the mesh says that the policy of `agent` is in force; false when
/// that has not come true in five seconds.
///
/// # Errors
/// When the mesh cannot be asked.
pub async fn is_in_force(mesh: &Mesh, agent: &str) -> Result<bool, Failure> {
    let wanted = templates::allow_policy_id(agent);
    let until_ms = clock::now_ms().saturating_add(NOTICE_MS);
    loop {
        let page = mesh.admin("/policies").await?;
        let known: InForce = serde_json::from_str(&page)
            .map_err(|error| Error::Malformed(format!("/policies: {error}")))?;
        if known.ids.contains(&wanted) {
            return Ok(true);
        }
        if clock::now_ms() >= until_ms {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What of the admin listener's `/policies` is read here.
#[derive(Deserialize)]
struct InForce {
    ids: Vec<String>,
}

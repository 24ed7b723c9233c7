//! `build`: the deciders as core modules, wrapped as components and precompiled;
//! the Spin components, which the compiler makes whole; then the binary, with the
//! deciders inside. What is unchanged is not built again.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

use crate::prerequisites::{self, DECIDERS, SPIN};
use crate::workspace::{Workspace, headline, step};

/// The five deciders: names of their folders, worlds and components.
pub const NAMES: [&str; 5] = ["router", "policy", "pheromone", "health", "agents"];
/// The Spin components of `spin.toml`: names of their folders and components.
pub const DOORS: [&str; 2] = ["gateway", "decide"];
/// Small Spin components that only tests and measurements run.
pub const GUESTS: [&str; 2] = ["hello", "hostile"];

/// Build everything.
///
/// # Errors
/// What the machine lacks, or the first step that failed.
pub fn run(workspace: &Workspace) -> Result<()> {
    components(workspace)?;
    binary(workspace)
}

/// What `spin.toml` and the binary are made of, in `target/components`.
///
/// # Errors
/// What the machine lacks, or the first step that failed.
pub fn components(workspace: &Workspace) -> Result<()> {
    prerequisites::build(&[DECIDERS, SPIN])?;
    deciders(workspace)?;
    spin(
        workspace,
        "spin components",
        &DOORS,
        "kgents",
        &workspace.components,
    )
}

/// The components that only tests and measurements run:
/// `target/components/guests/NAME.wasm`.
///
/// # Errors
/// The step that failed.
pub fn guests(workspace: &Workspace) -> Result<()> {
    let folder = workspace.components.join("guests");
    spin(
        workspace,
        "guests of tests",
        &GUESTS,
        "kgents-guest",
        &folder,
    )
}

/// Components that the compiler makes whole: `FOLDER/NAME.wasm` from the package
/// `PREFIX-NAME`.
fn spin(
    workspace: &Workspace,
    title: &str,
    names: &[&str],
    prefix: &str,
    folder: &Path,
) -> Result<()> {
    let mut command = workspace.cargo("build");
    command.args(["--profile", "guest", "--target", SPIN, "--lib"]);
    for name in names {
        command.args(["-p", &format!("{prefix}-{name}")]);
    }
    step(title, &mut command)?;
    make(folder)?;
    let built = workspace.target.join(SPIN).join("guest");
    for name in names {
        let file = format!("{prefix}_{name}.wasm").replace('-', "_");
        let from = built.join(file);
        let bytes = fs::read(&from).with_context(|| format!("cannot read `{}`", from.display()))?;
        write(&folder.join(format!("{name}.wasm")), &bytes)?;
    }
    Ok(())
}

/// The deciders: `target/components/NAME.{wasm,cwasm,cwasm.sha256}`.
///
/// # Errors
/// The first step that failed.
fn deciders(workspace: &Workspace) -> Result<()> {
    let mut modules = workspace.cargo("build");
    modules.args(["--profile", "guest", "--target", DECIDERS, "--lib"]);
    modules.args(packages());
    step("deciders", &mut modules)?;

    headline("components");
    make(&workspace.components)?;
    let modules = workspace.target.join(DECIDERS).join("guest");
    for name in NAMES {
        wrap(
            &modules.join(format!("kgents_{name}.wasm")),
            &workspace.components.join(format!("{name}.wasm")),
        )?;
    }

    // The whole workspace is named, so that dependencies have the same features
    // in every step and are compiled once.
    let mut precompiler = workspace.cargo("build");
    precompiler.args(["--release", "--workspace", "--bin", "precompile"]);
    step("precompiler", &mut precompiler)?;
    let mut precompile = Command::new(workspace.binary("precompile"));
    step("machine code", precompile.arg(&workspace.components))
}

/// `target/release/kgents`, with the deciders inside.
///
/// # Errors
/// When it does not build.
pub fn binary(workspace: &Workspace) -> Result<()> {
    let mut binary = workspace.cargo("build");
    binary.args(["--release", "--workspace", "--bin", "kgents"]);
    step("binary", &mut binary)?;
    println!("{}", workspace.binary("kgents").display());
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))
}

/// `-p` for each decider's crate.
pub fn packages() -> impl Iterator<Item = String> {
    NAMES
        .into_iter()
        .flat_map(|name| ["-p".to_owned(), format!("kgents-{name}")])
}

/// Wrap a core module as a component, validated.
fn wrap(module: &Path, component: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read `{}`", module.display()))?;
    let encoded = encode(&bytes)
        .with_context(|| format!("`{}` cannot be made a component", module.display()))?;
    write(component, &encoded)
}

/// Writes only what changed, so that what embeds it is not built again for nothing.
fn write(component: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(component).is_ok_and(|current| current == bytes) {
        return Ok(());
    }
    fs::write(component, bytes).with_context(|| format!("cannot write `{}`", component.display()))
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest core module: magic and version.
    const EMPTY: [u8; 8] = *b"\0asm\x01\0\0\0";

    #[test]
    fn an_unchanged_component_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let (module, component) = (folder.path().join("m"), folder.path().join("c"));
        fs::write(&module, EMPTY).unwrap();
        wrap(&module, &component).unwrap();
        let mut permissions = fs::metadata(&component).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&component, permissions).unwrap();
        let before = fs::metadata(&component).unwrap().modified().unwrap();
        wrap(&module, &component).unwrap();
        assert_eq!(
            fs::metadata(&component).unwrap().modified().unwrap(),
            before
        );
    }

    #[test]
    fn what_is_no_module_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("broken.wasm");
        fs::write(&module, b"not wasm").unwrap();
        let error = wrap(&module, &folder.path().join("c")).unwrap_err();
        assert!(format!("{error:#}").contains("broken.wasm"), "{error:#}");
    }
}

//! The arguments of what is done with Spin applications.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `kgents up -f APP`: a Spin application instead of a mesh. The names are those
/// of `spin up`, which spin-operator starts an executor with.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Spin applications")]
pub struct SpinArgs {
    /// Run a Spin application instead of a mesh: its folder, its spin.toml, or
    /// REGISTRY/NAME:TAG
    #[arg(
        long = "from",
        short = 'f',
        value_name = "APP",
        conflicts_with = "mesh_dir"
    )]
    pub from: Option<String>,
    /// Key-value stores and variables of the application; may be absent
    #[arg(long, value_name = "FILE", requires = "from")]
    pub runtime_config_file: Option<PathBuf>,
    /// Run only this component; may be repeated
    #[arg(long = "component-id", value_name = "ID", requires = "from")]
    pub component_ids: Vec<String>,
    /// Speak plain HTTP to the registry; loopback is always spoken to so
    #[arg(long, requires = "from")]
    pub insecure: bool,
}

/// `kgents app …`
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Push a Spin application to an OCI registry, as `spin registry push` does
    #[command(
        after_help = "Examples:\n  kgents app push registry.example/team/mesh:1.0\n  kgents app push -f my-app 127.0.0.1:5000/my-app:dev"
    )]
    Push(AppPushArgs),
    /// Pull a Spin application, verify every byte of it, and keep it
    #[command(after_help = "Examples:\n  kgents app pull registry.example/team/mesh:1.0")]
    Pull(AppPullArgs),
}

/// `kgents app push`
#[derive(Debug, Args)]
pub struct AppPushArgs {
    /// Where to: REGISTRY/NAME:TAG
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// The application's folder, or its spin.toml
    #[arg(long = "from", short = 'f', value_name = "APP", default_value = ".")]
    pub from: PathBuf,
    /// Speak plain HTTP to the registry; loopback is always spoken to so
    #[arg(long)]
    pub insecure: bool,
}

/// `kgents app pull`
#[derive(Debug, Args)]
pub struct AppPullArgs {
    /// Where from: REGISTRY/NAME:TAG, or REGISTRY/NAME@sha256:DIGEST
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// Speak plain HTTP to the registry; loopback is always spoken to so
    #[arg(long)]
    pub insecure: bool,
}

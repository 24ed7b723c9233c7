//! The real mesh, as an operator starts it: `kgents init`, `kgents up`, agents
//! registered over its API, stopped at the end.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What the mesh writes to stderr, in the work folder.
const LOG: &str = "mesh.log";

/// A mesh folder and a data folder, for one mesh at a time.
pub struct Place {
    work: PathBuf,
}

/// A mesh that runs; killed when dropped, stopped by [`Mesh::stop`].
pub struct Mesh {
    child: Child,
    place: Place,
    /// Where callers connect, `127.0.0.1:PORT`.
    pub authority: String,
    /// From starting the process until it said that it listens.
    pub listening_after: Duration,
}

impl Place {
    /// Makes the folders below `work`: `kgents init`.
    ///
    /// # Errors
    /// When it fails.
    pub fn new(work: &Path) -> Result<Self> {
        std::fs::create_dir_all(work)?;
        let place = Self {
            work: work.to_owned(),
        };
        run(place.kgents()?.arg("init").arg(place.folder()))?;
        Ok(place)
    }

    /// The mesh folder.
    pub fn folder(&self) -> PathBuf {
        self.work.join("mesh")
    }

    /// `kgents`, on this data folder.
    fn kgents(&self) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command
            .current_dir(&self.work)
            .stdin(Stdio::null())
            .env("KGENTS_DATA", self.work.join("data"));
        Ok(command)
    }

    /// A token that is good for an hour; works while no mesh runs.
    ///
    /// # Errors
    /// When the command fails.
    pub fn token(&self) -> Result<String> {
        let mut command = self.kgents()?;
        run(command.args(["token", "--ttl", "1h"]))
    }

    /// Starts the mesh and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up: its last words are in the error.
    pub fn up(self) -> Result<Mesh> {
        let log = self.work.join(LOG);
        let mut command = self.kgents()?;
        command
            .arg("up")
            .arg(self.folder())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let began = Instant::now();
        let mut child = command.spawn().context("cannot start the mesh")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let listening_after = began.elapsed();
        let run = serde_json::from_str::<Value>(&line).ok();
        let listen = run.as_ref().and_then(|run| run.get("listen"));
        let authority = listen
            .and_then(Value::as_str)
            .and_then(|url| url.strip_prefix("http://"));
        let Some(authority) = authority.map(str::to_owned) else {
            let _ = child.kill();
            let _ = child.wait();
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("the mesh did not come up: {line}{said}");
        };
        Ok(Mesh {
            child,
            place: self,
            authority,
            listening_after,
        })
    }
}

impl Mesh {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A token for it.
    ///
    /// # Errors
    /// When the command fails.
    pub fn token(&self) -> Result<String> {
        self.place.token()
    }

    /// A token for a gateway before it.
    ///
    /// # Errors
    /// When the command fails.
    pub fn gateway_token(&self) -> Result<String> {
        let mut command = self.place.kgents()?;
        run(command.args(["token", "--gateway", "measured", "--ttl", "1h"]))
    }

    /// Registers an agent by its card and lets everyone use it.
    ///
    /// # Errors
    /// When the mesh refuses it.
    pub fn add(&self, name: &str, card: &str) -> Result<()> {
        let file = self.place.work.join(format!("{name}.json"));
        std::fs::write(&file, card)?;
        let mut command = self.place.kgents()?;
        command.args(["agents", "add"]).arg(&file);
        run(command.args(["--name", name, "--allow", "everyone"]))?;
        Ok(())
    }

    /// Stops it as an operator would and waits for it: its place.
    ///
    /// # Errors
    /// When it ends badly.
    pub fn stop(self) -> Result<Place> {
        self.end(Signal::TERM)
    }

    /// Ends it as a power cut would, without a word: its place.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(self) -> Result<Place> {
        self.end(Signal::KILL)
    }

    fn end(mut self, signal: Signal) -> Result<Place> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot stop the mesh")?;
        let status = self.child.wait()?;
        ensure!(
            status.success() || signal == Signal::KILL,
            "the mesh ended with {status}"
        );
        let work = self.place.work.clone();
        Ok(Place { work })
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        // After `wait` this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary of the build that this program is of.
///
/// # Errors
/// When it is not built.
pub fn binary() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let name = format!("kgents{}", std::env::consts::EXE_SUFFIX);
    let binary = program
        .ancestors()
        .nth(2)
        .map(|profile| profile.join(name))
        .filter(|path| path.is_file());
    binary.context("`kgents` is not built beside this program: cargo xtask build")
}

/// Runs a command to its end: what it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

//! The demo's mesh: `kgents up` as a process of its own, of this very binary.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::folder::Folder;
use crate::commands::terminate;
use crate::config::run::{self, Found, Run};
use crate::config::values::Address;
use crate::exit::{Exit, Failure};

/// How long a mesh may take to start: a second or two, more on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to stop: its own grace for calls under way, and a bit.
const STOP_MAX: Duration = Duration::from_secs(15);
/// Between two looks; a person does not notice less.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of the log that are shown when it does not start.
const LOG_LINES: usize = 8;

/// A mesh that was started, and is killed at the latest when this is dropped.
pub struct MeshProcess {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    started: Instant,
}

impl MeshProcess {
    /// Starts one on what `folder` holds.
    ///
    /// # Errors
    /// When the binary cannot be run.
    pub fn start(folder: &Folder, listen: &Address) -> Result<Self, Failure> {
        let failed = |what: &str, error: std::io::Error| {
            Failure::new(Exit::Failed, "DEMO_START", format!("{what}: {error}"))
        };
        let binary = std::env::current_exe()
            .map_err(|error| failed("this binary cannot be found", error))?;
        let log = folder.log();
        let logged = File::create(&log).map_err(|error| failed("no log can be written", error))?;
        let started = Instant::now();
        let child = Command::new(binary)
            .arg("up")
            .arg(folder.mesh())
            .args(["--listen", &listen.to_string(), "--admin", "127.0.0.1:0"])
            .arg("--data")
            .arg(folder.data())
            .args(["--log", "text", "--color", "never"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(logged)
            .spawn()
            .map_err(|error| failed("the mesh cannot be started", error))?;
        Ok(Self {
            child,
            data: folder.data(),
            log,
            started,
        })
    }

    /// Since when it runs.
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens.
    ///
    /// # Errors
    /// When it ends before, or takes longer than a minute; with the end of its log.
    pub async fn listening(&mut self) -> Result<Run, Failure> {
        loop {
            if let Found::Running(run) = run::find(&self.data)
                && run.pid == self.child.id()
            {
                return Ok(run);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.did_not_start(&format!("the mesh ended with {status}")));
            }
            if self.started.elapsed() > START_MAX {
                let seconds = START_MAX.as_secs();
                return Err(
                    self.did_not_start(&format!("the mesh does not listen after {seconds} s"))
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells it to stop, as Ctrl-C would, and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let failed = |message: String| Failure::new(Exit::Failed, "DEMO_STOP", message);
        if !terminate::process(self.child.id()) {
            return Err(failed("the mesh cannot be told to stop".to_owned()));
        }
        let asked = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return ended(status).map_err(failed),
                Ok(None) if asked.elapsed() < STOP_MAX => {}
                Ok(None) => {
                    let seconds = STOP_MAX.as_secs();
                    return Err(failed(format!("the mesh has not stopped in {seconds} s")));
                }
                Err(error) => {
                    return Err(failed(format!("the mesh cannot be waited for: {error}")));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn did_not_start(&self, message: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LOG_LINES)..);
        let last = last.unwrap_or_default().join("\n  ");
        let message = if last.is_empty() {
            message.to_owned()
        } else {
            format!("{message}; its last words:\n  {last}")
        };
        Failure::new(Exit::Failed, "DEMO_START", message)
            .hint("`kgents demo --keep` leaves its folder and log to look at")
    }
}

impl Drop for MeshProcess {
    fn drop(&mut self) {
        // Does nothing to a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(status: ExitStatus) -> Result<(), String> {
    if status.success() {
        Ok(())
    } else {
        Err(format!("the mesh ended with {status}"))
    }
}

//! A Spin application as a process: under our own engine, or under Spin itself.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::Client;
use crate::{binary, until};

/// Environment variable that names Spin's binary, as `cargo xtask test --spin`
/// sets it.
pub const SPIN: &str = "KGENTS_SPIN";

/// What runs an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// `kgents up -f`.
    Ours,
    /// `spin up -f`, by the path of its binary.
    Spin(PathBuf),
}

/// A running application. Dropping it kills it.
#[derive(Debug)]
pub struct App {
    folder: TempDir,
    child: Child,
    url: String,
}

impl Runtime {
    /// Spin, when it is named by the environment or on the path.
    pub fn spin() -> Option<Self> {
        let named = std::env::var_os(SPIN).map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join("spin"));
        let mut all = named.into_iter().chain(found);
        all.find(|spin| spin.is_file()).map(Self::Spin)
    }

    /// Its name in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ours => "our engine",
            Self::Spin(_) => "Spin",
        }
    }
}

impl App {
    /// Starts an application on a free port, with its variables set, and waits
    /// until it serves.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(runtime: &Runtime, manifest: &Path, variables: &[(&str, &str)]) -> Self {
        Self::with(runtime, manifest, variables, &[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// When it does not serve.
    pub fn with(
        runtime: &Runtime,
        manifest: &Path,
        variables: &[(&str, &str)],
        args: &[&str],
    ) -> Self {
        Self::in_folder(runtime, manifest, variables, args, None)
    }

    /// The same, with its state in a folder that outlives it.
    ///
    /// # Panics
    /// When it does not serve.
    pub fn in_folder(
        runtime: &Runtime,
        manifest: &Path,
        variables: &[(&str, &str)],
        args: &[&str],
        state: Option<&Path>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = state.unwrap_or(folder.path());
        let mut command = match runtime {
            Runtime::Ours => ours(state),
            Runtime::Spin(spin) => theirs(spin, state),
        };
        command.arg("-f").arg(manifest).args(args);
        for (name, value) in variables {
            let name = format!("SPIN_VARIABLE_{}", name.to_uppercase());
            command.env(name, value);
        }
        let (stdout, stderr) = (folder.path().join("out"), folder.path().join("log"));
        command.stdout(File::create(&stdout).unwrap());
        command.stderr(File::create(stderr).unwrap());
        command.stdin(Stdio::null());
        let child = command.spawn().unwrap();
        let mut app = Self {
            folder,
            child,
            url: String::new(),
        };
        app.url = until("an application that serves", || {
            let ended = app.child.try_wait().unwrap();
            assert_eq!(ended, None, "{}", app.log());
            address(&fs::read_to_string(&stdout).unwrap())
        });
        app
    }

    /// Where it listens: `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Somebody who calls it, with that token if there is one.
    pub fn client(&self, token: Option<&str>) -> Client {
        Client::new(&self.url, token)
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks it to stop and waits until it has, well.
    ///
    /// # Panics
    /// When it does not end, or ends badly.
    pub fn stop(mut self) {
        let line = format!("kill -TERM {}", self.pid());
        assert!(
            Command::new("sh")
                .args(["-c", &line])
                .status()
                .unwrap()
                .success()
        );
        let status = until("the application to end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.log());
    }
}

fn ours(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.args(["up", "--output", "json", "--listen", "127.0.0.1:0"]);
    command.arg("--data").arg(folder.join("data"));
    command
}

fn theirs(spin: &Path, folder: &Path) -> Command {
    // Spin takes no port 0; one that was free a moment ago mostly still is.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    let mut command = Command::new(spin);
    command.args(["up", "--listen", &address]);
    command.arg("--state-dir").arg(folder.join("state"));
    command
}

/// Where it listens, once it has said so: our JSON, or Spin's words.
fn address(stdout: &str) -> Option<String> {
    for line in stdout.lines() {
        if let Ok(value) = serde_json::from_str::<Value>(line) {
            return value["listen"].as_str().map(str::to_owned);
        }
        if let Some(url) = line.trim().strip_prefix("Serving ") {
            return Some(url.trim_end_matches('/').to_owned());
        }
    }
    None
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the application's log is\n{}", self.log());
        }
    }
}

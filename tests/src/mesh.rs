//! A mesh as its users have it: the real binary, in folders of its own, spoken
//! to by its command line and over HTTP.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Answer, Client};
use crate::{Agent, Ran, binary, until};

/// The local operator of every mesh here.
pub const OPERATOR: &str = "tester";

/// How a mesh is started.
#[derive(Debug, Default)]
pub struct Setup {
    /// All of mesh.yaml; the one that `init` writes when empty.
    pub yaml: String,
    /// More files of the mesh folder, by their path in it.
    pub files: Vec<(String, String)>,
    /// More arguments of `up`.
    pub args: Vec<String>,
    /// Environment of the mesh process.
    pub env: Vec<(String, String)>,
    /// The data folder; one of its own when none.
    pub data: Option<PathBuf>,
    /// Whether the user's language model is used; without it words decide,
    /// everywhere alike.
    pub model: bool,
}

/// A mesh and its folders. Dropping it kills it.
#[derive(Debug)]
pub struct Mesh {
    folder: TempDir,
    setup: Setup,
    child: Option<Child>,
    run: Value,
}

impl Mesh {
    /// Starts a mesh on what `kgents init` writes.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    /// Starts a mesh.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn with(setup: Setup) -> Self {
        let mut mesh = Self::folders(setup);
        mesh.up();
        mesh
    }

    /// The folders of a mesh that is not started yet.
    ///
    /// # Panics
    /// When they cannot be made.
    pub fn folders(setup: Setup) -> Self {
        assert!(
            binary().is_file(),
            "there is no {}; run `cargo xtask build`",
            binary().display()
        );
        let mesh = Self {
            folder: tempfile::tempdir().unwrap(),
            setup,
            child: None,
            run: Value::Null,
        };
        let dir = mesh.dir();
        mesh.cli(&["init", dir.to_str().unwrap()]).ended(0);
        if !mesh.setup.yaml.is_empty() {
            mesh.write("mesh.yaml", &mesh.setup.yaml);
        }
        for (path, text) in &mesh.setup.files {
            mesh.write(path, text);
        }
        mesh
    }

    /// Starts the process and waits until it has told where it listens.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn up(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let child = self
            .up_command()
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let pid = child.id();
        self.child = Some(child);
        let file = self.data().join("run.json");
        self.run = until("a mesh that runs", || {
            let run = fs::read(&file).ok();
            let run = run.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            let ended = self.child.as_mut()?.try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.log());
            run.filter(|run| run["pid"] == pid)
        });
    }

    /// Starts the process where it has to refuse, and waits for that.
    ///
    /// # Panics
    /// When it stays instead.
    #[track_caller]
    pub fn refuses_to_start(&self) -> Ran {
        let mut command = self.up_command();
        command.args(["--output", "json"]);
        let (stdout, stderr) = (self.scratch().join("out"), self.scratch().join("err"));
        command.stdout(File::create(&stdout).unwrap());
        command.stderr(File::create(&stderr).unwrap());
        let mut child = Killed(command.spawn().unwrap());
        let status = until("the mesh to refuse to start", || {
            child.0.try_wait().unwrap()
        });
        Ran {
            code: status.code().unwrap_or(-1),
            stdout: fs::read_to_string(stdout).unwrap(),
            stderr: fs::read_to_string(stderr).unwrap(),
        }
    }

    fn up_command(&self) -> Command {
        let mut command = self.command();
        command
            .arg("up")
            .arg(self.dir())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(&self.setup.args)
            .envs(self.setup.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The mesh folder.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("mesh")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        match &self.setup.data {
            Some(data) => data.clone(),
            None => self.folder.path().join("data"),
        }
    }

    /// A folder for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the mesh folder as editors do: whole, by renaming.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, path).unwrap();
    }

    /// Where callers connect.
    ///
    /// # Panics
    /// When it never ran.
    pub fn url(&self) -> &str {
        self.run["listen"].as_str().unwrap()
    }

    /// The process.
    ///
    /// # Panics
    /// When none runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The operator, over HTTP.
    pub fn client(&self) -> Client {
        Client::new(self.url(), Some(&self.token(&[])))
    }

    /// A user without any right of their own, over HTTP.
    pub fn client_of(&self, user: &str) -> Client {
        Client::new(self.url(), Some(&self.token(&["--user", user])))
    }

    /// Somebody without identity.
    pub fn stranger(&self) -> Client {
        Client::new(self.url(), None)
    }

    /// What `kgents token` prints.
    pub fn token(&self, args: &[&str]) -> String {
        let ran = self.cli(&[&["token"], args].concat()).ended(0);
        ran.stdout.trim().to_owned()
    }

    /// What is served at /metrics.
    ///
    /// # Panics
    /// When nothing is.
    pub fn metrics(&self) -> String {
        let admin = Client::new(self.run["admin"].as_str().unwrap(), None);
        admin.get("/metrics").text()
    }

    /// A page of the public listener, without identity.
    pub fn page(&self, path: &str) -> Answer {
        self.stranger().get(path)
    }

    /// Runs a command of the command line on this mesh.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn cli(&self, args: &[&str]) -> Ran {
        let output = self.command().args(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that has to end well, and gives its JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.cli(&[args, &["--output", "json"]].concat())
            .ended(0)
            .json()
    }

    /// Registers an agent by the URL of its card; everyone may use it.
    pub fn add(&self, agent: &Agent) {
        let added = self.json(&["agents", "add", &agent.card_url(), "--allow", "everyone"]);
        assert_eq!(added["in_force"], true, "{added}");
    }

    /// The trail, oldest first.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn trail(&self) -> Vec<Value> {
        let tail = self.json(&["audit", "tail", "-n", "1000000"]);
        tail["events"].as_array().unwrap().clone()
    }

    /// The trail's event of that name, once it is there.
    pub fn event(&self, name: &str) -> Value {
        until(&format!("event {name}"), || {
            let mut trail = self.trail().into_iter();
            trail.find(|event| event["metadata"]["name"] == name)
        })
    }

    /// What `kgents audit verify` says of a trail that has to hold.
    #[track_caller]
    pub fn verified(&self) -> Value {
        let report = self.json(&["audit", "verify"]);
        assert_eq!(report["ok"], true, "{report}");
        report
    }

    /// What the mesh logged so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends the process at once, as a lost machine would.
    ///
    /// # Panics
    /// When none runs.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the process to stop.
    ///
    /// # Panics
    /// When none runs.
    pub fn terminate(&self) {
        let line = format!("kill -TERM {}", self.pid());
        let sent = Command::new("sh").args(["-c", &line]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    /// When none runs, or it does not end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        until("the mesh to end", || child.try_wait().unwrap())
    }

    /// Stops it as an operator does, and starts it again.
    pub fn restart(&mut self) {
        self.terminate();
        assert!(self.ended().success(), "{}", self.log());
        self.up();
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(self.folder.path())
            .arg("--data")
            .arg(self.data())
            .env("USER", OPERATOR)
            .env_remove("KGENTS_DATA")
            .env_remove("KGENTS_LOG");
        if !self.setup.model {
            command.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        }
        command
    }
}

/// A process that does not outlive this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(40).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            eprintln!("the mesh's log ends in\n{}", lines.join("\n"));
        }
    }
}

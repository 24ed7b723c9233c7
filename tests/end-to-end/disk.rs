//! A disk that is full: nothing is done that cannot be recorded, and service
//! returns with the space.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kgents_tests::{Agent, Answer, Mesh, Setup};

/// A small disk of memory. Dropping it takes it away.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// None where mounting is not allowed.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the space there is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).unwrap();
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.folder.path())
            .status();
    }
}

#[test]
fn a_full_disk_stops_calls_before_they_are_made_and_service_returns_with_the_space() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: full-disk: a tmpfs cannot be mounted here");
        return;
    };
    let agent = Agent::start();
    let mut mesh = Mesh::with(Setup {
        data: Some(disk.path().join("data")),
        // No call without a record of it: not even the one that finds the disk full.
        yaml: "audit: {strict: true}\n".into(),
        ..Setup::default()
    });
    mesh.add(&agent);
    let client = mesh.client();
    let say = || client.say("/agents/parrot", "hello");
    let mut acknowledged = vec![event_of(&say())];
    let ballast = disk.fill();
    // What space the log has set aside may still be used up.
    let refused = (0..20_000).find_map(|_| {
        let answer = say();
        if answer.status == 200 {
            acknowledged.push(event_of(&answer));
        }
        (answer.status != 200).then_some(answer)
    });
    let refusal = refused.expect("a full disk was never noticed").refusal();
    assert_eq!(
        (refusal.status, &*refusal.reason),
        (503, "UNAVAILABLE"),
        "{refusal:?}"
    );
    assert!(!refusal.hint.is_empty(), "{refusal:?}");
    for _ in 0..3 {
        let answer = say();
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    let rest = client.rest(
        "POST",
        "/agents/echo/message:send",
        Some(&kgents_tests::http::message("hi")),
    );
    assert_eq!(rest.refusal().status, 503, "{}", rest.text());
    assert_eq!(mesh.page("/healthz").status, 200, "it is alive");
    let said = mesh.cli(&["call", "parrot", "hello", "-o", "json"]);
    assert_eq!(said.code, 5, "{said:?}");
    fs::remove_file(ballast).unwrap();
    let answer = kgents_tests::until("service to return", || {
        let answer = say();
        (answer.status == 200).then_some(answer)
    });
    acknowledged.push(event_of(&answer));
    the_trail_knows(&mesh, &agent, &acknowledged);
    mesh.verified();
    mesh.restart();
    mesh.verified();
    assert_eq!(
        mesh.client().say("/agents/parrot", "hello").words(),
        "hello"
    );
}

#[track_caller]
fn event_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("kgents-event").unwrap().to_owned()
}

/// Every answer is in the trail, and every call that reached the agent: with
/// its outcome, or as unknown where that could not be written any more.
fn the_trail_knows(mesh: &Mesh, agent: &Agent, acknowledged: &[String]) {
    let trail = mesh.trail();
    for event in acknowledged {
        let found = trail.iter().any(|one| one["metadata"]["name"] == **event);
        assert!(found, "{event} is lost");
    }
    let told = trail.iter().filter(|one| {
        let target = one.pointer("/spec/action/target").or(one.get("target"));
        target.is_some_and(|target| target == "parrot")
    });
    let (told, calls) = (told.count(), agent.seen().len());
    assert!(
        told >= calls,
        "{calls} calls were made, the trail knows of {told}"
    );
}

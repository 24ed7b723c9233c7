//! The process is killed while many write. On the operating system's disk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;
use crate::{FsDisk, verify};

/// Names the folder to the process that is to be killed.
const CHILD: &str = "KGENTS_AUDIT_TEST_FOLDER";
const WRITERS: usize = 16;
const TEST: &str = "tests::kill::a_process_killed_under_load_keeps_what_it_acknowledged";

/// Writes until it is killed, and says what is durable: index and number.
fn write_until_killed(folder: &str) {
    let disk = Arc::new(FsDisk::open(folder.as_ref()).unwrap());
    let config = Config {
        segment_bytes: 50_000,
        ..config()
    };
    let (log, recovery) = Log::open(disk, config, keys()).unwrap();
    let start = usize::try_from(recovery.records).unwrap() * 1_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                for turn in 0.. {
                    let number = start + turn * WRITERS + writer;
                    let position = log.append(&intent(number)).unwrap();
                    log.durable(position).await.unwrap();
                    let line = format!("kept {} {number}\n", position.index());
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

#[test]
fn a_process_killed_under_load_keeps_what_it_acknowledged() {
    if let Ok(folder) = std::env::var(CHILD) {
        return write_until_killed(&folder);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut take = |line: String| {
            let mut words = line.split(' ').skip(1).map(str::parse::<usize>);
            if let (true, Some(Ok(index)), Some(Ok(number))) =
                (line.starts_with("kept "), words.next(), words.next())
            {
                kept.push((index, number));
            }
        };
        for line in lines.by_ref().take(100 + 37 * round) {
            take(line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died, whole lines of it, counts as well.
        lines.map_while(Result::ok).for_each(&mut take);
        let report = verify(dir.path()).unwrap();
        assert!(report.ok, "round {round}: {report:?}");
    }
    assert!(kept.len() > 1_200);
    let disk: Arc<dyn Disk> = Arc::new(FsDisk::open(dir.path()).unwrap());
    let found: Vec<_> = replay(disk, Position::START)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (index, number) in kept {
        assert_eq!(json(&found[index].1), json(&intent(number)));
    }
}

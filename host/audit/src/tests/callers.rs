//! Many callers at once, on threads.

use std::collections::BTreeMap;

use super::*;
use crate::{FsDisk, verify};

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).build().unwrap()
}

#[test]
fn what_many_callers_append_is_all_there_in_each_ones_order() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let disk = Arc::new(FsDisk::open(dir.path()).unwrap());
        let config = Config {
            segment_bytes: 100_000,
            ..config()
        };
        Log::open(disk, config, keys()).unwrap()
    };
    let (log, _) = open();
    runtime().block_on(async {
        let callers = (0..64).map(|caller| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut last = None;
                for turn in 0..10 {
                    let record = intent(caller * 100 + turn);
                    let position = log.append(&record).unwrap();
                    log.durable(position).await.unwrap();
                    assert!(last < Some(position));
                    assert!(log.records() > position.index());
                    last = Some(position);
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        assert!(log.head().is_some_and(|head| head.size > 0));
        log.close().await.unwrap();
        log.close().await.unwrap();
    });
    assert_eq!(log.append(&intent(0)).unwrap_err().code(), "audit-closed");
    assert_eq!(log.head().unwrap().size, 640);
    let found: Vec<_> = log.replay(Position::at(600)).map(Result::unwrap).collect();
    assert_eq!((found.len(), found[0].0), (40, Position::at(600)));
    drop(log);
    let report = verify(dir.path()).unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!(
        (report.events, report.unknown, report.unsigned),
        (0, 640, 0)
    );
    let (log, recovery) = open();
    assert_eq!((recovery.records, recovery.repaired_bytes), (640, 0));
    let mut turns = BTreeMap::new();
    for intent in &recovery.open_intents {
        let number = usize::from_str_radix(&intent.event[22..], 16).unwrap();
        let turn = turns.entry(number / 100).or_insert(0);
        assert_eq!(number % 100, *turn);
        *turn += 1;
    }
    assert_eq!(turns.len(), 64);
    drop(log);
}

#[test]
fn a_group_that_fails_fails_everyone_in_it_and_what_came_after() {
    let disk = SimDisk::new(5);
    let (log, _) = open_log(&disk);
    runtime().block_on(async {
        log.durable(log.append(&record(0)).unwrap()).await.unwrap();
        // Until the writer has signed and sleeps: it is then held in writing.
        while log.head().is_none_or(|head| head.size < 1) {
            tokio::task::yield_now().await;
        }
        disk.hold();
        let first = log.append(&record(1)).unwrap();
        disk.wait_held();
        let failed: Vec<_> = (2..6)
            .map(|index| log.append(&record(index)).unwrap())
            .collect();
        disk.fail_syncs(1);
        disk.release();
        for position in [first].into_iter().chain(failed) {
            let error = log.durable(position).await.unwrap_err();
            assert_eq!(error.code(), "audit-disk-failed");
        }
        assert_eq!(log.records(), 1);
        let next = usize::try_from(log.records()).unwrap();
        let again = log.append(&record(next)).unwrap();
        assert_eq!(again.index(), next as u64);
        log.durable(again).await.unwrap();
        // The same index, in a group that failed, stays failed.
        if first == again {
            assert_eq!(
                log.durable(first).await.unwrap_err().code(),
                "audit-disk-failed"
            );
        }
        log.close().await.unwrap();
    });
    let report = verified(&disk);
    assert_eq!(report.head.unwrap().size, log.records());
    let expected: Vec<_> = (0..all(&disk).len())
        .map(|index| json(&record(index)))
        .collect();
    assert_eq!(all(&disk), expected);
}

#[test]
fn a_log_that_is_taken_away_while_nobody_calls_is_noticed() {
    let disk = SimDisk::new(11);
    let (log, _) = open_log(&disk);
    runtime().block_on(async {
        log.durable(log.append(&record(0)).unwrap()).await.unwrap();
        let live = crate::segment::file_name(0, crate::segment::Part::Log);
        disk.rename(&live, "elsewhere").unwrap();
        while !log.is_failing() {
            tokio::task::yield_now().await;
        }
        disk.rename("elsewhere", &live).unwrap();
        log.durable(log.append(&record(1)).unwrap()).await.unwrap();
        assert!(!log.is_failing());
        log.close().await.unwrap();
    });
    assert_eq!(verified(&disk).head.unwrap().size, 2);
}

#[test]
fn a_folder_removed_under_the_writer_is_told_to_the_next_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("audit");
    let disk = Arc::new(FsDisk::open(&folder).unwrap());
    let (log, _) = Log::open(disk, config(), keys()).unwrap();
    runtime().block_on(async {
        let kept = log.append(&record(0)).unwrap();
        log.durable(kept).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let lost = log.append(&record(1)).unwrap();
        let error = log.durable(lost).await.unwrap_err();
        assert_eq!(error.code(), "audit-displaced");
        assert!(log.is_failing());
        let error = log.close().await.unwrap_err();
        assert_eq!(error.code(), "audit-displaced");
    });
}

#[test]
fn a_disk_that_stays_full_answers_each_and_forgets_nothing_kept() {
    let disk = SimDisk::new(6);
    let (log, _) = open_log(&disk);
    runtime().block_on(async {
        let kept = log.append(&record(0)).unwrap();
        log.durable(kept).await.unwrap();
        disk.set_space(Some(0));
        for _ in 0..50 {
            let position = log.append(&record(1)).unwrap();
            assert_eq!(position.index(), 1);
            let error = log.durable(position).await.unwrap_err();
            assert_eq!(error.code(), "audit-disk-full");
        }
        log.durable(kept).await.unwrap();
        disk.set_space(None);
        log.close().await.unwrap();
    });
    assert_eq!(all(&disk).len(), 1);
    verified(&disk);
}

#[test]
fn a_buffer_that_is_full_refuses_and_takes_again_later() {
    let disk = SimDisk::new(7);
    let config = Config {
        buffer_bytes: 2_000,
        ..config()
    };
    let (log, _) = Log::open(arc(&disk), config, keys()).unwrap();
    runtime().block_on(async {
        disk.hold();
        let mut last = log.append(&record(0)).unwrap();
        disk.wait_held();
        let error = loop {
            match log.append(&record(usize::try_from(last.index()).unwrap() + 1)) {
                Ok(position) => last = position,
                Err(error) => break error,
            }
            assert!(last.index() < 20);
        };
        assert_eq!(error.code(), "audit-buffer-full");
        disk.release();
        log.durable(last).await.unwrap();
        let next = usize::try_from(last.index()).unwrap() + 1;
        log.durable(log.append(&record(next)).unwrap())
            .await
            .unwrap();
        assert_eq!(log.records(), next as u64 + 1);
    });
    drop(log);
    verified(&disk);
}

#[test]
fn dropping_the_last_handle_writes_and_signs_what_was_appended() {
    let disk = SimDisk::new(8);
    let (log, _) = open_log(&disk);
    for index in 0..5 {
        log.append(&record(index)).unwrap();
    }
    drop(log);
    let report = verified(&disk.after_crash(0));
    assert_eq!(
        (report.events, report.unknown, report.head.unwrap().size),
        (2, 1, 5)
    );
}

#[test]
fn a_crash_under_many_callers_loses_nothing_they_were_told_is_kept() {
    let runtime = runtime();
    for seed in 0..120 {
        let disk = SimDisk::new(seed);
        let (log, _) = open_log(&disk);
        disk.crash_after(seed % 40);
        let kept = runtime.block_on(async {
            let callers = (0..8_usize).map(|caller| {
                let log = log.clone();
                tokio::spawn(async move {
                    let mut kept = Vec::new();
                    for turn in 0..20 {
                        let number = caller * 100 + turn;
                        let Ok(position) = log.append(&intent(number)) else {
                            break;
                        };
                        if log.durable(position).await.is_err() {
                            break;
                        }
                        kept.push((position.index(), number));
                    }
                    kept
                })
            });
            let mut kept = BTreeMap::new();
            for caller in callers.collect::<Vec<_>>() {
                kept.extend(caller.await.unwrap());
            }
            kept
        });
        drop(log);
        let after = disk.after_crash(seed);
        open_store(&after).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = all(&after);
        for (index, number) in kept {
            let index = usize::try_from(index).unwrap();
            assert_eq!(found[index], json(&intent(number)), "seed {seed}");
        }
        verified(&after);
    }
}

#[test]
fn an_idle_log_gets_a_head_over_its_last_records() {
    let disk = SimDisk::new(9);
    // The clock stands still, so no group is ever the one that signs.
    let config = Config {
        head_ms: 1,
        ..config()
    };
    let (log, _) = Log::open(arc(&disk), config, keys()).unwrap();
    log.append(&record(0)).unwrap();
    while log.head().is_none_or(|head| head.size == 0) {
        std::thread::yield_now();
    }
    assert_eq!(verified(&disk.after_crash(1)).head.unwrap().size, 1);
}

#[test]
fn a_final_head_that_cannot_be_written_is_told_and_loses_no_record() {
    let disk = SimDisk::new(10);
    let config = Config {
        head_ms: u64::MAX,
        ..config()
    };
    let (log, _) = Log::open(arc(&disk), config, keys()).unwrap();
    runtime().block_on(async {
        log.durable(log.append(&record(0)).unwrap()).await.unwrap();
        disk.fail_syncs(1);
        for _ in 0..2 {
            assert_eq!(log.close().await.unwrap_err().code(), "audit-disk-failed");
        }
    });
    drop(log);
    let after = disk.after_crash(1);
    assert_eq!(verified(&after).unsigned, 1);
    assert_eq!(all(&after).len(), 1);
}

//! The disk is full, or fails to sync. Nobody is told that something is kept
//! that is not, and the log goes on.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::segment::{Part, file_name};
use crate::store::Store;

/// Commits a group; whether it was taken, with the code if not.
fn commit(store: &mut Store, from: usize, to: usize) -> Result<(), &'static str> {
    let mut group = group(from, to);
    store
        .commit(&mut group)
        .map_err(|failure| Error::from(failure).code())?;
    store.absorb(&mut group);
    let _ = store.sign_if_due();
    Ok(())
}

fn check_holds(disk: &SimDisk, records: usize, context: &str) {
    let expected: Vec<_> = (0..records).map(|index| json(&record(index))).collect();
    assert_eq!(all(disk), expected, "{context}");
    let report = verify_disk(disk, None).unwrap();
    assert!(report.ok, "{context}: {report:?}");
}

#[test]
fn a_failed_sync_loses_its_group_alone_and_its_place_is_never_used_again() {
    for seed in 0..60 {
        for failing in 1..5_u32 {
            let context = format!("seed {seed}, {failing} failing");
            let disk = SimDisk::new(seed);
            let (mut store, _) = open_store(&disk).unwrap();
            commit(&mut store, 0, 3).unwrap();
            disk.fail_syncs(failing);
            disk.fail_cuts(u32::from(seed % 2 == 0));
            // The second sync is that of the cut, the others of new segments.
            let mut refused = 0;
            while let Err(code) = commit(&mut store, 3, 7) {
                assert_eq!(code, "audit-disk-failed");
                refused += 1;
            }
            assert!(refused >= 1);
            assert!(segments(&disk) >= 2, "{context}");
            commit(&mut store, 7, 9).unwrap();
            drop(store);
            check_holds(&disk, 9, &context);
            let after = disk.after_crash(seed);
            let (_, recovery) = open_store(&after).unwrap();
            assert_eq!(recovery.records, 9, "{context}");
            check_holds(&after, 9, &context);
        }
    }
}

#[test]
fn a_full_disk_refuses_by_name_and_serves_again_when_there_is_space() {
    for space in (0..3_000).step_by(61) {
        let context = format!("{space} bytes");
        let disk = SimDisk::new(space);
        let (mut store, _) = open_store(&disk).unwrap();
        commit(&mut store, 0, 3).unwrap();
        disk.set_space(Some(space));
        let mut kept = 3;
        let mut refused = 0;
        while refused < 4 {
            match commit(&mut store, kept, kept + 2) {
                Ok(()) => kept += 2,
                Err(code) => {
                    assert_eq!(code, "audit-disk-full", "{context}");
                    refused += 1;
                }
            }
            assert!(kept < 100, "the disk never filled");
        }
        let after = disk.after_crash(space);
        open_store(&after).unwrap();
        let found = all(&after).len();
        assert!(found >= kept, "{context}");
        disk.set_space(None);
        commit(&mut store, kept, kept + 2).unwrap();
        store.sign().unwrap();
        drop(store);
        check_holds(&disk, kept + 2, &context);
        let after = disk.after_crash(space);
        open_store(&after).unwrap();
        check_holds(&after, kept + 2, &context);
        assert_eq!(verified(&after).head.unwrap().size, kept as u64 + 2);
    }
}

#[test]
fn a_crash_right_after_a_failure_loses_nothing_acknowledged() {
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let (mut store, _) = open_store(&disk).unwrap();
        commit(&mut store, 0, 3).unwrap();
        disk.fail_syncs(1);
        disk.crash_after(seed % 12);
        let mut kept = 3;
        for _ in 0..4 {
            if commit(&mut store, kept, kept + 4).is_ok() {
                kept += 4;
            }
        }
        let after = disk.after_crash(seed);
        assert!(verify_disk(&after, None).unwrap().ok, "seed {seed}");
        let (_, recovery) = open_store(&after).unwrap();
        assert!(recovery.records >= kept as u64, "seed {seed}");
        check_holds(
            &after,
            usize::try_from(recovery.records).unwrap(),
            &format!("seed {seed}"),
        );
    }
}

#[test]
fn a_head_that_cannot_be_written_holds_no_record_up_and_comes_later() {
    let disk = SimDisk::new(1);
    let (mut store, _) = open_store(&disk).unwrap();
    let mut three = group(0, 3);
    store.commit(&mut three).unwrap();
    store.absorb(&mut three);
    for _ in 0..3 {
        disk.fail_syncs(1);
        assert!(store.sign().is_err());
        assert!(store.head().is_none());
    }
    let mut two = group(3, 5);
    store.commit(&mut two).unwrap();
    store.absorb(&mut two);
    store.sign().unwrap();
    assert_eq!(store.head().unwrap().size, 5);
    assert_eq!(verified(&disk).head.unwrap().size, 5);
    assert_eq!(verified(&disk.after_crash(9)).unsigned, 0);
}

#[test]
fn a_clock_that_jumps_leaves_no_record_without_a_head() {
    let disk = SimDisk::new(2);
    let time = Arc::new(AtomicU64::new(1_765_463_452_123));
    let clock = Arc::clone(&time);
    let config = Config {
        head_ms: 1_000,
        ..Config::new("eu-1", Arc::new(move || clock.load(Ordering::Relaxed)))
    };
    let (mut store, _) = recover(&arc(&disk), config, &keys()).unwrap();
    commit(&mut store, 0, 3).unwrap();
    assert!(store.head().is_none(), "a head is not due yet");
    // The machine slept: what is old is signed before the next is written.
    time.fetch_add(3_600_000, Ordering::Relaxed);
    store.sign_if_late().unwrap();
    assert_eq!(store.head().unwrap().size, 3);
    // Set back, it no longer tells how long records have waited.
    time.fetch_sub(3_600_000, Ordering::Relaxed);
    commit(&mut store, 3, 5).unwrap();
    assert_eq!(store.head().unwrap().size, 5);
}

/// What may be done to the segment that is written to, and undone.
fn check_displaced(take_away: impl Fn(&SimDisk, &str), put_back: impl Fn(&SimDisk, &str)) {
    let disk = SimDisk::new(3);
    let live = file_name(0, Part::Log);
    let (mut store, _) = open_store(&disk).unwrap();
    commit(&mut store, 0, 3).unwrap();
    take_away(&disk, &live);
    for _ in 0..3 {
        assert_eq!(commit(&mut store, 3, 7), Err("audit-displaced"));
    }
    assert_eq!(segments_begun(&disk), 1, "nothing may hide that it is gone");
    assert_eq!(store.count(), 3);
    put_back(&disk, &live);
    commit(&mut store, 3, 5).unwrap();
    store.sign().unwrap();
    check_holds(&disk, 5, "put back");
}

fn segments_begun(disk: &SimDisk) -> usize {
    let names = disk.list().unwrap();
    let is_log = |name: &&String| name.ends_with(".log");
    names.iter().filter(is_log).count()
}

#[test]
fn a_segment_taken_away_takes_no_record_until_it_is_back() {
    check_displaced(
        |disk, live| disk.rename(live, "elsewhere.log").unwrap(),
        |disk, live| disk.rename("elsewhere.log", live).unwrap(),
    );
}

#[test]
fn a_segment_replaced_takes_no_record_until_it_is_back() {
    check_displaced(
        |disk, live| {
            disk.rename(live, "the true one").unwrap();
            let mut copy = disk.create(live).unwrap();
            copy.append(&[0; 10_000]).unwrap();
        },
        |disk, live| disk.rename("the true one", live).unwrap(),
    );
}

#[test]
fn a_segment_cut_by_another_takes_no_record() {
    let disk = SimDisk::new(3);
    let (mut store, _) = open_store(&disk).unwrap();
    commit(&mut store, 0, 3).unwrap();
    disk.tamper(&file_name(0, Part::Log), |bytes| bytes.truncate(100));
    for _ in 0..2 {
        assert_eq!(commit(&mut store, 3, 7), Err("audit-displaced"));
    }
}

#[test]
fn a_head_is_not_signed_over_records_that_are_gone() {
    let disk = SimDisk::new(4);
    let (mut store, _) = open_store(&disk).unwrap();
    let mut three = group(0, 3);
    store.commit(&mut three).unwrap();
    store.absorb(&mut three);
    disk.remove(&file_name(0, Part::Log)).unwrap();
    let failure = store.sign().unwrap_err();
    assert!(failure.is_displaced(), "{failure}");
    assert!(store.head().is_none() && store.is_unsigned());
}

#[test]
fn settings_and_keys_that_do_not_fit_are_refused() {
    let disk = written(3);
    let other = Keys::from_secrets([9; 32], &[2; 32]);
    let error = recover(&arc(&disk), config(), &other)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.code(), "audit-key-changed");
    let config = Config {
        cluster: "a b".into(),
        ..config()
    };
    let error = recover(&arc(&disk), config, &keys())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.code(), "audit-config");
    disk.remove("vkey").unwrap();
    assert_eq!(
        open_store(&disk).map(|_| ()).unwrap_err().code(),
        "audit-absent"
    );
    assert_eq!(verify_disk(&disk, None).unwrap_err().code(), "audit-absent");
}

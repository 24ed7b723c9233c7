//! The machine crashes in the middle of every operation there is, and of what
//! was not synced any part gets lost. Whatever was acknowledged is there.

use super::*;
use crate::store::Store;

/// Sizes of the groups that the workload writes.
const GROUPS: [usize; 9] = [1, 3, 8, 2, 1, 9, 1, 5, 4];
const SEEDS: u64 = 6;

/// Writes groups until the disk crashes or all are written; how many records
/// were acknowledged, from `from` on.
fn write(store: &mut Store, from: usize) -> usize {
    let mut acknowledged = from;
    for size in GROUPS {
        let mut group = group(acknowledged, acknowledged + size);
        if store.commit(&mut group).is_err() {
            return acknowledged;
        }
        acknowledged += size;
        store.absorb(&mut group);
        let _ = store.sign_if_due();
    }
    let _ = store.sign();
    acknowledged
}

/// What must hold of a disk after a crash, given that `acknowledged` records
/// were; how many there are.
fn check(disk: &SimDisk, acknowledged: usize, context: &str) -> usize {
    match verify_disk(disk, None) {
        Ok(report) => assert!(report.ok, "{context}: {report:?}"),
        Err(error) => assert!(
            error.code() == "audit-absent" && acknowledged == 0,
            "{context}"
        ),
    }
    let (store, recovery) = open_store(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(store);
    let found = all(disk);
    assert!(
        found.len() >= acknowledged,
        "{context}: {} of {acknowledged}",
        found.len()
    );
    assert_eq!(recovery.records, found.len() as u64, "{context}");
    for (index, found) in found.iter().enumerate() {
        assert_eq!(*found, json(&record(index)), "{context}");
    }
    let unknown = found.len() % 2;
    assert_eq!(recovery.open_intents.len(), unknown, "{context}");
    let report = verify_disk(disk, None).unwrap();
    assert!(report.ok, "{context}: {report:?}");
    assert_eq!(report.torn_bytes, 0, "{context}");
    assert_eq!(
        (report.events, report.unknown),
        (found.len() as u64 / 2, unknown as u64),
        "{context}"
    );
    found.len()
}

/// Operations that writing everything takes.
fn operations() -> u64 {
    let disk = SimDisk::new(0);
    let (mut store, _) = open_store(&disk).unwrap();
    write(&mut store, 0);
    assert!(segments(&disk) >= 3);
    disk.operations()
}

/// The disk after a crash in operation `at`, and how much was acknowledged.
fn crashed(at: u64, seed: u64) -> (SimDisk, usize) {
    let disk = SimDisk::new(seed);
    disk.crash_after(at);
    let acknowledged = match open_store(&disk) {
        Ok((mut store, _)) => write(&mut store, 0),
        Err(_) => 0,
    };
    assert!(disk.has_crashed());
    (
        disk.after_crash(seed.wrapping_mul(1_000).wrapping_add(at)),
        acknowledged,
    )
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_machine_crashes() {
    let mut torn = 0;
    for at in 0..operations() {
        for seed in 0..SEEDS {
            let (disk, acknowledged) = crashed(at, seed);
            torn += u64::from(verify_disk(&disk, None).is_ok_and(|report| report.torn_bytes > 0));
            check(&disk, acknowledged, &format!("crash at {at}, seed {seed}"));
        }
    }
    // Otherwise nothing was tested.
    assert!(torn > 20, "{torn} torn tails");
}

#[test]
fn a_crash_while_recovering_from_a_crash_loses_nothing_either() {
    for at in 0..operations() {
        for seed in 0..2 {
            let (first, acknowledged) = crashed(at, seed);
            for again in 0.. {
                let context = format!("crash at {at}, seed {seed}, then at {again}");
                let disk = first.after_crash(0);
                disk.crash_after(again);
                let opened = open_store(&disk).is_ok();
                if !disk.has_crashed() {
                    assert!(opened, "{context}");
                    break;
                }
                check(&disk.after_crash(again), acknowledged, &context);
            }
        }
    }
}

#[test]
fn a_log_goes_on_after_a_crash_and_survives_the_next() {
    for at in (0..operations()).step_by(3) {
        for seed in 0..3 {
            let (disk, acknowledged) = crashed(at, seed);
            let there = check(&disk, acknowledged, "the first crash");
            disk.crash_after(at.wrapping_mul(7).wrapping_add(seed) % 60);
            let acknowledged = match open_store(&disk) {
                Ok((mut store, _)) => write(&mut store, there),
                Err(_) => there,
            };
            let disk = disk.after_crash(seed);
            let context = format!("crash at {at}, seed {seed}, and again");
            let there = check(&disk, acknowledged, &context);
            let (mut store, _) = open_store(&disk).unwrap();
            let written = write(&mut store, there);
            assert_eq!(check(&disk, written, &context), written, "{context}");
            let head = verified(&disk).head.unwrap();
            assert_eq!(head.size, written as u64, "{context}");
        }
    }
}

#[test]
fn a_process_that_dies_without_a_crash_of_the_machine_loses_nothing() {
    let disk = SimDisk::new(3);
    let (mut store, _) = open_store(&disk).unwrap();
    let mut group = group(0, 5);
    store.commit(&mut group).unwrap();
    drop(store);
    let (store, recovery) = open_store(&disk).unwrap();
    assert_eq!((recovery.records, recovery.repaired_bytes), (5, 0));
    assert_eq!(recovery.open_intents[0].event, name(2));
    drop(store);
    assert_eq!(check(&disk, 5, "reopened"), 5);
}

#[test]
fn what_a_dead_process_left_in_memory_is_on_the_disk_before_a_head_covers_it() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        drop(open_store(&disk).unwrap());
        // Written, and the process killed before its sync returned.
        let link = chain::load(&disk).unwrap().links.remove(0);
        let marker = frame::Marker {
            segment: link.number,
            offset: link.start,
            first: 0,
        };
        let mut bytes = frame::marker_bytes(marker);
        for index in 0..6 {
            frame::encode_record(json(&record(index)).as_bytes(), &mut bytes);
        }
        disk.open("00000000000000000000.log")
            .unwrap()
            .append(&bytes)
            .unwrap();
        let (mut store, recovery) = open_store(&disk).unwrap();
        assert_eq!((recovery.records, recovery.repaired_bytes), (6, 0));
        store.sign().unwrap();
        check(&disk.after_crash(seed), 6, &format!("seed {seed}"));
    }
}

#[test]
fn intents_stay_unknown_over_any_number_of_segments() {
    let disk = SimDisk::new(4);
    let (mut store, _) = open_store(&disk).unwrap();
    let mut first = Group::default();
    let record = intent(999);
    let mut framed = Vec::new();
    frame::encode_record(json(&record).as_bytes(), &mut framed);
    first.push(&framed, Glance::of(&record));
    store.commit(&mut first).unwrap();
    store.absorb(&mut first);
    for from in (0..40).step_by(4) {
        let mut group = group(from, from + 4);
        store.commit(&mut group).unwrap();
        store.absorb(&mut group);
        store.sign_if_due().unwrap();
    }
    drop(store);
    assert!(segments(&disk) > 2);
    let (_, recovery) = open_store(&disk).unwrap();
    assert_eq!(recovery.open_intents.len(), 1);
    assert_eq!(recovery.open_intents[0].event, name(999));
    assert_eq!(verified(&disk).unknown, 1);
}

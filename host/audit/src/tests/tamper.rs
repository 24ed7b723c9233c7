//! Somebody changes the files. It is found, and the record named.

use super::*;
use crate::frame::{Decoded, MARKER_BYTES, PREFIX_BYTES};
use crate::merkle::leaf;
use crate::note::{NoteSigner, VerifierKey};
use crate::segment::{Part, file_name};

/// Where the frames of segment `number` stand, by index in it: from, to.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let mut found = Vec::new();
    while at < bytes.len() {
        at += match frame::decode(&bytes[at..]) {
            Decoded::Header(json) => PREFIX_BYTES + json.len(),
            Decoded::Marker(_) => MARKER_BYTES,
            Decoded::Record(payload) => {
                found.push((at, at + PREFIX_BYTES + payload.len()));
                PREFIX_BYTES + payload.len()
            }
            other => panic!("{other:?} at {at}"),
        };
    }
    found
}

/// The segment in which record `index` stands, and its place in it.
fn segment_of(disk: &SimDisk, index: u64) -> (u64, usize) {
    let chain = chain::load(disk).unwrap();
    let link = chain
        .links
        .iter()
        .rev()
        .find(|link| link.header.first <= index)
        .unwrap();
    (
        link.number,
        usize::try_from(index - link.header.first).unwrap(),
    )
}

/// Changes the segment of record `index`, given its bytes, its frames' places
/// and which of them the record is.
fn tamper(
    disk: &SimDisk,
    index: u64,
    change: impl FnOnce(&mut Vec<u8>, &[(usize, usize)], usize),
) -> String {
    let (segment, at) = segment_of(disk, index);
    let name = file_name(segment, Part::Log);
    assert!(disk.tamper(&name, |bytes| {
        let frames = frames(bytes);
        change(bytes, &frames, at);
    }));
    name
}

/// Verifying names `index` and says `why`; opening refuses if it can see it.
fn check(disk: &SimDisk, index: u64, event: Option<String>, file: &str, why: &str) {
    let report = verify_disk(disk, None).unwrap();
    let bad = report
        .first_bad
        .clone()
        .unwrap_or_else(|| panic!("not found: {report:?}"));
    assert!(!report.ok);
    assert_eq!(
        (bad.index, &bad.event, bad.file.as_str()),
        (index, &event, file),
        "{bad:?}"
    );
    assert!(bad.why.contains(why), "{bad:?}");
}

fn refuses_to_open(disk: &SimDisk) {
    assert_eq!(
        open_store(disk).map(|_| ()).unwrap_err().code(),
        "audit-corrupt"
    );
}

fn event(index: u64) -> Option<String> {
    Some(name(usize::try_from(index).unwrap() / 2))
}

fn rewrite(bytes: &mut Vec<u8>, (from, to): (usize, usize)) -> crate::merkle::Hash {
    let text = String::from_utf8(bytes[from + PREFIX_BYTES..to].to_vec()).unwrap();
    let text = text.replace("l-gent", "x-gent");
    let mut framed = Vec::new();
    frame::encode_record(text.as_bytes(), &mut framed);
    bytes.splice(from..to, framed);
    leaf(text.as_bytes())
}

const RECORDS: usize = 40;
/// Records in the first, a middle and the last segment.
const PLACES: [u64; 5] = [0, 7, 20, 37, 39];

#[test]
fn a_log_that_nobody_touched_verifies() {
    let disk = written(RECORDS);
    assert!(segments(&disk) > 3);
    let report = verified(&disk);
    assert_eq!((report.events, report.unknown, report.unsigned), (20, 0, 0));
    let text = serde_json::to_string(&report).unwrap();
    assert!(
        text.starts_with(r#"{"ok":true,"events":20,"unknown":0,"head":{"size":40,"root":""#),
        "{text}"
    );
    assert!(
        text.ends_with(r#""signed_at":"2025-12-11T14:30:52.123Z","origin":"kgents/eu-1/audit"}}"#),
        "{text}"
    );
}

#[test]
fn every_flipped_byte_of_the_log_is_found() {
    let disk = written(12);
    let chain = chain::load(&disk).unwrap();
    for link in &chain.links {
        let name = file_name(link.number, Part::Log);
        let length = disk.open(&name).unwrap().length().unwrap();
        for at in 0..usize::try_from(length).unwrap() {
            let mut before = 0;
            disk.tamper(&name, |bytes| {
                before = bytes[at];
                bytes[at] ^= 0x20;
            });
            let report = verify_disk(&disk, None).unwrap();
            assert!(!report.ok, "byte {at} of {name}");
            let bad = report.first_bad.unwrap();
            assert_eq!(bad.file, name, "byte {at} of {name}: {bad:?}");
            disk.tamper(&name, |bytes| bytes[at] = before);
        }
    }
    verified(&disk);
}

#[test]
fn a_flipped_byte_names_its_record() {
    for index in PLACES {
        let disk = written(RECORDS);
        let file = tamper(&disk, index, |bytes, frames, at| {
            bytes[frames[at].1 - 5] ^= 1
        });
        check(&disk, index, event(index), &file, "checksum");
    }
    let disk = written(RECORDS);
    tamper(&disk, 39, |bytes, frames, at| bytes[frames[at].1 - 5] ^= 1);
    refuses_to_open(&disk);
}

#[test]
fn a_removed_record_names_its_place() {
    for index in PLACES {
        let disk = written(RECORDS);
        let file = tamper(&disk, index, |bytes, frames, at| {
            bytes.drain(frames[at].0..frames[at].1);
        });
        let report = verify_disk(&disk, None).unwrap();
        let bad = report.first_bad.unwrap();
        assert_eq!(
            (bad.index, bad.file.as_str()),
            (index, file.as_str()),
            "{bad:?}"
        );
    }
    // In the middle of a group what stands there now is the next record.
    let disk = written(RECORDS);
    let file = tamper(&disk, 7, |bytes, frames, at| {
        bytes.drain(frames[at].0..frames[at].1);
    });
    check(&disk, 7, event(8), &file, "removed");
}

#[test]
fn swapped_records_name_the_first() {
    for index in [0, 6, 36] {
        let disk = written(RECORDS);
        let file = tamper(&disk, index, |bytes, frames, at| {
            let (first, second) = (frames[at], frames[at + 1]);
            let one = bytes[first.0..first.1].to_vec();
            let two = bytes[second.0..second.1].to_vec();
            bytes.splice(first.0..second.1, [two, one].concat());
        });
        check(&disk, index, event(index + 1), &file, "swapped");
    }
}

#[test]
fn an_inserted_record_is_named() {
    for index in [0, 7, 37] {
        let disk = written(RECORDS);
        let file = tamper(&disk, index, |bytes, frames, at| {
            let mut framed = Vec::new();
            frame::encode_record(json(&intent(0xbad)).as_bytes(), &mut framed);
            bytes.splice(frames[at].0..frames[at].0, framed);
        });
        check(&disk, index, Some(name(0xbad)), &file, "inserted");
    }
}

#[test]
fn a_rewritten_record_is_named_even_with_a_right_checksum() {
    for index in [1, 7, 20, 37] {
        let disk = written(RECORDS);
        let file = tamper(&disk, index, |bytes, frames, at| {
            rewrite(bytes, frames[at]);
        });
        check(&disk, index, event(index), &file, "rewritten");
    }
    let disk = written(RECORDS);
    tamper(&disk, 39, |bytes, frames, at| {
        rewrite(bytes, frames[at]);
    });
    refuses_to_open(&disk);
}

#[test]
fn a_record_rewritten_with_its_leaf_hash_is_narrowed_to_its_head() {
    for index in [1_u64, 7, 20, 37] {
        let disk = written(RECORDS);
        let mut hash = Default::default();
        let file = tamper(&disk, index, |bytes, frames, at| {
            hash = rewrite(bytes, frames[at])
        });
        let (segment, at) = segment_of(&disk, index);
        let leaves = file_name(segment, Part::Leaves);
        assert!(disk.tamper(&leaves, |bytes| {
            bytes[at * 32..at * 32 + 32].copy_from_slice(&hash);
        }));
        // Groups of three, and a head after each.
        let first = index / 3 * 3;
        let last = (first + 2).min(39);
        check(
            &disk,
            first,
            event(first),
            &file,
            &format!("a record from {first} to {last} was rewritten"),
        );
    }
    let disk = written(RECORDS);
    let mut hash = Default::default();
    tamper(&disk, 39, |bytes, frames, at| {
        hash = rewrite(bytes, frames[at])
    });
    let (segment, at) = segment_of(&disk, 39);
    disk.tamper(&file_name(segment, Part::Leaves), |bytes| {
        bytes[at * 32..at * 32 + 32].copy_from_slice(&hash);
    });
    refuses_to_open(&disk);
}

#[test]
fn a_changed_leaf_hash_is_told_from_a_changed_record() {
    let disk = written(RECORDS);
    let (segment, at) = segment_of(&disk, 20);
    let leaves = file_name(segment, Part::Leaves);
    assert!(disk.tamper(&leaves, |bytes| bytes[at * 32] ^= 1));
    check(&disk, 20, event(20), &leaves, "leaf hash was changed");
    // Leaf hashes that are missing prove nothing either way: roots do.
    let disk = written(RECORDS);
    assert!(disk.tamper(&leaves, Vec::clear));
    verified(&disk);
}

#[test]
fn a_log_cut_at_its_end_is_found_by_its_head() {
    let disk = written(RECORDS);
    let file = tamper(&disk, 39, |bytes, frames, at| bytes.truncate(frames[at].0));
    check(&disk, 39, None, &file, "ends after 39 records");
    refuses_to_open(&disk);
    // In the middle of a record it looks torn, but for the head.
    let disk = written(RECORDS);
    let file = tamper(&disk, 39, |bytes, frames, at| {
        bytes.truncate(frames[at].1 - 1)
    });
    let report = verify_disk(&disk, None).unwrap();
    assert_eq!(
        report.first_bad.map(|bad| (bad.index, bad.file)),
        Some((39, file))
    );
    refuses_to_open(&disk);
}

#[test]
fn a_missing_segment_is_found() {
    for number in [0, 1, 2] {
        let disk = written(RECORDS);
        disk.remove(&file_name(number, Part::Log)).unwrap();
        let bad = verify_disk(&disk, None).unwrap().first_bad.unwrap();
        assert_eq!(bad.file, file_name(number, Part::Log));
        assert!(bad.why.contains("missing"), "{bad:?}");
        refuses_to_open(&disk);
    }
    let disk = written(RECORDS);
    let (last, _) = segment_of(&disk, 39);
    disk.remove(&file_name(last, Part::Log)).unwrap();
    let bad = verify_disk(&disk, None).unwrap().first_bad.unwrap();
    assert_eq!(bad.file, file_name(last, Part::Log));
    refuses_to_open(&disk);
}

#[test]
fn heads_of_another_key_are_found() {
    let disk = written(RECORDS);
    let (last, _) = segment_of(&disk, 39);
    let forger = NoteSigner::new("kgents/eu-1/audit", &[66; 32]).unwrap();
    let heads = file_name(last, Part::Heads);
    let head = verified(&disk).head.unwrap();
    assert!(disk.tamper(&heads, |bytes| *bytes = forger.sign(&head.text())));
    let bad = verify_disk(&disk, None).unwrap().first_bad.unwrap();
    assert_eq!(bad.file, heads);
    assert!(bad.why.contains("not signed by this key"), "{bad:?}");
    refuses_to_open(&disk);
    // Replaced all over, key and heads: only who knows the right key sees it.
    let trusted = VerifierKey::parse(&forger.verifier().to_string()).unwrap();
    let report = verify_disk(&written(3), Some(&trusted)).unwrap();
    assert_eq!(
        report.first_bad.map(|bad| bad.file),
        Some("vkey".to_owned())
    );
    let own = NoteSigner::new("kgents/eu-1/audit", &[1; 32]).unwrap();
    assert!(verify_disk(&written(3), Some(own.verifier())).unwrap().ok);
}

#[test]
fn heads_that_were_removed_are_missed_where_a_segment_was_closed() {
    let disk = written(RECORDS);
    let heads = file_name(1, Part::Heads);
    assert!(disk.tamper(&heads, Vec::clear));
    let bad = verify_disk(&disk, None).unwrap().first_bad.unwrap();
    assert_eq!(bad.file, heads);
    assert!(bad.why.contains("missing"), "{bad:?}");
}

/// The outcome number `index` of a log that has one every ten seconds.
fn outcome_in_time(index: u64) -> Record {
    let Record::Outcome(mut kept) = outcome(usize::try_from(index).unwrap()) else {
        panic!("an outcome was made");
    };
    kept.event.spec.timestamp = crate::timestamp(1_765_463_452_123 + index * 10_000);
    Record::Outcome(kept)
}

/// A log in one segment of `records` outcomes, ten seconds apart, of which
/// heads cover all but those from `unsigned_from` on.
fn written_over_time(records: u64, unsigned_from: u64) -> SimDisk {
    let disk = SimDisk::new(0);
    let config = Config {
        segment_bytes: 1_000_000,
        head_ms: u64::MAX,
        ..config()
    };
    let (mut store, _) = recover(&arc(&disk), config, &keys()).unwrap();
    for index in 0..records {
        let record = outcome_in_time(index);
        let mut framed = Vec::new();
        frame::encode_record(json(&record).as_bytes(), &mut framed);
        let mut group = Group::default();
        group.push(&framed, Glance::of(&record));
        store.commit(&mut group).unwrap();
        store.absorb(&mut group);
        if index < unsigned_from {
            store.sign().unwrap();
        }
    }
    disk
}

fn name_in_time(index: u64) -> Option<String> {
    Some(name(usize::try_from(index).unwrap()))
}

#[test]
fn a_trail_whose_heads_were_emptied_is_damaged_from_its_first_record() {
    let (log, heads) = (file_name(0, Part::Log), file_name(0, Part::Heads));
    let zero = crate::Head {
        size: 0,
        root: crate::merkle::Tree::default().root(),
        signed_at: None,
        origin: config().origin(),
    };
    let signer = NoteSigner::new(&config().origin(), &[1; 32]).unwrap();
    for kept in [Vec::new(), signer.sign(&zero.text())] {
        let disk = written_over_time(20, 20);
        verified(&disk);
        assert!(disk.tamper(&heads, |bytes| bytes.clone_from(&kept)));
        assert!(disk.tamper(&file_name(0, Part::Leaves), Vec::clear));
        check(&disk, 0, name_in_time(0), &log, "no signed head covers it");
        refuses_to_open(&disk);
    }
}

#[test]
fn heads_cut_back_leave_their_records_damaged() {
    let disk = written_over_time(20, 20);
    let heads = file_name(0, Part::Heads);
    assert!(disk.tamper(&heads, |bytes| {
        let (first, _) = crate::note::split_first(bytes).unwrap();
        bytes.truncate(first.len());
    }));
    let log = file_name(0, Part::Log);
    check(&disk, 1, name_in_time(1), &log, "no signed head covers it");
    refuses_to_open(&disk);
}

#[test]
fn a_trail_without_its_files_of_heads_is_damaged_however_young() {
    let disk = written_over_time(2, 2);
    disk.remove(&file_name(0, Part::Heads)).unwrap();
    disk.remove(&file_name(0, Part::Leaves)).unwrap();
    let log = file_name(0, Part::Log);
    check(&disk, 0, name_in_time(0), &log, "is missing");
    refuses_to_open(&disk);
}

#[test]
fn what_a_killed_writer_had_no_time_to_sign_is_not_damage() {
    for unsigned_from in [0, 14] {
        let records = unsigned_from + 6;
        let disk = written_over_time(records, unsigned_from);
        assert_eq!(verified(&disk).unsigned, 6);
        // The next run signs it before anything is added.
        let (log, recovery) = open_log(&disk);
        assert_eq!(recovery.records, records);
        let after = disk.after_crash(1);
        assert_eq!(verified(&after).unsigned, 0);
        drop(log);
    }
}

#[test]
fn a_broken_record_before_a_group_is_never_taken_for_a_torn_one() {
    // No head covers these records: only the group behind says that they were
    // durable.
    let disk = SimDisk::new(0);
    let config = Config {
        head_ms: u64::MAX,
        ..config()
    };
    let (mut store, _) = recover(&arc(&disk), config, &keys()).unwrap();
    for from in [0, 2] {
        let mut group = group(from, from + 2);
        store.commit(&mut group).unwrap();
        store.absorb(&mut group);
    }
    drop(store);
    let last = disk.after_crash(0);
    let file = tamper(&last, 3, |bytes, frames, at| bytes[frames[at].1 - 5] ^= 1);
    assert!(verify_disk(&last, None).unwrap().torn_bytes > 0);
    tamper(&disk, 1, |bytes, frames, at| bytes[frames[at].1 - 5] ^= 1);
    check(&disk, 1, event(1), &file, "checksum");
    refuses_to_open(&disk);
}

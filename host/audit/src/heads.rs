//! Reading the heads that were signed while a segment was the last.

use crate::disk::{Disk, read_all};
use crate::note::{Head, VerifierKey, split_first};
use crate::segment::{Part, file_name};
use crate::{Damage, Error, Failure};

/// The longest that a head of ours can be, in bytes; no more can be torn, as
/// each head is durable before the next is written.
const TORN_BYTES_MAX: usize = 1024;

/// A head, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) head: Head,
    pub(crate) file: String,
    pub(crate) offset: u64,
}

/// The heads of one segment's file, all verified.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) heads: Vec<Signed>,
    /// Bytes they take; what lies beyond is a head that was cut short.
    pub(crate) bytes: u64,
    /// Whether there is no file at all. It is made with its segment, before
    /// the first record.
    pub(crate) absent: bool,
}

/// Reads and verifies the heads of segment `number`. No file is no heads.
pub(crate) fn read(disk: &dyn Disk, number: u64, key: &VerifierKey) -> Result<History, Error> {
    let name = file_name(number, Part::Heads);
    let bytes = match disk.open(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(History {
                absent: true,
                ..History::default()
            });
        }
        Err(error) => Err(Failure::new("open", &name, error)),
        Ok(file) => read_all(&*file, 0).map_err(|error| Failure::new("read", &name, error)),
    };
    Ok(parse(&bytes?, &name, key)?)
}

/// Takes heads in a row apart. The last may be cut short by a crash; anything
/// else that does not verify is damage.
fn parse(bytes: &[u8], file: &str, key: &VerifierKey) -> Result<History, Damage> {
    let mut history = History::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let fail = |why: &str| Damage {
            index: history.heads.last().map_or(0, |last| last.head.size),
            event: None,
            file: file.to_owned(),
            offset: history.bytes,
            why: why.to_owned(),
        };
        let Some((note, after)) = split_first(rest) else {
            // Bytes that never reached the disk read as zeros or not at all.
            return match rest.len() <= TORN_BYTES_MAX {
                true => Ok(history),
                false => Err(fail("what stands there are no heads")),
            };
        };
        let head = key.open(note).and_then(Head::parse);
        let head = match head {
            Err(_) if after.is_empty() && note.contains(&0) => return Ok(history),
            Err(why) => return Err(fail(&format!("the head there does not hold: {why}"))),
            Ok(head) => head,
        };
        if head.origin != key.name() {
            return Err(fail("the head there is of another log"));
        }
        if let Some(last) = history.heads.last().map(|last| &last.head)
            && (head.size < last.size || (head.size == last.size && head.root != last.root))
        {
            return Err(fail("the head there contradicts the one before"));
        }
        history.heads.push(Signed {
            head,
            file: file.to_owned(),
            offset: history.bytes,
        });
        history.bytes = history.bytes.saturating_add(note.len() as u64);
        rest = after;
    }
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteSigner;
    use proptest::prelude::*;

    const ORIGIN: &str = "kgents/eu-1/audit";

    fn signer() -> NoteSigner {
        NoteSigner::new(ORIGIN, &[7; 32]).unwrap()
    }

    fn note(size: u64, root: u8, origin: &str) -> Vec<u8> {
        let head = Head {
            size,
            root: [root; 32],
            signed_at: None,
            origin: origin.into(),
        };
        signer().sign(&head.text())
    }

    fn check(bytes: &[u8], expected: Result<usize, &str>) {
        match (parse(bytes, "h", signer().verifier()), expected) {
            (Ok(history), Ok(count)) => assert_eq!(history.heads.len(), count),
            (Err(damage), Err(why)) => assert!(damage.why.contains(why), "{damage:?}"),
            (found, _) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_head_that_was_cut_short_is_passed_over() {
        let (one, two) = (note(1, 1, ORIGIN), note(2, 2, ORIGIN));
        for cut in 0..two.len() {
            check(&[&one, &two[..cut]].concat(), Ok(1));
            let zeros = vec![0; two.len() - cut];
            check(&[&one, &two[..cut], &zeros].concat(), Ok(1));
        }
        check(&[one, two].concat(), Ok(2));
    }

    #[test]
    fn heads_that_contradict_or_are_not_ours_are_damage() {
        let one = note(5, 1, ORIGIN);
        check(
            &[one.clone(), note(4, 1, ORIGIN)].concat(),
            Err("contradicts"),
        );
        check(
            &[one.clone(), note(5, 2, ORIGIN)].concat(),
            Err("contradicts"),
        );
        check(
            &[one.clone(), note(6, 2, "kgents/us-1/audit")].concat(),
            Err("another log"),
        );
        let other = NoteSigner::new(ORIGIN, &[8; 32]).unwrap();
        let forged = other.sign(
            &Head {
                size: 9,
                root: [0; 32],
                signed_at: None,
                origin: ORIGIN.into(),
            }
            .text(),
        );
        check(
            &[one.clone(), forged].concat(),
            Err("not signed by this key"),
        );
        let mut changed = one.clone();
        changed[ORIGIN.len() + 1] = b'6';
        check(&changed, Err("signature is wrong"));
        check(&vec![b'x'; TORN_BYTES_MAX + 1], Err("no heads"));
    }

    proptest! {
        #[test]
        fn no_bytes_after_good_heads_make_the_reader_panic_or_are_read_as_heads(
            good in 0_usize..4,
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                "(kgents/eu-1/audit|\n|\n\n|— |[0-9+/=]{1,44}|\\PC){0,20}".prop_map(String::into_bytes),
            ],
        ) {
            let mut file: Vec<u8> = (0..good).flat_map(|size| note(size as u64, 1, ORIGIN)).collect();
            let signed = file.len() as u64;
            file.extend_from_slice(&bytes);
            if let Ok(history) = parse(&file, "h", signer().verifier()) {
                // Nobody signed what follows, so nothing of it is a head. A line
                // that begins like a signature may take the last one with it.
                prop_assert!(history.heads.len() <= good);
                prop_assert!(history.bytes <= signed);
                prop_assert!(history.heads.iter().zip(0..).all(|(head, size)| head.head.size == size));
            }
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_a_head(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut file = [note(1, 1, ORIGIN), note(2, 2, ORIGIN)].concat();
            let whole = parse(&file, "h", signer().verifier()).unwrap().heads.len();
            prop_assert_eq!(whole, 2);
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
            if let Ok(history) = parse(&file, "h", signer().verifier()) {
                prop_assert!(history.heads.len() < 2, "byte {} bit {}", at, bit);
            }
        }
    }
}

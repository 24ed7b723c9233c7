//! Heads of the log as signed notes, and the keys that sign and verify them.
//!
//! Source: C2SP signed-note and tlog-checkpoint, with Ed25519. Written here
//! rather than taken from the `signed_note` crate, which would bring a second
//! Ed25519 (and with `tlog_tiles` a URL parser) for these few lines; the
//! published vectors below hold both to the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::Serialize;

use crate::merkle::Hash;

/// The longest note that is looked at. A head is about 250 bytes; this leaves
/// room for cosignatures.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The signature type of Ed25519 in key ids and verifier keys.
const ED25519_TYPE: u8 = 1;
/// Em dash and space, which begin a signature line.
const DASH: &[u8] = "— ".as_bytes();
const SIGNED_AT: &str = "signed-at ";

/// What the signer of the log stood for at one moment: a C2SP checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Number of records below it.
    pub size: u64,
    /// RFC 6962 root over them, in base64.
    #[serde(serialize_with = "base64_root")]
    pub root: Hash,
    /// When it was signed, RFC 3339, from its extension line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// Whose log it is: `kgents/<cluster>/audit`.
    pub origin: String,
}

fn base64_root<S: serde::Serializer>(root: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(root))
}

impl Head {
    /// The checkpoint's text: origin, size, root and when it was signed, a
    /// line each.
    #[must_use]
    pub fn text(&self) -> String {
        let root = BASE64.encode(self.root);
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        if let Some(at) = &self.signed_at {
            text.push_str(SIGNED_AT);
            text.push_str(at);
            text.push('\n');
        }
        text
    }

    /// Reads a checkpoint's text. Extension lines of others are passed over.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('\n').ok_or("its text does not end")?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty());
        let origin = origin.ok_or("it has no origin")?;
        let digits = lines.next().ok_or("it has no size")?;
        // No sign and no leading zero: one number has one spelling.
        if digits.starts_with('+') || (digits.len() > 1 && digits.starts_with('0')) {
            return Err("its size is no number");
        }
        let size = digits.parse().map_err(|_| "its size is no number")?;
        let root = lines.next().ok_or("it has no root")?;
        let root = BASE64.decode(root).ok();
        let root = root.and_then(|bytes| Hash::try_from(bytes).ok());
        let root = root.ok_or("its root is no SHA-256 hash in base64")?;
        let mut signed_at = None;
        for line in lines {
            if line.is_empty() {
                return Err("it has an empty extension line");
            }
            if let Some(at) = line.strip_prefix(SIGNED_AT) {
                signed_at = Some(at.to_owned());
            }
        }
        Ok(Self {
            size,
            root,
            signed_at,
            origin: origin.to_owned(),
        })
    }
}

/// A public key as C2SP writes it: `<name>+<id>+<key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// Reads `<name>+<8 hex digits>+<base64 of type and key>`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("a verifier key is written <name>+<id>+<key>");
        };
        if !is_name(name) {
            return Err("its name is empty, or has white space or `+`");
        }
        let key = BASE64.decode(key).map_err(|_| "its key is not base64")?;
        let Some((&ED25519_TYPE, public)) = key.split_first() else {
            return Err("it is not an Ed25519 key");
        };
        let public = public.try_into().map_err(|_| "its key is not 32 bytes")?;
        let parsed = Self {
            name: name.to_owned(),
            public,
        };
        if id.len() != 8 || u32::from_str_radix(id, 16) != Ok(parsed.id()) {
            return Err("its id is not that of its name and key");
        }
        Ok(parsed)
    }

    /// The key's name, which is the origin of the heads it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256(name ‖ 0x0a ‖ type ‖ key), its first four bytes, big-endian.
    #[must_use]
    pub fn id(&self) -> u32 {
        let mut context = Context::new(&SHA256);
        context.update(self.name.as_bytes());
        context.update(&[b'\n', ED25519_TYPE]);
        context.update(&self.public);
        let digest = context.finish();
        let first = digest.as_ref().first_chunk::<4>().copied();
        u32::from_be_bytes(first.unwrap_or_default())
    }

    /// The text of a note that this key signed.
    ///
    /// # Errors
    /// Why it is not, in words.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, &'static str> {
        let (text, signatures) = parse_note(note)?;
        let mine =
            |signature: &&Signature<'_>| signature.name == self.name && signature.id == self.id();
        let signature = signatures.iter().find(mine);
        let signature = signature.ok_or("it is not signed by this key")?;
        UnparsedPublicKey::new(&ED25519, &self.public)
            .verify(text.as_bytes(), &signature.bytes)
            .map_err(|_| "its signature is wrong")?;
        Ok(text)
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = BASE64.encode([&[ED25519_TYPE], self.public.as_slice()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, self.id())
    }
}

/// A key pair under a name. Its `Debug` shows the public key alone.
pub struct NoteSigner {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl NoteSigner {
    /// The signer whose Ed25519 secret is `seed`. `None` if the name cannot be.
    #[must_use]
    pub fn new(name: &str, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let key = VerifierKey {
            name: is_name(name).then(|| name.to_owned())?,
            public: pair.public_key().as_ref().try_into().ok()?,
        };
        Some(Self { key, pair })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// The signed note of `text`, which ends in a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> Vec<u8> {
        let mut signature = self.key.id().to_be_bytes().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        let signature = BASE64.encode(signature);
        format!("{text}\n— {} {signature}\n", self.key.name).into_bytes()
    }
}

impl std::fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NoteSigner({})", self.key)
    }
}

struct Signature<'a> {
    name: &'a str,
    id: u32,
    bytes: Vec<u8>,
}

/// A note's text and its signatures, not yet verified.
fn parse_note(note: &[u8]) -> Result<(&str, Vec<Signature<'_>>), &'static str> {
    if note.len() > NOTE_BYTES_MAX {
        return Err("it is longer than a note may be");
    }
    let note = std::str::from_utf8(note).map_err(|_| "it is not UTF-8")?;
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err("it has control characters");
    }
    // The last blank line parts them: the text may have blank lines itself.
    let (text, lines) = note.rsplit_once("\n\n").ok_or("it has no signatures")?;
    let text = note.get(..=text.len()).unwrap_or_default();
    let lines = lines
        .strip_suffix('\n')
        .ok_or("its last line does not end")?;
    let signatures = lines.split('\n').map(parse_signature);
    let signatures = signatures.collect::<Option<Vec<_>>>();
    Ok((text, signatures.ok_or("a signature line cannot be read")?))
}

fn parse_signature(line: &str) -> Option<Signature<'_>> {
    let (name, base64) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = BASE64.decode(base64).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    if !is_name(name) || bytes.is_empty() {
        return None;
    }
    Some(Signature {
        name,
        id: u32::from_be_bytes(*id),
        bytes: bytes.to_vec(),
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('+') && !name.chars().any(char::is_whitespace)
}

/// The first of several checkpoints in a row, and what follows it. `None` if
/// what stands there is not shaped like a whole note. Nothing is verified.
#[must_use]
pub fn split_first(notes: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = notes.windows(2).position(|two| two == b"\n\n")?;
    let mut end = blank.checked_add(2)?;
    let mut signatures = 0_usize;
    while let Some(line) = notes.get(end..).filter(|rest| rest.starts_with(DASH)) {
        let length = line.iter().position(|byte| *byte == b'\n')?;
        end = end.checked_add(length)?.checked_add(1)?;
        signatures = signatures.saturating_add(1);
    }
    (signatures > 0)
        .then(|| notes.split_at_checked(end))
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Source: golang.org/x/mod/sumdb/note and the signed_note crate.
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                        then you don't know what your problem is.\n";
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    fn head() -> Head {
        Head {
            size: 7,
            root: [9; 32],
            signed_at: Some("2025-12-11T14:30:52.123Z".into()),
            origin: "kgents/eu-1/audit".into(),
        }
    }

    #[test]
    fn a_published_note_verifies() {
        let key = VerifierKey::parse(PETER).unwrap();
        assert_eq!(key.to_string(), PETER);
        let note = format!("{TEXT}\n{PETER_LINE}");
        assert_eq!(key.open(note.as_bytes()), Ok(TEXT));
        let both = format!("{TEXT}\n{ENOCH_LINE}{PETER_LINE}");
        assert_eq!(key.open(both.as_bytes()), Ok(TEXT));
    }

    #[test]
    fn signing_gives_the_published_bytes() {
        let signer = NoteSigner::new("EnochRoot", &[0; 32]).unwrap();
        let note = signer.sign(TEXT);
        assert_eq!(note, format!("{TEXT}\n{ENOCH_LINE}").into_bytes());
        assert_eq!(signer.verifier().open(&note), Ok(TEXT));
    }

    #[test]
    fn a_changed_text_name_or_key_does_not_verify() {
        let key = VerifierKey::parse(PETER).unwrap();
        let check = |note: String, expected| assert_eq!(key.open(note.as_bytes()), Err(expected));
        let note = format!("{TEXT}\n{PETER_LINE}");
        check(note.replace("think", "thank"), "its signature is wrong");
        check(
            note.replace("— Peter", "— Paul"),
            "it is not signed by this key",
        );
        check(note.replace("ZJkuBS9", "ZJkuBS8"), "its signature is wrong");
        check(
            note.replace("x08go", "x09go"),
            "it is not signed by this key",
        );
        check(note.replace('—', "-"), "a signature line cannot be read");
        check(
            note.replace("is.\n", "is.\u{1}\n"),
            "it has control characters",
        );
        check(TEXT.to_owned(), "it has no signatures");
        assert!(VerifierKey::parse(&PETER.replace("c74f", "c74e")).is_err());
        assert!(VerifierKey::parse(&PETER.replace("Peter", "Pe ter")).is_err());
    }

    #[test]
    fn a_head_comes_back_and_has_one_spelling() {
        assert_eq!(Head::parse(&head().text()), Ok(head()));
        for (from, to) in [
            ("\n7\n", "\n07\n"),
            ("\n7\n", "\n+7\n"),
            ("CQ", "C"),
            ("kgents/eu-1/audit", ""),
        ] {
            assert!(Head::parse(&head().text().replacen(from, to, 1)).is_err());
        }
        let json = serde_json::to_string(&head()).unwrap();
        assert_eq!(
            json,
            r#"{"size":7,"root":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=","signed_at":"2025-12-11T14:30:52.123Z","origin":"kgents/eu-1/audit"}"#
        );
    }

    #[test]
    fn heads_in_a_row_come_apart_and_a_torn_one_does_not() {
        let signer = NoteSigner::new("kgents/eu-1/audit", &[1; 32]).unwrap();
        let one = signer.sign(&head().text());
        let two = signer.sign(&Head { size: 9, ..head() }.text());
        let row = [one.clone(), two.clone()].concat();
        let (first, rest) = split_first(&row).unwrap();
        assert_eq!((first, rest), (&one[..], &two[..]));
        for cut in 0..two.len() {
            assert_eq!(split_first(&two[..cut]), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "(\\PC|\n|— |\\+){0,60}") {
            let key = VerifierKey::parse(PETER).unwrap();
            prop_assert!(key.open(&bytes).is_err());
            prop_assert!(key.open(text.as_bytes()).is_err());
            let _ = split_first(&bytes);
            let _ = split_first(text.as_bytes());
            let _ = Head::parse(&text);
            let _ = VerifierKey::parse(&text);
        }

        #[test]
        fn any_head_that_was_signed_opens(size in any::<u64>(), root in any::<Hash>(), seed in any::<[u8; 32]>()) {
            let signer = NoteSigner::new("kgents/eu-1/audit", &seed).unwrap();
            let head = Head { size, root, ..head() };
            let note = signer.sign(&head.text());
            prop_assert_eq!(Head::parse(signer.verifier().open(&note).unwrap()), Ok(head));
        }
    }
}

//! What a decision depends on beside the fleet: who asks, under which rules, by
//! which encoder and model, and what.

use kgents_search::words::normalise;
use sha2::{Digest, Sha256};

/// Longer questions are decided anew each time: people repeat short ones, and long
/// ones would fill the memory. In bytes of the normalised text.
pub const TEXT_BYTES_MAX: usize = 512;

/// Everything that decides beside the question and the fleet.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Root of all identities here.
    pub trust_domain: &'a str,
    /// The cluster that decides.
    pub cluster: &'a str,
    /// The caller's SPIFFE id, since policies may name it; empty for the anonymous.
    pub who: &'a str,
    /// Digest of the policies in force, by what they say: a mesh that was started
    /// again with the same files has the same decisions.
    pub policies: [u8; 32],
    /// Thresholds, in one order.
    pub thresholds: &'a [f32],
    /// Name of the encoder; `None` where words alone are searched.
    pub encoder: Option<&'a str>,
    /// Digest of what people said beside the cards: operators' examples, feedback.
    pub says: &'a [u8; 32],
    /// Version of the last training in full that the model goes back to; `None`
    /// without a model. A step that takes one changed card in keeps the version: what
    /// the card can alter is judged here, and another version forgets everything.
    pub model: Option<&'a str>,
}

/// Circumstances as one number: decisions of one scope never meet those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope([u8; 32]);

impl Scope {
    /// The scope of these circumstances.
    pub fn of(given: &Circumstances<'_>) -> Self {
        let mut digest = Sha256::new();
        let optional = |text: Option<&str>| match text {
            // No text begins with a zero byte and means nothing.
            None => "\0".to_owned(),
            Some(text) => format!("\u{1}{text}"),
        };
        text(&mut digest, given.trust_domain);
        text(&mut digest, given.cluster);
        text(&mut digest, given.who);
        digest.update(given.policies);
        digest.update(length(given.thresholds.len()));
        for threshold in given.thresholds {
            digest.update(threshold.to_bits().to_le_bytes());
        }
        digest.update(given.says);
        text(&mut digest, &optional(given.encoder));
        text(&mut digest, &optional(given.model));
        Self(digest.finalize().into())
    }
}

/// A question in its scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    scope: Scope,
    text: Box<str>,
}

impl Key {
    /// `None` for a text that is not remembered: without a letter or digit, or
    /// above [`TEXT_BYTES_MAX`].
    pub fn new(scope: Scope, text: &str) -> Option<Self> {
        let text = normalise(text);
        let fits = !text.is_empty() && text.len() <= TEXT_BYTES_MAX;
        fits.then(|| Self {
            scope,
            text: text.into(),
        })
    }

    /// Its scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The text as it is remembered.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The key as one number, in hexadecimal digits; tells nothing of the text to
    /// who does not know the rest.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.scope.0);
        digest.update(self.text.as_bytes());
        hex(&digest.finalize())
    }
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a text does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Takes a text in with its length, so that no two lists of texts are one.
pub(super) fn text(digest: &mut Sha256, text: &str) {
    digest.update(length(text.len()));
    digest.update(text.as_bytes());
}

fn length(length: usize) -> [u8; 8] {
    u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The scope of a caller where nothing else differs.
    pub(in super::super) fn scope(who: &str) -> Scope {
        Scope::of(&Circumstances { who, ..GIVEN })
    }

    const GIVEN: Circumstances<'static> = Circumstances {
        trust_domain: "mesh.local",
        cluster: "local",
        who: "spiffe://mesh.local/users/ada",
        policies: [7; 32],
        thresholds: &[0.8, 0.85],
        encoder: Some("minilm"),
        says: &[3; 32],
        model: None,
    };

    #[test]
    fn whatever_differs_makes_another_scope() {
        let others = [
            Circumstances {
                trust_domain: "other.local",
                ..GIVEN
            },
            Circumstances {
                cluster: "eu",
                ..GIVEN
            },
            Circumstances { who: "", ..GIVEN },
            Circumstances {
                policies: [8; 32],
                ..GIVEN
            },
            Circumstances {
                thresholds: &[0.8],
                ..GIVEN
            },
            Circumstances {
                thresholds: &[0.8, 0.86],
                ..GIVEN
            },
            Circumstances {
                encoder: None,
                ..GIVEN
            },
            Circumstances {
                encoder: Some(""),
                ..GIVEN
            },
            Circumstances {
                says: &[4; 32],
                ..GIVEN
            },
            Circumstances {
                model: Some("1"),
                ..GIVEN
            },
            // The same letters, divided in another way.
            Circumstances {
                trust_domain: "mesh.locall",
                cluster: "ocal",
                ..GIVEN
            },
        ];
        let mut scopes: Vec<Scope> = others.iter().map(Scope::of).collect();
        assert_eq!(Scope::of(&GIVEN), Scope::of(&GIVEN));
        scopes.push(Scope::of(&GIVEN));
        for (at, scope) in scopes.iter().enumerate() {
            assert_eq!(scopes.iter().position(|known| known == scope), Some(at));
        }
    }

    #[test]
    fn the_same_question_in_another_dress_has_the_same_key() {
        let scope = Scope::of(&GIVEN);
        let key = Key::new(scope, " Who can TRANSLATE? ").unwrap();
        assert_eq!(Some(&key), Key::new(scope, "who can translate").as_ref());
        assert_eq!(key.text(), "who can translate");
        assert_eq!(key.digest().len(), 64);
    }

    #[test]
    fn what_is_blank_or_long_is_not_remembered() {
        let scope = Scope::of(&GIVEN);
        for text in ["", " \n", "?!", &"a".repeat(TEXT_BYTES_MAX + 1)] {
            assert_eq!(Key::new(scope, text), None);
        }
        assert!(Key::new(scope, &"a".repeat(TEXT_BYTES_MAX)).is_some());
    }
}

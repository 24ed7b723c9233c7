//! Content is named by its SHA-256.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Problem;

/// A SHA-256, written `sha256:` and 64 small hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// From 32 bytes computed elsewhere, such as over a stream.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits without `sha256:`, fit for a file name.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Problem;

    /// Reads `sha256:` and 64 hexadecimal digits, in either case.
    fn from_str(text: &str) -> Result<Digest, Problem> {
        let problem = || {
            Problem::new(format!(
                "`{}` is not a digest; write `sha256:` and 64 hexadecimal digits",
                text.escape_debug().take(100).collect::<String>()
            ))
        };
        let hex = text.strip_prefix("sha256:").ok_or_else(problem)?;
        if hex.len() != 64 {
            return Err(problem());
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digits = pair.iter().try_fold(0u8, |value, digit| {
                let digit = char::from(*digit).to_digit(16)?;
                Some((value << 4) | u8::try_from(digit).ok()?)
            });
            *byte = digits.ok_or_else(problem)?;
        }
        Ok(Digest(bytes))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = Problem;

    fn try_from(text: String) -> Result<Digest, Problem> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_writes() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert_eq!(
            digest.to_string().replace("ba78", "BA78").parse::<Digest>(),
            Ok(digest)
        );
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            "sha256:",
            "sha256:ba78",
            "md5:ba7816bf8f01cfea414140de5dae2223",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        let wide = format!("sha256:{}", "é".repeat(32));
        assert!(wide.parse::<Digest>().is_err());
        let sign = format!("sha256:{}", "+1".repeat(32));
        assert!(sign.parse::<Digest>().is_err());
    }
}

//! The door of the room: a loaded model that turns texts into vectors.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::forward::Scratch;
use crate::kernel::Kernel;
use crate::model::Model;
use crate::pack::{PACKED_SHA256, check_digest};
use crate::vector::Embedding;

/// Rows of one pass over several texts. Enough to read each weight once for many rows; more
/// would only push activations out of the processor's caches.
const PASS_ROWS_MAX: usize = 128;

/// Bytes of a file that are read: well above the 23 MB of the model, far below all memory.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A sentence encoder. Shared by all threads: each call borrows or makes its own memory, at most
/// 5 MB, which the next call reuses.
#[derive(Debug)]
pub struct Encoder {
    model: Model,
    kernel: Kernel,
    scratches: Mutex<Vec<Scratch>>,
}

impl Encoder {
    /// Loads the pinned model from the file that packing wrote.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when there is no such file, [`Error::NotPinned`] when it is intact
    /// but another model, otherwise as [`Encoder::from_bytes`].
    pub fn open(path: &Path) -> Result<Encoder, Error> {
        let unreadable = |source| Error::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let encoder = Encoder::from_bytes(&bytes)?;
        check_digest("the packed model", &bytes, PACKED_SHA256)?;
        Ok(encoder)
    }

    /// Loads any packed model, pinned or not: one that the caller packed from weights of its own.
    ///
    /// # Errors
    /// [`Error::NotAModel`], [`Error::Version`], [`Error::Truncated`], [`Error::Corrupt`],
    /// [`Error::Dimension`] or [`Error::Vocabulary`] when it is not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Encoder, Error> {
        Ok(Encoder {
            model: Model::parse(bytes)?,
            kernel: Kernel::best(),
            scratches: Mutex::default(),
        })
    }

    /// The same encoder on another kernel. Vectors stay the same to the bit.
    #[must_use]
    pub fn with_kernel(mut self, kernel: Kernel) -> Encoder {
        self.kernel = kernel;
        self
    }

    /// The kernel that computes.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The text's token ids as the model sees them: `[CLS]` first, `[SEP]` last, at most 256.
    #[must_use]
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let tokens_max = self.model.dimensions.positions;
        self.model.tokenizer.tokens(text, tokens_max)
    }

    /// The vector of `text`. What is beyond 256 tokens (about 190 English words) is left out; an
    /// empty text has a vector too. Computes for milliseconds: call it off an async thread.
    #[must_use]
    pub fn encode(&self, text: &str) -> Embedding {
        let mut vectors = self.encode_all(&[text]);
        // One text in, one vector out; an empty result cannot happen.
        vectors
            .pop()
            .unwrap_or_else(|| Embedding::from_unit([0.0; crate::DIMENSIONS]))
    }

    /// The vectors of `texts`, in their order: the same as one by one, in less time.
    #[must_use]
    pub fn encode_all(&self, texts: &[&str]) -> Vec<Embedding> {
        let mut scratch = self.borrow_scratch();
        let mut vectors = Vec::with_capacity(texts.len());
        let mut pass: Vec<Vec<u32>> = Vec::new();
        let mut rows = 0;
        for text in texts {
            let ids = self.tokens(text);
            if rows + ids.len() > PASS_ROWS_MAX && !pass.is_empty() {
                vectors.extend(self.model.forward(self.kernel, &pass, &mut scratch));
                pass.clear();
                rows = 0;
            }
            rows += ids.len();
            pass.push(ids);
        }
        if !pass.is_empty() {
            vectors.extend(self.model.forward(self.kernel, &pass, &mut scratch));
        }
        self.return_scratch(scratch);
        vectors
    }

    fn borrow_scratch(&self) -> Scratch {
        // A poisoned pool is as good as any: a scratch's content never matters.
        let mut pool = self
            .scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pool.pop().unwrap_or_default()
    }

    fn return_scratch(&self, scratch: Scratch) {
        let mut pool = self
            .scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pool.push(scratch);
    }
}

/// Where the packed model lies: `kgents/models/all-minilm-l6-v2.kgmodel` in the user's cache
/// folder. Takes the values of `XDG_CACHE_HOME` and `HOME`; none when neither names a folder.
///
/// As the XDG specification wants it, an `XDG_CACHE_HOME` that is not absolute counts as unset.
#[must_use]
pub fn default_path(cache_home: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    let absolute = |path: &OsStr| Path::new(path).is_absolute().then(|| PathBuf::from(path));
    let cache = cache_home
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(cache.join("kgents/models/all-minilm-l6-v2.kgmodel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_lies_in_the_users_cache_folder() {
        let path = |cache: Option<&str>, home: Option<&str>| {
            default_path(cache.map(OsStr::new), home.map(OsStr::new))
        };
        let wanted = |folder: &str| {
            let file = "kgents/models/all-minilm-l6-v2.kgmodel";
            Some(Path::new(folder).join(file))
        };
        assert_eq!(path(Some("/c"), Some("/h")), wanted("/c"));
        assert_eq!(path(None, Some("/h")), wanted("/h/.cache"));
        assert_eq!(path(Some("relative"), Some("/h")), wanted("/h/.cache"));
        assert_eq!(path(Some(""), Some("")), None);
        assert_eq!(path(None, None), None);
    }

    #[test]
    fn a_model_that_is_not_there_is_named() {
        let error = Encoder::open(Path::new("/nonexistent/model")).unwrap_err();
        assert_eq!(error.code(), "model-unreadable");
        assert!(error.to_string().contains("`/nonexistent/model`"));
    }
}

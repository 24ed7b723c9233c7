//! What an encoder is to the mesh, wherever it computes: texts in, vectors out,
//! or the reason why there are none.

use kgents_encoder::{Embedding, Encoder};
use std::time::Duration;

/// Turns texts into vectors. Blocks: call it where that may take its time.
pub trait Encode: Send + Sync {
    /// Name of the encoder. Vectors of different names are never compared, so
    /// whatever is kept is kept under it. It stays the same once it is there;
    /// `None` until then, where only an answer can tell what the vectors are like.
    fn name(&self) -> Option<&str>;

    /// The vectors of `texts`, in their order: as many as there are texts.
    ///
    /// # Errors
    /// Why there are none; never of an encoder that computes in this process.
    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError>;

    /// How to treat an encoder that is asked elsewhere and may not answer;
    /// `None` for one that computes in this process.
    fn remote(&self) -> Option<Remote> {
        None
    }

    /// The same as [`Encode::encode`], given up after `limit` where the encoder is
    /// remote.
    ///
    /// # Errors
    /// As [`Encode::encode`].
    fn encode_within(
        &self,
        texts: &[&str],
        _limit: Duration,
    ) -> Result<Vec<Embedding>, EncodeError> {
        self.encode(texts)
    }
}

/// How to treat an encoder that is asked elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// How long somebody who waits for it waits at most.
    pub timeout: Duration,
    /// Texts in one request, at most; at least 1.
    pub batch: usize,
}

/// Why there are no vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It failed several times in a row and is left alone for a while.
    #[error("the encoder failed several times in a row and is not asked for some seconds")]
    Resting,
    /// Nobody took the connection, or it broke.
    #[error("the encoder cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the encoder did not answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// It answered, but with a status that is no success and says nothing of the
    /// texts.
    #[error("the encoder answered with status {0}")]
    Status(u16),
    /// It refused the texts: too long, or not what it takes.
    #[error("the encoder refused a text, with status {0}")]
    Input(u16),
    /// What it answered is not what was asked for.
    #[error("the encoder answered {0}")]
    Answer(&'static str),
    /// Its answer is larger than what is read.
    #[error("the encoder answered more than {0} bytes")]
    TooLarge(usize),
    /// Its vectors have another length than before, or than was asked for.
    #[error(
        "the encoder's vectors have {got} numbers instead of {expected}; if its model was \
         changed, restart the mesh"
    )]
    Dimensions {
        /// What its earlier vectors had, or what is configured.
        expected: usize,
        /// What this one has.
        got: usize,
    },
    /// The file with its key cannot be used. Never says what is in it.
    #[error("the encoder's key: {0}")]
    Key(String),
    /// There are vectors, but the store did not take them.
    #[error("the vectors cannot be kept")]
    NotKept,
}

impl EncodeError {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Resting => "encoder-resting",
            Self::Unreachable(_) => "encoder-unreachable",
            Self::TimedOut(_) => "encoder-timed-out",
            Self::Status(_) => "encoder-status",
            Self::Input(_) => "encoder-input",
            Self::Answer(_) => "encoder-answer",
            Self::TooLarge(_) => "encoder-answer-too-large",
            Self::Dimensions { .. } => "encoder-dimensions",
            Self::Key(_) => "encoder-key",
            Self::NotKept => "encoder-not-kept",
        }
    }

    /// What whoever asked a question is told: that it was decided with less, and
    /// why. Names no address.
    pub const fn note(&self) -> &'static str {
        match self {
            Self::Resting => "the encoder fails and is not asked for some seconds",
            Self::Unreachable(_) => "the encoder cannot be reached",
            Self::TimedOut(_) => "the encoder did not answer in time",
            Self::Status(_) => "the encoder answered an error",
            Self::Input(_) => "the encoder refused the text",
            Self::Answer(_) | Self::TooLarge(_) | Self::Dimensions { .. } => {
                "the encoder's answer could not be used"
            }
            Self::Key(_) => "the encoder's key could not be read",
            Self::NotKept => "the store failed",
        }
    }

    /// Whether fewer texts at once may fare better.
    pub(super) const fn may_be_size(&self) -> bool {
        matches!(
            self,
            Self::Input(_) | Self::TooLarge(_) | Self::TimedOut(_) | Self::Status(_)
        )
    }
}

/// The mesh's own model; it computes in this process and never fails.
impl Encode for Encoder {
    fn name(&self) -> Option<&str> {
        Some(kgents_encoder::NAME)
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        Ok(self.encode_all(texts))
    }
}

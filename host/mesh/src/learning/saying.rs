//! What people said beside the cards, as one number: what was decided before
//! anybody said otherwise is not served any more.

use super::feedback::Given;
use super::taught::Taught;
use sha2::{Digest, Sha256};

/// Digest of the operators' files and of the feedback, in their order.
pub(super) fn says(taught: &[Taught], given: &[Given]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut take = |text: &str| {
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(text.as_bytes());
    };
    for file in taught {
        take("file");
        take(&file.agent);
        take(file.skill.as_deref().unwrap_or_default());
        file.examples.iter().for_each(|text| take(text));
        take("counter-examples");
        file.counter_examples.iter().for_each(|text| take(text));
    }
    for given in given {
        take("feedback");
        take(&given.id);
    }
    digest.finalize().into()
}

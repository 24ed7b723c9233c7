//! A text as the rows that it is the sum of: its word pieces, and pairs of neighbours.

use std::sync::Arc;

use kgents_encoder::WordPiece;

/// Rows for pairs of neighbouring pieces. Two pairs may share one; 16,384 rows were not
/// measurably better than these.
pub(crate) const PAIR_ROWS: usize = 8_192;

/// How much a pair counts beside a piece, which counts 1.0.
pub(crate) const PAIR_WEIGHT: f32 = 0.5;

/// Pieces of a text that are looked at, `[CLS]` and `[SEP]` among them.
const PIECES_MAX: usize = 256;

/// The rows of a text. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bag {
    rows: Arc<[u32]>,
    words: usize,
}

impl Bag {
    /// Of a text; the rows of pairs come behind those of the vocabulary.
    pub(crate) fn of(text: &str, pieces: &WordPiece) -> Bag {
        let tokens = pieces.tokens(text, PIECES_MAX);
        let inner = tokens
            .get(1..tokens.len().saturating_sub(1))
            .unwrap_or_default();
        let pairs = match inner {
            [] => &[],
            _ => tokens.as_slice(),
        };
        let behind = pieces.len() as u32;
        let pairs = pairs
            .array_windows()
            .map(|[a, b]| behind + pair_row(*a, *b));
        Bag {
            words: inner.len(),
            rows: inner.iter().copied().chain(pairs).collect(),
        }
    }

    /// All rows, each with its weight: pieces, then pairs.
    #[inline(always)]
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        let words = self.words;
        let weight = move |at| if at < words { 1.0 } else { PAIR_WEIGHT };
        self.rows
            .iter()
            .enumerate()
            .map(move |(at, row)| (*row, weight(at)))
    }

    /// The pieces alone.
    pub(crate) fn words(&self) -> &[u32] {
        self.rows.get(..self.words).unwrap_or_default()
    }
}

/// FNV-1a over both ids, folded.
fn pair_row(a: u32, b: u32) -> u32 {
    let bytes = [a.to_le_bytes(), b.to_le_bytes()];
    let hash = bytes
        .as_flattened()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    ((hash ^ (hash >> 32)) % PAIR_ROWS as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_pieces_and_the_pairs_between_its_two_ends() {
        let pieces = WordPiece::parse("[UNK]\n[CLS]\n[SEP]\nbook\na\nflight").unwrap();
        let bag = Bag::of("Book a flight!", &pieces);
        assert_eq!(bag.words(), [3, 4, 5, 0]);
        let rows: Vec<(u32, f32)> = bag.rows().collect();
        assert_eq!(rows.len(), 4 + 5);
        assert_eq!(rows[4], (6 + pair_row(1, 3), PAIR_WEIGHT));
        assert_eq!(rows[8], (6 + pair_row(0, 2), PAIR_WEIGHT));
    }

    #[test]
    fn a_text_without_words_has_no_rows() {
        let pieces = WordPiece::parse("[UNK]\n[CLS]\n[SEP]\na").unwrap();
        assert_eq!(Bag::of(" \t\u{0}", &pieces).rows().count(), 0);
        assert_eq!(Bag::of("", &pieces).rows().count(), 0);
    }

    #[test]
    fn a_very_long_text_is_cut() {
        let pieces = WordPiece::parse("[UNK]\n[CLS]\n[SEP]\na").unwrap();
        assert_eq!(
            Bag::of(&"a ".repeat(5000), &pieces).words().len(),
            PIECES_MAX - 2
        );
    }

    #[test]
    fn a_pair_lies_where_the_published_measurements_had_it() {
        // From the Python that the recipe was measured with.
        assert_eq!(pair_row(101, 2129), 6503);
        assert_eq!(pair_row(3462, 102), 506);
    }
}

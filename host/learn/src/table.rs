//! The static encoder as it is shipped: one vector a word piece, and a vocabulary.
//!
//! A text's vector is the direction of the sum of its pieces' rows. How the rows were
//! made, and from what, is in `table/README.md`.

use std::sync::{Arc, OnceLock};

use kgents_encoder::WordPiece;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::bag::Bag;
use crate::tables::WORDS_DIMENSIONS;

static ROWS: &[u8] = include_bytes!("../table/static64.bin");
static VOCABULARY: &str = include_str!("../table/vocab.txt");
static BACKGROUND: &str = include_str!("../table/background.txt");

/// What `static64.bin` begins with: name and version of its form.
const MAGIC: &[u8; 8] = b"KGST1\0\0\0";

/// Magic, number of rows, numbers in a row.
const HEADER_BYTES: usize = 16;

/// The static encoder. Immutable, so shared by all models.
#[derive(Debug)]
pub struct Table {
    pieces: WordPiece,
    /// Steps of each row.
    steps: Vec<[i8; WORDS_DIMENSIONS]>,
    /// Scale of each row.
    scales: Vec<f32>,
    background: Vec<String>,
    digest: [u8; 32],
}

impl Table {
    /// The table of this build, read once.
    ///
    /// # Errors
    /// [`Error::Table`] when a part is damaged; never of a build that passed its tests.
    pub fn shipped() -> Result<Arc<Table>, Error> {
        static SHIPPED: OnceLock<Result<Arc<Table>, Error>> = OnceLock::new();
        SHIPPED
            .get_or_init(|| Table::parse(ROWS, VOCABULARY, BACKGROUND).map(Arc::new))
            .clone()
    }

    /// Reads a table: its rows (`static64.bin`), its vocabulary (`vocab.txt`) and requests
    /// of nobody in particular (`background.txt`, one a line).
    ///
    /// # Errors
    /// [`Error::Table`], naming the part, when one is damaged or they do not fit.
    pub fn parse(rows: &[u8], vocabulary: &str, background: &str) -> Result<Table, Error> {
        let damaged = |problem: String| Error::Table {
            part: "static64.bin",
            problem,
        };
        let count = header(rows).map_err(damaged)?;
        let pieces = WordPiece::parse(vocabulary).map_err(|error| Error::Table {
            part: "vocab.txt",
            problem: format!("is not one: {error}"),
        })?;
        if pieces.len() != count {
            let problem = format!("has {} tokens for {count} rows", pieces.len());
            let part = "vocab.txt";
            return Err(Error::Table { part, problem });
        }
        let body = rows.get(HEADER_BYTES..).unwrap_or_default();
        let (scales, steps) = body.split_at_checked(4 * count).unwrap_or_default();
        let (scales, _) = scales.as_chunks::<4>();
        let scales: Vec<f32> = scales
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        if let Some(row) = scales
            .iter()
            .position(|scale| !(*scale > 0.0 && *scale < 1.0))
        {
            return Err(damaged(format!(
                "has a scale in row {row} that is not above 0 and below 1"
            )));
        }
        let (steps, _) = steps.as_chunks::<WORDS_DIMENSIONS>();
        let steps = steps.iter().map(|row| row.map(u8::cast_signed)).collect();
        let mut digest = Sha256::new();
        for part in [rows, vocabulary.as_bytes(), background.as_bytes()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Ok(Table {
            pieces,
            steps,
            scales,
            background: background.lines().map(str::to_owned).collect(),
            digest: digest.finalize().into(),
        })
    }

    /// A text as a unit vector of [`WORDS_DIMENSIONS`] numbers, as the table is shipped;
    /// zeros for one without a known word. Some microseconds.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<f32> {
        self.vector(&Bag::of(text, &self.pieces))
    }

    /// Number of rows, one a token.
    pub(crate) fn len(&self) -> usize {
        self.scales.len()
    }

    /// The steps and the scale of a token's row.
    pub(crate) fn row(&self, token: u32) -> Option<(&[i8; WORDS_DIMENSIONS], f32)> {
        let at = token as usize;
        Some((self.steps.get(at)?, *self.scales.get(at)?))
    }

    /// What splits texts into tokens.
    pub(crate) fn pieces(&self) -> &WordPiece {
        &self.pieces
    }

    /// Requests of nobody in particular: what is out of scope almost everywhere.
    pub(crate) fn background(&self) -> &[String] {
        &self.background
    }

    /// SHA-256 of all its parts.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// The number of rows, or what is wrong with the file's size and beginning.
fn header(rows: &[u8]) -> Result<usize, String> {
    let Some((magic, [r0, r1, r2, r3, d0, d1, d2, d3])) = rows
        .get(..HEADER_BYTES)
        .and_then(|head| head.split_first_chunk::<8>())
        .and_then(|(magic, rest)| Some((magic, <[u8; 8]>::try_from(rest).ok()?)))
    else {
        return Err(format!("has {} bytes, fewer than its header", rows.len()));
    };
    if magic != MAGIC {
        return Err("does not begin with `KGST1`".to_owned());
    }
    let count = u32::from_le_bytes([r0, r1, r2, r3]) as usize;
    let dimensions = u32::from_le_bytes([d0, d1, d2, d3]) as usize;
    if dimensions != WORDS_DIMENSIONS {
        return Err(format!(
            "has rows of {dimensions} numbers instead of {WORDS_DIMENSIONS}"
        ));
    }
    let wanted = count
        .checked_mul(WORDS_DIMENSIONS + 4)
        .and_then(|n| n.checked_add(HEADER_BYTES));
    if wanted != Some(rows.len()) {
        return Err(format!(
            "has {} bytes, which {count} rows do not take",
            rows.len()
        ));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_is_whole_and_fits_its_vocabulary() {
        let table = Table::shipped().unwrap();
        assert_eq!(table.len(), 30_522);
        assert_eq!(table.background().len(), 2_000);
        assert!(table.row(30_521).is_some() && table.row(30_522).is_none());
    }

    #[test]
    fn a_damaged_part_is_refused_by_its_name() {
        let mut bytes = ROWS.to_vec();
        let cut = &ROWS[..ROWS.len() - 1];
        let other = [b"KGST2", &ROWS[5..]].concat();
        let wide = [&ROWS[..12], &[65, 0, 0, 0], &ROWS[16..]].concat();
        bytes[16..20].copy_from_slice(&f32::NAN.to_le_bytes());
        for (rows, vocabulary, wanted) in [
            (
                cut,
                VOCABULARY,
                "static64.bin has 2075511 bytes, which 30522 rows do not take",
            ),
            (
                &other,
                VOCABULARY,
                "static64.bin does not begin with `KGST1`",
            ),
            (
                &wide,
                VOCABULARY,
                "static64.bin has rows of 65 numbers instead of 64",
            ),
            (
                &bytes,
                VOCABULARY,
                "static64.bin has a scale in row 0 that is not above 0 and below 1",
            ),
            (
                &[],
                VOCABULARY,
                "static64.bin has 0 bytes, fewer than its header",
            ),
            (
                ROWS,
                "[UNK]\n[CLS]\n[SEP]",
                "vocab.txt has 3 tokens for 30522 rows",
            ),
            (
                ROWS,
                "a",
                "vocab.txt is not one: the vocabulary has no `[UNK]`",
            ),
        ] {
            let error = Table::parse(rows, vocabulary, "").unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(
                error.ends_with("make it again with table/make.py"),
                "{error}"
            );
        }
    }
}

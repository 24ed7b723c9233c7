//! The nearest of many directions, exactly: every one is compared. They lie in
//! blocks whose numbers are interleaved, so that one instruction multiplies and
//! adds for eight rows: 8,192 rows take 17 µs with AVX2.

use super::steps::{DIMENSIONS, Steps};

/// Rows of a block; those of a pair of dimensions fill four registers.
pub(super) const BLOCK_ROWS: usize = 32;
/// Pairs of dimensions.
const PAIRS: usize = DIMENSIONS / 2;

/// So many directions; a row without one has the cosine 0.0 with everything.
#[derive(Clone)]
pub(super) struct Block {
    /// For each pair of dimensions, each row's two numbers.
    pairs: [[i8; 2 * BLOCK_ROWS]; PAIRS],
    scales: [f32; BLOCK_ROWS],
}

/// A question as it is multiplied: two numbers of 16 bits in one of 32.
struct Query {
    pairs: [i32; PAIRS],
    scale: f32,
}

impl Block {
    /// A block without rows.
    pub(super) const fn new() -> Self {
        Self {
            pairs: [[0; 2 * BLOCK_ROWS]; PAIRS],
            scales: [0.0; BLOCK_ROWS],
        }
    }

    /// Sets a row, or empties it. One that the block does not have is passed over.
    pub(super) fn set(&mut self, row: usize, to: Option<&Steps>) {
        let Some(scale) = self.scales.get_mut(row) else {
            return;
        };
        *scale = to.map_or(0.0, |to| to.scale);
        let Some(to) = to else { return };
        let (pairs, _) = to.steps.as_chunks::<2>();
        for (all, pair) in self.pairs.iter_mut().zip(pairs) {
            let (rows, _) = all.as_chunks_mut::<2>();
            if let Some(here) = rows.get_mut(row) {
                *here = *pair;
            }
        }
    }
}

impl Query {
    fn new(steps: &Steps) -> Self {
        let mut pairs = [0; PAIRS];
        let (steps_in_pairs, _) = steps.steps.as_chunks::<2>();
        for (both, [first, second]) in pairs.iter_mut().zip(steps_in_pairs) {
            let low = i32::from(i16::from(*first).cast_unsigned());
            *both = low | (i32::from(*second) << 16);
        }
        Self {
            pairs,
            scale: steps.scale,
        }
    }
}

/// The place of the row nearest to a direction, counted over all blocks, and the
/// cosine; of equals the first. `None` without a cosine above 0.0.
pub(super) fn nearest(blocks: &[Block], to: &Steps) -> Option<(usize, f32)> {
    let query = Query::new(to);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was detected on the line before.
        return unsafe { avx2::nearest(blocks, &query) };
    }
    best(blocks, &query, dots)
}

/// The best of the rows, by products of whole numbers, whose sums are the same in
/// any order: every processor finds the same.
#[inline(always)]
fn best(
    blocks: &[Block],
    query: &Query,
    dots: impl Fn(&Block, &Query) -> [i32; BLOCK_ROWS],
) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (number, block) in blocks.iter().enumerate() {
        let mut cosines = [0.0_f32; BLOCK_ROWS];
        let sums = dots(block, query);
        for ((cosine, sum), scale) in cosines.iter_mut().zip(sums).zip(&block.scales) {
            *cosine = sum as f32 * (scale * query.scale);
        }
        let greatest = greatest(&cosines);
        if greatest > best.map_or(0.0, |(_, known)| known)
            && let Some(row) = cosines.iter().position(|cosine| *cosine == greatest)
        {
            best = Some((number * BLOCK_ROWS + row, greatest));
        }
    }
    best.map(|(place, cosine)| (place, cosine.min(1.0)))
}

/// The greatest number, in lanes that a compiler can keep apart.
#[inline(always)]
fn greatest(of: &[f32; BLOCK_ROWS]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [0.0_f32; 8];
    let (parts, _) = of.as_chunks::<8>();
    for part in parts {
        for (lane, value) in lanes.iter_mut().zip(part) {
            *lane = greater(*lane, *value);
        }
    }
    lanes.iter().fold(0.0, |max, value| greater(max, *value))
}

/// Products of all rows with a question, in plain Rust.
fn dots(block: &Block, query: &Query) -> [i32; BLOCK_ROWS] {
    let mut sums = [0_i32; BLOCK_ROWS];
    for (rows, both) in block.pairs.iter().zip(&query.pairs) {
        let (first, second) = (i32::from(*both as i16), *both >> 16);
        let (rows, _) = rows.as_chunks::<2>();
        for (sum, [left, right]) in sums.iter_mut().zip(rows) {
            *sum += i32::from(*left) * first + i32::from(*right) * second;
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{BLOCK_ROWS, Block, Query};
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16,
        _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
    };

    #[target_feature(enable = "avx2")]
    pub(super) fn nearest(blocks: &[Block], query: &Query) -> Option<(usize, f32)> {
        super::best(blocks, query, |block, query| dots(block, query))
    }

    #[target_feature(enable = "avx2")]
    fn dots(block: &Block, query: &Query) -> [i32; BLOCK_ROWS] {
        let mut totals = [_mm256_setzero_si256(); BLOCK_ROWS / 8];
        for (rows, both) in block.pairs.iter().zip(&query.pairs) {
            let both = _mm256_set1_epi32(*both);
            let (parts, _) = rows.as_chunks::<16>();
            for (total, part) in totals.iter_mut().zip(parts) {
                // SAFETY: a part is 16 bytes, which the load reads; it needs no alignment.
                let part = unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
                let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(part), both);
                *total = _mm256_add_epi32(*total, products);
            }
        }
        let mut sums = [0_i32; BLOCK_ROWS];
        let (parts, _) = sums.as_chunks_mut::<8>();
        for (part, total) in parts.iter_mut().zip(totals) {
            // SAFETY: a part is 8 numbers of 32 bits, which the store covers; it needs no
            // alignment.
            unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), total) };
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(rows: &[Option<Steps>]) -> Vec<Block> {
        let block = |rows: &[Option<Steps>]| {
            let mut block = Block::new();
            for (row, steps) in rows.iter().enumerate() {
                block.set(row, steps.as_ref());
            }
            block
        };
        rows.chunks(BLOCK_ROWS).map(block).collect()
    }

    proptest! {
        #[test]
        fn the_nearest_is_what_comparing_one_by_one_finds(
            rows in prop::collection::vec(prop::collection::vec(-9_i8..=9, DIMENSIONS), 0..80),
            query in prop::collection::vec(-127_i8..=127, DIMENSIONS),
        ) {
            let steps = |row: &Vec<i8>| {
                Steps::of(&row.iter().map(|x| f32::from(*x)).collect::<Vec<_>>())
            };
            let Some(query) = steps(&query) else { return Ok(()) };
            let rows: Vec<Option<Steps>> = rows.iter().map(steps).collect();
            let blocks = blocks(&rows);
            let cosine = |row: &Option<Steps>| row.as_ref().map_or(0.0, |row| row.cosine(&query));
            let greatest = rows.iter().map(cosine).fold(0.0_f32, f32::max);
            match nearest(&blocks, &query) {
                None => prop_assert!(greatest <= 0.0),
                Some((place, found)) => {
                    prop_assert!((cosine(&rows[place]) - found).abs() < 1e-5);
                    prop_assert!((greatest - found).abs() < 1e-5);
                }
            }
            prop_assert_eq!(nearest(&blocks, &query), best(&blocks, &Query::new(&query), dots));
        }
    }

    #[test]
    fn an_emptied_row_is_not_found() {
        let one = Steps::of(&[1.0; DIMENSIONS]).unwrap();
        let mut block = Block::new();
        block.set(31, Some(&one));
        assert_eq!(nearest(&[block.clone()], &one).map(|(at, _)| at), Some(31));
        block.set(31, None);
        block.set(99, Some(&one));
        assert_eq!(nearest(&[block], &one), None);
        assert_eq!(nearest(&[], &one), None);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut ends = [1.0; DIMENSIONS];
        ends.iter_mut().step_by(2).for_each(|x| *x = -1.0);
        let row = Steps::of(&ends).unwrap();
        let found = nearest(&blocks(&[Some(row.clone())]), &row).unwrap();
        assert!((found.1 - 1.0).abs() < 1e-5);
    }
}

//! The instructions a forward pass is made of, chosen for this processor at run time.
//!
//! The only file with `unsafe`. All paths give the same bits: products are of integers, whose
//! sums do not depend on their order, and float code is never fused or reordered by the compiler,
//! however wide its vectors are.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_loadu_si128, _mm_madd_epi16, _mm_set1_epi32,
    _mm_setzero_si128, _mm_srai_epi16, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
};

use crate::DIMENSIONS;
use crate::pack::PANEL;
use crate::vector::{Quantized, Scan};

/// Bytes of a panel for one pair of inputs: two weights of each output.
const PAIR_BYTES: usize = 2 * PANEL;

/// A set of instructions that this processor is known to have. There is no way to make one that
/// it lacks, which is what the unsafe calls below rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    Portable,
}

impl Kernel {
    /// Plain Rust, on every processor.
    pub const PORTABLE: Kernel = Kernel(Instructions::Portable);

    /// The kernels this processor can run, fastest first; never empty.
    #[must_use]
    pub fn available() -> Vec<Kernel> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") {
                kernels.push(Kernel(Instructions::Avx2));
            }
            kernels.push(Kernel(Instructions::Sse2));
        }
        kernels.push(Kernel::PORTABLE);
        kernels
    }

    /// The fastest kernel of this processor.
    #[must_use]
    pub fn best() -> Kernel {
        Kernel::available()
            .first()
            .copied()
            .unwrap_or(Kernel::PORTABLE)
    }

    /// `avx2`, `sse2` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse2 => "sse2",
            Instructions::Portable => "portable",
        }
    }

    /// Does `work` as compiled for this kernel's instructions.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Kernel` of AVX2 is only made where AVX2 was detected.
            Instructions::Avx2 => unsafe { with_avx2(work) },
            _ => work.done(),
        }
    }

    /// Scans rows: the same numbers on every kernel.
    pub(crate) fn scan(self, scan: Scan<'_>) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Kernel` of AVX2 is only made where AVX2 was detected.
            Instructions::Avx2 => unsafe { scan_avx2(scan) },
            _ => scan.done(),
        }
    }

    /// Multiplies rows of activations with one panel of weights.
    ///
    /// `activations` holds a row of packed pairs (first input in the low 16 bits, second in the
    /// high ones) for each of `sums`, which receive the panel's 16 outputs. Sums wrap, but cannot
    /// overflow within the limits that loading a model checks.
    pub(crate) fn panel(self, activations: &[i32], panel: &[u8], sums: &mut [[i32; PANEL]]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Kernel` of AVX2 is only made where AVX2 was detected.
            Instructions::Avx2 => unsafe { panel_avx2(activations, panel, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: every x86-64 processor has SSE2.
            Instructions::Sse2 => unsafe { panel_sse2(activations, panel, sums) },
            Instructions::Portable => panel_portable(activations, panel, sums),
        }
    }
}

/// Code that is compiled once for each set of instructions. A trait rather than a closure,
/// because only a named function can be told to always become part of its caller; its own
/// callees have to be `#[inline(always)]` as well.
pub(crate) trait Work {
    /// What the work is for.
    type Output;
    /// Does it. To be declared `#[inline(always)]`.
    fn done(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<W: Work>(work: W) -> W::Output {
    work.done()
}

/// Rows a tile should have so that `rows` fall into as few, as equal tiles as the registers allow.
#[cfg(target_arch = "x86_64")]
fn tile_rows(rows: usize, tile_max: usize) -> usize {
    rows.div_ceil(rows.div_ceil(tile_max).max(1)).max(1)
}

/// Rows of a tile in plain Rust: a panel's weights are spread out once for so many rows.
const PORTABLE_ROWS: usize = 4;

/// As the others, in a shape that compilers turn into widening multiply-and-adds of 16 lanes: the
/// weights of first and second inputs drawn apart, then each row's two inputs times them.
///
/// LLVM 22 computes some near-by shapes wrongly at -O3 (an array of the two inputs repeated 16
/// times, as the left operand), so a change here has to pass the test of every kernel on release.
fn panel_portable(activations: &[i32], panel: &[u8], sums: &mut [[i32; PANEL]]) {
    let (panel, _) = panel.as_chunks::<PAIR_BYTES>();
    let pairs = panel.len().max(1);
    let tiles = activations.chunks(pairs * PORTABLE_ROWS);
    for (rows, sums) in tiles.zip(sums.chunks_mut(PORTABLE_ROWS)) {
        let mut totals = [[0i32; PANEL]; PORTABLE_ROWS];
        for (at, weights) in panel.iter().enumerate() {
            let (firsts, seconds) = drawn_apart(weights);
            for (totals, both) in totals.iter_mut().zip(rows.iter().skip(at).step_by(pairs)) {
                let (first, second) = (*both as i16, (*both >> 16) as i16);
                for (total, (left, right)) in totals.iter_mut().zip(firsts.iter().zip(&seconds)) {
                    let left = i32::from(first) * i32::from(*left);
                    let right = i32::from(second) * i32::from(*right);
                    *total = total.wrapping_add(left + right);
                }
            }
        }
        sums.iter_mut()
            .zip(totals)
            .for_each(|(to, from)| *to = from);
    }
}

/// A pair of inputs' weights: those of the first input, and those of the second.
#[inline(always)]
fn drawn_apart(weights: &[u8; PAIR_BYTES]) -> ([i16; PANEL], [i16; PANEL]) {
    let (mut firsts, mut seconds) = ([0i16; PANEL], [0i16; PANEL]);
    let (weights, _) = weights.as_chunks::<2>();
    for ((first, second), [left, right]) in firsts.iter_mut().zip(&mut seconds).zip(weights) {
        *first = i16::from(left.cast_signed());
        *second = i16::from(right.cast_signed());
    }
    (firsts, seconds)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn panel_avx2(activations: &[i32], panel: &[u8], sums: &mut [[i32; PANEL]]) {
    let pairs = panel.len() / PAIR_BYTES;
    let rows = tile_rows(sums.len(), 6);
    let tiles = activations.chunks((pairs * rows).max(1));
    for (activations, sums) in tiles.zip(sums.chunks_mut(rows)) {
        match sums.len() {
            6 => tile_avx2::<6>(activations, panel, sums),
            5 => tile_avx2::<5>(activations, panel, sums),
            4 => tile_avx2::<4>(activations, panel, sums),
            3 => tile_avx2::<3>(activations, panel, sums),
            2 => tile_avx2::<2>(activations, panel, sums),
            _ => tile_avx2::<1>(activations, panel, sums),
        }
    }
}

/// One panel times `ROWS` rows, whose sums stay in registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn tile_avx2<const ROWS: usize>(activations: &[i32], panel: &[u8], sums: &mut [[i32; PANEL]]) {
    let pairs = (panel.len() / PAIR_BYTES).min(activations.len() / ROWS);
    let mut totals = [[_mm256_setzero_si256(); 2]; ROWS];
    for pair in 0..pairs {
        // SAFETY: pair < panel.len() / 32, so the 32 bytes from pair × 32 lie within the panel;
        // the loads need no alignment.
        let (low, high) = unsafe {
            let at = panel.as_ptr().add(pair * PAIR_BYTES).cast::<__m128i>();
            (_mm_loadu_si128(at), _mm_loadu_si128(at.add(1)))
        };
        let (low, high) = (_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high));
        for (row, [left, right]) in totals.iter_mut().enumerate() {
            // SAFETY: row < ROWS and pair < pairs ≤ activations.len() / ROWS, so
            // row × pairs + pair < activations.len().
            let both = unsafe { *activations.get_unchecked(row * pairs + pair) };
            let both = _mm256_set1_epi32(both);
            *left = _mm256_add_epi32(*left, _mm256_madd_epi16(both, low));
            *right = _mm256_add_epi32(*right, _mm256_madd_epi16(both, high));
        }
    }
    for (sums, [left, right]) in sums.iter_mut().zip(totals) {
        // SAFETY: `sums` is 16 i32, which the two stores of 8 cover; they need no alignment.
        unsafe {
            let at = sums.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(at, left);
            _mm256_storeu_si256(at.add(1), right);
        }
    }
}

/// Rows that are scanned at once: the query is loaded once for so many.
#[cfg(target_arch = "x86_64")]
const SCAN_ROWS: usize = 4;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn scan_avx2(scan: Scan<'_>) {
    let Scan {
        query,
        step,
        rows,
        out,
    } = scan;
    let (tiles, rest) = rows.as_chunks::<SCAN_ROWS>();
    let (outs, outs_rest) = out.as_chunks_mut::<SCAN_ROWS>();
    for (rows, out) in tiles.iter().zip(outs) {
        scan_tile_avx2(query, step, rows, out);
    }
    for (row, out) in rest.iter().zip(outs_rest) {
        scan_tile_avx2(
            query,
            step,
            std::array::from_ref(row),
            std::array::from_mut(out),
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn scan_tile_avx2<const ROWS: usize>(
    query: &[i16; DIMENSIONS],
    step: f32,
    rows: &[Quantized; ROWS],
    out: &mut [f32; ROWS],
) {
    let mut totals = [_mm256_setzero_si256(); ROWS];
    for at in (0..DIMENSIONS / 16).map(|part| part * 16) {
        // SAFETY: at + 16 ≤ DIMENSIONS, so the 16 values from `at` lie within the query; the load
        // needs no alignment.
        let query = unsafe { _mm256_loadu_si256(query.as_ptr().add(at).cast::<__m256i>()) };
        for (total, row) in totals.iter_mut().zip(rows) {
            // SAFETY: as above, of the row's values.
            let values = unsafe { _mm_loadu_si128(row.values.as_ptr().add(at).cast::<__m128i>()) };
            let products = _mm256_madd_epi16(query, _mm256_cvtepi8_epi16(values));
            *total = _mm256_add_epi32(*total, products);
        }
    }
    for ((out, total), row) in out.iter_mut().zip(totals).zip(rows) {
        let mut lanes = [0i32; 8];
        // SAFETY: `lanes` is 8 i32, which the store covers; it needs no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast::<__m256i>(), total) };
        let sum = lanes.iter().fold(0i32, |sum, lane| sum.wrapping_add(*lane));
        *out = sum as f32 * (step * row.scale);
    }
}

// A part of 16 dimensions at a time leaves none over.
#[cfg(target_arch = "x86_64")]
const _: () = assert!(DIMENSIONS.is_multiple_of(16));

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn panel_sse2(activations: &[i32], panel: &[u8], sums: &mut [[i32; PANEL]]) {
    let pairs = panel.len() / PAIR_BYTES;
    let rows = tile_rows(sums.len(), 4);
    let tiles = activations.chunks((pairs * rows).max(1));
    for (activations, sums) in tiles.zip(sums.chunks_mut(rows)) {
        for half in [0, 1] {
            match sums.len() {
                4 => half_tile_sse2::<4>(activations, panel, half, sums),
                3 => half_tile_sse2::<3>(activations, panel, half, sums),
                2 => half_tile_sse2::<2>(activations, panel, half, sums),
                _ => half_tile_sse2::<1>(activations, panel, half, sums),
            }
        }
    }
}

/// The first (0) or second (1) half of a panel times `ROWS` rows: a whole panel's sums would not
/// stay in 16 registers of 128 bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn half_tile_sse2<const ROWS: usize>(
    activations: &[i32],
    panel: &[u8],
    half: usize,
    sums: &mut [[i32; PANEL]],
) {
    let half = half.min(1);
    let pairs = (panel.len() / PAIR_BYTES).min(activations.len() / ROWS);
    let mut totals = [[_mm_setzero_si128(); 2]; ROWS];
    for pair in 0..pairs {
        // SAFETY: pair < panel.len() / 32 and half ≤ 1, so the 16 bytes from
        // pair × 32 + half × 16 lie within the panel; the load needs no alignment.
        let bytes = unsafe {
            let at = panel.as_ptr().add(pair * PAIR_BYTES).cast::<__m128i>();
            _mm_loadu_si128(at.add(half))
        };
        // Each byte into the high half of 16 bits, then shifted down with its sign.
        let low = _mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes));
        let high = _mm_srai_epi16::<8>(_mm_unpackhi_epi8(bytes, bytes));
        for (row, [left, right]) in totals.iter_mut().enumerate() {
            // SAFETY: row < ROWS and pair < pairs ≤ activations.len() / ROWS, so
            // row × pairs + pair < activations.len().
            let both = unsafe { *activations.get_unchecked(row * pairs + pair) };
            let both = _mm_set1_epi32(both);
            *left = _mm_add_epi32(*left, _mm_madd_epi16(both, low));
            *right = _mm_add_epi32(*right, _mm_madd_epi16(both, high));
        }
    }
    for (sums, [left, right]) in sums.iter_mut().zip(totals) {
        // SAFETY: `sums` is 16 i32 and half ≤ 1, so the two stores of 4 from half × 8 lie within
        // it; they need no alignment.
        unsafe {
            let at = sums.as_mut_ptr().cast::<__m128i>().add(half * 2);
            _mm_storeu_si128(at, left);
            _mm_storeu_si128(at.add(1), right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The products as the definition says, one by one.
    fn defined(activations: &[i32], panel: &[u8], rows: usize) -> Vec<[i32; PANEL]> {
        let pairs = panel.len() / PAIR_BYTES;
        let weight = |pair: usize, column: usize, side: usize| {
            i32::from(panel[pair * PAIR_BYTES + column * 2 + side] as i8)
        };
        let sum = |row: usize, column: usize| {
            (0..pairs).fold(0i32, |sum, pair| {
                let both = activations[row * pairs + pair];
                let first = i32::from(both as i16) * weight(pair, column, 0);
                let second = (both >> 16) * weight(pair, column, 1);
                sum.wrapping_add(first).wrapping_add(second)
            })
        };
        (0..rows)
            .map(|row| std::array::from_fn(|column| sum(row, column)))
            .collect()
    }

    proptest! {
        #[test]
        fn every_kernel_multiplies_as_defined(
            rows in 0usize..20,
            pairs in 1usize..50,
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            };
            // The whole range of both, so also products that wrap.
            let activations: Vec<i32> = (0..rows * pairs).map(|_| next() as i32).collect();
            let panel: Vec<u8> = (0..pairs * PAIR_BYTES).map(|_| next() as u8).collect();
            let wanted = defined(&activations, &panel, rows);
            for kernel in Kernel::available() {
                let mut sums = vec![[-1; PANEL]; rows];
                kernel.panel(&activations, &panel, &mut sums);
                prop_assert_eq!(&sums, &wanted, "{}", kernel.name());
            }
        }

        #[test]
        fn lengths_that_do_not_fit_stay_within_their_slices(
            activations in prop::collection::vec(any::<i32>(), 0..40),
            panel in prop::collection::vec(any::<u8>(), 0..200),
            rows in 0usize..9,
        ) {
            for kernel in Kernel::available() {
                let mut sums = vec![[0; PANEL]; rows];
                kernel.panel(&activations, &panel, &mut sums);
            }
        }
    }

    #[test]
    fn the_longest_sums_at_full_magnitude_are_exact() {
        let pairs = 1024;
        let activations = vec![(8191 << 16) | 8191; pairs];
        let panel = vec![127u8; pairs * PAIR_BYTES];
        for kernel in Kernel::available() {
            let mut sums = [[0; PANEL]];
            kernel.panel(&activations, &panel, &mut sums);
            assert_eq!(sums, [[2048 * 127 * 8191; PANEL]], "{}", kernel.name());
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn rows_fall_into_few_and_equal_tiles() {
        for (rows, wanted) in [(1, 1), (6, 6), (7, 4), (8, 4), (16, 6), (0, 1)] {
            assert_eq!(tile_rows(rows, 6), wanted, "{rows} rows");
        }
    }

    #[test]
    fn the_best_kernel_is_an_available_one_and_portable_always_is() {
        let available = Kernel::available();
        assert_eq!(available.first(), Some(&Kernel::best()));
        assert_eq!(available.last(), Some(&Kernel::PORTABLE));
        let names: Vec<&str> = available.iter().map(|kernel| kernel.name()).collect();
        let known = ["avx2", "sse2", "portable"];
        assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    }
}

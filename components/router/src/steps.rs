//! Vectors in whole steps: sums of their products are exact, so the same on every
//! machine, and a fraction of the work of floats, each of which the engine looks at
//! for the bits of what is not a number.

/// Largest step of an example's vector, which comes in bytes.
pub(crate) const BYTE_MAX: i16 = 127;

/// Largest step of a question's vector. The sum of [`DIMENSIONS_MAX`] products with
/// an example's stays within 32 bits, and what rounding to it costs a cosine is a
/// tenth of what the examples' own rounding does.
///
/// [`DIMENSIONS_MAX`]: crate::model::DIMENSIONS_MAX
const QUESTION_MAX: i16 = 2_047;

/// A question's vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Steps {
    steps: Vec<i16>,
    scale: f32,
}

/// A head's rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    steps: Vec<i16>,
    /// One per row.
    scales: Vec<f32>,
}

impl Steps {
    /// Of finite numbers.
    pub(crate) fn of(vector: &[f32]) -> Self {
        let mut steps = Vec::with_capacity(vector.len());
        let scale = round(vector, QUESTION_MAX, &mut steps);
        Self { steps, scale }
    }

    pub(crate) fn steps(&self) -> &[i16] {
        &self.steps
    }

    /// What a step is worth; 0.0 of zeros.
    pub(crate) fn scale(&self) -> f32 {
        self.scale
    }
}

impl Rows {
    /// Of finite numbers, each row of so many.
    pub(crate) fn of(rows: &[f32], dimensions: usize) -> Self {
        // So many steps that the sum of products with a question's stays within 32
        // bits: as many as a question's up to 512 dimensions.
        let fitting = i32::MAX as usize / (QUESTION_MAX as usize * dimensions.max(1));
        let most = i16::try_from(fitting)
            .unwrap_or(QUESTION_MAX)
            .min(QUESTION_MAX);
        let mut steps = Vec::with_capacity(rows.len());
        let rows = rows.chunks_exact(dimensions.max(1));
        let scales = rows.map(|row| round(row, most, &mut steps)).collect();
        Self { steps, scales }
    }

    /// The product of each row with the question.
    #[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
    pub(crate) fn products(&self, question: &Steps) -> Vec<f32> {
        let rows = self.steps.chunks_exact(question.steps.len().max(1));
        let mut products = Vec::with_capacity(self.scales.len());
        for (row, scale) in rows.zip(&self.scales) {
            products.push(dot_shorts(row, &question.steps) as f32 * scale * question.scale);
        }
        products
    }
}

/// Puts the steps to those there are; gives what a step is worth.
fn round(vector: &[f32], most: i16, steps: &mut Vec<i16>) -> f32 {
    let largest = vector
        .iter()
        .fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = largest / f32::from(most);
    if scale > 0.0 {
        // Half away from zero: a cast cuts off.
        let step = |x: &f32| (x / scale + 0.5_f32.copysign(*x)) as i16;
        steps.extend(vector.iter().map(step));
        return scale;
    }
    steps.extend(vector.iter().map(|_| 0));
    0.0
}

#[cfg(target_family = "wasm")]
pub(crate) use blocks::{dot_bytes, dot_shorts};

#[cfg(not(target_family = "wasm"))]
pub(crate) use plain_dot as dot_bytes;
#[cfg(not(target_family = "wasm"))]
use plain_dot as dot_shorts;

pub(crate) fn plain_dot<T: Copy + Into<i32>>(vector: &[T], question: &[i16]) -> i32 {
    let products = vector.iter().zip(question);
    products.map(|(a, b)| (*a).into() * i32::from(*b)).sum()
}

/// The same sums eight products at a time, which the compiler does not find: it
/// widens to 32 bits first, and processors without SSE 4.1 have no such product.
#[cfg(target_family = "wasm")]
mod blocks {
    use super::plain_dot;
    use core::arch::wasm32::{
        i16x8, i16x8_extend_low_i8x16, i32x4_add, i32x4_dot_i16x8, i32x4_extract_lane, i32x4_splat,
        i64x2_splat, v128,
    };

    /// Numbers that are multiplied without a loop: all of a vector of words. Each
    /// turn of a loop is also a look at the clock.
    const BLOCK: usize = 64;

    macro_rules! dot {
        ($name:ident, $number:ty, $eight:ident) => {
            #[target_feature(enable = "simd128")]
            #[inline]
            pub(crate) fn $name(vector: &[$number], question: &[i16]) -> i32 {
                let (vectors, vector_rest) = vector.as_chunks::<BLOCK>();
                let (questions, question_rest) = question.as_chunks::<BLOCK>();
                let mut lanes = i32x4_splat(0);
                for (a, b) in vectors.iter().zip(questions) {
                    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
                        lanes = i32x4_add(lanes, i32x4_dot_i16x8($eight(a), shorts(b)));
                    }
                }
                let sum = i32x4_extract_lane::<0>(lanes)
                    + i32x4_extract_lane::<1>(lanes)
                    + i32x4_extract_lane::<2>(lanes)
                    + i32x4_extract_lane::<3>(lanes);
                if vector_rest.is_empty() {
                    return sum;
                }
                sum + plain_dot(vector_rest, question_rest)
            }
        };
    }

    dot!(dot_bytes, i8, bytes);
    dot!(dot_shorts, i16, shorts);

    #[target_feature(enable = "simd128")]
    #[inline]
    fn bytes(eight: &[i8; 8]) -> v128 {
        let eight = i64::from_le_bytes(eight.map(i8::cast_unsigned));
        i16x8_extend_low_i8x16(i64x2_splat(eight))
    }

    #[target_feature(enable = "simd128")]
    #[inline]
    fn shorts(eight: &[i16; 8]) -> v128 {
        let [a, b, c, d, e, f, g, h] = *eight;
        i16x8(a, b, c, d, e, f, g, h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| ((i * 37 % 64) as f32 - 31.5) / 150.0)
            .collect()
    }

    #[test]
    fn rounding_costs_at_most_half_a_step() {
        let vector = vector(64);
        let steps = Steps::of(&vector);
        for (x, step) in vector.iter().zip(&steps.steps) {
            assert!((f32::from(*step) * steps.scale - x).abs() <= steps.scale * 0.51);
        }
        assert!(steps.scale < 1e-3);
    }

    #[test]
    fn products_are_those_of_the_floats() {
        for dimensions in [1, 63, 64, 384, 1_024] {
            let (row, question) = (vector(dimensions + 7), vector(dimensions));
            let row = &row[7..];
            let exact: f32 = row.iter().zip(&question).map(|(a, b)| a * b).sum();
            let products = Rows::of(row, dimensions).products(&Steps::of(&question));
            // Both sides are rounded by a two-thousandth of their largest number,
            // a fifth, at most.
            let bound = 1e-4 * dimensions as f32 * 0.21;
            assert!((products[0] - exact).abs() <= bound, "{dimensions}");
        }
    }

    #[test]
    fn the_largest_rows_do_not_overflow() {
        for dimensions in [1, 512, 513, crate::model::DIMENSIONS_MAX as usize] {
            let ones = vec![1.0; dimensions];
            let products = Rows::of(&ones, dimensions).products(&Steps::of(&ones));
            assert!((products[0] - dimensions as f32).abs() < 0.01 * dimensions as f32);
        }
    }

    #[test]
    fn zeros_are_zeros() {
        let steps = Steps::of(&[0.0, -0.0, 0.0]);
        assert_eq!((steps.steps(), steps.scale()), (&[0_i16; 3][..], 0.0));
        assert_eq!(Rows::of(&[0.0; 6], 3).products(&steps), [0.0, 0.0]);
    }
}

//! Sentence vectors, and the exact scan over many of them.

use crate::DIMENSIONS;
use crate::arithmetic::to_unit;
use crate::error::Error;
use crate::kernel::Kernel;

/// Largest magnitude of a stored value.
const VALUE_MAX: f32 = 127.0;

/// Largest magnitude of a query's value during a scan: 384 × 127 × 32767 fits an i32.
const QUERY_MAX: f32 = 32767.0;

/// A text's meaning as a direction: 384 numbers, of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    values: Box<[f32; DIMENSIONS]>,
}

impl Embedding {
    /// Takes a vector that is of length 1 already.
    pub(crate) fn from_unit(values: [f32; DIMENSIONS]) -> Embedding {
        Embedding {
            values: Box::new(values),
        }
    }

    /// The direction of `values`, whatever their length. For vectors that come from elsewhere.
    ///
    /// # Errors
    /// [`Error::Vector`] when they have no direction: all are zero or one is not finite.
    pub fn normalised(values: &[f32; DIMENSIONS]) -> Result<Embedding, Error> {
        let largest = values
            .iter()
            .fold(0.0f32, |max, value| max.max(value.abs()));
        if largest == 0.0 || values.iter().any(|value| !value.is_finite()) {
            return Err(Error::Vector {
                problem: "is zero or not finite, so it has no direction",
            });
        }
        // Divided by its largest first, so that its squares neither overflow nor vanish.
        let mut values = values.map(|value| value / largest);
        to_unit(&mut values);
        Ok(Embedding::from_unit(values))
    }

    /// The 384 numbers, whose squares add up to 1.
    #[must_use]
    pub fn values(&self) -> &[f32; DIMENSIONS] {
        &self.values
    }

    /// Cosine similarity: 1 for the same direction, 0 for unrelated, -1 for opposite.
    #[must_use]
    pub fn cosine(&self, other: &Embedding) -> f32 {
        let products = self.values.iter().zip(other.values.iter());
        products.map(|(left, right)| left * right).sum()
    }

    /// The compact form for an index.
    #[must_use]
    pub fn quantised(&self) -> Quantized {
        quantize(self)
    }
}

/// A stored vector: a quarter of the memory, its cosines within 0.01 of the exact ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// Steps of each dimension, -127 to 127.
    pub values: [i8; DIMENSIONS],
    /// Size of a step, such that `values` times it have length 1. Above 0.
    pub scale: f32,
}

impl Quantized {
    /// Length of [`Quantized::to_bytes`].
    pub const BYTES: usize = DIMENSIONS + 4;

    /// The stored form: the scale as a little-endian f32, then the values.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Quantized::BYTES] {
        let mut bytes = [0; Quantized::BYTES];
        let values = self.values.iter().map(|value| value.cast_unsigned());
        let all = self.scale.to_le_bytes().into_iter().chain(values);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Error::Vector`] when the length is not 388, a value is -128, or the scale is not the one
    /// that gives the values length 1.
    pub fn from_bytes(bytes: &[u8]) -> Result<Quantized, Error> {
        let wrong_length = Error::Vector {
            problem: "is not 388 bytes long",
        };
        let Some((scale, values)) = bytes.split_first_chunk::<4>() else {
            return Err(wrong_length);
        };
        let Ok(values) = <[u8; DIMENSIONS]>::try_from(values) else {
            return Err(wrong_length);
        };
        let values = values.map(u8::cast_signed);
        let scale = f32::from_le_bytes(*scale);
        if values.contains(&i8::MIN) || unit_scale(&values) != Some(scale) {
            return Err(Error::Vector {
                problem: "has a scale that does not fit its values",
            });
        }
        Ok(Quantized { values, scale })
    }
}

/// The step that gives `values` length 1; none for zeros. Exact sum, so the same everywhere.
fn unit_scale(values: &[i8; DIMENSIONS]) -> Option<f32> {
    let squares: i32 = values.iter().map(|value| i32::from(*value).pow(2)).sum();
    (squares > 0).then(|| 1.0 / (squares as f32).sqrt())
}

/// Rounds an embedding to int8 steps of its largest value.
#[must_use]
pub fn quantize(embedding: &Embedding) -> Quantized {
    let values = steps(embedding, VALUE_MAX).map(|step| step as i8);
    let scale = unit_scale(&values).unwrap_or(1.0);
    Quantized { values, scale }
}

/// Each value in steps of which the largest magnitude has `most`.
fn steps(embedding: &Embedding, most: f32) -> [f32; DIMENSIONS] {
    let values = embedding.values();
    let largest = values
        .iter()
        .fold(0.0f32, |max, value| max.max(value.abs()));
    let inverse = if largest > 0.0 { most / largest } else { 0.0 };
    values.map(|value| (value * inverse).round().clamp(-most, most))
}

/// A query made ready to be compared with vectors, wherever they lie: an index keeps them in many
/// places, and making it ready costs as much as comparing a hundred.
#[derive(Debug, Clone)]
pub struct Query {
    steps: Box<[i16; DIMENSIONS]>,
    /// Size of a step, such that `steps` times it have length 1.
    step: f32,
    kernel: Kernel,
}

impl Query {
    /// For this processor's fastest kernel.
    #[must_use]
    pub fn new(query: &Embedding) -> Query {
        Query::with(Kernel::best(), query)
    }

    /// For a chosen kernel: the same numbers, at another speed.
    #[must_use]
    pub fn with(kernel: Kernel, query: &Embedding) -> Query {
        let steps = steps(query, QUERY_MAX).map(|step| step as i16);
        let squares: i64 = steps.iter().map(|step| i64::from(*step).pow(2)).sum();
        let step = if squares > 0 {
            1.0 / (squares as f32).sqrt()
        } else {
            0.0
        };
        Query {
            steps: Box::new(steps),
            step,
            kernel,
        }
    }

    /// Cosine with each of `rows`, in their order, appended to `out` after clearing it.
    ///
    /// Scans all rows with exact integer products (the query at 16 bits), so a score depends on
    /// nothing but its row and the query, and is the same on every processor.
    pub fn scores(&self, rows: &[Quantized], out: &mut Vec<f32>) {
        out.clear();
        out.resize(rows.len(), 0.0);
        self.kernel.scan(Scan {
            query: &self.steps,
            step: self.step,
            rows,
            out,
        });
    }
}

/// [`Query::scores`] for a query that is compared once.
pub fn scores(query: &Embedding, rows: &[Quantized], out: &mut Vec<f32>) {
    Query::new(query).scores(rows, out);
}

/// [`scores`] on a chosen kernel: the same numbers, at another speed.
pub fn scores_with(kernel: Kernel, query: &Embedding, rows: &[Quantized], out: &mut Vec<f32>) {
    Query::with(kernel, query).scores(rows, out);
}

/// A query and what it is compared with.
pub(crate) struct Scan<'a> {
    pub(crate) query: &'a [i16; DIMENSIONS],
    /// Size of the query's step.
    pub(crate) step: f32,
    pub(crate) rows: &'a [Quantized],
    /// One for each row.
    pub(crate) out: &'a mut [f32],
}

impl Scan<'_> {
    /// By the definition. Sums wrap but cannot overflow, so their order does not matter.
    pub(crate) fn done(self) {
        for (out, row) in self.out.iter_mut().zip(self.rows) {
            let mut sum = 0i32;
            for (query, value) in self.query.iter().zip(&row.values) {
                sum = sum.wrapping_add(i32::from(*query) * i32::from(*value));
            }
            *out = sum as f32 * (self.step * row.scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn embedding() -> impl Strategy<Value = Embedding> {
        prop::collection::vec(-1.0f32..1.0, DIMENSIONS)
            .prop_map(|values| Embedding::normalised(&values.try_into().unwrap()).unwrap())
    }

    proptest! {
        #[test]
        fn a_quantised_value_is_within_half_a_step(vector in embedding()) {
            let stored = quantize(&vector);
            let largest = vector.values().iter().fold(0.0f32, |max, v| max.max(v.abs()));
            let step = largest / 127.0;
            for (value, steps) in vector.values().iter().zip(stored.values) {
                prop_assert!((f32::from(steps) * step - value).abs() <= step * 0.5001);
            }
            prop_assert!((stored.scale / step - 1.0).abs() < 0.01);
        }

        #[test]
        fn scanned_scores_are_near_the_exact_cosines(
            query in embedding(),
            vectors in prop::collection::vec(embedding(), 0..6),
        ) {
            let rows: Vec<Quantized> = vectors.iter().map(quantize).collect();
            let mut out = vec![9.0];
            scores(&query, &rows, &mut out);
            prop_assert_eq!(out.len(), rows.len());
            for (found, vector) in out.iter().zip(&vectors) {
                prop_assert!((found - query.cosine(vector)).abs() < 0.01);
            }
        }

        #[test]
        fn every_kernel_scans_to_the_same_bits(
            query in embedding(),
            vectors in prop::collection::vec(embedding(), 1..11),
        ) {
            let rows: Vec<Quantized> = vectors.iter().map(quantize).collect();
            let bits = |kernel| {
                let mut out = Vec::new();
                scores_with(kernel, &query, &rows, &mut out);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            for kernel in Kernel::available() {
                prop_assert_eq!(bits(kernel), bits(Kernel::PORTABLE), "{}", kernel.name());
            }
        }

        #[test]
        fn a_stored_vector_reads_back_as_it_was(vector in embedding()) {
            let stored = quantize(&vector);
            prop_assert_eq!(Quantized::from_bytes(&stored.to_bytes()).unwrap(), stored);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
            if let Err(error) = Quantized::from_bytes(&bytes) {
                prop_assert_eq!(error.code(), "vector-malformed");
            }
        }
    }

    #[test]
    fn a_vector_is_its_own_nearest() {
        let mut values = [0.1f32; DIMENSIONS];
        values[7] = -0.3;
        let vector = Embedding::normalised(&values).unwrap();
        let mut out = Vec::new();
        scores(&vector, &[vector.quantised()], &mut out);
        assert!((out[0] - 1.0).abs() < 1e-3, "{out:?}");
    }

    #[test]
    fn sums_at_full_magnitude_do_not_overflow() {
        let vector = Embedding::normalised(&[1.0; DIMENSIONS]).unwrap();
        let opposite = Embedding::normalised(&[-1.0; DIMENSIONS]).unwrap();
        for kernel in Kernel::available() {
            let mut out = Vec::new();
            let rows = [vector.quantised(), opposite.quantised()];
            scores_with(kernel, &vector, &rows, &mut out);
            assert!(
                (out[0] - 1.0).abs() < 1e-5 && (out[1] + 1.0).abs() < 1e-5,
                "{out:?}"
            );
        }
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        for value in [0.0, f32::NAN, f32::INFINITY] {
            let mut values = [0.0; DIMENSIONS];
            values[3] = value;
            let error = Embedding::normalised(&values).unwrap_err();
            assert_eq!(error.code(), "vector-malformed");
        }
        let tiny = Embedding::normalised(&[f32::MIN_POSITIVE; DIMENSIONS]).unwrap();
        let huge = Embedding::normalised(&[f32::MAX; DIMENSIONS]).unwrap();
        assert!((tiny.cosine(&huge) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_stored_vector_that_was_tampered_with_is_refused() {
        let stored = Embedding::normalised(&[1.0; DIMENSIONS])
            .unwrap()
            .quantised();
        let bytes = stored.to_bytes();
        assert!(Quantized::from_bytes(&bytes[1..]).is_err());
        assert!(Quantized::from_bytes(&[0; Quantized::BYTES]).is_err());
        let mut changed = bytes;
        changed[100] = 128;
        assert!(Quantized::from_bytes(&changed).is_err());
        let mut changed = bytes;
        changed[100] = 5;
        assert!(Quantized::from_bytes(&changed).is_err());
    }
}

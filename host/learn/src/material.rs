//! A lesson made ready: texts as bags, lines as vectors.

use std::collections::HashMap;

use crate::bag::Bag;
use crate::lanes;
use crate::ports::Sentences;
use crate::table::Table;
use crate::tables::{Examples, Vectors, WORDS_DIMENSIONS};
use crate::tuning::Tuned;
use crate::{Error, Lesson};

/// Numbers that a sentence vector may have; the router takes no more.
const DIMENSIONS_MAX: usize = 4_096;

/// A lesson with all that does not depend on what is learnt from it.
#[derive(Debug)]
pub(crate) struct Material {
    /// Its lines are in the order of their routes.
    pub(crate) lesson: Lesson,
    /// One per line.
    pub(crate) bags: Vec<Bag>,
    /// Each line in the encoder as shipped.
    pub(crate) plain: Examples,
    pub(crate) sentences: Option<Spoken>,
}

/// The lines in a sentence encoder.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) encoder: String,
    pub(crate) dimensions: usize,
    /// One per line; zeros for one that could not be encoded.
    pub(crate) lines: Examples,
}

impl Material {
    /// Reads a lesson. What `known` already has of its texts is not computed again.
    pub(crate) fn new(
        lesson: Lesson,
        table: &Table,
        encoder: Option<&dyn Sentences>,
        known: Option<&Material>,
    ) -> Result<Material, Error> {
        let lesson = lesson.ordered()?;
        let known_lines = known.map(|known| known.lesson.lines.as_slice());
        let places: HashMap<&str, usize> = known_lines
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(at, line)| (line.text.as_str(), at))
            .collect();
        let place = |text: &str| places.get(text).copied();
        let mut bags = Vec::with_capacity(lesson.lines.len());
        let mut plain = Examples::default();
        for line in &lesson.lines {
            let known = known.zip(place(&line.text));
            let bag = known.and_then(|(known, at)| known.bags.get(at).cloned());
            let bag = bag.unwrap_or_else(|| Bag::of(&line.text, table.pieces()));
            let is_known =
                known.is_some_and(|(known, at)| plain.copy(&known.plain, at, WORDS_DIMENSIONS));
            if !is_known {
                plain.push(&table.vector(&bag));
            }
            bags.push(bag);
        }
        let known = known.and_then(|known| known.sentences.as_ref());
        let sentences = match encoder {
            Some(encoder) => spoken(&lesson, encoder, |text| known.zip(place(text)))?,
            None => None,
        };
        Ok(Material {
            lesson,
            bags,
            plain,
            sentences,
        })
    }

    /// The line as a question, with its sentence vector if there is one.
    pub(crate) fn question(
        &self,
        at: usize,
        tuned: &Tuned,
        with_sentence: bool,
    ) -> Option<Vectors> {
        let sentence = || {
            let spoken = self.sentences.as_ref().filter(|_| with_sentence)?;
            let mut vector = spoken.lines.vector(at, spoken.dimensions)?;
            lanes::unit(&mut vector);
            vector.iter().any(|x| *x != 0.0).then_some(vector)
        };
        Some(Vectors {
            words: tuned.vector(self.bags.get(at)?),
            plain: self.plain.vector(at, WORDS_DIMENSIONS).map(|mut plain| {
                lanes::unit(&mut plain);
                plain
            })?,
            sentence: sentence(),
        })
    }

    /// Whether both routes are the same agent's, in whatever cluster: the router takes
    /// their shares together, and which cluster answers is no matter of what was asked.
    pub(crate) fn is_same_agent(&self, one: usize, other: usize) -> bool {
        let agent = |at: usize| self.lesson.routes.get(at).map(|route| &route.agent);
        agent(one).is_some() && agent(one) == agent(other)
    }
}

/// A sentence vector as it is used: of length 1, or none.
pub(crate) fn encoded(encoder: &dyn Sentences, text: &str) -> Result<Option<Vec<f32>>, Error> {
    let Some(mut vector) = encoder.encode(text) else {
        return Ok(None);
    };
    let dimensions = encoder.dimensions();
    if vector.len() != dimensions {
        return Err(Error::Sentences {
            encoder: encoder.name().to_owned(),
            problem: format!(
                "gave a vector of {} numbers instead of {dimensions}",
                vector.len()
            ),
        });
    }
    lanes::unit(&mut vector);
    Ok(vector.iter().any(|x| *x != 0.0).then_some(vector))
}

/// All lines in the encoder; none when more than half of them cannot be encoded now: a
/// head that learnt from the others would speak for routes that it never saw.
fn spoken<'a>(
    lesson: &Lesson,
    encoder: &dyn Sentences,
    known: impl Fn(&str) -> Option<(&'a Spoken, usize)>,
) -> Result<Option<Spoken>, Error> {
    let dimensions = encoder.dimensions();
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(Error::Sentences {
            encoder: encoder.name().to_owned(),
            problem: format!("has {dimensions} dimensions, it may have 1 to {DIMENSIONS_MAX}"),
        });
    }
    let zeros = vec![0.0; dimensions];
    let (mut lines, mut missing) = (Examples::default(), 0);
    for line in &lesson.lines {
        let known = known(&line.text).filter(|(known, at)| known.lines.is_any(*at, dimensions));
        if known.is_some_and(|(known, at)| lines.copy(&known.lines, at, dimensions)) {
            continue;
        }
        let vector = encoded(encoder, &line.text)?;
        missing += usize::from(vector.is_none());
        lines.push(vector.as_ref().unwrap_or(&zeros));
    }
    let most_are_missing = 2 * missing > lesson.lines.len();
    Ok((!most_are_missing).then(|| Spoken {
        encoder: encoder.name().to_owned(),
        dimensions,
        lines,
    }))
}

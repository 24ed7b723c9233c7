//! Which texts of one block have which words, and BM25 over them.
//! Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework:
//! BM25 and Beyond", 2009.

use crate::dictionary::{Dictionary, Hash};
use crate::words::words;
use std::ops::Range;

/// Term saturation, the usual value.
const K1: f32 = 1.2;
/// Length normalisation, the usual value.
const B: f32 = 0.75;

/// Number of a text within its block.
pub(crate) type Document = u16;

/// Where one word's postings lie in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Number of texts that have the word.
    pub(crate) fn len(self) -> u32 {
        self.end - self.start
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What BM25 has to know of all texts of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Corpus {
    documents: f32,
    /// What a text's saturation is without its length, and what each word adds.
    base: f32,
    slope: f32,
}

impl Corpus {
    /// What no word's [`Corpus::weight`] exceeds.
    pub(crate) const WEIGHT_MAX: f32 = K1 + 1.0;

    /// Of the exact number of texts and words, so that it does not depend on how they came.
    pub(crate) fn new(documents: u64, words: u64) -> Self {
        let mean = (words as f64 / (documents as f64).max(1.0)).max(1.0) as f32;
        Self {
            documents: documents as f32,
            base: K1 * (1.0 - B),
            slope: K1 * B / mean,
        }
    }

    /// Inverse document frequency, above 0 also for words that are everywhere.
    pub(crate) fn rarity(&self, containing: u64) -> f32 {
        let containing = containing as f32;
        ((self.documents - containing + 0.5) / (containing + 0.5)).ln_1p()
    }

    /// What a word counts that occurs `count` times in a text of `length` words, per rarity.
    pub(crate) fn weight(&self, count: u16, length: u16) -> f32 {
        let count = f32::from(count);
        count * (K1 + 1.0) / (count + (self.base + self.slope * f32::from(length)))
    }
}

/// The words of a block's texts.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    dictionary: Dictionary,
    /// Where each word's postings begin, and where the last ones end.
    starts: Vec<u32>,
    /// Ascending within a word.
    documents: Vec<Document>,
    counts: Vec<u16>,
    /// Words of each text. A text is clipped to 16 KiB, so 16 bits are enough.
    lengths: Vec<u16>,
    length_total: u64,
}

impl Postings {
    /// Number of words of all texts together.
    pub(crate) fn length_total(&self) -> u64 {
        self.length_total
    }

    /// Where a word's postings are; empty for one that does not occur.
    pub(crate) fn find(&self, word: &str, hash: Hash) -> Span {
        let number = self.dictionary.find(word, hash);
        number
            .and_then(|number| self.span(number))
            .unwrap_or_default()
    }

    fn span(&self, number: u32) -> Option<Span> {
        let at = number as usize;
        let (start, end) = (*self.starts.get(at)?, *self.starts.get(at + 1)?);
        Some(Span { start, end })
    }

    /// Adds a word's share to the scores of the texts that have it. Called in the
    /// order of the question's words, which makes the sums the same everywhere.
    pub(crate) fn add_scores(&self, span: Span, rarity: f32, corpus: &Corpus, scores: &mut [f32]) {
        for (document, count) in self.occurrences(span, 0) {
            let at = usize::from(document);
            if let (Some(score), Some(length)) = (scores.get_mut(at), self.lengths.get(at)) {
                *score += rarity * corpus.weight(count, *length);
            }
        }
    }

    /// The same for some texts only; `scores` begins with the first of them.
    pub(crate) fn add_scores_within(
        &self,
        (span, rarity): (Span, f32),
        texts: Range<usize>,
        corpus: &Corpus,
        scores: &mut [f32],
    ) {
        let documents = self.documents.get(span.range()).unwrap_or_default();
        let from = documents.partition_point(|document| usize::from(*document) < texts.start);
        for (document, count) in self.occurrences(span, from) {
            let at = usize::from(document);
            let score = scores.get_mut(at - texts.start);
            let (Some(score), Some(length)) = (score, self.lengths.get(at)) else {
                break;
            };
            *score += rarity * corpus.weight(count, *length);
        }
    }

    /// The texts of a span after the first `skip`, with how often the word occurs.
    #[inline]
    fn occurrences(&self, span: Span, skip: usize) -> impl Iterator<Item = (Document, u16)> + '_ {
        let range = span.range().start + skip..span.range().end;
        let documents = self.documents.get(range.clone()).unwrap_or_default();
        let counts = self.counts.get(range).unwrap_or_default();
        documents.iter().copied().zip(counts.iter().copied())
    }

    /// Whether a text is among a word's postings.
    pub(crate) fn has(&self, span: Span, document: usize) -> bool {
        let documents = self.documents.get(span.range()).unwrap_or_default();
        let order = |known: &Document| usize::from(*known).cmp(&document);
        documents.binary_search_by(order).is_ok()
    }

    /// The postings by text: what a block is rebuilt from.
    pub(crate) fn unfolded(&self) -> Unfolded<'_> {
        let mut ends = vec![0u32; self.lengths.len()];
        for document in &self.documents {
            if let Some(end) = ends.get_mut(usize::from(*document)) {
                *end += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            let start = sum;
            sum += *end;
            // Where the next entry of the text goes; at last its end.
            *end = start;
        }
        let mut entries = vec![Entry { word: 0, count: 0 }; self.documents.len()];
        for word in 0..self.dictionary.len() as u32 {
            let span = self.span(word).unwrap_or_default();
            for (document, count) in self.occurrences(span, 0) {
                let Some(next) = ends.get_mut(usize::from(document)) else {
                    continue;
                };
                if let Some(entry) = entries.get_mut(*next as usize) {
                    *entry = Entry { word, count };
                }
                *next += 1;
            }
        }
        Unfolded {
            postings: self,
            entries,
            ends,
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.dictionary.bytes()
            + self.starts.capacity() * size_of::<u32>()
            + self.documents.capacity() * size_of::<Document>()
            + (self.counts.capacity() + self.lengths.capacity()) * size_of::<u16>()
    }
}

/// One word of one text.
#[derive(Clone, Copy, Debug)]
struct Entry {
    word: u32,
    count: u16,
}

/// A block's postings, by text.
pub(crate) struct Unfolded<'a> {
    postings: &'a Postings,
    entries: Vec<Entry>,
    /// Where each text's entries end.
    ends: Vec<u32>,
}

impl Unfolded<'_> {
    fn entries(&self, document: usize) -> &[Entry] {
        let before = document.checked_sub(1).and_then(|at| self.ends.get(at));
        let start = before.copied().unwrap_or(0) as usize;
        let end = self.ends.get(document).copied().unwrap_or(0) as usize;
        self.entries.get(start..end).unwrap_or_default()
    }

    /// Whose texts these are, to begin a [`Renumbered`] for another block.
    pub(crate) fn renumbered(&self) -> Renumbered {
        Renumbered(vec![None; self.postings.dictionary.len()])
    }
}

/// The numbers that an old block's words have in a new one, as far as they are known.
pub(crate) struct Renumbered(Vec<Option<u32>>);

/// Collects the texts of a new block, in order.
#[derive(Default)]
pub(crate) struct Builder {
    dictionary: Dictionary,
    entries: Vec<Entry>,
    /// Where each text's entries end.
    ends: Vec<usize>,
    lengths: Vec<u16>,
    /// Occurrences of each word in the text at hand; all 0 between texts.
    counts: Vec<u16>,
}

impl Builder {
    /// Adds a new text.
    pub(crate) fn add(&mut self, text: &str) {
        let start = self.entries.len();
        let mut length = 0u16;
        for word in words(text) {
            let word = self.dictionary.intern(&word, Hash::of(&word));
            let at = word as usize;
            if at >= self.counts.len() {
                self.counts.resize(at + 1, 0);
            }
            let Some(count) = self.counts.get_mut(at) else {
                continue;
            };
            if *count == 0 {
                self.entries.push(Entry { word, count: 0 });
            }
            *count = count.saturating_add(1);
            length = length.saturating_add(1);
        }
        for entry in self.entries.iter_mut().skip(start) {
            if let Some(count) = self.counts.get_mut(entry.word as usize) {
                entry.count = std::mem::take(count);
            }
        }
        self.end(length);
    }

    /// Adds a text of an old block as it was.
    pub(crate) fn keep(&mut self, old: &Unfolded<'_>, document: usize, known: &mut Renumbered) {
        for entry in old.entries(document) {
            let Some(known) = known.0.get_mut(entry.word as usize) else {
                continue;
            };
            let number = match *known {
                Some(number) => number,
                None => {
                    let Some((word, hash)) = old.postings.dictionary.word(entry.word) else {
                        continue;
                    };
                    *known.insert(self.dictionary.intern(word, hash))
                }
            };
            self.entries.push(Entry {
                word: number,
                count: entry.count,
            });
        }
        let length = old.postings.lengths.get(document);
        self.end(length.copied().unwrap_or(0));
    }

    fn end(&mut self, length: u16) {
        self.ends.push(self.entries.len());
        self.lengths.push(length);
    }

    /// The postings of all texts, by word.
    pub(crate) fn finish(mut self) -> Postings {
        self.dictionary.shrink();
        self.lengths.shrink_to_fit();
        // Entry i + 1 counts word i at first, then says where its next posting goes,
        // and at last where its postings end, which is where those of i + 1 begin.
        let mut starts = vec![0u32; self.dictionary.len() + 1];
        for entry in &self.entries {
            if let Some(count) = starts.get_mut(entry.word as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in starts.iter_mut().skip(1) {
            let before = sum;
            sum += *start;
            *start = before;
        }
        let mut documents = vec![0; self.entries.len()];
        let mut counts = vec![0; self.entries.len()];
        let mut from = 0;
        for (document, end) in self.ends.iter().enumerate() {
            for entry in self.entries.get(from..*end).unwrap_or_default() {
                let Some(next) = starts.get_mut(entry.word as usize + 1) else {
                    continue;
                };
                let at = *next as usize;
                *next += 1;
                if let (Some(slot), Some(count)) = (documents.get_mut(at), counts.get_mut(at)) {
                    // INVARIANT: a block has at most SKILLS_MAX texts.
                    *slot = document as Document;
                    *count = entry.count;
                }
            }
            from = *end;
        }
        Postings {
            dictionary: self.dictionary,
            starts,
            documents,
            counts,
            length_total: self.lengths.iter().copied().map(u64::from).sum(),
            lengths: self.lengths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postings(texts: &[&str]) -> Postings {
        let mut builder = Builder::default();
        texts.iter().for_each(|text| builder.add(text));
        builder.finish()
    }

    /// Each text as sorted words with their counts.
    fn read(postings: &Postings) -> Vec<Vec<(String, u16)>> {
        let unfolded = postings.unfolded();
        (0..postings.lengths.len())
            .map(|document| {
                let named = |entry: &Entry| {
                    let (word, _) = postings.dictionary.word(entry.word).unwrap();
                    (word.to_owned(), entry.count)
                };
                let mut words: Vec<_> = unfolded.entries(document).iter().map(named).collect();
                words.sort();
                words
            })
            .collect()
    }

    #[test]
    fn a_text_reads_back_as_its_words() {
        let postings = postings(&["b a b", "", "c"]);
        let word = |word: &str, count| (word.to_owned(), count);
        let wanted = [vec![word("a", 1), word("b", 2)], vec![], vec![word("c", 1)]];
        assert_eq!(read(&postings), wanted);
        assert_eq!(postings.length_total(), 4);
    }

    #[test]
    fn kept_texts_are_as_they_were() {
        let old = postings(&["one two", "two three two", "four"]);
        let unfolded = old.unfolded();
        let mut known = unfolded.renumbered();
        let mut builder = Builder::default();
        builder.keep(&unfolded, 1, &mut known);
        builder.add("five two");
        builder.keep(&unfolded, 2, &mut known);
        let new = builder.finish();
        assert_eq!(
            read(&new),
            read(&postings(&["two three two", "five two", "four"]))
        );
        assert_eq!(new.find("one", Hash::of("one")), Span::default());
        let span = new.find("two", Hash::of("two"));
        assert!(span.len() == 2 && new.has(span, 0) && new.has(span, 1) && !new.has(span, 2));
    }

    #[test]
    fn the_rarer_word_weighs_more_and_no_word_weighs_nothing() {
        let corpus = Corpus::new(3, 9);
        assert!(corpus.rarity(1) > corpus.rarity(2) && corpus.rarity(3) > 0.0);
        assert!(corpus.weight(2, 3) > corpus.weight(1, 3));
        assert!(corpus.weight(1, 9) < corpus.weight(1, 3));
    }

    #[test]
    fn the_longest_text_is_counted_in_full() {
        let text = "a ".repeat(1 << 20);
        let postings = postings(&[&text]);
        assert_eq!(postings.length_total(), 8192);
        assert_eq!(read(&postings), [vec![("a".to_owned(), 8192)]]);
    }
}

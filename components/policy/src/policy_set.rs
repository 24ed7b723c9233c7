//! A validated set of policies, loaded once and asked many times.

use crate::index::Index;
use crate::judge::Judge;
use crate::load::load;
use crate::problem::{Problem, Source};
use crate::question::{Query, Subject, Verdict};
use crate::schema::Vocabulary;

/// Policies that parsed and fit the schema. Immutable; the empty set denies all.
#[derive(Debug)]
pub struct PolicySet {
    ids: Vec<String>,
    vocabulary: Vocabulary,
    index: Index,
}

impl PolicySet {
    /// Parses and strictly validates the files.
    ///
    /// # Errors
    /// Everything that is wrong, in all files, in their order.
    pub fn load(sources: &[Source]) -> Result<Self, Vec<Problem>> {
        let vocabulary = Vocabulary::read().map_err(|problem| vec![problem])?;
        let policies = load(&vocabulary, sources)?;
        let ids = policies
            .iter()
            .map(|policy| policy.id().to_string())
            .collect();
        let index = Index::build(&vocabulary, &policies).map_err(|problem| vec![problem])?;
        Ok(Self {
            ids,
            vocabulary,
            index,
        })
    }

    /// Ids of all policies, sorted by their bytes.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// One verdict per query, in order. A query that does not fit the schema is
    /// denied with [`POLICY_ERROR`](crate::POLICY_ERROR) and does not touch the
    /// others.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject, queries: &[Query]) -> Vec<Verdict> {
        let mut judge = Judge::new(&self.vocabulary, &self.index, subject);
        queries.iter().map(|query| judge.judge(query)).collect()
    }
}

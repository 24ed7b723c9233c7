//! The policy decider elsewhere. It keeps nothing, so a set of policies is kept
//! here as text and goes along with every question.

use std::sync::Arc;

use kgents_decide_wire::BODY_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::policy::{Problem, Query, Source, Subject, Verdict};
use super::policy_door::LoadError;
use super::remote::Asked;
use crate::error::Error;

/// What is kept free beside the policies for the question itself: some hundred
/// agents that a caller might be routed to. More are asked about in several
/// requests.
const QUESTION_BYTES: usize = 128 * 1024;

/// Largest set of policies, as JSON.
const SOURCES_BYTES_MAX: usize = BODY_BYTES_MAX - QUESTION_BYTES;

/// The questions as they travel, and an answer to each.
#[derive(Serialize)]
enum Ask<'a> {
    Evaluate {
        sources: &'a [Source],
        subject: &'a Subject,
        queries: &'a [Query],
    },
    Load {
        sources: &'a [Source],
    },
    Schema {},
}

#[derive(Deserialize)]
enum Evaluated {
    Evaluate(Result<Judged, Vec<Problem>>),
}

#[derive(Deserialize)]
struct Judged {
    ids: Vec<String>,
    verdicts: Vec<Verdict>,
}

#[derive(Deserialize)]
enum LoadSaid {
    Load(Result<Loaded, Vec<Problem>>),
}

#[derive(Deserialize)]
struct Loaded {
    ids: Vec<String>,
}

#[derive(Deserialize)]
enum SchemaSaid {
    Schema(String),
}

/// Policies that a decider elsewhere found valid.
#[derive(Clone)]
pub(super) struct RemoteSet {
    asked: Asked,
    sources: Arc<[Source]>,
    ids: Arc<[String]>,
}

/// Has policies validated.
pub(super) fn load(asked: &Asked, sources: &[Source]) -> Result<RemoteSet, LoadError> {
    let body = asked.body(&Ask::Load { sources })?;
    if body.len() > SOURCES_BYTES_MAX {
        let bytes = body.len();
        let detail = format!(
            "the policies take {bytes} bytes, and at most {SOURCES_BYTES_MAX} can go along with a question; \
             use fewer, or the mesh's own deciders (no `deciders` in mesh.yaml)"
        );
        return Err(asked.failed(detail).into());
    }
    let LoadSaid::Load(loaded) = asked.send(body)?;
    let Loaded { ids } = loaded.map_err(LoadError::Problems)?;
    Ok(RemoteSet {
        asked: asked.clone(),
        sources: sources.into(),
        ids: ids.into(),
    })
}

/// The Cedar schema.
pub(super) fn schema(asked: &Asked) -> Result<String, Error> {
    let SchemaSaid::Schema(text) = asked.ask(&Ask::Schema {})?;
    Ok(text)
}

impl RemoteSet {
    pub(super) fn ids(&self) -> &Arc<[String]> {
        &self.ids
    }

    /// One verdict per query, in order. A query's verdict does not depend on the
    /// others, so what is too much for one request is asked in two.
    pub(super) fn evaluate(
        &self,
        subject: &Subject,
        queries: &[Query],
    ) -> Result<Vec<Verdict>, Error> {
        let ask = Ask::Evaluate {
            sources: &self.sources,
            subject,
            queries,
        };
        let body = self.asked.body(&ask)?;
        if body.len() > BODY_BYTES_MAX && queries.len() > 1 {
            let (first, second) = queries.split_at(queries.len() / 2);
            let mut verdicts = self.evaluate(subject, first)?;
            verdicts.extend(self.evaluate(subject, second)?);
            return Ok(verdicts);
        }
        let Evaluated::Evaluate(judged) = self.asked.send(body)?;
        let unlike = |what: &str| self.asked.failed(format!("its answer {what}"));
        let Judged { ids, verdicts } =
            judged.map_err(|_| unlike("refuses policies that it found valid before"))?;
        if ids != *self.ids {
            return Err(unlike("is about other policies than it found valid before"));
        }
        if verdicts.len() != queries.len() {
            return Err(unlike("has not one verdict per query"));
        }
        Ok(verdicts)
    }
}

//! Principals and resources as Cedar sees them.

use std::collections::HashMap;

use cedar_policy::{Entity, EntityUid, RestrictedExpression};

use crate::question::{Attribute, Query, Subject, Value};
use crate::schema::Vocabulary;

/// The query does not fit the schema.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Misfit {
    /// No such action, or a group of actions.
    #[error("there is no action `{0}` in the schema")]
    Action(String),
    /// Which of the two values holds?
    #[error("attribute `{name}` of {owner} is given twice")]
    Twice { owner: String, name: String },
    /// Cedar refuses an attribute, a group, the context or the combination.
    #[error("the query does not fit the schema: {0}")]
    Cedar(String),
}

impl Misfit {
    /// What Cedar refused.
    pub fn cedar(error: &dyn std::error::Error) -> Self {
        // Some of Cedar's errors say what is wrong only in their source.
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Cedar(text)
    }
}

/// One side of a query.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    /// Its Cedar name.
    pub uid: EntityUid,
    /// Groups it is in.
    pub groups: Vec<EntityUid>,
    attributes: Vec<Attribute>,
}

impl Party {
    /// The one who asks.
    pub fn subject(vocabulary: &Vocabulary, subject: &Subject) -> Self {
        Self {
            uid: vocabulary.uid(subject.kind, &subject.id),
            groups: groups(vocabulary, &subject.groups),
            attributes: subject.attributes.clone(),
        }
    }

    /// What is asked about.
    pub fn resource(vocabulary: &Vocabulary, query: &Query) -> Self {
        Self {
            uid: vocabulary.uid(query.resource_kind, &query.resource_id),
            groups: groups(vocabulary, &query.resource_groups),
            attributes: query.resource_attributes.clone(),
        }
    }

    /// One who asks about itself: all that either side knows of it. To say the
    /// same twice is no contradiction.
    pub fn merge(&self, other: Self) -> Self {
        let mut merged = other;
        merged.groups.extend(self.groups.iter().cloned());
        let known = merged.attributes.clone();
        let new = self
            .attributes
            .iter()
            .filter(|attribute| !known.contains(attribute));
        merged.attributes.extend(new.cloned());
        merged
    }

    /// As an entity for Cedar's store.
    pub fn entity(&self) -> Result<Entity, Misfit> {
        let attributes = expressions(&self.uid, &self.attributes)?;
        let groups = self.groups.iter().cloned().collect();
        Entity::new(self.uid.clone(), attributes, groups).map_err(|error| Misfit::cedar(&error))
    }
}

/// Attributes as Cedar's expressions, each name once.
pub(crate) fn expressions(
    owner: &dyn std::fmt::Display,
    attributes: &[Attribute],
) -> Result<HashMap<String, RestrictedExpression>, Misfit> {
    let mut expressions = HashMap::with_capacity(attributes.len());
    for Attribute { name, value } in attributes {
        if expressions
            .insert(name.clone(), expression(value))
            .is_some()
        {
            return Err(Misfit::Twice {
                owner: owner.to_string(),
                name: name.clone(),
            });
        }
    }
    Ok(expressions)
}

fn expression(value: &Value) -> RestrictedExpression {
    let text = |text: &String| RestrictedExpression::new_string(text.clone());
    match value {
        Value::Text(value) => text(value),
        Value::Number(number) => RestrictedExpression::new_long(*number),
        Value::Truth(truth) => RestrictedExpression::new_bool(*truth),
        Value::Texts(texts) => RestrictedExpression::new_set(texts.iter().map(text)),
    }
}

fn groups(vocabulary: &Vocabulary, names: &[String]) -> Vec<EntityUid> {
    names.iter().map(|name| vocabulary.group(name)).collect()
}

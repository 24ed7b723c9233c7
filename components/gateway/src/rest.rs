//! The mesh's own REST, `/v1/*`. Unknown members and parameters are refused.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::{
    Failure, FailureKind, FeedbackDraft, Operation, PheromoneDraft, Registration, RouteCall,
    SenseFilter,
};
use crate::head::RequestHead;
use crate::json::{self, clip};
use crate::message::{self, invalid};
use crate::path::{Route, What};
use crate::query;
use crate::slug::is_label;

/// Bytes of a pheromone's payload, at most.
pub const PHEROMONE_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Pheromones sensed at once, at most.
pub const SENSE_LIMIT_MAX: u32 = 1000;

pub(crate) fn operation(
    head: &RequestHead<'_>,
    route: &Route<'_>,
    body: &Bytes,
) -> Result<Operation, Failure> {
    match route.what {
        What::Ask => {
            let question: Question = parse(head, body)?;
            if question.text.trim().is_empty() {
                return Err(invalid("`text` is empty").hint("ask something"));
            }
            let context_id = question.context_id.filter(|id| !id.is_empty());
            if let Some(id) = &context_id {
                message::check_id("contextId", id)?;
            }
            Ok(Operation::Route(RouteCall {
                text: question.text,
                context_id,
                explain: question.explain,
            }))
        }
        What::ListAgents => Ok(Operation::ListAgents),
        What::DescribeAgent => Ok(Operation::DescribeAgent),
        What::RemoveAgent => Ok(Operation::RemoveAgent),
        What::RegisterAgent => registration(parse(head, body)?).map(Operation::RegisterAgent),
        What::Sense => sense(head.query.unwrap_or_default()).map(Operation::Sense),
        What::Emit => draft(parse(head, body)?).map(Operation::Emit),
        What::ListFeedback => Ok(Operation::ListFeedback),
        What::GiveFeedback => feedback(parse(head, body)?).map(Operation::GiveFeedback),
        What::UndoFeedback(ref id) => {
            message::check_id("id", id)?;
            Ok(Operation::UndoFeedback {
                id: id.clone().into_owned(),
            })
        }
        _ => Err(Failure::new(
            FailureKind::Internal,
            "a request of A2A reached the REST codec",
        )),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    text: String,
    #[serde(default)]
    context_id: Option<String>,
    #[serde(default)]
    explain: bool,
}

fn parse<T: DeserializeOwned>(head: &RequestHead<'_>, body: &Bytes) -> Result<T, Failure> {
    head.check_content_type()?;
    let text = json::text(body).map_err(message::failure)?;
    let mut source = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut source);
    let parsed = read.map_err(|error| {
        let detail = clip(&error.inner().to_string(), 200);
        match error.path().to_string().as_str() {
            _ if !error.inner().is_data() => message::malformed(&detail),
            "." => invalid(format!("the body does not fit: {detail}")),
            path => invalid(format!("`{}` does not fit: {detail}", clip(path, 128))),
        }
    })?;
    source
        .end()
        .map_err(|error| message::malformed(&clip(&error.to_string(), 200)))?;
    Ok(parsed)
}

fn registration(registration: Registration) -> Result<Registration, Failure> {
    if registration.url.is_some() == registration.card.is_some() {
        return Err(invalid("give either `url` or `card`"));
    }
    match &registration.name {
        Some(name) if !is_label(name) => Err(invalid(format!(
            "`name` is no RFC 1123 label: `{}`",
            clip(name, 64)
        ))
        .hint("1 to 63 lower-case letters, digits and `-`")),
        _ => Ok(registration),
    }
}

fn draft(draft: PheromoneDraft) -> Result<PheromoneDraft, Failure> {
    let bytes = draft
        .payload
        .as_ref()
        .map_or(0, |payload| payload.as_bytes().len());
    if bytes > PHEROMONE_PAYLOAD_BYTES_MAX {
        return Err(invalid(format!(
            "`payload` has {bytes} bytes, and at most {PHEROMONE_PAYLOAD_BYTES_MAX} are taken"
        )));
    }
    Ok(draft)
}

fn feedback(draft: FeedbackDraft) -> Result<FeedbackDraft, Failure> {
    if draft.decision.is_empty() {
        return Err(invalid("`decision` is empty")
            .hint("the `id` of the answer to /v1/route, or its kgents-event header"));
    }
    message::check_id("decision", &draft.decision)?;
    for (field, name) in [("agent", &draft.agent), ("shouldBe", &draft.should_be)] {
        if let Some(name) = name.as_deref().filter(|name| !is_label(name)) {
            let message = format!("`{field}` is no agent's name: `{}`", clip(name, 64));
            return Err(invalid(message).hint("1 to 63 lower-case letters, digits and `-`"));
        }
    }
    if let Some(skill) = &draft.skill {
        message::check_id("skill", skill)?;
    }
    Ok(draft)
}

fn sense(query: &str) -> Result<SenseFilter, Failure> {
    let mut filter = SenseFilter::default();
    let mut seen = [false; 4];
    for pair in query::pairs(query) {
        let (name, value) =
            pair.ok_or_else(|| invalid("the query holds a broken percent-escape"))?;
        let index = match name.as_ref() {
            "type" => {
                filter.kind = Some(value.into_owned());
                0
            }
            "target" => {
                filter.target = Some(value.into_owned());
                1
            }
            "min_intensity" => {
                filter.min_intensity = value
                    .parse()
                    .ok()
                    .filter(|least| (0.0..=1.0).contains(least))
                    .ok_or_else(|| invalid("`min_intensity` must be from 0 to 1"))?;
                2
            }
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=SENSE_LIMIT_MAX).contains(limit));
                filter.limit = Some(limit.ok_or_else(|| {
                    invalid(format!("`limit` must be from 1 to {SENSE_LIMIT_MAX}"))
                })?);
                3
            }
            other => {
                return Err(invalid(format!("no such parameter: `{}`", clip(other, 64)))
                    .hint("type, target, min_intensity, limit"));
            }
        };
        if seen
            .get_mut(index)
            .is_some_and(|seen| std::mem::replace(seen, true))
        {
            return Err(invalid(format!("`{name}` is given twice")));
        }
    }
    Ok(filter)
}

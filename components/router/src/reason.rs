//! The one sentence for a person, with the numbers that decided.

use crate::classify::{Classed, Classified, Tier};
use crate::question::{Alternative, Holder, Named, Question, Remembered, Similar};
use crate::search::Judgement;

/// Characters of the caller's own words that a reason repeats at most.
const QUOTE_CHARS_MAX: usize = 60;

/// An agent named exactly.
#[must_use]
pub fn exact(chosen: &Named) -> String {
    let (agent, via) = (&chosen.agent, &chosen.via);
    match via.as_str() {
        "name" => format!("the request names agent `{agent}`"),
        "alias" => format!("the request gives an alias of agent `{agent}`"),
        "skill" => format!("the request names a skill that only agent `{agent}` has"),
        _ => format!("the request matches agent `{agent}` exactly"),
    }
}

/// A target that no agent bears.
#[must_use]
pub fn unknown_target(target: &str) -> String {
    format!("no agent named `{}`", quote(target))
}

/// A remembered decision.
#[must_use]
pub fn remembered(found: &Remembered, confidence: f32) -> String {
    let (agent, at) = (&found.agent, hundredths(confidence));
    match &found.instead_of {
        Some(old) => format!(
            "the same question went to `{old}` before, at {at}; `{old}` is deprecated, \
             and its successor is `{agent}`"
        ),
        None => format!("the same question went to `{agent}` before, at {at}"),
    }
}

/// What was decided of a text much like this one.
#[must_use]
pub fn similar(found: &Similar, confidence: f32) -> String {
    format!(
        "a question much like this one (cosine {}) went to `{}` before; so does this one at {}",
        hundredths(found.cosine),
        found.agent,
        hundredths(confidence)
    )
}

/// An agent of the model that reached the threshold.
#[must_use]
pub fn classified(best: &Classed, all: &Classified) -> String {
    let encoder = match all.tier {
        Tier::Words => "by words alone",
        Tier::Sentences => "by sentences",
    };
    format!(
        "`{}` fits{} at {} (learnt from examples, {encoder}; somebody here does this at {})",
        best.agent,
        by_skill(&best.skill),
        hundredths(best.confidence),
        hundredths(all.in_scope)
    )
}

/// The evidence agrees with the conversation.
#[must_use]
pub fn kept(holder: &Holder, confidence: f32) -> String {
    let agent = &holder.agent;
    let at = hundredths(confidence);
    format!("`{agent}` has this conversation, and the question fits it at {at}")
}

/// Another agent would do, and is not sure enough to end the conversation.
#[must_use]
pub fn not_left(holder: &Holder, rival: &Alternative, enough: f32) -> String {
    format!(
        "`{}` has this conversation; `{}` fits at {}, below the {} that would leave it",
        holder.agent,
        rival.agent,
        hundredths(rival.confidence),
        hundredths(enough)
    )
}

/// Nobody was sure enough, so the conversation goes on.
#[must_use]
pub fn continued(holder: &Holder, rival: Option<&Alternative>) -> String {
    let agent = &holder.agent;
    match rival {
        Some(rival) => format!(
            "`{agent}` has this conversation, and nobody is sure enough to take it{}",
            nearest(rival)
        ),
        None => format!("`{agent}` has this conversation, and nothing points to anybody else"),
    }
}

/// Another agent is sure enough to end the conversation; `reason` says why.
#[must_use]
pub fn left(reason: &str, holder: &Holder) -> String {
    let agent = &holder.agent;
    format!("{reason}; this leaves the conversation with `{agent}`")
}

/// A searched agent that reached the threshold.
#[must_use]
pub fn accepted(judged: &Judgement) -> String {
    let Judgement { agent, skill, .. } = judged;
    let skill = by_skill(skill);
    let confidence = hundredths(judged.confidence);
    format!("`{agent}` fits{skill} at {confidence}{}", scores(judged))
}

/// One of several agents of one name that the text fits best.
#[must_use]
pub fn told_apart(question: &Question, shared_by: usize, judged: &Judgement) -> String {
    let words = asked(question);
    let confidence = hundredths(judged.confidence);
    let agent = &judged.agent;
    let scores = scores(judged);
    format!("{shared_by} agents share `{words}`; `{agent}` is meant at {confidence}{scores}")
}

/// Several agents of one name, none of them likely enough.
#[must_use]
pub fn ambiguous(question: &Question, shared_by: usize, near: Option<&Alternative>) -> String {
    let words = asked(question);
    let nearest = near.map_or_else(String::new, nearest);
    let accept = hundredths(question.accept);
    format!("{shared_by} agents share `{words}` and none reaches {accept}{nearest}")
}

/// Nobody reached the threshold; the configured agent takes it.
#[must_use]
pub fn taken(fallback: &str, question: &Question, near: Option<&Alternative>) -> String {
    let accept = hundredths(question.accept);
    let nearest = near.map_or_else(String::new, nearest);
    format!("nobody here reaches {accept}{nearest}; `{fallback}` takes what nobody else takes")
}

/// Nobody reached the threshold and nobody takes it.
#[must_use]
pub fn nobody(question: &Question, near: Option<&Alternative>) -> String {
    if question.text.trim().is_empty() {
        return "the request holds no words to go by".to_owned();
    }
    match near {
        Some(near) => {
            let accept = hundredths(question.accept);
            format!("nobody here does this{}, below {accept}", nearest(near))
        }
        None => "nobody here does this, and nobody comes near".to_owned(),
    }
}

fn nearest(near: &Alternative) -> String {
    let (agent, at) = (&near.agent, hundredths(near.confidence));
    format!("; nearest is `{agent}` at {at}")
}

fn by_skill(skill: &str) -> String {
    match skill {
        "" => String::new(),
        skill => format!(" by its skill `{skill}`"),
    }
}

fn scores(judged: &Judgement) -> String {
    let Some(features) = judged.features else {
        return String::new();
    };
    let coverage = hundredths(features.coverage);
    if !judged.vectors {
        return format!(" (coverage {coverage}, no encoder)");
    }
    let cosine = hundredths(features.cosine);
    let (way, ahead) = match features.cosine_margin {
        margin if margin < 0.0 => ("behind", hundredths(-margin)),
        margin => ("ahead", hundredths(margin)),
    };
    format!(" (cosine {cosine}, {way} by {ahead}, coverage {coverage})")
}

fn asked(question: &Question) -> String {
    quote(question.target.as_deref().unwrap_or(&question.text))
}

/// The caller's words, on one line, shortened.
fn quote(words: &str) -> String {
    let mut quoted: String = words
        .chars()
        .take(QUOTE_CHARS_MAX)
        .map(|c| if c.is_control() || c == '`' { ' ' } else { c })
        .collect();
    if words.chars().nth(QUOTE_CHARS_MAX).is_some() {
        quoted.push('…');
    }
    quoted
}

/// A number from 0.0 to 1.0 with two digits, rounded down, so that what is below
/// a threshold never reads as having reached it. By integers: the formatting of
/// floats would be a third of the guest.
fn hundredths(value: f32) -> String {
    // The small addend keeps 0.29 (stored as 0.28999999) from reading 0.28.
    let hundredths = (value.clamp(0.0, 1.0) * 100.0 + 1e-3) as u32;
    let (tenths, digit) = (hundredths / 10 % 10, hundredths % 10);
    format!("{}.{tenths}{digit}", hundredths / 100)
}

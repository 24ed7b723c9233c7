//! What callers say of decisions: right, or wrong, and whose the question is.
//!
//! Giving feedback keeps the question's words, with who said it, until it is
//! taken back: without them nothing could be learnt. Before that they are in
//! memory alone, for the latest decisions, and for nobody but whoever asked.

use crate::store::{self, Store};
use kgents_gateway::call::{Failure, FailureKind, FeedbackDraft, Verdict};
use kgents_search::words::normalise;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Decisions whose words are at hand.
pub const DECISIONS_MAX: usize = 4_096;
/// Bytes of a question that is at hand, and of one that is taught: an example
/// is a sentence or two.
pub const TEXT_BYTES_MAX: usize = 2_048;
/// Feedback that is kept, in all.
pub const FEEDBACK_MAX: usize = 20_000;
/// Feedback of one author that is kept.
pub const FEEDBACK_OF_ONE_MAX: usize = 5_000;

/// Feedback, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Given {
    /// Name of the audit event by which it was given; by it it is taken back.
    pub id: String,
    /// Name of the audit event of the decision.
    pub decision: String,
    /// SPIFFE id of who says it; empty for the anonymous one.
    pub who: String,
    /// When, in milliseconds since the epoch.
    pub when_ms: u64,
    /// What is said.
    pub verdict: Verdict,
    /// The agent that was chosen; none when nobody was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The agent whose question it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_be: Option<String>,
    /// The id of the skill whose question it is, where somebody told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// The question.
    pub text: String,
}

impl Given {
    /// The agent whose question it is, if that is said.
    pub fn taught_to(&self) -> Option<&str> {
        match self.verdict {
            Verdict::Right => self.agent.as_deref(),
            Verdict::Wrong => self.should_be.as_deref(),
        }
    }
}

/// Who says it, and when.
#[derive(Clone, Debug)]
pub struct Saying<'a> {
    /// Name of the audit event.
    pub id: &'a str,
    /// SPIFFE id of the caller.
    pub who: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: u64,
}

/// A decision that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The question.
    pub text: String,
    /// Who was chosen.
    pub agent: Option<String>,
    /// SPIFFE id of who asked.
    pub caller: String,
}

/// All feedback, and the words of the latest decisions.
pub struct Feedback {
    store: Arc<Store>,
    /// By id. INVARIANT: changes under its lock, after the store has.
    given: Mutex<BTreeMap<String, Given>>,
    decisions: Mutex<Latest>,
}

/// INVARIANT: `order` has the names of `decisions`, oldest first.
#[derive(Default)]
struct Latest {
    decisions: HashMap<String, Decided>,
    order: VecDeque<String>,
}

impl Feedback {
    /// Reads what was given before. What cannot be read any more is left out
    /// with a warning, and stays stored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(store: Arc<Store>) -> Result<Self, store::Error> {
        let mut given = BTreeMap::new();
        for (id, bytes) in store.feedback()? {
            match serde_json::from_slice::<Given>(&bytes) {
                Ok(row) => drop(given.insert(id, row)),
                Err(error) => tracing::warn!(id, %error, "stored feedback is left out"),
            }
        }
        Ok(Self {
            store,
            given: Mutex::new(given),
            decisions: Mutex::default(),
        })
    }

    /// Keeps a decision at hand under the name of its audit event.
    pub fn decided(&self, event: &str, decided: Decided) {
        if decided.text.len() > TEXT_BYTES_MAX {
            return;
        }
        let mut latest = self.decisions.lock();
        if latest.decisions.insert(event.to_owned(), decided).is_none() {
            latest.order.push_back(event.to_owned());
        }
        if latest.order.len() > DECISIONS_MAX
            && let Some(oldest) = latest.order.pop_front()
        {
            latest.decisions.remove(&oldest);
        }
    }

    /// Takes feedback in; durable when it returns. What the same caller said of
    /// the same words and the same agent before is replaced. `has_skill` tells
    /// whether an agent, the first, has a skill, the second. Blocks.
    ///
    /// # Errors
    /// `InvalidParams`, naming the field, `Refused` when there is too much,
    /// `Unavailable` when the store fails; nothing is changed then.
    pub fn give(
        &self,
        saying: &Saying<'_>,
        draft: FeedbackDraft,
        has_skill: impl Fn(&str, &str) -> bool,
    ) -> Result<Given, Failure> {
        let fresh = self.complete(saying, draft)?;
        if let Some((agent, skill)) = fresh.taught_to().zip(fresh.skill.as_deref())
            && !has_skill(agent, skill)
        {
            let message = format!("`skill`: `{agent}` has no skill `{}`", shown(skill));
            return Err(invalid(&message).hint("give the id of one of its skills, or none"));
        }
        let mut given = self.given.lock();
        let words = normalise(&fresh.text);
        let same = |old: &&Given| {
            old.who == fresh.who && old.agent == fresh.agent && normalise(&old.text) == words
        };
        let replaced: Vec<String> = given
            .values()
            .filter(same)
            .map(|old| old.id.clone())
            .collect();
        if replaced.is_empty() {
            let of_one = given.values().filter(|old| old.who == fresh.who).count();
            if given.len() >= FEEDBACK_MAX || of_one >= FEEDBACK_OF_ONE_MAX {
                return Err(too_much());
            }
        }
        let row = serde_json::to_vec(&fresh).unwrap_or_default();
        let mut changes: Vec<(&str, Option<&[u8]>)> =
            replaced.iter().map(|id| (id.as_str(), None)).collect();
        changes.push((&fresh.id, Some(&row)));
        self.store.change_feedback(&changes).map_err(unavailable)?;
        for id in &replaced {
            given.remove(id);
        }
        given.insert(fresh.id.clone(), fresh.clone());
        Ok(fresh)
    }

    /// Takes feedback back; durable when it returns. Blocks.
    ///
    /// # Errors
    /// `InvalidParams` when there is none of this id, `Unavailable` when the
    /// store fails.
    pub fn undo(&self, id: &str) -> Result<Given, Failure> {
        let mut given = self.given.lock();
        let Some(gone) = given.get(id).cloned() else {
            let message = format!("`id`: there is no feedback `{}`", shown(id));
            return Err(Failure::new(FailureKind::InvalidParams, message).hint(
                "its id was told when it was given, and is listed: GET /v1/router/feedback",
            ));
        };
        let change = [(id, None)];
        self.store.change_feedback(&change).map_err(unavailable)?;
        given.remove(id);
        Ok(gone)
    }

    /// All of it, oldest first.
    pub fn all(&self) -> Vec<Given> {
        let mut all: Vec<Given> = self.given.lock().values().cloned().collect();
        all.sort_by(|a, b| (a.when_ms, &a.id).cmp(&(b.when_ms, &b.id)));
        all
    }

    /// Puts what is at hand of the decision to what the caller said.
    fn complete(&self, saying: &Saying<'_>, draft: FeedbackDraft) -> Result<Given, Failure> {
        if draft.verdict == Verdict::Right && draft.should_be.is_some() {
            return Err(
                invalid("`shouldBe` does not go with a verdict that it was right")
                    .hint("say that it was wrong, and who should have answered"),
            );
        }
        let known = self.at_hand(saying.who, &draft.decision);
        let text = text(known.as_ref(), draft.text)?;
        let agent = match (known.map(|known| known.agent), draft.agent) {
            (Some(chosen), Some(said)) if chosen.as_ref() != Some(&said) => {
                let chosen = chosen.as_deref().unwrap_or("nobody");
                let message = format!(
                    "`agent`: the decision chose {chosen}, not `{}`",
                    shown(&said)
                );
                return Err(invalid(&message));
            }
            (Some(chosen), _) => chosen,
            (None, said) => said,
        };
        match draft.verdict {
            Verdict::Right if agent.is_none() => {
                return Err(
                    invalid("`agent` is missing: nobody knows here who was chosen")
                        .hint("name the agent that answered, or say `wrong` with `shouldBe`"),
                );
            }
            Verdict::Wrong if agent.is_none() && draft.should_be.is_none() => {
                return Err(invalid("neither `agent` nor `shouldBe` is given")
                    .hint("name the agent that should not have answered, or the one that should"));
            }
            Verdict::Wrong if agent.is_some() && agent == draft.should_be => {
                return Err(invalid("`shouldBe` is the agent that was chosen")
                    .hint("say that it was right"));
            }
            _ => {}
        }
        Ok(Given {
            id: saying.id.to_owned(),
            decision: draft.decision,
            who: saying.who.to_owned(),
            when_ms: saying.now_ms,
            verdict: draft.verdict,
            agent,
            should_be: draft.should_be,
            skill: draft.skill,
            text,
        })
    }

    fn at_hand(&self, who: &str, decision: &str) -> Option<Decided> {
        let latest = self.decisions.lock();
        let known = latest.decisions.get(decision);
        known.filter(|known| known.caller == who).cloned()
    }
}

/// The answer for feedback that there is not.
pub fn none(id: &str) -> Failure {
    let message = format!("`id`: there is no feedback `{}`", shown(id));
    Failure::new(FailureKind::InvalidParams, message)
        .hint("its id was told when it was given, and is listed: GET /v1/router/feedback")
}

/// The question: what is at hand, or what the caller says, who cannot put other
/// words to a decision.
fn text(known: Option<&Decided>, said: Option<String>) -> Result<String, Failure> {
    let text = match (known, said) {
        (Some(known), Some(said)) if normalise(&known.text) != normalise(&said) => {
            return Err(invalid("`text` is not the question of this decision")
                .hint("leave it out: the question is still at hand"));
        }
        (Some(known), _) => known.text.clone(),
        (None, Some(said)) => said,
        (None, None) => {
            return Err(
                invalid("`decision`: its question is not at hand, or is not yours")
                    .hint("give the question: `text`, or --text"),
            );
        }
    };
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("`text` is above {TEXT_BYTES_MAX} bytes");
        return Err(invalid(&message).hint("teach by a sentence or two"));
    }
    if normalise(text).is_empty() {
        return Err(invalid("`text` has no word").hint("give the question"));
    }
    Ok(text.to_owned())
}

fn invalid(message: &str) -> Failure {
    Failure::new(FailureKind::InvalidParams, message)
}

/// What a caller made up, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn too_much() -> Failure {
    let message = format!(
        "there is too much feedback: at most {FEEDBACK_OF_ONE_MAX} of one author and {FEEDBACK_MAX} in all are kept"
    );
    Failure::new(FailureKind::Refused, message)
        .hint("take some back, or put the examples into routing/*.yaml of the mesh folder")
}

fn unavailable(error: store::Error) -> Failure {
    tracing::error!(
        code = error.code(),
        error = &error as &dyn std::error::Error,
        "feedback"
    );
    Failure::new(FailureKind::Unavailable, "feedback cannot be written now")
        .hint("check the disk of the data folder: kgents check")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn open(dir: &tempfile::TempDir) -> Feedback {
        let store = Store::open(&dir.path().join("state.redb")).unwrap();
        Feedback::open(Arc::new(store)).unwrap()
    }

    fn draft(decision: &str, verdict: Verdict) -> FeedbackDraft {
        FeedbackDraft {
            decision: decision.into(),
            verdict,
            should_be: None,
            skill: None,
            text: None,
            agent: None,
        }
    }

    fn asked(text: &str, agent: Option<&str>) -> Decided {
        Decided {
            text: text.into(),
            agent: agent.map(str::to_owned),
            caller: "ada".into(),
        }
    }

    fn give(feedback: &Feedback, id: &str, draft: FeedbackDraft) -> Result<Given, Failure> {
        let saying = Saying {
            id,
            who: "ada",
            now_ms: 7,
        };
        feedback.give(&saying, draft, |_, skill| skill == "plan")
    }

    /// What a caller is told of feedback that cannot be taken.
    fn refused(feedback: &Feedback, draft: FeedbackDraft) -> String {
        let failure = give(feedback, "f", draft).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidParams);
        assert!(
            failure.hint.is_some() || failure.message.contains("chose"),
            "{failure:?}"
        );
        failure.message
    }

    #[test]
    fn feedback_on_a_decision_at_hand_needs_no_words_and_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let feedback = open(&dir);
        feedback.decided("d1", asked("Fold a boat", Some("planner")));
        let wrong = FeedbackDraft {
            should_be: Some("paper".into()),
            ..draft("d1", Verdict::Wrong)
        };
        let given = give(&feedback, "f1", wrong).unwrap();
        assert_eq!(
            (&*given.text, given.agent.as_deref()),
            ("Fold a boat", Some("planner"))
        );
        assert_eq!((given.when_ms, given.taught_to()), (7, Some("paper")));
        drop(feedback);
        assert_eq!(open(&dir).all(), [given]);
    }

    #[test]
    fn feedback_is_taken_back_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let feedback = open(&dir);
        feedback.decided("d1", asked("Fold a boat", Some("planner")));
        let given = give(&feedback, "f1", draft("d1", Verdict::Right)).unwrap();
        assert_eq!(feedback.undo("f1").unwrap(), given);
        let none = feedback.undo("f1").unwrap_err();
        assert!(none.message.starts_with("`id`"), "{none:?}");
        drop(feedback);
        assert!(open(&dir).all().is_empty());
    }

    #[test]
    fn saying_another_thing_of_the_same_words_and_agent_replaces_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let feedback = open(&dir);
        feedback.decided("d1", asked("Fold a boat", Some("planner")));
        feedback.decided("d2", asked("fold a boat!", Some("planner")));
        give(&feedback, "f1", draft("d1", Verdict::Right)).unwrap();
        give(&feedback, "f2", draft("d2", Verdict::Wrong)).unwrap();
        let all = feedback.all();
        assert_eq!(all.len(), 1);
        assert_eq!((&*all[0].id, all[0].verdict), ("f2", Verdict::Wrong));
    }

    #[test]
    fn another_callers_question_is_not_at_hand() {
        let dir = tempfile::tempdir().unwrap();
        let feedback = open(&dir);
        let theirs = Decided {
            caller: "eve".into(),
            ..asked("a secret", Some("planner"))
        };
        feedback.decided("d1", theirs);
        let unheard = refused(&feedback, draft("d0", Verdict::Right));
        assert_eq!(refused(&feedback, draft("d1", Verdict::Right)), unheard);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_field() {
        let dir = tempfile::tempdir().unwrap();
        let feedback = open(&dir);
        feedback.decided("d1", asked("Fold a boat", Some("planner")));
        let read = |decision: &str, verdict: &str, more: Value| -> FeedbackDraft {
            let mut draft = more;
            draft["decision"] = json!(decision);
            draft["verdict"] = json!(verdict);
            serde_json::from_value(draft).unwrap()
        };
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for (decision, verdict, more, field) in [
            ("d1", "right", json!({"shouldBe": "a"}), "`shouldBe`"),
            ("d1", "right", json!({"text": "Fold a hat"}), "`text`"),
            ("d1", "right", json!({"agent": "other"}), "`agent`"),
            ("d1", "right", json!({"skill": "fly"}), "`skill`"),
            ("d0", "right", json!({"text": "x"}), "`agent`"),
            ("d0", "wrong", json!({"text": "x"}), "neither `agent`"),
            ("d0", "wrong", json!({"text": "?!", "agent": "a"}), "`text`"),
            ("d0", "wrong", json!({"text": long, "agent": "a"}), "`text`"),
            ("d1", "wrong", json!({"shouldBe": "planner"}), "`shouldBe`"),
        ] {
            let told = refused(&feedback, read(decision, verdict, more));
            assert!(told.starts_with(field), "{told}");
        }
        let fits = json!({"skill": "plan", "text": "FOLD a boat"});
        assert!(give(&feedback, "f", read("d1", "right", fits)).is_ok());
    }

    #[test]
    fn nobody_was_chosen_and_somebody_should_have_been() {
        let dir = tempfile::tempdir().unwrap();
        let feedback = open(&dir);
        feedback.decided("d1", asked("Fold a boat", None));
        let wrong = FeedbackDraft {
            should_be: Some("paper".into()),
            ..draft("d1", Verdict::Wrong)
        };
        assert_eq!(give(&feedback, "f", wrong).unwrap().agent, None);
    }

    #[test]
    fn only_the_latest_decisions_are_at_hand() {
        let feedback = open(&tempfile::tempdir().unwrap());
        for n in 0..=DECISIONS_MAX {
            feedback.decided(&format!("d{n}"), asked("Fold a boat", Some("planner")));
        }
        assert_eq!(feedback.decisions.lock().decisions.len(), DECISIONS_MAX);
        assert!(feedback.at_hand("ada", "d0").is_none());
        assert!(feedback.at_hand("ada", "d1").is_some());
    }
}

//! What holds for any evidence.

use kgents_router::calibration::{ENCODER, LEXICAL};
use kgents_router::classify::{Classed, Classified, Features, Tier};
use kgents_router::conversation::LEAVE_MIN;
use kgents_router::decide;
use kgents_router::features::{features, rank};
use kgents_router::question::{
    ALTERNATIVES_MAX, Alternative, Candidate, Decision, Evidence, Found, Holder, Method, Named,
    Question, Remembered, Rung, Similar, Step, probability,
};
use kgents_router::search::judge;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;

/// Few names, so that they collide.
fn name() -> impl Strategy<Value = String> {
    select(vec!["", "a", "b", "c", "d", "e", "f", "ü", "translator"]).prop_map(Into::into)
}

fn cluster() -> impl Strategy<Value = String> {
    select(vec!["", "east", "west"]).prop_map(Into::into)
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![8 => 0.0_f32..1.0, 2 => any::<f32>(), 1 => Just(f32::NAN), 1 => Just(f32::MAX)]
}

prop_compose! {
    fn candidate()(
        agent in name(), cluster in cluster(), skill in ".{0,8}",
        lexical in prop_oneof![0.0_f32..20.0, number()], coverage in number(),
        vector in option::of(number()),
        is_taught in any::<bool>(),
    ) -> Candidate {
        Candidate { agent, cluster, skill, lexical, coverage, vector, is_taught }
    }
}

prop_compose! {
    fn found()(
        candidates in prop::collection::vec(candidate(), 0..24),
        encoder in option::of(Just("minilm".to_owned())),
    ) -> Found {
        Found { candidates, encoder }
    }
}

prop_compose! {
    fn alternative()(agent in name(), cluster in cluster(), confidence in number()) -> Alternative {
        Alternative { agent, cluster, confidence }
    }
}

prop_compose! {
    fn remembered()(
        agent in name(), cluster in cluster(), confidence in number(),
        alternatives in prop::collection::vec(alternative(), 0..9),
        instead_of in option::of(name()),
    ) -> Remembered {
        Remembered { agent, cluster, confidence, alternatives, instead_of }
    }
}

prop_compose! {
    fn holder()(agent in name(), cluster in cluster()) -> Holder {
        Holder { agent, cluster }
    }
}

prop_compose! {
    fn similar()(
        agent in name(), cluster in cluster(), confidence in number(), cosine in number(),
        probability in number(), probability_min in number(), cosine_min in number(),
    ) -> Similar {
        Similar { agent, cluster, confidence, cosine, probability, probability_min, cosine_min }
    }
}

prop_compose! {
    fn classed()(
        agent in name(), cluster in cluster(), skill in ".{0,8}", confidence in number(),
        is_taught in any::<bool>(),
    ) -> Classed {
        Classed { agent, cluster, skill, confidence, is_taught }
    }
}

prop_compose! {
    fn classified()(
        tier in select(vec![Tier::Words, Tier::Sentences]), in_scope in number(),
        agents in prop::collection::vec(classed(), 0..7),
    ) -> Classified {
        Classified { tier, in_scope, features: Features::default(), agents }
    }
}

prop_compose! {
    fn named()(
        agent in name(), cluster in cluster(), via in select(vec!["name", "alias", "skill", ""]),
    ) -> Named {
        Named { agent, cluster, via: via.into() }
    }
}

prop_compose! {
    fn evidence()(
        exact in option::of(prop::collection::vec(named(), 0..6)),
        conversation in option::of(option::of(holder())),
        cache in option::of(option::of(remembered())),
        similar in option::of(option::of(similar())),
        classifier in option::of(option::of(classified())),
        search in option::of(found()),
        fallback in option::of(option::of(name())),
    ) -> Evidence {
        Evidence { exact, conversation, cache, similar, classifier, search, fallback }
    }
}

/// The same with every rung asked: what was not, in vain.
fn full(evidence: Evidence) -> Evidence {
    let nothing = Found {
        candidates: vec![],
        encoder: None,
    };
    Evidence {
        exact: Some(evidence.exact.unwrap_or_default()),
        conversation: Some(evidence.conversation.flatten()),
        cache: Some(evidence.cache.flatten()),
        similar: Some(evidence.similar.flatten()),
        classifier: Some(evidence.classifier.flatten()),
        search: Some(evidence.search.unwrap_or(nothing)),
        fallback: Some(evidence.fallback.flatten()),
    }
}

fn decided(question: &Question, evidence: &Evidence) -> Result<Decision, TestCaseError> {
    match decide(question, evidence) {
        Step::Decided(decision) => Ok(decision),
        Step::Need(rung) => Err(TestCaseError::fail(format!("still needs {rung:?}"))),
    }
}

prop_compose! {
    fn question()(text in ".{0,40}", target in option::of(".{0,80}"), accept in number()) -> Question {
        Question { text, target, accept }
    }
}

/// Fills one rung in.
fn gather(gathered: &mut Evidence, rung: Rung, full: &Evidence) {
    let full = full.clone();
    match rung {
        Rung::Exact => gathered.exact = full.exact,
        Rung::Conversation => gathered.conversation = full.conversation,
        Rung::Cache => gathered.cache = full.cache,
        Rung::Similar => gathered.similar = full.similar,
        Rung::Classifier => gathered.classifier = full.classifier,
        Rung::Search => gathered.search = full.search,
        Rung::Fallback => gathered.fallback = full.fallback,
    }
}

fn well_formed(decision: &Decision) -> Result<(), TestCaseError> {
    let Decision {
        agent,
        cluster,
        method,
        confidence,
        in_scope,
        fallback,
        reason,
        alternatives,
    } = decision;
    prop_assert!((0.0..=1.0).contains(confidence));
    prop_assert!((0.0..=1.0).contains(in_scope) && in_scope >= confidence);
    prop_assert_eq!(*fallback, *method == Method::Fallback);
    prop_assert!(!*fallback || *confidence == 0.0);
    prop_assert!(agent.is_some() || (*fallback && cluster.is_none()));
    prop_assert!(agent.as_deref() != Some(""));
    prop_assert!(!reason.is_empty() && !reason.contains('\n'));
    prop_assert!(alternatives.len() <= ALTERNATIVES_MAX);
    prop_assert!(
        alternatives
            .iter()
            .all(|a| (0.0..=1.0).contains(&a.confidence))
    );
    prop_assert!(
        alternatives
            .iter()
            .is_sorted_by(|a, b| a.confidence >= b.confidence)
    );
    let chosen = alternatives
        .iter()
        .any(|a| Some(&a.agent) == agent.as_ref() && Some(&a.cluster) == cluster.as_ref());
    prop_assert!(!chosen);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    #[test]
    fn any_evidence_gives_a_well_formed_step_and_always_the_same(
        question in question(), evidence in evidence(),
    ) {
        let step = decide(&question, &evidence);
        prop_assert_eq!(&step, &decide(&question, &evidence));
        if let Step::Decided(decision) = step {
            well_formed(&decision)?;
        }
    }

    #[test]
    fn full_evidence_always_decides(question in question(), evidence in evidence()) {
        decided(&question, &full(evidence))?;
    }

    #[test]
    fn what_is_asked_for_rung_by_rung_decides_as_what_is_given_at_once(
        question in question(), evidence in evidence(),
    ) {
        let full = full(evidence);
        let mut gathered = Evidence::default();
        for _ in 0..8 {
            match decide(&question, &gathered) {
                Step::Decided(decision) => {
                    // Rungs further up are not asked, and change nothing.
                    let all = decided(&question, &full)?;
                    prop_assert_eq!(
                        (decision.agent, decision.method, decision.confidence),
                        (all.agent, all.method, all.confidence)
                    );
                    return Ok(());
                }
                Step::Need(rung) => gather(&mut gathered, rung, &full),
            }
        }
        prop_assert!(false, "not decided in eight calls");
    }

    #[test]
    fn what_weighs_the_question_is_only_accepted_at_the_threshold(
        question in question(), evidence in evidence(),
    ) {
        let decision = decided(&question, &full(evidence))?;
        let weighed = [Method::Cache, Method::Similar, Method::Classifier, Method::Search];
        if weighed.contains(&decision.method) {
            let accept = if question.accept.is_nan() { 1.0 } else { question.accept };
            prop_assert!(decision.confidence >= accept.clamp(0.0, 1.0));
        }
    }

    #[test]
    fn a_higher_threshold_never_finds_somebody_for_what_nobody_took(
        question in question(), evidence in evidence(), higher in 0.0_f32..1.0,
    ) {
        let full = full(evidence);
        if decided(&question, &full)?.fallback && !question.accept.is_nan() {
            let accept = question.accept.max(higher);
            let stricter = Question { accept, ..question };
            prop_assert!(decided(&stricter, &full)?.fallback);
        }
    }

    #[test]
    fn a_conversation_ends_only_by_name_or_by_who_is_sure_enough(
        question in question(), evidence in evidence(),
    ) {
        let evidence = Evidence { exact: Some(vec![]), ..full(evidence) };
        let Some(Some(holder)) = evidence.conversation.clone() else { return Ok(()) };
        if holder.agent.is_empty() || question.target.is_some() {
            return Ok(());
        }
        let decision = decided(&question, &evidence)?;
        prop_assert!(!decision.fallback);
        if decision.agent != Some(holder.agent) {
            prop_assert!(decision.confidence >= LEAVE_MIN);
            prop_assert!(decision.method != Method::Conversation);
        } else {
            prop_assert_eq!(decision.method, Method::Conversation);
            prop_assert!(decision.confidence < 1.0);
        }
    }

    #[test]
    fn an_agent_that_was_not_taught_is_never_accepted_by_the_classifier(
        question in question(), evidence in evidence(),
    ) {
        let mut full = full(evidence);
        for one in full.classifier.iter_mut().flatten().flat_map(|all| &mut all.agents) {
            one.is_taught = false;
        }
        prop_assert!(decided(&question, &full)?.method != Method::Classifier);
    }

    #[test]
    fn a_likeness_below_its_bounds_is_never_taken(
        question in question(), evidence in evidence(),
    ) {
        let full = full(evidence);
        let decision = decided(&question, &full)?;
        if let (Method::Similar, Some(Some(found))) = (decision.method, full.similar) {
            prop_assert!(found.probability >= found.probability_min);
            prop_assert!(found.cosine >= found.cosine_min);
            prop_assert!(decision.confidence <= probability(found.confidence));
            prop_assert!(decision.confidence <= probability(found.probability));
        }
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter(found in found(), turn in 0_usize..24) {
        let mut turned = found.clone();
        if !turned.candidates.is_empty() {
            let middle = turn % turned.candidates.len();
            turned.candidates.rotate_left(middle);
        }
        // Of equal entries for one agent the first stays; only its skill may differ.
        let told = |found: &Found| judge(found).map(|j| (j.agent, j.cluster, j.alternatives.len()));
        prop_assert_eq!(told(&found), told(&turned));
    }

    #[test]
    fn probabilities_of_different_agents_never_exceed_certainty(found in found()) {
        if let Some(judged) = judge(&found) {
            let others = judged.alternatives.iter().filter(|a| a.agent != judged.agent);
            for other in others {
                prop_assert!(judged.confidence + other.confidence <= 1.0 + 1e-6);
            }
        }
    }

    #[test]
    fn features_stay_in_their_ranges(found in found()) {
        for tier in [ENCODER, LEXICAL] {
            let ranked = rank(&found, &tier.ranking);
            for one in &ranked {
                let f = features(one, &ranked);
                prop_assert!((0.0..=1.0).contains(&f.cosine) && (0.0..=1.0).contains(&f.coverage));
                prop_assert!(f.cosine_margin.abs() <= 0.3 && f.coverage_margin.abs() <= 0.5);
                prop_assert!(f.lexical_margin.abs() <= 1.0);
            }
        }
    }

    #[test]
    fn a_better_cosine_never_lowers_the_winners_probability(
        mut found in found(), better in 0.0_f32..1.0,
    ) {
        // One entry per agent and cluster, as the interface promises.
        let mut seen = BTreeSet::new();
        found.candidates.retain(|c| seen.insert((c.agent.clone(), c.cluster.clone())));
        let Some(before) = judge(&found).filter(|j| j.vectors) else { return Ok(()) };
        let mut raised = found.clone();
        for one in &mut raised.candidates {
            if one.agent == before.agent && one.cluster == before.cluster {
                let old = one.vector.filter(|v| v.is_finite()).unwrap_or(0.0);
                one.vector = Some(old.max(better));
            }
        }
        let after = judge(&raised);
        let after = after.filter(|j| j.agent == before.agent && j.cluster == before.cluster);
        prop_assert!(after.is_some_and(|j| j.confidence >= before.confidence - 1e-6));
    }
}

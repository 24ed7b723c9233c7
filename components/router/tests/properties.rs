//! What holds for any evidence.

use kgents_router::calibration::{ENCODER, LEXICAL};
use kgents_router::decide;
use kgents_router::features::{features, rank};
use kgents_router::question::{
    ALTERNATIVES_MAX, Alternative, Candidate, Decision, Evidence, Found, Method, Named, Question,
    Remembered, Step,
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
    ) -> Candidate {
        Candidate { agent, cluster, skill, lexical, coverage, vector }
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
    ) -> Remembered {
        Remembered { agent, cluster, confidence, alternatives }
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
        cache in option::of(option::of(remembered())),
        search in option::of(found()),
        fallback in option::of(option::of(name())),
    ) -> Evidence {
        Evidence { exact, cache, search, fallback }
    }
}

prop_compose! {
    fn question()(text in ".{0,40}", target in option::of(".{0,80}"), accept in number()) -> Question {
        Question { text, target, accept }
    }
}

fn well_formed(decision: &Decision) -> Result<(), TestCaseError> {
    let Decision {
        agent,
        cluster,
        method,
        confidence,
        fallback,
        reason,
        alternatives,
    } = decision;
    prop_assert!((0.0..=1.0).contains(confidence));
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
        let full = Evidence {
            exact: Some(evidence.exact.unwrap_or_default()),
            cache: Some(evidence.cache.flatten()),
            search: Some(evidence.search.unwrap_or(Found { candidates: vec![], encoder: None })),
            fallback: Some(evidence.fallback.flatten()),
        };
        prop_assert!(matches!(decide(&question, &full), Step::Decided(_)));
    }

    #[test]
    fn a_search_is_only_accepted_at_the_threshold(question in question(), found in found()) {
        let evidence = Evidence {
            exact: Some(vec![]), cache: Some(None), search: Some(found), fallback: Some(None),
        };
        if let Step::Decided(decision) = decide(&question, &evidence)
            && decision.method == Method::Search
        {
            prop_assert!(decision.confidence >= question.accept.clamp(0.0, 1.0));
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

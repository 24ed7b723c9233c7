//! A report's figures, from what the folds saw.

use crate::calibration::{Fitted, Tier};
use crate::folds::{Kind, Seen};
use crate::material::Material;
use crate::measures::{self, Outcome};
use crate::report::{RouteReport, TakenBy, TierReport};

/// One tier's figures. Out of scope are background lines, repeated or left out so that they
/// are a fifth of all: the figures are those of the mix that the calibration assumes.
pub(crate) fn tier(
    tier: Tier,
    fitted: &Fitted,
    seen: &[Seen],
    is_right: impl Fn(&Seen) -> bool,
) -> TierReport {
    let own = seen.iter().filter(|seen| seen.kind == Kind::Own);
    let in_scope = own.clone().count();
    let background = seen.iter().filter(|seen| seen.kind == Kind::Background);
    let out_of_scope = background.clone().count();
    let outcomes: Vec<Outcome> = own
        .chain(background.cycle().take(in_scope / 4))
        .map(|seen| {
            let (in_scope, confidence) = fitted.calibration.probabilities(tier, seen);
            let right = seen.right.map(|route| route as u32);
            Outcome {
                right,
                // Another skill of the right agent is right.
                best: right.filter(|_| is_right(seen)).or(Some(seen.best as u32)),
                in_scope: in_scope as f32,
                confidence: confidence as f32,
            }
        })
        .collect();
    TierReport {
        in_scope,
        out_of_scope,
        accuracy: measures::accuracy(&outcomes),
        macro_f1: measures::macro_f1(&outcomes),
        oos_auroc: measures::oos_auroc(&outcomes),
        oos_f1: measures::oos_f1(&outcomes, fitted.in_scope_min),
        fpr95: measures::fpr95(&outcomes),
        ece: measures::ece(&outcomes),
        in_scope_min: fitted.in_scope_min,
    }
}

/// What became of each route's held-out lines.
pub(crate) fn by_route(material: &Material, seen: &[Seen]) -> Vec<RouteReport> {
    let routes = &material.lesson.routes;
    let mut all: Vec<(usize, usize, Vec<usize>)> = vec![Default::default(); routes.len()];
    for seen in seen.iter().filter(|seen| seen.kind == Kind::Own) {
        let right = seen.right.unwrap_or(usize::MAX);
        if let Some((held_out, led, taken)) = all.get_mut(right) {
            *held_out += 1;
            if material.is_same_agent(right, seen.best) {
                *led += 1;
            } else {
                taken.push(seen.best);
            }
        }
    }
    let report = |(route, (held_out, right, mut taken)): (&crate::Route, (_, _, Vec<usize>))| {
        taken.sort_unstable();
        let runs = taken.chunk_by(|one, other| one == other);
        // The first of those with most lines: the order of the routes decides.
        let most = runs.rev().max_by_key(|run| run.len());
        let taken_by = most.and_then(|run| {
            let taker = routes.get(*run.first()?)?;
            Some(TakenBy {
                agent: taker.agent.clone(),
                cluster: taker.cluster.clone(),
                skill: taker.skill.clone(),
                lines: run.len(),
            })
        });
        RouteReport {
            agent: route.agent.clone(),
            cluster: route.cluster.clone(),
            skill: route.skill.clone(),
            held_out,
            right,
            taken_by,
        }
    };
    routes.iter().zip(all).map(report).collect()
}

//! The component's door: bindings in, bindings out.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/pheromone", world: "pheromone" });
}

use bindings::exports::kgents::pheromone::sensing as wit;

struct Component;

impl wit::Guest for Component {
    fn accept(
        draft: wit::Draft,
        own_kinds: Vec<String>,
        now_ms: u64,
    ) -> Result<wit::Pheromone, Vec<wit::Problem>> {
        crate::accept(draft.into(), &own_kinds, now_ms)
            .map(Into::into)
            .map_err(|problems| problems.into_iter().map(Into::into).collect())
    }

    fn intensity(pheromone: wit::Pheromone, now_ms: u64) -> f64 {
        crate::intensity(&pheromone.into(), now_ms)
    }

    fn sense(
        pheromones: Vec<wit::Pheromone>,
        filter: wit::Filter,
        now_ms: u64,
    ) -> Vec<wit::Sensed> {
        let pheromones: Vec<crate::Pheromone> = pheromones.into_iter().map(Into::into).collect();
        crate::sense(&pheromones, &filter.into(), now_ms)
            .into_iter()
            .map(Into::into)
            .collect()
    }
}

impl From<wit::Draft> for crate::Draft {
    fn from(draft: wit::Draft) -> Self {
        Self {
            kind: draft.kind,
            source: draft.source,
            initial_intensity: draft.initial_intensity,
            half_life_minutes: draft.half_life_minutes,
            target: draft.target,
            ttl_seconds: draft.ttl_seconds,
        }
    }
}

impl From<wit::Pheromone> for crate::Pheromone {
    fn from(pheromone: wit::Pheromone) -> Self {
        Self {
            kind: pheromone.kind,
            source: pheromone.source,
            emitted_at_ms: pheromone.emitted_at_ms,
            initial_intensity: pheromone.initial_intensity,
            half_life_ms: pheromone.half_life_ms,
            target: pheromone.target,
            ttl_ms: pheromone.ttl_ms,
        }
    }
}

impl From<crate::Pheromone> for wit::Pheromone {
    fn from(pheromone: crate::Pheromone) -> Self {
        Self {
            kind: pheromone.kind,
            source: pheromone.source,
            emitted_at_ms: pheromone.emitted_at_ms,
            initial_intensity: pheromone.initial_intensity,
            half_life_ms: pheromone.half_life_ms,
            target: pheromone.target,
            ttl_ms: pheromone.ttl_ms,
        }
    }
}

impl From<crate::Problem> for wit::Problem {
    fn from(problem: crate::Problem) -> Self {
        Self {
            field: problem.field.to_owned(),
            message: problem.message,
        }
    }
}

impl From<wit::Filter> for crate::Filter {
    fn from(filter: wit::Filter) -> Self {
        Self {
            kind: filter.kind,
            target: filter.target,
            min_intensity: filter.min_intensity,
            limit: filter.limit,
        }
    }
}

impl From<crate::Sensed> for wit::Sensed {
    fn from(sensed: crate::Sensed) -> Self {
        Self {
            index: sensed.index,
            intensity: sensed.intensity,
        }
    }
}

bindings::export!(Component with_types_in bindings);

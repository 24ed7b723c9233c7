//! The component's door: bindings in, bindings out.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/health", world: "health" });
}

use bindings::exports::kgents::health::judging as wit;

struct Component;

impl wit::Guest for Component {
    fn judge(probes: Vec<wit::Probe>, limits: wit::Limits, now_ms: u64) -> wit::Verdict {
        let probes: Vec<crate::Probe> = probes.into_iter().map(Into::into).collect();
        crate::judge(&probes, limits.into(), now_ms).into()
    }
}

impl From<wit::Probe> for crate::Probe {
    fn from(probe: wit::Probe) -> Self {
        Self {
            at_ms: probe.at_ms,
            outcome: probe.outcome.into(),
        }
    }
}

impl From<wit::Outcome> for crate::Outcome {
    fn from(outcome: wit::Outcome) -> Self {
        match outcome {
            wit::Outcome::Answered(took_ms) => Self::Answered(took_ms),
            wit::Outcome::Status(code) => Self::Status(code),
            wit::Outcome::Unreachable => Self::Unreachable,
            wit::Outcome::TimedOut(budget_ms) => Self::TimedOut(budget_ms),
            wit::Outcome::Malformed => Self::Malformed,
        }
    }
}

impl From<wit::Limits> for crate::Limits {
    fn from(limits: wit::Limits) -> Self {
        Self {
            slow_ms: limits.slow_ms,
            failures: limits.failures,
            stale_ms: limits.stale_ms,
        }
    }
}

impl From<crate::Verdict> for wit::Verdict {
    fn from(verdict: crate::Verdict) -> Self {
        Self {
            status: verdict.status.into(),
            reason: verdict.reason,
        }
    }
}

impl From<crate::Status> for wit::Status {
    fn from(status: crate::Status) -> Self {
        match status {
            crate::Status::Unknown => Self::Unknown,
            crate::Status::Healthy => Self::Healthy,
            crate::Status::Degraded => Self::Degraded,
            crate::Status::Failed => Self::Failed,
        }
    }
}

bindings::export!(Component with_types_in bindings);

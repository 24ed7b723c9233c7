//! The `kgents-*` headers of an answer: who gave it, how it was found.

use http::HeaderMap;
use serde::Serialize;

/// What the mesh tells about an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Head {
    /// The agent that answered.
    pub agent: Option<String>,
    /// Its cluster.
    pub cluster: Option<String>,
    /// How it was found: `exact`, `cache`, `search`, `fallback`.
    pub method: Option<String>,
    /// Calibrated probability that it was the right one, 0.0 to 1.0.
    pub confidence: Option<f64>,
    /// Whether nobody fitted and the fallback answered.
    pub fallback: bool,
    /// Name of the audit event.
    pub event: Option<String>,
}

impl Head {
    /// Reads it from an answer. A header that is absent or unreadable is none.
    pub fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        Self {
            agent: text("kgents-agent"),
            cluster: text("kgents-cluster"),
            method: text("kgents-method"),
            confidence: text("kgents-confidence")
                .and_then(|value| value.parse().ok())
                .filter(|share| (0.0..=1.0).contains(share)),
            fallback: text("kgents-fallback").as_deref() == Some("true"),
            event: text("kgents-event"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(pairs: &[(&'static str, &str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        Head::read(&headers)
    }

    #[test]
    fn the_head_is_read_from_its_headers() {
        let full = head(&[
            ("kgents-agent", "b-gent"),
            ("kgents-cluster", "local"),
            ("kgents-method", "search"),
            ("kgents-confidence", "0.8700"),
            ("kgents-fallback", "true"),
            ("kgents-event", "evt-1"),
        ]);
        assert_eq!(full.agent.as_deref(), Some("b-gent"));
        assert_eq!(full.confidence, Some(0.87));
        assert!(full.fallback);
        assert_eq!(head(&[]), Head::default());
    }

    proptest! {
        #[test]
        fn whatever_the_confidence_says_it_is_none_or_a_probability(value in "[ -~]{0,12}") {
            let confidence = head(&[("kgents-confidence", &value)]).confidence;
            prop_assert!(confidence.is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
    }
}

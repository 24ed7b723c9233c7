//! What was decided before and what was learnt, as of each scrape: read where it is
//! counted, so that no figure is a copy that lags behind.

use crate::decisions::{Counts, Decisions};
use crate::learning::{Learnt, State, Teacher};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::{Debug, Error, Formatter};
use std::sync::{Arc, Weak};

/// The memory of decisions and the model in force. Keeps neither alive: once the
/// mesh is closed there is nothing to tell of them.
pub struct RoutingMetrics {
    decisions: Weak<Decisions>,
    teacher: Weak<Teacher>,
}

impl RoutingMetrics {
    /// Registers them.
    pub fn register(decisions: &Arc<Decisions>, teacher: &Arc<Teacher>, registry: &mut Registry) {
        registry.register_collector(Box::new(Self {
            decisions: Arc::downgrade(decisions),
            teacher: Arc::downgrade(teacher),
        }));
    }
}

impl Debug for RoutingMetrics {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result<(), Error> {
        formatter.write_str("RoutingMetrics")
    }
}

impl Collector for RoutingMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        if let Some(decisions) = self.decisions.upgrade() {
            page.remembered(&decisions.counts())?;
        }
        if let Some(teacher) = self.teacher.upgrade() {
            page.model(teacher.learnt().as_deref())?;
            page.state(teacher.standing().state)?;
        }
        Ok(())
    }
}

/// What is written at one scrape.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn remembered(&mut self, counts: &Counts) -> Result<(), Error> {
        self.gauge(
            "kgents_decisions_remembered",
            "Routing decisions in memory",
            counts.entries,
        )?;
        self.counters(
            "kgents_decisions_lookups",
            "Questions looked up among the decisions, by what came of it",
            "outcome",
            &[
                ("hit", counts.hits),
                ("shared", counts.shared_hits),
                ("miss", counts.misses),
            ],
        )?;
        self.counter(
            "kgents_decisions_waited",
            "Hits that waited for who was deciding the same",
            counts.waited,
        )?;
        self.counter(
            "kgents_decisions_similar",
            "Questions for which a text like theirs had been decided",
            counts.similar,
        )?;
        self.counter(
            "kgents_decisions_invalidated",
            "Decisions dropped because a change might have altered them",
            counts.invalidated,
        )?;
        self.counter(
            "kgents_decisions_shared_failures",
            "Answers of the shared store that failed or came too late",
            counts.shared.failures,
        )?;
        self.counter(
            "kgents_decisions_shared_dropped",
            "Decisions that were not written to the shared store",
            counts.shared.dropped,
        )
    }

    fn model(&mut self, learnt: Option<&Learnt>) -> Result<(), Error> {
        let report = learnt.map(|learnt| learnt.model.report());
        self.gauge(
            "kgents_router_model_number",
            "Number of the model in force since the start, 0 without one",
            learnt.map_or(0, |learnt| learnt.number),
        )?;
        self.gauge(
            "kgents_router_model_routes",
            "Routes that the model in force knows",
            report.map_or(0, |report| report.routes),
        )?;
        self.gauge(
            "kgents_router_model_lines",
            "Lines that the model in force was learnt from",
            report.map_or(0, |report| report.lines),
        )?;
        let words = report.and_then(|report| report.words.accuracy);
        let sentences = report.and_then(|report| report.sentences.as_ref()?.accuracy);
        let tiers = [("words", words), ("sentences", sentences)];
        let measured = tiers
            .iter()
            .filter_map(|(tier, share)| Some((*tier, (*share)?)));
        self.gauges(
            "kgents_router_model_accuracy",
            "Share of held-out lines led right at the last training in full, by tier",
            "tier",
            measured,
        )
    }

    fn state(&mut self, now: State) -> Result<(), Error> {
        let states = State::ALL.map(|state| (state.name(), u64::from(state == now)));
        self.gauges(
            "kgents_router_model_state",
            "What goes on in the teacher: 1 for what does",
            "state",
            states.into_iter(),
        )
    }

    fn gauge<N>(&mut self, name: &str, help: &str, value: N) -> Result<(), Error>
    where
        ConstGauge<N>: EncodeMetric,
    {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauges<'v, N>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'v str, N)>,
    ) -> Result<(), Error>
    where
        ConstGauge<N>: EncodeMetric,
    {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (of, value) in values {
            let labels = [(label, of)];
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, u64)],
    ) -> Result<(), Error> {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (of, value) in values {
            let labels = [(label, *of)];
            ConstCounter::new(*value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::SharedCounts;
    use prometheus_client::encoding::text::encode;

    #[derive(Debug)]
    struct Fixed(Counts);

    impl Collector for Fixed {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
            let mut page = Page(encoder);
            page.remembered(&self.0)?;
            page.model(None)?;
            page.state(State::Learning)
        }
    }

    fn page(collector: Box<dyn Collector>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(collector);
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        page
    }

    #[test]
    fn counts_and_the_state_are_shown_under_their_names() {
        let counts = Counts {
            entries: 3,
            hits: 5,
            shared_hits: 2,
            misses: 7,
            waited: 1,
            invalidated: 4,
            shared: SharedCounts {
                failures: 6,
                dropped: 8,
            },
            ..Counts::default()
        };
        let page = page(Box::new(Fixed(counts)));
        for line in [
            "kgents_decisions_remembered 3",
            "kgents_decisions_lookups_total{outcome=\"hit\"} 5",
            "kgents_decisions_lookups_total{outcome=\"shared\"} 2",
            "kgents_decisions_lookups_total{outcome=\"miss\"} 7",
            "kgents_decisions_waited_total 1",
            "kgents_decisions_similar_total 0",
            "kgents_decisions_invalidated_total 4",
            "kgents_decisions_shared_failures_total 6",
            "kgents_decisions_shared_dropped_total 8",
            "kgents_router_model_number 0",
            "kgents_router_model_state{state=\"learning\"} 1",
            "kgents_router_model_state{state=\"learnt\"} 0",
        ] {
            assert!(page.lines().any(|known| known == line), "{line} in\n{page}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let page = page(Box::new(Fixed(Counts::default())));
        assert!(!page.contains("accuracy{"), "{page}");
    }

    #[test]
    fn a_mesh_that_is_closed_has_nothing_to_tell() {
        let page = page(Box::new(RoutingMetrics {
            decisions: Weak::new(),
            teacher: Weak::new(),
        }));
        assert_eq!(page, "# EOF\n");
    }
}

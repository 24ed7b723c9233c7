//! What a trace shows of an interaction. A program of its own, since whether a
//! span is made is decided for a whole process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

#[allow(dead_code, reason = "shared with the tests of the exchange")]
#[path = "../exchange/fakes.rs"]
mod fakes;
#[allow(dead_code, reason = "shared with the tests of the exchange")]
#[path = "../exchange/world.rs"]
mod world;

use kgents_mesh::exchange::ReplyBody;
use kgents_mesh::ports::Action;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::MutexGuard;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use world::*;

type Fields = BTreeMap<String, String>;

/// Keeps the spans that were closed, with their fields.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(&'static str, Fields)>>>);

struct Put<'a>(&'a mut Fields);

impl Visit for Put<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}").trim_matches('"').to_owned();
        self.0.insert(field.name().to_owned(), text);
    }
}

impl Layer<Registry> for Kept {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
        let mut fields = Fields::new();
        attributes.record(&mut Put(&mut fields));
        ctx.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, Registry>) {
        let span = ctx.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        values.record(&mut Put(extensions.get_mut::<Fields>().unwrap()));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, Registry>) {
        let span = ctx.span(&id).unwrap();
        let fields = span.extensions().get::<Fields>().unwrap().clone();
        self.0.lock().unwrap().push((span.name(), fields));
    }
}

impl Kept {
    fn names(&self) -> Vec<&'static str> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(name, _)| *name)
            .collect()
    }

    fn invoke(&self) -> Fields {
        let spans = self.0.lock().unwrap();
        let mut invoked = spans.iter().filter(|(name, _)| *name == "agent.invoke");
        let (_, fields) = invoked.next().unwrap();
        assert!(invoked.next().is_none());
        fields.clone()
    }
}

static KEPT: LazyLock<Kept> = LazyLock::new(|| {
    let kept = Kept::default();
    let subscriber = Registry::default().with(kept.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    kept
});
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn kept() -> (&'static Kept, MutexGuard<'static, ()>) {
    let guard = ONE_AT_A_TIME.lock().await;
    KEPT.0.lock().unwrap().clear();
    (&*KEPT, guard)
}

#[tokio::test]
async fn each_step_of_a_call_is_a_span() {
    let (kept, _guard) = kept().await;
    let world = World::new();
    world.policy.forbid("ada", Action::Route, "other");
    world.agent.will(Act::Answer(costly(42)));
    once(world.ask("", send("fold paper boats")).await).unwrap();
    let names = kept.names();
    for name in [
        "exchange.run",
        "identity.verify",
        "router.resolve",
        "policy.evaluate",
        "budget.reserve",
        "audit.append",
        "agent.invoke",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let fields = kept.invoke();
    for (field, value) in [
        ("agent.source", "ada"),
        ("routing.method", "search"),
        ("result.success", "true"),
        ("result.tokens", "42"),
    ] {
        assert_eq!(fields.get(field).map(String::as_str), Some(value));
    }
    assert!(fields.contains_key("agent.target") && fields.contains_key("routing.score"));
}

#[tokio::test]
async fn the_call_of_a_stream_is_told_when_it_has_ended() {
    let (kept, _guard) = kept().await;
    let world = World::new();
    let working = || Event::Say(task("t1", "TASK_STATE_WORKING"));
    world.agent.will(Act::Stream(vec![working(), working()]));
    let ReplyBody::Events(mut events) = world.ask("helper", stream("hello")).await.body else {
        panic!("a stream is expected");
    };
    events.next().await.unwrap().unwrap();
    assert!(!kept.names().contains(&"agent.invoke"));
    drop(events);
    assert_eq!(kept.invoke().get("result.success").unwrap(), "false");
}

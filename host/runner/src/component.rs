//! One component of an application, loaded: an instance for each request, and
//! the way from a request to an answer.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinError;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

use crate::body::{Flow, RunnerBody};
use crate::engine::Engine;
use crate::lane::{Pace, Paced};
use crate::outbound::Outbound;
use crate::resting::Resting;
use crate::runner::Inner;
use crate::speech::Verdict;
use crate::state::{Guest, Permits};

/// Why a component gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No instance was free in time.
    #[error("no instance was free in time")]
    Busy,
    /// The component took longer than it may.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The runner is being closed.
    #[error("the runner is being closed")]
    Closing,
    /// It trapped, gave up, or did not answer.
    #[error("{0}")]
    Failed(String),
}

/// An instance, with all that belongs to it.
pub(crate) struct Live {
    store: Store<Guest>,
    proxy: Proxy,
    /// Requests it has served.
    served: u32,
    // Dropped after the store, whose memory it stands for.
    pub(crate) place: OwnedSemaphorePermit,
}

/// A request on its way, and what came of it.
type Work = Paced<Done>;

struct Done {
    live: Option<Live>,
    result: wasmtime::Result<()>,
    /// Whether it asked for more memory than it may hold.
    memory_refused: bool,
}

impl Done {
    fn of(done: Result<Self, JoinError>) -> Self {
        done.unwrap_or_else(|error| Self {
            live: None,
            result: Err(error.into()),
            memory_refused: false,
        })
    }
}

/// The head of an answer, or what a component said instead of one.
type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// A request for a component.
pub(crate) struct Call {
    /// With a whole address, and the headers that a component is told.
    pub(crate) request: Request<WasiBody>,
    /// How many components called each other until this one.
    pub(crate) depth: u8,
    /// Held while the request is under way.
    pub(crate) running: OwnedSemaphorePermit,
    /// Of the component's share, held as long; calls between components have none.
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

/// A component that was loaded.
pub(crate) struct Loaded {
    pub(crate) permits: Arc<Permits>,
    pub(crate) pre: ProxyPre<Guest>,
    pub(crate) engine: Engine,
    pub(crate) pace: Arc<Pace>,
    pub(crate) resting: Resting,
    /// One permit for each instance of this component that may run: who has many
    /// requests leaves room for its neighbours.
    pub(crate) share: Arc<Semaphore>,
}

impl Loaded {
    /// Have the component answer a request.
    ///
    /// # Errors
    /// [`Failure`], before any of the answer has left. What happens later breaks
    /// the body off.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        runner: &Weak<Inner>,
        mut call: Call,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Response<RunnerBody>, Failure> {
        let timeout = self.permits.limits.timeout;
        if call.depth == 0 {
            let waiting = Arc::clone(&self.share).acquire_owned();
            let waited = tokio::time::timeout(timeout, waiting).await;
            call.share = Some(waited.ok().and_then(Result::ok).ok_or(Failure::Busy)?);
        }
        let place = self.place(call.depth).await?;
        let (sender, mut head) = oneshot::channel();
        let outbound = Outbound {
            runner: runner.clone(),
            permits: Arc::clone(&self.permits),
            depth: call.depth,
            bodies: 0,
        };
        let work = Box::pin(work(Arc::clone(self), place, outbound, call, sender));
        let mut work: Work = Paced::new(work, &self.pace);
        let sent = tokio::select! {
            // The component first: most have finished when they first wait.
            biased;
            done = &mut work => return self.finished(Done::of(done), head.try_recv().ok()),
            sent = &mut head => sent,
            () = tokio::time::sleep(timeout) => return Err(Failure::Late(timeout)),
            _ = stop.wait_for(|stop| *stop) => return Err(Failure::Closing),
        };
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(code)) => return Err(gave_up(&code)),
            Err(_) => return Err(Failure::Failed("it will not answer".to_owned())),
        };
        let flow = Flow::new();
        let left = content_length(response.headers());
        let rest = Arc::clone(self).rest(work, Arc::clone(&flow), stop);
        let task = tokio::spawn(rest).abort_handle();
        Ok(response.map(|body| RunnerBody::written(body, left, flow, task)))
    }

    /// Wait for a place among the instances that run.
    async fn place(&self, depth: u8) -> Result<OwnedSemaphorePermit, Failure> {
        let places = Arc::clone(self.engine.places());
        if depth > 0 {
            // Who calls holds a place itself: were it to wait for another, all
            // could wait for each other.
            return places.try_acquire_owned().map_err(|_| Failure::Busy);
        }
        let waiting = tokio::time::timeout(self.permits.limits.timeout, places.acquire_owned());
        match waiting.await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Failure::Busy),
        }
    }

    /// The component returned before any of its answer has left.
    fn finished(&self, done: Done, sent: Option<Head>) -> Result<Response<RunnerBody>, Failure> {
        let Done {
            live,
            result,
            memory_refused,
        } = done;
        let trapped = result.err().map(|error| trapped(&error, memory_refused));
        let response = match (sent, &trapped) {
            (Some(Ok(response)), _) => response,
            (_, Some(failure)) => return Err(failure.clone()),
            (Some(Err(code)), None) => return Err(gave_up(&code)),
            (None, None) => {
                return Err(Failure::Failed("it returned without an answer".to_owned()));
            }
        };
        let (head, mut written) = response.into_parts();
        let (mut body, ended) = RunnerBody::taken(&mut written);
        match (trapped, ended) {
            (Some(failure), false) => return Err(failure),
            (Some(failure), true) => self.tell(&failure, "after its answer"),
            (None, true) => {
                if let Some(live) = live {
                    self.rest_for_next(live);
                }
            }
            (None, false) => {
                // Nobody will finish it any more; what is there is the answer, as
                // in Spin.
                drop(live);
                let (more, _) = RunnerBody::taken(&mut written);
                body.append(more);
            }
        }
        Ok(Response::from_parts(head, body))
    }

    /// Run a component on whose answer has begun to leave.
    async fn rest(
        self: Arc<Self>,
        mut work: Work,
        flow: Arc<Flow>,
        mut stop: watch::Receiver<bool>,
    ) {
        let timeout = self.permits.limits.timeout;
        let done = tokio::select! {
            biased;
            done = &mut work => Done::of(done),
            () = flow.stalled(timeout) => {
                // INVARIANT: said before `work` is dropped, and the instance with it.
                flow.break_off();
                return self.tell(&Failure::Late(timeout), "in the middle of its answer");
            }
            _ = stop.wait_for(|stop| *stop) => return flow.break_off(),
        };
        if let Err(error) = &done.result {
            flow.break_off();
            let failure = trapped(error, done.memory_refused);
            return self.tell(&failure, "in the middle of its answer");
        }
        let Some(live) = done.live.filter(|_| self.resting.wanted()) else {
            return;
        };
        tokio::select! {
            () = flow.done() => self.rest_for_next(live),
            () = flow.stalled(timeout) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    fn rest_for_next(&self, live: Live) {
        if live.served < self.permits.limits.reuse.unwrap_or(0) {
            self.resting.put(live, self.engine.resting());
        }
    }

    /// Say in the log what became of a request.
    pub(crate) fn tell(&self, failure: &Failure, when: &str) {
        let speaker = &self.permits.speaker;
        let what = format!("a component failed {when}: {failure}");
        // Anybody who can send requests can make this happen, so it is bounded
        // with what the component says itself.
        if speaker.allowance.take(what.len(), Instant::now()) == Verdict::Write {
            let (app, component) = (&*speaker.app, &*speaker.component);
            tracing::warn!(app, component, "{what}");
        }
    }

    async fn live(
        &self,
        place: OwnedSemaphorePermit,
        outbound: Outbound,
    ) -> wasmtime::Result<Live> {
        if let Some(mut live) = self.resting.take() {
            live.place = place;
            live.store.data_mut().outbound = outbound;
            live.store.set_epoch_deadline(1);
            return Ok(live);
        }
        let guest = Guest::new(&self.permits, outbound)?;
        let mut store = Store::new(self.engine.wasmtime(), guest);
        store.limiter(|guest| &mut guest.bound);
        store.set_epoch_deadline(1);
        // Whoever computes gives way at each tick: to others, and to its own end.
        store.epoch_deadline_async_yield_and_update(1);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Live {
            store,
            proxy,
            served: 0,
            place,
        })
    }
}

/// All that a component does for one request.
async fn work(
    loaded: Arc<Loaded>,
    place: OwnedSemaphorePermit,
    outbound: Outbound,
    call: Call,
    head: oneshot::Sender<Head>,
) -> Done {
    // Held until the component has finished.
    let (_running, _share) = (call.running, call.share);
    let mut live = match loaded.live(place, outbound).await {
        Ok(live) => live,
        Err(error) => {
            return Done {
                live: None,
                result: Err(error),
                memory_refused: false,
            };
        }
    };
    live.served = live.served.saturating_add(1);
    let result = handle(&mut live, call.request, head).await;
    Done {
        memory_refused: live.store.data().bound.refused(),
        live: Some(live),
        result,
    }
}

async fn handle(
    live: &mut Live,
    request: Request<WasiBody>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let mut http = live.store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let answer = http.new_response_outparam(head)?;
    live.proxy
        .wasi_http_incoming_handler()
        .call_handle(&mut live.store, request, answer)
        .await
}

/// What a component's end means.
fn trapped(error: &wasmtime::Error, memory_refused: bool) -> Failure {
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::Busy;
    }
    let why = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => format!("{error:#}"),
    };
    Failure::Failed(if memory_refused {
        format!("{why}; it asked for more memory than it may hold")
    } else {
        why
    })
}

fn gave_up(code: &ErrorCode) -> Failure {
    Failure::Failed(format!("it answered with an error: {code}"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

//! Warm instances of one decider. A call takes one, uses it alone, and gives it
//! back; one that failed is dropped, a spare is there at once, and the loader
//! thread makes the next. No async runtime: calls take microseconds.

use std::num::NonZeroUsize;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use wasmtime::{Store, Trap};

use crate::bound::{Bound, Exceeded};
use crate::config::CallLimits;
use crate::engine::{Engine, Job};
use crate::error::Error;

/// One instance in its own store.
pub(crate) struct Warm<T> {
    store: Store<Bound>,
    guest: T,
    /// Memory held when it was loaded, in bytes.
    loaded_bytes: usize,
}

impl<T> Warm<T> {
    /// Make an instance and let `load` bring it into its serving state, within
    /// `limits`.
    pub(crate) fn load(
        engine: &Engine,
        limits: &CallLimits,
        load: impl FnOnce(&mut Store<Bound>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<Self> {
        let mut store = Store::new(engine.wasmtime(), Bound::new(limits.memory_bytes_max));
        store.limiter(|bound| bound);
        store.set_epoch_deadline(limits.ticks());
        let guest = load(&mut store)?;
        let loaded_bytes = store.data().memory_bytes();
        Ok(Self {
            store,
            guest,
            loaded_bytes,
        })
    }

    fn grown_bytes(&self) -> usize {
        self.store
            .data()
            .memory_bytes()
            .saturating_sub(self.loaded_bytes)
    }
}

impl<T> Warm<Option<T>> {
    /// The instance, unless its `load` found it unfit to serve.
    pub(crate) fn filter(self) -> Option<Warm<T>> {
        let Self {
            store,
            guest,
            loaded_bytes,
        } = self;
        guest.map(|guest| Warm {
            store,
            guest,
            loaded_bytes,
        })
    }
}

/// Makes another instance like the others.
type Make<T> = Box<dyn Fn() -> Result<Warm<T>, Error> + Send + Sync>;

/// The warm instances of one decider; cheap to clone.
pub(crate) struct Pool<T: Send + 'static>(Arc<Inner<T>>);

impl<T: Send + 'static> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T> {
    decider: String,
    limits: CallLimits,
    make: Make<T>,
    ready: Mutex<Ready<T>>,
    given_back: Condvar,
    loader: Sender<Job>,
}

/// INVARIANT: instances in `warm`, in use, being loaded and `missing` add up to
/// the pool's size.
struct Ready<T> {
    /// The last one given back is on top: its memory is still in the cache.
    warm: Vec<Warm<T>>,
    /// Instances that were lost and that nobody has begun to replace.
    missing: usize,
    /// Calls that wait for an instance.
    waiting: usize,
}

impl<T: Send + 'static> Pool<T> {
    /// A pool of the engine's number of instances and a spare, all loaded, with
    /// `first` among them if it is given.
    pub(crate) fn new(
        engine: &Engine,
        decider: &str,
        limits: CallLimits,
        first: Option<Warm<T>>,
        make: Make<T>,
    ) -> Result<Self, Error> {
        let instances = engine.config().instances;
        Self::of(instances, engine, decider, limits, first, make)
    }

    /// The same, of `instances` and a spare.
    pub(crate) fn of(
        instances: NonZeroUsize,
        engine: &Engine,
        decider: &str,
        limits: CallLimits,
        first: Option<Warm<T>>,
        make: Make<T>,
    ) -> Result<Self, Error> {
        let size = instances.get() + 1;
        let warm = fill(size, first, &make)?;
        Ok(Self(Arc::new(Inner {
            decider: decider.to_owned(),
            limits,
            make,
            ready: Mutex::new(Ready {
                warm,
                missing: 0,
                waiting: 0,
            }),
            given_back: Condvar::new(),
            loader: engine.loader(),
        })))
    }

    /// Call into one instance, within the pool's limits.
    pub(crate) fn call<R>(
        &self,
        run: impl FnOnce(&mut Store<Bound>, &T) -> wasmtime::Result<R>,
    ) -> Result<R, Error> {
        let taken = self.0.take()?;
        let loss = Loss(&self.0);
        // Bound after `loss`, so dropped before it: the memory of an instance
        // that is lost goes back before its replacement asks for some.
        let mut warm = taken;
        warm.store.set_epoch_deadline(self.0.limits.ticks());
        let answer = run(&mut warm.store, &warm.guest)
            .map_err(|error| failure(&self.0.decider, &self.0.limits, &error))?;
        if warm.grown_bytes() <= self.0.limits.memory_bytes_kept {
            std::mem::forget(loss);
            self.0.put(warm);
        }
        Ok(answer)
    }

    /// Make one more instance and drop it.
    pub(crate) fn make_one(&self) -> Result<(), Error> {
        (self.0.make)().map(drop)
    }
}

/// While it lives, an instance is in use. Dropped, it counts the instance as
/// lost: after an error, when it outgrew its bound, and also when the host
/// itself unwinds.
struct Loss<'a, T: Send + 'static>(&'a Arc<Inner<T>>);

impl<T: Send + 'static> Drop for Loss<'_, T> {
    fn drop(&mut self) {
        self.0.lose();
    }
}

impl<T: Send + 'static> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, Ready<T>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance for one call: a warm one; else a new one, if one is missing;
    /// else the first that is given back within the deadline.
    fn take(&self) -> Result<Warm<T>, Error> {
        let mut ready = self.lock();
        let mut began = None;
        loop {
            if let Some(warm) = ready.warm.pop() {
                return Ok(warm);
            }
            if ready.missing > 0 {
                ready.missing -= 1;
                drop(ready);
                return (self.make)().inspect_err(|_| self.lock().missing += 1);
            }
            let waited = began.get_or_insert_with(Instant::now).elapsed();
            let Some(left) = self.limits.deadline.checked_sub(waited) else {
                return Err(Error::Busy {
                    decider: self.decider.clone(),
                    deadline_ms: milliseconds(self.limits.deadline),
                });
            };
            ready.waiting += 1;
            ready = self
                .given_back
                .wait_timeout(ready, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            ready.waiting -= 1;
        }
    }

    fn put(&self, warm: Warm<T>) {
        let mut ready = self.lock();
        ready.warm.push(warm);
        // Waking costs a system call even when nobody waits.
        if ready.waiting > 0 {
            self.given_back.notify_one();
        }
    }

    /// Count an instance as lost and have it replaced. Should the loader be
    /// gone, the next call that finds nothing warm makes its own.
    fn lose(self: &Arc<Self>) {
        let mut ready = self.lock();
        ready.missing += 1;
        if ready.waiting > 0 {
            self.given_back.notify_one();
        }
        drop(ready);
        let pool: Weak<Self> = Arc::downgrade(self);
        let refill = move || {
            if let Some(pool) = pool.upgrade() {
                pool.refill();
            }
        };
        if self.loader.send(Box::new(refill)).is_err() {
            tracing::error!(decider = self.decider, "the loader thread is gone");
        }
    }

    fn refill(&self) {
        loop {
            {
                let mut ready = self.lock();
                if ready.missing == 0 {
                    return;
                }
                ready.missing -= 1;
            }
            match (self.make)() {
                Ok(warm) => self.put(warm),
                Err(error) => {
                    self.lock().missing += 1;
                    tracing::error!(
                        decider = self.decider,
                        code = error.code(),
                        %error,
                        "a lost instance could not be replaced; the next call tries again",
                    );
                    return;
                }
            }
        }
    }
}

/// Load `size` instances, as many at once as there are: what is slow to load
/// (policies) takes as long as one.
fn fill<T: Send>(
    size: usize,
    first: Option<Warm<T>>,
    make: &Make<T>,
) -> Result<Vec<Warm<T>>, Error> {
    let first = match first {
        Some(first) => first,
        None => make()?,
    };
    let mut warm = vec![first];
    std::thread::scope(|scope| {
        let loading: Vec<_> = (1..size).map(|_| scope.spawn(make)).collect();
        for loaded in loading {
            let loaded = loaded.join().map_err(|_| Error::Setup {
                detail: "a thread that loads instances panicked".to_owned(),
            })?;
            warm.push(loaded?);
        }
        Ok(warm)
    })
}

/// What an error of the engine means to the caller.
pub(crate) fn failure(decider: &str, limits: &CallLimits, error: &wasmtime::Error) -> Error {
    let decider = decider.to_owned();
    if error.is::<Exceeded>() {
        return Error::Memory {
            decider,
            memory_bytes_max: limits.memory_bytes_max,
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Error::Deadline {
            decider,
            deadline_ms: milliseconds(limits.deadline),
        },
        Some(trap) => Error::Trapped {
            decider,
            detail: trap.to_string(),
        },
        None => Error::Trapped {
            decider,
            detail: format!("{error:#}"),
        },
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::config::EngineConfig;

    fn engine() -> Engine {
        Engine::new(EngineConfig {
            instances: NonZeroUsize::MIN,
            ..EngineConfig::default()
        })
        .unwrap()
    }

    /// A pool of two whose instances are numbered; those that `fails` names
    /// cannot be made.
    fn pool(engine: &Engine, fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> Pool<usize> {
        let limits = CallLimits {
            deadline: Duration::from_millis(1),
            ..CallLimits::SMALL
        };
        let made = AtomicUsize::new(0);
        let make = {
            let engine = engine.clone();
            move || {
                let number = made.fetch_add(1, Ordering::Relaxed);
                if fails(number) {
                    return Err(Error::Instance {
                        decider: "test".into(),
                        detail: number.to_string(),
                    });
                }
                Ok(Warm::load(&engine, &limits, |_| Ok(number)).unwrap())
            }
        };
        Pool::new(engine, "test", limits, None, Box::new(make)).unwrap()
    }

    fn number(pool: &Pool<usize>) -> Result<usize, Error> {
        pool.call(|_, number| Ok(*number))
    }

    fn lose(pool: &Pool<usize>) {
        let lost = pool.call(|_, _| Err::<(), _>(Trap::UnreachableCodeReached.into()));
        assert_eq!(lost.unwrap_err().code(), "decider-trapped");
    }

    #[test]
    fn a_call_that_finds_all_instances_in_use_says_so() {
        let pool = pool(&engine(), |_| false);
        let answer = pool.call(|_, _| Ok(pool.call(|_, _| Ok(number(&pool)))));
        let busy = Error::Busy {
            decider: "test".into(),
            deadline_ms: 1,
        };
        assert_eq!(answer, Ok(Ok(Err(busy))));
        assert!(number(&pool).is_ok());
    }

    #[test]
    fn a_lost_instance_is_replaced_without_a_call() {
        let engine = engine();
        let pool = pool(&engine, |_| false);
        lose(&pool);
        lose(&pool);
        // The loader works in order: when this job runs, the others have.
        let (done, wait) = mpsc::channel();
        engine
            .loader()
            .send(Box::new(move || done.send(()).unwrap()))
            .unwrap();
        wait.recv().unwrap();
        assert_eq!(pool.0.lock().warm.len(), 2);
        assert_eq!(pool.0.lock().missing, 0);
    }

    #[test]
    fn a_replacement_that_failed_is_made_by_a_later_call() {
        let engine = engine();
        // The loader's attempts and the first calls' fail; later ones do not.
        let pool = pool(&engine, |number| (2..8).contains(&number));
        lose(&pool);
        lose(&pool);
        let errors = (0..20).filter(|_| number(&pool).is_err()).count();
        assert!(errors <= 6, "{errors}");
        assert!(number(&pool).unwrap() >= 8);
    }

    #[test]
    fn a_host_that_unwinds_within_a_call_loses_only_that_instance() {
        let engine = engine();
        let pool = pool(&engine, |_| false);
        for _ in 0..3 {
            let caller = pool.clone();
            let unwound = std::thread::spawn(move || {
                let _ = caller.call(|_, _| -> wasmtime::Result<()> { panic!("on purpose") });
            });
            assert!(unwound.join().is_err());
        }
        assert!(number(&pool).is_ok());
    }

    #[test]
    fn a_pool_that_is_gone_is_not_refilled() {
        let engine = engine();
        let pool = pool(&engine, |_| false);
        let weak = Arc::downgrade(&pool.0);
        lose(&pool);
        drop(pool);
        let (done, wait) = mpsc::channel();
        engine
            .loader()
            .send(Box::new(move || done.send(()).unwrap()))
            .unwrap();
        wait.recv().unwrap();
        assert!(weak.upgrade().is_none());
    }
}

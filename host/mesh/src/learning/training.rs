//! One training after the other, on the teacher's thread: what has changed since
//! the last, how it is learnt, and whether what came of it is put in force.

use super::course::{Course, Way, worse};
use super::judge::{RouterJudge, load};
use super::lesson::{Lessons, lessons};
use super::rejections::rejections;
use super::saying::says;
use super::sentences::Stored;
use super::taught::Unknown;
use super::teacher::{Learnt, Room, State, taught};
use crate::registry::Directory;
use kgents_engine::LoadModelError;
use kgents_learn::{Error, Lesson, Model, ROUTES_MAX, Sentences, Table};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What the thread works with.
pub(super) struct Training<'a> {
    room: &'a Room,
    table: Arc<Table>,
    course: Course,
    /// Files of which it is said already that they name what is not there.
    said: HashSet<Unknown>,
    number: u64,
}

impl<'a> Training<'a> {
    pub(super) fn new(room: &'a Room, table: Arc<Table>) -> Self {
        Self {
            room,
            table,
            course: Course::default(),
            said: HashSet::new(),
            number: 0,
        }
    }

    /// Takes up everything that is known now.
    pub(super) fn learn(&mut self) {
        let room = self.room;
        let directory = room.registry.directory();
        let taught = room.taught.lock().clone();
        let given = room.feedback.all();
        room.says.store(Arc::new(says(&taught, &given)));
        let routes: usize = directory
            .agents()
            .map(|agent| agent.card.skills.len())
            .sum();
        if routes > ROUTES_MAX {
            room.rejections.store(Arc::new(rejections(&taught, &given)));
            self.too_large(&Error::TooLarge {
                what: "routes",
                found: routes,
                max: ROUTES_MAX,
            });
            return;
        }
        let Lessons {
            lesson,
            rejections,
            unknown,
        } = lessons(&directory, &taught, &given);
        room.rejections.store(Arc::new(rejections));
        self.say(unknown);
        if lesson.routes.is_empty() {
            return self.nothing();
        }
        let mut way = self.course.way(&lesson);
        if way == Way::Nothing && !self.course.lacks_vectors() {
            return self.unchanged(&lesson);
        }
        let embedder = room.registry.embedder();
        let sentences = Stored::of(embedder, room.bell.stopped());
        let missing = match &sentences {
            Some(sentences) => sentences.prepare(&lesson),
            // An endpoint that has not answered yet.
            None if embedder.is_there() => lesson.lines.len(),
            None => 0,
        };
        if way == Way::Nothing {
            if !self.course.gains_vectors(&lesson, missing) {
                return self.unchanged(&lesson);
            }
            way = Way::Train;
        }
        room.standing.lock().state = State::Learning;
        self.course.missing(missing);
        let sentences = sentences.as_ref().map(|stored| stored as &dyn Sentences);
        if way == Way::Change && self.change(&directory, &lesson, sentences) {
            if !self.course.is_due(&lesson) {
                return;
            }
            room.standing.lock().state = State::Learning;
        }
        self.train(&directory, lesson, sentences);
    }

    /// There is nobody to lead anybody to.
    fn nothing(&mut self) {
        self.course.forgotten();
        self.room.learnt.store(None);
        self.room.stand(State::Waiting, None);
    }

    /// The lesson is in force, perhaps after another one that was refused.
    fn unchanged(&self, lesson: &Lesson) {
        if self.course.is_in_force(lesson) {
            self.room.stand(State::Learnt, None);
        }
    }

    /// Changes the model in force; false when it takes a training in full.
    fn change(
        &mut self,
        directory: &Directory,
        lesson: &Lesson,
        sentences: Option<&dyn Sentences>,
    ) -> bool {
        let Some(old) = self.room.learnt.load_full() else {
            return false;
        };
        let began = Instant::now();
        let judge = RouterJudge::until(&self.room.router, self.room.bell.stopped());
        match old.model.change(lesson.clone(), sentences, &judge) {
            Ok(model) if self.course.fits(model.report()) => {
                let report = model.report().clone();
                let base = Arc::clone(&old.base);
                let is_in_force = self.put_in_force(directory, model, base, began);
                if is_in_force {
                    self.course.changed(lesson.clone(), &report);
                }
                is_in_force
            }
            Ok(model) => {
                let fit = model.report().fit;
                tracing::info!(fit, "the change does not fit well, so all is learnt anew");
                false
            }
            Err(error) => {
                let code = error.code();
                tracing::info!(code, %error, "the change is not learnt as one, so all is anew");
                false
            }
        }
    }

    fn train(&mut self, directory: &Directory, lesson: Lesson, sentences: Option<&dyn Sentences>) {
        let began = Instant::now();
        let model = match self.train_with(&lesson, sentences) {
            // What the encoder gave cannot be learnt from; words can.
            Err(error @ Error::Sentences { .. }) => {
                tracing::warn!(code = error.code(), %error, "learning from words alone");
                self.train_with(&lesson, None)
            }
            trained => trained,
        };
        let model = match model {
            Ok(model) => model,
            Err(error @ Error::TooLarge { .. }) => return self.too_large(&error),
            Err(_) if self.room.bell.stopped().load(Ordering::Relaxed) => return,
            Err(error) => {
                self.fail(&error.to_string(), error.code());
                return self.course.refused(lesson);
            }
        };
        let old = self.room.learnt.load_full();
        let worse = old.and_then(|old| worse(old.model.report(), model.report()));
        if let Some(worse) = worse {
            tracing::warn!("{worse}");
            self.room.stand(State::Kept, Some(worse.to_string()));
            return self.course.refused(lesson);
        }
        let report = model.report().clone();
        let base = report.version.as_str().into();
        if self.put_in_force(directory, model, base, began) {
            self.course.trained(lesson, &report);
        } else {
            self.course.refused(lesson);
        }
    }

    fn train_with(
        &self,
        lesson: &Lesson,
        sentences: Option<&dyn Sentences>,
    ) -> Result<Model, Error> {
        let judge = RouterJudge::until(&self.room.router, self.room.bell.stopped());
        let table = Arc::clone(&self.table);
        Model::train(lesson.clone(), table, sentences, &judge, self.room)
    }

    /// Replaces the model in force in one step; false when the decider did not
    /// take it.
    fn put_in_force(
        &mut self,
        directory: &Directory,
        model: Model,
        base: Arc<str>,
        began: Instant,
    ) -> bool {
        let router = match load(&self.room.router, model.tables()) {
            Ok(router) => router,
            Err(error) => {
                self.not_loaded(&error);
                return false;
            }
        };
        self.number += 1;
        let took = began.elapsed();
        let report = model.report();
        tracing::info!(
            version = report.version,
            routes = report.routes,
            lines = report.lines,
            changes = report.changes,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "what the cards teach is in force"
        );
        self.room.learnt.store(Some(Arc::new(Learnt {
            taught: taught(&model),
            number: self.number,
            revision: directory.revision,
            model,
            router,
            took,
            base,
        })));
        self.room.stand(State::Learnt, None);
        true
    }

    fn not_loaded(&self, error: &LoadModelError) {
        self.fail(&error.to_string(), error.code());
    }

    /// Says that nothing came of it.
    pub(super) fn fail(&self, problem: &str, code: &str) {
        tracing::error!(
            code,
            problem,
            "nothing new is learnt; what was in force stays"
        );
        self.room.stand(State::Failed, Some(problem.to_owned()));
    }

    /// No model for so many: said once, until there are fewer.
    fn too_large(&mut self, error: &Error) {
        if self.room.standing.lock().state != State::TooLarge {
            tracing::warn!(code = error.code(), "{error}");
        }
        self.course.forgotten();
        self.room.learnt.store(None);
        self.room.stand(State::TooLarge, Some(error.to_string()));
    }

    /// Says once of each file that it names what is not there.
    fn say(&mut self, unknown: Vec<Unknown>) {
        for one in &unknown {
            if !self.said.contains(one) {
                tracing::warn!("{one}");
            }
        }
        self.said = unknown.iter().cloned().collect();
        self.room.standing.lock().unknown = unknown;
    }
}

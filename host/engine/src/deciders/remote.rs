//! Deciders that are asked elsewhere: the records as the JSON of `/v1/decide`.

use std::sync::Arc;

use kgents_decide_wire::{BODY_BYTES_MAX, from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The way to deciders that are deployed elsewhere. This crate speaks no HTTP.
pub trait Remote: Send + Sync {
    /// Where they are, for messages.
    fn url(&self) -> &str;

    /// Sends `body` to the decider's path and returns the body of its answer, if
    /// that is a success. Blocks, with a bound of its own: a call may be made from
    /// async code, and with locks held.
    ///
    /// # Errors
    /// Why there is no such answer, in words.
    fn ask(&self, decider: &str, body: Vec<u8>) -> Result<Vec<u8>, String>;
}

/// One decider elsewhere.
#[derive(Clone)]
pub(super) struct Asked {
    decider: &'static str,
    remote: Arc<dyn Remote>,
}

impl Asked {
    pub(super) fn new(decider: &'static str, remote: Arc<dyn Remote>) -> Self {
        Self { decider, remote }
    }

    /// Asks; `Said` is what may be answered to this question.
    pub(super) fn ask<Said: DeserializeOwned>(&self, ask: &impl Serialize) -> Result<Said, Error> {
        self.send(self.body(ask)?)
    }

    /// The question as JSON, whatever its size.
    pub(super) fn body(&self, ask: &impl Serialize) -> Result<Vec<u8>, Error> {
        to_json(ask).map_err(|error| self.failed(error.to_string()))
    }

    /// Asks with a body made before.
    pub(super) fn send<Said: DeserializeOwned>(&self, body: Vec<u8>) -> Result<Said, Error> {
        if body.len() > BODY_BYTES_MAX {
            let bytes = body.len();
            return Err(self.failed(format!(
                "the question takes {bytes} bytes, and at most {BODY_BYTES_MAX} can be sent"
            )));
        }
        let answer = self.remote.ask(self.decider, body);
        let answer = answer.map_err(|why| self.failed(why))?;
        from_json(&answer)
            .map_err(|error| self.failed(format!("what came back is no answer: {error}")))
    }

    pub(super) fn failed(&self, detail: String) -> Error {
        Error::Remote {
            decider: self.decider.to_owned(),
            url: self.remote.url().to_owned(),
            detail,
        }
    }
}

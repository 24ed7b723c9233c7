//! What the records change: the ledger, what is set aside, and the newest
//! record. Changed in memory by whoever appends, and again by replay.

use super::{Error, unavailable};
use crate::ledger::{Entry, Ledger, Reservation};
use crate::ports::Place;
use crate::tasks::{TaskOwner, Tasks};
use kgents_audit::{Log, Record};
use kgents_gateway::call::Failure;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What is applied but perhaps not yet in the store.
#[derive(Default)]
pub(super) struct Books {
    pub ledger: Ledger,
    /// Reservations of interactions under way, by event.
    pub open: BTreeMap<String, Reservation>,
    /// The newest record; none while nothing was appended.
    pub last: Option<Place>,
}

/// What rides on a record: everything needed to do it again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Carried {
    /// When it was done, in milliseconds since the epoch: budgets have windows.
    pub at_ms: u64,
    /// What was done to the ledger, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<Entry>,
    /// A task that began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskOwner>,
}

impl Books {
    pub fn append(&mut self, log: &Log, record: &Record) -> Result<Place, Failure> {
        let place = log.append(record).map_err(|error| unavailable(&error))?;
        self.last = Some(place);
        Ok(place)
    }

    /// Settles what is set aside for an interaction, if anything is.
    pub fn settle(&mut self, event: &str, used: u64, at_ms: u64) -> Option<Entry> {
        let reserved = self.open.remove(event)?;
        self.ledger
            .apply(Entry::Settle { reserved, used }, at_ms)
            .inspect_err(|error| tracing::error!(code = error.code(), %error, event, "unsettled"))
            .ok()
    }

    /// Counts what is still set aside as spent: whoever set it aside is gone.
    pub fn interrupt(&mut self, now_ms: u64) {
        for (event, reservation) in std::mem::take(&mut self.open) {
            let tokens = reservation.tokens;
            tracing::warn!(event, tokens, "an interrupted call counts as spent");
            let entry = Entry::Settle {
                reserved: reservation,
                used: tokens,
            };
            self.ledger.replay(&entry, now_ms);
        }
    }

    pub fn replay(&mut self, position: u64, record: &Record, tasks: &Tasks) -> Result<(), Error> {
        let (event, carried, began) = match record {
            Record::Intent(intent) => (&intent.event, &intent.carried, true),
            Record::Outcome(outcome) => (&outcome.event.metadata.name, &outcome.carried, false),
        };
        let reserved = if began { None } else { self.open.remove(event) };
        let Some(carried) = carried else {
            return Ok(());
        };
        let carried: Carried = serde_json::from_str(carried.get())
            .map_err(|source| Error::Carried { position, source })?;
        for entry in carried.ledger {
            match entry {
                Entry::Reserve(reservation) => {
                    self.open.insert(event.clone(), reservation.clone());
                    let entry = Entry::Reserve(reservation);
                    self.ledger.replay(&entry, carried.at_ms);
                }
                Entry::Settle {
                    reserved: mut settled,
                    used,
                } => {
                    // The intent may be lost while its outcome is not: what was
                    // never set aside here is not given back here.
                    settled.tokens = reserved.as_ref().map_or(0, |reserved| reserved.tokens);
                    let entry = Entry::Settle {
                        reserved: settled,
                        used,
                    };
                    self.ledger.replay(&entry, carried.at_ms);
                }
                entry => self.ledger.replay(&entry, carried.at_ms),
            }
        }
        if let Some(owner) = &carried.task {
            tasks.remember(owner);
        }
        Ok(())
    }
}

impl Carried {
    pub fn raw(&self) -> Option<Box<RawValue>> {
        if self.ledger.is_empty() && self.task.is_none() {
            return None;
        }
        serde_json::value::to_raw_value(self).ok()
    }
}

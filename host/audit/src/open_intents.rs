//! The intents that have no outcome yet, as far as the records are durable.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::record::Glance;
use crate::segment::OpenIntent;
use crate::{Intent, Record};

#[derive(Clone, Default)]
pub(crate) struct OpenIntents {
    by_event: HashMap<Box<str>, (u64, Box<[u8]>)>,
}

impl OpenIntents {
    /// Those a segment's header names. `None` if one is no intent.
    pub(crate) fn from_header(open: &[OpenIntent]) -> Option<Self> {
        let mut intents = Self::default();
        for one in open {
            let payload = one.record.get().as_bytes();
            match Glance::decode(payload).ok()? {
                Glance::Outcome(_) => return None,
                intent => intents.note(intent, one.index, payload),
            }
        }
        Some(intents)
    }

    /// Those as a header names them, by index.
    pub(crate) fn to_header(&self) -> Vec<OpenIntent> {
        let entries = self.by_event.values().filter_map(|(index, payload)| {
            let text = std::str::from_utf8(payload).ok()?.to_owned();
            let record = RawValue::from_string(text).ok()?;
            Some(OpenIntent {
                index: *index,
                record,
            })
        });
        let mut open: Vec<_> = entries.collect();
        open.sort_unstable_by_key(|one| one.index);
        open
    }

    /// Takes note of a record.
    pub(crate) fn note(&mut self, glance: Glance, index: u64, payload: &[u8]) {
        match glance {
            Glance::Intent(event) => {
                self.by_event.insert(event, (index, payload.into()));
            }
            Glance::Outcome(event) => {
                self.by_event.remove(&event);
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.by_event.len() as u64
    }

    /// Whether a header names exactly these.
    pub(crate) fn matches(&self, header: &[OpenIntent]) -> bool {
        let mine = self.to_header();
        mine.len() == header.len()
            && mine.iter().zip(header).all(|(mine, theirs)| {
                mine.index == theirs.index && mine.record.get() == theirs.record.get()
            })
    }

    /// The intents themselves, in the order they were written.
    pub(crate) fn intents(&self) -> Vec<Intent> {
        let records = self.to_header().into_iter();
        let records = records.map(|one| Record::decode(one.record.get().as_bytes()));
        records
            .filter_map(|record| match record {
                Ok(Record::Intent(intent)) => Some(intent),
                _ => None,
            })
            .collect()
    }
}

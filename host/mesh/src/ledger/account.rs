//! One account of the ledger.

use super::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Callers beyond the limit are counted together under this name.
const OTHERS: &str = "(others)";

/// How long what was spent is remembered against the budget. Windows start at
/// multiples of their length in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From midnight to midnight, UTC.
    #[default]
    Day,
    /// From one full hour to the next.
    Hour,
    /// For ever.
    Total,
}

impl Window {
    /// Its name in budgets and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Total => "total",
        }
    }

    /// Number of the window that `now_ms` falls into.
    const fn number(self, now_ms: u64) -> u64 {
        match self {
            Self::Day => now_ms / 86_400_000,
            Self::Hour => now_ms / 3_600_000,
            Self::Total => 0,
        }
    }
}

/// Tokens of one account, in its current window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How long a window is.
    pub window: Window,
    /// Number of the current window.
    window_number: u64,
    /// What the operator grants in each window.
    granted: u64,
    /// What others moved here.
    pub(super) moved_in: u64,
    /// What was moved from here.
    pub(super) moved_out: u64,
    /// Used in this window.
    pub spent: u64,
    /// Set aside for interactions under way.
    pub reserved: u64,
    /// Used in this window, by caller.
    pub consumers: BTreeMap<String, u64>,
}

impl Account {
    pub(super) const fn new(window: Window, now_ms: u64) -> Self {
        Self {
            window,
            window_number: window.number(now_ms),
            granted: 0,
            moved_in: 0,
            moved_out: 0,
            spent: 0,
            reserved: 0,
            consumers: BTreeMap::new(),
        }
    }

    /// Everything this account may use in the window, but never less than what
    /// it has used and set aside already.
    pub fn allocated(&self) -> u64 {
        let nominal = (self.granted + self.moved_in).saturating_sub(self.moved_out);
        nominal.max(self.spent + self.reserved)
    }

    /// What nobody has used or set aside.
    pub fn free(&self) -> u64 {
        self.allocated() - self.spent - self.reserved
    }

    pub(super) const fn grant(&mut self, tokens: u64) {
        self.granted = tokens;
    }

    /// Starts a new window when its time has come. A clock that went back
    /// changes nothing.
    pub(super) fn roll(&mut self, now_ms: u64) {
        let number = self.window.number(now_ms);
        if number > self.window_number {
            self.window_number = number;
            self.spent = 0;
            self.consumers.clear();
        }
    }

    pub(super) fn reserve(&mut self, name: &str, tokens: u64) -> Result<(), Error> {
        if self.free() < tokens {
            return Err(Error::Insufficient {
                account: name.to_owned(),
                asked: tokens,
                available: self.free(),
            });
        }
        self.reserved += tokens;
        Ok(())
    }

    /// Gives `reserved` back and charges `used`; what exceeds the reservation
    /// is charged as far as there is anything free.
    pub(super) fn settle(&mut self, reserved: u64, consumer: &str, used: u64, consumers: usize) {
        // What is set aside is also allocated, so freeing it first lets the
        // charge draw on it.
        let allocated = self.allocated();
        self.reserved = self.reserved.saturating_sub(reserved);
        let charged = used.min(allocated - self.spent - self.reserved);
        self.spent += charged;
        let known = self.consumers.contains_key(consumer) || self.consumers.len() < consumers;
        let name = if known { consumer } else { OTHERS };
        *self.consumers.entry(name.to_owned()).or_default() += charged;
    }
}

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
    pub(super) const fn number(self, now_ms: u64) -> u64 {
        match self {
            Self::Day => now_ms / 86_400_000,
            Self::Hour => now_ms / 3_600_000,
            Self::Total => 0,
        }
    }
}

/// Tokens of one account, in its current window. What was moved here or from
/// here is a share of every window from then on, like a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How long a window is.
    pub window: Window,
    /// Number of the current window.
    window_number: u64,
    /// What the operator grants in each window; `None` when no budget names the
    /// account, and it is there only for what was moved to it.
    granted: Option<u64>,
    /// What others moved here.
    moved_in: u64,
    /// What was moved from here.
    moved_out: u64,
    /// Used in this window.
    pub spent: u64,
    /// Set aside for interactions under way.
    pub reserved: u64,
    /// Used in this window, by caller.
    pub consumers: BTreeMap<String, u64>,
}

impl Account {
    /// An empty account. Its window is the first there is; the first entry
    /// brings it to the one that entry falls into.
    pub(super) const fn new(window: Window) -> Self {
        Self {
            window,
            window_number: 0,
            granted: None,
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
        self.allocated_beside(self.spent)
    }

    /// What nobody has used or set aside.
    pub fn free(&self) -> u64 {
        self.free_beside(self.spent)
    }

    fn allocated_beside(&self, spent: u64) -> u64 {
        let nominal = self
            .granted
            .unwrap_or(0)
            .saturating_add(self.moved_in)
            .saturating_sub(self.moved_out);
        nominal.max(spent.saturating_add(self.reserved))
    }

    fn free_beside(&self, spent: u64) -> u64 {
        self.allocated_beside(spent)
            .saturating_sub(spent)
            .saturating_sub(self.reserved)
    }

    /// What is used of the window that is current then: a question changes
    /// nothing, not even the window.
    const fn spent_at(&self, now_ms: u64) -> u64 {
        if self.window.number(now_ms) > self.window_number {
            0
        } else {
            self.spent
        }
    }

    pub(super) const fn grant(&mut self, tokens: Option<u64>) {
        self.granted = tokens;
    }

    /// Counts in windows of another length from now on. What was spent in the
    /// old window counts in the one that is now current: never too generous.
    pub(super) fn count_by(&mut self, window: Window, now_ms: u64) {
        if self.window != window {
            self.window = window;
            self.window_number = window.number(now_ms);
        }
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

    /// Fails unless this many are free then.
    pub(super) fn check(&self, name: &str, tokens: u64, now_ms: u64) -> Result<(), Error> {
        let available = self.free_beside(self.spent_at(now_ms));
        if available >= tokens {
            return Ok(());
        }
        Err(Error::Insufficient {
            account: name.to_owned(),
            asked: tokens,
            available,
        })
    }

    pub(super) const fn reserve(&mut self, tokens: u64) {
        self.reserved = self.reserved.saturating_add(tokens);
    }

    pub(super) const fn release(&mut self, tokens: u64) {
        self.reserved = self.reserved.saturating_sub(tokens);
    }

    /// What can be charged once `reserved` is given back: all that was used, or
    /// as much as that and what is free cover.
    pub(super) fn chargeable(&self, reserved: u64, used: u64, now_ms: u64) -> u64 {
        let spent = self.spent_at(now_ms);
        // What is set aside is also allocated, so the charge may draw on it.
        let left = self.allocated_beside(spent).saturating_sub(spent);
        let kept = self.reserved.saturating_sub(reserved);
        used.min(left.saturating_sub(kept))
    }

    pub(super) fn charge(&mut self, consumer: &str, tokens: u64, consumers_max: usize) {
        self.spent = self.spent.saturating_add(tokens);
        let known = self.consumers.contains_key(consumer) || self.consumers.len() < consumers_max;
        let name = if known { consumer } else { OTHERS };
        let used = self.consumers.entry(name.to_owned()).or_default();
        *used = used.saturating_add(tokens);
    }

    /// Takes a charge back, where it is still counted.
    pub(super) fn refund(&mut self, consumer: &str, tokens: u64) {
        self.spent = self.spent.saturating_sub(tokens);
        let known = self.consumers.contains_key(consumer);
        let name = if known { consumer } else { OTHERS };
        if let Some(used) = self.consumers.get_mut(name) {
            *used = used.saturating_sub(tokens);
        }
    }

    /// Number of the current window, to tell whether it is still the same.
    pub(super) const fn window_number(&self) -> u64 {
        self.window_number
    }

    pub(super) const fn take_in(&mut self, tokens: u64) {
        self.moved_in = self.moved_in.saturating_add(tokens);
    }

    pub(super) const fn give_back(&mut self, tokens: u64) {
        self.moved_in = self.moved_in.saturating_sub(tokens);
    }

    pub(super) const fn give_out(&mut self, tokens: u64) {
        self.moved_out = self.moved_out.saturating_add(tokens);
    }

    pub(super) const fn take_back(&mut self, tokens: u64) {
        self.moved_out = self.moved_out.saturating_sub(tokens);
    }

    /// Whether nothing would be lost without it.
    pub(super) fn is_void(&self) -> bool {
        self.granted.is_none()
            && self.moved_in == 0
            && self.moved_out == 0
            && self.spent == 0
            && self.reserved == 0
    }
}

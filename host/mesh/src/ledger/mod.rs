//! The budget ledger: tokens are allocated to accounts, reserved before they
//! are spent, settled on real usage. For every account, at every moment,
//! `allocated = spent + reserved + free`. Pure: time comes in as an argument.
//!
//! Source: escrow transactions (O'Neil 1986): what is reserved cannot be spent
//! by another, so a ceiling holds without a lock held across the call.

mod account;

pub use account::{Account, Window};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The account everything is carved out of, and that pays for callers without
/// an account of their own.
pub const MESH_ACCOUNT: &str = "mesh";
/// How many callers are told apart in the figures of one window; the rest is
/// counted under `(others)`, so that made-up names cannot fill the memory.
const CONSUMERS_MAX: usize = 10_000;

/// What the operator grants an account, from budgets/*.yaml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The account.
    pub account: String,
    /// Tokens in each window.
    pub tokens: u64,
    /// How long a window is.
    pub window: Window,
}

/// Tokens set aside for one interaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Who pays.
    pub account: String,
    /// Who uses them.
    pub consumer: String,
    /// How many.
    pub tokens: u64,
}

/// A change to the ledger, as it rides in audit records and is replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum Entry {
    /// Set tokens aside.
    Reserve(Reservation),
    /// Give a reservation back and charge what was really used.
    Settle {
        /// What was set aside.
        reserved: Reservation,
        /// What was used.
        used: u64,
    },
    /// Move tokens from the mesh's free pool to an account.
    Allocate {
        /// The account that gets them.
        account: String,
        /// How many.
        tokens: u64,
    },
    /// Charge tokens used outside the mesh.
    Charge {
        /// Who pays.
        account: String,
        /// Who used them.
        consumer: String,
        /// How many.
        tokens: u64,
    },
}

/// Why the ledger says no.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// There is no such account.
    #[error("there is no account `{account}`")]
    NoAccount {
        /// The account asked for.
        account: String,
    },
    /// More is asked than is free.
    #[error("`{account}` has {available} tokens free, {asked} are asked for")]
    Insufficient {
        /// Who would pay.
        account: String,
        /// What was asked for.
        asked: u64,
        /// What is there.
        available: u64,
    },
    /// The account counts in windows of another length than the mesh, so a
    /// token here is not a token there: moving one would make or lose some.
    #[error("`{account}` counts by the {window}, the mesh does not: tokens cannot move between")]
    OtherWindow {
        /// The account asked for.
        account: String,
        /// How it counts: `day`, `hour` or `total`.
        window: &'static str,
    },
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoAccount { .. } => "no-account",
            Self::Insufficient { .. } => "insufficient-tokens",
            Self::OtherWindow { .. } => "other-window",
        }
    }
}

/// All accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    accounts: BTreeMap<String, Account>,
}

impl Ledger {
    /// Brings the accounts in line with what the operator grants now. What was
    /// spent, reserved and moved stays; an account no longer granted keeps what
    /// was moved to it.
    pub fn configure(&mut self, budgets: &[Budget], now_ms: u64) {
        for account in self.accounts.values_mut() {
            account.grant(None);
        }
        for budget in budgets {
            let account = self
                .accounts
                .entry(budget.account.clone())
                .or_insert_with(|| Account::new(budget.window));
            account.count_by(budget.window, now_ms);
            account.grant(Some(budget.tokens));
        }
        self.accounts.retain(|_, account| !account.is_void());
    }

    /// The account that pays for `consumer`: its own when there is one, else
    /// the mesh's.
    pub fn payer<'a>(&self, consumer: &'a str) -> &'a str {
        if self.accounts.contains_key(consumer) {
            consumer
        } else {
            MESH_ACCOUNT
        }
    }

    /// One account, as of `now_ms`.
    pub fn account(&self, name: &str, now_ms: u64) -> Option<Account> {
        self.accounts.get(name).map(|account| {
            let mut account = account.clone();
            account.roll(now_ms);
            account
        })
    }

    /// All accounts by name, as stored.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts
            .iter()
            .map(|(name, account)| (name.as_str(), account))
    }

    /// The callers that used most in the current windows, most first.
    pub fn top_consumers(&self, limit: usize, now_ms: u64) -> Vec<(String, u64)> {
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for name in self.accounts.keys() {
            if let Some(account) = self.account(name, now_ms) {
                for (consumer, tokens) in account.consumers {
                    let sum = used.entry(consumer).or_default();
                    *sum = sum.saturating_add(tokens);
                }
            }
        }
        let mut used: Vec<_> = used.into_iter().filter(|(_, tokens)| *tokens > 0).collect();
        used.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        used.truncate(limit);
        used
    }

    /// Applies what is asked for, and returns what was done, which is what has
    /// to be recorded: a settlement charges no more than is covered.
    ///
    /// # Errors
    /// When the account is missing or has not enough; nothing is changed then,
    /// so what is refused leaves no trace that a replay would lack.
    pub fn apply(&mut self, asked: Entry, now_ms: u64) -> Result<Entry, Error> {
        let done = match asked {
            Entry::Reserve(reservation) => {
                let account = self.known(&reservation.account)?;
                account.check(&reservation.account, reservation.tokens, now_ms)?;
                Entry::Reserve(reservation)
            }
            Entry::Settle { reserved, used } => {
                let account = self.known(&reserved.account)?;
                let used = account.chargeable(reserved.tokens, used, now_ms);
                Entry::Settle { reserved, used }
            }
            Entry::Allocate { account, tokens } => {
                self.check_allocation(&account, tokens, now_ms)?;
                Entry::Allocate { account, tokens }
            }
            Entry::Charge {
                account,
                consumer,
                tokens,
            } => {
                self.known(&account)?.check(&account, tokens, now_ms)?;
                Entry::Charge {
                    account,
                    consumer,
                    tokens,
                }
            }
        };
        self.replay(&done, now_ms);
        Ok(done)
    }

    /// Does again what was done at `at_ms`. It was covered then, so nothing is
    /// checked: not even a budget that was cut since changes the past.
    pub fn replay(&mut self, done: &Entry, at_ms: u64) {
        match done {
            Entry::Reserve(Reservation {
                account, tokens, ..
            }) => self.entry(account, at_ms).reserve(*tokens),
            Entry::Settle { reserved, used } => {
                let account = self.entry(&reserved.account, at_ms);
                account.release(reserved.tokens);
                account.charge(&reserved.consumer, *used, CONSUMERS_MAX);
            }
            Entry::Allocate { account, tokens } => {
                // Nothing moved makes no account, which would pay from then on.
                if account != MESH_ACCOUNT && *tokens > 0 {
                    self.entry(MESH_ACCOUNT, at_ms).give_out(*tokens);
                    self.entry(account, at_ms).take_in(*tokens);
                }
            }
            Entry::Charge {
                account,
                consumer,
                tokens,
            } => self
                .entry(account, at_ms)
                .charge(consumer, *tokens, CONSUMERS_MAX),
        }
    }

    /// Takes back an allocation or charge, made at `at_ms`, whose record was
    /// lost. What others did meanwhile stays.
    pub fn undo(&mut self, done: &Entry, at_ms: u64) {
        match done {
            Entry::Allocate { account, tokens } if account != MESH_ACCOUNT => {
                self.entry(account, at_ms).give_back(*tokens);
                self.entry(MESH_ACCOUNT, at_ms).take_back(*tokens);
                self.accounts.retain(|_, account| !account.is_void());
            }
            Entry::Charge {
                account,
                consumer,
                tokens,
            } => {
                let account = self.entry(account, at_ms);
                // A window that has passed has forgotten the charge already.
                if account.window_number() <= account.window.number(at_ms) {
                    account.refund(consumer, *tokens);
                }
            }
            Entry::Allocate { .. } | Entry::Reserve(_) | Entry::Settle { .. } => {}
        }
    }

    fn check_allocation(&self, name: &str, tokens: u64, now_ms: u64) -> Result<(), Error> {
        let mesh = self.known(MESH_ACCOUNT)?;
        let window = mesh.window;
        if name == MESH_ACCOUNT {
            return Ok(());
        }
        mesh.check(MESH_ACCOUNT, tokens, now_ms)?;
        match self.accounts.get(name) {
            Some(account) if account.window != window => Err(Error::OtherWindow {
                account: name.to_owned(),
                window: account.window.name(),
            }),
            _ => Ok(()),
        }
    }

    fn known(&self, name: &str) -> Result<&Account, Error> {
        self.accounts.get(name).ok_or_else(|| Error::NoAccount {
            account: name.to_owned(),
        })
    }

    /// An account that is made when it is not there, counting like the mesh.
    fn entry(&mut self, name: &str, at_ms: u64) -> &mut Account {
        let window = self
            .accounts
            .get(MESH_ACCOUNT)
            .map_or_else(Window::default, |mesh| mesh.window);
        let account = self
            .accounts
            .entry(name.to_owned())
            .or_insert_with(|| Account::new(window));
        account.roll(at_ms);
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: u64 = 86_400_000;

    fn ledger(tokens: u64) -> Ledger {
        let mut ledger = Ledger::default();
        let mesh = Budget {
            account: MESH_ACCOUNT.into(),
            tokens,
            window: Window::Day,
        };
        ledger.configure(&[mesh], 0);
        ledger
    }

    fn reserve(tokens: u64) -> Reservation {
        Reservation {
            account: MESH_ACCOUNT.into(),
            consumer: "ada".into(),
            tokens,
        }
    }

    #[test]
    fn nobody_gets_more_than_is_free_and_is_told_how_much_is() {
        let mut ledger = ledger(100);
        ledger.apply(Entry::Reserve(reserve(60)), 0).unwrap();
        let error = ledger.apply(Entry::Reserve(reserve(60)), 0).unwrap_err();
        assert_eq!(
            error,
            Error::Insufficient {
                account: "mesh".into(),
                asked: 60,
                available: 40
            }
        );
    }

    #[test]
    fn a_settlement_refunds_what_was_not_used() {
        let mut ledger = ledger(100);
        ledger.apply(Entry::Reserve(reserve(60)), 0).unwrap();
        ledger
            .apply(
                Entry::Settle {
                    reserved: reserve(60),
                    used: 10,
                },
                0,
            )
            .unwrap();
        let mesh = ledger.account("mesh", 0).unwrap();
        assert_eq!((mesh.spent, mesh.reserved, mesh.free()), (10, 0, 90));
        assert_eq!(ledger.top_consumers(5, 0), [("ada".to_owned(), 10)]);
    }

    #[test]
    fn an_allocation_moves_and_never_makes_tokens() {
        let mut ledger = ledger(100);
        let give = Entry::Allocate {
            account: "translation".into(),
            tokens: 30,
        };
        ledger.apply(give, 0).unwrap();
        assert_eq!(ledger.account("mesh", 0).unwrap().allocated(), 70);
        assert_eq!(ledger.account("translation", 0).unwrap().free(), 30);
        let more = Entry::Allocate {
            account: "translation".into(),
            tokens: 71,
        };
        assert_eq!(
            ledger.apply(more, 0).unwrap_err().code(),
            "insufficient-tokens"
        );
    }

    #[test]
    fn a_new_day_forgets_what_was_spent_but_not_what_is_reserved() {
        let mut ledger = ledger(100);
        ledger.apply(Entry::Reserve(reserve(60)), 0).unwrap();
        ledger
            .apply(
                Entry::Settle {
                    reserved: reserve(60),
                    used: 50,
                },
                0,
            )
            .unwrap();
        ledger.apply(Entry::Reserve(reserve(20)), 0).unwrap();
        let mesh = ledger.account("mesh", DAY_MS).unwrap();
        assert_eq!((mesh.spent, mesh.reserved, mesh.free()), (0, 20, 80));
        assert!(ledger.top_consumers(5, DAY_MS).is_empty());
    }

    #[test]
    fn a_budget_cut_below_what_is_spent_leaves_nothing_free() {
        let mut ledger = ledger(100);
        ledger.apply(Entry::Reserve(reserve(80)), 0).unwrap();
        let cut = Budget {
            account: "mesh".into(),
            tokens: 50,
            window: Window::Day,
        };
        ledger.configure(&[cut], 0);
        assert_eq!(ledger.account("mesh", 0).unwrap().free(), 0);
    }

    fn budget(account: &str, tokens: u64, window: Window) -> Budget {
        Budget {
            account: account.into(),
            tokens,
            window,
        }
    }

    #[test]
    fn tokens_do_not_move_between_windows_of_another_length() {
        let mut ledger = Ledger::default();
        let mesh = budget(MESH_ACCOUNT, 100, Window::Day);
        ledger.configure(&[mesh, budget("hourly", 5, Window::Hour)], 0);
        let give = Entry::Allocate {
            account: "hourly".into(),
            tokens: 1,
        };
        assert_eq!(ledger.apply(give, 0).unwrap_err().code(), "other-window");
    }

    #[test]
    fn an_undone_allocation_leaves_no_account_behind_that_would_pay() {
        let mut ledger = ledger(100);
        let before = ledger.clone();
        let give = Entry::Allocate {
            account: "ada".into(),
            tokens: 30,
        };
        let done = ledger.apply(give, 0).unwrap();
        assert_eq!(ledger.payer("ada"), "ada");
        ledger.undo(&done, 0);
        assert_eq!(ledger.payer("ada"), MESH_ACCOUNT);
        assert_eq!(ledger, before);
    }

    #[test]
    fn a_charge_is_undone_only_in_the_window_it_fell_into() {
        let mut ledger = ledger(100);
        let charge = |tokens| Entry::Charge {
            account: "mesh".into(),
            consumer: "ada".into(),
            tokens,
        };
        let old = ledger.apply(charge(40), 0).unwrap();
        ledger.apply(charge(10), DAY_MS).unwrap();
        ledger.undo(&old, 0);
        assert_eq!(ledger.account("mesh", DAY_MS).unwrap().spent, 10);
        ledger.undo(&charge(10), DAY_MS);
        assert_eq!(ledger.account("mesh", DAY_MS).unwrap().free(), 100);
    }

    #[test]
    fn a_budget_may_change_the_length_of_its_window_either_way() {
        let mut ledger = ledger(100);
        let now = 20_000 * DAY_MS;
        ledger.apply(Entry::Reserve(reserve(10)), now).unwrap();
        for window in [Window::Hour, Window::Day, Window::Hour] {
            ledger.configure(&[budget("mesh", 100, window)], now);
            let charge = Entry::Charge {
                account: "mesh".into(),
                consumer: "ada".into(),
                tokens: 10,
            };
            ledger.apply(charge, now).unwrap();
        }
        let mesh = ledger.account("mesh", now).unwrap();
        assert_eq!((mesh.spent, mesh.reserved), (30, 10));
        let next = ledger.account("mesh", now + DAY_MS / 24).unwrap();
        assert_eq!((next.spent, next.reserved), (0, 10));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let mut ledger = ledger(100);
        let charge = |tokens| Entry::Charge {
            account: "mesh".into(),
            consumer: "ada".into(),
            tokens,
        };
        ledger.apply(charge(60), 2 * DAY_MS).unwrap();
        ledger.apply(charge(40), DAY_MS).unwrap();
        assert_eq!(
            ledger.apply(charge(1), DAY_MS).unwrap_err().code(),
            "insufficient-tokens"
        );
    }

    fn entries() -> impl Strategy<Value = Vec<(Entry, u64)>> {
        let account = prop_oneof!["mesh", "a", "b"];
        let entry = (account, 0u64..200, 0u64..300, 0u8..4).prop_map(|(account, n, used, kind)| {
            let reserved = Reservation {
                account: account.clone(),
                consumer: "ada".into(),
                tokens: n,
            };
            match kind {
                0 => Entry::Reserve(reserved),
                1 => Entry::Settle { reserved, used },
                2 => Entry::Allocate { account, tokens: n },
                _ => Entry::Charge {
                    account,
                    consumer: "bob".into(),
                    tokens: n,
                },
            }
        });
        proptest::collection::vec((entry, 0u64..3), 0..60)
    }

    proptest! {
        #[test]
        fn tokens_are_conserved_whatever_happens(entries in entries()) {
            let mut ledger = ledger(1_000);
            let mut replayed = ledger.clone();
            let mut now = 0;
            let mut open: Vec<Reservation> = Vec::new();
            for (entry, days) in entries {
                now += days * DAY_MS;
                // Only what was reserved is ever settled.
                let entry = match entry {
                    Entry::Settle { used, .. } => match open.pop() {
                        Some(reserved) => Entry::Settle { reserved, used },
                        None => continue,
                    },
                    other => other,
                };
                if let Ok(done) = ledger.apply(entry, now) {
                    replayed.replay(&done, now);
                    if let Entry::Reserve(reservation) = done {
                        open.push(reservation);
                    }
                }
                prop_assert_eq!(&replayed, &ledger);
                let total: u64 = ledger.accounts().map(|(_, a)| a.allocated()).sum();
                prop_assert_eq!(total, 1_000);
                for (_, account) in ledger.accounts() {
                    prop_assert!(account.spent + account.reserved <= account.allocated());
                    prop_assert_eq!(
                        account.allocated(),
                        account.spent + account.reserved + account.free()
                    );
                }
            }
        }
    }
}

//! The nucleus's state on disk (redb): cards, task owners, the ledger as of a
//! position of the audit log, pheromones, feedback, and embeddings by content.
//!
//! Cards, pheromones and feedback are committed when they change. Task owners and the
//! ledger are views of the audit log: they are brought here in batches, and
//! what is missing is replayed from the log at start.

use crate::ledger::Ledger;
use crate::tasks::{TaskOwner, TaskStore};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Pages that are kept in memory, in bytes. The library's own default is 1 GiB,
/// which grows with every task there ever was; what is asked for often is kept
/// in memory by those who ask.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

const CARDS: TableDefinition<&str, &[u8]> = TableDefinition::new("cards/1");
/// Key: caller, NUL, task, NUL, agent.
const TASKS: TableDefinition<&str, &[u8]> = TableDefinition::new("tasks/1");
const PHEROMONES: TableDefinition<u64, &[u8]> = TableDefinition::new("pheromones/1");
const VECTORS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("vectors/1");
const FEEDBACK: TableDefinition<&str, &[u8]> = TableDefinition::new("feedback/1");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta/1");

const LEDGER: &str = "ledger";
const REVISION: &str = "revision";

/// Keys and what is stored under them.
pub type Rows = Vec<(String, Vec<u8>)>;

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did.
    #[error("the state store failed")]
    Database(#[source] Box<redb::Error>),
    /// What is stored is not what was written.
    #[error("the state store holds something unreadable under `{key}`")]
    Unreadable {
        /// Where.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Database(_) => "store-failed",
            Self::Unreadable { .. } => "store-unreadable",
        }
    }

    /// Whether it is open elsewhere, and nothing is wrong with it.
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::Database(error) => matches!(**error, redb::Error::DatabaseAlreadyOpen),
            Self::Unreadable { .. } => false,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// The ledger as of a position of the log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LedgerAt {
    /// Number of log records that are contained; replay starts here.
    pub position: u64,
    /// The accounts.
    pub ledger: Ledger,
    /// Reservations of interactions under way at that position, by event.
    pub open: std::collections::BTreeMap<String, crate::ledger::Reservation>,
}

/// The state on disk.
pub struct Store {
    db: Database,
}

impl Store {
    /// Opens or creates the file. A file left by a killed process is repaired.
    ///
    /// # Errors
    /// When it cannot be opened, or another process has it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)?;
        let write = db.begin_write()?;
        {
            write.open_table(CARDS)?;
            write.open_table(TASKS)?;
            write.open_table(PHEROMONES)?;
            write.open_table(VECTORS)?;
            write.open_table(FEEDBACK)?;
            write.open_table(META)?;
        }
        write.commit()?;
        Ok(Self { db })
    }

    /// All cards by name, and the registry's revision.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cards(&self) -> Result<(u64, Rows), Error> {
        let read = self.db.begin_read()?;
        let revision = match read.open_table(META)?.get(REVISION)? {
            Some(value) => decode(REVISION, value.value())?,
            None => 0,
        };
        let mut cards = Vec::new();
        for row in read.open_table(CARDS)?.iter()? {
            let (name, card) = row?;
            cards.push((name.value().to_owned(), card.value().to_vec()));
        }
        Ok((revision, cards))
    }

    /// Writes (`Some`) or removes (`None`) cards durably under a new revision.
    ///
    /// # Errors
    /// When the store fails; nothing is changed then.
    pub fn change_cards(
        &self,
        revision: u64,
        changes: &[(&str, Option<&[u8]>)],
    ) -> Result<(), Error> {
        let write = self.db.begin_write()?;
        {
            let mut cards = write.open_table(CARDS)?;
            for (name, card) in changes {
                match card {
                    Some(card) => drop(cards.insert(name, card)?),
                    None => drop(cards.remove(name)?),
                }
            }
            write
                .open_table(META)?
                .insert(REVISION, encode(&revision).as_slice())?;
        }
        write.commit()?;
        Ok(())
    }

    /// All feedback on routing, by id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn feedback(&self) -> Result<Rows, Error> {
        let read = self.db.begin_read()?;
        let mut rows = Vec::new();
        for row in read.open_table(FEEDBACK)?.iter()? {
            let (id, given) = row?;
            rows.push((id.value().to_owned(), given.value().to_vec()));
        }
        Ok(rows)
    }

    /// Writes (`Some`) or removes (`None`) feedback durably, in one commit.
    ///
    /// # Errors
    /// When the store fails; nothing is changed then.
    pub fn change_feedback(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), Error> {
        let write = self.db.begin_write()?;
        {
            let mut table = write.open_table(FEEDBACK)?;
            for (id, given) in changes {
                match given {
                    Some(given) => drop(table.insert(id, given)?),
                    None => drop(table.remove(id)?),
                }
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The ledger as it was last brought here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn ledger(&self) -> Result<LedgerAt, Error> {
        let read = self.db.begin_read()?;
        match read.open_table(META)?.get(LEDGER)? {
            Some(value) => decode(LEDGER, value.value()),
            None => Ok(LedgerAt::default()),
        }
    }

    /// Brings the ledger and new task owners here, in one commit.
    ///
    /// # Errors
    /// When the store fails; nothing is changed then.
    pub fn bring_up(&self, ledger: &LedgerAt, owners: &[TaskOwner]) -> Result<(), Error> {
        let write = self.db.begin_write()?;
        {
            write
                .open_table(META)?
                .insert(LEDGER, encode(ledger).as_slice())?;
            let mut tasks = write.open_table(TASKS)?;
            for owner in owners {
                let key = format!("{}\0{}\0{}", owner.caller, owner.task, owner.agent);
                tasks.insert(key.as_str(), encode(owner).as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The embedding stored for this content, as it was put.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vector(&self, content: &[u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        let read = self.db.begin_read()?;
        let table = read.open_table(VECTORS)?;
        Ok(table
            .get(content.as_slice())?
            .map(|value| value.value().to_vec()))
    }

    /// Stores embeddings by the digest of their content.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_vectors(&self, vectors: &[([u8; 32], Vec<u8>)]) -> Result<(), Error> {
        if vectors.is_empty() {
            return Ok(());
        }
        let write = self.db.begin_write()?;
        {
            let mut table = write.open_table(VECTORS)?;
            for (content, vector) in vectors {
                table.insert(content.as_slice(), vector.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// All pheromones, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn pheromones(&self) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let read = self.db.begin_read()?;
        let mut rows = Vec::new();
        for row in read.open_table(PHEROMONES)?.iter()? {
            let (number, value) = row?;
            rows.push((number.value(), value.value().to_vec()));
        }
        Ok(rows)
    }

    /// Writes a pheromone and removes those that are gone, in one commit.
    ///
    /// # Errors
    /// When the store fails; nothing is changed then.
    pub fn put_pheromone(&self, number: u64, row: &[u8], gone: &[u64]) -> Result<(), Error> {
        let write = self.db.begin_write()?;
        {
            let mut table = write.open_table(PHEROMONES)?;
            table.insert(number, row)?;
            for old in gone {
                table.remove(old)?;
            }
        }
        write.commit()?;
        Ok(())
    }
}

impl TaskStore for Store {
    fn owners(&self, caller: &str, task: &str) -> Result<Vec<TaskOwner>, Error> {
        let read = self.db.begin_read()?;
        let table = read.open_table(TASKS)?;
        let prefix = format!("{caller}\0{task}\0");
        let mut owners = Vec::new();
        for row in table.range(prefix.as_str()..)? {
            let (key, value) = row?;
            if !key.value().starts_with(&prefix) {
                break;
            }
            owners.push(decode(key.value(), value.value())?);
        }
        Ok(owners)
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Every type stored here has string keys and finite numbers.
    serde_json::to_vec(value).unwrap_or_default()
}

fn decode<T: for<'de> Deserialize<'de>>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Unreadable {
        key: key.replace('\0', " "),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn open(dir: &tempfile::TempDir) -> Store {
        Store::open(&dir.path().join("state.redb")).unwrap()
    }

    #[test]
    fn cards_and_their_revision_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        store
            .change_cards(3, &[("a", Some(b"{}")), ("b", Some(b"{}"))])
            .unwrap();
        store.change_cards(4, &[("a", None)]).unwrap();
        drop(store);
        let (revision, cards) = open(&dir).cards().unwrap();
        assert_eq!(
            (revision, cards),
            (4, vec![("b".to_owned(), b"{}".to_vec())])
        );
    }

    #[test]
    fn owners_are_found_by_caller_and_task_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(open(&dir));
        let owner = |agent: &str| TaskOwner {
            agent: agent.into(),
            task: "t".into(),
            caller: "ada".into(),
        };
        store
            .bring_up(&LedgerAt::default(), &[owner("x"), owner("y")])
            .unwrap();
        assert_eq!(store.owners("ada", "t").unwrap(), [owner("x"), owner("y")]);
        assert!(store.owners("ada", "").unwrap().is_empty());
        assert!(store.owners("ad", "t").unwrap().is_empty());
    }

    #[test]
    fn a_store_in_use_is_refused_to_another() {
        let dir = tempfile::tempdir().unwrap();
        let _held = open(&dir);
        let again = Store::open(&dir.path().join("state.redb"));
        assert_eq!(again.err().unwrap().code(), "store-failed");
    }
}

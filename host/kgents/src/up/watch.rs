//! Watches the mesh folder: policies, budgets, cards and examples come into force as
//! they are saved; what is wrong is said, and what was in force stays.

use super::deciders::sources;
use crate::config::folder;
use crate::config::{Card, FileMistake, MeshFile};
use kgents_gateway::call::Payload;
use kgents_mesh::ledger::{self, Budget};
use kgents_mesh::nucleus::Nucleus;
use kgents_mesh::registry::{Entry, Origin};
use notify::{RecursiveMode, Watcher as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Editors save in several steps; they are taken for one.
const SETTLE: Duration = Duration::from_millis(150);
/// How long to wait before a card's URL is tried again.
const RETRY: Duration = Duration::from_secs(15);

/// Starts watching; ends with the process. What counts as a change of mesh.yaml
/// is told by the file, not by what the command line made of it.
///
/// # Errors
/// When the system cannot watch the folder.
pub fn start(dir: &Path, nucleus: Arc<Nucleus>) -> notify::Result<impl Sized> {
    let (changed, mut changes) = mpsc::unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.send(());
        }
    })?;
    watcher.watch(dir, RecursiveMode::Recursive)?;
    let dir = dir.to_owned();
    let mesh = folder::read_mesh(&dir).unwrap_or_default();
    tokio::spawn(async move {
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            let (dir, nucleus, mesh) = (dir.clone(), Arc::clone(&nucleus), mesh.clone());
            let reloading = tokio::task::spawn_blocking(move || reload(&dir, &nucleus, &mesh));
            if let Err(error) = reloading.await {
                tracing::error!(%error, "the mesh folder could not be read again");
            }
        }
    });
    Ok(watcher)
}

fn reload(dir: &Path, nucleus: &Nucleus, mesh: &MeshFile) {
    match folder::read_policies(dir) {
        Ok(files) => match nucleus.policies.reload(&sources(&files)) {
            Ok(()) => tracing::info!(policies = nucleus.policies.status().in_force, "policies"),
            Err(error) => {
                for problem in nucleus.policies.status().problems {
                    tracing::error!(problem, "the policies that were in force stay");
                }
                tracing::debug!(code = error.code(), "policies");
            }
        },
        Err(mistakes) => {
            nucleus.policies.unreadable(listed(&mistakes));
            tracing::error!(mistakes = listed(&mistakes), "the policies in force stay");
        }
    }
    match folder::read_budgets(dir) {
        Ok(files) => nucleus.journal.configure(&budgets(&files)),
        Err(mistakes) => {
            tracing::error!(mistakes = listed(&mistakes), "the budgets in force stay");
        }
    }
    match folder::read_cards(dir, &mesh.agents) {
        Ok(cards) => register(nucleus, &cards),
        Err(mistakes) => tracing::error!(mistakes = listed(&mistakes), "the cards in force stay"),
    }
    match folder::read_taught(dir) {
        Ok(files) => nucleus.teacher.teach(files),
        Err(mistakes) => {
            tracing::error!(mistakes = listed(&mistakes), "the examples in force stay");
        }
    }
    match folder::read_mesh(dir) {
        Ok(fresh) if fresh == *mesh => {}
        Ok(_) => tracing::warn!("mesh.yaml has changed: restart the mesh to apply it"),
        Err(mistakes) => tracing::error!(mistakes = listed(&mistakes), "mesh.yaml"),
    }
}

fn listed(mistakes: &[FileMistake]) -> String {
    mistakes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Registers the cards that lie in files, and takes out those whose file is
/// gone.
pub fn register(nucleus: &Nucleus, cards: &[Card]) {
    let entries: Vec<Entry> = cards
        .iter()
        .filter_map(entry)
        .filter(|entry| is_admitted(nucleus, entry))
        .collect();
    let directory = nucleus.registry.directory();
    for agent in directory.agents() {
        let Origin::Registered { source } = &agent.origin else {
            continue;
        };
        let from_file = source.starts_with("file:");
        if from_file && !entries.iter().any(|entry| entry.name == agent.name) {
            match nucleus.registry.remove(&agent.name) {
                Ok(_) => tracing::info!(agent = agent.name, "its file is gone, so it is out"),
                Err(failure) => tracing::error!(agent = agent.name, failure.message, "remove"),
            }
        }
    }
    if let Err(failure) = nucleus.register(entries) {
        tracing::error!(
            failure.message,
            failure.hint,
            "the cards in agents/ are not in force"
        );
    }
}

/// Whether the mesh may call where a card says; if not, that is logged.
fn is_admitted(nucleus: &Nucleus, entry: &Entry) -> bool {
    let dial = &nucleus.exchange.dial;
    let mut interfaces = entry.card.interfaces.iter();
    match interfaces.find_map(|interface| dial.admits(&interface.url).err()) {
        None => true,
        Some(failure) => {
            let (source, message, hint) = (&entry.source, failure.message, failure.hint);
            tracing::error!(source, message, hint, "a card is left out");
            false
        }
    }
}

/// Fetches the cards that mesh.yaml lists as URLs, until all have come.
pub async fn fetch(nucleus: Arc<Nucleus>, cards: Vec<Card>) {
    let mut open: Vec<String> = cards
        .into_iter()
        .filter_map(|card| match card {
            Card::Url(url) => Some(url),
            Card::File { .. } => None,
        })
        .collect();
    while !open.is_empty() {
        let mut again = Vec::new();
        for url in open {
            if let Err(failure) = fetch_one(&nucleus, &url).await {
                tracing::warn!(url, failure.message, "a card is not fetched yet");
                again.push(url);
            }
        }
        open = again;
        if !open.is_empty() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn fetch_one(nucleus: &Arc<Nucleus>, url: &str) -> Result<(), kgents_gateway::call::Failure> {
    let raw = nucleus.exchange.dial.fetch_card(url).await?;
    let card = kgents_gateway::Card::parse(raw)?;
    let Some(name) = card.label() else {
        tracing::error!(url, "the card's name gives no RFC 1123 label");
        return Ok(());
    };
    let entry = Entry {
        name,
        card,
        source: url.to_owned(),
    };
    if !is_admitted(nucleus, &entry) {
        return Ok(());
    }
    let nucleus = Arc::clone(nucleus);
    let registering = tokio::task::spawn_blocking(move || nucleus.register(vec![entry]));
    registering.await.unwrap_or(Ok(()))
}

fn entry(card: &Card) -> Option<Entry> {
    let Card::File { path, json } = card else {
        return None;
    };
    let source = format!("file:{}", path.display());
    let parsed = Payload::parse(json.clone().into())
        .map_err(|error| error.to_string())
        .and_then(|raw| kgents_gateway::Card::parse(raw).map_err(|failure| failure.message));
    match parsed.map(|card| (card.label(), card)) {
        Ok((Some(name), card)) => Some(Entry { name, card, source }),
        Ok((None, _)) => {
            tracing::error!(source, "the card's name gives no RFC 1123 label");
            None
        }
        Err(problem) => {
            tracing::error!(source, problem, "a card is refused");
            None
        }
    }
}

/// Budgets as the ledger takes them.
pub fn budgets(files: &[crate::config::Budget]) -> Vec<Budget> {
    use crate::config::resources::Window;
    files
        .iter()
        .map(|budget| Budget {
            account: budget.spec.account.get().to_owned(),
            tokens: budget.spec.tokens,
            window: match budget.spec.window {
                Window::Day => ledger::Window::Day,
                Window::Hour => ledger::Window::Hour,
                Window::Total => ledger::Window::Total,
            },
        })
        .collect()
}

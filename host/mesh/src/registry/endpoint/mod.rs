//! An OpenAI-compatible embeddings endpoint as an encoder.
//!
//! Reading order: `answer` over `fit` (what it says), `key` (as whom it is asked),
//! `breaker` (when it is left alone), this file (the asking).
//!
//! Whoever asks waits where it stands, sometimes on a worker of a runtime. So the
//! connections live on a thread with a runtime of its own, and who waits never
//! waits, by a chain of tasks, for itself.

mod answer;
mod breaker;
mod fit;
mod key;

use super::encode::{Encode, EncodeError, Remote};
use crate::dial::{PostError, Poster};
use breaker::Breaker;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use kgents_encoder::Embedding;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Which endpoint, and how to ask it.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// What `/embeddings` is appended to, for example `http://127.0.0.1:11434/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// A file of its owner's alone that holds the key; none is shown without.
    pub key_file: Option<PathBuf>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Texts in one request, at most; at least 1.
    pub batch: usize,
    /// Numbers that vectors are asked to have; the model's own without.
    pub dimensions: Option<usize>,
}

/// The endpoint cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is none.
    #[error("`encoder.url`: `{0}` is not an http or https URL without `?` and `#`")]
    Url(String),
    /// The key.
    #[error("`encoder.key_file`: {0}")]
    Key(String),
    /// TLS, or the thread that asks.
    #[error("the encoder's endpoint cannot be asked")]
    Start(#[source] std::io::Error),
}

impl EndpointError {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "encoder-url",
            Self::Key(_) => "encoder-key",
            Self::Start(_) => "encoder-start",
        }
    }
}

/// The endpoint.
pub struct Endpoint {
    settings: EndpointSettings,
    /// With `/embeddings`.
    url: String,
    host: String,
    jobs: UnboundedSender<Job>,
    breaker: Mutex<Breaker>,
    known: OnceLock<Known>,
}

/// What the first answer told, or the configuration.
struct Known {
    name: String,
    /// Numbers in a vector before it is fitted.
    dimensions: usize,
}

/// One request, on its way to the thread that asks.
struct Job {
    url: String,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
    answer: SyncSender<Result<Bytes, EncodeError>>,
}

impl Endpoint {
    /// The way to an endpoint. Nothing is asked yet.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn new(settings: EndpointSettings) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Url(settings.url.clone());
        let uri: Uri = settings.url.parse().map_err(|_| wrong())?;
        let host = uri.authority().ok_or_else(wrong)?.as_str();
        let host = host.to_ascii_lowercase();
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || host.contains('@') || settings.url.contains(['?', '#']) {
            return Err(wrong());
        }
        if let Some(path) = &settings.key_file {
            key::bearer(path).map_err(|error| match error {
                EncodeError::Key(what) => EndpointError::Key(what),
                error => EndpointError::Key(error.to_string()),
            })?;
        }
        let poster = Poster::new(settings.timeout).map_err(EndpointError::Start)?;
        let endpoint = Self {
            url: format!("{}/embeddings", settings.url.trim_end_matches('/')),
            host,
            jobs: start(poster).map_err(EndpointError::Start)?,
            breaker: Mutex::default(),
            known: OnceLock::new(),
            settings,
        };
        if let Some(dimensions) = endpoint.settings.dimensions {
            endpoint.known.get_or_init(|| endpoint.known(dimensions));
        }
        Ok(endpoint)
    }

    fn known(&self, dimensions: usize) -> Known {
        Known {
            name: format!("openai:{}/{}/{dimensions}", self.host, self.settings.model),
            dimensions,
        }
    }

    /// Notes how many numbers a vector has, or that it is as many as ever.
    fn learn(&self, dimensions: usize) -> Result<(), EncodeError> {
        let known = self.known.get_or_init(|| self.known(dimensions));
        if known.dimensions == dimensions {
            return Ok(());
        }
        Err(EncodeError::Dimensions {
            expected: known.dimensions,
            got: dimensions,
        })
    }

    /// One request, whatever the breaker says.
    fn ask(&self, texts: &[&str], limit: Duration) -> Result<Vec<Embedding>, EncodeError> {
        let mut headers = HeaderMap::with_capacity(3);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json.clone());
        headers.insert(header::ACCEPT, json);
        if let Some(path) = &self.settings.key_file {
            headers.insert(header::AUTHORIZATION, key::bearer(path)?);
        }
        let body = answer::ask(&self.settings.model, self.settings.dimensions, texts);
        let (answer, answered) = sync_channel(1);
        let job = Job {
            url: self.url.clone(),
            headers,
            body: body.into(),
            limit,
            answer,
        };
        let gone = || EncodeError::Unreachable("the thread that asks is gone".to_owned());
        self.jobs.send(job).map_err(|_| gone())?;
        let wait = || answered.recv().unwrap_or_else(|_| Err(gone()));
        let body = match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            // The worker's other tasks go on without it.
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }?;
        let vectors = answer::read(&body, texts.len())?;
        self.learn(vectors.dimensions)?;
        Ok(vectors.fitted)
    }

    /// Whether a failure says that the endpoint does not work. A text that it does
    /// not take says nothing of it, nor does being late with many texts, or within
    /// less than the configured time.
    fn counts(&self, error: &EncodeError, texts: usize, limit: Duration) -> bool {
        match error {
            EncodeError::Input(_) | EncodeError::TooLarge(_) => false,
            EncodeError::TimedOut(_) => texts == 1 && limit >= self.settings.timeout,
            _ => true,
        }
    }

    /// One request, if the endpoint is not left alone just now.
    fn ask_if_well(&self, texts: &[&str], limit: Duration) -> Result<Vec<Embedding>, EncodeError> {
        if !self.breaker.lock().may_ask(Instant::now()) {
            return Err(EncodeError::Resting);
        }
        let outcome = self.ask(texts, limit);
        let mut breaker = self.breaker.lock();
        match &outcome {
            Ok(_) => breaker.worked(),
            Err(error) if self.counts(error, texts.len(), limit) => {
                breaker.failed(Instant::now());
            }
            Err(_) => {}
        }
        outcome
    }
}

impl Encode for Endpoint {
    /// `openai:HOST/MODEL/NUMBERS`.
    fn name(&self) -> Option<&str> {
        self.known.get().map(|known| known.name.as_str())
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        self.encode_within(texts, self.settings.timeout)
    }

    fn remote(&self) -> Option<Remote> {
        Some(Remote {
            timeout: self.settings.timeout,
            batch: self.settings.batch.max(1),
        })
    }

    fn encode_within(
        &self,
        texts: &[&str],
        limit: Duration,
    ) -> Result<Vec<Embedding>, EncodeError> {
        let begun = Instant::now();
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in texts.chunks(self.settings.batch.max(1)) {
            let left = limit.saturating_sub(begun.elapsed());
            // The first has all of it, to the nanosecond: see `counts`.
            let left = if vectors.is_empty() { limit } else { left };
            vectors.extend(self.ask_if_well(texts, left)?);
        }
        Ok(vectors)
    }
}

/// Starts the thread that asks; it ends when nobody can ask any more.
fn start(poster: Poster) -> std::io::Result<UnboundedSender<Job>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (jobs, arriving) = unbounded_channel();
    std::thread::Builder::new()
        .name("encoder".to_owned())
        .spawn(move || runtime.block_on(work(Arc::new(poster), arriving)))?;
    Ok(jobs)
}

/// Asks what arrives, side by side, until nobody can ask any more.
async fn work(poster: Arc<Poster>, mut arriving: UnboundedReceiver<Job>) {
    while let Some(job) = arriving.recv().await {
        let poster = Arc::clone(&poster);
        tokio::spawn(async move {
            let Job {
                url,
                headers,
                body,
                limit,
                answer,
            } = job;
            let asking = post(&poster, url, headers, body);
            let outcome = tokio::time::timeout(limit, asking).await;
            // Who no longer waits does not want to know.
            let _ = answer.send(outcome.unwrap_or(Err(EncodeError::TimedOut(limit))));
        });
    }
}

/// Asks, once more where a connection broke: one that was kept ends with an
/// endpoint that starts anew, and asking twice changes nothing there.
async fn post(
    poster: &Poster,
    url: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Bytes, EncodeError> {
    let mut outcome = poster
        .post(url.clone(), headers.clone(), body.clone(), ANSWER_BYTES_MAX)
        .await;
    if matches!(outcome, Err(PostError::Broken)) {
        outcome = poster.post(url, headers, body, ANSWER_BYTES_MAX).await;
    }
    let (status, body) = outcome.map_err(|error| match error {
        PostError::TooLarge => EncodeError::TooLarge(ANSWER_BYTES_MAX),
        error => EncodeError::Unreachable(error.to_string()),
    })?;
    match status {
        status if status.is_success() => Ok(body),
        // What such an answer says may repeat the key, so it is not told.
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(EncodeError::Input(status.as_u16())),
        status => Err(EncodeError::Status(status.as_u16())),
    }
}

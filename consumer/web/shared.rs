//! What the handlers share: the data, what is kept for those who ask again, and how much may be in memory.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::guard::Guard;
use super::{Bounds, Web};

/// Answers at once that may hold a million rows.
const LARGE_ANSWERS: usize = 3;
/// Bytes of a large answer that are handed to the connection at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Pages that are kept: each some 100 KiB.
const MOST_PAGES: usize = 64;
/// How old a kept answer may be, in milliseconds.
const FRESH_MS: u64 = 1000;

/// State of the handlers.
pub struct Shared {
    /// The data.
    pub web: Arc<Web>,
    /// What clients may cost.
    pub bounds: Bounds,
    /// Who is let in.
    pub guard: Guard,
    /// The text of `/metrics`.
    pub metrics: Kept,
    pages: parking_lot::Mutex<HashMap<String, Arc<Kept>>>,
    large: Arc<Semaphore>,
}

/// An answer that costs much and is asked for by many: computed by one at a time, kept for a second.
#[derive(Default)]
pub struct Kept(Arc<Mutex<Option<Computed>>>);

struct Computed {
    at_ms: u64,
    text: Arc<str>,
}

impl Shared {
    /// State over this data.
    pub fn new(web: Arc<Web>, bounds: Bounds) -> Self {
        let large = Arc::new(Semaphore::new(LARGE_ANSWERS));
        let guard = Guard::new(Arc::clone(&web.access), bounds.requests_per_second);
        Self { web, bounds, guard, metrics: Kept::default(), pages: Default::default(), large }
    }

    /// A page by its address. Those who look at the same one share it.
    pub fn page(&self, address: &str) -> Arc<Kept> {
        let mut pages = self.pages.lock();
        if let Some(page) = pages.get(address) {
            return Arc::clone(page);
        }
        if pages.len() >= MOST_PAGES {
            pages.clear();
        }
        Arc::clone(pages.entry(address.to_owned()).or_default())
    }

    /// Runs a read beside the async tasks: it may walk over the windows, or wait for a commit.
    ///
    /// # Errors
    /// The read's own, or it panicked.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Web) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let web = Arc::clone(&self.web);
        tokio::task::spawn_blocking(move || read(&web)).await.map_err(|_| broken())?
    }

    /// Computes a JSON text that may be large. No more than [`LARGE_ANSWERS`] of them are in memory, also while
    /// their clients take them.
    ///
    /// # Errors
    /// The computation's own, or it panicked.
    pub async fn large(
        &self,
        compute: impl FnOnce(&Web) -> Result<Vec<u8>, ApiError> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let permit = Arc::clone(&self.large).acquire_owned().await.map_err(|_| broken())?;
        let (text, permit) = self.read(move |web| Ok((compute(web)?, permit))).await?;
        let headers =
            [(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_LENGTH, text.len().to_string())];
        Ok((headers, body(text, permit)).into_response())
    }

    /// What is kept if it is fresh, else computes it. A client that goes away meanwhile stops nothing: the next
    /// waits for the result instead of computing its own beside it.
    ///
    /// # Errors
    /// The computation's own, or it panicked.
    pub async fn kept(
        &self,
        kept: &Kept,
        compute: impl FnOnce(&Web, u64) -> Result<String, ApiError> + Send + 'static,
    ) -> Result<Arc<str>, ApiError> {
        let mut kept = Arc::clone(&kept.0).lock_owned().await;
        let now_ms = (self.web.clock)();
        if let Some(computed) = kept.as_ref().filter(|computed| now_ms.abs_diff(computed.at_ms) < FRESH_MS) {
            return Ok(Arc::clone(&computed.text));
        }
        self.read(move |web| {
            let at_ms = (web.clock)();
            let text: Arc<str> = compute(web, at_ms)?.into();
            *kept = Some(Computed { at_ms, text: Arc::clone(&text) });
            Ok(text)
        })
        .await
    }
}

/// A body that keeps its permit until it is sent or given up.
fn body(text: Vec<u8>, permit: OwnedSemaphorePermit) -> Body {
    let mut rest = Bytes::from(text);
    let chunks = std::iter::from_fn(move || {
        let _held = &permit;
        (!rest.is_empty()).then(|| Ok::<_, Infallible>(rest.split_to(rest.len().min(CHUNK_BYTES))))
    });
    Body::from_stream(tokio_stream::iter(chunks))
}

fn broken() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be computed: the log says why")
}

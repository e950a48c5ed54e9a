//! Starts and ends the shards' tasks as their source says which may be read, and hands state from parents to
//! children.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::worker::{End, Unsaved, Worker};
use super::{Counter, DeadLetter, Learning, Settings, ShardView, Views};
use crate::Clock;
use crate::decode::Decoder;
use crate::duplicates::Duplicates;
use crate::metrics::{Metrics, Observations};
use crate::source::{Announcement, Position, ShardId, ShardPlan, Source, StoredShard};
use crate::state::embedded::{Change, has_room};
use crate::state::{
    EmbeddedState, IDS_PER_PART, ShardHeader, ShardState, StoredBytes, encode_snapshot, inherit,
};

/// Announcements and finished shards that may wait: more than a stream has shards.
const QUEUE: usize = 16_384;

/// Whether the process may be sent traffic: the state is read and every source was reached once.
pub struct Readiness {
    waiting_for: Mutex<BTreeSet<String>>,
    is_stopping: AtomicBool,
}

/// What is awaited from the start until the state is read.
pub const THE_STATE: &str = "the state";

impl Default for Readiness {
    fn default() -> Self {
        Self { waiting_for: Mutex::new([THE_STATE.to_owned()].into()), is_stopping: AtomicBool::new(false) }
    }
}

impl Readiness {
    /// What is still awaited, for people; none when ready.
    pub fn not_ready_because(&self) -> Option<String> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Some("stopping".to_owned());
        }
        let waiting = self.waiting_for.lock();
        (!waiting.is_empty()).then(|| {
            let names: Vec<&str> = waiting.iter().map(String::as_str).collect();
            format!("waiting for {}", names.join(", "))
        })
    }

    /// Something is still awaited.
    pub fn is_waiting(&self) -> bool {
        !self.waiting_for.lock().is_empty()
    }

    /// What was awaited is there.
    pub fn arrived(&self, what: &str) {
        self.waiting_for.lock().remove(what);
    }

    /// The process stops.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}

/// What all shards' tasks share.
pub struct Pipeline {
    /// The durable state.
    pub state: Arc<EmbeddedState>,
    /// What is committed.
    pub views: Arc<Views>,
    /// Whether traffic may come.
    pub readiness: Arc<Readiness>,
    /// The series.
    pub metrics: Arc<Metrics>,
    /// What the tasks heed of the config.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Takes what is rejected.
    pub dead_letter: Option<Arc<DeadLetter>>,
    /// Whether weak callers are remembered without a page.
    pub learning: Arc<Learning>,
    /// Where the page is served; none if alerts go nowhere.
    pub alert_link: Option<Arc<str>>,
    /// The wall clock.
    pub clock: Clock,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

/// What of the state is handed to a task when it starts.
struct Parked {
    duplicates: Duplicates,
    stored: StoredBytes,
}

impl Pipeline {
    /// Reads the state and runs all sources until each has ended or the process is told to stop.
    ///
    /// # Errors
    /// The state can't be read or written, or a source gives up.
    pub async fn run(self: Arc<Self>, sources: Vec<Arc<dyn Source>>) -> Result<()> {
        let listings = sources.iter().map(|source| listing_of(source.as_ref()));
        self.readiness.waiting_for.lock().extend(listings);
        self.forget_silent_callers().await?;
        let supervisors = self.restore(&sources)?;
        self.readiness.arrived(THE_STATE);
        let mut running = JoinSet::new();
        for (source, supervisor) in sources.into_iter().zip(supervisors) {
            running.spawn(supervisor.run(source));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended.context("a source's task panicked").and_then(|ended| ended) {
                self.shutdown.cancel();
                while running.join_next().await.is_some() {}
                return Err(error);
            }
        }
        Ok(())
    }

    /// Where the memory of weak callers is full, those that were silent for too long make room.
    async fn forget_silent_callers(&self) -> Result<()> {
        let policy = Arc::clone(&self.settings.borrow().weak_callers);
        let (_, counts) = self.state.caller_rows(std::iter::empty())?;
        if has_room(counts, false, policy.room) && has_room(counts, true, policy.room) {
            return Ok(());
        }
        let newest_s = self.state.shards()?.into_iter().filter_map(|(_, header)| header.newest_s).max();
        if let Some(newest_s) = newest_s {
            let before_s = newest_s.saturating_sub(policy.forget_after_s);
            self.state.write(Change::Forget(before_s)).await?;
        }
        Ok(())
    }

    /// Reads everything that is stored; a supervisor for each source.
    fn restore(self: &Arc<Self>, sources: &[Arc<dyn Source>]) -> Result<Vec<Supervisor>> {
        let mut supervisors: Vec<Supervisor> =
            sources.iter().map(|_| Supervisor::new(Arc::clone(self))).collect();
        for (shard, header) in self.state.shards()? {
            let owner = sources.iter().position(|source| source.name() == shard.source());
            let kind = owner.map_or("none", |owner| sources[owner].kind());
            let mut parked = None;
            if !header.is_inherited {
                let limits = self.settings.borrow().state();
                let ShardState { header, windows, duplicates, stored } =
                    self.state.load(&shard, header.clone(), limits)?;
                let is_finished = header.is_finished();
                self.views.insert(Arc::new(ShardView::new(shard.clone(), kind, header, windows)), &[]);
                parked = (!is_finished).then_some(Parked { duplicates, stored });
            }
            if let Some(owner) = owner {
                supervisors[owner].known.insert(shard.clone(), header);
                supervisors[owner].parked.extend(parked.map(|parked| (shard, parked)));
            }
        }
        Ok(supervisors)
    }
}

/// Runs one source's shards.
struct Supervisor {
    pipeline: Arc<Pipeline>,
    /// All shards that the state knows, with their headers as of the start or their beginning.
    known: HashMap<ShardId, ShardHeader>,
    /// What waits for its shard's task.
    parked: HashMap<ShardId, Parked>,
    workers: JoinSet<(ShardId, Result<End>)>,
}

impl Supervisor {
    fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline, known: HashMap::new(), parked: HashMap::new(), workers: JoinSet::new() }
    }

    async fn run(mut self, source: Arc<dyn Source>) -> Result<()> {
        self.pipeline.metrics.add_source(source.kind());
        let (announce, mut announcements) = mpsc::channel(QUEUE);
        let (finished, finished_receiver) = mpsc::channel(QUEUE);
        let stored = self
            .known
            .iter()
            .map(|(shard, header)| StoredShard { shard: shard.clone(), position: header.position.clone() });
        let shutdown = self.pipeline.shutdown.clone();
        let coordination =
            Arc::clone(&source).coordinate(stored.collect(), announce, finished_receiver, shutdown);
        let coordination = tokio::spawn(coordination);
        let mut has_more = true;
        loop {
            tokio::select! {
                announcement = announcements.recv(), if has_more => match announcement {
                    None => has_more = false,
                    Some(announcement) => self.heed(&source, announcement).await?,
                },
                Some(ended) = self.workers.join_next() => {
                    let (shard, end) = ended.context("a shard's task panicked")?;
                    if end.with_context(|| format!("shard {shard}"))? == End::Finished {
                        // A source that has ended needs no news.
                        finished.send(shard).await.ok();
                    }
                    self.pipeline.metrics.leases.dec();
                },
                else => break,
            }
        }
        coordination.await.context("the source's coordination panicked")?
    }

    async fn heed(&mut self, source: &Arc<dyn Source>, announcement: Announcement) -> Result<()> {
        match announcement {
            Announcement::Listed => {
                self.pipeline.readiness.arrived(&listing_of(source.as_ref()));
                self.pipeline.learning.check((self.pipeline.clock)()).await;
                Ok(())
            }
            Announcement::Initial(shards) => self.begin(source.kind(), shards).await,
            Announcement::Start(plan) => self.start(source, plan).await,
        }
    }

    /// Notes the shards of the very first start, in one step.
    async fn begin(&mut self, kind: &'static str, shards: Vec<(ShardId, Position)>) -> Result<()> {
        let headers: Vec<(ShardId, ShardHeader)> =
            shards.into_iter().map(|(shard, position)| (shard, ShardHeader::begin(position))).collect();
        self.pipeline.state.write(Change::Initial(headers.clone())).await?;
        for (shard, header) in headers {
            let view = ShardView::new(shard.clone(), kind, header.clone(), crate::window::Windows::default());
            self.pipeline.views.insert(Arc::new(view), &[]);
            let parked = Parked { duplicates: Duplicates::default(), stored: StoredBytes::default() };
            self.parked.insert(shard.clone(), parked);
            self.known.insert(shard, header);
        }
        Ok(())
    }

    async fn start(&mut self, source: &Arc<dyn Source>, plan: ShardPlan) -> Result<()> {
        if !self.has_begun(&plan.shard) && (!plan.parents.is_empty() || !self.known.contains_key(&plan.shard))
        {
            self.inherit(source.kind(), &plan).await?;
        }
        let Some(view) = self.pipeline.views.get(&plan.shard) else { return Ok(()) };
        let Some(parked) = self.parked.remove(&plan.shard) else { return Ok(()) };
        let header = view.read(|committed| committed.header.clone());
        let position = self.position(&plan.shard, &header);
        let pipeline = &self.pipeline;
        let settings = Arc::clone(&pipeline.settings.borrow());
        let mut decoder = Decoder::new(settings.decode);
        decoder.set_broken_document(header.broken_document);
        let counter = Counter::new(
            settings,
            Arc::clone(&pipeline.metrics),
            pipeline.dead_letter.clone(),
            parked.duplicates,
            header.newest_s,
        );
        let worker = Worker {
            state: Arc::clone(&pipeline.state),
            counter,
            decoder,
            settings: pipeline.settings.clone(),
            metrics: Arc::clone(&pipeline.metrics),
            clock: Arc::clone(&pipeline.clock),
            stored: parked.stored,
            stood_still: stood_still(&header, source.retention_ms(), (pipeline.clock)()),
            shutdown: pipeline.shutdown.clone(),
            header,
            files: Default::default(),
            unsaved: Unsaved::Nothing,
            processing: Observations::default(),
            learning: Arc::clone(&pipeline.learning),
            alert_link: pipeline.alert_link.clone(),
            views: Arc::clone(&pipeline.views),
            has_matches: false,
            view: Arc::clone(&view),
        };
        let (status, shutdown) = (Arc::clone(view.status()), pipeline.shutdown.clone());
        let batches = Arc::clone(source).open(plan.shard.clone(), position, status, shutdown);
        pipeline.metrics.leases.inc();
        self.workers.spawn(async move { (plan.shard, worker.run(batches).await.map_err(Into::into)) });
        Ok(())
    }

    /// Where a shard goes on. How far files were read stands in what the state gave at the start.
    fn position(&self, shard: &ShardId, header: &ShardHeader) -> Position {
        match (&header.position, self.known.get(shard)) {
            (Position::Files(_), Some(known)) => known.position.clone(),
            (position, _) => position.clone(),
        }
    }

    /// Whether a shard was begun: was counted, took what its parents left, or needs neither.
    fn has_begun(&self, shard: &ShardId) -> bool {
        let header = self.header_of(shard);
        header.is_some_and(|header| header.committed_ms > 0 || header.is_finished() || header.is_inherited)
    }

    /// Begins a shard with what its parents leave it.
    async fn inherit(&mut self, kind: &'static str, plan: &ShardPlan) -> Result<()> {
        let limits = self.pipeline.settings.borrow().state();
        // A shard of the very first start has its beginning already.
        let begin = self.header_of(&plan.shard).map_or_else(|| plan.begin.clone(), |header| header.position);
        let mut parents = Vec::new();
        let (mut inherited, mut forgotten) = (Vec::new(), Vec::new());
        for parent in &plan.parents {
            let Some(header) = self.header_of(&parent.shard) else { continue };
            if parent.heir && !header.is_inherited {
                inherited.push(parent.shard.clone());
            }
            let mut others = parent.children.iter().filter(|child| **child != plan.shard);
            if others.all(|child| self.has_begun(child)) {
                forgotten.push(parent.shard.clone());
            }
            let (state, shard) = (Arc::clone(&self.pipeline.state), parent.shard.clone());
            let loaded = tokio::task::spawn_blocking(move || state.load(&shard, header, limits)).await??;
            parents.push((loaded, parent.heir));
        }
        let ShardState { header, windows, duplicates, .. } =
            inherit(begin, parents, limits, (self.pipeline.clock)());
        let view = Arc::new(ShardView::new(plan.shard.clone(), kind, header.clone(), windows));
        let (own_view, ids) = (Arc::clone(&view), duplicates.pieces(IDS_PER_PART).collect::<Vec<_>>());
        let change = Change::Start {
            shard: plan.shard.clone(),
            header: Box::new(header.clone()),
            snapshot: Box::new(move |write| {
                own_view.read(|committed| encode_snapshot(&committed.windows, ids.into_iter(), write));
            }),
            inherited: inherited.clone(),
            forgotten,
        };
        let snapshot = self.pipeline.state.write(change).await?.bytes;
        self.pipeline.views.insert(view, &inherited);
        for parent in inherited {
            let mut header = ShardHeader::begin(Position::ShardEnd);
            header.is_inherited = true;
            self.known.insert(parent, header);
        }
        self.known.insert(plan.shard.clone(), header);
        let stored = StoredBytes { snapshot, since: 0 };
        self.parked.insert(plan.shard.clone(), Parked { duplicates, stored });
        Ok(())
    }

    fn header_of(&self, shard: &ShardId) -> Option<ShardHeader> {
        let view = self.pipeline.views.get(shard);
        view.map(|view| view.read(|committed| committed.header.clone()))
            .or_else(|| self.known.get(shard).cloned())
    }
}

/// Whether records may have been lost since the shard was last known to be complete.
fn stood_still(header: &ShardHeader, retention_ms: Option<u64>, now_ms: u64) -> bool {
    let since_ms = header.stretches.last().map(|(_, until_ms)| now_ms.saturating_sub(*until_ms));
    matches!((since_ms, retention_ms), (Some(since_ms), Some(retention_ms)) if since_ms > retention_ms)
}

fn listing_of(source: &dyn Source) -> String {
    format!("the first listing of {}", source.name())
}

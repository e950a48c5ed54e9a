//! Which shards there are, told to the pipeline as they may be read.
//!
//! Enters: the stored positions, and the shards whose end was committed. Leaves: announcements. Lists the stream
//! once in a while, and at once when a shard ended whose children are not known yet. A listing that fails is tried
//! again for ever; it holds up new shards only, not the ones that are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::shards::{Lineage, Progress, Ready, Shard};
use super::{Api, KinesisSource, StartAt};
use crate::source::{Announcement, Parent, Position, ShardId, ShardPlan, StoredShard};

/// The retention changes rarely, and is asked of an operation that allows few calls.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
/// Listings in quick succession for the children of a shard that ended; then the usual interval does.
const MOST_HURRIED_LISTINGS: u32 = 10;

/// The coordination of one stream.
pub(super) struct Coordinator<A> {
    source: Arc<KinesisSource<A>>,
    announce: mpsc::Sender<Announcement>,
    finished: mpsc::Receiver<ShardId>,
    lineage: Lineage,
    /// Where shards begin that are not younger than the first start.
    begins: BTreeMap<String, Position>,
    /// Shards that ended while an announcement waited to be taken.
    ended: Vec<ShardId>,
    /// Shards that ended and whose children are not all listed.
    childless: BTreeSet<String>,
    hurried: u32,
    failures: u32,
    next_listing: Instant,
    next_retention: Instant,
}

impl<A: Api> Coordinator<A> {
    /// Takes up from what the state knows.
    pub(super) fn new(
        source: Arc<KinesisSource<A>>,
        stored: Vec<StoredShard>,
        announce: mpsc::Sender<Announcement>,
        finished: mpsc::Receiver<ShardId>,
    ) -> Self {
        let stored = stored.into_iter().map(|stored| (stored.shard.shard().to_owned(), stored.position));
        let begins: BTreeMap<_, _> = stored.collect();
        let progress = |position: &Position| match position {
            Position::ShardEnd => Progress::Finished,
            _ => Progress::Stored,
        };
        Self {
            lineage: Lineage::new(begins.iter().map(|(id, position)| (id.clone(), progress(position)))),
            source,
            announce,
            finished,
            begins,
            ended: Vec::new(),
            childless: BTreeSet::new(),
            hurried: 0,
            failures: 0,
            next_listing: Instant::now(),
            next_retention: Instant::now(),
        }
    }

    /// Coordinates until the pipeline hangs up, which is how it breaks.
    pub(super) async fn run(mut self) -> ControlFlow<()> {
        let shards = loop {
            sleep_until(self.next_listing).await;
            // A stream that is being created may list nothing yet.
            if let Some(shards) = self.list().await.filter(|shards| !shards.is_empty()) {
                break shards;
            }
        };
        if self.begins.is_empty() {
            self.announce_initial(&shards).await?;
        }
        self.take(shards);
        self.announce_ready().await?;
        self.tell(Announcement::Listed).await?;
        loop {
            self.announce_ready().await?;
            tokio::select! {
                shard = self.finished.recv() => match shard {
                    Some(shard) => self.ended.push(shard),
                    None => return ControlFlow::Break(()),
                },
                () = sleep_until(self.next_listing) => {
                    if let Some(shards) = self.list().await {
                        self.take(shards);
                    }
                }
            }
        }
    }

    async fn announce_initial(&mut self, shards: &[Shard]) -> ControlFlow<()> {
        let now_ms = self.source.now_ms();
        let begin = |shard: &Shard| match self.source.options.start {
            StartAt::TrimHorizon => Position::TrimHorizon,
            StartAt::AtTimestamp { ms } => Position::AtTimestamp { ms },
            StartAt::Latest if shard.closed => Position::ShardEnd,
            StartAt::Latest => Position::Latest { since_ms: now_ms },
        };
        let mut initial = Vec::with_capacity(shards.len());
        for shard in shards {
            let begin = begin(shard);
            let finished = begin == Position::ShardEnd;
            self.lineage.set(&shard.id, if finished { Progress::Finished } else { Progress::Stored });
            self.begins.insert(shard.id.clone(), begin.clone());
            initial.push((self.source.shard_id(&shard.id), begin));
        }
        self.tell(Announcement::Initial(initial)).await
    }

    async fn announce_ready(&mut self) -> ControlFlow<()> {
        loop {
            for shard in std::mem::take(&mut self.ended) {
                self.finish(shard.shard());
            }
            let ready = self.lineage.ready();
            if ready.is_empty() {
                return ControlFlow::Continue(());
            }
            for ready in ready {
                self.lineage.set(&ready.shard, Progress::Started);
                let plan = self.plan(ready);
                self.tell(Announcement::Start(plan)).await?;
            }
        }
    }

    /// Hands an announcement over. The pipeline may be waiting just now for us to take a shard that ended, so both
    /// go on at the same time.
    async fn tell(&mut self, announcement: Announcement) -> ControlFlow<()> {
        loop {
            tokio::select! {
                place = self.announce.reserve() => {
                    let Ok(place) = place else { return ControlFlow::Break(()) };
                    place.send(announcement);
                    return ControlFlow::Continue(());
                }
                Some(shard) = self.finished.recv() => self.ended.push(shard),
            }
        }
    }

    fn plan(&self, ready: Ready) -> ShardPlan {
        let id = |shard: &String| self.source.shard_id(shard);
        // A shard that did not exist at the first start is younger than it, so all of it counts.
        let younger = match self.source.options.start {
            StartAt::AtTimestamp { ms } => Position::AtTimestamp { ms },
            StartAt::TrimHorizon | StartAt::Latest => Position::TrimHorizon,
        };
        let parents = ready.parents.iter().map(|parent| Parent {
            shard: id(&parent.shard),
            heir: parent.heir,
            children: parent.children.iter().map(id).collect(),
        });
        ShardPlan {
            shard: id(&ready.shard),
            begin: self.begins.get(&ready.shard).cloned().unwrap_or(younger),
            parents: parents.collect(),
        }
    }

    fn finish(&mut self, shard: &str) {
        self.lineage.set(shard, Progress::Finished);
        if self.lineage.misses_children(shard) {
            self.childless.insert(shard.to_owned());
            self.hurried = 0;
            self.next_listing = Instant::now();
        }
    }

    /// Lists the stream, and plans when to do it again.
    async fn list(&mut self) -> Option<Vec<Shard>> {
        match self.source.api.list_shards().await {
            Ok(shards) => {
                self.failures = 0;
                self.source.listing.set_error(None);
                self.next_listing = Instant::now() + self.source.options.list_interval;
                self.ask_retention().await;
                Some(shards)
            }
            Err(error) => {
                let (error, before) = (error.to_string(), self.source.listing.error());
                if before.as_ref() != Some(&error) {
                    tracing::warn!(source = self.source.options.name, "shards cannot be listed: {error}");
                }
                self.source.listing.set_error(Some(error));
                self.next_listing = Instant::now() + self.source.delay(self.failures);
                self.failures = self.failures.saturating_add(1);
                None
            }
        }
    }

    fn take(&mut self, shards: Vec<Shard>) {
        self.lineage.list(shards);
        self.childless.retain(|shard| self.lineage.misses_children(shard));
        if !self.childless.is_empty() && self.hurried < MOST_HURRIED_LISTINGS {
            let delay = self.source.delay(self.hurried).min(self.source.options.list_interval);
            self.hurried += 1;
            self.next_listing = Instant::now() + delay;
        }
    }

    /// Without this permission all works, but a restart after a long time may not know that records were lost.
    async fn ask_retention(&mut self) {
        if Instant::now() < self.next_retention {
            return;
        }
        self.next_retention = Instant::now() + RETENTION_INTERVAL;
        match self.source.api.retention().await {
            Ok(retention) => {
                let ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
                self.source.retention_ms.store(ms, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(source = self.source.options.name, "the retention is not known: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests;

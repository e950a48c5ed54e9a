use super::super::fake::{Fake, START_MS, shard, source, target};
use super::super::{ApiError, KinesisOptions};
use super::*;
use crate::source::Source;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const WHOLE: (u128, u128) = (0, 9);

struct Coordinating {
    source: Arc<KinesisSource<Fake>>,
    announced: mpsc::Receiver<Announcement>,
    finished: mpsc::Sender<ShardId>,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

fn coordinate(
    fake: Fake,
    stored: &[(&str, Position)],
    change: impl FnOnce(&mut KinesisOptions),
) -> Coordinating {
    let (source, _) = source(fake, change);
    let (announce, announced) = mpsc::channel(1);
    let (finished, ended) = mpsc::channel(1);
    let shutdown = CancellationToken::new();
    let stored = stored
        .iter()
        .map(|(id, position)| StoredShard { shard: source.shard_id(id), position: position.clone() });
    let coordination = source.clone().coordinate(stored.collect(), announce, ended, shutdown.clone());
    Coordinating { source, announced, finished, shutdown, task: tokio::spawn(coordination) }
}

impl Coordinating {
    /// All that is announced within a second, as text.
    async fn announced(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(Some(announcement)) = timeout(Duration::from_secs(1), self.announced.recv()).await {
            all.push(text(&announcement));
        }
        all
    }

    async fn finish(&self, shard: &str) {
        self.finished.send(self.source.shard_id(shard)).await.unwrap();
    }
}

fn text(announcement: &Announcement) -> String {
    match announcement {
        Announcement::Initial(shards) => {
            let shards: Vec<_> = shards.iter().map(|(id, begin)| format!("{id} {begin:?}")).collect();
            format!("initial {}", shards.join(", "))
        }
        Announcement::Start(plan) => {
            let parent = |parent: &Parent| {
                let children: Vec<_> = parent.children.iter().map(ShardId::shard).collect();
                let heir = if parent.heir { "*" } else { "" };
                format!(" <{}{heir} [{}]", parent.shard.shard(), children.join(" "))
            };
            let parents: String = plan.parents.iter().map(parent).collect();
            format!("start {} {:?}{parents}", plan.shard.shard(), plan.begin)
        }
        Announcement::Listed => "listed".to_owned(),
    }
}

/// `a` was split into `b` (lower) and `c`.
fn split() -> Fake {
    Fake::default()
        .with_shard(shard("a", &[], WHOLE, true), 3)
        .with_shard(shard("b", &["a"], (0, 4), false), 0)
        .with_shard(shard("c", &["a"], (5, 9), false), 0)
}

#[tokio::test(start_paused = true)]
async fn a_first_start_begins_where_it_is_told() {
    let mut all = coordinate(split(), &[], |_| {});
    let initial = "initial trail/a TrimHorizon, trail/b TrimHorizon, trail/c TrimHorizon";
    assert_eq!(all.announced().await, [initial, "start a TrimHorizon", "listed"]);

    let mut since = coordinate(split(), &[], |options| options.start = StartAt::AtTimestamp { ms: 7 });
    let at = "AtTimestamp { ms: 7 }";
    let initial = format!("initial trail/a {at}, trail/b {at}, trail/c {at}");
    assert_eq!(since.announced().await, [initial, format!("start a {at}"), "listed".to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn latest_skips_closed_shards_and_keeps_the_time() {
    let mut latest = coordinate(split(), &[], |options| options.start = StartAt::Latest);
    let begin = format!("Latest {{ since_ms: {START_MS} }}");
    assert_eq!(
        latest.announced().await,
        [
            format!("initial trail/a ShardEnd, trail/b {begin}, trail/c {begin}"),
            format!("start b {begin} <a* [b c]"),
            format!("start c {begin} <a [b c]"),
            "listed".to_owned(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_shard_with_unread_data_is_read_after_a_restart() {
    let stored = Position::AfterSequenceNumber("a-0000".to_owned());
    let mut restarted = coordinate(split(), &[("a", stored)], |_| {});
    assert_eq!(restarted.announced().await, ["start a AfterSequenceNumber(\"a-0000\")", "listed"]);
    restarted.finish("a").await;
    let children = ["start b TrimHorizon <a* [b c]", "start c TrimHorizon <a [b c]"];
    assert_eq!(restarted.announced().await, children);
}

#[tokio::test(start_paused = true)]
async fn a_merged_shard_waits_for_both_parents() {
    let fake = Fake::default()
        .with_shard(shard("a", &[], (0, 4), true), 3)
        .with_shard(shard("b", &[], (5, 9), true), 3)
        .with_shard(shard("c", &["a", "b"], WHOLE, false), 3);
    let mut merged = coordinate(fake, &[("a", Position::TrimHorizon), ("b", Position::TrimHorizon)], |_| {});
    assert_eq!(merged.announced().await, ["start a TrimHorizon", "start b TrimHorizon", "listed"]);
    merged.finish("a").await;
    assert_eq!(merged.announced().await, Vec::<String>::new());
    merged.finish("b").await;
    assert_eq!(merged.announced().await, ["start c TrimHorizon <a* [c] <b* [c]"]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_ends_is_followed_by_a_listing_until_its_children_appear() {
    let fake = Fake::default().with_shard(shard("a", &[], WHOLE, false), 3);
    let mut one = coordinate(fake, &[("a", Position::TrimHorizon)], |_| {});
    assert_eq!(one.announced().await, ["start a TrimHorizon", "listed"]);
    one.finish("a").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // First the upper child alone: not enough to know who inherits.
    one.source.api.0.lock().shards.push(shard("c", &["a"], (5, 9), false));
    assert_eq!(one.announced().await, Vec::<String>::new());
    one.source.api.0.lock().shards.push(shard("b", &["a"], (0, 4), false));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(one.announced().await, ["start b TrimHorizon <a* [b c]", "start c TrimHorizon <a [b c]"]);
    assert!(one.source.api.0.lock().lists.len() < 10);
}

#[tokio::test(start_paused = true)]
async fn children_that_never_appear_are_asked_for_at_the_usual_interval() {
    let fake = Fake::default().with_shard(shard("a", &[], WHOLE, true), 3);
    let mut one = coordinate(fake, &[("a", Position::TrimHorizon)], |_| {});
    one.announced().await;
    one.finish("a").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let lists = one.source.api.0.lock().lists.len();
    assert!((55..75).contains(&lists), "{lists}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_is_tried_until_it_works() {
    let fake = split();
    fake.0.lock().list_faults.extend((0..6).map(|_| ApiError::NotFound(target())));
    let mut late = coordinate(fake, &[], |_| {});
    assert_eq!(late.announced().await, Vec::<String>::new());
    let said = "stream cloudtrail does not exist; check the source's `stream`, `region` and `endpoint`";
    assert_eq!(late.source.listing_error().as_deref(), Some(said));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(late.announced().await.len(), 3);
    assert_eq!(late.source.listing_error(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_shards_yet_is_not_the_first_start() {
    let mut early = coordinate(Fake::default(), &[], |options| options.start = StartAt::Latest);
    assert_eq!(early.announced().await, Vec::<String>::new());
    early.source.api.0.lock().shards.push(shard("a", &[], WHOLE, false));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(early.announced().await[0].starts_with("initial trail/a Latest"));
}

#[tokio::test(start_paused = true)]
async fn failing_listings_do_not_hold_up_what_is_known() {
    let mut restarted = coordinate(split(), &[("a", Position::TrimHorizon)], |_| {});
    restarted.announced().await;
    restarted.source.api.0.lock().list_faults.extend((0..1000).map(|_| ApiError::NotFound(target())));
    tokio::time::sleep(Duration::from_secs(120)).await;
    restarted.finish("a").await;
    assert_eq!(restarted.announced().await.len(), 2);
    assert!(!restarted.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_ends_shards_before_it_takes_announcements_does_not_lock_up() {
    let fake =
        (0..9).fold(Fake::default(), |fake, n| fake.with_shard(shard(&format!("{n}"), &[], WHOLE, false), 0));
    let mut many = coordinate(fake, &[("0", Position::TrimHorizon)], |_| {});
    for n in 0..9 {
        timeout(Duration::from_secs(1), many.finish(&format!("{n}"))).await.unwrap();
    }
    many.announced().await;
}

#[tokio::test(start_paused = true)]
async fn learns_the_retention() {
    let fake = split();
    fake.0.lock().retention = Some(Duration::from_secs(7 * 24 * 3600));
    let mut known = coordinate(fake, &[], |_| {});
    known.announced().await;
    assert_eq!(known.source.retention_ms(), Some(7 * 24 * 3_600_000));
}

#[tokio::test(start_paused = true)]
async fn shutdown_stops_it_at_once() {
    let mut all = coordinate(split(), &[], |_| {});
    all.announced().await;
    let before = Instant::now();
    all.shutdown.cancel();
    assert!(all.task.await.unwrap().is_ok());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_stream::StreamExt;

use super::super::fake::{Fake, Fault, START_MS, refusal, shard, source, target};
use super::*;
use crate::source::{Batches, Source};

const WHOLE: (u128, u128) = (0, u128::MAX);

/// A reader of shard `a` on `fake`, ten records an answer.
struct Reading {
    source: Arc<KinesisSource<Fake>>,
    inflight: Arc<Semaphore>,
    status: Arc<ShardStatus>,
    shutdown: CancellationToken,
    batches: Batches,
}

fn read(fake: Fake, position: Position) -> Reading {
    let (source, inflight) = source(fake, |options| options.max_records = 10);
    reopen(source, inflight, position)
}

fn reopen(source: Arc<KinesisSource<Fake>>, inflight: Arc<Semaphore>, position: Position) -> Reading {
    let (status, shutdown) = (Arc::new(ShardStatus::default()), CancellationToken::new());
    let id = source.shard_id("a");
    let batches = source.clone().open(id, position, status.clone(), shutdown.clone());
    Reading { source, inflight, status, shutdown, batches }
}

fn closed(records: usize) -> Fake {
    Fake::default().with_shard(shard("a", &[], WHOLE, true), records)
}

fn open(records: usize) -> Fake {
    Fake::default().with_shard(shard("a", &[], WHOLE, false), records)
}

fn texts(batch: &Batch) -> Vec<String> {
    let text = |record: &Record| match &record.payload {
        Payload::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap().trim().to_owned(),
        Payload::Units(_) => unreachable!(),
    };
    batch.records.iter().map(text).collect()
}

/// Reads a closed shard to its end; every record exactly once and in order.
async fn check_all(mut reading: Reading, from: usize, records: usize) -> (Reading, Batch) {
    let mut seen = Vec::new();
    let mut last = None;
    while let Some(batch) = reading.batches.next().await {
        seen.extend(texts(&batch));
        last = Some(batch);
    }
    let expect: Vec<_> = (from..records).map(|n| format!("a-{n:04}")).collect();
    assert_eq!(seen, expect);
    let last = last.unwrap();
    assert!(last.end);
    assert_eq!(last.advance, Some(Advance::To(Position::ShardEnd)));
    assert_eq!(reading.status.error(), None);
    (reading, last)
}

#[tokio::test(start_paused = true)]
async fn reads_a_shard_to_its_end_and_gives_back_the_room() {
    let (reading, last) = check_all(read(closed(95), Position::TrimHorizon), 0, 95).await;
    assert!(!last.gap);
    drop(last);
    assert_eq!(reading.inflight.available_permits(), 32 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_the_room_of_its_records() {
    let mut reading = read(open(10), Position::TrimHorizon);
    let batch = reading.batches.next().await.unwrap();
    assert_eq!(batch.permit.as_ref().unwrap().num_permits(), 11);
    assert_eq!(batch.advance, Some(Advance::To(Position::AfterSequenceNumber("a-0009".to_owned()))));
    assert_eq!(batch.complete_until_ms, START_MS);
}

#[tokio::test(start_paused = true)]
async fn waits_for_room() {
    let (source, inflight) = source(open(10), |_| {});
    let taken = inflight.clone().acquire_many_owned(32 * 1024 - ROOM_KIB + 1).await.unwrap();
    let mut reading = reopen(source, inflight, Position::TrimHorizon);
    let waited = tokio::time::timeout(Duration::from_secs(600), reading.batches.next()).await;
    assert!(waited.is_err());
    drop(taken);
    assert_eq!(reading.batches.next().await.unwrap().records.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn refused_for_its_rate_it_slows_down_and_loses_nothing() {
    let fake = closed(100);
    let refused = || Fault::Error(ApiError::Throttled(refusal("ProvisionedThroughputExceededException")));
    fake.0.lock().read_faults.extend([refused(), refused(), refused(), refused()]);
    let (reading, _) = check_all(read(fake, Position::TrimHorizon), 0, 100).await;
    assert_eq!(reading.status.throttled(), 4);
    let state = reading.source.api.0.lock();
    assert_eq!(state.iterators.len(), 1, "a refusal does not use up the iterator");
    let pauses: Vec<_> = state.reads.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    // Halved three times to the least rate, each with a growing delay; then faster by a tenth of a read a second.
    assert_eq!(pauses[..4], [600, 1200, 2400, 2800]);
    assert!(pauses[4..].windows(2).all(|pair| pair[1] < pair[0]), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn keeps_to_its_rate() {
    let (reading, _) = check_all(read(closed(200), Position::TrimHorizon), 0, 200).await;
    let state = reading.source.api.0.lock();
    assert!(state.reads.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(250)));
}

#[tokio::test(start_paused = true)]
async fn an_expired_iterator_is_renewed_after_the_last_record() {
    let fake = closed(30);
    let expired = || Fault::Error(ApiError::ExpiredIterator(target()));
    fake.0.lock().read_faults.extend([expired(), Fault::Empty, expired()]);
    let mut reading = read(fake, Position::TrimHorizon);
    let first = loop {
        let batch = reading.batches.next().await.unwrap();
        if !batch.records.is_empty() {
            break batch;
        }
    };
    assert_eq!(texts(&first).len(), 10);
    reading.source.api.0.lock().read_faults.push_back(expired());
    check_all(reading, 10, 30).await.0.source.api.0.lock().iterators.iter().skip(3).for_each(|start| {
        assert!(matches!(start, IteratorStart::AfterSequenceNumber(_)), "{start:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn shows_what_fails_until_it_works() {
    let fake = closed(10);
    let fails = || ApiError::Transient(refusal("InternalFailure"));
    fake.0.lock().iterator_faults.extend([fails(), fails()]);
    fake.0.lock().read_faults.extend((0..8).map(|_| Fault::Error(fails())));
    let reading = read(fake, Position::TrimHorizon);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(reading.status.error().unwrap().contains("InternalFailure"));
    check_all(reading, 0, 10).await;
}

#[tokio::test(start_paused = true)]
async fn empty_answers_tell_only_what_is_new() {
    let start = Instant::now();
    let mut reading = read(open(0), Position::TrimHorizon);
    let mut at = Vec::new();
    for _ in 0..4 {
        let batch = reading.batches.next().await.unwrap();
        assert_eq!((batch.records.len(), batch.advance, batch.behind_ms), (0, None, Some(0)));
        assert_eq!(batch.complete_until_ms, START_MS + start.elapsed().as_millis() as u64);
        at.push(start.elapsed().as_millis());
    }
    assert_eq!(at, [0, 1000, 2000, 3000]);
    assert_eq!(reading.source.api.0.lock().reads.len(), 13);
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_tells_how_far_behind_it_is_when_that_changes() {
    let fake = open(0);
    fake.0.lock().read_faults.extend([Fault::Empty, Fault::Empty]);
    let mut reading = read(fake, Position::TrimHorizon);
    let start = Instant::now();
    for expect in [(0, 1000), (500, 0), (1500, 0)] {
        let batch = reading.batches.next().await.unwrap();
        assert_eq!((start.elapsed().as_millis(), batch.behind_ms.unwrap()), expect);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_once_the_stream_is_dropped() {
    let mut reading = read(open(0), Position::TrimHorizon);
    reading.batches.next().await.unwrap();
    drop(reading.batches);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(reading.source.api.0.lock().reads.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn empty_answers_before_records_lose_nothing() {
    let fake = closed(25);
    fake.0.lock().read_faults.extend([Fault::Empty, Fault::Empty, Fault::Empty]);
    check_all(read(fake, Position::TrimHorizon), 0, 25).await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_record_is_a_place_only_once() {
    let latest = Position::Latest { since_ms: START_MS };
    let mut reading = read(open(5), latest.clone());
    assert_eq!(reading.batches.next().await.unwrap().advance, None);
    drop(reading.batches);
    // Arrived while nobody read: the same process goes on by time, and so does one that started later.
    reading.source.api.put("a", START_MS + 1);
    let mut again = reopen(reading.source, reading.inflight, latest);
    let batch = again.batches.next().await.unwrap();
    assert_eq!((texts(&batch), batch.gap), (vec!["a-0005".to_owned()], false));
    let by_time = IteratorStart::AtTimestamp { ms: START_MS };
    assert_eq!(again.source.api.0.lock().iterators, [IteratorStart::Latest, by_time]);
}

#[tokio::test(start_paused = true)]
async fn a_start_at_the_newest_record_that_fails_goes_on_by_time() {
    let (iterator, read_it) = (open(5), open(5));
    iterator.0.lock().iterator_faults.push_back(ApiError::Transient(refusal("timeout")));
    read_it.0.lock().read_faults.push_back(Fault::Error(ApiError::ExpiredIterator(target())));
    for fake in [iterator, read_it] {
        let mut reading = read(fake, Position::Latest { since_ms: START_MS });
        tokio::time::sleep(Duration::from_millis(50)).await;
        reading.source.api.put("a", START_MS + 50);
        assert_eq!(texts(&reading.batches.next().await.unwrap()), ["a-0005"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_older_than_the_retention_is_a_gap() {
    let hour_ms = 3_600_000;
    for (hours, gap) in [(23, false), (25, true)] {
        let position = Position::AtTimestamp { ms: START_MS - hours * hour_ms };
        let mut reading = read(open(5), position);
        assert_eq!(reading.batches.next().await.unwrap().gap, gap);
        assert!(!reading.batches.next().await.unwrap().gap);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_trimmed_away_ends_with_a_gap() {
    let fake = Fake::default().with_shard(shard("b", &[], WHOLE, false), 0);
    let (_, last) = check_all(read(fake, Position::TrimHorizon), 0, 0).await;
    assert!(last.gap);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_unknown_for_a_moment_is_not_gone() {
    let fake = Fake::default().with_shard(shard("b", &[], WHOLE, false), 0);
    let mut reading = read(fake, Position::TrimHorizon);
    tokio::time::sleep(Duration::from_millis(500)).await;
    reading.source.api.put("a", START_MS);
    let batch = reading.batches.next().await.unwrap();
    assert_eq!((texts(&batch), batch.gap, batch.end), (vec!["a-0000".to_owned()], false, false));
}

#[tokio::test(start_paused = true)]
async fn a_missing_stream_does_not_end_the_shard() {
    let fake = closed(5);
    let missing = || ApiError::NotFound(target());
    fake.0.lock().iterator_faults.extend((0..9).map(|_| missing()));
    fake.0.lock().list_faults.extend((0..9).map(|_| missing()));
    let (_, last) = check_all(read(fake, Position::TrimHorizon), 0, 5).await;
    assert!(!last.gap);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_stream_at_once() {
    for fake in [open(0), open(1000)] {
        fake.0.lock().read_faults.extend((0..3).map(|_| Fault::Empty));
        let mut reading = read(fake, Position::TrimHorizon);
        reading.batches.next().await.unwrap();
        // Now a batch waits in the stream, and where there are records, another one behind it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = Instant::now();
        reading.shutdown.cancel();
        assert!(reading.batches.next().await.is_none());
        assert_eq!(before.elapsed(), Duration::ZERO);
        drop(reading.batches);
        tokio::task::yield_now().await;
        assert_eq!(reading.inflight.available_permits(), 32 * 1024);
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_shard_only_tells_its_end() {
    let (reading, _) = check_all(read(closed(5), Position::ShardEnd), 0, 0).await;
    assert!(reading.source.api.0.lock().reads.is_empty());
}

//! Downloads ahead: as many objects at once as the network takes, as many bytes as memory may hold.
//!
//! One task begins the downloads in the order of the objects; what is downloaded waits until a thread takes it, in the
//! same order. Room is taken in that order, too, so that whoever is first always gets on.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStore};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Object;
use crate::scan::input::Input;

/// Larger objects come in parts of so many bytes.
pub const PART_BYTES: u64 = 8 << 20;
/// What is downloaded and not yet decoded, for each thread; and at least for two.
const ROOM_BYTES: usize = 16 << 20;
/// Requests at once for each thread: S3 takes some 30 ms to begin, in which a thread decodes about ten usual objects.
const REQUESTS: usize = 16;
/// Requests at once, at least and at most.
const REQUESTS_BOUNDS: (usize, usize) = (32, 256);
/// Objects whose reading may begin before a thread takes one.
const MOST_WAITING: usize = 1024;
/// So many objects in a row that can't be read are no exception: credentials have expired, or none may be read.
const MOST_FAILED: usize = 100;

/// What is being downloaded.
pub struct Fetcher {
    objects: Mutex<mpsc::Receiver<ObjectReader>>,
    watch: Arc<Watch>,
}

impl Fetcher {
    /// Begins to download the objects among these; none if there are none. Ends early with `stop`.
    pub fn start(inputs: &Arc<Vec<Input>>, threads: usize, stop: &CancellationToken) -> Option<Self> {
        let first = inputs.iter().find_map(|input| match input {
            Input::Object(object) => Some(object),
            Input::File { .. } => None,
        });
        let runtime = first?.bucket.runtime.clone();
        let (sender, objects) = mpsc::channel(MOST_WAITING);
        let watch = Arc::new(Watch { stop: stop.clone(), ..Watch::default() });
        let downloads = Downloads {
            room: Arc::new(Semaphore::new(threads.max(2) * (ROOM_BYTES >> 10))),
            requests: Arc::new(Semaphore::new(
                (threads * REQUESTS).clamp(REQUESTS_BOUNDS.0, REQUESTS_BOUNDS.1),
            )),
            watch: Arc::clone(&watch),
            tasks: JoinSet::new(),
        };
        let (inputs, stop) = (Arc::clone(inputs), stop.clone());
        runtime.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = downloads.run(&inputs, sender) => {}
            }
        });
        Some(Self { objects: Mutex::new(objects), watch })
    }

    /// The next object, by their order. None: it was stopped. Blocks.
    pub fn next(&self) -> Option<ObjectReader> {
        self.objects.lock().blocking_recv()
    }

    /// Why nothing more is downloaded, if that has a reason.
    pub fn failure(&self) -> Option<String> {
        self.watch.failure.lock().clone()
    }
}

/// Sees whether anything can be read at all.
#[derive(Default)]
struct Watch {
    stop: CancellationToken,
    failed_in_a_row: AtomicUsize,
    failure: Mutex<Option<String>>,
}

impl Watch {
    fn see(&self, downloaded: &Result<Bytes, String>) {
        let Err(why) = downloaded else {
            self.failed_in_a_row.store(0, Ordering::Relaxed);
            return;
        };
        if self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 == MOST_FAILED {
            let failure = format!("{MOST_FAILED} objects in a row could not be read, the last: {why}");
            *self.failure.lock() = Some(failure);
            self.stop.cancel();
        }
    }
}

struct Downloads {
    /// A permit for each KiB.
    room: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    watch: Arc<Watch>,
    tasks: JoinSet<()>,
}

impl Downloads {
    async fn run(mut self, inputs: &[Input], sender: mpsc::Sender<ObjectReader>) {
        for input in inputs {
            let Input::Object(object) = input else { continue };
            let (parts, reader) = mpsc::unbounded_channel();
            let reader = ObjectReader { parts: reader, left: object.size, part: None, error: Arc::default() };
            if sender.send(reader).await.is_err() {
                return;
            }
            for range in ranges(object.size) {
                if parts.is_closed() || self.part(object, range, &parts).await.is_none() {
                    break;
                }
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Begins the download of a part. None: nobody waits for it.
    async fn part(&mut self, object: &Object, range: Range<u64>, parts: &Parts) -> Option<()> {
        let kib = (range.end - range.start).div_ceil(1024) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.ok()?;
        let request = Arc::clone(&self.requests).acquire_owned().await.ok()?;
        let (mut sender, part) = oneshot::channel();
        parts.send(part).ok()?;
        let (object, watch) = (object.clone(), Arc::clone(&self.watch));
        self.tasks.spawn(async move {
            let downloaded = tokio::select! {
                downloaded = download(&object, range) => downloaded,
                () = sender.closed() => return,
            };
            drop(request);
            watch.see(&downloaded);
            // Nobody waits: what it is part of is broken further ahead.
            sender.send(downloaded.map(|bytes| Part { bytes, _room: room })).ok();
        });
        while self.tasks.try_join_next().is_some() {}
        Some(())
    }
}

fn ranges(size: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(PART_BYTES)).map(move |at| at * PART_BYTES..size.min((at + 1) * PART_BYTES))
}

async fn download(object: &Object, range: Range<u64>) -> Result<Bytes, String> {
    let (store, wanted_bytes) = (&object.bucket.store, range.end - range.start);
    let failed = |error: object_store::Error| object.bucket.told(object.key.as_ref(), &error);
    let mut options = GetOptions::default();
    if object.size > PART_BYTES {
        options.range = Some(GetRange::Bounded(range));
        options.if_match = object.tag.as_deref().map(str::to_owned);
    }
    let bytes = store.get_opts(&object.key, options).await.map_err(failed)?.bytes().await.map_err(failed)?;
    if bytes.len() as u64 != wanted_bytes {
        let found_bytes = bytes.len();
        return Err(format!(
            "{}: {found_bytes} bytes came instead of {wanted_bytes}: it was changed",
            object.name()
        ));
    }
    Ok(bytes)
}

type Parts = mpsc::UnboundedSender<oneshot::Receiver<Result<Part, String>>>;

/// What was downloaded, and the room that it takes.
pub struct Part {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An object that is read while it is downloaded. Reading blocks.
pub struct ObjectReader {
    parts: mpsc::UnboundedReceiver<oneshot::Receiver<Result<Part, String>>>,
    /// Bytes that have not come.
    left: u64,
    /// The part at hand and how much of it was read.
    part: Option<(Part, usize)>,
    error: Failed,
}

/// Why an object could not be read to its end, if so.
pub type Failed = Arc<Mutex<Option<String>>>;

impl ObjectReader {
    /// Where it is said why it could not be read to its end: whoever reads through a decompression takes that for a torn
    /// file.
    pub fn failed(&self) -> Failed {
        Arc::clone(&self.error)
    }

    /// Whether it comes in one part.
    pub fn is_small(&self) -> bool {
        self.left <= PART_BYTES
    }

    /// The next part; none at the end.
    ///
    /// # Errors
    /// It could not be downloaded.
    pub fn next_part(&mut self) -> io::Result<Option<Part>> {
        if self.left == 0 {
            return Ok(None);
        }
        let part = self.parts.blocking_recv().and_then(|part| part.blocking_recv().ok());
        let part = part.unwrap_or_else(|| Err("interrupted".to_owned())).map_err(|why| {
            *self.error.lock() = Some(why.clone());
            io::Error::other(why)
        })?;
        self.left = self.left.saturating_sub(part.bytes.len() as u64);
        Ok(Some(part))
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((part, done)) = &mut self.part {
                let rest = &part.bytes[*done..];
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                *done += length;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
            }
            self.part = None;
            match self.next_part()? {
                Some(part) => self.part = Some((part, 0)),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::super::Bucket;
    use super::*;

    /// Objects of these sizes, each of bytes of its own; one of a size that it does not have is cut.
    async fn objects(sizes: &[(u64, u64)]) -> Arc<Vec<Input>> {
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::of("logs", Arc::clone(&store) as Arc<dyn ObjectStore>);
        let mut inputs = Vec::new();
        for (at, (listed, size)) in sizes.iter().enumerate() {
            let key = Path::from(at.to_string());
            let bytes: Vec<u8> = (0..*size).map(|byte| (byte / 7 + at as u64) as u8).collect();
            store.put(&key, bytes.into()).await.unwrap();
            let (bucket, size) = (Arc::clone(&bucket), *listed);
            inputs.push(Input::Object(Object { bucket, key, size, tag: None }));
        }
        Arc::new(inputs)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn objects_come_in_order_whole_or_in_parts() {
        // More than the room for two threads holds.
        let sizes = [100, 0, 5 * PART_BYTES + 3, PART_BYTES, 1, PART_BYTES + 1].map(|size| (size, size));
        let inputs = objects(&sizes).await;
        let fetcher = Fetcher::start(&inputs, 1, &CancellationToken::new()).unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            while let Some(mut object) = fetcher.next() {
                let mut bytes = Vec::new();
                object.read_to_end(&mut bytes).unwrap();
                read.push(bytes);
            }
            read
        });
        let read = read.await.unwrap();
        assert_eq!(read.len(), sizes.len());
        for (at, (bytes, (size, _))) in read.iter().zip(sizes).enumerate() {
            assert_eq!(bytes.len() as u64, size);
            assert!(
                bytes.iter().enumerate().all(|(byte, found)| *found == (byte as u64 / 7 + at as u64) as u8)
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_object_that_was_changed_or_is_gone_is_told() {
        let inputs = objects(&[(100, 100), (7, 9), (5, 5), (3, 3)]).await;
        let Input::Object(gone) = &inputs[2] else { unreachable!() };
        gone.bucket.store.delete(&gone.key).await.unwrap();
        let fetcher = Fetcher::start(&inputs, 1, &CancellationToken::new()).unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let next = || fetcher.next().unwrap().next_part().map(|part| part.unwrap().as_ref().len());
            let read: [_; 4] = std::array::from_fn(|_| next().map_err(|error| error.to_string()));
            (read, fetcher.failure())
        });
        let (read, failure) = read.await.unwrap();
        assert_eq!((&read[0], &read[3], failure), (&Ok(100), &Ok(3), None));
        assert_eq!(read[1].as_ref().unwrap_err(), "s3://logs/1: 9 bytes came instead of 7: it was changed");
        assert!(read[2].as_ref().unwrap_err().starts_with("s3://logs/2: "), "{read:?}");
    }

    /// It is not gone on with for ever where nothing can be read.
    #[tokio::test(flavor = "multi_thread")]
    async fn failures_in_a_row_end_it() {
        let inputs = objects(&[(7, 9); 3 * MOST_FAILED]).await;
        let stop = CancellationToken::new();
        let fetcher = Fetcher::start(&inputs, 1, &stop).unwrap();
        let read = tokio::task::spawn_blocking(move || {
            while let Some(mut object) = fetcher.next() {
                object.next_part().map(|_| ()).unwrap_err();
            }
            fetcher.failure()
        });
        let failure = read.await.unwrap().unwrap();
        assert!(
            failure.starts_with("100 objects in a row could not be read, the last: s3://logs/"),
            "{failure}"
        );
        assert!(stop.is_cancelled());
    }
}

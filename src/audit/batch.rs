//! The buffer before a backend: events are taken at once, and brought on together, not too often.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::{Deliver, Entry};
use super::metrics::Metrics;
use crate::base::clock::Clock;

/// Bytes of the events that wait in one buffer at most.
const WAITING_BYTES: usize = 128 << 20;
/// Batches under way at once, where one need not wait for the other.
const UNDER_WAY: usize = 16;

/// Bounds of one buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Events that wait at most; further ones are lost.
    pub waiting: usize,
    /// Events of a batch at most.
    pub batch: usize,
    /// Bytes of a batch at most, unless one event has more.
    pub batch_bytes: usize,
    /// A batch goes after this time, however small it is. Not heeded where batches have one event.
    pub wait: Duration,
    pub throttle: Option<Throttle>,
    /// The next batch may go before the last one has arrived.
    pub overlap: bool,
}

/// Batches a second on average, and at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    pub rate: f64,
    pub burst: usize,
}

/// Where events wait. Cheap to clone.
#[derive(Clone)]
pub struct Buffer {
    sender: mpsc::Sender<Entry>,
    bytes: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// Empties a buffer.
pub struct Worker {
    receiver: mpsc::Receiver<Entry>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
    deliver: Arc<dyn Deliver>,
    clock: Clock,
    under_way: JoinSet<()>,
    room: Arc<Semaphore>,
    /// Batches that may go now, as of `counted`.
    tokens: f64,
    counted: Instant,
    /// The first event of the next batch, for which this one had no room.
    left: Option<Entry>,
}

impl Buffer {
    pub fn new(bounds: Bounds, deliver: Arc<dyn Deliver>, metrics: &Metrics, clock: &Clock) -> (Self, Worker) {
        let (sender, receiver) = mpsc::channel(bounds.waiting.max(1));
        let bytes = Arc::new(AtomicUsize::new(0));
        let worker = Worker {
            receiver,
            bytes: bytes.clone(),
            bounds,
            deliver,
            clock: clock.clone(),
            under_way: JoinSet::new(),
            room: Arc::new(Semaphore::new(UNDER_WAY)),
            tokens: bounds.throttle.map_or(0.0, |throttle| throttle.burst as f64),
            counted: clock.instant(),
            left: None,
        };
        (Self { sender, bytes, metrics: metrics.clone() }, worker)
    }

    /// Never waits: what has no room is lost.
    pub fn push(&self, entry: Entry) {
        let length = entry.text.len();
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        let full = before + length > WAITING_BYTES;
        let refused = if full {
            Some(("audit buffer queue blocked", entry))
        } else {
            match self.sender.try_send(entry) {
                Ok(()) => None,
                Err(mpsc::error::TrySendError::Full(entry)) => Some(("audit buffer queue blocked", entry)),
                Err(mpsc::error::TrySendError::Closed(entry)) => Some(("audit backend shut down", entry)),
            }
        };
        if let Some((why, entry)) = refused {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.metrics.lost("buffered", &why, [entry.id]);
        }
    }
}

impl Worker {
    /// Until the server ends and everything has gone.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let batch = self.collect(&stop).await;
            self.send(batch).await;
        }
        self.deliver.hurry();
        self.receiver.close();
        loop {
            let batch = self.collect(&CancellationToken::new()).await;
            if batch.is_empty() {
                break;
            }
            self.send(batch).await;
        }
        while self.under_way.join_next().await.is_some() {}
    }

    /// What has come until the batch is full, the time is over or the server ends.
    async fn collect(&mut self, stop: &CancellationToken) -> Vec<Entry> {
        let deadline = self.clock.instant() + self.bounds.wait;
        let mut batch: Vec<Entry> = self.left.take().into_iter().collect();
        let mut bytes = batch.first().map_or(0, |entry| entry.text.len());
        while batch.len() < self.bounds.batch.max(1) {
            let next = tokio::select! {
                biased;
                next = self.receiver.recv() => next,
                () = stop.cancelled() => None,
                () = self.clock.sleep_until(deadline), if self.bounds.batch > 1 => None,
            };
            let Some(entry) = next else { break };
            bytes += entry.text.len();
            if bytes > self.bounds.batch_bytes && !batch.is_empty() {
                self.left = Some(entry);
                break;
            }
            batch.push(entry);
        }
        batch
    }

    async fn send(&mut self, batch: Vec<Entry>) {
        if batch.is_empty() {
            return;
        }
        self.throttle().await;
        while self.under_way.try_join_next().is_some() {}
        let length: usize = batch.iter().map(|entry| entry.text.len()).sum();
        let arrived = self.deliver.deliver(batch);
        let bytes = self.bytes.clone();
        if !self.bounds.overlap {
            arrived.await;
            bytes.fetch_sub(length, Ordering::Relaxed);
            return;
        }
        let Ok(permit) = self.room.clone().acquire_owned().await else { return };
        self.under_way.spawn(async move {
            arrived.await;
            bytes.fetch_sub(length, Ordering::Relaxed);
            drop(permit);
        });
    }

    /// Waits until the next batch may go.
    async fn throttle(&mut self) {
        let Some(Throttle { rate, burst }) = self.bounds.throttle else { return };
        let now = self.clock.instant();
        self.tokens = (self.tokens + (now - self.counted).as_secs_f64() * rate).min(burst as f64);
        self.counted = now;
        if self.tokens < 1.0 {
            let wait = Duration::try_from_secs_f64((1.0 - self.tokens) / rate).unwrap_or(Duration::MAX);
            self.counted = now + wait;
            self.tokens = 1.0;
            self.clock.sleep_until(self.counted).await;
        }
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::backend::tests::{Kept, clock};
    use futures_util::future::BoxFuture;

    const BOUNDS: Bounds = Bounds {
        waiting: 10,
        batch: 3,
        batch_bytes: 100,
        wait: Duration::from_secs(30),
        throttle: None,
        overlap: false,
    };

    fn entry(text: &str) -> Entry {
        Entry { id: "id".into(), text: text.to_owned().into() }
    }

    /// What arrives of `texts`: the batches, and how many events are lost.
    async fn arrived(bounds: Bounds, texts: &[&str], later: Duration) -> (Vec<String>, u64) {
        let (kept, metrics, clock) = (Arc::new(Kept::default()), Metrics::new(&clock()), clock());
        let (buffer, worker) = Buffer::new(bounds, kept.clone(), &metrics, &clock);
        texts.iter().for_each(|text| buffer.push(entry(text)));
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker.run(stop.clone()));
        clock.sleep(later).await;
        let seen = kept.texts().iter().map(|batch| batch.join(" ")).collect();
        stop.cancel();
        running.await.expect("it ends");
        (seen, metrics.errors("buffered"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_goes_when_it_is_full_or_its_time_is_over() {
        let short = Duration::from_secs(1);
        assert_eq!(arrived(BOUNDS, &["a", "b", "c", "d"], short).await.0, ["a b c"]);
        assert_eq!(arrived(BOUNDS, &["a", "b", "c", "d"], Duration::from_secs(31)).await.0, ["a b c", "d"]);
        let long = "x".repeat(60);
        let expected = [long.clone(), format!("{long} b")];
        assert_eq!(arrived(BOUNDS, &[&long, &long, "b"], Duration::from_secs(31)).await.0, expected);
        let single = Bounds { batch: 1, wait: Duration::ZERO, ..BOUNDS };
        assert_eq!(arrived(single, &["a", "b"], short).await.0, ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_is_lost_and_counted() {
        let (seen, lost) = arrived(Bounds { waiting: 2, ..BOUNDS }, &["a", "b", "c"], Duration::from_secs(31)).await;
        assert_eq!((seen, lost), (vec!["a b".into()], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_leaves_nothing_behind() {
        let kept = Arc::new(Kept::default());
        let (metrics, clock) = (Metrics::new(&clock()), clock());
        let (buffer, worker) = Buffer::new(Bounds { overlap: true, ..BOUNDS }, kept.clone(), &metrics, &clock);
        ["a", "b", "c", "d"].iter().for_each(|text| buffer.push(entry(text)));
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
        assert_eq!(kept.texts(), [vec!["a", "b", "c"], vec!["d"]]);
        buffer.push(entry("late"));
        assert_eq!(metrics.errors("buffered"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_held_back_to_the_rate() {
        let throttle = Some(Throttle { rate: 2.0, burst: 2 });
        let bounds = Bounds { batch: 1, throttle, ..BOUNDS };
        let texts = ["a", "b", "c", "d"];
        for (millis, count) in [(100, 2), (600, 3), (1100, 4)] {
            assert_eq!(arrived(bounds, &texts, Duration::from_millis(millis)).await.0.len(), count, "{millis}");
        }
    }

    /// Never arrives.
    struct Stuck;

    impl Deliver for Stuck {
        fn deliver(&self, _: Vec<Entry>) -> BoxFuture<'static, bool> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_never_answers_does_not_fill_the_memory() {
        let (metrics, clock) = (Metrics::new(&clock()), clock());
        let bounds = Bounds { waiting: 1000, batch: 1, overlap: true, ..BOUNDS };
        let (buffer, worker) = Buffer::new(bounds, Arc::new(Stuck), &metrics, &clock);
        let running = tokio::spawn(worker.run(CancellationToken::new()));
        let megabyte = "x".repeat(1 << 20);
        for _ in 0..200 {
            buffer.push(entry(&megabyte));
            clock.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(metrics.errors("buffered"), 200 - (WAITING_BYTES >> 20) as u64);
        running.abort();
    }
}

//! The timer of keys with a TTL: it sleeps until the next one is due and does nothing in between.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::base::backoff::Backoff;
use crate::base::clock::Clock;

/// Between two runs, so that many keys that expire one after another share one.
const APART: Duration = Duration::from_secs(1);
/// After a run that failed (a full disk).
const RETRY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// The earliest expiry of a store's keys, or one that is earlier than it.
pub type Next = watch::Sender<Option<Timestamp>>;

/// When a key put now with this TTL expires.
pub fn deadline(clock: &Clock, ttl: Duration) -> Timestamp {
    clock.now().checked_add(ttl).unwrap_or(Timestamp::MAX)
}

/// Brings the next expiry forward if `at` is earlier.
pub fn note(next: &Next, at: Timestamp) {
    next.send_if_modified(|next| {
        let earlier = next.is_none_or(|next| at < next);
        if earlier {
            *next = Some(at);
        }
        earlier
    });
}

/// Runs `expire` whenever the next expiry is due, until `next`'s sender or the store is gone. `expire` deletes what is
/// due and sets `next` anew; it says whether it could, or `None` when the store is gone.
pub async fn run<F>(clock: Clock, mut next: watch::Receiver<Option<Timestamp>>, expire: impl Fn() -> F)
where
    F: Future<Output = Option<bool>>,
{
    let mut failures = 0;
    loop {
        let due = *next.borrow_and_update();
        let wait = async {
            match due {
                Some(due) => clock.sleep(until(due, clock.now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = next.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = wait => {}
        }
        match expire().await {
            Some(true) => failures = 0,
            Some(false) => failures += 1,
            None => return,
        }
        clock.sleep(if failures == 0 { APART } else { RETRY.after(failures) }).await;
    }
}

fn until(due: Timestamp, now: Timestamp) -> Duration {
    // One unit later, so that rounding does not wake it too early.
    Duration::try_from(due.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
}

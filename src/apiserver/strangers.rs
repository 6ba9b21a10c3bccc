//! Connections over which no request has come yet: they are many only when somebody means ill, and the oldest goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// All of them, in the order in which they came. Cheap to clone.
#[derive(Clone)]
pub(super) struct Strangers {
    most: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    all: VecDeque<(u64, CancellationToken)>,
}

/// One of them, until it is dropped.
pub(super) struct Stranger {
    number: u64,
    sent_away: CancellationToken,
    among: Strangers,
}

impl Strangers {
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Arc::default() }
    }

    /// One more. Where that is one too many, the oldest is sent away: an honest client is done in a few round trips.
    pub(super) fn come(&self) -> Stranger {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.all.len() >= self.most
            && let Some((_, oldest)) = waiting.all.pop_front()
        {
            oldest.cancel();
        }
        let (number, sent_away) = (waiting.next, CancellationToken::new());
        waiting.next += 1;
        waiting.all.push_back((number, sent_away.clone()));
        Stranger { number, sent_away, among: self.clone() }
    }
}

impl Stranger {
    /// Fires when it has to go.
    pub(super) fn sent_away(&self) -> CancellationToken {
        self.sent_away.clone()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut waiting = self.among.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(at) = waiting.all.binary_search_by_key(&self.number, |(number, _)| *number) {
            waiting.all.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_they_are_too_many() {
        let strangers = Strangers::new(2);
        let (a, b) = (strangers.come(), strangers.come());
        drop(a);
        let (c, d) = (strangers.come(), strangers.come());
        let gone = |stranger: &Stranger| stranger.sent_away().is_cancelled();
        assert_eq!((gone(&b), gone(&c), gone(&d)), (true, false, false));
        drop((b, c, d));
        assert!(strangers.waiting.lock().expect("no panic").all.is_empty());
    }
}

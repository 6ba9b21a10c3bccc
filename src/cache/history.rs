//! What happened lately: a ring of events of all resources, bounded by count, bytes and age.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::event::{Change, Event, Ledger};
use super::limits::Limits;
use super::shelf::ShelfId;
use crate::model::revision::Revision;

/// The latest events, oldest first. A shelf where nothing was forgotten is known from the beginning, however old that is.
pub struct History {
    ring: VecDeque<(Instant, Arc<Event>)>,
    /// Of the event that comes next.
    next: u64,
    weight: usize,
    /// Of the first event that may have renderings.
    rendered: u64,
    forgotten: HashMap<ShelfId, Forgotten>,
    ledger: Arc<Ledger>,
    limits: Limits,
}

/// The last event of a shelf that is not remembered, or its beginning.
#[derive(Clone, Copy, Debug)]
struct Forgotten {
    before: u64,
    revision: Revision,
}

impl History {
    pub fn new(limits: Limits) -> Self {
        Self {
            ring: VecDeque::new(),
            next: 0,
            weight: 0,
            rendered: 0,
            forgotten: HashMap::new(),
            ledger: Arc::new(Ledger::new(limits.rendered_bytes)),
            limits,
        }
    }

    /// A shelf's history begins after this revision.
    pub fn begin(&mut self, shelf: ShelfId, revision: Revision) {
        self.forgotten.insert(shelf, Forgotten { before: self.next, revision });
    }

    pub fn end(&mut self, shelf: ShelfId) {
        self.forgotten.remove(&shelf);
    }

    /// Remembers a change, forgets what there is no room for.
    pub fn push(&mut self, shelf: ShelfId, revision: Revision, change: Change, now: Instant) -> Arc<Event> {
        let latest = self.ring.back().map_or(Revision::ZERO, |(_, event)| event.revision);
        assert!(revision >= latest, "events come in the order of revisions: {revision} after {latest}");
        let event = Arc::new(Event::new(self.next, shelf, revision, change, self.ledger.clone()));
        self.next += 1;
        self.weight += event.weight();
        self.ring.push_back((now, event.clone()));
        while self.is_full(now) {
            self.forget_first();
        }
        self.forget_renderings();
        event
    }

    fn is_full(&self, now: Instant) -> bool {
        let limits = &self.limits;
        let old = |(then, _): &(Instant, Arc<Event>)| now.saturating_duration_since(*then) > limits.history_age;
        self.ring.len() > limits.history_events
            || (self.weight > limits.history_bytes && self.ring.len() > 1)
            || (self.ring.len() > limits.history_least && self.ring.front().is_some_and(old))
    }

    fn forget_first(&mut self) {
        let Some((_, event)) = self.ring.pop_front() else { return };
        self.weight -= event.weight();
        if let Some(forgotten) = self.forgotten.get_mut(&event.shelf) {
            *forgotten = Forgotten { before: event.seq + 1, revision: event.revision };
        }
    }

    fn forget_renderings(&mut self) {
        self.rendered = self.rendered.max(self.first());
        while self.ledger.is_crowded() && self.rendered < self.next {
            self.ring[(self.rendered - self.first()) as usize].1.forget_renderings();
            self.rendered += 1;
        }
    }

    /// The place of the oldest event that is remembered.
    pub fn first(&self) -> u64 {
        self.next - self.ring.len() as u64
    }

    /// The place of the event that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The place of the first event after a revision. The error is the oldest revision from which the shelf is known.
    pub fn after(&self, shelf: ShelfId, revision: Revision) -> Result<u64, Revision> {
        match self.forgotten.get(&shelf) {
            Some(forgotten) if forgotten.revision > revision => Err(forgotten.revision),
            _ => Ok(self.first() + self.ring.partition_point(|(_, event)| event.revision <= revision) as u64),
        }
    }

    /// Whether all events of a shelf from this place on are remembered.
    pub fn reaches(&self, shelf: ShelfId, seq: u64) -> bool {
        self.forgotten.get(&shelf).is_none_or(|forgotten| forgotten.before <= seq)
    }

    /// The events of all shelves from a place on, as far as they are remembered.
    pub fn since(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        let skip = seq.saturating_sub(self.first()).min(self.ring.len() as u64) as usize;
        self.ring.range(skip..).map(|(_, event)| event)
    }

    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Bytes that are only kept for the history's sake.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Bytes of rendered events.
    pub fn rendered_bytes(&self) -> usize {
        self.ledger.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::event::Slot;
    use crate::cache::testing::pod;
    use bytes::Bytes;
    use std::time::Duration;

    const PODS: ShelfId = ShelfId(0);
    const NODES: ShelfId = ShelfId(1);

    fn history(limits: Limits) -> History {
        let mut history = History::new(limits);
        history.begin(PODS, Revision(10));
        history.begin(NODES, Revision(10));
        history
    }

    fn add(history: &mut History, shelf: ShelfId, revision: u64) -> Arc<Event> {
        history.push(shelf, Revision(revision), Change::Added(pod("a", revision, "n")), Instant::now())
    }

    fn revisions(history: &History, seq: u64) -> Vec<u64> {
        history.since(seq).map(|event| event.revision.0).collect()
    }

    #[tokio::test]
    async fn a_revision_leads_to_what_came_after_it() {
        let mut history = history(Limits::default());
        for (shelf, revision) in [(PODS, 11), (NODES, 13), (PODS, 14), (PODS, 14), (NODES, 17)] {
            add(&mut history, shelf, revision);
        }
        assert_eq!(history.after(PODS, Revision(9)), Err(Revision(10)));
        for (from, after) in [(10, 0), (11, 1), (12, 1), (13, 2), (14, 4), (17, 5), (99, 5)] {
            assert_eq!(history.after(PODS, Revision(from)), Ok(after), "{from}");
        }
        assert_eq!(revisions(&history, 2), [14, 14, 17]);
        assert_eq!(revisions(&history, 9), [0; 0]);
    }

    #[tokio::test]
    async fn a_quiet_shelf_is_known_for_longer() {
        let mut history = history(Limits { history_events: 2, ..Limits::default() });
        for (shelf, revision) in [(NODES, 11), (PODS, 12), (PODS, 13), (PODS, 14), (PODS, 15)] {
            add(&mut history, shelf, revision);
        }
        assert_eq!(revisions(&history, 0), [14, 15]);
        assert_eq!(history.after(PODS, Revision(12)), Err(Revision(13)));
        assert_eq!(history.after(PODS, Revision(13)), Ok(3));
        assert_eq!(
            (history.after(NODES, Revision(11)), history.after(NODES, Revision(10))),
            (Ok(3), Err(Revision(11)))
        );
        assert!(history.reaches(PODS, 3) && !history.reaches(PODS, 2) && history.reaches(NODES, 1));
    }

    #[tokio::test]
    async fn bytes_are_bounded() {
        let mut history = history(Limits { history_bytes: 10_000, ..Limits::default() });
        for revision in 11..200 {
            let change = Change::Modified { previous: pod("a", revision - 1, "n"), current: pod("a", revision, "n") };
            history.push(PODS, Revision(revision), change, Instant::now());
            assert!(history.weight() <= 10_000);
        }
        assert!(history.len() > 10 && history.len() < 100, "{}", history.len());
    }

    #[tokio::test(start_paused = true)]
    async fn old_events_are_forgotten_down_to_the_least() {
        let mut history = history(Limits { history_least: 2, ..Limits::default() });
        for revision in 11..15 {
            add(&mut history, PODS, revision);
        }
        tokio::time::advance(Duration::from_secs(301)).await;
        add(&mut history, PODS, 15);
        assert_eq!(revisions(&history, 0), [14, 15]);
    }

    #[tokio::test]
    async fn old_renderings_give_way() {
        let mut history = history(Limits { rendered_bytes: 100, ..Limits::default() });
        let render = |event: &Event| {
            let _: Result<_, ()> = event.rendered(Slot(0), || Ok(Bytes::from_static(&[0; 40])));
        };
        for revision in 11..20 {
            render(&add(&mut history, PODS, revision));
            assert!(history.rendered_bytes() <= 100);
        }
        assert_eq!(history.rendered_bytes(), 80);
    }
}

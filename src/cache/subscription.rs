//! What controllers and the scheduler follow: several resources in one order, beginning with their state. Nothing is
//! lost: who cannot keep up gets the whole state again.

use std::sync::Arc;

use super::cursor::{Cursor, Lost};
use super::event::Event;
use super::handle::Snapshot;
use super::shelf::ShelfId;
use super::state::{Shared, State};
use super::topics::Interest;

/// A stream of events that never ends.
pub struct Subscription {
    shared: Arc<Shared>,
    interest: Interest,
    cursor: Cursor,
    resync: Option<Snapshot>,
}

/// What a subscriber gets.
#[derive(Debug)]
pub enum Update {
    /// The state as it is now. It comes first, and again when events were missed or the set of shelves has changed:
    /// whatever was known before is to be compared with it.
    Resync(Snapshot),
    /// One change of the state.
    Event(Arc<Event>),
}

impl Subscription {
    pub(super) fn new(shared: &Arc<Shared>, state: &State, interest: Interest) -> Self {
        let cursor = Cursor::new(shared, state, interest.clone(), state.history.next());
        let resync = Some(snapshot(state, &interest));
        Self { shared: shared.clone(), interest, cursor, resync }
    }

    /// What comes next. Cancel safe.
    pub async fn next(&mut self) -> Update {
        tokio::task::coop::consume_budget().await;
        if let Some(snapshot) = self.resync.take() {
            return Update::Resync(snapshot);
        }
        let next = std::future::poll_fn(|context| self.cursor.poll_next(context)).await;
        self.update(next)
    }

    /// What comes next, if it is there already.
    pub fn try_next(&mut self) -> Option<Update> {
        if let Some(snapshot) = self.resync.take() {
            return Some(Update::Resync(snapshot));
        }
        let next = self.cursor.try_next()?;
        Some(self.update(next))
    }

    fn update(&mut self, next: Result<Arc<Event>, Lost>) -> Update {
        match next {
            Ok(event) => Update::Event(event),
            Err(_) => Update::Resync(self.begin_again()),
        }
    }

    fn begin_again(&mut self) -> Snapshot {
        let shared = self.shared.clone();
        let state = shared.read();
        self.cursor = Cursor::new(&shared, &state, self.interest.clone(), state.history.next());
        snapshot(&state, &self.interest)
    }
}

fn snapshot(state: &State, interest: &Interest) -> Snapshot {
    let wanted = |id: ShelfId| match interest {
        Interest::Topic { shelf, .. } => *shelf == id,
        Interest::Shelves(shelves) => shelves.contains(&id),
        Interest::All => true,
    };
    let shelves = state.shelves.iter().filter(|shelf| wanted(shelf.id)).cloned().collect();
    Snapshot { revision: state.revision, shelves }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::limits::Limits;
    use crate::cache::testing::{NODES, PODS, Rig, changed, labelled, node_value};
    use crate::model::revision::Revision;

    fn told(subscription: &mut Subscription) -> Vec<String> {
        let line = |update| match update {
            Update::Resync(snapshot) => format!("{snapshot:?}"),
            Update::Event(event) => format!("{:?} {:?}", event.kind(), event.object()),
        };
        std::iter::from_fn(|| subscription.try_next().map(line)).collect()
    }

    #[test]
    fn resources_are_followed_in_one_order() {
        let mut rig = Rig::new(Limits::default());
        rig.put("d/a", &labelled("x"));
        let mut both = rig.cache.subscribe(&[&*PODS, &*NODES]).expect("shelves");
        let mut nodes = rig.cache.subscribe(&[&*NODES]).expect("shelves");
        rig.apply(&[changed(12, "minions/n1", Some(&node_value("n1")))]);
        rig.put("d/b", &labelled("x"));
        rig.apply(&[changed(14, "minions/n1", None)]);
        let lines = ["2 shelves@11", "Added n1@12", "Added d/b@13", "Deleted n1@14"];
        assert_eq!(told(&mut both), lines);
        assert_eq!(told(&mut nodes), ["1 shelves@11", "Added n1@12", "Deleted n1@14"]);
    }

    #[test]
    fn who_missed_events_gets_the_state_again() {
        let mut rig = Rig::new(Limits { inbox_events: 2, history_events: 4, ..Limits::default() });
        let mut subscription = rig.cache.subscribe(&[&*PODS]).expect("pods");
        assert_eq!(told(&mut subscription), ["1 shelves@10"]);
        for round in 0..4 {
            rig.put(&format!("d/{round}"), &labelled("x"));
        }
        assert_eq!(told(&mut subscription).len(), 4);
        for round in 0..5 {
            rig.put(&format!("d/{round}"), &labelled("y"));
        }
        assert_eq!(told(&mut subscription), ["1 shelves@19"]);
        rig.put("d/0", &labelled("z"));
        assert_eq!(told(&mut subscription), ["Modified d/0@20"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_sleeps_until_something_happens() {
        let mut rig = Rig::new(Limits::default());
        let mut subscription = rig.cache.subscribe(&[&*PODS]).expect("pods");
        assert!(matches!(subscription.next().await, Update::Resync(_)));
        let (next, ()) = tokio::join!(subscription.next(), async { rig.put("d/a", &labelled("x")) });
        assert!(matches!(next, Update::Event(event) if event.revision == Revision(11)));
    }
}

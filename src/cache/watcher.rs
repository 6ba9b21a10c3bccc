//! A client's watch of one resource: what it is to see of every event, in order, each once.

use std::sync::Arc;

use tokio::time::Instant;

use super::cursor::{Cursor, Lost};
use super::event::{Event, Kind};
use super::index::Index;
use super::lister::Query;
use super::object::{Key, Object};
use super::shelf::Shelf;
use super::state::{Shared, State};
use super::topics::{Interest, Topic};
use crate::model::revision::Revision;
use crate::schema::resource::Storage;

/// Says which objects a watcher sees; asked on the watcher's own task.
pub type Predicate = Arc<dyn Fn(&Object) -> bool + Send + Sync>;

/// Which objects of a shelf to see: those that all parts agree to. The default: all.
#[derive(Clone, Default)]
pub struct Filter {
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// What is found under this value of an index.
    pub index: Option<(&'static Index, String)>,
    pub predicate: Option<Predicate>,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this revision. One that is still to come: events up to it are not seen.
    After(Revision),
    /// With what happens next.
    Now,
    /// With the state as it is: every object, then [`Next::Synced`], then what happens.
    State,
}

/// What a watcher gets.
#[derive(Debug)]
pub enum Next {
    /// An object of the state with which the watch begins.
    Initial(Arc<Object>),
    /// That was the state at this revision.
    Synced(Revision),
    Event(Seen),
    /// Nothing will come any more.
    Ended(End),
}

/// An event as this watcher sees it: an object that no longer matches is deleted to it, one that matches now is added.
#[derive(Clone, Debug)]
pub struct Seen {
    pub kind: Kind,
    pub event: Arc<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was too slow: what comes next is forgotten. The client must list again.
    Lagged,
    /// The resource is no longer served.
    Removed,
}

/// A watch. It costs nothing while nothing happens to what it sees.
pub struct Watcher {
    cursor: Cursor,
    view: View,
    initial: Option<Initial>,
    /// What the client knew when it came.
    floor: Revision,
    ended: Option<End>,
}

/// The rest of the state with which a watch begins.
struct Initial {
    shelf: Arc<Shelf>,
    revision: Revision,
    after: Option<Key>,
    page: std::vec::IntoIter<Arc<Object>>,
    done: bool,
}

/// Objects of the initial state that are looked up at a time.
const PAGE: usize = 256;

struct View {
    filter: Filter,
    storage: Arc<Storage>,
}

impl Seen {
    /// What to show: the state after the event; of what is gone, the last state under the event's revision.
    pub fn object(&self) -> &Arc<Object> {
        let current = self.event.current().filter(|_| self.kind != Kind::Deleted);
        current.or_else(|| self.event.departed()).expect("an event has a state before or after it")
    }
}

impl Watcher {
    /// `start` must be one that the history of `state` knows.
    pub(super) fn new(
        shared: &Arc<Shared>,
        state: &State,
        shelf: &Arc<Shelf>,
        filter: Filter,
        start: (Start, u64),
    ) -> Self {
        let storage = shelf.storage.clone();
        let interest = Interest::Topic { shelf: shelf.id, storage: storage.clone(), topic: topic(&filter) };
        let (start, next) = start;
        let initial = (start == Start::State).then(|| Initial {
            shelf: shelf.clone(),
            revision: state.revision,
            after: None,
            page: Vec::new().into_iter(),
            done: false,
        });
        let floor = match start {
            Start::After(revision) => revision,
            Start::Now | Start::State => state.revision,
        };
        let cursor = Cursor::new(shared, state, interest, next);
        Self { cursor, view: View { filter, storage }, initial, floor, ended: None }
    }

    /// What comes next. Cancel safe.
    pub async fn next(&mut self) -> Next {
        tokio::task::coop::consume_budget().await;
        match self.try_next() {
            Some(next) => next,
            None => self.wait().await,
        }
    }

    /// What comes next, or `None` at the deadline. Cancel safe.
    pub async fn next_or_deadline(&mut self, deadline: Instant) -> Option<Next> {
        tokio::task::coop::consume_budget().await;
        match self.try_next() {
            Some(next) => Some(next),
            None => tokio::time::timeout_at(deadline, self.wait()).await.ok(),
        }
    }

    async fn wait(&mut self) -> Next {
        loop {
            let event = std::future::poll_fn(|context| self.cursor.poll_next(context)).await;
            if let Some(next) = self.see(event) {
                return next;
            }
        }
    }

    /// What comes next, if it is there already.
    pub fn try_next(&mut self) -> Option<Next> {
        if let Some(end) = self.ended {
            return Some(Next::Ended(end));
        }
        if let Some(next) = self.initial() {
            return Some(next);
        }
        loop {
            let event = self.cursor.try_next()?;
            if let Some(next) = self.see(event) {
                return Some(next);
            }
        }
    }

    /// Whether some of the state with which the watch begins is still to come.
    pub fn is_beginning(&self) -> bool {
        self.initial.is_some()
    }

    /// Everything up to this revision that the watcher was to see has been given out: what a bookmark may say, once the
    /// initial state is.
    pub fn progress(&self) -> Revision {
        self.cursor.progress().max(self.floor)
    }

    fn initial(&mut self) -> Option<Next> {
        let initial = self.initial.as_mut()?;
        loop {
            if let Some(object) = initial.page.next() {
                return Some(Next::Initial(object));
            }
            if initial.done {
                let revision = initial.revision;
                self.initial = None;
                return Some(Next::Synced(revision));
            }
            initial.read(&self.view);
        }
    }

    /// `None`: the event is nothing to this watcher.
    fn see(&mut self, event: Result<Arc<Event>, Lost>) -> Option<Next> {
        let event = match event {
            Ok(event) => event,
            Err(lost) => {
                let end = if lost == Lost::Lagged { End::Lagged } else { End::Removed };
                self.ended = Some(end);
                return Some(Next::Ended(end));
            }
        };
        if event.revision <= self.floor {
            return None;
        }
        let before = event.previous().is_some_and(|object| self.view.shows(object));
        let now = event.current().is_some_and(|object| self.view.shows(object));
        let kind = match (before, now) {
            (false, false) => return None,
            (false, true) => Kind::Added,
            (true, true) => Kind::Modified,
            (true, false) => Kind::Deleted,
        };
        Some(Next::Event(Seen { kind, event }))
    }
}

impl Initial {
    fn read(&mut self, view: &View) {
        let filter = &view.filter;
        if let Topic::Key(key) = topic(filter) {
            let found = self.shelf.get_key(&key).filter(|object| view.shows(object));
            self.page = found.cloned().into_iter().collect::<Vec<_>>().into_iter();
            self.done = true;
            return;
        }
        let page = self.shelf.list(Query {
            namespace: filter.namespace.as_deref().filter(|namespace| !namespace.is_empty()),
            index: filter.index.as_ref().map(|(index, value)| (*index, value.as_str())),
            after: self.after.as_ref().map(Key::as_str),
            limit: Some(PAGE),
            predicate: Some(&|object| view.shows(object)),
        });
        self.page = page.objects.into_iter();
        self.done = page.next.is_none();
        self.after = page.next;
    }
}

impl View {
    fn shows(&self, object: &Object) -> bool {
        let filter = &self.filter;
        let is = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        is(&filter.namespace, object.namespace())
            && is(&filter.name, object.name())
            && filter.index.as_ref().is_none_or(|(index, value)| index.has(object, &self.storage.shape, value))
            && filter.predicate.as_ref().is_none_or(|predicate| predicate(object))
    }
}

/// The smallest part of the shelf that has all that the filter shows.
fn topic(filter: &Filter) -> Topic {
    match (&filter.namespace, &filter.name, &filter.index) {
        (Some(namespace), Some(name), _) => Topic::Key(Key::text(namespace, name).into()),
        (None, Some(name), _) => Topic::Name(name.as_str().into()),
        (_, None, Some((index, value))) => Topic::Index(index, value.as_str().into()),
        (Some(namespace), None, None) if !namespace.is_empty() => Topic::Namespace(namespace.as_str().into()),
        _ => Topic::Shelf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::index::POD_NODE;
    use crate::cache::limits::Limits;
    use crate::cache::testing::{PODS, Rig, labelled, on_node};

    /// What the watcher has to tell now, one line each.
    fn told(watcher: &mut Watcher) -> Vec<String> {
        std::iter::from_fn(|| watcher.try_next().map(|next| next.shown())).take_while(|line| line != "LAGGED").collect()
    }

    fn in_app(app: &'static str) -> Filter {
        let predicate: Predicate = Arc::new(move |object| object.label("app").as_deref() == Some(app));
        Filter { predicate: Some(predicate), ..Filter::default() }
    }

    #[test]
    fn every_event_comes_once_and_in_order() {
        let mut rig = Rig::new(Limits::default());
        let mut watcher = rig.watch(Filter::default(), Start::Now);
        rig.put("d/a", &labelled("x"));
        assert_eq!(told(&mut watcher), ["ADDED a@11"]);
        rig.put("d/a", &labelled("y"));
        rig.put("d/b", &labelled("x"));
        rig.delete("d/a");
        assert_eq!(told(&mut watcher), ["MODIFIED a@12", "ADDED b@13", "DELETED a@14"]);
        assert_eq!(told(&mut watcher), [""; 0]);
    }

    #[test]
    fn a_selector_turns_changes_into_coming_and_going() {
        let mut rig = Rig::new(Limits::default());
        let mut watcher = rig.watch(in_app("x"), Start::Now);
        rig.put("d/a", &labelled("y"));
        rig.put("d/a", &labelled("x"));
        rig.put("d/a", &labelled("x"));
        rig.put("d/a", &labelled("z"));
        rig.put("d/b", &labelled("x"));
        rig.delete("d/b");
        rig.delete("d/a");
        let lines = ["ADDED a@12", "MODIFIED a@13", "DELETED a@14", "ADDED b@15", "DELETED b@16"];
        assert_eq!(told(&mut watcher), lines);
    }

    #[test]
    fn what_has_gone_shows_its_last_state_under_the_new_revision() {
        let mut rig = Rig::new(Limits::default());
        rig.put("d/a", &labelled("x"));
        let mut watcher = rig.watch(in_app("x"), Start::Now);
        rig.put("d/a", &labelled("y"));
        let Some(Next::Event(seen)) = watcher.try_next() else { panic!("an event") };
        assert_eq!((seen.object().label("app").as_deref(), seen.object().revision), (Some("x"), Revision(12)));
    }

    #[test]
    fn a_node_hears_of_its_own_pods() {
        let mut rig = Rig::new(Limits::default());
        let filter = Filter { index: Some((&POD_NODE, "n1".into())), ..Filter::default() };
        rig.put("d/old", &on_node("n1"));
        let mut watcher = rig.watch(filter.clone(), Start::State);
        assert_eq!(told(&mut watcher), ["INITIAL old@11", "SYNCED 11"]);
        rig.put("d/a", &on_node(""));
        rig.put("d/a", &on_node("n1"));
        rig.put("d/b", &on_node("n2"));
        rig.delete("d/a");
        assert_eq!(told(&mut watcher), ["ADDED a@13", "DELETED a@15"]);
        let mut later = rig.watch(filter, Start::After(Revision(12)));
        assert_eq!(told(&mut later), ["ADDED a@13", "DELETED a@15"]);
    }

    #[test]
    fn names_and_namespaces_narrow() {
        let mut rig = Rig::new(Limits::default());
        let filter = |namespace: Option<&str>, name: Option<&str>| Filter {
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            ..Filter::default()
        };
        let filters = [filter(Some("d"), None), filter(None, Some("a")), filter(Some("d"), Some("a"))];
        let mut live = filters.clone().map(|filter| rig.watch(filter, Start::Now));
        for key in ["d/a", "d/b", "e/a", "e/b"] {
            rig.put(key, &labelled("x"));
        }
        let wanted = [vec!["a@11", "b@12"], vec!["a@11", "a@13"], vec!["a@11"]];
        for ((live, filter), wanted) in live.iter_mut().zip(&filters).zip(&wanted) {
            let added: Vec<_> = wanted.iter().map(|line| format!("ADDED {line}")).collect();
            assert_eq!(told(live), added);
            assert_eq!(told(&mut rig.watch(filter.clone(), Start::After(Revision(10)))), added);
            let mut initial: Vec<_> = wanted.iter().map(|line| format!("INITIAL {line}")).collect();
            initial.push("SYNCED 14".into());
            assert_eq!(told(&mut rig.watch(filter.clone(), Start::State)), initial);
        }
    }

    #[test]
    fn a_watch_from_the_past_replays_and_goes_on() {
        let mut rig = Rig::new(Limits::default());
        for round in 0..300 {
            rig.put(&format!("d/{round}"), &labelled("x"));
        }
        let mut watcher = rig.watch(Filter::default(), Start::After(Revision(20)));
        rig.put("d/new", &labelled("x"));
        let lines = told(&mut watcher);
        assert_eq!((lines.len(), lines[0].as_str(), lines[290].as_str()), (291, "ADDED 10@21", "ADDED new@311"));
    }

    #[test]
    fn a_watch_from_the_future_waits_for_it() {
        let mut rig = Rig::new(Limits::default());
        let mut watcher = rig.watch(Filter::default(), Start::After(Revision(12)));
        for name in ["a", "b", "c"] {
            rig.put(&format!("d/{name}"), &labelled("x"));
        }
        assert_eq!((told(&mut watcher), watcher.progress()), (vec!["ADDED c@13".to_owned()], Revision(13)));
    }

    #[test]
    fn what_is_forgotten_cannot_be_watched() {
        let mut rig = Rig::new(Limits { history_events: 2, ..Limits::default() });
        for name in ["a", "b", "c"] {
            rig.put(&format!("d/{name}"), &labelled("x"));
        }
        let expired = rig.cache.watch(&PODS, Filter::default(), Start::After(Revision(10))).err();
        assert_eq!(expired.map(|error| error.to_string()), Some("too old resource version: 10 (11)".into()));
        assert_eq!(told(&mut rig.watch(Filter::default(), Start::After(Revision(11)))), ["ADDED b@12", "ADDED c@13"]);
    }

    #[test]
    fn a_full_inbox_is_made_good_from_the_history() {
        let mut rig = Rig::new(Limits { inbox_events: 3, ..Limits::default() });
        let mut watcher = rig.watch(Filter::default(), Start::Now);
        let name = |name: &str| Filter { name: Some(name.into()), ..Filter::default() };
        let mut named = rig.watch(name("2999"), Start::After(Revision(10)));
        for round in 0..3000 {
            rig.put(&format!("d/{round}"), &labelled("x"));
        }
        let lines = told(&mut watcher);
        assert_eq!((lines.len(), lines[2999].as_str()), (3000, "ADDED 2999@3010"));
        rig.put("d/new", &labelled("x"));
        assert_eq!(told(&mut watcher), ["ADDED new@3011"]);
        assert_eq!(told(&mut named), ["ADDED 2999@3010"]);
        assert_eq!(told(&mut rig.watch(name("2998"), Start::After(Revision(10)))), ["ADDED 2998@3009"]);
    }

    #[test]
    fn who_is_too_slow_is_cut_off_and_nobody_else() {
        let mut rig = Rig::new(Limits { inbox_events: 3, history_events: 5, ..Limits::default() });
        let (mut slow, mut quick) =
            (rig.watch(Filter::default(), Start::Now), rig.watch(Filter::default(), Start::Now));
        for round in 0..10 {
            rig.put(&format!("d/{round}"), &labelled("x"));
            assert_eq!(told(&mut quick).len(), 1);
        }
        assert_eq!(slow.try_next().map(|next| next.shown()).as_deref(), Some("LAGGED"));
        assert_eq!(slow.try_next().map(|next| next.shown()).as_deref(), Some("LAGGED"));
    }

    #[test]
    fn progress_tells_what_has_been_given_out() {
        let mut rig = Rig::new(Limits::default());
        let mut watcher = rig.watch(in_app("x"), Start::Now);
        assert_eq!(watcher.progress(), Revision(10));
        rig.put("d/a", &labelled("x"));
        rig.put("d/b", &labelled("y"));
        assert_eq!(watcher.try_next().map(|next| next.shown()).as_deref(), Some("ADDED a@11"));
        assert_eq!(watcher.progress(), Revision(10));
        assert!(watcher.try_next().is_none());
        assert_eq!(watcher.progress(), Revision(12));
        rig.progress(20);
        assert!(watcher.try_next().is_none());
        assert_eq!(watcher.progress(), Revision(20));
    }

    #[test]
    fn the_state_comes_first_and_then_what_happened_meanwhile() {
        let mut rig = Rig::new(Limits::default());
        for round in 100..700 {
            rig.put(&format!("d/{round}"), &labelled("x"));
        }
        let mut watcher = rig.watch(Filter::default(), Start::State);
        rig.put("d/100", &labelled("y"));
        rig.delete("d/699");
        let lines = told(&mut watcher);
        assert_eq!(lines.len(), 603);
        assert_eq!(lines[599..], ["INITIAL 699@610", "SYNCED 610", "MODIFIED 100@611", "DELETED 699@612"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_sleeps_until_something_happens_or_the_deadline() {
        let mut rig = Rig::new(Limits::default());
        let mut watcher = rig.watch(Filter::default(), Start::Now);
        let soon = || Instant::now() + std::time::Duration::from_secs(60);
        assert!(watcher.next_or_deadline(soon()).await.is_none());
        let (next, ()) = tokio::join!(watcher.next_or_deadline(soon()), async { rig.put("d/a", &labelled("x")) });
        assert_eq!(next.map(|next| next.shown()).as_deref(), Some("ADDED a@11"));
        let (next, ()) = tokio::join!(watcher.next(), async { rig.remove_pods() });
        assert_eq!(next.shown(), "REMOVED");
    }
}

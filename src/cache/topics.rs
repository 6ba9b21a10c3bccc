//! Who hears of what: lists of inboxes by topic, so that an event costs as much as there are readers of its topics, and
//! nothing for anyone else.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;

use super::event::Event;
use super::inbox::{Batch, Inbox};
use super::index::Index;
use super::shelf::ShelfId;
use crate::schema::resource::{Shape, Storage};

/// What a reader wants to hear of.
#[derive(Clone, Debug)]
pub enum Interest {
    Topic {
        shelf: ShelfId,
        storage: Arc<Storage>,
        topic: Topic,
    },
    /// Everything on these shelves.
    Shelves(Vec<ShelfId>),
    /// Everything on all shelves, also later ones.
    All,
}

/// A part of a shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    Shelf,
    Namespace(Box<str>),
    /// One object: `namespace/name`, or `name`.
    Key(Box<str>),
    /// The objects of this name in all namespaces.
    Name(Box<str>),
    /// What has, or had, this value in an index.
    Index(&'static Index, Box<str>),
}

/// All readers.
#[derive(Default)]
pub struct Topics {
    lists: Vec<List>,
    unused: Vec<usize>,
    shelves: HashMap<ShelfId, ByTopic>,
    streams: Vec<(Interest, Arc<Inbox>)>,
    /// Lists with pending events.
    touched: Vec<usize>,
}

/// The readers of one topic, and the events that they are about to get.
#[derive(Default)]
struct List {
    inboxes: Vec<Arc<Inbox>>,
    pending: Vec<Arc<Event>>,
}

/// The lists of one shelf. A topic without readers has none.
#[derive(Default)]
struct ByTopic {
    all: Option<usize>,
    namespaces: HashMap<Box<str>, usize>,
    keys: HashMap<Box<str>, usize>,
    names: HashMap<Box<str>, usize>,
    indexes: Vec<ByValue>,
}

/// The lists of one index.
struct ByValue {
    index: &'static Index,
    storage: Arc<Storage>,
    values: HashMap<Box<str>, usize>,
}

impl Interest {
    /// Whether a reader with this interest hears of the event.
    pub fn covers(&self, event: &Event) -> bool {
        match self {
            Interest::Topic { shelf, storage, topic } => *shelf == event.shelf && topic.covers(event, &storage.shape),
            Interest::Shelves(shelves) => shelves.contains(&event.shelf),
            Interest::All => true,
        }
    }
}

impl Topic {
    fn covers(&self, event: &Event, shape: &Shape) -> bool {
        match self {
            Topic::Shelf => true,
            Topic::Namespace(namespace) => event.key().namespace() == &**namespace,
            Topic::Key(key) => event.key().as_str() == &**key,
            Topic::Name(name) => event.key().name() == &**name,
            Topic::Index(index, value) => {
                let has = |object: Option<&Arc<_>>| object.is_some_and(|object| index.has(object, shape, value));
                has(event.current()) || has(event.previous())
            }
        }
    }
}

impl Topics {
    pub fn join(&mut self, interest: &Interest, inbox: &Arc<Inbox>) {
        let Interest::Topic { shelf, storage, topic } = interest else {
            return self.streams.push((interest.clone(), inbox.clone()));
        };
        let by_topic = self.shelves.entry(*shelf).or_default();
        let mut open = || {
            self.unused.pop().unwrap_or_else(|| {
                self.lists.push(List::default());
                self.lists.len() - 1
            })
        };
        let list = match topic {
            Topic::Shelf => *by_topic.all.get_or_insert_with(open),
            Topic::Namespace(namespace) => *by_topic.namespaces.entry(namespace.clone()).or_insert_with(open),
            Topic::Key(key) => *by_topic.keys.entry(key.clone()).or_insert_with(open),
            Topic::Name(name) => *by_topic.names.entry(name.clone()).or_insert_with(open),
            Topic::Index(index, value) => {
                *by_topic.by_value(index, storage).values.entry(value.clone()).or_insert_with(&mut open)
            }
        };
        self.lists[list].inboxes.push(inbox.clone());
    }

    pub fn leave(&mut self, interest: &Interest, inbox: &Arc<Inbox>) {
        let Interest::Topic { shelf, topic, .. } = interest else {
            return self.streams.retain(|(_, known)| !Arc::ptr_eq(known, inbox));
        };
        let Some(by_topic) = self.shelves.get_mut(shelf) else { return };
        let Some(list) = by_topic.list(topic) else { return };
        let inboxes = &mut self.lists[list].inboxes;
        if let Some(at) = inboxes.iter().position(|known| Arc::ptr_eq(known, inbox)) {
            inboxes.swap_remove(at);
        }
        if inboxes.is_empty() {
            by_topic.forget(topic);
            self.unused.push(list);
        }
    }

    /// Puts events into the inboxes of their readers: each reader gets its own ones in one batch.
    pub fn deliver(&mut self, events: &[Arc<Event>], woken: &mut Vec<Waker>) {
        for event in events {
            let Some(by_topic) = self.shelves.get(&event.shelf) else { continue };
            by_topic.each(event, |list| {
                let pending = &mut self.lists[list].pending;
                if pending.is_empty() {
                    self.touched.push(list);
                }
                pending.push(event.clone());
            });
        }
        for list in self.touched.drain(..) {
            let list = &mut self.lists[list];
            let batch: Batch = list.pending.drain(..).collect();
            woken.extend(list.inboxes.iter().filter_map(|inbox| inbox.push(&batch)));
        }
        if events.is_empty() || self.streams.is_empty() {
            return;
        }
        let batch: Batch = events.into();
        for (interest, inbox) in &self.streams {
            if events.iter().any(|event| interest.covers(event)) {
                woken.extend(inbox.push(&batch));
            }
        }
    }

    /// A shelf is no more: its watchers end, those who follow all shelves begin anew.
    pub fn close(&mut self, shelf: ShelfId, woken: &mut Vec<Waker>) {
        if let Some(by_topic) = self.shelves.remove(&shelf) {
            let mut lists: Vec<_> = by_topic.lists().collect();
            // The maps have no order, and nothing may depend on chance.
            lists.sort_unstable();
            for list in lists {
                woken.extend(self.lists[list].inboxes.drain(..).filter_map(|inbox| inbox.close()));
                self.unused.push(list);
            }
        }
        self.resync(woken);
    }

    /// There is one shelf more or less.
    pub fn resync(&mut self, woken: &mut Vec<Waker>) {
        let all = self.streams.iter().filter(|(interest, _)| matches!(interest, Interest::All));
        woken.extend(all.filter_map(|(_, inbox)| inbox.resync()));
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.lists.iter().map(|list| list.inboxes.len()).sum::<usize>() + self.streams.len()
    }
}

impl ByTopic {
    fn by_value(&mut self, index: &'static Index, storage: &Arc<Storage>) -> &mut ByValue {
        let at = self.indexes.iter().position(|known| known.index == index).unwrap_or_else(|| {
            self.indexes.push(ByValue { index, storage: storage.clone(), values: HashMap::new() });
            self.indexes.len() - 1
        });
        &mut self.indexes[at]
    }

    fn list(&self, topic: &Topic) -> Option<usize> {
        match topic {
            Topic::Shelf => self.all,
            Topic::Namespace(namespace) => self.namespaces.get(namespace).copied(),
            Topic::Key(key) => self.keys.get(key).copied(),
            Topic::Name(name) => self.names.get(name).copied(),
            Topic::Index(index, value) => {
                self.indexes.iter().find(|known| known.index == *index)?.values.get(value).copied()
            }
        }
    }

    fn forget(&mut self, topic: &Topic) {
        match topic {
            Topic::Shelf => self.all = None,
            Topic::Namespace(namespace) => drop(self.namespaces.remove(namespace)),
            Topic::Key(key) => drop(self.keys.remove(key)),
            Topic::Name(name) => drop(self.names.remove(name)),
            Topic::Index(index, value) => {
                for known in self.indexes.iter_mut().filter(|known| known.index == *index) {
                    known.values.remove(value);
                }
                self.indexes.retain(|known| !known.values.is_empty());
            }
        }
    }

    fn lists(&self) -> impl Iterator<Item = usize> {
        let values = self.indexes.iter().flat_map(|index| index.values.values());
        let maps = [&self.namespaces, &self.keys, &self.names];
        self.all.into_iter().chain(maps.into_iter().flat_map(HashMap::values).chain(values).copied())
    }

    /// Calls `list` once with each list whose topic covers the event.
    fn each(&self, event: &Event, mut list: impl FnMut(usize)) {
        self.all.into_iter().for_each(&mut list);
        let key = event.key();
        for (map, wanted) in
            [(&self.namespaces, key.namespace()), (&self.keys, key.as_str()), (&self.names, key.name())]
        {
            if !map.is_empty() {
                map.get(wanted).copied().into_iter().for_each(&mut list);
            }
        }
        for ByValue { index, storage, values } in &self.indexes {
            let mut found = smallvec::SmallVec::<[usize; 2]>::new();
            for object in event.current().into_iter().chain(event.previous()) {
                index.values(object, &storage.shape, |value| {
                    found.extend(values.get(value).copied().filter(|list| !found.contains(list)));
                });
            }
            found.into_iter().for_each(&mut list);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::event::{Change, Ledger};
    use crate::cache::inbox::Found;
    use crate::cache::index::POD_NODE;
    use crate::cache::testing::{pod, storage_of};
    use crate::model::revision::Revision;
    use std::collections::VecDeque;

    const PODS: ShelfId = ShelfId(0);

    fn interest(topic: Topic) -> Interest {
        Interest::Topic { shelf: PODS, storage: Arc::new(storage_of("", "v1", "pods")), topic }
    }

    fn event(seq: u64, change: Change) -> Arc<Event> {
        Arc::new(Event::new(seq, PODS, Revision(seq), change, Arc::new(Ledger::new(0))))
    }

    fn heard(inbox: &Inbox) -> Vec<u64> {
        let mut batches = VecDeque::new();
        inbox.take(&mut batches);
        batches.iter().flat_map(|batch| batch.iter().map(|event| event.seq)).collect()
    }

    #[test]
    fn each_topic_hears_of_its_own() {
        let events = [
            event(0, Change::Added(pod("a", 1, ""))),
            event(1, Change::Modified { previous: pod("a", 1, ""), current: pod("a", 2, "n1") }),
            event(2, Change::Modified { previous: pod("b", 1, "n1"), current: pod("b", 2, "n1") }),
            event(3, Change::Deleted(pod("a", 2, "n1"))),
        ];
        let mut topics = Topics::default();
        for (topic, wanted) in [
            (Topic::Shelf, vec![0, 1, 2, 3]),
            (Topic::Namespace("default".into()), vec![0, 1, 2, 3]),
            (Topic::Namespace("other".into()), vec![]),
            (Topic::Key("default/b".into()), vec![2]),
            (Topic::Name("a".into()), vec![0, 1, 3]),
            (Topic::Index(&POD_NODE, "n1".into()), vec![1, 2, 3]),
            (Topic::Index(&POD_NODE, "".into()), vec![0, 1]),
            (Topic::Index(&POD_NODE, "n2".into()), vec![]),
        ] {
            let (interest, inbox) = (interest(topic), Arc::new(Inbox::new(10)));
            topics.join(&interest, &inbox);
            topics.deliver(&events, &mut Vec::new());
            assert_eq!(heard(&inbox), wanted, "{interest:?}");
            let covered: Vec<_> = events.iter().filter(|event| interest.covers(event)).map(|event| event.seq).collect();
            assert_eq!(covered, wanted, "{interest:?}");
            topics.leave(&interest, &inbox);
            topics.deliver(&events, &mut Vec::new());
            assert_eq!(heard(&inbox), [0; 0]);
        }
        assert_eq!((topics.readers(), topics.lists.len()), (0, 1));
    }

    #[test]
    fn streams_get_whole_batches_in_order() {
        let mut topics = Topics::default();
        let [pods, nodes, all] = [(); 3].map(|()| Arc::new(Inbox::new(10)));
        topics.join(&Interest::Shelves(vec![PODS]), &pods);
        topics.join(&Interest::Shelves(vec![ShelfId(7)]), &nodes);
        topics.join(&Interest::All, &all);
        topics.deliver(&[event(0, Change::Added(pod("a", 1, "")))], &mut Vec::new());
        assert_eq!((heard(&pods), heard(&nodes), heard(&all)), (vec![0], vec![], vec![0]));
    }

    #[test]
    fn a_closed_shelf_ends_its_watchers() {
        let mut topics = Topics::default();
        let [watcher, all] = [(); 2].map(|()| Arc::new(Inbox::new(10)));
        topics.join(&interest(Topic::Index(&POD_NODE, "n1".into())), &watcher);
        topics.join(&Interest::All, &all);
        topics.close(PODS, &mut Vec::new());
        assert_eq!(watcher.take(&mut VecDeque::new()), Found::Closed);
        assert_eq!(all.take(&mut VecDeque::new()), Found::Resync);
        topics.leave(&interest(Topic::Index(&POD_NODE, "n1".into())), &watcher);
        assert_eq!(topics.readers(), 1);
    }
}

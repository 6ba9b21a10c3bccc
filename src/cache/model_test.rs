//! The cache against a naive model: random changes, random watchers, random moments.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::event::Kind;
use super::index::{Index, OWNER, POD_NODE};
use super::limits::Limits;
use super::object::Object;
use super::testing::{PODS, Rig};
use super::watcher::{Filter, Next, Predicate, Start, Watcher};
use crate::model::revision::Revision;
use crate::model::value::{Value, json};
use crate::schema::builtin::ROWS;

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: String,
        app: u8,
        node: u8,
        owner: u8,
    },
    Delete {
        key: String,
    },
    /// Someone begins to watch so many revisions ago, or with the state.
    Watch {
        ago: u64,
        view: View,
    },
    /// A watcher reads at most so many events.
    Read {
        watcher: usize,
        most: usize,
    },
    Look {
        ago: u64,
    },
}

/// What a watcher is to see.
#[derive(Clone, Copy, Debug)]
enum View {
    All,
    App(u8),
    Node(u8),
    Namespace(u8),
    Key(u8, u8),
    AppInNamespace(u8, u8),
}

/// What the model knows of a pod.
#[derive(Clone, Debug, PartialEq)]
struct Pod {
    revision: u64,
    app: u8,
    node: u8,
    owner: u8,
}

type State = BTreeMap<String, Pod>;

fn key() -> impl Strategy<Value = String> {
    (0..3_u8, 0..4_u8).prop_map(|(namespace, name)| format!("{}/p{name}", namespace_of(namespace)))
}

fn namespace_of(number: u8) -> &'static str {
    ["a", "a-b", "a.c"][number as usize % 3]
}

fn view() -> impl Strategy<Value = View> {
    prop_oneof![
        Just(View::All),
        (0..2_u8).prop_map(View::App),
        (0..3_u8).prop_map(View::Node),
        (0..3_u8).prop_map(View::Namespace),
        (0..3_u8, 0..4_u8).prop_map(|(namespace, name)| View::Key(namespace, name)),
        (0..2_u8, 0..3_u8).prop_map(|(app, namespace)| View::AppInNamespace(app, namespace)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), 0..2_u8, 0..3_u8, 0..3_u8).prop_map(|(key, app, node, owner)| Step::Put { key, app, node, owner }),
        2 => key().prop_map(|key| Step::Delete { key }),
        1 => (0..12_u64, view()).prop_map(|(ago, view)| Step::Watch { ago, view }),
        2 => (0..4_usize, 0..6_usize).prop_map(|(watcher, most)| Step::Read { watcher, most }),
        1 => (0..12_u64).prop_map(|ago| Step::Look { ago }),
    ]
}

impl View {
    fn filter(self) -> Filter {
        let app = |app: u8| -> Predicate {
            Arc::new(move |object: &Object| object.label("app").as_deref() == Some(&app.to_string()))
        };
        let (none, namespace) = (Filter::default(), |number| Some(namespace_of(number).to_owned()));
        match self {
            View::All => none,
            View::App(number) => Filter { predicate: Some(app(number)), ..none },
            View::Node(number) => Filter { index: Some((&POD_NODE, node(number))), ..none },
            View::Namespace(number) => Filter { namespace: namespace(number), ..none },
            View::Key(within, name) => Filter { namespace: namespace(within), name: Some(format!("p{name}")), ..none },
            View::AppInNamespace(number, within) => {
                Filter { namespace: namespace(within), predicate: Some(app(number)), ..none }
            }
        }
    }

    fn shows(self, key: &str, pod: &Pod) -> bool {
        let within = |number: u8| key.split('/').next() == Some(namespace_of(number));
        match self {
            View::All => true,
            View::App(app) => pod.app == app,
            View::Node(node) => pod.node == node,
            View::Namespace(number) => within(number),
            View::Key(number, name) => key == format!("{}/p{name}", namespace_of(number)),
            View::AppInNamespace(app, number) => pod.app == app && within(number),
        }
    }

    fn of(self, state: &State) -> State {
        state.iter().filter(|(key, pod)| self.shows(key, pod)).map(|(key, pod)| (key.clone(), pod.clone())).collect()
    }
}

/// Node 0 is none.
fn node(number: u8) -> String {
    if number == 0 { String::new() } else { format!("n{number}") }
}

fn value(app: u8, node_number: u8, owner: u8) -> Value {
    let owners = json!([{"kind": "X", "name": "x", "uid": format!("o{owner}"), "apiVersion": "v1"}]);
    let metadata = json!({"labels": {"app": app.to_string()}, "ownerReferences": owners});
    json!({"metadata": metadata, "spec": {"nodeName": node(node_number)}})
}

fn read_back(object: &Object) -> Pod {
    let shape = ROWS.iter().find(|row| row.resource == "pods").expect("pods").shape();
    let number = |text: &str| text.trim_start_matches(char::is_alphabetic).parse().unwrap_or(0);
    Pod {
        revision: object.revision.0,
        app: number(&object.label("app").expect("a label")),
        node: object.field(&shape, &["spec", "nodeName"]).map_or(0, |name| number(&name.to_string())),
        owner: number(&object.owners()[0].uid),
    }
}

/// The model, the cache, and those who watch it.
struct World {
    rig: Rig,
    /// The state at each revision from 10 on.
    states: Vec<State>,
    watchers: Vec<Client>,
}

/// A client that keeps what it sees.
struct Client {
    watcher: Watcher,
    view: View,
    state: State,
    /// The last revision that it saw.
    seen: u64,
    ended: bool,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self { rig: Rig::new(limits), states: vec![State::new()], watchers: Vec::new() }
    }

    fn revision(&self) -> u64 {
        9 + self.states.len() as u64
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put { key, app, node, owner } => {
                self.rig.put(&key, &value(app, node, owner));
                let mut state = self.states.last().cloned().unwrap_or_default();
                state.insert(key, Pod { revision: self.revision() + 1, app, node, owner });
                self.states.push(state);
            }
            Step::Delete { key } => {
                self.rig.delete(&key);
                let mut state = self.states.last().cloned().unwrap_or_default();
                state.remove(&key);
                self.states.push(state);
            }
            Step::Watch { ago, view } => self.watch(ago, view),
            Step::Read { watcher, most } => {
                if let Some(client) = self.watchers.get_mut(watcher) {
                    client.read(most);
                }
            }
            Step::Look { ago } => self.look(ago),
        }
        assert_eq!(self.rig.cache.published(), Revision(self.revision()));
    }

    /// 0 revisions ago: with the state.
    fn watch(&mut self, ago: u64, view: View) {
        let from = self.revision().saturating_sub(ago).max(10);
        let start = if ago == 0 { Start::State } else { Start::After(Revision(from)) };
        let Ok(watcher) = self.rig.cache.watch(&PODS, view.filter(), start) else { return };
        let state = if ago == 0 { State::new() } else { view.of(&self.states[from as usize - 10]) };
        self.watchers.push(Client { watcher, view, state, seen: 0, ended: false });
    }

    /// Compares the cache as it was, and its indexes, with the model.
    fn look(&self, ago: u64) {
        let revision = self.revision().saturating_sub(ago).max(10);
        let Ok(snapshot) = self.rig.cache.snapshot_at(&PODS, Revision(revision)) else { return };
        let (state, shelf) = (&self.states[revision as usize - 10], &snapshot.shelves[0]);
        let shown: Vec<_> = shelf.iter(None).map(|o| (o.key.as_str().to_owned(), read_back(o))).collect();
        assert_eq!(shown, state.clone().into_iter().collect::<Vec<_>>());
        let found = |index: &'static Index, value: &str| {
            shelf.by_index(index, value).map(|object| object.key.as_str().to_owned()).collect::<Vec<_>>()
        };
        let keys = |wanted: &dyn Fn(&Pod) -> bool| {
            state.iter().filter(|(_, pod)| wanted(pod)).map(|(key, _)| key.clone()).collect::<Vec<_>>()
        };
        for number in 0..3 {
            assert_eq!(found(&POD_NODE, &node(number)), keys(&|pod| pod.node == number));
            assert_eq!(found(&OWNER, &format!("o{number}")), keys(&|pod| pod.owner == number));
            let namespace = Some(namespace_of(number));
            assert_eq!(shelf.count(namespace), View::Namespace(number).of(state).len());
        }
    }

    /// In the end everyone who was not cut off knows what is.
    fn finish(mut self) {
        self.look(0);
        let state = self.states.last().cloned().unwrap_or_default();
        for client in &mut self.watchers {
            client.read(usize::MAX);
            if !client.ended {
                assert_eq!(client.state, client.view.of(&state), "{:?}", client.view);
                assert_eq!(client.watcher.progress(), self.rig.cache.published());
            }
        }
    }
}

impl Client {
    fn read(&mut self, most: usize) {
        for _ in 0..most {
            match self.watcher.try_next() {
                None => break,
                Some(Next::Initial(object)) => {
                    let known = self.state.insert(object.key.as_str().into(), read_back(&object));
                    assert_eq!(known, None);
                }
                Some(Next::Synced(revision)) => self.seen = revision.0,
                Some(Next::Ended(_)) => {
                    self.ended = true;
                    break;
                }
                Some(Next::Event(seen)) => {
                    let object = seen.object();
                    assert!(object.revision.0 > self.seen, "in order and once");
                    self.seen = object.revision.0;
                    let key = object.key.as_str();
                    let known = match seen.kind {
                        Kind::Deleted => self.state.remove(key),
                        _ => self.state.insert(key.into(), read_back(object)),
                    };
                    assert_eq!(known.is_some(), seen.kind != Kind::Added, "{:?} of {key}", seen.kind);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_is_what_happened(
        steps in prop::collection::vec(step(), 0..80),
        inbox_events in 1..8_usize,
        history_events in prop_oneof![Just(1000), 3..20_usize],
    ) {
        let mut world = World::new(Limits { inbox_events, history_events, ..Limits::default() });
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}

/// Nothing is lost or told twice between the state, the history and the inbox, whenever a watcher comes.
#[test]
fn watchers_that_come_while_things_change_miss_nothing() {
    const LAST: u64 = 3_000;
    let mut rig = Rig::new(Limits { inbox_events: 8, ..Limits::default() });
    let cache = rig.cache.clone();
    let watch = |start| {
        let mut watcher = cache.watch(&PODS, Filter::default(), start).expect("remembered");
        let mut seen = watcher.progress().0;
        while seen < LAST {
            match watcher.try_next() {
                None => std::thread::yield_now(),
                Some(Next::Initial(_)) => {}
                Some(Next::Synced(revision)) => seen = revision.0,
                Some(Next::Event(event)) => {
                    assert_eq!(event.object().revision.0, seen + 1);
                    seen += 1;
                }
                Some(Next::Ended(end)) => panic!("{end:?}"),
            }
        }
    };
    std::thread::scope(|scope| {
        let come_and_go = || {
            while cache.published().0 < LAST {
                for start in [Start::Now, Start::State, Start::After(cache.published())] {
                    drop(cache.watch(&PODS, Filter::default(), start).expect("remembered"));
                }
            }
        };
        scope.spawn(come_and_go);
        scope.spawn(|| watch(Start::Now));
        scope.spawn(|| watch(Start::After(Revision(10))));
        for round in 10..LAST {
            rig.put(&format!("a/p{}", round % 50), &value(0, 0, 0));
            if round % 500 == 0 {
                scope.spawn(|| watch(Start::State));
            }
        }
    });
}

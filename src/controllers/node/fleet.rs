//! When each node was heard of last, and how each zone is. All of it is learnt anew after a start.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::zones::{Permit, Rates, State, Zone};
use crate::cache::object::Object;
use crate::codec::protobuf::view::View;
use crate::model::time::Time;

/// Nodes with this label do not count when a zone is judged.
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";
/// Older names come first.
const ZONES: [&str; 2] = ["failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"];
const REGIONS: [&str; 2] = ["failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"];

/// What is known of all nodes.
pub struct Fleet {
    rates: Rates,
    nodes: HashMap<String, Watched>,
    zones: BTreeMap<String, Zone>,
    /// Nobody is ready anywhere: then the fault is here, and nobody is given up.
    paused: bool,
    /// Names and UIDs of nodes that went and of which nobody was told yet.
    gone: HashMap<String, String>,
}

/// A node.
struct Watched {
    seen: Seen,
    /// When it gave a sign of life, or was given another chance.
    heard: Instant,
    /// The newest renewal of its lease.
    renewed: Option<Time>,
    is_registered: bool,
    /// Its pods are to be marked as not ready.
    has_unmarked_pods: bool,
}

/// What is read of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    uid: String,
    zone: String,
    counts: bool,
    /// Whether it is ready, and its last heartbeat; `None`: it never said.
    ready: Option<(bool, Option<Time>)>,
}

impl Seen {
    pub fn new(node: &Object, view: View<'_>) -> Self {
        let ready = view.at("status").items("conditions").find(|condition| condition.text("type") == "Ready");
        let first = |names: [&str; 2]| names.iter().find_map(|name| node.label(name)).unwrap_or_default();
        Self {
            uid: node.uid().into_owned(),
            zone: format!("{}:{}", first(REGIONS), first(ZONES)),
            counts: node.label(EXCLUDED).is_none(),
            ready: ready.map(|condition| (condition.text("status") == "True", condition.time("lastHeartbeatTime"))),
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.is_some_and(|(ready, _)| ready)
    }
}

impl Fleet {
    pub fn new(rates: Rates) -> Self {
        Self { rates, nodes: HashMap::new(), zones: BTreeMap::new(), paused: false, gone: HashMap::new() }
    }

    /// A node is as `seen` says; `age` is how long ago it was created. Returns the names of nodes that it concerns
    /// besides itself.
    pub fn hear(&mut self, name: &str, seen: Seen, age: Duration, now: Instant) -> Vec<String> {
        let before = self.nodes.remove(name);
        if let Some(before) = &before {
            self.count(&before.seen, false);
        }
        self.gone.remove(name);
        self.count(&seen, true);
        let before = before.filter(|before| before.seen.uid == seen.uid);
        let node = match before {
            Some(before) if before.seen.ready.map(|(_, at)| at) == seen.ready.map(|(_, at)| at) => {
                Watched { seen, ..before }
            }
            Some(before) => Watched { seen, heard: now, ..before },
            None => {
                // One that never said anything has had since its creation to do so.
                let heard = if seen.ready.is_some() { now } else { now.checked_sub(age).unwrap_or(now) };
                Watched { seen, heard, renewed: None, is_registered: false, has_unmarked_pods: false }
            }
        };
        self.nodes.insert(name.to_owned(), node);
        self.judge(now)
    }

    /// A node is gone. Returns the names of others that it concerns.
    pub fn hear_end(&mut self, name: &str, now: Instant) -> Vec<String> {
        if let Some(node) = self.nodes.remove(name) {
            self.count(&node.seen, false);
            self.gone.insert(name.to_owned(), node.seen.uid);
        }
        self.judge(now)
    }

    /// A lease was renewed at `time`.
    pub fn hear_lease(&mut self, name: &str, time: Option<Time>, now: Instant) {
        if let Some(node) = self.nodes.get_mut(name)
            && (node.renewed.is_none() || node.renewed < time)
        {
            (node.renewed, node.heard) = (time, now);
        }
    }

    fn count(&mut self, seen: &Seen, comes: bool) {
        if !seen.counts {
            return;
        }
        let rates = self.rates;
        let zone = self.zones.entry(seen.zone.clone()).or_insert_with(|| Zone::new(&rates));
        let count = if seen.is_ready() { &mut zone.ready } else { &mut zone.unready };
        *count = if comes { *count + 1 } else { *count - 1 };
    }

    /// Sets how fast nodes are given up. Returns the names of the nodes for which that has changed.
    fn judge(&mut self, now: Instant) -> Vec<String> {
        self.zones.retain(|_, zone| zone.size() > 0);
        let is_all_down = !self.zones.is_empty() && self.zones.values().all(|zone| zone.ready == 0);
        let was_paused = std::mem::replace(&mut self.paused, is_all_down);
        if is_all_down {
            return if was_paused { Vec::new() } else { self.nodes.keys().cloned().collect() };
        }
        let rates = self.rates;
        let mut changed = Vec::new();
        for (name, zone) in &mut self.zones {
            let state = zone.judge(&rates);
            if was_paused || zone.state != state {
                let is_news = zone.state != State::Initial;
                zone.enter(state, &rates);
                changed.extend(is_news.then(|| name.clone()));
            }
        }
        if was_paused {
            // They could not be heard, perhaps: all of them get their time anew.
            self.nodes.values_mut().for_each(|node| node.heard = now);
            return self.nodes.keys().cloned().collect();
        }
        let of_changed = self.nodes.iter().filter(|(_, node)| changed.contains(&node.seen.zone));
        of_changed.map(|(name, _)| name.clone()).collect()
    }

    /// How long ago a node was heard of.
    pub fn silence(&self, name: &str, now: Instant) -> Duration {
        self.nodes.get(name).map_or(Duration::ZERO, |node| now.saturating_duration_since(node.heard))
    }

    /// Whether a known node is other than ready, as far as it has said anything.
    pub fn is_unready(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| node.seen.ready.is_some_and(|(ready, _)| !ready))
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Asks to give a node up.
    pub fn permit(&mut self, name: &str, now: Instant) -> Permit {
        let Some(node) = self.nodes.get(name).filter(|_| !self.paused) else { return Permit::No };
        match self.zones.get_mut(&node.seen.zone) {
            Some(zone) => zone.permit(now),
            None => Permit::Now,
        }
    }

    /// Whether it is asked for the first time about this node.
    pub fn register(&mut self, name: &str) -> bool {
        self.nodes.get_mut(name).is_some_and(|node| !std::mem::replace(&mut node.is_registered, true))
    }

    /// The UID of a node that is gone; once.
    pub fn take_gone(&mut self, name: &str) -> Option<String> {
        self.gone.remove(name)
    }

    pub fn has_unmarked_pods(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| node.has_unmarked_pods)
    }

    pub fn set_unmarked_pods(&mut self, name: &str, has: bool) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.has_unmarked_pods = has;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::config::Config;

    fn seen(name: &str, ready: Option<bool>, beat: i64) -> Seen {
        let ready = ready.map(|ready| (ready, Some(Time { seconds: beat, nanos: 0 })));
        Seen { uid: name.to_owned(), zone: "z".into(), counts: true, ready }
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_are_heartbeats_and_leases() {
        let (mut fleet, start) = (Fleet::new(Rates::new(&Config::default())), Instant::now());
        let (second, zero) = (Duration::from_secs(1), Duration::ZERO);
        fleet.hear("b", seen("b", Some(true), 1), zero, start);
        fleet.hear("a", seen("a", None, 0), 5 * second, start + 7 * second);
        assert_eq!(fleet.silence("a", start + 7 * second), 5 * second, "since it was created");
        fleet.hear("a", seen("a", Some(true), 1), zero, start + 8 * second);
        assert_eq!(fleet.silence("a", start + 8 * second), zero);
        fleet.hear("a", seen("a", Some(false), 1), zero, start + 9 * second);
        assert_eq!(fleet.silence("a", start + 9 * second), second, "no new heartbeat");
        let at = |seconds| Some(Time { seconds, nanos: 0 });
        fleet.hear_lease("a", at(3), start + 10 * second);
        fleet.hear_lease("a", at(3), start + 12 * second);
        assert_eq!(fleet.silence("a", start + 12 * second), 2 * second);
        assert_eq!(fleet.take_gone("a"), None);
        fleet.hear_end("a", start);
        assert_eq!((fleet.take_gone("a"), fleet.take_gone("a")), (Some("a".into()), None));
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_is_ready_nobody_is_given_up() {
        let (mut fleet, start) = (Fleet::new(Rates::new(&Config::default())), Instant::now());
        let zero = Duration::ZERO;
        fleet.hear("a", seen("a", Some(true), 1), zero, start);
        fleet.hear("b", seen("b", Some(false), 1), zero, start);
        assert_eq!(fleet.permit("b", start), Permit::Now);
        let mut touched = fleet.hear("a", seen("a", Some(false), 1), zero, start);
        touched.sort();
        assert_eq!((touched, fleet.permit("a", start)), (vec!["a".into(), "b".into()], Permit::No));
        let later = start + Duration::from_secs(60);
        assert_eq!(fleet.silence("b", later), Duration::from_secs(60));
        fleet.hear("a", seen("a", Some(true), 2), zero, later);
        assert_eq!((fleet.silence("b", later), fleet.permit("b", later)), (zero, Permit::Now), "a new chance");
    }
}

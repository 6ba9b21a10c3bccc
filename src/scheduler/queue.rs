//! Pods without a node: those to be tried now, those that must pause first, and those that wait for a change.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::config::Config;
use super::plugin::Happening;
use super::plugins::{GATES, Mask, PLUGINS, of_mask};
use super::pod::Pod;
use crate::base::backoff::Backoff;
use crate::cache::object::Key;

pub struct Queue {
    entries: HashMap<Key, Entry>,
    /// The most important first, then the oldest.
    active: BTreeSet<(Reverse<i32>, u64, Key)>,
    /// By the end of the pause.
    backoff: BTreeSet<(Instant, u64, Key)>,
    /// By the time of the last attempt.
    waiting: BTreeSet<(Instant, u64, Key)>,
    /// How many waiting pods each plugin has refused, so that a change that nobody waits for costs nothing.
    refused_by: [usize; PLUGINS.len()],
    /// Waiting pods that nobody in particular has refused.
    refused_by_none: usize,
    pauses: Backoff,
    max_wait: std::time::Duration,
    counter: u64,
}

struct Entry {
    pod: Arc<Pod>,
    place: Place,
    /// Its turn among pods of its priority.
    turn: u64,
    /// Failures in a row.
    failures: u32,
    /// Who has refused it.
    plugins: Mask,
    last: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    /// Until then. One whose attempt went wrong pauses in any case; others may be tried when there is nothing else to do.
    Backoff(Instant, bool),
    Waiting,
    /// Its gates are closed.
    Gated,
}

/// A pod whose turn it is.
#[derive(Debug)]
pub struct Turn {
    pub pod: Arc<Pod>,
    failures: u32,
}

impl Queue {
    pub fn new(config: &Config) -> Self {
        Self {
            entries: HashMap::new(),
            active: BTreeSet::new(),
            backoff: BTreeSet::new(),
            waiting: BTreeSet::new(),
            refused_by: [0; PLUGINS.len()],
            refused_by_none: 0,
            pauses: Backoff::new(config.first_backoff, config.most_backoff),
            max_wait: config.max_wait,
            counter: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn keys(&self) -> Vec<Key> {
        self.entries.keys().cloned().collect()
    }

    pub fn pod(&self, key: &Key) -> Option<&Arc<Pod>> {
        self.entries.get(key).map(|entry| &entry.pod)
    }

    /// The pod is as it says: new, or changed.
    pub fn put(&mut self, pod: Arc<Pod>, now: Instant) {
        let Some(mut entry) = self.take(&pod.key) else {
            let place = if pod.gates.is_empty() { Place::Active } else { Place::Gated };
            let entry = Entry { pod, place, turn: self.next_turn(), failures: 0, plugins: 0, last: now };
            return self.insert(entry);
        };
        let own = Happening::Own { old: &entry.pod, new: &pod };
        let helps = |plugins: Mask| of_mask(plugins).any(|plugin| (plugin.helps)(&pod, &own));
        let place = match entry.place {
            _ if !pod.gates.is_empty() => Place::Gated,
            Place::Gated => Place::Active,
            Place::Waiting if entry.pod.uid != pod.uid || helps(entry.plugins) => self.after_change(&entry, now),
            same => same,
        };
        entry.pod = pod;
        entry.place = place;
        self.insert(entry);
    }

    pub fn remove(&mut self, key: &Key) {
        self.take(key);
    }

    /// Whose turn it is.
    pub fn pop(&mut self, now: Instant) -> Option<Turn> {
        self.wake(now);
        let key = match self.active.first() {
            Some((_, _, key)) => key.clone(),
            None => {
                let may = |key: &&Key| matches!(self.entries[*key].place, Place::Backoff(_, false));
                self.backoff.iter().map(|(_, _, key)| key).find(may)?.clone()
            }
        };
        let entry = self.take(&key)?;
        Some(Turn { pod: entry.pod, failures: entry.failures })
    }

    /// The pod has no node yet: refused by these plugins, or its attempt went wrong. `pod` is its newest state.
    pub fn put_back(&mut self, turn: &Turn, pod: Arc<Pod>, plugins: Mask, is_error: bool, now: Instant) {
        let failures = turn.failures + 1;
        let place = match is_error {
            true => Place::Backoff(now + self.pauses.after(failures), true),
            false => Place::Waiting,
        };
        let place = if pod.gates.is_empty() { place } else { Place::Gated };
        let turn = self.next_turn();
        self.take(&pod.key);
        self.insert(Entry { pod, place, turn, failures, plugins, last: now });
    }

    /// Something happened: pods that it may help are tried again.
    pub fn happened(&mut self, happening: &Happening, now: Instant) {
        let bit = happening.bit();
        let is_wanted =
            |(at, plugin): (usize, &super::plugin::Plugin)| plugin.wants & bit != 0 && self.refused_by[at] > 0;
        if self.refused_by_none == 0 && !PLUGINS.iter().enumerate().any(is_wanted) {
            return;
        }
        let helped = |entry: &Entry| {
            entry.plugins == 0
                || of_mask(entry.plugins).any(|plugin| plugin.wants & bit != 0 && (plugin.helps)(&entry.pod, happening))
        };
        let keys: Vec<Key> = self.waiting.iter().map(|(_, _, key)| key.clone()).collect();
        for key in keys.into_iter().filter(|key| helped(&self.entries[key])).collect::<Vec<_>>() {
            self.wake_one(&key, now);
        }
    }

    /// When to look again, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let pause = self.backoff.first().map(|(end, _, _)| *end);
        let wait = self.waiting.first().map(|(since, _, _)| *since + self.max_wait);
        pause.into_iter().chain(wait).min()
    }

    /// Ends the pauses that are over, and the waits that have been long enough.
    fn wake(&mut self, now: Instant) {
        while let Some((end, _, key)) = self.backoff.first().filter(|(end, _, _)| *end <= now).cloned() {
            debug_assert!(end <= now);
            self.move_to(&key, Place::Active);
        }
        while let Some((_, _, key)) =
            self.waiting.first().filter(|(since, _, _)| *since + self.max_wait <= now).cloned()
        {
            self.wake_one(&key, now);
        }
    }

    fn wake_one(&mut self, key: &Key, now: Instant) {
        if let Some(place) = self.entries.get(key).map(|entry| self.after_change(entry, now)) {
            self.move_to(key, place);
        }
    }

    /// Where a waiting pod goes when it may fit: it still pauses as long as it must since its last attempt.
    fn after_change(&self, entry: &Entry, now: Instant) -> Place {
        let end = entry.last + self.pauses.after(entry.failures);
        if end > now { Place::Backoff(end, false) } else { Place::Active }
    }

    fn move_to(&mut self, key: &Key, place: Place) {
        if let Some(mut entry) = self.take(key) {
            entry.place = place;
            self.insert(entry);
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn insert(&mut self, mut entry: Entry) {
        let key = entry.pod.key.clone();
        match entry.place {
            Place::Active => drop(self.active.insert((Reverse(entry.pod.priority), entry.turn, key.clone()))),
            Place::Backoff(end, _) => drop(self.backoff.insert((end, entry.turn, key.clone()))),
            Place::Waiting => {
                self.waiting.insert((entry.last, entry.turn, key.clone()));
                self.count(entry.plugins, true);
            }
            Place::Gated => entry.plugins = GATES,
        }
        self.entries.insert(key, entry);
    }

    fn take(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        let was_there = match entry.place {
            Place::Active => self.active.remove(&(Reverse(entry.pod.priority), entry.turn, key.clone())),
            Place::Backoff(end, _) => self.backoff.remove(&(end, entry.turn, key.clone())),
            Place::Waiting => {
                self.count(entry.plugins, false);
                self.waiting.remove(&(entry.last, entry.turn, key.clone()))
            }
            Place::Gated => true,
        };
        assert!(was_there, "each entry is in its part");
        Some(entry)
    }

    fn count(&mut self, plugins: Mask, has_come: bool) {
        let step = |count: &mut usize| *count = if has_come { *count + 1 } else { *count - 1 };
        if plugins == 0 {
            step(&mut self.refused_by_none);
        }
        for (at, count) in self.refused_by.iter_mut().enumerate() {
            if plugins & (1 << at) != 0 {
                step(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::scheduler::testing::{mask_of, pod};
    use std::time::Duration;

    fn queue() -> Queue {
        Queue::new(&Config::default())
    }

    fn names(queue: &mut Queue, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(now)).map(|turn| turn.pod.name().to_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_important_come_first_then_the_oldest() {
        let (mut queue, now) = (queue(), Instant::now());
        for (name, priority) in [("a", 0), ("b", 10), ("c", 0), ("d", 10)] {
            queue.put(pod(name, json!({"spec": {"priority": priority}})), now);
        }
        assert_eq!(names(&mut queue, now), ["b", "d", "a", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_pod_waits_for_what_helps() {
        let (mut queue, now) = (queue(), Instant::now());
        queue.put(pod("a", json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}})), now);
        let turn = queue.pop(now).expect("its turn");
        queue.put_back(&turn, turn.pod.clone(), mask_of("NodeResourcesFit"), false, now);
        let (came, left) = (pod("b", json!({})), pod("c", json!({})));
        queue.happened(&Happening::PodCame(&came), now);
        assert!(queue.pop(now).is_none(), "a pod that comes frees nothing");
        assert_eq!(queue.deadline(), Some(now + Duration::from_secs(300)));
        queue.happened(&Happening::PodLeft(&left), now);
        assert_eq!(queue.deadline(), Some(now + Duration::from_secs(1)), "it pauses");
        assert_eq!(names(&mut queue, now), ["a"], "but with nothing else to do it is tried at once");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_went_wrong_pauses_longer_each_time() {
        let (mut queue, mut now) = (queue(), Instant::now());
        queue.put(pod("a", json!({})), now);
        for seconds in [1, 2, 4, 8, 10, 10] {
            let turn = queue.pop(now).expect("its turn");
            queue.put_back(&turn, turn.pod.clone(), 0, true, now);
            assert!(queue.pop(now).is_none());
            assert_eq!(queue.deadline(), Some(now + Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gates_hold_a_pod() {
        let (mut queue, now) = (queue(), Instant::now());
        queue.put(pod("a", json!({"spec": {"schedulingGates": [{"name": "g"}]}})), now);
        assert!(queue.pop(now).is_none());
        assert_eq!(queue.deadline(), None);
        queue.put(pod("a", json!({})), now);
        assert_eq!(names(&mut queue, now), ["a"]);
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let (mut queue, now) = (queue(), Instant::now());
        queue.put(pod("a", json!({})), now);
        let turn = queue.pop(now).expect("its turn");
        queue.put_back(&turn, turn.pod.clone(), mask_of("NodeAffinity"), false, now);
        assert!(queue.pop(now + Duration::from_secs(299)).is_none());
        assert_eq!(names(&mut queue, now + Duration::from_secs(300)), ["a"]);
    }
}

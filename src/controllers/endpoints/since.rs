//! When the change began that the endpoints of a Service are written for: what shows how long clients waited.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::cache::object::Key;
use crate::controllers::item::{Item, time};
use crate::controllers::pods::Pod;
use crate::model::time::Time;

/// The annotation that says so.
pub const SINCE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What was seen of services, by key. An entry leaves with its service.
#[derive(Default)]
pub struct Since(Mutex<HashMap<String, Seen>>);

struct Seen {
    uid: String,
    /// When each pod became ready or ceased to be.
    pods: HashMap<Key, Time>,
}

impl Since {
    /// The earliest change since the last call for this service: a new service's creation, or that of a pod's readiness.
    /// `None` when neither is what has changed.
    pub fn note(&self, service: &Item, pods: &[Pod<'_>]) -> Option<Time> {
        let key = crate::cache::object::Key::text(service.namespace(), service.name());
        let now: HashMap<Key, Time> =
            pods.iter().filter_map(|pod| Some((pod.object.key.clone(), pod.ready_since?))).collect();
        let seen = Seen { uid: service.uid().to_owned(), pods: now };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.remove(&key).filter(|before| before.uid == seen.uid);
        let since = match before {
            None => time(&service.value["metadata"]["creationTimestamp"]),
            Some(before) => {
                let is_new = |(pod, at): &(&Key, &Time)| before.pods.get(pod.as_str()).is_none_or(|known| known < at);
                seen.pods.iter().filter(is_new).map(|(_, at)| *at).min()
            }
        };
        all.insert(key, seen);
        since
    }

    pub fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

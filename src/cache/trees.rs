//! The trees of a few objects: of those that were just written, and of those that were read to be written again. A new
//! pod is read by the scheduler, by its binding and by its first status at once: each part of it is decoded once for all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use super::object::Object;
use crate::model::value::Value;

/// Encoded bytes of all objects whose trees are kept; a tree takes a few times as much.
const KEPT: usize = 1 << 20;
/// Bytes of the largest object whose tree is kept.
const LARGEST: usize = 64 << 10;
/// Trees that wait for their objects at most. They come within a commit, so this is never reached in good health.
const COMING: usize = 1024;

#[derive(Default)]
pub struct Trees(Mutex<State>);

#[derive(Default)]
struct State {
    /// Of writes under way, by the store's key.
    coming: HashMap<String, (Bytes, Own)>,
    /// With the bytes of each.
    kept: VecDeque<(Weak<Object>, usize)>,
    bytes: usize,
}

/// What this server wrote: its bytes are whole.
#[derive(Debug, PartialEq)]
pub struct Own {
    /// What is read from the bytes, but for the resourceVersion, which is not set; only of objects that cannot be read late.
    pub tree: Option<Value>,
}

impl Trees {
    /// These bytes are about to be stored under `key`.
    pub fn announce(&self, key: &str, stored: &Bytes, tree: Option<Value>) {
        if stored.len() > LARGEST {
            return;
        }
        let mut state = self.lock();
        if state.coming.len() >= COMING {
            state.coming.clear();
        }
        state.coming.insert(key.to_owned(), (stored.clone(), Own { tree }));
    }

    /// What was announced has not been stored.
    pub fn recall(&self, key: &str, stored: &Bytes) {
        let mut state = self.lock();
        if state.coming.get(key).is_some_and(|(known, _)| known.as_ptr() == stored.as_ptr()) {
            state.coming.remove(key);
        }
    }

    /// What was announced under this key with just these bytes.
    pub fn arrived(&self, key: &str, stored: &[u8]) -> Option<Own> {
        let mut state = self.lock();
        if *state.coming.get(key)?.0 != *stored {
            return None;
        }
        state.coming.remove(key).map(|(_, own)| own)
    }

    /// Keeps an object's tree for the next readers, and forgets the oldest ones for it.
    pub fn keep(&self, object: &Arc<Object>, mut tree: Value) {
        if object.bytes.len() > LARGEST {
            return;
        }
        tree.share();
        object.remember(Some(tree));
        let mut state = self.lock();
        state.kept.push_back((Arc::downgrade(object), object.bytes.len()));
        state.bytes += object.bytes.len();
        while state.bytes > KEPT {
            let Some((oldest, bytes)) = state.kept.pop_front() else { break };
            state.bytes -= bytes;
            if let Some(oldest) = oldest.upgrade() {
                oldest.remember(None);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::object::Form;
    use crate::cache::testing::{pod_value, storage_of};
    use crate::codec::protobuf::envelope::Envelope;
    use crate::model::revision::Revision;
    use crate::model::value::json;

    fn pod(name: &str, note: usize) -> (Arc<Object>, Value) {
        let value = json!({"metadata": {"name": name, "namespace": "d", "annotations": {"note": "x".repeat(note)}}});
        let stored = pod_value(&value);
        let raw = Envelope::parse(&stored).expect("an envelope").raw.to_vec();
        let object = Object::new(format!("d/{name}").as_str().into(), Revision(7), &raw, Form::Protobuf);
        (Arc::new(object.expect("an object")), value)
    }

    #[test]
    fn an_announced_tree_belongs_to_just_those_bytes() {
        let trees = Trees::default();
        let (one, other) = (Bytes::from("one"), Bytes::from("other"));
        trees.announce("/registry/pods/d/a", &one, Some(json!({"is": "one"})));
        assert_eq!(trees.arrived("/registry/pods/d/b", b"one"), None);
        assert_eq!(trees.arrived("/registry/pods/d/a", b"other"), None);
        trees.recall("/registry/pods/d/a", &other);
        let own = Own { tree: Some(json!({"is": "one"})) };
        assert_eq!(trees.arrived("/registry/pods/d/a", b"one"), Some(own));
        assert_eq!(trees.arrived("/registry/pods/d/a", b"one"), None);
        trees.announce("/registry/pods/d/a", &one, Some(json!({"is": "one"})));
        trees.recall("/registry/pods/d/a", &one);
        assert_eq!(trees.arrived("/registry/pods/d/a", b"one"), None);
    }

    #[test]
    fn the_newest_trees_are_kept_and_the_oldest_forgotten() {
        let shape = storage_of("", "v1", "pods").shape;
        let trees = Trees::default();
        let pods: Vec<_> = (0..50).map(|n| pod(&format!("p{n}"), 50 << 10)).collect();
        for (object, _) in &pods {
            trees.keep(object, json!({"kept": true}));
        }
        let kept =
            |(object, _): &&(Arc<Object>, Value)| object.to_value(&shape).expect("a pod") == json!({"kept": true});
        assert_eq!(pods.iter().filter(kept).count(), KEPT / pods[0].0.bytes.len());
        assert!(kept(&&pods[49]) && !kept(&&pods[0]));
        let (large, _) = pod("large", LARGEST);
        trees.keep(&large, json!({"kept": true}));
        assert_ne!(large.to_value(&shape).expect("a pod"), json!({"kept": true}));
    }
}

//! Tokens that were verified already and answers that were given, so that one asked for again costs a digest and a lookup.
//! Bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

/// Tokens kept at most: this many young ones, and as many that were young before.
const GENERATION: usize = 512;
/// Parts with a lock of their own.
const SHARDS: usize = 16;

/// The digest of a token or of a question; they themselves are not kept.
pub(in crate::auth) type Digest = [u8; 32];

pub(in crate::auth) struct Remembered<T> {
    shards: [Mutex<Generations<T>>; SHARDS],
}

struct Generations<T> {
    young: HashMap<Digest, Arc<T>>,
    old: HashMap<Digest, Arc<T>>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        let empty = || Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() });
        Self { shards: std::array::from_fn(|_| empty()) }
    }
}

impl<T> Remembered<T> {
    pub(in crate::auth) fn get(&self, key: &Digest) -> Option<Arc<T>> {
        let mut shard = self.shard(key);
        if let Some(found) = shard.young.get(key) {
            return Some(found.clone());
        }
        let found = shard.old.remove(key)?;
        shard.put(*key, found.clone());
        Some(found)
    }

    pub(in crate::auth) fn put(&self, key: Digest, value: Arc<T>) {
        self.shard(&key).put(key, value);
    }

    fn shard(&self, key: &Digest) -> std::sync::MutexGuard<'_, Generations<T>> {
        self.shards[usize::from(key[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Generations<T> {
    /// When the young are many, they become the old, and the old ones that nobody asked for since are forgotten.
    fn put(&mut self, key: Digest, value: Arc<T>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

pub(in crate::auth) fn digest_of(token: &str) -> Digest {
    digest_of_bytes(token.as_bytes())
}

pub(in crate::auth) fn digest_of_bytes(content: &[u8]) -> Digest {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, content).as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_used_ones_stay_and_the_number_is_bounded() {
        let (remembered, favourite) = (Remembered::default(), digest_of("favourite"));
        remembered.put(favourite, Arc::new(0));
        for n in 1..100_000 {
            remembered.put(digest_of(&n.to_string()), Arc::new(n));
            assert_eq!(remembered.get(&favourite).as_deref(), Some(&0));
        }
        let kept: usize =
            remembered.shards.iter().map(|s| s.lock().expect("a shard")).map(|s| s.young.len() + s.old.len()).sum();
        assert!(kept <= 2 * SHARDS * (GENERATION + 1), "{kept}");
        assert!(remembered.get(&digest_of("1")).is_none());
    }
}

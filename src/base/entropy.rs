//! Chance: names, UIDs, jitter and secrets. Seeded, it repeats exactly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// The letters of generated names: no vowels, so that no word comes of them (API convention).
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Random letters at the end of a name made from `generateName`.
const NAME_SUFFIX: usize = 5;

/// A source of randomness, cryptographically strong also when seeded (then predictable, of course). Cheap to clone.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// From the operating system.
    pub fn machine() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// The same numbers again for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.with(|rng| rng.fill_bytes(bytes));
    }

    /// A version 4 UUID in lower case: an object's `metadata.uid`.
    pub fn uid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// What `generateName` adds.
    pub fn name_suffix(&self) -> String {
        self.letters(NAME_LETTERS, NAME_SUFFIX)
    }

    /// `count` letters out of `alphabet`.
    pub fn letters(&self, alphabet: &[u8], count: usize) -> String {
        self.with(|rng| (0..count).map(|_| alphabet[rng.random_range(0..alphabet.len())] as char).collect())
    }

    /// A number in `0..end`; 0 when `end` is 0.
    pub fn below(&self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.with(|rng| rng.random_range(0..end)) }
    }

    /// True with this chance: 0 never, 1 always.
    pub fn happens(&self, chance: f64) -> bool {
        chance > 0.0 && self.with(|rng| rng.random_range(0.0..1.0)) < chance
    }

    /// `base` lengthened by up to `fraction` of itself.
    pub fn jitter(&self, base: Duration, fraction: f64) -> Duration {
        base + base.mul_f64(self.with(|rng| rng.random_range(0.0..1.0)) * fraction)
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut StdRng) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats() {
        let (a, b) = (Entropy::seeded(7), Entropy::seeded(7));
        assert_eq!((a.uid(), a.name_suffix(), a.below(9)), (b.uid(), b.name_suffix(), b.below(9)));
        assert_eq!(a.uid().len(), 36);
        let happened = (0..1000).filter(|_| a.happens(0.25)).count();
        assert!((200..300).contains(&happened) && !a.happens(0.0) && a.happens(1.0), "{happened}");
    }
}

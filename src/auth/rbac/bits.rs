//! A set of small numbers: a list while it has few, a map of bits when it is dense.

/// A list of at most this many stays one.
const LISTED: usize = 16;
const WORD: u32 = u64::BITS;

/// A set of numbers. Takes 4 bytes a number, or a bit for each up to the largest if that is less.
#[derive(Clone, Debug)]
pub(super) enum Bits {
    /// In order.
    List(Vec<u32>),
    Words(Vec<u64>),
}

impl Default for Bits {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Bits {
    pub(super) fn contains(&self, number: u32) -> bool {
        match self {
            Self::List(list) => list.binary_search(&number).is_ok(),
            Self::Words(words) => words.get(word(number)).is_some_and(|bits| bits & bit(number) != 0),
        }
    }

    pub(super) fn insert(&mut self, number: u32) {
        match self {
            Self::List(list) => {
                if let Err(at) = list.binary_search(&number) {
                    list.insert(at, number);
                }
                let largest = list.last().copied().unwrap_or(0);
                if list.len() > LISTED && list.len() * 32 > largest as usize {
                    let mut words = vec![0; word(largest) + 1];
                    self.set_in(&mut words);
                    *self = Self::Words(words);
                }
            }
            Self::Words(words) => set(words, number),
        }
    }

    /// Takes a number out; one that becomes thin is a list again.
    pub(super) fn remove(&mut self, number: u32) {
        match self {
            Self::List(list) => {
                if let Ok(at) = list.binary_search(&number) {
                    list.remove(at);
                }
            }
            Self::Words(words) => {
                if let Some(bits) = words.get_mut(word(number)) {
                    *bits &= !bit(number);
                }
                while words.last() == Some(&0) {
                    words.pop();
                }
                if self.len() <= LISTED / 2 {
                    *self = Self::List(self.iter().collect());
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Words(words) => words.iter().map(|bits| bits.count_ones() as usize).sum(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.is_empty(),
            Self::Words(words) => words.iter().all(|bits| *bits == 0),
        }
    }

    /// How many there are, at most: what it costs to go through them all.
    pub(super) fn bound(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Words(words) => words.len() * WORD as usize,
        }
    }

    /// From the smallest.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (list, words) = match self {
            Self::List(list) => (list.as_slice(), &[][..]),
            Self::Words(words) => (&[][..], words.as_slice()),
        };
        list.iter().copied().chain(ones(words))
    }

    /// Those that are in both.
    pub(super) fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::List(list), other) | (other, Self::List(list)) => {
                Self::List(list.iter().copied().filter(|number| other.contains(*number)).collect())
            }
            (Self::Words(a), Self::Words(b)) => Self::Words(a.iter().zip(b).map(|(a, b)| a & b).collect()),
        }
    }

    /// Whether one is not in `other`.
    pub(super) fn exceeds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Words(a), Self::Words(b)) => {
                a.iter().enumerate().any(|(at, bits)| bits & !b.get(at).copied().unwrap_or(0) != 0)
            }
            _ => self.iter().any(|number| !other.contains(number)),
        }
    }

    /// Sets a bit for each in `words`, which must be long enough.
    pub(super) fn set_in(&self, words: &mut [u64]) {
        match self {
            Self::List(list) => list.iter().for_each(|number| set_within(words, *number)),
            Self::Words(own) => words.iter_mut().zip(own).for_each(|(bits, own)| *bits |= own),
        }
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut list: Vec<u32> = numbers.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        let largest = list.last().copied().unwrap_or(0);
        if list.len() <= LISTED || list.len() * 32 <= largest as usize {
            return Self::List(list);
        }
        let mut words = vec![0; word(largest) + 1];
        list.iter().for_each(|number| set_within(&mut words, *number));
        Self::Words(words)
    }
}

/// The numbers of the bits that are set.
pub(super) fn ones(words: &[u64]) -> impl Iterator<Item = u32> + '_ {
    words.iter().zip(0u32..).flat_map(|(bits, at)| {
        let mut left = *bits;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| at * WORD + left.trailing_zeros());
            left &= left.wrapping_sub(1);
            next
        })
    })
}

/// Sets a bit, and makes room for it.
pub(super) fn set(words: &mut Vec<u64>, number: u32) {
    if words.len() <= word(number) {
        words.resize(word(number) + 1, 0);
    }
    set_within(words, number);
}

fn set_within(words: &mut [u64], number: u32) {
    words[word(number)] |= bit(number);
}

fn word(number: u32) -> usize {
    (number / WORD) as usize
}

fn bit(number: u32) -> u64 {
    1 << (number % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(
            steps in prop::collection::vec((any::<bool>(), 0u32..600), 0..400), other in prop::collection::btree_set(0u32..600, 0..200)
        ) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for (put, number) in steps {
                if put { bits.insert(number); model.insert(number); } else { bits.remove(number); model.remove(&number); }
            }
            prop_assert!(bits.iter().eq(model.iter().copied()));
            prop_assert_eq!((bits.len(), bits.is_empty()), (model.len(), model.is_empty()));
            prop_assert!((0..640).all(|number| bits.contains(number) == model.contains(&number)));
            let others: Bits = other.iter().copied().collect();
            for (a, b) in [(&bits, &others), (&others, &bits)] {
                prop_assert!(a.common(b).iter().eq(model.intersection(&other).copied()));
            }
            prop_assert_eq!(bits.exceeds(&others), !model.is_subset(&other));
            let mut words = vec![0; 10];
            bits.set_in(&mut words);
            prop_assert!(ones(&words).eq(model.iter().copied()));
        }
    }

    #[test]
    fn what_is_dense_takes_a_bit_each() {
        let dense: Bits = (0..100).collect();
        assert!(matches!(&dense, Bits::Words(words) if words.len() == 2));
        let thin: Bits = (0..100).map(|n| n * 1000).collect();
        assert!(matches!(thin, Bits::List(_)));
    }
}

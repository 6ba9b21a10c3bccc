//! Shuffle sharding: a flow's hash deals it a small hand out of many queues, so that two flows seldom share them all.

use aws_lc_rs::digest::{Context, SHA256};
use smallvec::SmallVec;

/// Queues that a request may choose from. Sixty bits of hash deal at most this many.
pub type Hand = SmallVec<[usize; 8]>;

/// Of a flow: its schema and what tells it from the schema's other flows.
pub fn hash(schema: &str, distinguisher: &str) -> u64 {
    let mut digest = Context::new(&SHA256);
    digest.update(schema.as_bytes());
    digest.update(&[0]);
    digest.update(distinguisher.as_bytes());
    let digest = digest.finish();
    u64::from_le_bytes(digest.as_ref()[..8].try_into().expect("32 bytes"))
}

/// `hand` different ones of `queues` queues. `hand` must not be greater than `queues`.
pub fn deal(mut hash: u64, queues: usize, hand: usize) -> Hand {
    assert!(hand <= queues, "a hand of {hand} out of {queues}");
    let mut cards = Hand::new();
    for dealt in 0..hand {
        let left = (queues - dealt) as u64;
        cards.push((hash % left) as usize);
        hash /= left;
    }
    // Each card counts among those that were left when it was dealt.
    for at in (1..hand).rev() {
        for earlier in (0..at).rev() {
            if cards[at] >= cards[earlier] {
                cards[at] += 1;
            }
        }
    }
    cards
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes cards out of a real deck.
    fn by_hand(mut hash: u64, queues: usize, hand: usize) -> Vec<usize> {
        let mut deck: Vec<usize> = (0..queues).collect();
        (0..hand)
            .map(|_| {
                let left = deck.len() as u64;
                let card = deck.remove((hash % left) as usize);
                hash /= left;
                card
            })
            .collect()
    }

    #[test]
    fn a_flow_has_its_hash() {
        // The first eight bytes of SHA-256("a\0b"), the least first.
        assert_eq!(hash("a", "b"), hash("a", "b"));
        assert_ne!(hash("a", "b"), hash("ab", ""));
        assert_ne!(hash("a", "b"), hash("a", "c"));
    }

    proptest! {
        #[test]
        fn hands_are_dealt_from_a_deck(hash in any::<u64>(), queues in 1_usize..200, hand in 1_usize..9) {
            let hand = hand.min(queues);
            let dealt = deal(hash, queues, hand);
            prop_assert_eq!(dealt.to_vec(), by_hand(hash, queues, hand));
        }
    }
}

//! After how many seconds a refused client should come again: the more are refused, the later.

use std::collections::VecDeque;

/// Seconds.
const MOST: i64 = 32;
/// Refusals for each second of the span that double it.
const MANY: u64 = 3;

/// The refusals of one level.
#[derive(Debug)]
pub struct Refusals {
    /// Of the last seconds, each with its count; the newest last.
    history: VecDeque<(i64, u64)>,
    /// The second under way.
    current: (i64, u64),
    after: i64,
    raised: i64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { history: VecDeque::new(), current: (0, 0), after: 1, raised: 0 }
    }
}

impl Refusals {
    /// Notes a refusal in this second, and tells after how many seconds to come again: 1 to 32.
    pub fn note(&mut self, second: i64) -> u32 {
        if self.current.0 == second {
            self.current.1 += 1;
        } else {
            self.history.push_back(self.current);
            let oldest = (2 * self.after).min(MOST);
            let newest = self.current.0;
            while self.history.front().is_some_and(|(known, _)| newest - known > oldest) {
                self.history.pop_front();
            }
            self.current = (second, 1);
            self.adjust(second);
        }
        self.after as u32
    }

    /// Doubles on many refusals in the last `after` seconds, goes back by one on few.
    fn adjust(&mut self, second: i64) {
        let recent = |known: &&(i64, u64)| known.0 < second && second - known.0 <= self.after;
        let refused: u64 = self.history.iter().filter(recent).map(|(_, count)| count).sum();
        let after = self.after as u64;
        if second - self.raised >= self.after && refused >= MANY * after {
            self.after = (self.after * 2).min(MOST);
            self.raised = second;
        } else if refused < after && self.after > 1 {
            self.after -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clients hear when so many are refused in each second.
    fn heard(first: i64, counts: &[u64], refusals: &mut Refusals) -> Vec<u32> {
        let second = |(at, count): (i64, &u64)| (0..*count).map(|_| refusals.note(at)).last().unwrap_or(0);
        (first..).zip(counts).map(second).collect()
    }

    #[test]
    fn few_refusals_come_again_soon() {
        assert_eq!(heard(1000, &[1, 2, 1, 2, 1], &mut Refusals::default()), [1, 1, 1, 1, 1]);
    }

    #[test]
    fn many_double_the_wait_and_few_shorten_it() {
        let mut refusals = Refusals::default();
        let rising = heard(1000, &[100; 40], &mut refusals);
        assert_eq!(rising[..8], [1, 2, 2, 4, 4, 4, 4, 8]);
        assert_eq!(rising.last(), Some(&32));
        let falling: Vec<_> = (0..40).map(|step| refusals.note(1100 + 2 * step)).collect();
        assert_eq!((falling[0], falling[30], falling[39]), (31, 1, 1));
        assert!(refusals.history.len() <= MOST as usize + 1);
    }
}

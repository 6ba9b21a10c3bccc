//! Sets of completion indexes, written as `0,2-4,7`.

use std::fmt;

/// Intervals in order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(i64, i64)>);

impl Indexes {
    /// What can be read of a text, below `completions`.
    pub fn parse(text: &str, completions: i64) -> Self {
        let interval = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse::<i64>().ok()?.min(completions - 1)))
        };
        let parts = text.split(',').filter_map(interval).filter(|(first, last)| first <= last && *first < completions);
        Self(parts.collect()).tidy()
    }

    fn tidy(mut self) -> Self {
        self.0.sort_unstable();
        let mut tidy: Vec<(i64, i64)> = Vec::with_capacity(self.0.len());
        for (first, last) in self.0 {
            match tidy.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => tidy.push((first, last)),
            }
        }
        Self(tidy)
    }

    /// These and those.
    pub fn and(&self, indexes: impl IntoIterator<Item = i64>) -> Self {
        Self(self.0.iter().copied().chain(indexes.into_iter().map(|index| (index, index))).collect()).tidy()
    }

    pub fn merge(&self, other: &Self) -> Self {
        Self([self.0.as_slice(), &other.0].concat()).tidy()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> i64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub fn has(&self, index: i64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// How many are in both.
    pub fn common(&self, other: &Self) -> i64 {
        let overlap = |a: &(i64, i64), b: &(i64, i64)| (a.1.min(b.1) - a.0.max(b.0) + 1).max(0);
        self.0.iter().map(|a| other.0.iter().map(|b| overlap(a, b)).sum::<i64>()).sum()
    }

    /// The first `most` below `end` that are not in it.
    pub fn missing(&self, most: usize, end: i64) -> Vec<i64> {
        let (mut found, mut candidate) = (Vec::new(), 0);
        for (first, last) in self.0.iter().copied().chain([(end, end)]) {
            let room = most - found.len();
            found.extend((candidate..first.min(end)).take(room));
            candidate = candidate.max(last + 1);
        }
        found
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_indexes() {
        let set = Indexes::parse("0,2-4,7,x,9-20", 12);
        assert_eq!((set.to_string(), set.count()), ("0,2-4,7,9-11".into(), 8));
        assert_eq!([0, 1, 3, 8, 11, 12].map(|index| set.has(index)), [true, false, true, false, true, false]);
        assert_eq!(set.and([1, 5, 8]).to_string(), "0-5,7-11");
        assert_eq!(set.missing(10, 14), [1, 5, 6, 8, 12, 13]);
        assert_eq!(set.missing(2, 14), [1, 5]);
        assert_eq!(set.common(&Indexes::parse("3-9", 12)), 4);
        assert_eq!(Indexes::default().and([1, 0]).to_string(), "0,1");
        assert_eq!(Indexes::parse("", 3).to_string(), "");
    }

    proptest::proptest! {
        #[test]
        fn a_set_reads_as_it_was_written(indexes in proptest::collection::btree_set(0i64..60, 0..30)) {
            let set = Indexes::default().and(indexes.iter().copied());
            proptest::prop_assert_eq!(&Indexes::parse(&set.to_string(), 60), &set);
            proptest::prop_assert_eq!(set.count() as usize, indexes.len());
            let missing = set.missing(100, 60);
            proptest::prop_assert!(missing.iter().all(|index| !indexes.contains(index)));
            proptest::prop_assert_eq!(missing.len() + indexes.len(), 60);
        }
    }
}

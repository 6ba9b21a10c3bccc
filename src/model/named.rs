//! Parts by their names, made once and then read: no larger than a list of them.

use std::fmt;

/// Sorted by name.
#[derive(Clone)]
pub struct Named<T>(Box<[(Box<str>, T)]>);

impl<T> Named<T> {
    pub fn get(&self, name: &str) -> Option<&T> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, part)| (&**name, part))
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, part)| part)
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

/// Names must be different.
impl<T> FromIterator<(String, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(parts: I) -> Self {
        let mut all: Vec<(Box<str>, T)> = parts.into_iter().map(|(name, part)| (name.into(), part)).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert!(all.is_sorted_by(|(a, _), (b, _)| a < b), "names are different");
        Self(all.into())
    }
}

impl<T: fmt::Debug> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_name() {
        let parts: Named<u8> =
            [("b", 2), ("a", 1), ("c", 3)].map(|(name, part)| (name.to_owned(), part)).into_iter().collect();
        assert_eq!((parts.get("c"), parts.get("d"), parts.contains_key("a")), (Some(&3), None, true));
        assert_eq!(parts.iter().collect::<Vec<_>>(), [("a", &1), ("b", &2), ("c", &3)]);
        assert!(Named::<u8>::default().is_empty());
    }
}

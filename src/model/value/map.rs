//! A sorted map from text to value: one sorted block while it has few entries, a tree when it has many, so that no
//! order of insertion costs more than n log n. A map may be shared: then a copy costs nothing, and whoever changes his
//! copy first takes this one map for himself, not those below it. A map that was read from an object's bytes is shared, and
//! decoded when somebody asks for a field.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::FusedIterator;
use std::sync::Arc;

use bytes::Bytes;

use super::encoded::{Encoded, Encoding};
use super::{Text, Value};

/// The most entries in a sorted block: of 56 bytes each, moved when one comes between.
const FEW: usize = 48;
/// Up to so many entries are looked through one by one.
const SCAN: usize = 8;

/// An object's fields, sorted by name.
#[derive(Clone)]
pub struct Map(Repr);

#[derive(Clone)]
enum Repr {
    Own(Entries),
    Shared(Arc<Entries>),
    Encoded(Arc<Encoded>),
}

#[derive(Clone)]
#[expect(clippy::box_collection, reason = "a map is as small as its block's three words")]
pub(super) enum Entries {
    Few(Vec<(Text, Value)>),
    Many(Box<BTreeMap<Text, Value>>),
}

impl Map {
    pub const fn new() -> Self {
        Self(Repr::Own(Entries::Few(Vec::new())))
    }

    /// With room for so many, as far as they are few.
    pub fn with_capacity(entries: usize) -> Self {
        Self(Repr::Own(Entries::Few(Vec::with_capacity(entries.min(FEW)))))
    }

    /// The map in these bytes, which must be whole: decoded when it is looked into, once for all copies.
    pub fn encoded(bytes: Bytes, encoding: &'static dyn Encoding) -> Self {
        Self(Repr::Encoded(Arc::new(Encoded::new(bytes, encoding))))
    }

    /// The bytes of a map that was made of bytes in this encoding and never changed.
    pub fn bytes(&self, encoding: &'static dyn Encoding) -> Option<&Bytes> {
        match &self.0 {
            Repr::Encoded(encoded) if encoded.is_of(encoding) => Some(&encoded.bytes),
            _ => None,
        }
    }

    /// Makes copies of it, and of all maps in it, cost nothing until one is changed.
    pub fn share(&mut self) {
        // What is in a shared map is shared.
        if self.is_shared() || self.is_empty() {
            return;
        }
        self.values_mut().for_each(Value::share);
        if let Repr::Own(entries) = std::mem::take(self).0 {
            self.0 = Repr::Shared(Arc::new(entries));
        }
    }

    pub fn is_shared(&self) -> bool {
        !matches!(self.0, Repr::Own(_))
    }

    /// Whether both are copies of one shared map, or of the same bytes, that were never changed. They may be equal and no
    /// copies.
    pub fn is_copy_of(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Shared(one), Repr::Shared(other)) => Arc::ptr_eq(one, other),
            (Repr::Encoded(one), Repr::Encoded(other)) => Arc::ptr_eq(one, other) || one.is_same(other),
            _ => false,
        }
    }

    fn entries(&self) -> &Entries {
        match &self.0 {
            Repr::Own(entries) => entries,
            Repr::Shared(entries) => entries,
            Repr::Encoded(encoded) => encoded.fields(),
        }
    }

    /// To be changed: a copy of its own, if it was shared.
    fn entries_mut(&mut self) -> &mut Entries {
        if self.is_shared() {
            self.0 = Repr::Own(std::mem::take(self).into_entries());
        }
        match &mut self.0 {
            Repr::Own(entries) => entries,
            Repr::Shared(_) | Repr::Encoded(_) => unreachable!("it has just been taken"),
        }
    }

    pub(super) fn into_entries(self) -> Entries {
        match self.0 {
            Repr::Own(entries) => entries,
            Repr::Shared(entries) => Arc::unwrap_or_clone(entries),
            Repr::Encoded(encoded) => match Arc::try_unwrap(encoded) {
                Ok(encoded) => encoded.into_fields(),
                Err(encoded) => encoded.fields().clone(),
            },
        }
    }

    pub fn len(&self) -> usize {
        match self.entries() {
            Entries::Few(entries) => entries.len(),
            Entries::Many(tree) => tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        match self.entries() {
            Entries::Few(entries) => known(entries, key).map(|at| &entries[at].1),
            Entries::Many(tree) => tree.get(key),
        }
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        if self.is_shared() && !self.contains_key(key) {
            return None;
        }
        match self.entries_mut() {
            Entries::Few(entries) => known(entries, key).map(|at| &mut entries[at].1),
            Entries::Many(tree) => tree.get_mut(key),
        }
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a field, and returns what it was.
    pub fn insert(&mut self, key: Text, value: Value) -> Option<Value> {
        match self.entry(key) {
            Entry::Occupied(old) => Some(std::mem::replace(old, value)),
            Entry::Vacant(place) => {
                place.insert(value);
                None
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.remove_entry(key).map(|(_, value)| value)
    }

    pub fn remove_entry(&mut self, key: &str) -> Option<(Text, Value)> {
        if !self.contains_key(key) {
            return None;
        }
        match self.entries_mut() {
            Entries::Few(entries) => known(entries, key).map(|at| entries.remove(at)),
            Entries::Many(tree) => tree.remove_entry(key),
        }
    }

    /// The place of a field, whether it is set or not.
    pub fn entry(&mut self, key: impl Into<Text>) -> Entry<'_> {
        let key = key.into();
        let here = self.entries_mut();
        if let Entries::Few(entries) = here
            && entries.len() >= FEW
            && find(entries, &key).is_err()
        {
            *here = Entries::Many(Box::new(std::mem::take(entries).into_iter().collect()));
        }
        match here {
            Entries::Few(entries) => match find(entries, &key) {
                Ok(at) => Entry::Occupied(&mut entries[at].1),
                Err(at) => Entry::Vacant(Vacant(Place::Few(entries, at, key))),
            },
            Entries::Many(tree) => match tree.entry(key) {
                btree_map::Entry::Occupied(entry) => Entry::Occupied(entry.into_mut()),
                btree_map::Entry::Vacant(entry) => Entry::Vacant(Vacant(Place::Many(entry))),
            },
        }
    }

    /// Moves all of the other's entries here; on the same key the other's wins.
    pub fn append(&mut self, other: &mut Map) {
        self.extend(std::mem::take(other));
    }

    /// Keeps the entries for which the answer is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &mut Value) -> bool) {
        match self.entries_mut() {
            Entries::Few(entries) => entries.retain_mut(|(key, value)| keep(key, value)),
            Entries::Many(tree) => tree.retain(|key, value| keep(key, value)),
        }
    }

    pub fn clear(&mut self) {
        *self = Self::new();
    }

    pub fn iter(&self) -> Iter<'_> {
        match self.entries() {
            Entries::Few(entries) => Iter::Few(entries.iter()),
            Entries::Many(tree) => Iter::Many(tree.iter()),
        }
    }

    pub fn iter_mut(&mut self) -> IterMut<'_> {
        match self.entries_mut() {
            Entries::Few(entries) => IterMut::Few(entries.iter_mut()),
            Entries::Many(tree) => IterMut::Many(tree.iter_mut()),
        }
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Text> + ExactSizeIterator + Clone {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.iter_mut().map(|(_, value)| value)
    }

    pub fn into_values(self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.into_iter().map(|(_, value)| value)
    }
}

/// Where the key is: names of fields mostly differ in length already.
fn known(entries: &[(Text, Value)], key: &str) -> Option<usize> {
    if entries.len() > 2 * SCAN {
        return find(entries, key).ok();
    }
    entries.iter().position(|(found, _)| found.len() == key.len() && found.as_bytes() == key.as_bytes())
}

/// Where the key is, or where it would go. The end is tried first: fields mostly come in order.
fn find(entries: &[(Text, Value)], key: &str) -> Result<usize, usize> {
    let Some((last, before)) = entries.split_last() else { return Err(0) };
    match last.0.as_str().cmp(key) {
        Ordering::Less => return Err(entries.len()),
        Ordering::Equal => return Ok(entries.len() - 1),
        Ordering::Greater => {}
    }
    if before.len() > SCAN {
        return before.binary_search_by(|(found, _)| found.as_str().cmp(key));
    }
    for (at, (found, _)) in before.iter().enumerate() {
        match found.as_str().cmp(key) {
            Ordering::Less => {}
            Ordering::Equal => return Ok(at),
            Ordering::Greater => return Err(at),
        }
    }
    Err(before.len())
}

/// A field's place in a map.
pub enum Entry<'m> {
    Occupied(&'m mut Value),
    Vacant(Vacant<'m>),
}

pub struct Vacant<'m>(Place<'m>);

enum Place<'m> {
    Few(&'m mut Vec<(Text, Value)>, usize, Text),
    Many(btree_map::VacantEntry<'m, Text, Value>),
}

impl<'m> Vacant<'m> {
    pub fn insert(self, value: Value) -> &'m mut Value {
        match self.0 {
            Place::Few(entries, at, key) => {
                entries.insert(at, (key, value));
                &mut entries[at].1
            }
            Place::Many(entry) => entry.insert(value),
        }
    }
}

impl<'m> Entry<'m> {
    pub fn or_insert(self, value: Value) -> &'m mut Value {
        self.or_insert_with(|| value)
    }

    pub fn or_insert_with(self, make: impl FnOnce() -> Value) -> &'m mut Value {
        match self {
            Self::Occupied(value) => value,
            Self::Vacant(place) => place.insert(make()),
        }
    }

    pub fn and_modify(mut self, change: impl FnOnce(&mut Value)) -> Self {
        if let Self::Occupied(value) = &mut self {
            change(value);
        }
        self
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.is_copy_of(other) || self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Map {}

impl std::hash::Hash for Map {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|entry| entry.hash(state));
    }
}

impl std::fmt::Debug for Map {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Map {
    /// Of entries with the same key the last one stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Into<Text>, V: Into<Value>> Extend<(K, V)> for Map {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key.into(), value.into());
        }
    }
}

impl<K: Into<Text>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Map {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// Passes the iterator's calls on to whichever it is.
macro_rules! iterator {
    ($name:ident $(<$life:lifetime>)?, $item:ty, $few:ty, $many:ty, $each:expr) => {
        pub enum $name $(<$life>)? {
            Few($few),
            Many($many),
        }

        impl $(<$life>)? Iterator for $name $(<$life>)? {
            type Item = $item;

            fn next(&mut self) -> Option<Self::Item> {
                match self {
                    Self::Few(entries) => entries.next().map($each),
                    Self::Many(entries) => entries.next(),
                }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let left = match self {
                    Self::Few(entries) => entries.len(),
                    Self::Many(entries) => entries.len(),
                };
                (left, Some(left))
            }
        }

        impl $(<$life>)? DoubleEndedIterator for $name $(<$life>)? {
            fn next_back(&mut self) -> Option<Self::Item> {
                match self {
                    Self::Few(entries) => entries.next_back().map($each),
                    Self::Many(entries) => entries.next_back(),
                }
            }
        }

        impl $(<$life>)? ExactSizeIterator for $name $(<$life>)? {}
        impl $(<$life>)? FusedIterator for $name $(<$life>)? {}
    };
}

iterator!(
    Iter<'m>,
    (&'m Text, &'m Value),
    std::slice::Iter<'m, (Text, Value)>,
    btree_map::Iter<'m, Text, Value>,
    |(key, value)| (key, value)
);
iterator!(
    IterMut<'m>,
    (&'m Text, &'m mut Value),
    std::slice::IterMut<'m, (Text, Value)>,
    btree_map::IterMut<'m, Text, Value>,
    |(key, value)| (&*key, value)
);
iterator!(IntoIter, (Text, Value), std::vec::IntoIter<(Text, Value)>, btree_map::IntoIter<Text, Value>, |entry| entry);

impl Clone for Iter<'_> {
    fn clone(&self) -> Self {
        match self {
            Self::Few(entries) => Self::Few(entries.clone()),
            Self::Many(entries) => Self::Many(entries.clone()),
        }
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        match self.into_entries() {
            Entries::Few(entries) => IntoIter::Few(entries.into_iter()),
            Entries::Many(tree) => IntoIter::Many(tree.into_iter()),
        }
    }
}

impl<'m> IntoIterator for &'m Map {
    type Item = (&'m Text, &'m Value);
    type IntoIter = Iter<'m>;

    fn into_iter(self) -> Iter<'m> {
        self.iter()
    }
}

impl<'m> IntoIterator for &'m mut Map {
    type Item = (&'m Text, &'m mut Value);
    type IntoIter = IterMut<'m>;

    fn into_iter(self) -> IterMut<'m> {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::value::json;

    proptest! {
        /// Whatever is done to it, it is the standard library's sorted map.
        #[test]
        fn is_a_sorted_map(steps in prop::collection::vec((0_u8..3, 0_u16..120), 0..400)) {
            let (mut map, mut model) = (Map::new(), BTreeMap::new());
            for (step, number) in steps {
                let (key, value) = (Text::from(format!("key-{number}")), Value::from(number));
                match step {
                    0 | 1 => prop_assert_eq!(map.insert(key.clone(), value.clone()), model.insert(key, value)),
                    _ => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                }
                prop_assert_eq!(map.len(), model.len());
            }
            prop_assert!(map.iter().eq(model.iter()));
            prop_assert!(map.iter().rev().eq(model.iter().rev()));
            for number in 0..120 {
                let key = format!("key-{number}");
                prop_assert_eq!(map.get(&key), model.get(key.as_str()));
            }
            let mut copy = map.clone();
            copy.share();
            let shared = copy.clone();
            prop_assert!(shared == map && shared.is_copy_of(&copy) != map.is_empty());
            copy.insert("another".into(), Value::Null);
            prop_assert!(shared == map && copy.len() == map.len() + 1);
            prop_assert_eq!(copy.remove("another"), Some(Value::Null));
            prop_assert!(shared.into_iter().eq(model));
            prop_assert!(copy == map && !copy.is_copy_of(&map));
        }
    }

    #[test]
    fn a_change_takes_what_leads_to_it_and_leaves_the_rest_shared() {
        let mut pod = json!({"spec": {"nodeName": "n"}, "status": {"conditions": [{"type": "Ready"}]}});
        pod.share();
        let mut changed = pod.clone();
        changed["status"]["conditions"][0]["status"] = "True".into();
        let map = |value: &Value| value.as_object().expect("a map").clone();
        assert!(map(&changed["spec"]).is_copy_of(&map(&pod["spec"])));
        assert!(!map(&changed["status"]).is_copy_of(&map(&pod["status"])));
        assert_eq!(pod["status"], json!({"conditions": [{"type": "Ready"}]}));
    }
}

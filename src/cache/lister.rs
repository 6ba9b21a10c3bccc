//! Reading a shelf: one object, a page of them, how many there are.

use std::ops::Bound;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::index::Index;
use super::object::{Key, Object};
use super::shelf::Shelf;
use crate::codec::wire::Malformed;

/// Which objects to list. The default: all.
#[derive(Clone, Copy, Default)]
pub struct Query<'a> {
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// Only what is found under this value of an index.
    pub index: Option<(&'static Index, &'a str)>,
    /// Only keys greater than this one: the last of the page before.
    pub after: Option<&'a str>,
    /// At most so many objects.
    pub limit: Option<usize>,
    pub predicate: Option<&'a dyn Fn(&Object) -> bool>,
}

/// A part of a list.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<Arc<Object>>,
    /// From where to go on: the last key looked at. `None` at the end. With a predicate the next page may be empty.
    pub next: Option<Key>,
    /// How many follow this page, where that can be told without looking at them: without index and predicate.
    pub remaining: Option<usize>,
}

impl Shelf {
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        if namespace.is_empty() {
            return self.get_key(name);
        }
        self.get_key(&Key::text(namespace, name))
    }

    /// By `namespace/name`, or `name`.
    pub fn get_key(&self, key: &str) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// An object as a Rust type. `None` when there is none, an error when it is not of that type.
    pub fn get_as<T: DeserializeOwned>(&self, namespace: &str, name: &str) -> Result<Option<T>, Malformed> {
        self.get(namespace, name).map(|object| self.typed(object)).transpose()
    }

    /// An object of this shelf as a Rust type.
    pub fn typed<T: DeserializeOwned>(&self, object: &Object) -> Result<T, Malformed> {
        match self.storage.shape.message() {
            Some(message) => object.typed(message),
            None => serde_json::from_slice(&object.bytes).map_err(|_| Malformed::Form),
        }
    }

    /// All objects of a namespace, or of all, in the order of keys.
    pub fn iter(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Object>> {
        self.after(namespace, None)
    }

    /// How many objects there are in a namespace, or in all.
    pub fn count(&self, namespace: Option<&str>) -> usize {
        match namespace {
            None => self.len(),
            Some(_) => self.iter(namespace).count(),
        }
    }

    /// A page of the list. Lists nothing that was put here after the snapshot was taken.
    pub fn list(&self, query: Query<'_>) -> Page {
        let wanted = |object: &&Arc<Object>| query.predicate.is_none_or(|predicate| predicate(object));
        match query.index {
            None => {
                let mut page = page(self.after(query.namespace, query.after), query.limit, wanted);
                if let (Some(next), None) = (&page.next, query.predicate) {
                    page.remaining = Some(self.after(query.namespace, Some(next.as_str())).count());
                }
                page
            }
            Some((index, value)) => {
                let here = |object: &&Arc<Object>| {
                    query.namespace.is_none_or(|namespace| object.namespace() == namespace)
                        && query.after.is_none_or(|after| object.key.as_str() > after)
                };
                page(self.by_index(index, value).filter(here), query.limit, wanted)
            }
        }
    }

    fn after(&self, namespace: Option<&str>, after: Option<&str>) -> impl Iterator<Item = &Arc<Object>> {
        // The byte after '/' ends a namespace's keys.
        let (first, end) = match namespace {
            Some(namespace) => (format!("{namespace}/"), Some(format!("{namespace}0"))),
            None => (String::new(), None),
        };
        let start = match after {
            Some(after) if *after >= *first => Bound::Excluded(after),
            _ => Bound::Included(first.as_str()),
        };
        let end = match &end {
            // A range whose end is before its start is no range.
            Some(end) if after.is_some_and(|after| after >= end.as_str()) => return None.into_iter().flatten(),
            Some(end) => Bound::Excluded(end.as_str()),
            None => Bound::Unbounded,
        };
        Some(self.objects.range::<_, str>((start, end)).map(|(_, object)| object)).into_iter().flatten()
    }
}

fn page<'a>(
    objects: impl Iterator<Item = &'a Arc<Object>>,
    limit: Option<usize>,
    wanted: impl Fn(&&'a Arc<Object>) -> bool,
) -> Page {
    let (mut page, mut last) = (Page::default(), None::<&Key>);
    for object in objects {
        if limit.is_some_and(|limit| page.objects.len() >= limit) {
            page.next = last.cloned();
            break;
        }
        if wanted(&object) {
            page.objects.push(object.clone());
        }
        last = Some(&object.key);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::index::POD_NODE;
    use crate::cache::shelf::ShelfId;
    use crate::cache::testing::{object, storage_of};
    use k8s_openapi::api::core::v1::Pod;

    use crate::model::value::json;

    fn shelf() -> Shelf {
        let mut shelf = Shelf::new(ShelfId(0), Arc::new(storage_of("", "v1", "pods")));
        let pods = [("a", "1", "n1"), ("a", "2", "n2"), ("a-b", "1", "n1"), ("a", "3", "n1"), ("b", "1", "n1")];
        for (revision, (namespace, name, node)) in (1..).zip(pods) {
            let metadata = json!({"namespace": namespace, "name": name});
            shelf.put(object(revision, &json!({"metadata": metadata, "spec": {"nodeName": node}})));
        }
        shelf
    }

    /// The keys of a page, what follows it, and how many that are.
    fn shown(page: Page) -> (String, Option<String>, Option<usize>) {
        let keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
        (keys.join(" "), page.next.map(|key| key.as_str().to_owned()), page.remaining)
    }

    fn list(query: Query<'_>) -> (String, Option<String>, Option<usize>) {
        shown(shelf().list(query))
    }

    #[test]
    fn lists_are_in_the_order_of_the_stores_keys() {
        assert_eq!(list(Query::default()), ("a-b/1 a/1 a/2 a/3 b/1".into(), None, None));
        assert_eq!(list(Query { namespace: Some("a"), ..Query::default() }), ("a/1 a/2 a/3".into(), None, None));
        assert_eq!(list(Query { namespace: Some("c"), ..Query::default() }).0, "");
        assert_eq!((shelf().count(Some("a")), shelf().count(None)), (3, 5));
    }

    #[test]
    fn pages_follow_one_another() {
        let page = |after| list(Query { after, limit: Some(2), ..Query::default() });
        assert_eq!(page(None), ("a-b/1 a/1".into(), Some("a/1".into()), Some(3)));
        assert_eq!(page(Some("a/1")), ("a/2 a/3".into(), Some("a/3".into()), Some(1)));
        assert_eq!(page(Some("a/3")), ("b/1".into(), None, None));
        let within = |after| list(Query { namespace: Some("a"), after: Some(after), ..Query::default() }).0;
        assert_eq!((within("a/2"), within("A"), within("z")), ("a/3".into(), "a/1 a/2 a/3".into(), String::new()));
    }

    #[test]
    fn predicates_and_indexes_choose() {
        let odd = |object: &Object| object.name() != "2";
        let query = Query { predicate: Some(&odd), limit: Some(3), ..Query::default() };
        assert_eq!(list(query), ("a-b/1 a/1 a/3".into(), Some("a/3".into()), None));
        let on = Query { index: Some((&POD_NODE, "n1")), ..Query::default() };
        assert_eq!(list(on).0, "a-b/1 a/1 a/3 b/1");
        assert_eq!(list(Query { namespace: Some("a"), after: Some("a/1"), ..on }).0, "a/3");
        assert_eq!(list(Query { limit: Some(1), ..on }), ("a-b/1".into(), Some("a-b/1".into()), None));
    }

    #[test]
    fn reads_are_typed_on_demand() {
        let shelf = shelf();
        let pod: Pod = shelf.get_as("a", "2").expect("a Pod").expect("is there");
        assert_eq!(pod.metadata.resource_version.as_deref(), Some("2"));
        assert!(shelf.get_as::<Pod>("a", "9").expect("no error").is_none());
        assert!(shelf.get_as::<Vec<u8>>("a", "2").is_err());
    }
}

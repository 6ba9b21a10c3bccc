//! How many watches a write concerns: what its estimate is made from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;

use crate::auth::authorizer::Resource;
use crate::auth::selected::Operator;

/// Pods are watched by their nodes, each of which sees few of them.
const INDEXED: (&str, &str) = ("pods", "spec.nodeName");

/// The watches under way.
#[derive(Clone, Debug, Default)]
pub struct Watches(Arc<Mutex<HashMap<Watched, u64>>>);

/// What a watch looks at, selectors left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Watched {
    group: CompactString,
    resource: CompactString,
    /// Empty for all.
    namespace: CompactString,
    name: CompactString,
}

/// A watch under way, until it is dropped.
#[derive(Debug)]
pub struct Watching {
    watches: Watches,
    /// `None`: it does not count.
    watched: Option<Watched>,
}

impl Watches {
    pub fn begin(&self, asked: &Resource<'_>) -> Watching {
        let watched = (!is_of_one_node(asked)).then(|| Watched::of(asked, asked.namespace, asked.name));
        if let Some(watched) = &watched {
            *self.lock().entry(watched.clone()).or_insert(0) += 1;
        }
        Watching { watches: self.clone(), watched }
    }

    /// Watches that may be told of a write to this.
    pub fn concerned(&self, asked: &Resource<'_>) -> u64 {
        let counts = self.lock();
        if counts.is_empty() {
            return 0;
        }
        let mut watched = Watched::of(asked, "", "");
        let count = |watched: &Watched| counts.get(watched).copied().unwrap_or(0);
        let mut sum = count(&watched);
        if !asked.namespace.is_empty() {
            watched.namespace = asked.namespace.into();
            sum += count(&watched);
        }
        if !asked.name.is_empty() {
            watched.name = asked.name.into();
            sum += count(&watched);
        }
        sum
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn of(asked: &Resource<'_>, namespace: &str, name: &str) -> Self {
        Self {
            group: asked.group.into(),
            resource: asked.resource.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let Some(watched) = self.watched.take() else { return };
        let mut counts = self.watches.lock();
        if let Some(count) = counts.get_mut(&watched) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&watched);
            }
        }
    }
}

/// Whether a watch sees the pods of one node only: a write concerns one such at most.
fn is_of_one_node(asked: &Resource<'_>) -> bool {
    let by_node = |field: &crate::auth::selected::Requirement| {
        field.key == INDEXED.1
            && field.operator == Operator::In
            && matches!(field.values.as_slice(), [value] if !value.is_empty())
    };
    asked.resource == INDEXED.0 && asked.fields.iter().any(by_node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::selected::Requirement;

    fn at(namespace: &'static str, name: &'static str) -> Resource<'static> {
        Resource { resource: "pods", namespace, name, ..Resource::default() }
    }

    #[test]
    fn a_write_concerns_who_sees_its_object() {
        let watches = Watches::default();
        let all = watches.begin(&at("", ""));
        let _here = watches.begin(&at("a", ""));
        let _one = watches.begin(&at("a", "x"));
        let _there = watches.begin(&at("b", ""));
        assert_eq!(watches.concerned(&at("a", "x")), 3);
        assert_eq!(watches.concerned(&at("a", "")), 2);
        assert_eq!(watches.concerned(&at("c", "x")), 1);
        drop(all);
        assert_eq!(watches.concerned(&at("c", "x")), 0);
        assert_eq!(watches.concerned(&Resource { resource: "nodes", ..at("", "") }), 0);
    }

    #[test]
    fn nodes_that_watch_their_own_pods_do_not_count() {
        let watches = Watches::default();
        let field = |value: &str| {
            vec![Requirement { key: INDEXED.1.into(), operator: Operator::In, values: vec![value.into()] }]
        };
        let (node, none) = (field("n1"), field(""));
        let _node = watches.begin(&Resource { fields: &node, ..at("", "") });
        assert_eq!(watches.concerned(&at("a", "")), 0);
        let _unbound = watches.begin(&Resource { fields: &none, ..at("", "") });
        assert_eq!(watches.concerned(&at("a", "")), 1);
    }
}

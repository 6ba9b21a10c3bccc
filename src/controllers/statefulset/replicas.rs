//! The pods of a set by their numbers.

use std::collections::{BTreeMap, HashSet};

use super::pod::number;
use crate::cache::index::{ORPHAN_POD, OWNER};
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::controllers::harness::Cx;
use crate::controllers::history::HASH;
use crate::controllers::item::Item;
use crate::controllers::owner;
use crate::controllers::pods::Pod;
use crate::controllers::resources::PODS;
use crate::model::selector::label::Selector;
use crate::model::status::Result;
use crate::model::time::Time;

pub struct Replicas<'a> {
    /// One place for each number that is wanted.
    pub wanted: Vec<(i64, Option<Pod<'a>>)>,
    /// Pods with other numbers, the highest first.
    pub condemned: Vec<(i64, Pod<'a>)>,
    pub min_ready: i64,
    pub now: Time,
}

impl<'a> Replicas<'a> {
    /// Lets go of pods that are not selected any more, and takes in orphans that are and have the set's name.
    pub async fn claim(cx: &Cx, set: &Item, selector: &Selector, shelf: &'a Shelf) -> Result<Self> {
        let is_member = |pod: &Object| {
            number(pod.name()).is_some_and(|(parent, _)| parent == set.name()) && owner::selected(selector, pod)
        };
        let target = |pod: &'a Object| PODS.at(pod.namespace(), pod.name());
        let mut pods: BTreeMap<i64, Pod<'a>> = BTreeMap::new();
        let mut add = |pod: Pod<'a>| number(pod.object.name()).map(|(_, number)| pods.insert(number, pod));
        let owned =
            shelf.by_index(&OWNER, set.uid()).filter(|pod| pod.controller().is_some_and(|o| o.uid == set.uid()));
        for pod in owned.filter_map(|object| Pod::new(shelf, object)) {
            if is_member(pod.object) {
                add(pod);
            } else if !set.is_deleting() {
                owner::release(cx, set, target(pod.object), &pod.object.uid()).await?;
            }
        }
        let orphans = shelf.by_index(&ORPHAN_POD, set.namespace()).filter_map(|object| Pod::new(shelf, object));
        for pod in orphans.filter(|pod| !set.is_deleting() && !pod.deleting && is_member(pod.object)) {
            owner::may_adopt(cx, set).await?;
            owner::adopt(cx, set, target(pod.object), &pod.object.uid()).await?;
            add(pod);
        }
        let start = set.spec()["ordinals"]["start"].as_i64().unwrap_or(0);
        let end = start + set.spec()["replicas"].as_i64().unwrap_or(1);
        let wanted = (start..end).map(|number| (number, pods.remove(&number))).collect();
        let condemned = pods.into_iter().rev().collect();
        let min_ready = set.spec()["minReadySeconds"].as_i64().unwrap_or(0);
        Ok(Self { wanted, condemned, min_ready, now: cx.now() })
    }

    pub fn all(&self) -> impl Iterator<Item = &Pod<'a>> {
        self.wanted.iter().filter_map(|(_, pod)| pod.as_ref()).chain(self.condemned.iter().map(|(_, pod)| pod))
    }

    pub fn is_available(&self, pod: &Pod<'_>) -> bool {
        pod.is_available(self.min_ready, self.now)
    }

    /// The lowest number without a pod that can be used: of those wanted, then of the others.
    pub fn first_unavailable(&self) -> Option<i64> {
        let is_missing = |pod: &Pod<'_>| !self.is_available(pod) || pod.deleting;
        let wanted = self.wanted.iter().find(|(_, pod)| pod.as_ref().is_none_or(is_missing)).map(|(number, _)| *number);
        let condemned = || self.condemned.iter().rev().find(|(_, pod)| is_missing(pod)).map(|(number, _)| *number);
        wanted.or_else(condemned)
    }

    /// The names of the revisions that pods were made from.
    pub fn revisions(&self) -> HashSet<String> {
        self.all().map(revision).collect()
    }
}

/// The name of the revision that a pod was made from.
pub fn revision(pod: &Pod<'_>) -> String {
    pod.object.label(HASH).unwrap_or_default().into_owned()
}

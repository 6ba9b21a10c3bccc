//! The ReplicaSets of a deployment.

use std::cmp::Ordering;

use super::hash::LABEL;
use super::revision::{DESIRED, MAX};
use crate::cache::shelf::Shelf;
use crate::controllers::harness::Cx;
use crate::controllers::item::{Item, time};
use crate::controllers::owner;
use crate::controllers::resources::REPLICA_SETS;
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::status::Result;
use crate::model::value::{Map, Value};

/// A ReplicaSet.
#[derive(Clone)]
pub struct Set(pub Item);

impl Set {
    /// `spec.replicas`.
    pub fn replicas(&self) -> i64 {
        self.0.spec()["replicas"].as_i64().unwrap_or(1)
    }

    /// A count of its status.
    pub fn counted(&self, field: &str) -> i64 {
        self.0.status()[field].as_i64().unwrap_or(0)
    }

    pub fn available(&self) -> i64 {
        self.counted("availableReplicas")
    }

    /// The size of the deployment when it last got its own.
    pub fn desired(&self) -> Option<i64> {
        self.size_annotation(DESIRED)
    }

    /// The same with the surge.
    pub fn max(&self) -> Option<i64> {
        self.size_annotation(MAX)
    }

    fn size_annotation(&self, key: &str) -> Option<i64> {
        let text = object::annotation(&self.0.value, key)?;
        text.parse::<u32>().ok().map(i64::from).filter(|size| *size <= i64::from(i32::MAX))
    }

    /// By age, then by name.
    pub fn by_age(&self, other: &Self) -> Ordering {
        let born = |set: &Self| time(&set.0.value["metadata"]["creationTimestamp"]);
        born(self).cmp(&born(other)).then_with(|| self.0.name().cmp(other.0.name()))
    }
}

/// Its own, the oldest first: those that it controls and selects. It lets go of others, and takes in selected orphans.
pub async fn claim(cx: &Cx, deployment: &Item, selector: &Selector, shelf: &Shelf) -> Result<Vec<Set>> {
    let mut sets = Vec::new();
    let mut may_adopt = false;
    for object in shelf.iter(Some(deployment.namespace())) {
        let target = REPLICA_SETS.at(object.namespace(), object.name());
        match object.controller() {
            Some(owner) if owner.uid != deployment.uid() => {}
            Some(_) if owner::selected(selector, object) => sets.push(Set(Item::new(shelf, object)?)),
            Some(_) if deployment.is_deleting() => {}
            Some(_) => owner::release(cx, deployment, target, &object.uid()).await?,
            None if deployment.is_deleting() || object.is_deleting() || !owner::selected(selector, object) => {}
            None => {
                if !may_adopt {
                    owner::may_adopt(cx, deployment).await?;
                    may_adopt = true;
                }
                owner::adopt(cx, deployment, target, &object.uid()).await?;
                let adopted = cx.get(target).await?;
                sets.push(Set(Item::new(shelf, &adopted)?));
            }
        }
    }
    sets.sort_by(Set::by_age);
    Ok(sets)
}

/// The oldest with the deployment's template.
pub fn newest(deployment: &Item, sets: &[Set]) -> Option<usize> {
    let wanted = without_hash(&deployment.spec()["template"]);
    sets.iter().position(|set| without_hash(&set.0.spec()["template"]) == wanted)
}

/// A template as users write it.
pub fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    let emptied = |fields: Option<&mut Value>, field: &str| {
        let Some(fields) = fields.and_then(Value::as_object_mut) else { return };
        if fields.get(field).and_then(Value::as_object).is_some_and(Map::is_empty) {
            fields.remove(field);
        }
    };
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(LABEL);
    }
    emptied(template.get_mut("metadata"), "labels");
    emptied(Some(&mut template), "metadata");
    template
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn templates_are_the_same_whatever_their_hash() {
        let plain = json!({"metadata": {"labels": {"a": "b"}}, "spec": {}});
        let hashed = json!({"metadata": {"labels": {"a": "b", LABEL: "x"}}, "spec": {}});
        assert_eq!(without_hash(&hashed), plain);
        assert_eq!(without_hash(&json!({"metadata": {"labels": {LABEL: "x"}}, "spec": {}})), json!({"spec": {}}));
    }
}

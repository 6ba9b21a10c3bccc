//! What a workload's pods were made from before: ControllerRevisions, each a pod template with a number.

use super::deployment::hash::{set_name, template_hash};
use super::harness::Cx;
use super::item::Item;
use super::resources::CONTROLLER_REVISIONS;
use crate::cache::index::OWNER;
use crate::cache::shelf::Shelf;
use crate::codec::json::dense::expand;
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Map, Value, json};
use crate::registry::options::DeleteOptions;
use crate::schema::table;

/// The label by which pods and revisions name a template.
pub const HASH: &str = "controller-revision-hash";

/// The revisions of an owner.
pub struct History {
    pub current: Item,
    /// The others, oldest first.
    pub old: Vec<Item>,
}

impl History {
    /// The owner's history, in which its template is the newest entry: it is made, or made the newest one.
    /// `label` is that of its entries which holds their hash.
    pub async fn open(cx: &Cx, owner: &Item, shelf: &Shelf, label: &str) -> Result<Self> {
        let (data, mut all) = (data(owner), list(owner, shelf)?);
        let newest = all.last().map_or(0, number);
        let Some(at) = all.iter().rposition(|revision| is_same(&revision.value["data"].opened(), &data)) else {
            let current = create(cx, owner, data, newest + 1, label).await?;
            return Ok(Self { current, old: all });
        };
        let mut current = all.remove(at);
        let newest_old = all.last().map_or(0, number);
        if number(&current) <= newest_old {
            current.value["revision"] = (newest_old + 1).into();
            let written = cx.update(current.target(), &current.value).await?;
            current = Item::of(&current.storage, &written.object)?;
        }
        Ok(Self { current, old: all })
    }

    pub fn hash(&self) -> &str {
        hash(&self.current)
    }

    /// Deletes the oldest beyond `spec.revisionHistoryLimit` that are not in use.
    pub async fn truncate(&self, cx: &Cx, owner: &Item, is_used: impl Fn(&Item) -> bool) -> Result<()> {
        let keep = owner.spec()["revisionHistoryLimit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
        let unused: Vec<&Item> = self.old.iter().filter(|revision| !is_used(revision)).collect();
        let excess = unused.len().saturating_sub(keep.unwrap_or(10));
        for revision in unused.into_iter().take(excess) {
            cx.delete(revision.target(), &DeleteOptions::default()).await.unless_gone()?;
        }
        Ok(())
    }
}

/// Its number, at least 1.
pub fn number(revision: &Item) -> i64 {
    revision.value["revision"].as_i64().unwrap_or(0)
}

/// By what pods name it.
pub fn hash(revision: &Item) -> &str {
    object::label(&revision.value, HASH).unwrap_or(revision.name())
}

/// The template that it keeps.
pub fn template(revision: &Item) -> Value {
    let mut template = revision.value["data"].opened()["spec"]["template"].take();
    template.as_object_mut().and_then(|template| template.remove("$patch"));
    template
}

fn list(owner: &Item, shelf: &Shelf) -> Result<Vec<Item>> {
    let owned = shelf.by_index(&OWNER, owner.uid());
    let owned = owned.filter(|revision| revision.controller().is_some_and(|by| by.uid == owner.uid()));
    let mut all = owned.map(|revision| Item::new(shelf, revision)).collect::<Result<Vec<_>>>()?;
    all.sort_by_key(|revision| (number(revision), revision.name().to_owned()));
    Ok(all)
}

/// A patch that takes the owner back to its template, as the API writes it: clients compare it with their own, byte by
/// byte, and there it has structs that are empty (`resources: {}`).
fn data(owner: &Item) -> Value {
    let mut template = owner.spec()["template"].clone();
    if let Some(shape) = table::message("k8s.io.api.core.v1.PodTemplateSpec") {
        template = expand(&template, shape);
    }
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// Whether two say the same. Some writers leave out what is empty, others do not.
fn is_same(one: &Value, other: &Value) -> bool {
    fn dense(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.clone(), dense(value)));
                let empty = [Value::Null, json!({}), json!([])];
                fields.filter(|(_, value)| !empty.contains(value)).collect::<Map>().into()
            }
            Value::Array(items) => items.iter().map(dense).collect(),
            other => other.clone(),
        }
    }
    dense(one) == dense(other)
}

async fn create(cx: &Cx, owner: &Item, data: Value, number: i64, label: &str) -> Result<Item> {
    let collisions = owner.status()["collisionCount"].as_i64();
    let template = &owner.spec()["template"];
    let hash = template_hash(template, collisions);
    let name = set_name(owner.name(), &hash);
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(label.into(), hash.into());
    let metadata = json!({
        "name": name,
        "namespace": owner.namespace(),
        "labels": labels,
        "annotations": owner.value["metadata"]["annotations"],
        "ownerReferences": [owner.controller_reference()],
    });
    let target = CONTROLLER_REVISIONS.at(owner.namespace(), &name);
    let revision = json!({"metadata": metadata, "data": data, "revision": number});
    match cx.create(target, &revision).await {
        Ok(written) => item(cx, &written.object),
        Err(status) if status.is_already_exists() => {
            let there = item(cx, cx.get(target).await?.as_ref())?;
            if is_same(&there.value["data"].opened(), &data) {
                return Ok(there);
            }
            // Another template took the name: the next one is another.
            let mut owner = owner.clone();
            owner.value["status"]["collisionCount"] = (collisions.unwrap_or(0) + 1).into();
            cx.update(owner.target().part("status"), &owner.value).await?;
            Err(status)
        }
        Err(status) => Err(status),
    }
}

fn item(cx: &Cx, object: &crate::cache::object::Object) -> Result<Item> {
    let cut = cx.cut(&[&CONTROLLER_REVISIONS])?;
    Item::of(&cut.shelf(&CONTROLLER_REVISIONS).storage, object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_says_nothing() {
        let one = json!({"spec": {"a": [{"x": null}, 1], "b": {}}});
        assert!(is_same(&one, &json!({"spec": {"a": [{}, 1]}})));
        assert!(!is_same(&one, &json!({"spec": {"a": [1, {}]}})));
    }
}

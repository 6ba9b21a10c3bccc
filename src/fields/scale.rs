//! The list of managers as the scale subresource shows it, and back: who owns the replicas.

use super::managed::{self, Entry, Fields};
use super::path::Element;
use super::set::Set;
use crate::model::value::Value;

/// Where the replicas stand, by the `apiVersion` of the scaled object; `None` where a version has none. Managers of
/// other versions are forgotten.
pub type Replicas<'a> = [(&'a str, Option<&'a [&'a str]>)];

const SCALE: &str = "autoscaling/v1";
const IN_SCALE: [&str; 2] = ["spec", "replicas"];

/// The list of the Scale: those managers of the scaled object that own its replicas.
pub fn to_scale(list: Option<&Value>, replicas: &Replicas<'_>) -> Result<Option<Value>, String> {
    let mut owners = Vec::new();
    for mut entry in read(list)? {
        let Some(path) = path(replicas, &entry.api_version).flatten() else { continue };
        if owns(&entry, &path) {
            entry.api_version = SCALE.into();
            entry.fields = Fields::Set(Set::of_fields([&IN_SCALE[..]]));
            owners.push(entry);
        }
    }
    Ok(managed::write(owners))
}

/// The list of the scaled object, written in `api_version`, after its Scale was written with the list `scale`.
pub fn to_parent(
    parent: Option<&Value>,
    scale: Option<&Value>,
    api_version: &str,
    replicas: &Replicas<'_>,
) -> Result<Option<Value>, String> {
    let (parents, mut scales) = (read(parent)?, read(scale)?);
    let mut entries = Vec::new();
    for mut entry in parents.clone() {
        let Some(path) = path(replicas, &entry.api_version) else { continue };
        let Some(path) = path.filter(|path| owns(&entry, path)) else {
            entries.push(entry);
            continue;
        };
        // A manager that updates is another in another version: its entry of the Scale is told apart from this one.
        if let Some(at) = scales.iter().position(|scale| scale.is_manager(&entry)) {
            scales.remove(at);
            entries.push(entry);
            continue;
        }
        let mut gone = Set::new();
        gone.insert(&path);
        entry.fields = Fields::Set(entry.fields.into_set()?.difference(&gone));
        if !entry.fields.is_empty() {
            entries.push(entry);
        }
    }
    let in_scale = IN_SCALE.map(Element::field);
    let own = path(replicas, api_version).flatten().unwrap_or_default();
    for mut entry in scales.into_iter().filter(|entry| owns(entry, &in_scale)) {
        entries.retain(|other| !other.is_manager(&entry));
        entry.time = parents.iter().find(|parent| parent.is_manager(&entry)).and_then(|parent| parent.time.clone());
        let mut set = Set::new();
        set.insert(&own);
        entry.fields = Fields::Set(set);
        entries.push(entry);
    }
    for entry in entries.iter_mut().filter(|entry| entry.api_version == SCALE) {
        entry.api_version = api_version.to_owned();
    }
    Ok(managed::write(entries))
}

fn read(list: Option<&Value>) -> Result<Vec<Entry>, String> {
    managed::read(list.cloned().unwrap_or(Value::Null), true)
}

/// `None`: the version is not known.
fn path(replicas: &Replicas<'_>, api_version: &str) -> Option<Option<Vec<Element>>> {
    let (_, path) = replicas.iter().find(|(version, _)| *version == api_version)?;
    Some(path.map(|path| path.iter().map(|name| Element::field(name)).collect()))
}

fn owns(entry: &Entry, path: &[Element]) -> bool {
    matches!(&entry.fields, Fields::Set(set) if set.has(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    const REPLICAS: &Replicas<'_> = &[("apps/v1", Some(&["spec", "replicas"])), ("apps/v0", None)];

    fn entry(manager: &str, operation: &str, api_version: &str, fields: Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": api_version, "fieldsType": "FieldsV1",
            "time": "2024-01-01T00:00:00Z", "fieldsV1": fields,
        })
    }

    #[test]
    fn owners_of_the_replicas_pass_to_the_scale_and_back() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let both = json!({"f:spec": {"f:paused": {}, "f:replicas": {}}});
        let parent = json!([
            entry("applier", "Apply", "apps/v1", both.clone()),
            entry("old", "Update", "apps/v0", replicas.clone()),
            entry("updater", "Update", "apps/v1", both.clone()),
        ]);
        let scale = to_scale(Some(&parent), REPLICAS).expect("readable");
        let expected = json!([
            entry("applier", "Apply", "autoscaling/v1", replicas.clone()),
            entry("updater", "Update", "autoscaling/v1", replicas.clone()),
        ]);
        assert_eq!(scale.as_ref().map(Value::opened), Some(expected));

        let back = to_parent(Some(&parent), scale.as_ref(), "apps/v1", REPLICAS).expect("readable").expect("managers");
        let mut moved = entry("updater", "Update", "apps/v1", replicas.clone());
        moved.as_object_mut().map(|map| map.remove("time"));
        let expected = json!([
            entry("applier", "Apply", "apps/v1", both),
            moved,
            entry("old", "Update", "apps/v0", replicas),
            entry("updater", "Update", "apps/v1", json!({"f:spec": {"f:paused": {}}})),
        ]);
        assert_eq!(back.opened(), expected);
    }
}

//! What a write does to an object's metadata beyond its kind's strategy: identity, place, deletion.

use crate::base::entropy::Entropy;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::schema::resource::Resource;

/// The longest name made from a `generateName`: a prefix beyond 58 bytes is cut.
const MAX_GENERATED_PREFIX: usize = 58;

/// The finalizers that say what becomes of dependents.
pub const ORPHAN: &str = "orphan";
pub const FOREGROUND: &str = "foregroundDeletion";

/// Gives a new object its uid, its creation time and, from `generateName`, its name: as it stands when `literal`.
pub fn init(object: &mut Value, now: Time, entropy: &Entropy, literal: bool) {
    object::set_meta(object, "creationTimestamp", now.to_text().as_str().into());
    object::set_meta(object, "uid", entropy.uid().into());
    object::set_meta(object, "deletionTimestamp", Value::Null);
    object::set_meta(object, "deletionGracePeriodSeconds", Value::Null);
    object::set_meta(object, "selfLink", Value::Null);
    if object::name(object).is_empty() && !object::meta_str(object, "generateName").is_empty() {
        if literal {
            let name = object::meta_str(object, "generateName").to_owned();
            object::set_meta(object, "name", name.into());
        } else {
            generate_name(object, entropy);
        }
    }
}

/// Sets the name from `generateName`.
pub fn generate_name(object: &mut Value, entropy: &Entropy) {
    let prefix = object::meta_str(object, "generateName");
    let cut = (0..=prefix.len().min(MAX_GENERATED_PREFIX)).rev().find(|at| prefix.is_char_boundary(*at)).unwrap_or(0);
    let name = format!("{}{}", &prefix[..cut], entropy.name_suffix());
    object::set_meta(object, "name", name.into());
}

/// Puts the request's namespace and name into the body, or says how they disagree.
pub fn place(object: &mut Value, resource: &Resource, namespace: &str) -> Result<()> {
    let given = object::namespace(object);
    if !resource.namespaced {
        object::set_meta(object, "namespace", Value::Null);
        return Ok(());
    }
    if given.is_empty() {
        object::set_meta(object, "namespace", namespace.into());
    } else if given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    Ok(())
}

/// The body of a PUT must be of the object that the URL names.
pub fn same_name(body: &Value, name: &str) -> Result<()> {
    match object::name(body) {
        "" => {
            let why = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
            Err(Status::bad_request(why))
        }
        given if given != name => {
            let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            Err(Status::bad_request(why))
        }
        _ => Ok(()),
    }
}

/// Whether an update that empties the finalizers of a dying object ends it.
pub fn ends_with(new: &Value, old: &Value) -> bool {
    let grace = object::metadata(old).and_then(|m| m.get("deletionGracePeriodSeconds")).and_then(Value::as_i64);
    object::is_deleting(old) && object::finalizers(new).next().is_none() && grace.unwrap_or(0) == 0
}

/// Marks an object that finalizers hold as dying now.
pub fn mark_deleting(object: &mut Value, now: Time) {
    let since = object::meta_str(object, "deletionTimestamp");
    let already = Time::parse(since).is_ok_and(|since| since <= now);
    if since.is_empty() && object::generation(object) > 0 {
        let next = object::generation(object) + 1;
        object::set_meta(object, "generation", next.into());
    }
    if !already {
        object::set_meta(object, "deletionTimestamp", now.to_text().as_str().into());
    }
    object::set_meta(object, "deletionGracePeriodSeconds", 0.into());
}

/// Drops each owner that stands there before; their uids.
pub fn drop_repeated_owners(object: &mut Value) -> Vec<String> {
    let owners = object::metadata_mut(object).and_then(|meta| meta.get_mut("ownerReferences"));
    let Some(owners) = owners.and_then(Value::as_array_mut).filter(|owners| owners.len() > 1) else {
        return Vec::new();
    };
    let (mut kept, mut twice) = (Vec::with_capacity(owners.len()), Vec::new());
    for owner in std::mem::take(owners) {
        if kept.contains(&owner) {
            twice.push(owner["uid"].as_str().unwrap_or("").to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    twice
}

/// Sets the finalizers, or removes the field when there are none.
pub fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    object::set_meta(object, "finalizers", if finalizers.is_empty() { Value::Null } else { json!(finalizers) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).expect("a time")
    }

    #[test]
    fn an_owner_is_named_once() {
        let owner = |name: &str| json!({"uid": "u", "name": name});
        let mut object = json!({"metadata": {"ownerReferences": [owner("a"), owner("b"), owner("a")]}});
        assert_eq!(drop_repeated_owners(&mut object), ["u"]);
        assert_eq!(object["metadata"]["ownerReferences"], json!([owner("a"), owner("b")]));
    }

    #[test]
    fn a_held_object_dies_once() {
        let mut object = json!({"metadata": {"generation": 1, "finalizers": ["a/b"]}});
        mark_deleting(&mut object, time("2026-01-01T00:00:00Z"));
        mark_deleting(&mut object, time("2026-01-01T01:00:00Z"));
        assert_eq!(object["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
        assert_eq!(object["metadata"]["generation"], 2);
        assert!(!ends_with(&object, &object));
        set_finalizers(&mut object, &[]);
        assert!(ends_with(&object, &object));
    }
}

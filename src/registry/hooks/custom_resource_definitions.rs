//! A definition that is deleted waits for its objects: a finalizer holds it, and its status says so.

use async_trait::async_trait;

use super::KindHooks;
use crate::model::object;
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::rules::custom_resource_definition::status::{DOOMED, FINALIZER, set};

pub struct CustomResourceDefinitions;

#[async_trait]
impl KindHooks for CustomResourceDefinitions {
    fn resource(&self) -> (&'static str, &'static str) {
        ("apiextensions.k8s.io", "customresourcedefinitions")
    }

    fn judge_delete(&self, value: &Value, now: Time) -> Option<Value> {
        if object::is_deleting(value) {
            return None;
        }
        let mut held = value.clone();
        object::set_meta(&mut held, "deletionTimestamp", now.to_text().as_str().into());
        let mut finalizers: Vec<&str> = object::finalizers(value).collect();
        if !finalizers.contains(&FINALIZER) {
            finalizers.push(FINALIZER);
        }
        object::set_meta(&mut held, "finalizers", json!(finalizers));
        set(&mut held, DOOMED, now);
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_held_once() {
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let held = CustomResourceDefinitions.judge_delete(&json!({"metadata": {"name": "a.b"}}), now).expect("held");
        assert_eq!(held["metadata"]["finalizers"], json!([FINALIZER]));
        assert_eq!(held["status"]["conditions"][0]["reason"], "InstanceDeletionPending");
        assert_eq!(CustomResourceDefinitions.judge_delete(&held, now), None);
    }
}

//! A namespace is deleted in two steps: it becomes Terminating, and ends when `spec.finalizers` is empty.

use async_trait::async_trait;

use super::KindHooks;
use crate::model::object;
use crate::model::time::Time;
use crate::model::value::{Value, json};

pub struct Namespaces;

#[async_trait]
impl KindHooks for Namespaces {
    fn resource(&self) -> (&'static str, &'static str) {
        ("", "namespaces")
    }

    fn judge_delete(&self, value: &Value, now: Time) -> Option<Value> {
        if object::is_deleting(value) && self.may_end(value) {
            return None;
        }
        let mut held = value.clone();
        if !object::is_deleting(value) {
            object::set_meta(&mut held, "deletionTimestamp", now.to_text().as_str().into());
            held["status"] = value.get("status").cloned().unwrap_or_else(|| json!({}));
            held["status"]["phase"] = "Terminating".into();
        }
        Some(held)
    }

    fn may_end(&self, value: &Value) -> bool {
        value["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_ends_when_its_content_has() {
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let active = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}});
        let held = Namespaces.judge_delete(&active, now).expect("held");
        assert_eq!(held["status"]["phase"], "Terminating");
        assert_eq!(Namespaces.judge_delete(&held, now), Some(held.clone()));
        let empty = json!({"metadata": held["metadata"], "status": held["status"]});
        assert_eq!(Namespaces.judge_delete(&empty, now), None);
    }
}

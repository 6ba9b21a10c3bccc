//! Pods as their controllers see them.

use std::sync::Arc;

use super::events::Kind;
use super::harness::Cx;
use super::item::{Item, view};
use super::resources::PODS;
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::codec::protobuf::view::View;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Map, Value, json};
use crate::registry::options::DeleteOptions;

/// The longest prefix of a pod's generated name that is used with a dash: a pod's name has at most 253 bytes.
const MAX_PREFIX: usize = 253;

/// A pod, and what is asked of it most.
#[derive(Clone, Copy)]
pub struct Pod<'a> {
    pub object: &'a Arc<Object>,
    pub view: View<'a>,
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`, or empty.
    pub phase: &'a str,
    pub deleting: bool,
    pub ready: bool,
    /// Since when the Ready condition says what it says.
    pub ready_since: Option<Time>,
}

impl<'a> Pod<'a> {
    /// `None`: it is no built-in object.
    pub fn new(shelf: &Shelf, object: &'a Arc<Object>) -> Option<Self> {
        let view = view(shelf, object)?;
        let status = view.at("status");
        let condition = status.items("conditions").find(|condition| condition.text("type") == "Ready");
        Some(Self {
            object,
            view,
            phase: status.text("phase"),
            deleting: object.is_deleting(),
            ready: condition.is_some_and(|condition| condition.text("status") == "True"),
            ready_since: condition.and_then(|condition| condition.time("lastTransitionTime")),
        })
    }

    /// Its containers have ended for good.
    pub fn is_done(&self) -> bool {
        matches!(self.phase, "Succeeded" | "Failed")
    }

    /// It runs, or may yet.
    pub fn is_active(&self) -> bool {
        !self.is_done() && !self.deleting
    }

    /// It is being deleted and has not ended.
    pub fn is_terminating(&self) -> bool {
        !self.is_done() && self.deleting
    }

    /// Whether it has been ready for so many seconds.
    pub fn is_available(&self, min_ready_seconds: i64, now: Time) -> bool {
        self.ready && (min_ready_seconds == 0 || self.available_at(min_ready_seconds).is_some_and(|at| at <= now))
    }

    /// When it has been ready for so many seconds; `None` when it is not ready.
    pub fn available_at(&self, min_ready_seconds: i64) -> Option<Time> {
        let since = self.ready_since.filter(|_| self.ready)?;
        Some(Time { seconds: since.seconds + min_ready_seconds, ..since })
    }

    /// The node that it runs on, empty when it has none.
    pub fn node(&self) -> &'a str {
        self.view.at("spec").text("nodeName")
    }
}

/// A new pod of an owner, made from the owner's pod template.
pub fn from_template(owner: &Item, template: &Value) -> Value {
    let meta = |field: &str| template["metadata"][field].clone();
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if !meta(field).is_null() {
            metadata.insert(field.into(), meta(field));
        }
    }
    metadata.insert("generateName".into(), name_prefix(owner.name()).into());
    metadata.insert("namespace".into(), owner.namespace().into());
    metadata.insert("ownerReferences".into(), json!([owner.controller_reference()]));
    json!({"metadata": metadata, "spec": template["spec"]})
}

/// What the names of an owner's pods begin with.
pub fn name_prefix(owner: &str) -> String {
    if owner.len() < MAX_PREFIX { format!("{owner}-") } else { owner.to_owned() }
}

/// Creates a pod for its owner and says so.
pub async fn create(cx: &Cx, owner: &Item, pod: &Value) -> Result<()> {
    match cx.create(PODS.at(owner.namespace(), object::name(pod)), pod).await {
        Ok(created) => {
            let message = format!("Created pod: {}", created.object.name());
            cx.event(owner.into(), Kind::Normal, "SuccessfulCreate", message);
            Ok(())
        }
        // Its owner goes too.
        Err(status) if is_namespace_terminating(&status) => Ok(()),
        Err(status) => {
            cx.event(owner.into(), Kind::Warning, "FailedCreate", format!("Error creating: {}", status.message));
            Err(status)
        }
    }
}

/// Deletes a pod of an owner and says so. One that is gone already needs nothing.
pub async fn delete(cx: &Cx, owner: &Item, name: &str) -> Result<()> {
    match cx.delete(PODS.at(owner.namespace(), name), &DeleteOptions::default()).await {
        Ok(_) => {
            cx.event(owner.into(), Kind::Normal, "SuccessfulDelete", format!("Deleted pod: {name}"));
            Ok(())
        }
        Err(status) if status.is_not_found() => Ok(()),
        Err(mut status) => {
            cx.event(owner.into(), Kind::Warning, "FailedDelete", format!("Error deleting: {}", status.message));
            status.message = format!("unable to delete pods: {}", status.message);
            Err(status)
        }
    }
}

/// Whether a create was refused because its namespace is going away.
pub fn is_namespace_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pods_begin_with_their_owner() {
        assert_eq!(name_prefix("web"), "web-");
        let long = "x".repeat(MAX_PREFIX);
        assert_eq!(name_prefix(&long), long);
    }
}

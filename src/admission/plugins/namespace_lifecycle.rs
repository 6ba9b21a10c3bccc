//! NamespaceLifecycle: nothing is made in a namespace that is not there or is going away.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use compact_str::CompactString;

use crate::admission::chain::{Attributes, Operation, Plugin};
use crate::admission::reads::Reads;
use crate::cache::object::{Object, Scalar};
use crate::cache::shelf::Shelf;
use crate::model::names::GroupResource;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// How many deletions of namespaces are remembered.
const MAX_DELETED: usize = 100;

pub struct NamespaceLifecycle {
    reads: Reads,
    /// Namespaces that somebody asked to delete lately, oldest first. The cache may still show them as active.
    deleted: Mutex<VecDeque<CompactString>>,
}

impl NamespaceLifecycle {
    pub fn new(reads: &Reads) -> Self {
        Self { reads: reads.clone(), deleted: Mutex::default() }
    }

    /// Whether it is there and going away; `None`: it is not there.
    async fn is_terminating(&self, name: &str, creates: bool) -> Result<Option<bool>> {
        let seen = self.look(name)?;
        let doubtful = seen.is_none() || (creates && seen == Some(false) && self.was_deleted(name));
        if !doubtful {
            return Ok(seen);
        }
        self.reads.fresh().await?;
        self.look(name)
    }

    fn look(&self, name: &str) -> Result<Option<bool>> {
        let shelf = self.reads.shelf("", "namespaces")?;
        Ok(shelf.get("", name).map(|namespace| is_terminating(&shelf, namespace)))
    }

    fn was_deleted(&self, name: &str) -> bool {
        self.deleted.lock().expect("not poisoned").iter().any(|deleted| deleted == name)
    }

    fn remember(&self, name: &str) {
        let mut deleted = self.deleted.lock().expect("not poisoned");
        deleted.retain(|known| known != name);
        if deleted.len() == MAX_DELETED {
            deleted.pop_front();
        }
        deleted.push_back(name.into());
    }
}

fn is_terminating(shelf: &Shelf, namespace: &Object) -> bool {
    matches!(namespace.field(&shelf.storage.shape, &["status", "phase"]), Some(Scalar::Str(phase)) if phase == "Terminating")
}

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        match a.operation {
            Operation::Connect => false,
            Operation::Delete => a.is_any("", "namespaces"),
            // Reviews would tell by their refusal which namespaces there are.
            Operation::Create | Operation::Update => {
                !a.namespace.is_empty()
                    && !a.is_any("", "namespaces")
                    && !a.is_any("authorization.k8s.io", "localsubjectaccessreviews")
            }
        }
    }

    async fn admit(&self, a: &mut Attributes<'_>, _: Option<&mut Value>) -> Result<()> {
        if a.operation == Operation::Delete {
            if IMMORTAL.contains(&a.name) {
                return Err(a.forbid("this namespace may not be deleted"));
            }
            self.remember(a.name);
            return Ok(());
        }
        let Some(terminating) = self.is_terminating(a.namespace, a.creates()).await? else {
            return Err(Status::not_found(&GroupResource::new("", "namespaces"), a.namespace));
        };
        if !terminating || !a.creates() {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {} because it is being terminated", a.namespace);
        let cause = format!("namespace {} is being terminated", a.namespace);
        Err(a.forbid(why).cause("NamespaceTerminating", cause, "metadata.namespace"))
    }
}

//! The system's own priority classes cannot be deleted.

use async_trait::async_trait;

use super::KindHooks;
use crate::model::status::{Result, Status};
use crate::registry::request::Address;

const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

pub struct PriorityClasses;

#[async_trait]
impl KindHooks for PriorityClasses {
    fn resource(&self) -> (&'static str, &'static str) {
        ("scheduling.k8s.io", "priorityclasses")
    }

    fn begin_delete(&self, at: &Address) -> Result<()> {
        if !SYSTEM.contains(&at.name.as_str()) {
            return Ok(());
        }
        let why = "this is a system priority class and cannot be deleted";
        Err(Status::forbidden(&at.resource.name, &at.name, why))
    }
}

//! What a stock API server itself keeps up to date in objects: these run wherever requests are answered, whatever
//! `--controllers` says.
//!
//! In reading order: `flow_schema` (does its level exist), `api_service` (is the server behind it there).

mod api_service;
mod flow_schema;

use std::sync::Arc;

use super::events::{Recorder, Sender};
use super::harness::{Controller, Cx, Plane, Runner};
use crate::auth::identity::User;
use crate::base::tasks::Tasks;
use crate::cache::error::CacheError;
use crate::registry::client::Client;
use crate::registry::core::Registry;

/// The field manager of what they update.
const MANAGER: &str = "kube-apiserver";

/// Starts them, as tasks that end with `tasks`. They write as the API server.
pub fn start(registry: &Registry, tasks: &Tasks, events: &Sender) -> Result<(), CacheError> {
    let all: [(&'static str, Arc<dyn Controller>); 2] = [
        ("flow-schema-status", Arc::new(flow_schema::FlowSchemas)),
        ("api-service-availability", Arc::new(api_service::ApiServices::default())),
    ];
    for (name, controller) in all {
        let client = Client::new(registry, User::new("system:apiserver", &["system:masters"]), MANAGER);
        let recorder = Recorder::new(events.clone(), client.clone(), name);
        let cx = Cx::new(Plane { registry: registry.clone() }, client, recorder);
        let runner = Runner::new(name, controller, cx, 1)?;
        tasks.start(name, |stop| runner.run(stop));
    }
    Ok(())
}

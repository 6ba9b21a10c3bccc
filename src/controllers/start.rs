//! Starting the controllers.

use std::sync::Arc;

use super::config::Config;
use super::events::{Recorder, Sender};
use super::harness::{Cx, Plane, Runner};
use super::table::Row;
use crate::auth::identity::User;
use crate::base::tasks::Tasks;
use crate::cache::error::CacheError;
use crate::registry::client::Client;
use crate::registry::core::Registry;

/// The field manager of all controllers.
pub const AGENT: &str = "kube-controller-manager";

/// Why the controllers cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `--controllers` names what is not there.
    #[error("{0}")]
    Unknown(String),
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Starts the controllers that the configuration chooses, as tasks that end with `tasks`. Everything that they need is
/// the registry's: its cache, its clock, its entropy. What they tell goes to `events`. Call it where the Lease is held, with tasks of its own.
pub fn start(registry: &Registry, tasks: &Tasks, config: &Config, events: &Sender) -> Result<(), StartError> {
    let rows = config.chosen().map_err(StartError::Unknown)?;
    for row in rows {
        let Some(controller) = (row.build)(config) else {
            tracing::info!(controller = row.name, "not started: the configuration lacks what it needs");
            continue;
        };
        let controller: Arc<_> = controller.into();
        let cx = context(registry, row, events);
        let runner = Runner::new(row.name, controller, cx, config.workers(row))?;
        tasks.start(row.name, |stop| runner.run(stop));
    }
    Ok(())
}

fn context(registry: &Registry, row: &Row, events: &Sender) -> Cx {
    let user = match row.account {
        "" => User::new("system:kube-controller-manager", &["system:authenticated"]),
        account => User::controller(account),
    };
    let client = Client::new(registry, user, AGENT);
    let recorder = Recorder::new(events.clone(), client.clone(), row.component());
    Cx::new(Plane { registry: registry.clone() }, client, recorder)
}

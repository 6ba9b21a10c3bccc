//! What keeps the cluster as its objects say: kube-controller-manager's controllers, as tasks over the one cache.
//!
//! A controller owns no state that the objects do not have. It is told of changes by key, reads one consistent snapshot,
//! decides, and writes through the registry as its own service account. It never polls: it sleeps until an object
//! changes or until something that it named itself is due.
//!
//! There are no expectations. After a run has written, its key is parked until the cache shows what it wrote; the next
//! run therefore never acts on a state older than its own writes.
//!
//! To add one: write a file with a type that is a [`harness::Controller`], and add its row to [`table::CONTROLLERS`].
//!
//! ```ignore
//! /// Gives each namespace a ConfigMap named `hello`.
//! pub struct Hello;
//!
//! #[async_trait]
//! impl Controller for Hello {
//!     fn follows(&self) -> Follows {
//!         Follows::these(&[&NAMESPACES, &CONFIG_MAPS])
//!     }
//!
//!     // Called for every object at the start, then for every change. It only says whom to look at.
//!     fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
//!         match change.is_of(&NAMESPACES) {
//!             true => keys.add(change.name()),
//!             false => keys.add(change.namespace()),
//!         }
//!     }
//!
//!     // One run a key at a time. An error is logged and the key tried again later.
//!     async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
//!         let cut = cx.cut(&[&NAMESPACES, &CONFIG_MAPS])?;
//!         if cut.get(&NAMESPACES, "", key).is_some() && cut.get(&CONFIG_MAPS, key, "hello").is_none() {
//!             let target = CONFIG_MAPS.at(key, "hello");
//!             cx.create(target, &json!({"metadata": {"name": "hello", "namespace": key}})).await?;
//!         }
//!         Ok(Next::Done)
//!     }
//! }
//! ```
//!
//! In reading order: `harness` (queue, run, barrier), `table` (which there are), `config`, `start`; `resources` (names),
//! `item` (an object to work on), `owner`, `pods`, `conditions`, `batch`, `history` (what several share); `events` (what users are
//! told); then one file or folder a controller; `serving` (what an API server keeps itself).

pub mod account_tokens;
pub mod aggregation;
pub mod autoscaler;
pub mod batch;
pub mod binder;
pub mod bootstrap;
pub mod certificates;
pub mod conditions;
pub mod config;
pub mod cronjob;
pub mod daemonset;
pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod ephemeral_volume;
pub mod events;
pub mod garbage;
pub mod harness;
pub mod history;
pub mod item;
pub mod job;
pub mod legacy_tokens;
pub mod namespace;
pub mod node;
pub mod owner;
pub mod pod_gc;
pub mod pods;
pub mod protection;
pub mod replicaset;
pub mod resource_claim;
pub mod resourcequota;
pub mod resources;
pub mod root_ca;
pub mod service_account;
pub mod service_cidr;
pub mod serving;
mod start;
pub mod statefulset;
pub mod table;
#[cfg(test)]
pub mod testing;

pub use start::start;

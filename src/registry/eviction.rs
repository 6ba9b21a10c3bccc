//! Eviction: a delete of a pod that its disruption budget must allow.

use std::sync::Arc;

use super::core::Registry;
use super::delete::preconditions;
use super::options::{DeleteOptions, WriteOptions};
use super::request::{Address, Caller, Deleted};
use super::write::{Change, Edited};
use crate::cache::object::Object;
use crate::model::condition;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Map, Value, json};

/// The condition of a budget that says whether it allows a disruption.
pub const CONDITION: &str = "DisruptionAllowed";
/// Pods on their way out that one budget remembers (stock's bound).
const MAX_DISRUPTED: usize = 2000;

impl Registry {
    /// Deletes the pod if its budget, of which there may be one, allows it. 429 when it does not, or not yet.
    pub async fn evict(
        &self,
        caller: &mut Caller,
        at: &Address,
        eviction: &Value,
        options: &DeleteOptions,
    ) -> Result<Deleted> {
        let write = WriteOptions { dry_run: options.dry_run.clone(), ..WriteOptions::default() };
        let mut eviction = eviction.clone();
        self.admit_posted(caller, at, &mut eviction, &write).await?;
        let (name, given) = (at.name.as_str(), object::name(&eviction));
        if !given.is_empty() && given != name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        self.validate_posted(caller, at, &eviction, &write).await?;
        let pod_at = Address { subresource: Default::default(), ..at.clone() };
        let pod = self.get(&pod_at, "").await?;
        let shape = &super::core::storage(&at.resource)?.shape;
        let value = pod.to_value(shape).map_err(Status::internal)?;
        if !is_past_budget(&value) {
            self.charge(caller, at, &pod, &value, options).await?;
        }
        if !options.dry_run.is_empty() {
            return self.delete(caller, &pod_at, options).await;
        }
        let marked = self.mark(caller, &pod_at, options).await?;
        let mut options = options.clone();
        if options.resource_version.is_some() {
            options.resource_version = Some(marked.revision.to_string());
        }
        self.delete(caller, &pod_at, &options).await
    }

    /// Says in the pod's status why it goes: its owner may not count that as a failure. Refused where the delete would
    /// be. Gives the pod as it is then.
    async fn mark(&self, caller: &mut Caller, pod_at: &Address, options: &DeleteOptions) -> Result<Arc<Object>> {
        let mut status_at = pod_at.clone();
        status_at.subresource = "status".into();
        let now = self.now();
        let edit = |live: &Value| {
            preconditions(pod_at, live, options)?;
            let mut object = live.clone();
            condition::set(&mut object["status"], evicting(), now);
            Ok(Edited { object, owned: true, warnings: Vec::new() })
        };
        let written = self.update(caller, &status_at, Change::Edit(&edit), &WriteOptions::default(), false).await?;
        Ok(written.object)
    }

    /// Takes one disruption from the pod's budget.
    async fn charge(
        &self,
        caller: &mut Caller,
        at: &Address,
        pod: &Object,
        value: &Value,
        options: &DeleteOptions,
    ) -> Result<()> {
        let name = GroupResource::new("policy", "poddisruptionbudgets");
        let Some(resource) = self.catalog.load().preferred(&name).cloned() else { return Ok(()) };
        let budgets =
            self.list(&Address::new(&resource, &at.namespace, ""), &Default::default(), &Default::default()).await?;
        let mut found = Vec::new();
        for budget in budgets.items {
            let spec = budget.to_value(&resource.shape).map_err(Status::internal)?;
            let selector = spec.get("spec").and_then(|spec| spec.get("selector")).cloned().unwrap_or_default();
            let selects =
                Selector::of_object(&selector).is_ok_and(|s| !selector.is_null() && s.matches_by(|key| pod.label(key)));
            if selects {
                found.push(budget);
            }
        }
        if found.len() > 1 {
            let why =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::internal_plain(why));
        }
        let Some(budget) = found.pop() else { return Ok(()) };
        let mut at_budget = Address::new(&resource, &at.namespace, budget.name());
        at_budget.subresource = "status".into();
        let (pod_name, now) = (at.name.to_string(), self.now());
        let edit = |live: &Value| charged(live, value, &pod_name, now);
        let write = WriteOptions { dry_run: options.dry_run.clone(), ..WriteOptions::default() };
        self.update(caller, &at_budget, Change::Edit(&edit), &write, false).await.map(|_| ())
    }
}

fn evicting() -> Value {
    json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting"})
}

/// Whether a budget has no say: the pod does not run, or is on its way out.
fn is_past_budget(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    matches!(phase, "Succeeded" | "Failed" | "Pending") || object::is_deleting(pod)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The budget with one disruption less.
fn charged(budget: &Value, pod: &Value, pod_name: &str, now: Time) -> Result<Edited> {
    let name = object::name(budget);
    let status = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let unchanged = || Edited { object: budget.clone(), owned: true, warnings: Vec::new() };
    if status("observedGeneration") < object::generation(budget) {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refused(why, 10));
    }
    let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
    let (healthy, desired) = (status("currentHealthy"), status("desiredHealthy"));
    if !is_ready(pod) && (always || (healthy >= desired && desired > 0)) {
        return Ok(unchanged());
    }
    let disrupted = budget["status"]["disruptedPods"].as_object().map_or(0, Map::len);
    let resource = GroupResource::new("policy", "poddisruptionbudget");
    if status("disruptionsAllowed") < 0 {
        return Err(Status::forbidden(&resource, name, "pdb disruptions allowed is negative"));
    }
    if disrupted > MAX_DISRUPTED {
        return Err(Status::forbidden(
            &resource,
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if status("disruptionsAllowed") == 0 {
        let why = format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently");
        return Err(refused(why, 0));
    }
    let mut changed = budget.clone();
    let left = status("disruptionsAllowed") - 1;
    if left == 0
        && let Some(fields) = changed["status"].as_object_mut()
    {
        fields.remove("disruptionsAllowed");
        tell(&mut changed["status"], now);
    } else {
        changed["status"]["disruptionsAllowed"] = left.into();
    }
    if !changed["status"]["disruptedPods"].is_object() {
        changed["status"]["disruptedPods"] = json!({});
    }
    changed["status"]["disruptedPods"][pod_name] = now.to_text().as_str().into();
    Ok(Edited { object: changed, owned: true, warnings: Vec::new() })
}

/// Makes the condition of a budget's status say what its `disruptionsAllowed` does. Whether it said anything else.
pub fn tell(status: &mut Value, now: Time) -> bool {
    let (is_allowed, reason) = match status["disruptionsAllowed"].as_i64() {
        Some(allowed) if allowed > 0 => ("True", "SufficientPods"),
        _ => ("False", "InsufficientPods"),
    };
    let mut told = json!({"type": CONDITION, "status": is_allowed, "reason": reason});
    if let Some(generation) = status["observedGeneration"].as_i64() {
        told["observedGeneration"] = generation.into();
    }
    condition::set(status, told, now)
}

/// 429 whose cause names the budget.
fn refused(cause: String, seconds: u32) -> Status {
    let why = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::too_many_requests(why, seconds).cause("DisruptionBudget", cause, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::User;
    use crate::registry::client::Target;
    use crate::registry::fixture;

    #[tokio::test(start_paused = true)]
    async fn an_evicted_pod_says_so_while_it_ends() {
        let client = fixture::client().await;
        let registry = client.registry();
        let pod = Target::new("", "pods", "default", "p");
        let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]});
        let made = client.create(pod, &json!({"metadata": {"name": "p"}, "spec": spec})).await.expect("a pod");
        registry.fresh().await.expect("in the cache");
        let pods = registry.catalog.load().preferred(&GroupResource::new("", "pods")).cloned().expect("pods");
        let mut at = Address::new(&pods, "default", "p");
        at.subresource = "eviction".into();
        let mut caller = Caller::new(User::new("u", &[]), "kubectl");
        let eviction = json!({"metadata": {"name": "p"}});
        let other = DeleteOptions { uid: Some("other".into()), ..DeleteOptions::default() };
        let refused = registry.evict(&mut caller, &at, &eviction, &other).await.expect_err("another pod");
        assert!(refused.message.starts_with("Operation cannot be fulfilled on Pod \"p\": the UID"), "{refused}");
        let known =
            DeleteOptions { resource_version: Some(made.object.revision.to_string()), ..DeleteOptions::default() };
        registry.evict(&mut caller, &at, &eviction, &known).await.expect("evicted");
        let pod = fixture::value(registry, "", "pods", &client.get(pod).await.expect("still there"));
        assert!(object::is_deleting(&pod));
        let condition = &pod["status"]["conditions"][0];
        assert_eq!(
            (&condition["type"], &condition["reason"]),
            (&json!("DisruptionTarget"), &json!("EvictionByEvictionAPI"))
        );
    }

    #[test]
    fn a_budget_is_charged_once_and_then_refuses() {
        let at = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let pod = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let budget = json!({"metadata": {"name": "b"}, "spec": {},
            "status": {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2}});
        let once = charged(&budget, &pod, "p", at).expect("allowed").object;
        assert_eq!(once["status"]["disruptedPods"], json!({"p": "2026-01-01T00:00:00Z"}));
        assert_eq!(once["status"]["conditions"][0]["reason"], "InsufficientPods");
        let Err(refusal) = charged(&once, &pod, "q", at) else { panic!("allowed twice") };
        assert_eq!(refusal.code, 429);
        let cause = &refusal.details.expect("details").causes[0].message;
        assert_eq!(cause, "The disruption budget b needs 2 healthy pods and has 3 currently");
    }
}

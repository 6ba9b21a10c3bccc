//! Keeps the FlowSchemas and PriorityLevelConfigurations that every server has: makes them again when somebody deleted
//! them, and gives back their specs, unless the annotation says that they are somebody's own (KEP-1040).

use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::bootstrap;
use crate::auth::identity::User;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::core::Registry;
use crate::registry::options::DeleteOptions;
use crate::registry::request::Address;
use crate::rules::flow_control::GROUP;
use crate::rules::flow_control::mandatory::{self, EXEMPT};

const AUTOUPDATE: &str = "apf.kubernetes.io/autoupdate-spec";
const MANAGER: &str = "api-priority-and-fairness-config-producer-v1";
const RESOURCES: [(&str, &str); 2] =
    [("PriorityLevelConfiguration", "prioritylevelconfigurations"), ("FlowSchema", "flowschemas")];
/// How often they are looked at.
const PERIOD: Duration = Duration::from_secs(60);

/// Whoever keeps them.
pub struct FlowControl {
    client: Client,
    wanted: Vec<Value>,
}

/// Whether an object is kept here.
pub fn keeps(object: &Value) -> bool {
    resource(object).is_some()
}

fn resource(object: &Value) -> Option<&'static str> {
    RESOURCES.iter().find(|(kind, _)| object["kind"] == *kind).map(|(_, resource)| *resource)
}

impl FlowControl {
    pub fn new(registry: &Registry) -> Result<Self> {
        let client = Client::new(registry, User::new("system:apiserver", &["system:masters"]), MANAGER);
        let wanted = bootstrap::objects()?.into_iter().filter(keeps).collect();
        Ok(Self { client, wanted })
    }

    /// Makes them what they should be.
    pub async fn ensure(&self) -> Result<()> {
        let kept = join_all(self.wanted.iter().map(|wanted| self.keep(wanted))).await;
        kept.into_iter().collect::<Result<Vec<()>>>()?;
        self.remove_unwanted().await?;
        // Whoever reads the cache next sees what was made.
        let registry = self.client.registry();
        registry.reach(self.client.newest().await?).await.map(|_| ())
    }

    /// Keeps them until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.client.registry().clock.sleep(PERIOD) => {}
            }
            if let Err(error) = self.ensure().await {
                tracing::warn!(%error, "flow control objects cannot be kept");
            }
        }
    }

    async fn keep(&self, wanted: &Value) -> Result<()> {
        let target = target(wanted)?;
        let Some(current) = self.client.registry().cached(&self.address(target)?)? else {
            return match self.client.create(target, wanted).await {
                Ok(_) => bootstrap::set_status(&self.client, target, wanted).await,
                Err(status) if status.is_already_exists() => Ok(()),
                Err(status) => Err(Status::internal(format!("{} {}: {status}", target.resource, target.name))),
            };
        };
        let Some(revised) = revise(wanted, &current.value) else { return Ok(()) };
        match self.client.update(target, &revised).await {
            // It will be looked at again.
            Err(status) if status.is_conflict() || status.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Those that an older server kept, and this one does not.
    async fn remove_unwanted(&self) -> Result<()> {
        for (kind, resource) in RESOURCES {
            let name = GroupResource::new(GROUP, resource);
            let snapshot = self.client.registry().cache.snapshot(&[&name]).map_err(Status::internal)?;
            for found in snapshot.shelves[0].iter(None) {
                let known = |wanted: &Value| wanted["kind"] == kind && object::name(wanted) == found.name();
                let value = found.to_value(&snapshot.shelves[0].storage.shape).map_err(Status::internal)?;
                if autoupdate(&value) != Some(true) || self.wanted.iter().any(known) {
                    continue;
                }
                let target = Target::new(GROUP, resource, "", found.name());
                match self.client.delete(target, &DeleteOptions::default()).await {
                    Err(status) if !status.is_not_found() => return Err(status),
                    _ => tracing::info!(resource, name = found.name(), "removed, for it is kept no more"),
                }
            }
        }
        Ok(())
    }

    fn address(&self, target: Target<'_>) -> Result<Address> {
        let catalog = self.client.registry().catalog.load();
        let name = GroupResource::new(target.group, target.resource);
        let resource = catalog.preferred(&name).ok_or_else(Status::no_such_resource)?;
        Ok(Address::new(resource, "", target.name))
    }
}

fn target(wanted: &Value) -> Result<Target<'_>> {
    let resource = resource(wanted).ok_or_else(|| Status::internal("no object of flow control"))?;
    Ok(Target::new(GROUP, resource, "", object::name(wanted)))
}

/// What the annotation says; `None` when it says nothing that can be read.
fn autoupdate(object: &Value) -> Option<bool> {
    // As Go reads booleans.
    match object::annotation(object, AUTOUPDATE)? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// What an object should be; `None` when it is so. A mandatory one always has its own spec; any other while its
/// annotation says so, or, when that says nothing, while nobody has changed its spec.
fn revise(wanted: &Value, current: &Value) -> Option<Value> {
    let name = object::name(wanted);
    let is_mandatory = match wanted["kind"] == "FlowSchema" {
        true => mandatory::schema(name).is_some(),
        false => mandatory::level(name).is_some(),
    };
    let said = autoupdate(current);
    let updates = is_mandatory || said.unwrap_or(object::generation(current) == 1);
    let mut spec = wanted["spec"].clone();
    if name == EXEMPT && current["spec"].get("exempt").is_some() {
        // What it may lend is for people to say.
        spec["exempt"] = current["spec"]["exempt"].clone();
    }
    let changed = updates && spec != current["spec"];
    if !changed && said == Some(updates) {
        return None;
    }
    let mut revised = current.clone();
    if changed {
        revised["spec"] = wanted["spec"].clone();
    }
    let mut annotations = current["metadata"].get("annotations").cloned().unwrap_or_else(|| json!({}));
    annotations[AUTOUPDATE] = updates.to_string().as_str().into();
    object::set_meta(&mut revised, "annotations", annotations);
    Some(revised)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::fixture;

    fn level(annotation: Option<&str>, generation: i64, shares: i64) -> Value {
        let mut level = json!({"kind": "PriorityLevelConfiguration",
            "metadata": {"name": "l", "generation": generation}, "spec": {"shares": shares}});
        if let Some(text) = annotation {
            level["metadata"]["annotations"] = json!({AUTOUPDATE: text});
        }
        level
    }

    #[test]
    fn an_object_that_is_somebodys_own_stays() {
        let wanted = level(None, 0, 5);
        // (annotation, generation, shares) of what is there; shares and annotation of what is written
        let cases = [
            (Some("true"), 7, 5, None),
            (Some("true"), 7, 6, Some((5, "true"))),
            (Some("false"), 1, 6, None),
            (Some("perhaps"), 2, 6, Some((6, "false"))),
            (None, 2, 6, Some((6, "false"))),
            (None, 1, 6, Some((5, "true"))),
        ];
        for (annotation, generation, shares, expected) in cases {
            let revised = revise(&wanted, &level(annotation, generation, shares));
            let shown = revised.as_ref().map(|revised| {
                let text = object::annotation(revised, AUTOUPDATE).unwrap_or("").to_owned();
                (revised["spec"]["shares"].as_i64().unwrap_or(0), text)
            });
            let expected = expected.map(|(shares, text)| (shares, text.to_owned()));
            assert_eq!(shown, expected, "{annotation:?} {generation} {shares}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_deleted_comes_back_and_what_is_mandatory_stays() {
        let client = fixture::client().await;
        let keeper = FlowControl::new(client.registry()).expect("objects");
        keeper.ensure().await.expect("made");
        let levels = |name| Target::new(GROUP, "prioritylevelconfigurations", "", name);
        let schemas = |name| Target::new(GROUP, "flowschemas", "", name);
        let made = client.get(schemas("catch-all")).await.expect("is there");
        client.delete(schemas("catch-all"), &DeleteOptions::default()).await.expect("deleted");
        let patch = |shares: i64| json!({"spec": {"limited": {"nominalConcurrencyShares": shares}}});
        client.merge(levels("workload-low"), &patch(1)).await.expect("changed");
        let own = json!({"metadata": {"annotations": {AUTOUPDATE: "false"}}});
        client.merge(levels("system"), &own).await.expect("annotated");
        client.merge(levels("system"), &patch(1)).await.expect("changed");
        let alien = json!({"metadata": {"name": "old", "annotations": {AUTOUPDATE: "true"}},
            "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}});
        client.create(levels("old"), &alien).await.expect("made");
        keeper.ensure().await.expect("kept");
        let again = client.get(schemas("catch-all")).await.expect("is back");
        assert_ne!(made.uid(), again.uid());
        assert!(client.get(levels("old")).await.expect_err("gone").is_not_found());
        let mut shares = Vec::new();
        for name in ["workload-low", "system"] {
            let at = keeper.address(levels(name)).expect("an address");
            let current = client.registry().cached(&at).expect("a shelf").expect("is there");
            shares.push(current.value["spec"]["limited"]["nominalConcurrencyShares"].as_i64());
        }
        assert_eq!(shares, [Some(100), Some(1)]);
        let revision = client.registry().cache.published();
        keeper.ensure().await.expect("kept");
        assert_eq!(client.registry().cache.published(), revision, "nothing to do");
    }
}

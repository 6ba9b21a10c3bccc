//! The volumes of pods: claims that stay when their pods go, unless the set's retention policy says otherwise.

use super::manage::Run;
use super::pod;
use crate::cache::object::Owner;
use crate::controllers::events::Kind;
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::controllers::resources::CLAIMS;
use crate::model::object;
use crate::model::status::{Outcome, Result, Status};
use crate::model::value::{Value, json};

/// `spec.volumeClaimTemplates`.
pub fn templates(set: &Item) -> &[Value] {
    set.spec()["volumeClaimTemplates"].as_array().map_or(&[], Vec::as_slice)
}

/// The name of the claim of a template for a pod.
pub fn name(set: &Item, template: &str, number: i64) -> String {
    format!("{template}-{}-{number}", set.name())
}

fn names(set: &Item, number: i64) -> Vec<String> {
    let name = |template: &Value| name(set, template["metadata"]["name"].as_str().unwrap_or(""), number);
    templates(set).iter().map(name).collect()
}

impl Run<'_> {
    /// Makes the claims of a pod that are missing. One that is on its way out must go first.
    pub async fn make_claims(&self, number: i64) -> Result<()> {
        for (template, name) in templates(self.set).iter().zip(names(self.set, number)) {
            match self.claims.get(self.set.namespace(), &name) {
                Some(claim) if claim.is_deleting() => {
                    return Err(Status::internal_plain(format!("pvc {name} is being deleted")));
                }
                Some(_) => {}
                None => self.make_claim(template, &name, number).await?,
            }
        }
        Ok(())
    }

    async fn make_claim(&self, template: &Value, name: &str, number: i64) -> Result<()> {
        let (set, mut claim) = (self.set, template.clone());
        claim["metadata"]["name"] = name.into();
        claim["metadata"]["namespace"] = set.namespace().into();
        for (key, value) in set.spec()["selector"]["matchLabels"].as_object().into_iter().flatten() {
            claim["metadata"]["labels"][key] = value.clone();
        }
        claim.as_object_mut().and_then(|claim| claim.remove("status"));
        let pod = pod::name(set, number);
        match self.cx.create(CLAIMS.at(set.namespace(), name), &claim).await {
            Ok(_) => {
                let message = format!("Create Claim {name} Pod {pod} in StatefulSet {} success", set.name());
                self.cx.event(set.into(), Kind::Normal, "SuccessfulCreate", message);
                Ok(())
            }
            Err(status) if status.is_already_exists() => Ok(()),
            Err(status) => {
                let why = &status.message;
                let message =
                    format!("Create Claim {name} for Pod {pod} in StatefulSet {} failed error: {why}", set.name());
                self.cx.event(set.into(), Kind::Warning, "FailedCreate", message);
                let message = format!("failed to create PVC {name}: {why}");
                Err(Status { message, ..status })
            }
        }
    }

    /// Makes the claims of a pod go with whom the policy says: the set, the pod, or nobody.
    pub async fn retain(&self, number: i64, pod: Option<&Pod<'_>>, is_wanted: bool) -> Result<()> {
        for name in names(self.set, number) {
            let Some(object) = self.claims.get(self.set.namespace(), &name) else { continue };
            let mut claim = Item::new(self.claims, object)?;
            let before = claim.value["metadata"]["ownerReferences"].clone();
            let Some((owners, is_another)) = self.owners(&before, pod, is_wanted) else { continue };
            if is_another {
                let message = format!(
                    "PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim"
                );
                self.cx.event(self.set.into(), Kind::Warning, "ConflictingController", message);
            }
            if before.as_array().map_or(&[][..], Vec::as_slice) == owners.as_slice() {
                continue;
            }
            claim.value["metadata"]["ownerReferences"] = owners.into();
            self.cx.update(claim.target(), &claim.value).await.unless_gone()?;
        }
        Ok(())
    }

    /// The owners that a claim should have, and whether another controller has it. `None`: it belongs to earlier ones
    /// of these names.
    fn owners(&self, before: &Value, pod: Option<&Pod<'_>>, is_wanted: bool) -> Option<(Vec<Value>, bool)> {
        let policy = &self.set.spec()["persistentVolumeClaimRetentionPolicy"];
        let deletes = |when: &str| policy[when] == "Delete";
        let (scaled, deleted) = (deletes("whenScaled"), deletes("whenDeleted"));
        let own = self.set.controller_reference();
        let of_pod = pod.map(|pod| {
            json!({
                "apiVersion": "v1", "kind": "Pod", "name": pod.object.name(), "uid": pod.object.uid(),
                "controller": true, "blockOwnerDeletion": true,
            })
        });
        let before = before.as_array().map_or(&[][..], Vec::as_slice);
        let is_named = |owner: &Value, by: &Value| ["apiVersion", "kind", "name"].iter().all(|f| owner[*f] == by[*f]);
        let ours: Vec<&Value> = of_pod.iter().chain([&own]).collect();
        let is_ours = |owner: &Value| ours.iter().any(|by| is_named(owner, by));
        let is_stale = |owner: &Value| ours.iter().any(|by| is_named(owner, by) && owner["uid"] != by["uid"]);
        if before.iter().any(is_stale) {
            return None;
        }
        let others: Vec<Value> = before.iter().filter(|owner| !is_ours(owner)).cloned().collect();
        if (scaled || deleted) && others.iter().any(|owner| owner["controller"] == true) {
            return Some((others, true));
        }
        let wanted = match (scaled, deleted) {
            (true, _) if !is_wanted => of_pod,
            (_, true) => Some(own),
            _ => None,
        };
        Some((others.into_iter().chain(wanted).collect(), false))
    }

    /// Whether a pod that is to be made would get claims that go with an earlier pod of its name, so that it must wait.
    pub fn has_stale_claims(&self, number: i64) -> bool {
        if self.set.spec()["persistentVolumeClaimRetentionPolicy"]["whenScaled"] != "Delete" {
            return false;
        }
        let pod = pod::name(self.set, number);
        let is_of_pod = |owner: &Owner<'_>| owner.api_version == "v1" && owner.kind == "Pod" && owner.name == pod;
        let names = names(self.set, number);
        let mut claims = names.iter().filter_map(|name| self.claims.get(self.set.namespace(), name));
        claims.any(|claim| claim.owners().iter().any(is_of_pod))
    }

    /// Whether a pod has the labels and volumes of its number.
    pub fn is_itself(&self, pod: &Pod<'_>, number: i64) -> bool {
        let name = pod::name(self.set, number);
        let is_named = pod.object.label(pod::NAME).is_some_and(|label| label == name.as_str());
        let claims = |volume: &str| -> Option<&str> {
            let mut volumes = pod.view.at("spec").items("volumes");
            Some(volumes.find(|known| known.text("name") == volume)?.get("persistentVolumeClaim")?.text("claimName"))
        };
        let templates = templates(self.set).iter().map(object::name);
        is_named && templates.into_iter().all(|volume| claims(volume) == Some(&self::name(self.set, volume, number)))
    }
}

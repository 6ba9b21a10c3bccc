//! OwnerReferencesPermissionEnforcement: who names an owner could have deleted the object, and who makes an owner's end
//! wait for it could have held that end with a finalizer.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{items, text};
use crate::admission::reads::Reads;
use crate::auth::authorizer::{Attributes as Question, Resource, Verdict};
use crate::model::gotext::quote;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::status::Result;
use crate::model::value::Value;

pub struct OwnerReferencesPermissionEnforcement(pub Reads);

impl OwnerReferencesPermissionEnforcement {
    async fn ask(&self, a: &Attributes<'_>, verb: &str, of: Resource<'_>) -> Verdict {
        self.0.authorizer.authorize(&Question::resource(a.user, verb, of)).await
    }

    async fn check_deletable(&self, a: &Attributes<'_>) -> Result<()> {
        let name = &a.resource.name;
        let object = Resource {
            group: &name.group,
            version: &a.resource.kind.version,
            resource: &name.resource,
            subresource: a.subresource,
            namespace: a.namespace,
            name: a.name,
            ..Resource::default()
        };
        let verdict = self.ask(a, "delete", object).await;
        if verdict.is_allowed() {
            return Ok(());
        }
        let reason = verdict.reason;
        Err(a.forbid(format!("cannot set an ownerRef on a resource you can't delete: {reason}, <nil>")))
    }

    async fn check_finalizable(&self, a: &Attributes<'_>, reference: &Value) -> Result<()> {
        let (api_version, kind) = (text(reference, "apiVersion"), text(reference, "kind"));
        let unknown = |why: String| {
            a.forbid(format!(
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {api_version} \
                 Kind {kind}: {why}"
            ))
        };
        let Some(version) = GroupVersion::parse(api_version) else {
            return Err(unknown(format!("unexpected GroupVersion string: {api_version}")));
        };
        let catalog = self.0.catalog.load();
        let owner = catalog.by_kind(&GroupVersionKind::new(&version.group, &version.version, kind));
        let Some(owner) = owner else {
            let why = format!("no matches for kind {} in version {}", quote(kind), quote(api_version));
            return Err(unknown(why));
        };
        let finalizers = Resource {
            group: &owner.name.group,
            version: &owner.kind.version,
            resource: &owner.name.resource,
            subresource: "finalizers",
            namespace: if owner.namespaced { a.namespace } else { "" },
            name: text(reference, "name"),
            ..Resource::default()
        };
        let verdict = self.ask(a, "update", finalizers).await;
        if verdict.is_allowed() {
            return Ok(());
        }
        let reason = verdict.reason;
        Err(a.forbid(format!(
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: {reason}, <nil>"
        )))
    }
}

#[async_trait]
impl Plugin for OwnerReferencesPermissionEnforcement {
    fn name(&self) -> &'static str {
        "OwnerReferencesPermissionEnforcement"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        // Kubelets write the status of pods that they may not delete; references do not change there.
        (a.creates() || a.updates()) && !(a.is_any("", "pods") && a.subresource == "status")
    }

    async fn validate(&self, a: &mut Attributes<'_>, object: Option<&Value>) -> Result<()> {
        let Some(object) = object else { return Ok(()) };
        let (new, old): (Vec<_>, Vec<_>) = (owners(object).collect(), a.old.into_iter().flat_map(owners).collect());
        if new == old {
            return Ok(());
        }
        if !a.creates() {
            self.check_deletable(a).await?;
        }
        let blocks = |reference: &Value| reference["blockOwnerDeletion"] == true;
        let same = |a: &Value, b: &Value| text(a, "uid") == text(b, "uid");
        // Of references to one owner the last counts.
        let blocked =
            |reference: &Value| old.iter().rfind(|known| same(known, reference)).is_some_and(|old| blocks(old));
        let fresh: Vec<_> = new.into_iter().filter(|reference| blocks(reference) && !blocked(reference)).collect();
        let everything = Resource {
            group: "*",
            version: "*",
            resource: "*",
            subresource: "finalizers",
            name: "*",
            ..Resource::default()
        };
        if fresh.is_empty() || self.ask(a, "update", everything).await.is_allowed() {
            return Ok(());
        }
        for reference in fresh {
            self.check_finalizable(a, reference).await?;
        }
        Ok(())
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    items(&object["metadata"], "ownerReferences")
}

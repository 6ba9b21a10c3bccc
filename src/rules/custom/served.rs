//! The resources that a definition has the server serve: one for each of its served versions.

use std::sync::Arc;

use compact_str::CompactString;

use super::definition::{Definition, Schemas, Source, schemas};
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::value::Value;
use crate::model::version;
use crate::schema::resource::{Attached, Resource, Shape, Storage, Subresource, Verbs};

const UNKNOWN_FIELD: &str = "field label not supported: {field}";

/// The served versions of a definition (a value of apiextensions.k8s.io/v1) under the names that were accepted, the
/// preferred one first. `source` gives the definition again, with the same spec.
pub fn resources(crd: &Value, source: &Source) -> Vec<Arc<Resource>> {
    let versions = crd["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |version: &Value| version["name"].as_str().unwrap_or_default().to_owned();
    let Some(kept) = versions.iter().find(|version| version["storage"] == true).map(name) else { return Vec::new() };
    let mut served: Vec<String> = versions.iter().filter(|version| version["served"] == true).map(name).collect();
    served.sort_by(|a, b| version::compare(a, b));
    let schemas = schemas(crd, source);
    let Some(storage) = storage(crd, &kept, &schemas) else { return Vec::new() };
    served.iter().filter_map(|version| Some(Arc::new(resource(crd, version, &schemas, &storage)?))).collect()
}

fn storage(crd: &Value, version: &str, schemas: &Arc<Schemas>) -> Option<Storage> {
    let kept = Definition::of(crd, version, schemas)?;
    let shelf = GroupResource::new(&kept.kind.group, crd["status"]["acceptedNames"]["plural"].as_str()?);
    let folder = compact_str::format_compact!("{}/{}", shelf.group, shelf.resource);
    Some(Storage { shelf, folder, kind: kept.kind, shape: Shape::Custom(kept.structure) })
}

fn resource(crd: &Value, version: &str, schemas: &Arc<Schemas>, storage: &Storage) -> Option<Resource> {
    let definition = Definition::of(crd, version, schemas)?;
    let names = &crd["status"]["acceptedNames"];
    let text = |field: &str| CompactString::from(names[field].as_str().unwrap_or_default());
    let texts = |field: &str| {
        let list = names[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(CompactString::from).collect()
    };
    // Nothing comes into being while everything goes.
    let verbs = match definition.terminating {
        true => Verbs::DELETE.and(Verbs::DELETECOLLECTION).and(Verbs::GET).and(Verbs::LIST).and(Verbs::WATCH),
        false => Verbs::ALL,
    };
    Some(Resource {
        kind: GroupVersionKind::new(&storage.kind.group, version, names["kind"].as_str()?),
        name: storage.shelf.clone(),
        singular: text("singular"),
        list_kind: text("listKind"),
        namespaced: definition.namespaced,
        verbs,
        short_names: texts("shortNames"),
        categories: texts("categories"),
        subresources: subresources(&definition),
        shape: Shape::Custom(definition.structure.clone()),
        storage: Some(storage.clone()),
        fields: definition.selectable.iter().map(CompactString::from).collect(),
        unknown_field: UNKNOWN_FIELD.into(),
        definition: Some(Attached::new(definition)),
    })
}

fn subresources(definition: &Definition) -> Vec<Subresource> {
    let verbs = Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE);
    let part = |name: &str, kind| Subresource { name: name.into(), verbs, kind };
    let status = part("status", GroupVersionKind::new("", "", &definition.kind.kind));
    let scale = part("scale", GroupVersionKind::new("autoscaling", "v1", "Scale"));
    let has = [(definition.has_status, status), (definition.scale.is_some(), scale)];
    has.into_iter().filter(|(has, _)| *has).map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn each_served_version_is_a_resource_over_one_shelf() {
        let version = |name: &str, storage: bool| {
            json!({"name": name, "served": name != "v1alpha1", "storage": storage,
            "subresources": {"status": {}}, "selectableFields": [{"jsonPath": ".spec.color"}]})
        };
        let crd = json!({
            "metadata": {"name": "things.x.io"},
            "spec": {"group": "x.io", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                "versions": [version("v1alpha1", false), version("v1beta1", false), version("v1", true)]},
            "status": {"acceptedNames": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList",
                "shortNames": ["th"]}},
        });
        let again = |crd: &Value| -> Source {
            let crd = crd.clone();
            Arc::new(move || crd.clone())
        };
        let served = resources(&crd, &again(&crd));
        let shown: Vec<_> = served
            .iter()
            .map(|r| {
                let kept = r.storage.as_ref().expect("kept");
                format!("{} {} in {} as {}", r.kind.version, r.name, kept.folder, kept.kind.version)
            })
            .collect();
        assert_eq!(shown, ["v1 things.x.io in x.io/things as v1", "v1beta1 things.x.io in x.io/things as v1"]);
        assert_eq!((served[0].verbs, served[0].subresources.len()), (Verbs::ALL, 1));
        assert_eq!(served[0].refuse_field("spec.color"), None);
        assert_eq!(served[0].refuse_field("spec.x").as_deref(), Some("field label not supported: spec.x"));
        let mut ending = crd;
        ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(!resources(&ending, &again(&ending))[0].verbs.contains(Verbs::CREATE));
    }
}

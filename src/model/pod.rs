//! A pod in JSON: its containers, and the objects of its namespace that it names.

use std::borrow::Cow;

use super::object;
use crate::model::value::Value;

pub const CONTAINERS: &str = "containers";
pub const INIT_CONTAINERS: &str = "initContainers";
pub const EPHEMERAL_CONTAINERS: &str = "ephemeralContainers";
/// The kubelet's own pods carry it.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// The objects of a list, none when there is no such list.
pub fn items<'a>(object: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    object[list].as_array().into_iter().flatten()
}

pub fn items_mut<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A text, empty when unset.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}

/// (the word for its kind, container), init containers first.
pub fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    let of = move |list, word| items(spec, list).map(move |container| (word, container));
    of(INIT_CONTAINERS, "init container")
        .chain(of(CONTAINERS, "container"))
        .chain(of(EPHEMERAL_CONTAINERS, "ephemeral container"))
}

/// Secrets that a container's environment is read from.
pub fn secrets_of_environment(container: &Value) -> impl Iterator<Item = &str> {
    let keys = items(container, "env").map(|env| &env["valueFrom"]["secretKeyRef"]);
    let whole = items(container, "envFrom").map(|source| &source["secretRef"]);
    keys.chain(whole).filter(|reference| reference.is_object()).map(|reference| text(reference, "name"))
}

/// Every secret that the pod names.
pub fn secrets(spec: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = items(spec, "imagePullSecrets").map(|reference| text(reference, "name")).collect();
    names.extend(containers(spec).flat_map(|(_, container)| secrets_of_environment(container)));
    names.extend(items(spec, "volumes").flat_map(secrets_of_volume));
    names
}

/// Every ConfigMap that the pod names.
pub fn config_maps(spec: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = containers(spec).flat_map(|(_, container)| config_maps_of(container)).collect();
    for volume in items(spec, "volumes") {
        names.extend(name_of(&volume["configMap"]));
        names.extend(items(&volume["projected"], "sources").filter_map(|source| name_of(&source["configMap"])));
    }
    names
}

fn config_maps_of(container: &Value) -> impl Iterator<Item = &str> {
    let keys = items(container, "env").filter_map(|env| name_of(&env["valueFrom"]["configMapKeyRef"]));
    keys.chain(items(container, "envFrom").filter_map(|source| name_of(&source["configMapRef"])))
}

/// Every PersistentVolumeClaim that the pod mounts, those that are made for it included.
pub fn claims(pod: &Value) -> Vec<Cow<'_, str>> {
    let claim = |volume| claim_of_volume(pod, volume);
    items(&pod["spec"], "volumes").filter_map(claim).collect()
}

/// The claim behind a volume of the pod.
pub fn claim_of_volume<'a>(pod: &Value, volume: &'a Value) -> Option<Cow<'a, str>> {
    if let Some(claim) = volume["persistentVolumeClaim"].as_object() {
        return claim.get("claimName").and_then(Value::as_str).map(Cow::Borrowed);
    }
    volume["ephemeral"].as_object().map(|_| format!("{}-{}", object::name(pod), text(volume, "name")).into())
}

/// Every ResourceClaim that the pod uses: named by it, or made for it.
pub fn resource_claims(pod: &Value) -> Vec<&str> {
    let made = |wanted: &str| {
        let mut statuses = items(&pod["status"], "resourceClaimStatuses");
        statuses.find(|status| text(status, "name") == wanted).and_then(|status| status["resourceClaimName"].as_str())
    };
    let claims = items(&pod["spec"], "resourceClaims");
    let mut names: Vec<&str> =
        claims.filter_map(|claim| claim["resourceClaimName"].as_str().or_else(|| made(text(claim, "name")))).collect();
    names.extend(pod["status"]["extendedResourceClaimStatus"]["resourceClaimName"].as_str());
    names
}

/// Whether a kubelet made it to show a pod of its own.
pub fn is_mirror(pod: &Value) -> bool {
    object::annotation(pod, MIRROR).is_some()
}

fn name_of(reference: &Value) -> Option<&str> {
    reference.as_object().map(|reference| reference.get("name").and_then(Value::as_str).unwrap_or(""))
}

fn secrets_of_volume(volume: &Value) -> Vec<&str> {
    let by = |source: &str, field: &str, name: &str| {
        volume[source][field].as_object().and_then(|reference| reference.get(name)).and_then(Value::as_str)
    };
    let referring = ["cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"];
    let mut names: Vec<&str> = referring.iter().filter_map(|source| by(source, "secretRef", "name")).collect();
    names.extend(by("csi", "nodePublishSecretRef", "name"));
    names.extend(volume["azureFile"].as_object().map(|_| text(&volume["azureFile"], "secretName")));
    names.extend(volume["secret"].as_object().map(|_| text(&volume["secret"], "secretName")));
    let projected = items(&volume["projected"], "sources").filter_map(|source| source["secret"].as_object());
    names.extend(projected.map(|secret| secret.get("name").and_then(Value::as_str).unwrap_or("")));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn every_reference_to_a_secret_is_seen() {
        let spec = json!({
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}]}],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "from"}}, {"configMapRef": {"name": "no"}}]}],
            "ephemeralContainers": [{"envFrom": [{"secretRef": {"name": "debug"}}]}],
            "volumes": [{"secret": {"secretName": "vol"}}, {"projected": {"sources": [{"secret": {"name": "proj"}}]}},
                {"csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}}, {"emptyDir": {}},
                {"azureFile": {"secretName": "az", "shareName": "s"}}],
        });
        assert_eq!(secrets(&spec), ["pull", "from", "key", "debug", "vol", "proj", "csi", "az"]);
    }

    #[test]
    fn every_reference_to_a_config_map_is_seen() {
        let spec = json!({
            "containers": [{"env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "key", "key": "k"}}}]}],
            "initContainers": [{"envFrom": [{"configMapRef": {"name": "from"}}, {"secretRef": {"name": "no"}}]}],
            "ephemeralContainers": [{"envFrom": [{"configMapRef": {"name": "debug"}}]}],
            "volumes": [{"configMap": {"name": "vol"}}, {"projected": {"sources": [{"configMap": {"name": "proj"}},
                {"secret": {"name": "no"}}]}}, {"emptyDir": {}}],
        });
        assert_eq!(config_maps(&spec), ["from", "key", "debug", "vol", "proj"]);
    }

    #[test]
    fn claims_are_named_or_made_for_the_pod() {
        let pod = json!({
            "metadata": {"name": "p"},
            "spec": {
                "volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "b", "emptyDir": {}},
                    {"name": "c", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}],
                "resourceClaims": [{"name": "x", "resourceClaimName": "own"},
                    {"name": "y", "resourceClaimTemplateName": "t"}, {"name": "z", "resourceClaimTemplateName": "t"}],
            },
            "status": {"resourceClaimStatuses": [{"name": "y", "resourceClaimName": "made"}, {"name": "z"}],
                "extendedResourceClaimStatus": {"resourceClaimName": "extended"}},
        });
        assert_eq!(claims(&pod), ["data", "p-c"]);
        assert_eq!(resource_claims(&pod), ["own", "made", "extended"]);
    }
}

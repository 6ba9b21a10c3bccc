//! A PersistentVolume in JSON: the claim it is bound to, and the secrets that are read to mount it.

use crate::model::value::Value;

/// Sources whose secret is in the claim's namespace when they name none.
const BY_CLAIM: [&str; 5] = ["cephfs", "flexVolume", "rbd", "scaleIO", "iscsi"];
/// Sources that name their secret whole.
const WHOLE: [(&str, &str); 5] = [
    ("cinder", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
    ("csi", "nodeStageSecretRef"),
    ("csi", "nodeExpandSecretRef"),
];

/// Namespace and name of the claim that it is bound to, or kept for.
pub fn claim(volume: &Value) -> Option<(&str, &str)> {
    let reference = &volume["spec"]["claimRef"];
    reference.as_object().map(|_| (text(reference, "namespace"), text(reference, "name")))
}

/// Namespace and name of every secret that a kubelet reads to mount it. What only the control plane reads is not here.
pub fn secrets(volume: &Value) -> Vec<(&str, &str)> {
    let spec = &volume["spec"];
    let near = claim(volume).map_or("", |(namespace, _)| namespace);
    let azure = &spec["azureFile"];
    let mut secrets = vec![(or(text(azure, "secretNamespace"), near), text(azure, "secretName"))];
    for source in BY_CLAIM {
        let reference = &spec[source]["secretRef"];
        secrets.push((or(text(reference, "namespace"), near), text(reference, "name")));
    }
    for (source, field) in WHOLE {
        let reference = &spec[source][field];
        secrets.push((text(reference, "namespace"), text(reference, "name")));
    }
    secrets.retain(|(_, name)| !name.is_empty());
    secrets
}

fn or<'a>(namespace: &'a str, near: &'a str) -> &'a str {
    if namespace.is_empty() { near } else { namespace }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn kubelets_read_what_mounts_need() {
        let volume = |source: &str, fields: Value| json!({"spec": {"claimRef": {"namespace": "apps", "name": "data"}, source: fields}});
        let cases = [
            (volume("azureFile", json!({"secretName": "s", "shareName": "x"})), vec![("apps", "s")]),
            (volume("azureFile", json!({"secretName": "s", "secretNamespace": "own"})), vec![("own", "s")]),
            (volume("rbd", json!({"secretRef": {"name": "s"}})), vec![("apps", "s")]),
            (volume("iscsi", json!({"secretRef": {"name": "s", "namespace": "own"}})), vec![("own", "s")]),
            (
                volume(
                    "csi",
                    json!({"nodeStageSecretRef": {"name": "stage", "namespace": "n"},
                        "nodePublishSecretRef": {"name": "publish", "namespace": "n"},
                        "controllerPublishSecretRef": {"name": "no", "namespace": "n"}}),
                ),
                vec![("n", "publish"), ("n", "stage")],
            ),
            (volume("hostPath", json!({"path": "/"})), vec![]),
        ];
        for (volume, expected) in cases {
            assert_eq!(secrets(&volume), expected, "{volume}");
            assert_eq!(claim(&volume), Some(("apps", "data")));
        }
        assert_eq!(claim(&json!({"spec": {}})), None);
    }
}

//! What is sent: pods of about 3 KB, as kubelets and controllers write them; small objects; leases.

use bytes::Bytes;

use crate::codec::protobuf::encode::encode;
use crate::codec::protobuf::envelope::{Envelope, wrap};
use crate::codec::protobuf::scan;
use crate::model::value::{Map, Value, json};
use crate::schema::table::message;

/// The namespace of everything that is made.
pub const NAMESPACE: &str = "bench";
/// Pods name a scheduler that is not there: they stay as they were made.
const SCHEDULER: &str = "nobody";
const TIME: &str = "2026-01-01T00:00:00Z";

/// A pod as a controller of it would send it.
pub fn pod(name: &str) -> Value {
    let env: Vec<_> = (0..16)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("the value of setting {n} of the shop")}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web-1",
                "pod-template-hash": "7d9c6b5f4d", "round": "0"},
            "annotations": {"checksum/config": "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"},
        },
        "spec": {
            "schedulerName": SCHEDULER, "serviceAccountName": "default", "restartPolicy": "Always",
            "containers": [container("web", &env), container("proxy", &env[..4])],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    })
}

fn container(name: &str, env: &[Value]) -> Value {
    json!({
        "name": name, "image": format!("registry.example.com/shop/{name}:1.2.3"), "env": env,
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 5},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    })
}

/// The patch of a pod's status that a kubelet sends when its containers run.
pub fn pod_status(round: usize) -> Bytes {
    let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions: Vec<_> = kinds
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": TIME}))
        .collect();
    let order: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let containers: Vec<_> = ["web", "proxy"]
        .iter()
        .map(|name| {
            json!({"name": name, "ready": true, "started": true, "restartCount": 0, "lastState": {},
                "image": format!("registry.example.com/shop/{name}:1.2.3"),
                "imageID": format!("registry.example.com/shop/{name}@sha256:5994471abb01112afcc18159f6cc74b4f511b998"),
                "containerID": "containerd://5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
                "state": {"running": {"startedAt": TIME}}})
        })
        .collect();
    let status = json!({"status": {
        "$setElementOrder/conditions": order, "conditions": conditions, "containerStatuses": containers,
        "phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "startTime": TIME,
        "message": format!("round {round}"),
    }});
    status.to_string().into()
}

/// A ConfigMap of about 1 KB; `round` is somewhere in its data.
pub fn config_map(name: &str, round: usize) -> Value {
    let data: Map = (0..10).map(|n| (format!("setting-{n}"), format!("{n}").repeat(80))).collect();
    let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "web"}}, "data": data});
    map["data"]["round"] = round.to_string().into();
    map
}

/// A node's lease; `version` is the one that a renewal is of, empty for a create.
pub fn lease(name: &str, round: usize, version: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease", "resourceVersion": version},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40,
            "renewTime": format!("2026-01-01T00:{:02}:{:02}.{:06}Z", round / 60_000 % 60, round / 1000 % 60, round % 1000)}})
}

/// An object in protobuf, in its envelope. The kind must be built in, as those above are.
pub fn protobuf(object: &Value, of: &str) -> Bytes {
    let text = |field: &str| object[field].as_str().unwrap_or("");
    let raw = message(of).and_then(|message| {
        let mut object = object.clone();
        let fields = object.as_object_mut()?;
        fields.remove("apiVersion");
        fields.remove("kind");
        encode(&object, message).ok()
    });
    wrap(text("apiVersion"), text("kind"), &raw.unwrap_or_default())
}

/// The resourceVersion of an object in protobuf.
pub fn version(bytes: &[u8]) -> String {
    let found = Envelope::parse(bytes).and_then(|envelope| scan::resource_version(envelope.raw).map(str::to_owned));
    found.unwrap_or_default()
}

pub const POD: &str = "k8s.io.api.core.v1.Pod";
pub const LEASE: &str = "k8s.io.api.coordination.v1.Lease";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_of_the_size_that_figures_speak_of() {
        let pod = pod("web-7d9c6b5f4d-000001");
        assert!((2_500..3_500).contains(&pod.to_string().len()), "{}", pod.to_string().len());
        let bytes = protobuf(&pod, POD);
        let envelope = Envelope::parse(&bytes).expect("an envelope");
        assert_eq!((envelope.api_version, envelope.kind), ("v1", "Pod"));
        assert!((1_300..3_000).contains(&envelope.raw.len()), "{}", envelope.raw.len());
        assert!(protobuf(&lease("a", 1, "7"), LEASE).len() > 60);
    }
}

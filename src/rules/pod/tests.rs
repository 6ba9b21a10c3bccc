//! Writes of pods: what is filled, what is kept, what is refused.

use crate::model::value::{Value, json};
use crate::rules::transcript::{Kind, assert_begin};

fn pods() -> Kind {
    Kind::new("v1", "Pod")
}

fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}});
    let fields = spec.as_object().expect("an object").clone();
    pod["spec"].as_object_mut().expect("an object").extend(fields);
    pod
}

/// A pod of one container with this much CPU, running.
fn running(cpu: &str) -> Value {
    let mut pod = pod(json!({"containers": [{"name": "c", "image": "i:1", "resources": {"requests": {"cpu": cpu}}}]}));
    pod["status"] = json!({"phase": "Running", "qosClass": "Burstable"});
    pod
}

#[test]
fn a_new_pod_gets_its_defaults_and_a_status() {
    let gated = json!({"schedulingGates": [{"name": "x.y/g"}], "hostNetwork": true, "containers": [
        {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1", "memory": "1n"}}}]});
    let mut pod = pod(gated);
    pod["status"] = json!({"phase": "Running"});
    let made = pods().create(pod).expect("a right pod");
    let container = &made["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["ports"], json!([{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]));
    assert_eq!(container["resources"]["requests"], json!({"cpu": "1", "memory": "1m"}));
    assert_eq!(
        (&made["spec"]["dnsPolicy"], &made["spec"]["enableServiceLinks"]),
        (&json!("ClusterFirst"), &json!(true))
    );
    assert_eq!(made["metadata"]["generation"], 1);
    let status = &made["status"];
    assert_eq!((&status["phase"], &status["qosClass"]), (&json!("Pending"), &json!("Guaranteed")));
    assert_eq!(status["conditions"][0]["reason"], "SchedulingGated");
}

#[test]
fn a_running_pod_changes_little() {
    let old = pod(json!({"nodeName": "n", "activeDeadlineSeconds": 10}));
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = "i:2".into();
    new["spec"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}]);
    let kept = pods().update("", old.clone(), new.clone()).expect("a right change");
    assert_eq!((&kept["metadata"]["generation"], &kept["spec"]["containers"][0]["image"]), (&json!(1), &json!("i:2")));
    new["spec"]["activeDeadlineSeconds"] = 11.into();
    let found = pods().update("", old.clone(), new.clone()).expect_err("a longer deadline");
    assert_eq!(found, ["spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value"]);
    new["spec"]["activeDeadlineSeconds"] = 9.into();
    new["spec"]["hostname"] = "h".into();
    // An empty list is no change.
    new["spec"]["initContainers"] = json!([]);
    let found = pods().update("", old, new).expect_err("another hostname");
    assert_begin(&found, &["spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"]);
    assert!(found[0].contains("+ \"Hostname\": \"h\",") && !found[0].contains("InitContainers"));
}

#[test]
fn gates_are_only_taken_away() {
    let old = pod(json!({"schedulingGates": [{"name": "a"}], "nodeSelector": {"zone": "a"}}));
    let new =
        pod(json!({"schedulingGates": [{"name": "c"}, {"name": "b"}], "nodeSelector": {"zone": "a", "arch": "x"}}));
    assert_eq!(
        pods().update("", old.clone(), new).expect_err("new gates"),
        [
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'c'",
            "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'",
        ]
    );
    let new = pod(json!({"schedulingGates": [], "nodeSelector": {"zone": "a", "arch": "x"}}));
    assert!(pods().update("", old, new).is_ok());
}

#[test]
fn a_resize_changes_sizes_alone() {
    let mut new = running("2");
    new["spec"]["nodeName"] = "elsewhere".into();
    new["metadata"]["labels"] = json!({"a": "b"});
    let kept = pods().update("resize", running("1"), new).expect("a right size");
    assert_eq!(kept["spec"]["containers"][0]["resources"], json!({"requests": {"cpu": "2"}}));
    assert!(kept["spec"].get("nodeName").is_none() && kept["metadata"].get("labels").is_none());
    assert_eq!(kept["metadata"]["generation"], 1);

    let mut new = running("1");
    new["spec"]["containers"][0]["resources"] = json!({});
    assert_eq!(
        pods().update("resize", running("1"), new).expect_err("nothing asked for"),
        [
            "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing",
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
        ]
    );
    let mut new = running("1");
    new["spec"]["containers"][0]["name"] = "d".into();
    assert_eq!(
        pods().update("resize", running("1"), new).expect_err("another name"),
        ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]
    );
}

#[test]
fn ephemeral_containers_come_and_stay() {
    let with = |containers: Value| pod(json!({"ephemeralContainers": containers}));
    let first = json!({"name": "e", "image": "x:1", "targetContainerName": "c"});
    let kept = pods().update("ephemeralcontainers", with(json!([])), with(json!([first])));
    assert_eq!(kept.expect("a right container")["spec"]["ephemeralContainers"][0]["image"], "x:1");
    assert_eq!(
        pods().update("ephemeralcontainers", with(json!([first])), with(json!([]))).expect_err("it is gone"),
        ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be removed\n"]
    );
    let other = json!({"name": "c", "image": "x:1", "ports": [], "resources": {}});
    assert_eq!(
        pods().update("ephemeralcontainers", with(json!([])), with(json!([other]))).expect_err("a name twice"),
        [
            "spec.ephemeralContainers[0].name: Duplicate value: \"c\"",
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
        ]
    );
    assert_begin(
        &pods().refused(with(json!([first]))),
        &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    );
}

#[test]
fn a_status_keeps_what_the_server_knows() {
    let mut old = running("1");
    old["status"]["observedGeneration"] = 3.into();
    old["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]);
    let mut new = pod(json!({"nodeName": "n"}));
    new["status"] = json!({"podIP": "10.0.0.1", "containerStatuses": [
        {"name": "c", "image": "i:1", "imageID": "", "allocatedResources": {"cpu": "100n"}}]});
    let kept = pods().update("status", old.clone(), new.clone()).expect("a right status");
    let status = &kept["status"];
    assert_eq!((&status["qosClass"], &status["observedGeneration"]), (&json!("Burstable"), &json!(3)));
    assert_eq!(status["podIPs"], json!([{"ip": "10.0.0.1"}]));
    assert_eq!(status["containerStatuses"][0]["allocatedResources"]["cpu"], "1m");
    assert_eq!(
        (&kept["spec"], &kept["metadata"]["ownerReferences"][0]["uid"]),
        (&pods().update("status", old.clone(), old.clone()).expect("no change")["spec"], &json!("u"),)
    );
    new["status"] =
        json!({"qosClass": "Guaranteed", "podIPs": [{}], "conditions": [{"type": "-", "observedGeneration": -1}]});
    assert_begin(
        &pods().update("status", old, new).expect_err("a wrong status"),
        &[
            "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer",
            "status.conditions[0].Type: Invalid value: \"-\": name part must consist of",
            "status.qosClass: Invalid value: \"Guaranteed\": field is immutable",
            "status.podIPs[0]: Invalid value: \"\": must be a valid IP address",
        ],
    );
}

#[test]
fn warnings_tell_what_is_right_but_old() {
    let mut pod = pod(
        json!({"nodeSelector": {"beta.kubernetes.io/os": "linux"}, "volumes": [{"name": "g", "gitRepo": {}}],
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}),
    );
    pod["metadata"] =
        json!({"name": "a.b", "annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}});
    assert_begin(
        &pods().warnings(pod.clone()),
        &[
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30",
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior",
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
            "spec.containers[0].env[1]: hides previous definition of \"A\"",
        ],
    );
    // A container that has a profile of its own needs no telling.
    pod["spec"]["containers"][0]["securityContext"] = json!({"appArmorProfile": {"type": "Unconfined"}});
    assert_begin(&pods().warnings(pod)[..1], &["metadata.name: this is used"]);
}

#[test]
fn a_claim_may_be_named_once() {
    let claims = json!([{"name": "a", "request": "r"}, {"name": "a", "request": "r"}, {"name": "a"}]);
    let spec = json!({"resourceClaims": [{"name": "a", "resourceClaimName": "x"}],
        "containers": [{"name": "c", "image": "i", "resources": {"claims": claims}}]});
    assert_eq!(
        pods().refused(pod(spec)),
        [
            "spec.containers[0].resources.claims[1]: Duplicate value: \"a/r\"",
            "spec.containers[0].resources.claims[2]: Duplicate value: \"a\"",
        ]
    );
}

#[test]
fn templates_are_judged_as_pods_are_but_name_no_node_of_their_own() {
    let kind = Kind::new("v1", "PodTemplate");
    let template = |spec: Value| json!({"template": {"metadata": {"labels": {"a": "-"}}, "spec": spec}});
    let made = kind.create(json!({"template": pod(json!({}))})).expect("a right template");
    assert_eq!(made["template"]["spec"]["restartPolicy"], "Always");
    assert_begin(
        &kind.refused(template(json!({"containers": [], "ephemeralContainers": [{"name": "e", "image": "i"}]}))),
        &[
            "template.labels: Invalid value: \"-\": a valid label must be",
            "template.spec.containers: Required value",
            "template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
        ],
    );
}

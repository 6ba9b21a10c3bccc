//! What pods may be: PodSecurity, and the plugins that clusters turn on beside the default ones.

use std::sync::Arc;

use super::client::{Client, Target};
use super::core::Registry;
use super::fixture::{admitted_client, client_with, registry_of, registry_with, value};
use super::options::WriteOptions;
use super::request::{Address, Caller};
use crate::admission::chain::Chain;
use crate::admission::plugins;
use crate::admission::reads::Reads;
use crate::auth::authorizer::{self, AlwaysDeny};
use crate::auth::identity::User;
use crate::model::names::GroupResource;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

const POD: Target = Target::new("", "pods", "default", "p");
const NAMESPACE: Target = Target::new("", "namespaces", "", "default");

fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (field, value) in spec.as_object().expect("fields") {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn named(mut object: Value, name: &str) -> Value {
    object["metadata"]["name"] = name.into();
    object
}

fn why<T>(result: Result<T>) -> String {
    result.err().map_or("allowed".into(), |status: Status| status.message)
}

fn address(registry: &Registry, target: Target<'_>) -> Address {
    let resource = registry.catalog.load().preferred(&GroupResource::new(target.group, target.resource)).cloned();
    Address::new(&resource.expect("a resource"), target.namespace, target.name)
}

/// What a create is answered with: the refusal or `allowed`, then the warnings.
async fn created(client: &Client, target: Target<'_>, object: Value) -> Vec<String> {
    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let options = WriteOptions { dry_run: vec!["All".into()], ..WriteOptions::default() };
    let at = address(client.registry(), target);
    let mut told = vec![why(client.registry().create(&mut caller, &at, object, &options).await)];
    told.extend(caller.warnings.iter().map(ToString::to_string));
    told
}

/// The same for a merge patch of the namespace's labels that is stored.
async fn labelled(client: &Client, labels: Value) -> Vec<String> {
    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let text = json!({"metadata": {"labels": labels}}).to_string();
    let patch = super::patch::Patch::Merge(text.as_bytes());
    let at = address(client.registry(), NAMESPACE);
    let patched = client.registry().patch(&mut caller, &at, patch, &WriteOptions::default()).await;
    client.registry().fresh().await.expect("in the cache");
    let mut told = vec![why(patched)];
    told.extend(caller.warnings.iter().map(ToString::to_string));
    told
}

#[tokio::test(start_paused = true)]
async fn a_namespace_says_what_its_pods_may_be() {
    let client = admitted_client().await;
    let privileged =
        || pod(json!({"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]}));
    assert_eq!(created(&client, POD, privileged()).await, ["allowed"]);
    labelled(&client, json!({"pod-security.kubernetes.io/enforce": "baseline"})).await;
    let violation = "privileged (container \"c\" must not set securityContext.privileged=true)";
    let refusal = format!("pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": {violation}");
    assert_eq!(created(&client, POD, privileged()).await, [refusal]);
    assert_eq!(created(&client, POD, pod(json!({}))).await, ["allowed"]);

    let warned = format!("would violate PodSecurity \"baseline:latest\": {violation}");
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": privileged()["spec"]});
    let deployment =
        json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let deployments = Target::new("apps", "deployments", "default", "d");
    assert_eq!(created(&client, deployments, deployment).await, ["allowed", &warned]);
    let bare =
        json!({"metadata": {"name": "r"}, "spec": {"replicas": 0, "selector": {"a": "b"}, "template": template}});
    let controllers = Target::new("", "replicationcontrollers", "default", "r");
    assert_eq!(created(&client, controllers, bare).await, ["allowed", &warned]);

    let lax = json!({"pod-security.kubernetes.io/enforce": null, "pod-security.kubernetes.io/warn": "baseline"});
    labelled(&client, lax).await;
    assert_eq!(created(&client, POD, privileged()).await, ["allowed", &warned]);
}

#[tokio::test(start_paused = true)]
async fn a_stricter_level_is_told_of_the_pods_that_are_there() {
    let client = admitted_client().await;
    for name in ["a", "b", "c"] {
        let mut pod = pod(if name == "c" { json!({}) } else { json!({"hostNetwork": true}) });
        pod["metadata"]["name"] = name.into();
        client.create(Target { name, ..POD }, &pod).await.expect("created");
    }
    client.registry().fresh().await.expect("in the cache");
    let level = |level: &str| json!({"pod-security.kubernetes.io/enforce": level});
    let heading = |level: &str| {
        format!("existing pods in namespace \"default\" violate the new PodSecurity enforce level \"{level}:latest\"")
    };
    assert_eq!(
        labelled(&client, level("baseline")).await,
        ["allowed", &heading("baseline"), "a (and 1 other pod): host namespaces"]
    );
    let rest = "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile";
    assert_eq!(
        labelled(&client, level("restricted")).await,
        [
            "allowed".to_owned(),
            heading("restricted"),
            format!("a (and 1 other pod): host namespaces, {rest}"),
            format!("c: {rest}"),
        ]
    );
    assert_eq!(labelled(&client, level("baseline")).await, ["allowed"]);
    assert_eq!(
        labelled(&client, level("strict")).await,
        ["Namespace \"default\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \
          \"strict\": must be one of privileged, baseline, restricted"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_runs_already_may_be_relabelled() {
    let client = admitted_client().await;
    client.create(POD, &pod(json!({"hostNetwork": true}))).await.expect("created");
    labelled(&client, json!({"pod-security.kubernetes.io/enforce": "baseline"})).await;
    client.merge(POD, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect("a label");
    let image = json!({"spec": {"containers": [{"name": "c", "image": "new"}]}});
    assert_eq!(
        why(client.strategic(POD, &image).await),
        "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bound_pod_says_where_it_is() {
    let client = admitted_client().await;
    let labels = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "o"});
    let node = json!({"metadata": {"name": "n1", "labels": labels}});
    client.create(Target::new("", "nodes", "", "n1"), &node).await.expect("a node");
    client.registry().fresh().await.expect("in the cache");
    let expected = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"});
    let placed = client.create(POD, &pod(json!({"nodeName": "n1"}))).await.expect("created");
    assert_eq!(value(client.registry(), "", "pods", &placed.object)["metadata"]["labels"], expected);
    let mut waiting = pod(json!({}));
    waiting["metadata"]["name"] = "q".into();
    client.create(Target { name: "q", ..POD }, &waiting).await.expect("created");
    let binding = json!({"metadata": {"name": "q"}, "target": {"kind": "Node", "name": "n1"}});
    let bound = client.bind("default", "q", &binding).await.expect("bound");
    assert_eq!(value(client.registry(), "", "pods", &bound.object)["metadata"]["labels"], expected);
}

#[tokio::test(start_paused = true)]
async fn images_are_pulled_anew_where_they_must_be() {
    let client = client_with(&["AlwaysPullImages", "ExtendedResourceToleration"]).await;
    let container = json!({"name": "c", "image": "i", "imagePullPolicy": "Never",
        "resources": {"limits": {"example.com/gpu": "1"}}});
    let made = client.create(POD, &pod(json!({"containers": [container]}))).await.expect("created");
    let spec = value(client.registry(), "", "pods", &made.object)["spec"].clone();
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "Always");
    let toleration = json!({"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"});
    assert!(spec["tolerations"].as_array().is_some_and(|all| all.contains(&toleration)), "{spec}");
}

#[tokio::test(start_paused = true)]
async fn further_plugins_refuse_what_they_are_for() {
    let plugins = ["LimitPodHardAntiAffinityTopology", "DenyServiceExternalIPs", "PodNodeSelector", "NamespaceExists"];
    let client = client_with(&plugins).await;
    let term = |key: &str| json!([{"topologyKey": key, "labelSelector": {}}]);
    let apart = |key: &str| {
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": term(key)});
        pod(json!({"affinity": {"podAntiAffinity": required}}))
    };
    assert_eq!(created(&client, POD, apart("kubernetes.io/hostname")).await[0], "allowed");
    assert_eq!(
        created(&client, POD, apart("topology.kubernetes.io/zone")).await[0],
        "pods \"p\" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey \
         topology.kubernetes.io/zone but only key kubernetes.io/hostname is allowed"
    );
    let service = Target::new("", "services", "default", "s");
    let with = |ips: Value| json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}], "externalIPs": ips}});
    assert_eq!(created(&client, service, with(json!([]))).await[0], "allowed");
    let denied = "services \"s\" is forbidden: Use of external IPs is denied by admission control";
    assert_eq!(created(&client, service, with(json!(["192.0.2.1"]))).await[0], denied);

    let selector = json!({"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "disk=ssd"}}});
    client.merge(NAMESPACE, &selector).await.expect("annotated");
    client.registry().fresh().await.expect("in the cache");
    let clash = "pods \"p\" is forbidden: pod node label selector conflicts with its namespace node label selector";
    assert_eq!(created(&client, POD, pod(json!({"nodeSelector": {"disk": "hdd"}}))).await[0], clash);
    let made = client.create(POD, &pod(json!({"nodeSelector": {"a": "b"}}))).await.expect("created");
    let made = value(client.registry(), "", "pods", &made.object);
    assert_eq!(made["spec"]["nodeSelector"], json!({"a": "b", "disk": "ssd"}));
}

/// What a container beside those of the pod `q` is answered with.
async fn debugged(client: &Client, container: Value) -> String {
    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let options = WriteOptions { dry_run: vec!["All".into()], ..WriteOptions::default() };
    let mut at = address(client.registry(), Target { name: "q", ..POD });
    at.subresource = "ephemeralcontainers".into();
    let patch = json!({"spec": {"ephemeralContainers": [container]}}).to_string();
    let patch = super::patch::Patch::Merge(patch.as_bytes());
    why(client.registry().patch(&mut caller, &at, patch, &options).await)
}

/// CVE-2023-2727, CVE-2023-2728, CVE-2024-3177: a policy that looks at one sort of container alone is none.
#[tokio::test(start_paused = true)]
async fn no_sort_of_container_or_reference_slips_by() {
    let client = admitted_client().await;
    let enforced = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    let strict = json!({"metadata": {"name": "strict", "annotations": enforced}, "secrets": [{"name": "own"}]});
    client.create(Target::new("", "serviceaccounts", "default", "strict"), &strict).await.expect("created");
    client.registry().fresh().await.expect("in the cache");
    let strict = |mut spec: Value| {
        spec["serviceAccountName"] = json!("strict");
        pod(spec)
    };
    client.create(Target { name: "q", ..POD }, &named(strict(json!({})), "q")).await.expect("created");
    labelled(&client, json!({"pod-security.kubernetes.io/enforce": "baseline"})).await;

    let unlisted = "does not reference that secret";
    let key = |secret: &str| json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]);
    let all = |secret: &str| json!([{"secretRef": {"name": secret}}]);
    let cases = [
        ("env", key("own"), "allowed"),
        ("env", key("other"), unlisted),
        ("envFrom", all("own"), "allowed"),
        ("envFrom", all("other"), unlisted),
        ("securityContext", json!({"privileged": true}), "violates PodSecurity"),
        ("securityContext", json!({"capabilities": {"add": ["SYS_ADMIN"]}}), "violates PodSecurity"),
    ];
    for (field, content, expected) in cases {
        let mut container = json!({"name": "x", "image": "i"});
        container[field] = content;
        let said = debugged(&client, container.clone()).await;
        assert!(said.contains(expected), "beside others, {field}: {said}");
        let plain = json!({"name": "c", "image": "i"});
        for (list, containers) in [("containers", json!([plain, container])), ("initContainers", json!([container]))] {
            let said = created(&client, POD, strict(json!({list: containers}))).await.join("; ");
            assert!(said.contains(expected), "{list}, {field}: {said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_let_through_where_everything_is_denied() {
    let registry = registry_with(|reads| plugins::chain(reads, &["AlwaysDeny", "AlwaysAdmit"], &[]).expect("plugins"));
    let client = Client::new(&registry.await, User::new("jane", &[]), "test");
    let target = Target { name: "n", ..NAMESPACE };
    assert_eq!(
        why(client.create(target, &json!({"metadata": {"name": "n"}})).await),
        "namespaces \"n\" is forbidden: admission control is denying all modifications"
    );
}

#[tokio::test(start_paused = true)]
async fn owners_are_named_by_those_who_could_end_the_object() {
    let registry = registry_with(|reads| {
        let reads = Reads { authorizer: authorizer::Chain::new(vec![Arc::new(AlwaysDeny)]), ..reads.clone() };
        let names: Vec<_> = plugins::chain(&reads, &[], &[]).expect("plugins").names().collect();
        plugins::chain(&reads, &["OwnerReferencesPermissionEnforcement"], &names).expect("plugins")
    })
    .await;
    let client = Client::new(&registry, User::new("jane", &[]), "test");
    let map = Target::new("", "configmaps", "default", "m");
    let owned = |kind: &str, blocks: bool| {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": kind, "name": "d", "uid": "u", "blockOwnerDeletion": blocks});
        json!({"metadata": {"name": "m", "ownerReferences": [owner]}})
    };
    assert_eq!(
        created(&client, map, owned("Deployment", true)).await[0],
        "configmaps \"m\" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't \
         set finalizers on: Everything is forbidden., <nil>"
    );
    assert_eq!(
        created(&client, map, owned("Nonsense", true)).await[0],
        "configmaps \"m\" is forbidden: cannot set blockOwnerDeletion in this case because cannot find RESTMapping for \
         APIVersion apps/v1 Kind Nonsense: no matches for kind \"Nonsense\" in version \"apps/v1\""
    );
    client.create(map, &owned("Deployment", false)).await.expect("it blocks nothing");
    client.merge(map, &json!({"data": {"a": "b"}})).await.expect("the owner stays");
    assert_eq!(
        why(client.merge(map, &json!({"metadata": {"ownerReferences": null}})).await),
        "configmaps \"m\" is forbidden: cannot set an ownerRef on a resource you can't delete: Everything is forbidden., <nil>"
    );
}

#[tokio::test(start_paused = true)]
async fn who_may_only_patch_makes_nothing() {
    let registry = registry_of(authorizer::Chain::new(vec![Arc::new(AlwaysDeny)]), |_| Chain::default()).await;
    let at = address(&registry, Target::new("", "configmaps", "default", "m"));
    let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    let patch = super::patch::Patch::Apply { wanted, repeated: Vec::new() };
    let options = WriteOptions { field_manager: "m".into(), ..WriteOptions::default() };
    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let refused = why(registry.patch(&mut caller, &at, patch, &options).await);
    let text = "configmaps \"m\" is forbidden: User \"jane\" cannot create resource \"configmaps\" in API group \"\" in the \
        namespace \"default\"";
    assert!(refused.starts_with(text), "{refused}");
}

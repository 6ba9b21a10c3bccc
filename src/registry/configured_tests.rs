//! Admission plugins that are told by a file what to do.

use super::client::{Client, Target};
use super::core::Registry;
use super::fixture::{registry_with, value};
use super::options::WriteOptions;
use super::request::{Address, Caller};
use crate::admission::configuration::Configurations;
use crate::admission::plugins;
use crate::admission::reads::Reads;
use crate::audit::annotations::Annotations;
use crate::audit::level::Level;
use crate::auth::identity::User;
use crate::auth::webhook::testing::Hook;
use crate::model::names::GroupResource;
use crate::model::status::Result;
use crate::model::value::{Value, json};

const NAMESPACE: Target = Target::new("", "namespaces", "", "n");

fn told(reads: &Reads, plugin: &str, configuration: Value) -> Reads {
    Reads { configurations: Configurations::of_plugin(plugin, configuration), ..reads.clone() }
}

/// A client of a registry with this plugin alone, and the namespace `n` with these annotations.
async fn client(plugin: &str, configuration: Value, annotations: Value) -> Client {
    let default = |reads: &Reads| plugins::chain(reads, &[], &[]).expect("plugins").names().collect::<Vec<_>>();
    let registry = registry_with(|reads| {
        let reads = told(reads, plugin, configuration);
        let others: Vec<_> = default(&reads).into_iter().filter(|name| *name != plugin).collect();
        plugins::chain(&reads, &[plugin], &others).expect("plugins")
    });
    let client = Client::new(&registry.await, User::new("tester", &["system:masters"]), "tester");
    let namespace = json!({"metadata": {"name": "n", "annotations": annotations}});
    client.create(NAMESPACE, &namespace).await.expect("created");
    client.registry().fresh().await.expect("in the cache");
    client
}

fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"generateName": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    spec.as_object().expect("fields").iter().for_each(|(field, value)| pod["spec"][field.as_str()] = value.clone());
    pod
}

fn address(registry: &Registry, resource: &str, namespace: &str) -> Address {
    let found = registry.catalog.load().preferred(&GroupResource::new("", resource)).cloned();
    Address::new(&found.expect("a resource"), namespace, "")
}

/// The pod as it is made, or why it is not.
async fn made(client: &Client, spec: Value) -> std::result::Result<Value, String> {
    let written = client.create(Target::new("", "pods", "n", ""), &pod(spec)).await;
    written.map(|written| value(client.registry(), "", "pods", &written.object)).map_err(|status| status.message)
}

#[tokio::test(start_paused = true)]
async fn tolerations_are_added_and_bounded() {
    let head = ("podtolerationrestriction.admission.k8s.io/v1alpha1", "Configuration");
    let of = |key: &str| json!({"key": key, "operator": "Exists"});
    let configuration =
        json!({"apiVersion": head.0, "kind": head.1, "default": [of("a")], "whitelist": [of("a"), of("b")]});
    let plain = client("PodTolerationRestriction", configuration.clone(), json!({})).await;
    let made_plain = made(&plain, json!({"tolerations": [of("b")]})).await.expect("made");
    assert_eq!(made_plain["spec"]["tolerations"], json!([of("b"), of("a")]));
    let conflict = |scope: &str| {
        format!(
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its {scope} whitelist"
        )
    };
    assert_eq!(made(&plain, json!({"tolerations": [of("c")]})).await, Err(conflict("cluster")));

    let annotations = json!({"scheduler.alpha.kubernetes.io/defaultTolerations": "",
        "scheduler.alpha.kubernetes.io/tolerationsWhitelist": json!([of("c")]).to_string()});
    let own = client("PodTolerationRestriction", configuration, annotations).await;
    assert_eq!(
        made(&own, json!({"tolerations": [of("c")]})).await.expect("made")["spec"]["tolerations"],
        json!([of("c")])
    );
    assert_eq!(made(&own, json!({"tolerations": [of("a")]})).await, Err(conflict("namespace")));
    let asking = json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]});
    assert_eq!(
        made(&own, asking).await,
        Err(conflict("namespace")),
        "what is not best effort tolerates memory pressure"
    );
}

#[tokio::test(start_paused = true)]
async fn events_are_limited() {
    let head = ("eventratelimit.admission.k8s.io/v1alpha1", "Configuration");
    let limits = json!([{"type": "Namespace", "qps": 1, "burst": 2}, {"type": "Server", "qps": 1, "burst": 2}]);
    let configuration = json!({"apiVersion": head.0, "kind": head.1, "limits": limits});
    let client = client("EventRateLimit", configuration, json!({})).await;
    let event = json!({"metadata": {"generateName": "e"}, "involvedObject": {"namespace": "n", "name": "p"}});
    let create = || client.create(Target::new("", "events", "n", ""), &event);
    create().await.expect("the first");
    create().await.expect("the second");
    let refusal = create().await.expect_err("too many");
    let why = "Too many requests: [limit reached on type Namespace for key n, limit reached on type Server for key ]";
    assert_eq!((refusal.code, refusal.message.as_str()), (429, why));
    client.registry().clock.sleep(std::time::Duration::from_secs(1)).await;
    create().await.expect("one more");

    let refused = registry_with(|reads| {
        assert_eq!(
            plugins::chain(reads, &["EventRateLimit"], &[]).err(),
            Some(
                "couldn't init admission plugin \"EventRateLimit\": limits: Invalid value: null: must not be empty"
                    .into()
            )
        );
        plugins::chain(reads, &[], &[]).expect("plugins")
    });
    refused.await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_made_for_what_is_put_in_it() {
    let client = client("NamespaceAutoProvision", Value::Null, json!({})).await;
    let map = json!({"metadata": {"name": "m"}});
    client.create(Target::new("", "configmaps", "new", "m"), &map).await.expect("created");
    client.get(Target::new("", "namespaces", "", "new")).await.expect("made");
    let (registry, options) = (client.registry(), WriteOptions { dry_run: vec!["All".into()], ..Default::default() });
    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let dry: Result<_> = registry.create(&mut caller, &address(registry, "configmaps", "dry"), map, &options).await;
    dry.expect("nothing else looks for the namespace");
    let missing = client.get(Target::new("", "namespaces", "", "dry")).await.expect_err("not made");
    assert_eq!(missing.code, 404);
}

#[tokio::test(start_paused = true)]
async fn selectors_are_bounded_by_namespace() {
    let selectors = json!({"clusterDefaultNodeSelector": "disk=ssd", "n": "disk=ssd,zone=a"});
    let client = client("PodNodeSelector", json!({"podNodeSelectorPluginConfig": selectors}), json!({})).await;
    let pod = made(&client, json!({"nodeSelector": {"zone": "a"}})).await.expect("made");
    assert_eq!(pod["spec"]["nodeSelector"], json!({"disk": "ssd", "zone": "a"}));
    let refusal = made(&client, json!({"nodeSelector": {"zone": "b"}})).await.expect_err("refused");
    assert!(refusal.ends_with("pod node label selector labels conflict with its namespace whitelist"), "{refusal}");
}

/// Creates a pod as `user`; the refusal or nothing, and the annotations.
async fn noted(client: &Client, user: &str, spec: Value) -> String {
    let mut caller = Caller::new(User::new(user, &[]), "test");
    caller.annotations = Annotations::new(Level::Metadata);
    let at = address(client.registry(), "pods", "n");
    let created = client.registry().create(&mut caller, &at, pod(spec), &WriteOptions::default()).await;
    let mut text = vec![if created.is_ok() { "made".to_owned() } else { "refused".to_owned() }];
    caller.annotations.visit(|key, value| {
        let key = key.trim_start_matches("pod-security.kubernetes.io/");
        text.push(format!("{key}={}", value.split(": ").next().unwrap_or("")));
    });
    text.join(" ")
}

#[tokio::test(start_paused = true)]
async fn pod_security_has_defaults_and_exempts() {
    let head = ("pod-security.admission.config.k8s.io/v1", "PodSecurityConfiguration");
    let configuration = json!({"apiVersion": head.0, "kind": head.1, "defaults": {"enforce": "baseline", "audit":
        "restricted"}, "exemptions": {"usernames": ["joe"], "runtimeClasses": ["sandbox"], "namespaces": ["free"]}});
    let client = client("PodSecurity", configuration, json!({})).await;
    let violated = "audit-violations=would violate PodSecurity \"restricted:latest\" enforce-policy=baseline:latest";
    assert_eq!(noted(&client, "jane", json!({"hostNetwork": true})).await, format!("refused {violated}"));
    assert_eq!(noted(&client, "jane", json!({})).await, format!("made {violated}"));
    assert_eq!(noted(&client, "joe", json!({"hostNetwork": true})).await, "made exempt=user");
    let sandboxed = json!({"hostNetwork": true, "runtimeClassName": "sandbox"});
    assert_eq!(noted(&client, "jane", sandboxed).await, "made exempt=runtimeClass");

    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let free = json!({"metadata": {"name": "free", "labels": labels}});
    let at = address(client.registry(), "namespaces", "");
    client.registry().create(&mut caller, &at, free, &WriteOptions::default()).await.expect("created");
    let warning =
        "namespace \"free\" is exempt from Pod Security, and the policy (enforce=restricted:latest) will be ignored";
    assert_eq!(caller.warnings, [warning]);
}

#[tokio::test(start_paused = true)]
async fn what_is_limited_needs_a_quota() {
    let scope = json!({"scopeName": "PriorityClass", "operator": "In", "values": ["high"]});
    let limited = json!([{"resource": "pods", "matchScopes": [scope]},
        {"resource": "persistentvolumeclaims", "matchContains": [".storageclass.storage.k8s.io/requests.storage"]}]);
    let head = ("apiserver.config.k8s.io/v1", "ResourceQuotaConfiguration");
    let configuration = json!({"apiVersion": head.0, "kind": head.1, "limitedResources": limited});
    let client = client("ResourceQuota", configuration, json!({})).await;
    made(&client, json!({})).await.expect("nothing is asked of it");
    let high = json!({"priorityClassName": "high"});
    let refused = "insufficient quota to match these scopes: [{PriorityClass In [high]}]";
    assert_eq!(made(&client, high.clone()).await, Err(refused.to_owned()));
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gold",
        "resources": {"requests": {"storage": "1Gi"}}}});
    let refusal =
        client.create(Target::new("", "persistentvolumeclaims", "n", "c"), &claim).await.expect_err("refused");
    let why = "persistentvolumeclaims \"c\" is forbidden: insufficient quota to consume: \
        gold.storageclass.storage.k8s.io/requests.storage";
    assert_eq!(refusal.message, why);

    let selector = json!({"matchExpressions": [scope]});
    let spec = json!({"hard": {"pods": "1"}, "scopeSelector": selector});
    let quota = Target::new("", "resourcequotas", "n", "q");
    client.create(quota, &json!({"metadata": {"name": "q"}, "spec": spec})).await.expect("created");
    let status = json!({"status": {"hard": {"pods": "1"}, "used": {"pods": "0"}}});
    client.merge(quota.part("status"), &status).await.expect("counted");
    client.registry().fresh().await.expect("in the cache");
    made(&client, high).await.expect("counted by the quota");
}

#[tokio::test]
async fn images_are_asked_about() {
    let hook = Hook::start(|review| {
        let image = review["spec"]["containers"][0]["image"].as_str().unwrap_or("");
        let reason = if image == "silent" { "" } else { "unsigned" };
        let status = json!({"allowed": image == "i", "reason": reason, "auditAnnotations": {"seen": image}});
        (200, json!({"apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview", "status": status}))
    });
    let hook = hook.await;
    let configuration = json!({"imagePolicy": {"kubeConfigFile": hook.kubeconfig().to_str().expect("a path")}});
    let client = client("ImagePolicyWebhook", configuration, json!({})).await;
    assert_eq!(noted(&client, "jane", json!({})).await, "made imagepolicywebhook.image-policy.k8s.io/seen=i");
    made(&client, json!({})).await.expect("remembered");
    assert_eq!(hook.asked().len(), 1);
    let image = |image: &str| json!({"containers": [{"name": "c", "image": image}]});
    let refusal = made(&client, image("evil")).await.expect_err("refused");
    assert!(
        refusal.ends_with("is forbidden: image policy webhook backend denied one or more images: unsigned"),
        "{refusal}"
    );
    let refusal = made(&client, image("silent")).await.expect_err("refused");
    assert!(refusal.ends_with("is forbidden: one or more images rejected by webhook backend"), "{refusal}");
}

#[tokio::test]
async fn without_an_answer_images_are_refused_or_let_in() {
    let hook = Hook::start(|_| (404, json!({}))).await;
    let configuration = |opens: bool| {
        let kubeconfig = hook.kubeconfig().to_str().expect("a path");
        json!({"imagePolicy": {"kubeConfigFile": kubeconfig, "defaultAllow": opens}})
    };
    let closed = client("ImagePolicyWebhook", configuration(false), json!({})).await;
    assert!(made(&closed, json!({})).await.is_err_and(|why| why.contains("is forbidden: ")));
    let open = client("ImagePolicyWebhook", configuration(true), json!({})).await;
    let noted = noted(&open, "jane", json!({})).await;
    assert_eq!(noted, "made imagepolicywebhook.image-policy.k8s.io/failed-open=true");
}

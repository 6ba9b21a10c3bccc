//! What a node may do, told as questions and answers over a small cluster.

use std::sync::Arc;

use super::NodeAuthorizer;
use crate::auth::authorizer::{Attributes, Authorizer, Decision, Resource};
use crate::auth::identity::{NODES, User};
use crate::auth::selected::{Operator, Requirement};
use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::cache::handle::{Cache, Options};
use crate::cache::limits::Limits;
use crate::codec::protobuf::encode::encode;
use crate::codec::protobuf::envelope::wrap;
use crate::model::names::GroupVersionKind;
use crate::model::value::{Value, json};
use crate::schema::builtin::ROWS;
use crate::schema::catalog::{Catalog, Live};
use crate::store::contract::{Change, Commit, Expect, Store};
use crate::store::memory::Memory;

const UNRELATED: &str = "no relationship found between node 'n1' and this object";

/// Objects by (group, version, resource).
async fn put(store: &Memory, (group, version, resource): (&str, &str, &str), object: Value) {
    let row = ROWS.iter().find(|row| (row.group, row.version, row.resource) == (group, version, resource));
    let row = row.expect("a built-in resource");
    let storage = row.storage().expect("it is stored");
    let part = |field: &str| object["metadata"][field].as_str().map_or(String::new(), |text| format!("/{text}"));
    let key = format!("/registry/{}{}{}", storage.folder, part("namespace"), part("name"));
    let bytes = encode(&object, row.message).expect("an object");
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let value = wrap(&api_version, &storage.kind.kind, &bytes);
    let commit = Commit { key, expect: Expect::Any, change: Change::Put { value, ttl: None } };
    store.commit(commit).await.expect("stored");
}

fn pod(name: &str, node: &str, mut spec: Value) -> Value {
    spec["nodeName"] = node.into();
    json!({"metadata": {"name": name, "namespace": "apps"}, "spec": spec})
}

/// One pod that names everything on `n1`, one pod on `n2`, a mirror pod on `n1`, and volumes behind claims.
async fn cluster() -> NodeAuthorizer {
    let store = Arc::new(Memory::new(Clock::machine()));
    let (pods, volumes) = (("", "v1", "pods"), ("", "v1", "persistentvolumes"));
    let mine = pod(
        "mine",
        "n1",
        json!({
            "serviceAccountName": "robot",
            "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "env"}}, {"configMapRef": {"name": "settings"}}]}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}],
            "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}],
        }),
    );
    put(&store, pods, mine).await;
    let theirs = json!({"serviceAccountName": "other", "imagePullSecrets": [{"name": "pull"}]});
    put(&store, pods, pod("theirs", "n2", theirs)).await;
    let mut mirror = pod("mirror", "n1", json!({"imagePullSecrets": [{"name": "stolen"}]}));
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    put(&store, pods, mirror).await;
    let volume = |name: &str, claim: &str, secret: &str| {
        json!({"metadata": {"name": name}, "spec": {"claimRef": {"namespace": "apps", "name": claim},
            "csi": {"driver": "d", "volumeHandle": "h", "nodeStageSecretRef": {"namespace": "vault", "name": secret}}}})
    };
    put(&store, volumes, volume("pv-data", "data", "stage")).await;
    put(&store, volumes, volume("pv-else", "else", "hidden")).await;
    for (name, node) in [("a1", "n1"), ("a2", "n2")] {
        let attachment = json!({"metadata": {"name": name}, "spec": {"nodeName": node}});
        put(&store, ("storage.k8s.io", "v1", "volumeattachments"), attachment).await;
    }
    let slice = json!({"metadata": {"name": "s1"}, "spec": {"nodeName": "n1"}});
    put(&store, ("resource.k8s.io", "v1", "resourceslices"), slice).await;
    let catalog = Live::new(Catalog::builtin());
    let convert = |_: Value, _: &GroupVersionKind, _: &GroupVersionKind| Err("not here".to_owned());
    let options = Options {
        prefix: "/registry/".into(),
        storages: catalog.load().storages(),
        convert: Arc::new(convert),
        limits: Limits::default(),
        clock: Clock::machine(),
    };
    NodeAuthorizer::new(Cache::open(store, options, &Tasks::default()).await.expect("a cache"))
}

/// `verb group/resource/subresource namespace/name`; the field selector is `spec.nodeName`.
fn ask(nodes: &NodeAuthorizer, question: &str, narrowed_to: Option<&str>) -> Result<(), String> {
    let user = User::new("system:node:n1", &[NODES]);
    let (verb, rest) = question.split_once(' ').expect("a verb");
    let (what, which) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut parts = what.split('/').chain(std::iter::repeat(""));
    let mut part = || parts.next().unwrap_or("");
    let (group, resource, subresource) = (part(), part(), part());
    let (namespace, name) = which.split_once('/').unwrap_or(("", which));
    let narrowed =
        |node: &str| Requirement { key: "spec.nodeName".into(), operator: Operator::In, values: vec![node.into()] };
    let fields: Vec<_> = narrowed_to.map(narrowed).into_iter().collect();
    let of = Resource { group, resource, subresource, namespace, name, fields: &fields, ..Resource::default() };
    let verdict = nodes.authorize(&Attributes::resource(&user, verb, of));
    assert_ne!(verdict.decision, Decision::Deny);
    if verdict.is_allowed() { Ok(()) } else { Err(verdict.reason.to_string()) }
}

fn check(nodes: &NodeAuthorizer, allowed: &[&str], refused: &[(&str, &str)]) {
    for question in allowed {
        assert_eq!(ask(nodes, question, None), Ok(()), "{question}");
    }
    for (question, why) in refused {
        assert_eq!(ask(nodes, question, None), Err((*why).to_owned()), "{question}");
    }
}

#[tokio::test]
async fn a_node_reads_what_its_pods_name() {
    check(
        &cluster().await,
        &[
            "get /secrets apps/env",
            "watch /secrets apps/env",
            "list /configmaps apps/settings",
            "get /persistentvolumeclaims apps/data",
            "get /persistentvolumeclaims apps/mine-scratch",
            "patch /persistentvolumeclaims/status apps/data",
            "get resource.k8s.io/resourceclaims apps/gpu",
            "get /serviceaccounts apps/robot",
            "create /serviceaccounts/token apps/robot",
            "get /pods apps/mine",
            "get /pods apps/mirror",
        ],
        &[
            ("get /secrets apps/pull", UNRELATED),
            ("get /secrets other/env", UNRELATED),
            ("get /secrets apps/stolen", UNRELATED),
            ("get /secrets apps/en", UNRELATED),
            ("get /configmaps apps/env", UNRELATED),
            ("get /persistentvolumeclaims apps/mine", UNRELATED),
            ("get /serviceaccounts apps/other", UNRELATED),
            ("create /serviceaccounts/token apps/other", UNRELATED),
            ("get /pods apps/theirs", UNRELATED),
            ("get /pods apps/none", UNRELATED),
            ("list /secrets apps/", "No Object name found"),
            ("get /secrets env", "can only read namespaced object of this type"),
            ("update /secrets apps/env", "can only read resources of this type"),
            ("get /configmaps/x apps/settings", "cannot read subresource"),
            ("list /persistentvolumeclaims apps/data", "can only get individual resources of this type"),
            ("get /persistentvolumeclaims/status apps/data", "can only get/update/patch this type"),
            ("list /serviceaccounts apps/", "can only create tokens for individual service accounts"),
            ("create /serviceaccounts/x apps/robot", "can only create token subresource of serviceaccount"),
        ],
    );
}

#[tokio::test]
async fn a_node_reads_what_is_behind_the_claims_of_its_pods() {
    check(
        &cluster().await,
        &[
            "get /persistentvolumes pv-data",
            "get /secrets vault/stage",
            "get storage.k8s.io/volumeattachments a1",
            "update resource.k8s.io/resourceslices s1",
        ],
        &[
            ("get /persistentvolumes pv-else", UNRELATED),
            ("get /persistentvolumes none", UNRELATED),
            ("get /secrets vault/hidden", UNRELATED),
            ("get storage.k8s.io/volumeattachments a2", UNRELATED),
            ("get storage.k8s.io/volumeattachments/status a1", "cannot get subresource"),
            ("get resource.k8s.io/resourceslices s2", UNRELATED),
        ],
    );
}

#[tokio::test]
async fn a_node_cares_for_itself_and_its_pods() {
    let nodes = cluster().await;
    check(
        &nodes,
        &[
            "create /nodes",
            "get /nodes n1",
            "watch /nodes n1",
            "patch /nodes/status n2",
            "create /pods apps/",
            "delete /pods apps/theirs",
            "create /pods/eviction apps/theirs",
            "patch /pods/status apps/theirs",
            "create coordination.k8s.io/leases kube-node-lease/",
            "update coordination.k8s.io/leases kube-node-lease/n1",
            "create storage.k8s.io/csinodes",
            "get storage.k8s.io/csinodes n1",
            "create resource.k8s.io/resourceslices",
            "list /services",
            "create certificates.k8s.io/certificatesigningrequests",
            "create events.k8s.io/events apps/",
        ],
        &[
            ("list /nodes", "node 'n1' cannot read all nodes, only its own Node object"),
            ("get /nodes n2", "node 'n1' cannot read 'n2', only its own Node object"),
            ("delete /nodes n1", ""),
            ("get /nodes/proxy n1", ""),
            ("update /pods apps/mine", ""),
            ("create /pods/exec apps/mine", ""),
            ("list /pods apps/", "can only list/watch pods with spec.nodeName field selector"),
            (
                "list coordination.k8s.io/leases kube-node-lease/",
                "can only get, create, update, patch, or delete a node lease",
            ),
            (
                "create coordination.k8s.io/leases apps/",
                "can only access leases in the \"kube-node-lease\" system namespace",
            ),
            (
                "get coordination.k8s.io/leases kube-node-lease/n2",
                "can only access node lease with the same name as the requesting node",
            ),
            ("list storage.k8s.io/csinodes", "can only get, create, update, patch, or delete a CSINode"),
            ("get storage.k8s.io/csinodes n2", "can only access CSINode with the same name as the requesting node"),
            (
                "list resource.k8s.io/resourceslices",
                "can only list/watch/deletecollection resourceslices with nodeName field selector",
            ),
            ("get apps/deployments apps/x", ""),
            ("create certificates.k8s.io/podcertificaterequests apps/", ""),
        ],
    );
    for resource in ["watch /pods", "list /pods apps/", "deletecollection resource.k8s.io/resourceslices"] {
        assert_eq!(ask(&nodes, resource, Some("n1")), Ok(()), "{resource}");
        assert!(ask(&nodes, resource, Some("n2")).is_err(), "{resource}");
    }
}

#[tokio::test]
async fn only_nodes_with_a_name_are_judged() {
    let nodes = cluster().await;
    let ask = |user: &User| {
        let of = Resource { resource: "services", ..Resource::default() };
        let verdict = nodes.authorize(&Attributes::resource(user, "list", of));
        (verdict.decision, verdict.reason.to_string())
    };
    assert_eq!(ask(&User::new("system:node:n1", &[])), (Decision::NoOpinion, String::new()));
    assert_eq!(ask(&User::new("jane", &[NODES])), (Decision::NoOpinion, String::new()));
    let unnamed = User::new("system:node:", &[NODES]);
    assert_eq!(ask(&unnamed), (Decision::NoOpinion, "unknown node for user \"system:node:\"".into()));
    let path = Attributes::path(&unnamed, "get", "/healthz");
    assert!(!nodes.authorize(&path).is_allowed());
    let rules = nodes.rules(&User::new("system:node:n1", &[NODES]), "apps");
    assert_eq!((rules.incomplete, &*rules.error), (true, "node authorizer does not support user rule resolution"));
    assert!(!nodes.rules(&User::new("jane", &[]), "apps").incomplete);
}

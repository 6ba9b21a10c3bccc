//! What each plugin makes of a pod: a cluster, a pod, and the node that it gets or why it gets none.

use crate::model::value::{Value, json};
use crate::scheduler::config::Strategy;
use crate::scheduler::testing::{Fixed, World, asking};

fn world() -> World {
    World::new(Fixed::default())
}

fn labelled(labels: Value) -> Value {
    json!({"metadata": {"labels": labels}})
}

fn spec(spec: Value) -> Value {
    json!({"spec": spec})
}

/// What follows the reasons when no pod could make room.
fn useless(nodes: usize, why: &str) -> String {
    format!("no new claims to deallocate, preemption: 0/{nodes} nodes are available: {why}.")
}

#[test]
fn reasons_are_told_as_stock_tells_them() {
    let taint = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
    let mut world = world()
        .node("n1", json!({"spec": {"taints": taint}}))
        .node("n2", json!({"status": {"allocatable": {"cpu": "1"}}}))
        .node("n3", json!({}))
        .on("n3", "a", spec(asking("3", "1Gi")));
    let why = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. ";
    let after = "1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling";
    assert_eq!(world.decide(spec(asking("2", "1Gi"))), format!("{why}{}", useless(3, after)));
    let mut tolerant = spec(asking("2", "1Gi"));
    tolerant["spec"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}]);
    assert_eq!(world.decide(tolerant), "n1");
    let why =
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 2 Insufficient cpu. ";
    let got = world.decide(spec(asking("2", "7.5Gi")));
    assert!(got.starts_with(why), "{got}");
    assert_eq!(self::world().decide(json!({})), "no nodes available to schedule pods");
}

#[test]
fn devices_and_the_number_of_pods_are_limits() {
    let mut world = world().node("n1", json!({"status": {"allocatable": {"pods": "1", "example.com/gpu": "2"}}}));
    let gpu = |count: &str| {
        spec(json!({"containers": [{"name": "c", "resources": {"requests": {"example.com/gpu": count}}}]}))
    };
    assert_eq!(world.decide(gpu("2")), "n1");
    let why = "0/1 nodes are available: 1 Insufficient example.com/gpu. ";
    let never = useless(1, "1 Preemption is not helpful for scheduling");
    assert_eq!(world.decide(gpu("3")), format!("{why}{never}"));
    let mut world = world.on("n1", "a", json!({}));
    assert!(world.decide(gpu("1")).starts_with("0/1 nodes are available: 1 Too many pods. "));
}

#[test]
fn closed_nodes_take_only_the_tolerant() {
    let mut world = world().node("n1", spec(json!({"unschedulable": true})));
    assert!(world.decide(json!({})).starts_with("0/1 nodes are available: 1 node(s) were unschedulable. "));
    let tolerations = json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]);
    assert_eq!(world.decide(spec(json!({"tolerations": tolerations}))), "n1");
}

#[test]
fn soft_taints_are_avoided() {
    let taints = json!([{"key": "k", "effect": "PreferNoSchedule"}]);
    let mut world = world().node("n1", spec(json!({"taints": taints}))).node("n2", json!({}));
    assert_eq!(world.decide(json!({})), "n2");
    let tolerant = spec(json!({"tolerations": [{"key": "k", "operator": "Exists"}]}));
    let got: std::collections::BTreeSet<_> = (0..40).map(|_| world.decide(tolerant.clone())).collect();
    assert_eq!(got.len(), 2, "equal nodes are chosen by chance");
}

#[test]
fn nodes_are_selected_and_preferred() {
    let mut world = world().node("n1", labelled(json!({"disk": "ssd"}))).node("n2", labelled(json!({"disk": "hdd"})));
    assert_eq!(world.decide(spec(json!({"nodeSelector": {"disk": "ssd"}}))), "n1");
    let got = world.decide(spec(json!({"nodeSelector": {"disk": "tape"}})));
    let never = useless(2, "2 Preemption is not helpful for scheduling");
    assert_eq!(got, format!("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. {never}"));
    let wanted = json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": ["hdd"]}]});
    let preferred = json!([{"weight": 1, "preference": wanted}]);
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}});
    assert_eq!(world.decide(spec(json!({"affinity": affinity}))), "n2");
}

#[test]
fn a_pod_for_one_node_asks_no_other() {
    let mut world =
        world().node("n1", spec(json!({"unschedulable": true}))).node("n2", json!({})).node("n3", json!({}));
    let field = |name: &str| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]});
    let pod = |name: &str| {
        let required = json!({"nodeSelectorTerms": [field(name)]});
        spec(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}))
    };
    assert_eq!(world.decide(pod("n2")), "n2");
    let why =
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. ";
    let never = useless(3, "3 Preemption is not helpful for scheduling");
    assert_eq!(world.decide(pod("n1")), format!("{why}{never}"));
}

#[test]
fn ports_are_taken_once() {
    let pod = |port: i32| spec(json!({"containers": [{"name": "c", "ports": [{"hostPort": port}]}]}));
    let mut world = world().node("n1", json!({})).on("n1", "a", pod(80));
    assert_eq!(world.decide(pod(81)), "n1");
    let why = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. ";
    assert!(world.decide(pod(80)).starts_with(why));
}

#[test]
fn the_emptier_node_is_better_unless_told_otherwise() {
    let mut world = world().node("n1", json!({})).node("n2", json!({})).on("n1", "a", spec(asking("1", "2Gi")));
    let pod = spec(asking("1", "2Gi"));
    assert_eq!(world.decide(pod.clone()), "n2");
    world.profile.strategy = Strategy::MostAllocated;
    assert_eq!(world.decide(pod.clone()), "n1");
    world.profile.strategy = Strategy::RequestedToCapacityRatio(vec![(0, 0), (100, 10)]);
    assert_eq!(world.decide(pod), "n1");
}

#[test]
fn the_more_even_node_is_better() {
    // Both have as much of cpu and memory together, n1 less evenly; the pod would make n1 even.
    let mut world = world().node("n1", json!({})).node("n2", json!({})).on("n1", "a", spec(asking("2", "1Gi"))).on(
        "n2",
        "b",
        spec(asking("1", "3Gi")),
    );
    assert_eq!(world.decide(spec(asking("100m", "2Gi"))), "n1");
}

#[test]
fn images_that_are_there_draw_pods() {
    let images = json!([{"names": ["big:latest"], "sizeBytes": 900_000_000}]);
    let mut world = world().node("n1", json!({})).node("n2", json!({"status": {"images": images}}));
    assert_eq!(world.decide(spec(json!({"containers": [{"name": "c", "image": "big"}]}))), "n2");
}

fn zones(names: &[(&str, &str)]) -> World {
    names
        .iter()
        .fold(world(), |world, (name, zone)| world.node(name, labelled(json!({"topology.kubernetes.io/zone": zone}))))
}

fn app(spec: Value) -> Value {
    json!({"metadata": {"labels": {"app": "x"}}, "spec": spec})
}

fn spread(when: &str) -> Value {
    app(json!({"topologySpreadConstraints": [{
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "x"}},
    }]}))
}

#[test]
fn pods_are_spread_over_zones() {
    let mut world = zones(&[("n1", "a"), ("n2", "b")]).on("n1", "p", app(json!({})));
    assert_eq!(world.decide(spread("DoNotSchedule")), "n2");
    assert_eq!(world.decide(spread("ScheduleAnyway")), "n2");
    let mut closed = labelled(json!({"topology.kubernetes.io/zone": "b"}));
    closed["spec"] = json!({"unschedulable": true});
    let mut world = world.node("n3", json!({})).node("n2", closed);
    let why = "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, \
               1 node(s) didn't match pod topology spread constraints (missing required label), \
               1 node(s) were unschedulable. ";
    let got = world.decide(spread("DoNotSchedule"));
    assert!(got.starts_with(why), "{got}");
    let mut few = spread("DoNotSchedule");
    few["spec"]["topologySpreadConstraints"][0]["minDomains"] = 3.into();
    assert!(zones(&[("n1", "a")]).on("n1", "p", app(json!({}))).decide(few).starts_with("0/1 nodes are available"));
}

#[test]
fn counts_follow_the_pods() {
    let mut world = zones(&[("n1", "a"), ("n2", "b")]).on("n1", "p", app(json!({})));
    assert_eq!(world.decide(spread("DoNotSchedule")), "n2");
    let mut world = world.on("n2", "q", app(json!({}))).on("n2", "r", app(json!({})));
    assert_eq!(world.decide(spread("DoNotSchedule")), "n1");
    let q = crate::scheduler::testing::pod("q", json!({}));
    let r = crate::scheduler::testing::pod("r", json!({}));
    world.cluster.remove_pod(&q.key);
    world.cluster.remove_pod(&r.key);
    assert_eq!(world.decide(spread("DoNotSchedule")), "n2");
}

#[test]
fn pods_of_a_controller_are_spread_without_being_told() {
    let set = json!({"metadata": {"name": "s", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}}});
    let owner = json!([{"kind": "ReplicaSet", "name": "s", "uid": "s1", "controller": true}]);
    let mut pod = app(json!({}));
    pod["metadata"]["ownerReferences"] = owner;
    let mut world = World::new(Fixed::default().with("replicasets", set))
        .node("n1", json!({"status": {"allocatable": {"cpu": "8", "memory": "16Gi"}}}))
        .node("n2", json!({}))
        .on("n1", "p", app(json!({})))
        .on("n1", "q", app(json!({})));
    assert_eq!(world.decide(pod), "n2");
    assert_eq!(world.decide(spec(asking("2", "4Gi"))), "n1", "alone it goes where there is most room");
}

fn term(extra: Value) -> Value {
    let mut term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}});
    term.as_object_mut().into_iter().for_each(|term| term.extend(extra.as_object().cloned().unwrap_or_default()));
    term
}

fn required(kind: &str, term: Value) -> Value {
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
}

#[test]
fn pods_keep_near_and_away() {
    let mut world = world().node("n1", json!({})).node("n2", json!({})).on("n1", "p", app(json!({})));
    assert_eq!(world.decide(spec(required("podAffinity", term(json!({}))))), "n1");
    assert_eq!(world.decide(spec(required("podAntiAffinity", term(json!({}))))), "n2");
    let preferred = json!([{"weight": 100, "podAffinityTerm": term(json!({}))}]);
    let near = json!({"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}});
    assert_eq!(world.decide(spec(near)), "n1");
    let other = spec(required("podAffinity", term(json!({"namespaces": ["other"]}))));
    let never = useless(2, "2 Preemption is not helpful for scheduling");
    assert_eq!(
        world.decide(other),
        format!("0/2 nodes are available: 2 node(s) didn't match pod affinity rules. {never}")
    );
    let mut full = world.on("n2", "q", app(json!({})));
    let got = full.decide(spec(required("podAntiAffinity", term(json!({})))));
    assert!(got.starts_with("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. "), "{got}");
}

#[test]
fn the_first_of_its_kind_needs_no_neighbour() {
    let mut world = world().node("n1", json!({}));
    assert_eq!(world.decide(app(required("podAffinity", term(json!({}))))), "n1");
    assert!(world.decide(spec(required("podAffinity", term(json!({}))))).starts_with("0/1"));
}

#[test]
fn those_who_want_to_be_alone_are_left_alone() {
    let mut world = world().node("n1", json!({})).on("n1", "p", spec(required("podAntiAffinity", term(json!({})))));
    let why = "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules. ";
    let got = world.decide(app(json!({})));
    assert!(got.starts_with(why), "{got}");
    assert_eq!(world.decide(json!({})), "n1");
    let by_namespace = term(json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}));
    let mut world = self::world().node("n1", json!({})).on("n1", "p", spec(required("podAntiAffinity", by_namespace)));
    assert_eq!(world.decide(app(json!({}))), "n1");
    world.cluster.put_namespace("default", crate::scheduler::terms::Labels::new([("team", "y")]));
    assert!(world.decide(app(json!({}))).starts_with(why));
}

fn claiming(name: &str) -> Value {
    spec(json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]}))
}

fn claim(name: &str, spec: Value) -> Value {
    let annotations = json!({"pv.kubernetes.io/bind-completed": "yes"});
    json!({"metadata": {"name": name, "namespace": "default", "annotations": annotations}, "spec": spec})
}

fn volume(name: &str, node: &str) -> Value {
    let expression = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
    let required = json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]});
    json!({
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "nodeAffinity": {"required": required},
        },
        "status": {"phase": "Available"},
    })
}

#[test]
fn claims_decide_where_a_pod_can_run() {
    let asked = json!({"storageClassName": "local", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}}});
    let class = |mode: &str, provisioner: &str| json!({"metadata": {"name": "local"}, "volumeBindingMode": mode, "provisioner": provisioner});
    let world = |fixed: Fixed| World::new(fixed).node("n1", json!({})).node("n2", json!({}));
    let never = useless(2, "2 Preemption is not helpful for scheduling");
    let fixed = Fixed::default();
    let why = "0/2 nodes are available: persistentvolumeclaim \"c\" not found. ";
    assert_eq!(world(fixed).decide(claiming("c")), format!("{why}{never}"));

    let unbound = || Fixed::default().with("persistentvolumeclaims", claim("c", asked.clone()));
    let why = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. ";
    let immediate = unbound().with("storageclasses", class("Immediate", "x"));
    assert_eq!(world(immediate).decide(claiming("c")), format!("{why}{never}"));

    let manual = || unbound().with("storageclasses", class("WaitForFirstConsumer", "kubernetes.io/no-provisioner"));
    let why = "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. ";
    assert_eq!(world(manual()).decide(claiming("c")), format!("{why}{never}"));
    assert_eq!(world(manual().with("persistentvolumes", volume("v", "n2"))).decide(claiming("c")), "n2");
    let made = unbound().with("storageclasses", class("WaitForFirstConsumer", "csi.example.com"));
    assert!(world(made).decide(claiming("c")).starts_with('n'));

    let bound = Fixed::default().with("persistentvolumeclaims", claim("c", json!({"volumeName": "v"})));
    let why = "0/2 nodes are available: 2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s). ";
    assert_eq!(world(bound).decide(claiming("c")), format!("{why}{never}"));
    let bound = Fixed::default()
        .with("persistentvolumeclaims", claim("c", json!({"volumeName": "v"})))
        .with("persistentvolumes", volume("v", "n3"));
    let why = "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity. ";
    assert_eq!(world(bound).decide(claiming("c")), format!("{why}{never}"));
}

#[test]
fn provisioners_say_how_much_they_have_left() {
    let asked = json!({"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}});
    let class = json!({"metadata": {"name": "fast"}, "volumeBindingMode": "WaitForFirstConsumer", "provisioner": "d"});
    let capacity = |name: &str, node: &str, left: &str| {
        let topology = json!({"matchLabels": {"kubernetes.io/hostname": node}});
        json!({"metadata": {"name": name, "namespace": "default"}, "storageClassName": "fast",
            "nodeTopology": topology, "capacity": left})
    };
    let fixed = Fixed::default()
        .with("persistentvolumeclaims", claim("c", asked))
        .with("storageclasses", class)
        .with("csidrivers", json!({"metadata": {"name": "d"}, "spec": {"storageCapacity": true}}))
        .with("csistoragecapacities", capacity("a", "n1", "1Gi"))
        .with("csistoragecapacities", capacity("b", "n2", "6Gi"));
    let mut world = World::new(fixed).node("n1", json!({})).node("n2", json!({}));
    assert_eq!(world.decide(claiming("c")), "n2");
    world.cluster.remove_node("n2");
    let got = world.decide(claiming("c"));
    assert!(got.starts_with("0/1 nodes are available: 1 node(s) did not have enough free storage. "), "{got}");
}

#[test]
fn volumes_have_zones_limits_and_single_users() {
    let mut zoned = volume("v", "n1");
    zoned["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "a__b"});
    zoned["spec"]["nodeAffinity"] = Value::Null;
    zoned["spec"]["csi"] = json!({"driver": "d", "volumeHandle": "h"});
    let once = json!({"volumeName": "v", "accessModes": ["ReadWriteOncePod"]});
    let driver = json!({"name": "d", "allocatable": {"count": 0}});
    let fixed = |claimed: Value| {
        let fixed = Fixed::default().with("persistentvolumeclaims", claim("c", claimed));
        fixed.with("persistentvolumes", zoned.clone())
    };
    let in_zone = |zone: &str| labelled(json!({"topology.kubernetes.io/zone": zone}));
    let many = json!({"volumeName": "v"});
    let mut world = World::new(fixed(many.clone())).node("n1", in_zone("c")).node("n2", in_zone("b"));
    assert_eq!(world.decide(claiming("c")), "n2");
    world.cluster.remove_node("n2");
    assert!(
        world.decide(claiming("c")).starts_with("0/1 nodes are available: 1 node(s) had no available volume zone. ")
    );

    let full = fixed(many).with("csinodes", json!({"metadata": {"name": "n1"}, "spec": {"drivers": [driver]}}));
    let got = World::new(full).node("n1", json!({})).decide(claiming("c"));
    assert!(got.starts_with("0/1 nodes are available: 1 node(s) exceed max volume count. "), "{got}");

    let mut world = World::new(fixed(once)).node("n1", json!({})).node("n2", json!({})).on("n1", "p", claiming("c"));
    let got = world.decide(claiming("c"));
    assert!(got.contains("ReadWriteOncePod access mode already in-use by another pod"), "{got}");
}

#[test]
fn a_pod_with_resource_claims_waits() {
    let got = world().node("n1", json!({})).decide(spec(json!({"resourceClaims": [{"name": "gpu"}]})));
    assert!(got.starts_with("0/1 nodes are available: cannot allocate all claims. "), "{got}");
}

//! What a write of a Service does before addresses and ports are handed out, and so before it is prepared and
//! validated: keep what the server gave before, and settle on families of addresses.
//!
//! The registry then hands out a cluster IP for each family that has none yet ([`spec::needs_cluster_ip`], unless
//! headless), node ports ([`spec::needs_node_ports`]) and the health check's port ([`spec::needs_health_check`]).

use std::collections::BTreeMap;

use super::{addresses, spec};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::{Map, Value, json};
use crate::rules::at::At;
use crate::rules::checks::network::{Family, ip_family};
use crate::rules::fill;
use crate::schema::table::API_CORE_V1_SERVICE as SERVICE;

const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const REQUIRE: &str = "RequireDualStack";

/// The families of the cluster's service addresses.
#[derive(Clone, Copy, Debug)]
pub struct Families {
    pub primary: Family,
    pub dual: bool,
}

impl Families {
    fn has(self, family: Family) -> bool {
        self.dual || family == self.primary
    }
}

/// Of a new service. Errors end the write as any invalid object does.
pub fn create(new: &mut Value, cluster: Families) -> FieldErrors {
    plural_of_singular(new);
    settle_families(new, None, cluster)
}

/// Of a changed service; `old` is [`complete`].
pub fn update(new: &mut Value, old: &Value, cluster: Families) -> FieldErrors {
    keep_allocated(new, old);
    follow_singular(new, old);
    settle_families(new, Some(old), cluster)
}

/// Fills what services had not yet when they were written by an old server: of every service that is read, before
/// it is shown or changed.
pub fn complete(kept: &mut Value, cluster: Families) {
    plural_of_singular(kept);
    let spec = &kept["spec"];
    if spec::needs_cluster_ip(spec) && spec::texts(spec, "ipFamilies").len() == 0 {
        let selects = spec["selector"].as_object().is_some_and(|selector| !selector.is_empty());
        let families: Vec<Family> = if spec::text(spec, "clusterIP") != spec::NONE {
            spec::texts(spec, "clusterIPs").map(|ip| ip_family(ip).unwrap_or(Family::V4)).collect()
        } else if selects {
            vec![cluster.primary]
        } else {
            vec![cluster.primary, cluster.primary.other()]
        };
        let policy = if families.len() == 2 { REQUIRE } else { SINGLE };
        if !families.is_empty() {
            set(kept, "ipFamilies", families.iter().map(|family| family.name()).collect::<Vec<_>>().into());
            set(kept, "ipFamilyPolicy", policy.into());
        }
    }
    if spec::kind(&kept["spec"]) == spec::EXTERNAL_NAME {
        fill::remove(kept, &["spec"], "internalTrafficPolicy");
    }
}

/// Clients that know only `clusterIP` mean both.
fn plural_of_singular(object: &mut Value) {
    let spec = &object["spec"];
    let ip = spec::text(spec, "clusterIP");
    if !ip.is_empty() && spec::texts(spec, "clusterIPs").len() == 0 {
        let ips = json!([ip]);
        set(object, "clusterIPs", ips);
    }
}

/// The same of an update: the plural follows when only the singular changed.
fn follow_singular(new: &mut Value, old: &Value) {
    let (now, was) = (&new["spec"], &old["spec"]);
    let (ip, before) = (spec::text(now, "clusterIP").to_owned(), spec::text(was, "clusterIP"));
    if ip == before {
        if spec::texts(now, "clusterIPs").len() == 0 && spec::texts(was, "clusterIPs").len() > 0 {
            set(new, "clusterIPs", was["clusterIPs"].clone());
        }
    } else if spec::same_texts(now, was, "clusterIPs") {
        if ip.is_empty() {
            fill::remove(new, &["spec"], "clusterIPs");
        } else {
            set(new, "clusterIPs", json!([ip]));
        }
    }
}

/// What the server gave and the client left out.
fn keep_allocated(new: &mut Value, old: &Value) {
    let was = &old["spec"];
    let both = |needs: fn(&Value) -> bool, new: &Value| needs(was) && needs(&new["spec"]);
    if both(spec::needs_cluster_ip, new) {
        if spec::text(&new["spec"], "clusterIP").is_empty() && !spec::text(was, "clusterIP").is_empty() {
            set(new, "clusterIP", was["clusterIP"].clone());
        }
        if spec::texts(&new["spec"], "clusterIPs").len() == 0 && spec::texts(was, "clusterIPs").len() > 0 {
            set(new, "clusterIPs", was["clusterIPs"].clone());
        }
    }
    if both(spec::needs_node_ports, new) {
        keep_node_ports(new, was);
    }
    if both(spec::needs_health_check, new)
        && new["spec"]["healthCheckNodePort"].as_i64().unwrap_or(0) == 0
        && let Some(port) = was["healthCheckNodePort"].as_i64()
    {
        set(new, "healthCheckNodePort", port.into());
    }
}

/// Ports are known by their names. A node port that the client gave to another port is not kept.
fn keep_node_ports(new: &mut Value, was: &Value) {
    let asked: Vec<i64> = spec::node_ports(&new["spec"]).collect();
    let name = |port: &Map| fill::text(port, "name").to_owned();
    let number = |port: &Map| port.get("nodePort").and_then(Value::as_i64).unwrap_or(0);
    let before = was["ports"].as_array().into_iter().flatten().filter_map(Value::as_object);
    let before: BTreeMap<String, i64> = before.map(|port| (name(port), number(port))).collect();
    for port in fill::items(new, &["spec", "ports"]) {
        let kept = before.get(&name(port)).copied().unwrap_or(0);
        if number(port) == 0 && kept != 0 && !asked.contains(&kept) {
            port.insert("nodePort".into(), kept.into());
        }
    }
}

/// Fills `ipFamilyPolicy` and `ipFamilies`, or says why they cannot be.
fn settle_families(new: &mut Value, old: Option<&Value>, cluster: Families) -> FieldErrors {
    if !spec::needs_cluster_ip(&new["spec"]) || old.is_some_and(|old| stays_preferring(&new["spec"], &old["spec"])) {
        return FieldErrors::new();
    }
    if new["spec"]["ipFamilyPolicy"].is_null() {
        let policy = default_policy(&new["spec"], old.map(|old| &old["spec"]));
        set(new, "ipFamilyPolicy", policy);
    }
    let mut errs = FieldErrors::new();
    let before = old.map(|old| At::new(old, Some(&SERVICE)));
    let before = before.as_ref().map(|before| before.at("spec"));
    addresses::validate(&At::new(new, Some(&SERVICE)).at("spec"), before.as_ref(), &mut errs);
    if !errs.is_empty() {
        return errs;
    }
    if let Some(old) = old {
        release_second(new, &old["spec"], &mut errs);
    }
    single_holds_one(&At::new(new, Some(&SERVICE)).at("spec"), &mut errs);
    infer_families(new, cluster, &mut errs);
    if !errs.is_empty() {
        return errs;
    }
    let selects = new["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    let free = spec::text(&new["spec"], "clusterIP") == spec::NONE && !selects;
    if !free {
        cluster_has(&At::new(new, Some(&SERVICE)).at("spec"), cluster, &mut errs);
        if !errs.is_empty() {
            return errs;
        }
    }
    complete_families(new, cluster, free);
    errs
}

/// A service that prefers two families is not changed because the cluster was.
fn stays_preferring(now: &Value, was: &Value) -> bool {
    let prefers = |spec: &Value| spec::text(spec, "ipFamilyPolicy") == PREFER;
    prefers(now)
        && (prefers(was) || was["ipFamilyPolicy"].is_null())
        && spec::same_text(now, was, "type")
        && matches!(spec::kind(now), spec::CLUSTER_IP | spec::NODE_PORT | spec::LOAD_BALANCER)
        && spec::same_texts(now, was, "clusterIPs")
        && spec::same_texts(now, was, "ipFamilies")
}

fn default_policy(now: &Value, was: Option<&Value>) -> Value {
    let kept = was.map(|was| &was["ipFamilyPolicy"]).filter(|policy| !policy.is_null());
    let selects = now["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    let free = spec::text(now, "clusterIP") == spec::NONE && !selects;
    kept.cloned().unwrap_or_else(|| if free { REQUIRE } else { SINGLE }.into())
}

/// Naming a single family is enough to let the second address go; anything else must not take it away.
fn release_second(new: &mut Value, was: &Value, errs: &mut FieldErrors) {
    let single = spec::text(&new["spec"], "ipFamilyPolicy") == SINGLE;
    for (field, of) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let count = spec::texts(&new["spec"], field).len();
        if !single && count > 0 && count < spec::texts(was, field).len() {
            let root = At::new(new, Some(&SERVICE));
            let detail = format!("must be 'SingleStack' to release the secondary {of}");
            root.at("spec").at("ipFamilyPolicy").invalid(errs, detail);
        }
        if single && count > 1 && spec::same_texts(&new["spec"], was, field) {
            let first = spec::texts(was, field).next().unwrap_or("").to_owned();
            set(new, field, json!([first]));
        }
    }
}

fn single_holds_one(spec: &At, errs: &mut FieldErrors) {
    let policy = spec.at("ipFamilyPolicy");
    for (field, of) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if policy.str() == SINGLE && spec.at(field).len() == 2 {
            let dual = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {of} are specified");
            policy.invalid(errs, dual);
        }
    }
}

/// Addresses say which families they are of.
fn infer_families(new: &mut Value, cluster: Families, errs: &mut FieldErrors) {
    let root = At::new(new, Some(&SERVICE));
    let spec = root.at("spec");
    let mut families: Vec<String> = spec.at("ipFamilies").strs().map(str::to_owned).collect();
    let (given, ips) = (families.len(), spec.at("clusterIPs"));
    for ip in ips.items().take_while(|ip| ip.str() != spec::NONE).skip(given) {
        match ip_family(ip.str()) {
            Some(family) if cluster.has(family) => families.push(family.name().to_owned()),
            family => {
                let family = family.map_or("unknown", Family::name);
                let detail = format!("{family} is not configured on this cluster");
                errs.push(FieldError::invalid(ip.path(), ips.bad(), detail));
            }
        }
    }
    if families.len() > given {
        set(new, "ipFamilies", families.into());
    }
}

fn cluster_has(spec: &At, cluster: Families, errs: &mut FieldErrors) {
    let policy = spec.at("ipFamilyPolicy");
    if policy.str() == REQUIRE && !cluster.dual {
        policy.invalid(errs, "this cluster is not configured for dual-stack services");
    }
    for family in spec.at("ipFamilies").items() {
        if !cluster.dual && family.str() != cluster.primary.name() {
            family.invalid(errs, "not configured on this cluster");
        }
    }
}

/// The cluster's family where none is named, and the other where two are wanted. `free` of the cluster's families is
/// what has neither addresses nor a selector.
fn complete_families(new: &mut Value, cluster: Families, free: bool) {
    let spec = &new["spec"];
    let mut families: Vec<&str> = spec::texts(spec, "ipFamilies").collect();
    let given = families.len();
    if families.is_empty() {
        families.push(cluster.primary.name());
    }
    let dual = spec::text(spec, "ipFamilyPolicy") != SINGLE;
    if dual && families.len() == 1 && (free || cluster.dual) {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" });
    }
    if families.len() > given {
        let families = json!(families);
        set(new, "ipFamilies", families);
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(spec) = fill::made(object, &["spec"]) {
        spec.insert(field.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Families = Families { primary: Family::V4, dual: false };
    const DUAL: Families = Families { primary: Family::V4, dual: true };

    fn created(mut spec: Value, cluster: Families) -> String {
        let mut service = json!({"spec": spec});
        let errors = create(&mut service, cluster);
        if !errors.is_empty() {
            return errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        }
        spec = service["spec"].take();
        format!("{} {} {}", spec["clusterIPs"], spec["ipFamilies"], spec["ipFamilyPolicy"]).replace('"', "")
    }

    #[test]
    fn families_of_a_new_service() {
        let both = "[IPv4,IPv6]";
        for (spec, cluster, found) in [
            (json!({}), V4, "null [IPv4] SingleStack".to_owned()),
            (json!({}), DUAL, "null [IPv4] SingleStack".to_owned()),
            (json!({"clusterIP": "10.96.0.9"}), V4, "[10.96.0.9] [IPv4] SingleStack".to_owned()),
            (json!({"clusterIP": "None"}), V4, format!("[None] {both} RequireDualStack")),
            (json!({"clusterIP": "None", "selector": {"a": "b"}}), V4, "[None] [IPv4] SingleStack".to_owned()),
            (json!({"ipFamilyPolicy": "PreferDualStack"}), V4, "null [IPv4] PreferDualStack".to_owned()),
            (json!({"ipFamilyPolicy": "PreferDualStack"}), DUAL, format!("null {both} PreferDualStack")),
            (json!({"type": "ExternalName"}), V4, "null null null".to_owned()),
            (
                json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}),
                V4,
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services; \
                 spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"
                    .to_owned(),
            ),
            (
                json!({"clusterIP": "2001:db8::1"}),
                V4,
                "spec.clusterIPs[0]: Invalid value: [\"2001:db8::1\"]: IPv6 is not configured on this cluster".to_owned(),
            ),
            (
                json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4", "IPv6"]}),
                DUAL,
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified".to_owned(),
            ),
            (json!({"clusterIP": "x"}), V4, "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()),
        ] {
            assert_eq!(created(spec.clone(), cluster), found, "{spec}");
        }
    }

    #[test]
    fn an_update_keeps_what_the_server_gave() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "ports": [{"name": "a", "nodePort": 30001}, {"name": "b", "nodePort": 30002}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"name": "a"}, {"name": "b"}, {"name": "c", "nodePort": 30002}]}});
        assert!(update(&mut new, &old, V4).is_empty());
        let mut expected = old.clone();
        expected["spec"]["ports"] =
            json!([{"name": "a", "nodePort": 30001}, {"name": "b"}, {"name": "c", "nodePort": 30002}]);
        // Families come with the addresses.
        assert_eq!(new, expected);
    }

    #[test]
    fn the_second_address_goes_when_the_policy_says_so() {
        let old = json!({"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "2001:db8::1"],
            "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}});
        let mut new = old.clone();
        new["spec"]["ipFamilyPolicy"] = "SingleStack".into();
        assert!(update(&mut new, &old, DUAL).is_empty());
        assert_eq!((&new["spec"]["clusterIPs"], &new["spec"]["ipFamilies"]), (&json!(["10.96.0.1"]), &json!(["IPv4"])));
        let mut new = old.clone();
        new["spec"]["clusterIPs"] = json!(["10.96.0.1"]);
        let found: Vec<_> = update(&mut new, &old, DUAL).iter().map(ToString::to_string).collect();
        let text = "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary cluster IP";
        assert_eq!(found, [text]);
    }

    #[test]
    fn services_of_old_servers_are_completed() {
        let mut kept = json!({"spec": {"clusterIP": "10.96.0.1", "type": "ClusterIP"}});
        complete(&mut kept, V4);
        let expected = json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "type": "ClusterIP"});
        assert_eq!(kept["spec"], expected);
    }
}

//! The spec of a pod or of a template, in stock's order.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::labels;
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain, label_key};
use crate::rules::checks::numbers::range_of;
use crate::rules::kind::Cx;

use super::affinity::affinity;
use super::containers::{Scope, containers, ephemeral_containers, init_containers};
use super::dns::{dns_config, dns_policy, host_aliases, hostname_override};
use super::options::Options;
use super::ports::host_network_ports;
use super::resources::{claim_names, overhead, pod_claims, pod_resources};
use super::security::pod_context;
use super::spread;
use super::tolerations::tolerations;
use super::visit::Containers;
use super::volumes::list::volumes;
use super::windows;

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const MOST_DEADLINE_SECONDS: i64 = i32::MAX as i64;

/// A spec; `pod` is the name of the pod, empty in a template, and `is_static` whether its kubelet made it.
pub fn spec(cx: &Cx, at: &At, (pod, is_static): (&str, bool), options: &Options, errs: &mut FieldErrors) {
    let grace = at.at("terminationGracePeriodSeconds");
    if grace.is_null() {
        grace.required(errs, "");
    }
    let host_users = at.at("hostUsers");
    let scope = Scope {
        cx,
        options,
        volumes: volumes(&at.at("volumes"), pod, options, errs),
        claims: claim_names(at),
        grace: grace.value().as_i64(),
        restart_policy: at.at("restartPolicy").str(),
        host_users: host_users.is_null() || host_users.bool(),
    };
    pod_claims(&at.at("resourceClaims"), is_static, errs);
    containers(&scope, at, errs);
    init_containers(&scope, at, errs);
    ephemeral_containers(&scope, at, errs);
    pod_resources(at, options, errs);
    host_network_ports(at, options.is_pod, errs);
    choices::required(&at.at("restartPolicy"), &RESTART_POLICIES, errs);
    dns_policy(&at.at("dnsPolicy"), errs);
    labels(&at.at("nodeSelector"), errs);
    pod_context(at, options, errs);
    affinity(&at.at("affinity"), options, errs);
    dns_config(at, errs);
    readiness_gates(&at.at("readinessGates"), errs);
    scheduling_gates(&at.at("schedulingGates"), errs);
    spread::constraints(&at.at("topologySpreadConstraints"), options, errs);
    windows::host_processes(cx, at, errs);
    let (with_host_network, with_devices) =
        (options.host_network_with_user_namespaces, options.devices_with_user_namespaces);
    windows::host_users(at, with_host_network, with_devices, errs);
    hostname_override(at, errs);
    names_and_limits(at, options, errs);
    file_volumes(at, errs);
}

fn names_and_limits(at: &At, options: &Options, errs: &mut FieldErrors) {
    for name in ["serviceAccountName", "nodeName"] {
        subdomain(&at.at(name), errs);
    }
    let deadline = at.at("activeDeadlineSeconds");
    if deadline.exists() {
        deadline.invalid_each(errs, range_of(deadline.i64(), 1, MOST_DEADLINE_SECONDS));
    }
    for name in ["hostname", "subdomain"] {
        if !at.at(name).is_empty() {
            at.at(name).check(errs, dns1123_label);
        }
    }
    tolerations(&at.at("tolerations"), options.comparing_tolerations, errs);
    host_aliases(&at.at("hostAliases"), errs);
    subdomain(&at.at("priorityClassName"), errs);
    let class = at.at("runtimeClassName");
    if class.exists() {
        class.check(errs, dns1123_subdomain);
    }
    let preemption = at.at("preemptionPolicy");
    if preemption.exists() {
        choices::required(&preemption, &["PreemptLowerPriority", "Never"], errs);
    }
    overhead(&at.at("overhead"), options, errs);
    windows::os(at, errs);
    let group = at.at("schedulingGroup");
    if group.exists() {
        let name = group.at("podGroupName");
        if name.is_null() {
            name.invalid(errs, "must specify one of: `podGroupName`");
        } else {
            name.check(errs, dns1123_subdomain);
        }
    }
}

fn subdomain(at: &At, errs: &mut FieldErrors) {
    if !at.is_empty() {
        at.check(errs, dns1123_subdomain);
    }
}

fn readiness_gates(at: &At, errs: &mut FieldErrors) {
    for gate in at.items() {
        gate.at("conditionType").check(errs, label_key);
    }
}

/// Errors stand at the gate, not at its name.
fn scheduling_gates(at: &At, errs: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for gate in at.items() {
        let name = gate.at("name").str();
        for text in label_key(name) {
            gate.invalid_as(errs, name, text);
        }
        if !seen.insert(name) {
            errs.push(FieldError::duplicate(gate.path(), name));
        }
    }
}

/// Variables are read from files of volumes that are the pod's own folders (KEP-3721).
fn file_volumes(spec: &At, errs: &mut FieldErrors) {
    let list = spec.at("volumes").value().as_array();
    let mut volumes = None;
    for container in Containers::of(spec).iter() {
        for variable in container.at("env").items() {
            let source = variable.at("valueFrom");
            let file = source.at("fileKeyRef");
            if file.is_null() {
                continue;
            }
            let volumes = volumes.get_or_insert_with(|| by_name(list.into_iter().flatten()));
            let name = file.at("volumeName");
            match volumes.get(name.str()) {
                None => name.not_found(errs),
                Some(volume) if volume.get("emptyDir").is_none() => {
                    name.invalid(errs, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    }
}

fn by_name<'v>(volumes: impl Iterator<Item = &'v Value>) -> BTreeMap<&'v str, &'v Value> {
    volumes.map(|volume| (volume["name"].as_str().unwrap_or(""), volume)).collect()
}

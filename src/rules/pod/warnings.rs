//! What a pod or a template says that is right but hardly meant: old fields and labels, doubles, odd amounts.

use std::collections::BTreeSet;

use crate::model::gotext::quote;
use crate::model::syntax::label_value;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::network::ip_warning;
use crate::rules::checks::resources::is_whole;

use super::affinity::{PREFERRED, REQUIRED};
use super::annotations::{APPARMOR_CONTAINER, SECCOMP_CONTAINER, SECCOMP_POD};
use super::object::profile_of_annotation;
use super::overlaps::overlaps;
use super::ports;
use super::visit::Containers;
use super::volumes::claim::warn_claim_spec;

const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];
/// (volume source, as its place is told, what became of it)
const OLD_VOLUMES: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];
const NULL_SELECTOR: &str = "a null labelSelector results in matching no pod";
const USE_SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const USE_APPARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";

/// Labels of nodes that went out of use, and what to use.
pub fn old_node_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

/// Warnings of a pod or a template, in stock's order.
pub fn warn(at: &At, is_template: bool, warnings: &mut Vec<String>) {
    let (spec, meta) = (at.at("spec"), at.at("metadata"));
    let annotations = meta.at("annotations");
    node_labels(&spec, warnings);
    for (key, text) in OLD_ANNOTATIONS {
        let annotation = annotations.entry(key);
        if annotation.exists() {
            say(&annotation, text, warnings);
        }
    }
    volumes(&spec.at("volumes"), warnings);
    overlaps(spec.at("volumes").value(), warnings);
    doubles(&spec.at("hostAliases"), "ip", warnings);
    let secrets = spec.at("imagePullSecrets");
    doubles(&secrets, "name", warnings);
    for secret in secrets.items().filter(|secret| secret.at("name").is_empty()) {
        say(&secret.at("name"), "invalid empty name \"\"", warnings);
    }
    whole_bytes(&spec.at("overhead"), "memory", warnings);
    whole_bytes(&spec.at("overhead"), "ephemeral-storage", warnings);
    let context = spec.at("securityContext");
    if !context.has("seccompProfile") && annotations.entry(SECCOMP_POD).exists() {
        say(&annotations.entry(SECCOMP_POD), USE_SECCOMP, warnings);
    }
    let profile = context.at("appArmorProfile");
    for container in Containers::of(&spec).iter() {
        self::container(&container, &annotations, is_template.then_some(profile.value()), warnings);
    }
    ports::warn(&spec, warnings);
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.i64() < 0 {
        say(&grace, "must be >= 0; negative values are invalid and will be treated as 1", warnings);
    }
    null_selectors(&spec.at("affinity"), warnings);
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    warnings.extend(servers.items().filter_map(|server| ip_warning(server.path(), server.str())));
    for alias in spec.at("hostAliases").items() {
        warnings.extend(ip_warning(alias.at("ip").path(), alias.at("ip").str()));
    }
}

fn say(at: &At, text: &str, warnings: &mut Vec<String>) {
    warnings.push(format!("{}: {text}", at.path()));
}

fn node_labels(spec: &At, warnings: &mut Vec<String>) {
    for (key, label) in spec.at("nodeSelector").entries() {
        if let Some(text) = old_node_label(key) {
            say(&label, text, warnings);
        }
    }
    let affinity = spec.at("affinity");
    let node = affinity.at("nodeAffinity");
    for term in node.at(REQUIRED).at("nodeSelectorTerms").items() {
        node_term(&term, false, warnings);
    }
    for term in node.at(PREFERRED).items() {
        node_term(&term.at("preference"), true, warnings);
    }
    for constraint in spec.at("topologySpreadConstraints").items() {
        let key = constraint.at("topologyKey");
        if let Some(text) = old_node_label(key.str()) {
            say(&key, &format!("{} is {text}", key.str()), warnings);
        }
        if !constraint.has("labelSelector") {
            say(&constraint.at("labelSelector"), NULL_SELECTOR, warnings);
        }
    }
}

/// Warnings of a term by which nodes are chosen; `values`: also where no label can have a value.
pub fn node_term(at: &At, values: bool, warnings: &mut Vec<String>) {
    for expression in at.at("matchExpressions").items() {
        let key = expression.at("key");
        if let Some(text) = old_node_label(key.str()) {
            say(&key, &format!("{} is {text}", key.str()), warnings);
        }
        if values {
            for value in expression.at("values").items() {
                for text in label_value(value.str()) {
                    say(&value, &format!("{} is invalid, {text}", value.str()), warnings);
                }
            }
        }
    }
}

fn volumes(at: &At, warnings: &mut Vec<String>) {
    for volume in at.items() {
        for (source, place, text) in OLD_VOLUMES {
            // A claim's template stands between them in stock's order.
            if source == "cephfs" {
                let template = volume.at("ephemeral");
                let template = template.at("volumeClaimTemplate");
                warn_claim_spec(&template.at("spec"), warnings);
            }
            if volume.has(source) {
                warnings.push(format!("{}: {text}", volume.path().name(place)));
            }
        }
    }
}

fn doubles(at: &At, field: &str, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for item in at.items() {
        let value = item.at(field);
        if !seen.insert(value.str()) {
            say(&value, &format!("duplicate {field} {}", quote(value.str())), warnings);
        }
    }
}

fn whole_bytes(amounts: &At, name: &str, warnings: &mut Vec<String>) {
    let amount = amounts.entry(name);
    if amount.exists() && !is_whole(&amount.quantity()) {
        let text = format!("fractional byte value \"{}\" is invalid, must be an integer", amount.quantity());
        say(&amount, &text, warnings);
    }
}

/// `of_pod`: the pod's profile of AppArmor, where the container stands in a template.
fn container(at: &At, annotations: &At, of_pod: Option<&Value>, warnings: &mut Vec<String>) {
    let (name, context) = (at.at("name").str(), at.at("securityContext"));
    if !annotations.is_empty() {
        let key = format!("{SECCOMP_CONTAINER}{name}");
        if !context.has("seccompProfile") && annotations.entry(&key).exists() {
            say(&annotations.entry(&key), USE_SECCOMP, warnings);
        }
        let key = format!("{APPARMOR_CONTAINER}{name}");
        let annotation = annotations.entry(&key);
        if let Some(of_pod) = of_pod
            && annotation.exists()
            && !context.has("appArmorProfile")
            && (of_pod.is_null() || profile_of_annotation(annotation.str()).as_ref() != Some(of_pod))
        {
            say(&annotation, USE_APPARMOR, warnings);
        }
    }
    let resources = at.at("resources");
    for name in ["memory", "ephemeral-storage"] {
        for list in ["limits", "requests"] {
            whole_bytes(&resources.at(list), name, warnings);
        }
    }
    let mut seen = BTreeSet::new();
    for variable in at.at("env").items() {
        let (name, value) = (variable.at("name").str(), variable.at("value").str());
        if seen.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        if variable.has("valueFrom") || value == reference || !value.contains(&reference) {
            let text = format!("hides previous definition of {}, which may be dropped when using apply", quote(name));
            say(&variable, &text, warnings);
        }
    }
}

fn null_selectors(affinity: &At, warnings: &mut Vec<String>) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let terms = affinity.at(kind);
        for term in terms.at(REQUIRED).items().filter(|term| !term.has("labelSelector")) {
            say(&term.at("labelSelector"), NULL_SELECTOR, warnings);
        }
        for weighted in terms.at(PREFERRED).items() {
            let term = weighted.at("podAffinityTerm");
            if !term.has("labelSelector") {
                say(&term.at("labelSelector"), NULL_SELECTOR, warnings);
            }
        }
    }
}

/// Of a new pod: annotations that name a profile of AppArmor for a container without one. Those that only repeat the
/// pod's own profile do no harm.
pub fn profiles(pod: &At, warnings: &mut Vec<String>) {
    let (spec, meta) = (pod.at("spec"), pod.at("metadata"));
    let annotations = meta.at("annotations");
    if spec.at("os").at("name").str() == "windows" || annotations.is_empty() {
        return;
    }
    let context = spec.at("securityContext");
    let of_pod = context.at("appArmorProfile");
    for container in Containers::of(&spec).iter() {
        let key = format!("{APPARMOR_CONTAINER}{}", container.at("name").str());
        let annotation = annotations.entry(&key);
        if annotation.is_null() || container.at("securityContext").has("appArmorProfile") {
            continue;
        }
        let profile = profile_of_annotation(annotation.str());
        if profile.is_none_or(|profile| profile != *of_pod.value()) {
            say(&annotation, USE_APPARMOR, warnings);
        }
    }
}

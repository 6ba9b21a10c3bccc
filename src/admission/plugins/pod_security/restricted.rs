//! What the restricted level asks for beyond the baseline: the hardening of pods as it is best done now.

use super::baseline::{added_capabilities, masked_proc_mount, unconfined_seccomp};
use super::checks::{Subject, Violation};
use super::report::{containers, plural, quoted, setters, sorted};
use crate::admission::pod::{items, text};
use crate::model::value::Value;

const ALLOWED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
const OTHER_VOLUMES: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];
/// From this minor version on what Windows does not know is not asked of its pods.
const WINDOWS: u64 = 25;

pub fn privilege_escalation(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor >= WINDOWS && subject.is_windows() {
        return None;
    }
    let names = subject.containers(|container| container["securityContext"]["allowPrivilegeEscalation"] != false);
    let detail = || format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&names));
    (!names.is_empty()).then(|| Violation { reason: "allowPrivilegeEscalation != false", detail: detail() })
}

pub fn capabilities(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor >= WINDOWS && subject.is_windows() {
        return None;
    }
    let keeps = |container: &Value| {
        !items(&container["securityContext"]["capabilities"], "drop").any(|capability| capability == "ALL")
    };
    let (keeping, (adding, added)) = (subject.containers(keeps), added_capabilities(subject, &["NET_BIND_SERVICE"]));
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !adding.is_empty() {
        let who = containers(&adding);
        details.push(format!("{who} must not include {} in securityContext.capabilities.add", quoted(&added)));
    }
    (!details.is_empty()).then(|| Violation { reason: "unrestricted capabilities", detail: details.join("; ") })
}

pub fn proc_mount(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    masked_proc_mount(subject)
}

pub fn volumes(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let has = |volume: &Value, source: &&&str| volume[**source].is_object();
    let is_other = |volume: &&Value| !ALLOWED_VOLUMES.iter().any(|source| has(volume, &source));
    let others: Vec<&Value> = items(subject.spec, "volumes").filter(is_other).collect();
    if others.is_empty() {
        return None;
    }
    let kind = |volume: &&Value| OTHER_VOLUMES.iter().find(|source| has(volume, source)).unwrap_or(&"unknown");
    let kinds = sorted(others.iter().map(|volume| (*kind(volume)).to_owned()).collect());
    let names: Vec<_> = others.iter().map(|volume| text(volume, "name")).collect();
    let (noun, verb) = (plural(names.len(), "volume", "volumes"), plural(names.len(), "uses", "use"));
    let what = plural(kinds.len(), "restricted volume type", "restricted volume types");
    let detail = format!("{noun} {} {verb} {what} {}", quoted(&names), quoted(&kinds));
    Some(Violation { reason: "restricted volume types", detail })
}

pub fn run_as_non_root(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor >= 35 && subject.has_own_users() {
        return None;
    }
    let reason = "runAsNonRoot != true";
    let (pod, names) = subject.bad_setters("runAsNonRoot", |flag| *flag == false);
    if pod || !names.is_empty() {
        let detail = format!("{} must not set securityContext.runAsNonRoot=false", setters(pod, &names));
        return Some(Violation { reason, detail });
    }
    if subject.spec["securityContext"]["runAsNonRoot"] == true {
        return None;
    }
    let silent = subject.containers(|container| container["securityContext"]["runAsNonRoot"].is_null());
    let detail = || format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&silent));
    (!silent.is_empty()).then(|| Violation { reason, detail: detail() })
}

pub fn run_as_user(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor >= 35 && subject.has_own_users() {
        return None;
    }
    let (pod, names) = subject.bad_setters("runAsUser", |user| *user == 0);
    let detail = || format!("{} must not set runAsUser=0", setters(pod, &names));
    (pod || !names.is_empty()).then(|| Violation { reason: "runAsUser=0", detail: detail() })
}

pub fn seccomp_profile(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor >= WINDOWS && subject.is_windows() {
        return None;
    }
    if let Some(violation) = unconfined_seccomp(subject) {
        return Some(violation);
    }
    if subject.spec["securityContext"]["seccompProfile"].is_object() {
        return None;
    }
    let silent = subject.containers(|container| !container["securityContext"]["seccompProfile"].is_object());
    let who = containers(&silent);
    let rule = "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
    (!silent.is_empty()).then(|| Violation { reason: "seccompProfile", detail: format!("pod or {who} {rule}") })
}

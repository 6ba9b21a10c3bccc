//! Security contexts of pods and containers: users, profiles, sysctls.

use std::collections::BTreeSet;

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::numbers::user_id;
use crate::rules::checks::web::local_descending_path;
use crate::rules::kind::Cx;

use super::options::Options;
use super::windows::windows_options;

const SYSCTL_BYTES: usize = 253;
const SYSCTL: &str = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
/// A path's most bytes on Linux, without the zero at its end.
const APPARMOR_PATH_BYTES: usize = 4095;
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Sysctls of inter-process communication, beside those below `fs.mqueue`.
const IPC_SYSCTLS: [&str; 10] = [
    "kernel.msg",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// `spec.securityContext`.
pub fn pod_context(spec: &At, options: &Options, errs: &mut FieldErrors) {
    let at = spec.at("securityContext");
    if at.is_null() {
        return;
    }
    ids(&at, &["fsGroup", "runAsUser", "runAsGroup"], errs);
    for group in at.at("supplementalGroups").items() {
        group.invalid_each(errs, user_id(group.i64()));
    }
    if spec.at("shareProcessNamespace").bool() && spec.at("hostPID").bool() {
        let place = at.path().name("shareProcessNamespace");
        errs.push(FieldError::invalid(&place, true, "ShareProcessNamespace and HostPID cannot both be enabled"));
    }
    sysctls(spec, &at.at("sysctls"), options, errs);
    choices::optional(&at.at("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], errs);
    seccomp_profile(&at.at("seccompProfile"), errs);
    windows_options(&at.at("windowsOptions"), errs);
    apparmor_profile(&at.at("appArmorProfile"), errs);
    choices::optional(&at.at("supplementalGroupsPolicy"), &["Merge", "Strict"], errs);
    let policies: &[&str] = if options.any_selinux_policy { &["MountOption", "Recursive"] } else { &["Recursive"] };
    choices::optional(&at.at("seLinuxChangePolicy"), policies, errs);
}

/// A container's `securityContext`.
pub fn container_context(cx: &Cx, at: &At, host_users: bool, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let privileged = at.at("privileged");
    if privileged.bool() && !cx.allow_privileged {
        privileged.forbidden(errs, "disallowed by cluster policy");
    }
    ids(at, &["runAsUser", "runAsGroup"], errs);
    let proc = at.at("procMount");
    choices::optional(&proc, &["Default", "Unmasked"], errs);
    if host_users && proc.str() == "Unmasked" {
        proc.invalid(errs, "`hostUsers` must be false to use `Unmasked`");
    }
    seccomp_profile(&at.at("seccompProfile"), errs);
    let escalation = at.at("allowPrivilegeEscalation");
    if escalation.exists() && !escalation.bool() {
        if privileged.bool() {
            at.invalid(errs, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        for _ in at.at("capabilities").at("add").strs().filter(|name| *name == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            at.invalid(errs, detail);
        }
    }
    windows_options(&at.at("windowsOptions"), errs);
    apparmor_profile(&at.at("appArmorProfile"), errs);
}

fn ids(at: &At, fields: &[&str], errs: &mut FieldErrors) {
    for field in fields {
        let id = at.at(field);
        if id.exists() {
            id.invalid_each(errs, user_id(id.i64()));
        }
    }
}

fn seccomp_profile(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let (kind, local) = (at.at("type"), at.at("localhostProfile"));
    if kind.is_empty() {
        kind.required(errs, "type is required when seccompProfile is set");
    } else {
        choices::one_of(&kind, &PROFILES, errs);
    }
    if kind.str() == "Localhost" {
        if local.is_null() {
            local.required(errs, "must be set when seccomp type is Localhost");
        } else {
            local_descending_path(&local, errs);
        }
    } else if local.exists() {
        local.invalid_as(errs, at.bad(), "can only be set when seccomp type is Localhost");
    }
}

/// A profile of AppArmor; absent is right.
pub fn apparmor_profile(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let (kind, local) = (at.at("type"), at.at("localhostProfile"));
    match kind.str() {
        "Localhost" => {
            let path = local.str();
            if local.exists() && path.trim() != path {
                local.invalid(errs, "must not be padded with whitespace");
            } else if path.is_empty() {
                local.required(errs, "must be set when AppArmor type is Localhost");
            }
            if path.len() > APPARMOR_PATH_BYTES {
                local.too_long(errs, APPARMOR_PATH_BYTES);
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if local.exists() {
                local.invalid(errs, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => kind.required(errs, "type is required when appArmorProfile is set"),
        _ => kind.not_supported(errs, &PROFILES),
    }
}

fn sysctls(spec: &At, at: &At, options: &Options, errs: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for item in at.items() {
        let name = item.at("name");
        if name.is_empty() {
            name.required(errs, "");
        } else if !is_sysctl(name.str()) {
            name.invalid(errs, SYSCTL);
        } else if seen.contains(name.str()) {
            name.duplicate(errs);
        }
        if !options.host_sysctls
            && let Some(why) = is_host_sysctl(spec, name.str())
        {
            name.invalid(errs, why);
        }
        seen.insert(name.str());
    }
}

/// Parts of small letters, digits, dashes and underscores, between them dots or slashes.
fn is_sysctl(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().is_some_and(|b| is_letter(*b)) && bytes.last().is_some_and(|b| is_letter(*b));
        ends && bytes.iter().all(|b| is_letter(*b) || matches!(b, b'-' | b'_'))
    };
    name.len() <= SYSCTL_BYTES && name.split(['.', '/']).all(is_part)
}

/// Why a pod that shares a namespace with its host must not set the sysctl.
pub fn is_host_sysctl(spec: &At, name: &str) -> Option<&'static str> {
    let (of_network, of_ipc) = (spec.at("hostNetwork").bool(), spec.at("hostIPC").bool());
    if !of_network && !of_ipc {
        return None;
    }
    // The first separator tells which of the two separates: a part may have the other one in it.
    let first = name.find(['.', '/']).map(|at| name.as_bytes()[at]);
    let slashed = (first == Some(b'/')).then(|| name.replace('/', "."));
    let name = slashed.as_deref().unwrap_or(name).split('*').next().unwrap_or("");
    if of_network && name.starts_with("net.") {
        return Some("may not be specified when 'hostNetwork' is true");
    }
    let is_ipc = of_ipc && (name.starts_with("fs.mqueue.") || IPC_SYSCTLS.contains(&name));
    is_ipc.then_some("may not be specified when 'hostIPC' is true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    fn texts(errs: &FieldErrors) -> Vec<String> {
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn contexts_of_pods() {
        let spec = json!({"hostNetwork": true, "hostPID": true, "shareProcessNamespace": true, "securityContext": {
            "runAsUser": -1, "supplementalGroups": [2147483648i64],
            "sysctls": [{"name": "net/ipv4/ip_forward"}, {"name": "a..b"}, {"name": "a.b"}, {"name": "a.b"}],
            "seccompProfile": {"type": "Unconfined", "localhostProfile": "x"},
            "appArmorProfile": {"type": "Localhost", "localhostProfile": " x"},
            "seLinuxChangePolicy": "MountOption"}});
        let (root, mut errs) = (At::new(&spec, table::message("k8s.io.api.core.v1.PodSpec")), FieldErrors::new());
        pod_context(&root, &Options::default(), &mut errs);
        let found: Vec<_> = texts(&errs).iter().map(|e| e.replace("securityContext.", "")).collect();
        assert_begin(
            &found,
            &[
                "runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "supplementalGroups[0]: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
                "shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabl",
                "sysctls[0].name: Invalid value: \"net/ipv4/ip_forward\": may not be specified when 'hostNetwork' is true",
                "sysctls[1].name: Invalid value: \"a..b\": must have at most 253 characters and match regex ^([a-z",
                "sysctls[3].name: Duplicate value: \"a.b\"",
                "seccompProfile.localhostProfile: Invalid value: {\"Type\":\"Unconfined\",\"LocalhostProfile\":\"x",
                "appArmorProfile.localhostProfile: Invalid value: \" x\": must not be padded with whitespace",
                "seLinuxChangePolicy: Unsupported value: \"MountOption\": supported values: \"Recursive\"",
            ],
        );
    }

    #[test]
    fn contexts_of_containers() {
        let cx = Cx { allow_privileged: false, ..Cx::for_tests() };
        let context = json!({"privileged": true, "procMount": "Unmasked", "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["CAP_SYS_ADMIN"]}});
        let message = table::message("k8s.io.api.core.v1.SecurityContext");
        let mut errs = FieldErrors::new();
        container_context(&cx, &At::new(&context, message), true, &mut errs);
        let found: Vec<_> =
            errs.iter().map(|e| e.to_string()).map(|e| e.split(": ").last().map(str::to_owned)).collect();
        let found: Vec<_> = found.iter().flatten().collect();
        assert_eq!(
            found,
            [
                "disallowed by cluster policy",
                "`hostUsers` must be false to use `Unmasked`",
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ]
        );
    }
}

//! What the baseline forbids: the known ways from a pod to its host.

use super::checks::{Subject, Violation};
use super::report::{containers, plural, quoted, setters, sorted};
use crate::admission::pod::{self, items, text};
use crate::model::gotext::quote;
use crate::model::value::{Text, Value};

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// (the minor version that allows it first, name)
const SYSCTLS: [(u64, &str); 12] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
];
const SE_LINUX_TYPES: [(u64, &str); 5] =
    [(0, ""), (0, "container_t"), (0, "container_init_t"), (0, "container_kvm_t"), (31, "container_engine_t")];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HOOKS: [&str; 2] = ["postStart", "preStop"];

pub fn app_armor_profile(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let mut values = Vec::new();
    let (pod, names) = subject.bad_setters("appArmorProfile", |profile| {
        let kind = text(profile, "type");
        let is_bad = !matches!(kind, "RuntimeDefault" | "Localhost");
        values.extend(is_bad.then(|| kind.to_owned()));
        is_bad
    });
    let mut values = sorted(values);
    let mut who = if pod || !names.is_empty() { vec![setters(pod, &names)] } else { Vec::new() };
    let annotations = subject.metadata["annotations"].as_object().into_iter().flatten();
    let forbidden = |(key, value): (&Text, &Value)| {
        let profile = value.as_str().unwrap_or("");
        let is_good = profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
        (key.starts_with(APP_ARMOR) && !is_good).then(|| format!("{key}={}", quote(profile)))
    };
    let annotations = sorted(annotations.filter_map(forbidden).collect());
    if !annotations.is_empty() {
        who.push(plural(annotations.len(), "annotation", "annotations").to_owned());
        values.extend(annotations);
    }
    if who.is_empty() {
        return None;
    }
    let reason = plural(values.len(), "forbidden AppArmor profile", "forbidden AppArmor profiles");
    let detail = format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(&values));
    Some(Violation { reason, detail })
}

pub fn capabilities(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let (names, added) = added_capabilities(subject, &CAPABILITIES);
    let detail = || {
        let who = containers(&names);
        format!("{who} must not include {} in securityContext.capabilities.add", quoted(&added))
    };
    (!names.is_empty()).then(|| Violation { reason: "non-default capabilities", detail: detail() })
}

/// The containers that add other capabilities than these, and which.
pub fn added_capabilities<'a>(subject: &Subject<'a>, allowed: &[&str]) -> (Vec<&'a str>, Vec<String>) {
    let mut added = Vec::new();
    let names = subject.containers(|container| {
        let before = added.len();
        let all = items(&container["securityContext"]["capabilities"], "add").filter_map(Value::as_str);
        added.extend(all.filter(|name| !allowed.contains(name)).map(str::to_owned));
        added.len() > before
    });
    (names, sorted(added))
}

pub fn host_namespaces(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| subject.spec[*field] == true);
    let shared: Vec<_> = shared.map(|field| format!("{field}=true")).collect();
    (!shared.is_empty()).then(|| Violation { reason: "host namespaces", detail: shared.join(", ") })
}

pub fn host_path_volumes(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let volumes = items(subject.spec, "volumes").filter(|volume| volume["hostPath"].is_object());
    let names: Vec<_> = volumes.map(|volume| text(volume, "name")).collect();
    let detail = || format!("{} {}", plural(names.len(), "volume", "volumes"), quoted(&names));
    (!names.is_empty()).then(|| Violation { reason: "hostPath volumes", detail: detail() })
}

pub fn host_ports(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let mut ports = Vec::new();
    let names = subject.containers(|container| {
        let before = ports.len();
        let all = items(container, "ports").filter_map(|port| port["hostPort"].as_i64());
        ports.extend(all.filter(|port| *port != 0).map(|port| port.to_string()));
        ports.len() > before
    });
    if names.is_empty() {
        return None;
    }
    let ports = sorted(ports);
    let (verb, noun) = (plural(names.len(), "uses", "use"), plural(ports.len(), "hostPort", "hostPorts"));
    Some(Violation { reason: "hostPort", detail: format!("{} {verb} {noun} {}", containers(&names), ports.join(", ")) })
}

pub fn probe_hosts(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let mut hosts = Vec::new();
    let mut names = subject.containers(|container| {
        let before = hosts.len();
        let probes = PROBES.iter().map(|probe| &container[*probe]);
        let handlers = probes.chain(HOOKS.iter().map(|hook| &container["lifecycle"][*hook]));
        let all = handlers.flat_map(|handler| [&handler["httpGet"], &handler["tcpSocket"]]);
        hosts.extend(all.map(|action| text(action, "host").to_owned()).filter(|host| !host.is_empty()));
        hosts.len() > before
    });
    if names.is_empty() {
        return None;
    }
    names.sort_unstable();
    let hosts = sorted(hosts);
    let verb = plural(names.len(), "uses", "use");
    let noun = plural(hosts.len(), "probe or lifecycle host", "probe or lifecycle hosts");
    let detail = format!("{} {verb} {noun} {}", containers(&names), quoted(&hosts));
    Some(Violation { reason: "probe or lifecycle host", detail })
}

pub fn privileged(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let names = subject.containers(|container| container["securityContext"]["privileged"] == true);
    let detail = || format!("{} must not set securityContext.privileged=true", containers(&names));
    (!names.is_empty()).then(|| Violation { reason: "privileged", detail: detail() })
}

pub fn proc_mount(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor >= 35 && subject.has_own_users() { None } else { masked_proc_mount(subject) }
}

pub fn masked_proc_mount(subject: &Subject<'_>) -> Option<Violation> {
    let mut types = Vec::new();
    let names = subject.containers(|container| {
        let other = container["securityContext"]["procMount"].as_str().filter(|mount| *mount != "Default");
        types.extend(other.map(str::to_owned));
        other.is_some()
    });
    let (who, types) = (containers(&names), sorted(types));
    let detail = || format!("{who} must not set securityContext.procMount to {}", quoted(&types));
    (!names.is_empty()).then(|| Violation { reason: "procMount", detail: detail() })
}

pub fn se_linux_options(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    let (mut types, mut user, mut role) = (Vec::new(), false, false);
    let (pod, names) = subject.bad_setters("seLinuxOptions", |options| {
        let kind = text(options, "type");
        let is_type_bad = !SE_LINUX_TYPES.iter().any(|(since, allowed)| *since <= minor && *allowed == kind);
        types.extend(is_type_bad.then(|| kind.to_owned()));
        let (has_user, has_role) = (!text(options, "user").is_empty(), !text(options, "role").is_empty());
        user |= has_user;
        role |= has_role;
        is_type_bad || has_user || has_role
    });
    if !pod && names.is_empty() {
        return None;
    }
    let (types, mut what) = (sorted(types), Vec::new());
    if !types.is_empty() {
        what.push(format!("{} {}", plural(types.len(), "type", "types"), quoted(&types)));
    }
    what.extend(user.then(|| "user may not be set".to_owned()));
    what.extend(role.then(|| "role may not be set".to_owned()));
    let who = setters(pod, &names);
    let detail = format!("{who} set forbidden securityContext.seLinuxOptions: {}", what.join("; "));
    Some(Violation { reason: "seLinuxOptions", detail })
}

pub fn seccomp_profile(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    if minor < 19 { annotated_seccomp(subject) } else { unconfined_seccomp(subject) }
}

/// Before profiles had a field.
fn annotated_seccomp(subject: &Subject<'_>) -> Option<Violation> {
    let keys = pod::containers(subject.spec).map(|(_, container)| format!("{SECCOMP}{}", text(container, "name")));
    let forbidden = |key: String| {
        let profile = subject.metadata["annotations"][&key].as_str()?;
        let is_good = matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
        (!is_good).then(|| format!("{key}={}", quote(profile)))
    };
    let found = sorted(std::iter::once(SECCOMP_OF_POD.to_owned()).chain(keys).filter_map(forbidden).collect());
    let noun = plural(found.len(), "annotation", "annotations");
    let detail = || format!("forbidden {noun} {}", found.join(", "));
    (!found.is_empty()).then(|| Violation { reason: "seccompProfile", detail: detail() })
}

/// Who sets a profile that confines nothing.
pub fn unconfined_seccomp(subject: &Subject<'_>) -> Option<Violation> {
    let mut types = Vec::new();
    let (pod, names) = subject.bad_setters("seccompProfile", |profile| {
        let kind = text(profile, "type");
        let is_bad = !matches!(kind, "RuntimeDefault" | "Localhost");
        types.extend(is_bad.then(|| kind.to_owned()));
        is_bad
    });
    if !pod && names.is_empty() {
        return None;
    }
    let (who, types) = (setters(pod, &names), sorted(types));
    let detail = format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(&types));
    Some(Violation { reason: "seccompProfile", detail })
}

pub fn sysctls(subject: &Subject<'_>, minor: u64) -> Option<Violation> {
    let is_safe = |name: &&str| SYSCTLS.iter().any(|(since, safe)| *since <= minor && safe == name);
    let all = items(&subject.spec["securityContext"], "sysctls").map(|sysctl| text(sysctl, "name"));
    let names: Vec<_> = all.filter(|name| !is_safe(name)).collect();
    (!names.is_empty()).then(|| Violation { reason: "forbidden sysctls", detail: names.join(", ") })
}

pub fn windows_host_process(subject: &Subject<'_>, _: u64) -> Option<Violation> {
    let (pod, names) = subject.bad_setters("windowsOptions", |options| options["hostProcess"] == true);
    let detail = || format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters(pod, &names));
    (pod || !names.is_empty()).then(|| Violation { reason: "hostProcess", detail: detail() })
}

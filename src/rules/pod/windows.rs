//! What is Windows' own: security options, containers that are processes of the host; and what either system forbids.

use std::borrow::Cow;

use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::rules::at::At;
use crate::rules::checks::names::dns1123_subdomain;
use crate::rules::kind::Cx;

use super::visit::Containers;

const GMSA_BYTES: usize = 64 * 1024;
const DOMAIN_BYTES: usize = 256;
const USER_BYTES: usize = 104;
const NETBIOS_LETTERS: usize = 15;
const OF_LINUX: &str = "cannot be set for a windows pod";
/// Fields of a pod's spec that a pod on Windows cannot have, those of its security context after the slash.
const LINUX_POD_FIELDS: [&str; 15] = [
    "/appArmorProfile",
    "/seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "/seccompProfile",
    "/fsGroup",
    "/fsGroupChangePolicy",
    "/sysctls",
    "shareProcessNamespace",
    "/runAsUser",
    "/runAsGroup",
    "/supplementalGroups",
    "/supplementalGroupsPolicy",
    "/seLinuxChangePolicy",
];
const LINUX_CONTAINER_FIELDS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// `windowsOptions`; absent is right.
pub fn windows_options(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let (name, spec, user) = (at.at("gmsaCredentialSpecName"), at.at("gmsaCredentialSpec"), at.at("runAsUserName"));
    if name.exists() {
        dns1123_subdomain(name.str()).into_iter().for_each(|text| invalid(&name, errs, text));
    }
    if spec.exists() && spec.is_empty() {
        invalid(&spec, errs, "gmsaCredentialSpec cannot be an empty string");
    } else if spec.len() > GMSA_BYTES {
        invalid(&spec, errs, "gmsaCredentialSpec size must be under 64 KiB");
    }
    if user.exists() {
        run_as_user_name(&user, errs);
    }
}

/// A user, perhaps with a domain and a backslash before it.
fn run_as_user_name(at: &At, errs: &mut FieldErrors) {
    let name = at.str();
    if name.is_empty() {
        return invalid(at, errs, "runAsUserName cannot be an empty string");
    }
    if name.bytes().any(|b| b.is_ascii_control()) {
        return invalid(at, errs, "runAsUserName cannot contain control characters");
    }
    let (domain, user) = name.split_once('\\').map_or((None, name), |(domain, user)| (Some(domain), user));
    if user.contains('\\') {
        return invalid(at, errs, "runAsUserName cannot contain more than one backslash");
    }
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_BYTES {
            invalid(at, errs, format!("runAsUserName's Domain length must be under {DOMAIN_BYTES} characters"));
        }
        if !is_netbios(domain) && !domain.split('.').all(is_dns_label) {
            invalid(at, errs, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        invalid(at, errs, "runAsUserName's User cannot be empty");
    } else if user.len() > USER_BYTES {
        invalid(at, errs, format!("runAsUserName's User length must not be longer than {USER_BYTES} characters"));
    }
    if !user.is_empty() && user.bytes().all(|b| matches!(b, b'.' | b' ')) {
        invalid(at, errs, "runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        invalid(at, errs, "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
}

/// Stock hands on pointers here, whose texts are printed as JSON does.
fn invalid(at: &At, errs: &mut FieldErrors, detail: impl Into<Cow<'static, str>>) {
    at.invalid_as(errs, Bad::plain(gotext::json(at.value())), detail);
}

fn is_netbios(domain: &str) -> bool {
    let count = domain.chars().count();
    (1..=NETBIOS_LETTERS).contains(&count)
        && !domain.starts_with('.')
        && !domain.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
}

fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Containers that are processes of the host: all or none, in the host's network, where it is allowed at all.
pub fn host_processes(cx: &Cx, spec: &At, errs: &mut FieldErrors) {
    let of_pod = spec.at("securityContext").at("windowsOptions").at("hostProcess").value().as_bool();
    let (mut count, mut hosted) = (0, 0);
    for container in Containers::of(spec).iter() {
        count += 1;
        let context = container.at("securityContext");
        let options = context.at("windowsOptions");
        let own = options.at("hostProcess");
        if let (Some(of_pod), Some(of_container)) = (of_pod, own.value().as_bool())
            && of_pod != of_container
        {
            let detail = format!("pod hostProcess value must be identical if both are specified, was {of_pod}");
            own.invalid(errs, detail);
        }
        hosted += usize::from(own.value().as_bool().or(of_pod) == Some(true));
    }
    if hosted == 0 {
        return;
    }
    if hosted != count {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        spec.invalid_as(errs, "", detail);
    }
    if !spec.at("hostNetwork").bool() {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        spec.at("hostNetwork").invalid(errs, detail);
    }
    if !cx.allow_privileged {
        spec.forbidden(errs, "hostProcess containers are disallowed by cluster policy");
    }
}

/// `spec.os`, and what the named system does not have.
pub fn os(spec: &At, errs: &mut FieldErrors) {
    let os = spec.at("os");
    if os.is_null() {
        return;
    }
    match os.at("name").str() {
        "" => os.at("name").required(errs, ""),
        "linux" => not_of_windows(spec, errs),
        "windows" => not_of_linux(spec, errs),
        name => errs.push(FieldError::not_supported(os.path(), name, &["linux", "windows"])),
    }
}

fn not_of_windows(spec: &At, errs: &mut FieldErrors) {
    let detail = "windows options cannot be set for a linux pod";
    let context = spec.at("securityContext");
    if context.has("windowsOptions") {
        context.at("windowsOptions").forbidden(errs, detail);
    }
    for container in Containers::of(spec).iter() {
        let context = container.at("securityContext");
        if context.has("windowsOptions") {
            context.at("windowsOptions").forbidden(errs, detail);
        }
    }
}

fn not_of_linux(spec: &At, errs: &mut FieldErrors) {
    let context = spec.at("securityContext");
    for name in LINUX_POD_FIELDS {
        let (parent, name) = name.strip_prefix('/').map_or((spec, name), |name| (&context, name));
        forbid_set(parent, name, errs);
    }
    for container in Containers::of(spec).iter() {
        let context = container.at("securityContext");
        for name in LINUX_CONTAINER_FIELDS {
            forbid_set(&context, name, errs);
        }
    }
}

fn forbid_set(parent: &At, name: &str, errs: &mut FieldErrors) {
    let field = parent.at(name);
    let plain = matches!(name, "hostPID" | "hostIPC") && !field.bool() || name == "sysctls" && field.is_empty();
    if field.exists() && !plain {
        field.forbidden(errs, OF_LINUX);
    }
}

/// A pod in user namespaces does not share others with its host.
pub fn host_users(spec: &At, with_host_network: bool, with_devices: bool, errs: &mut FieldErrors) {
    let host_users = spec.at("hostUsers");
    if host_users.is_null() || host_users.bool() {
        return;
    }
    let detail = "when `hostUsers` is false";
    if spec.at("hostNetwork").bool() && !with_host_network {
        spec.at("hostNetwork").forbidden(errs, detail);
    }
    for (field, shown) in [("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.at(field).bool() {
            let place: Path = spec.path().name(shown);
            errs.push(FieldError::forbidden(&place, detail));
        }
    }
    if with_devices {
        return;
    }
    for container in Containers::of(spec).iter().filter(|c| !c.at("volumeDevices").is_empty()) {
        container.at("volumeDevices").forbidden(errs, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::schema::table;

    fn found(check: impl Fn(&At, &mut FieldErrors), message: &str, value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(value, table::message(&format!("k8s.io.api.core.v1.{message}"))), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_of_users() {
        for (name, texts) in [
            ("ContainerUser", &[][..]),
            (r"NT AUTHORITY\SYSTEM", &[]),
            (r"a.b-c\user", &[]),
            ("", &["runAsUserName cannot be an empty string"]),
            ("a\nb", &["runAsUserName cannot contain control characters"]),
            (r"a\b\c", &["runAsUserName cannot contain more than one backslash"]),
            (
                r"-this-name-is-too-long\",
                &[
                    "runAsUserName's Domain doesn't match the NetBios nor the DNS format",
                    "runAsUserName's User cannot be empty",
                ],
            ),
            ("..", &["runAsUserName's User cannot contain only periods or spaces"]),
            ("a@b", &["runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"]),
        ] {
            let value = json!({"runAsUserName": name});
            let found = found(windows_options, "WindowsSecurityContextOptions", &value);
            let quoted = json!(name);
            let expected: Vec<_> =
                texts.iter().map(|t| format!("runAsUserName: Invalid value: {quoted}: {t}")).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn systems_forbid_what_they_do_not_have() {
        let windows = json!({"os": {"name": "windows"}, "hostPID": true, "hostIPC": false,
            "securityContext": {"fsGroup": 0, "sysctls": []}, "containers": [{"securityContext": {"runAsUser": 1}}]});
        assert_eq!(
            found(os, "PodSpec", &windows),
            [
                "hostPID: Forbidden: cannot be set for a windows pod",
                "securityContext.fsGroup: Forbidden: cannot be set for a windows pod",
                "containers[0].securityContext.runAsUser: Forbidden: cannot be set for a windows pod",
            ]
        );
        let linux = json!({"os": {"name": "linux"}, "initContainers": [{"securityContext": {"windowsOptions": {}}}]});
        assert_eq!(
            found(os, "PodSpec", &linux),
            [
                "initContainers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"
            ]
        );
        assert_eq!(
            found(os, "PodSpec", &json!({"os": {"name": "mac"}})),
            ["os: Unsupported value: \"mac\": supported values: \"linux\", \"windows\""]
        );
    }
}

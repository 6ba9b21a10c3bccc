//! All checks by level and version, and what a pod fails.

use super::policy::{Level, Standard, Version};
use super::{baseline, restricted};
use crate::admission::pod;
use crate::model::value::Value;

/// A pod, or the template of one.
pub struct Subject<'a> {
    pub metadata: &'a Value,
    pub spec: &'a Value,
}

/// Something that a pod may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub reason: &'static str,
    pub detail: String,
}

/// What one check finds by the rules of a minor version.
type Find = fn(&Subject<'_>, u64) -> Option<Violation>;

struct Check {
    level: Level,
    /// The minor version that has it first.
    since: u64,
    /// From this minor version on a stricter check stands in its place on the restricted level.
    until: u64,
    find: Find,
}

/// The newest version that changed a check. Later ones have the same.
const NEWEST: u64 = 35;
const ALWAYS: u64 = u64::MAX;

const fn baseline(since: u64, until: u64, find: Find) -> Check {
    Check { level: Level::Baseline, since, until, find }
}

const fn restricted(since: u64, find: Find) -> Check {
    Check { level: Level::Restricted, since, until: ALWAYS, find }
}

/// In the order in which they are told: by level, then by stock's name for them.
const CHECKS: &[Check] = &[
    baseline(0, ALWAYS, baseline::app_armor_profile),
    baseline(0, 22, baseline::capabilities),
    baseline(0, ALWAYS, baseline::host_namespaces),
    baseline(0, 0, baseline::host_path_volumes),
    baseline(0, ALWAYS, baseline::host_ports),
    baseline(34, ALWAYS, baseline::probe_hosts),
    baseline(0, ALWAYS, baseline::privileged),
    baseline(0, 35, baseline::proc_mount),
    baseline(0, ALWAYS, baseline::se_linux_options),
    baseline(0, 19, baseline::seccomp_profile),
    baseline(0, ALWAYS, baseline::sysctls),
    baseline(0, ALWAYS, baseline::windows_host_process),
    restricted(8, restricted::privilege_escalation),
    restricted(22, restricted::capabilities),
    restricted(35, restricted::proc_mount),
    restricted(0, restricted::volumes),
    restricted(0, restricted::run_as_non_root),
    restricted(23, restricted::run_as_user),
    restricted(19, restricted::seccomp_profile),
];

/// What the pod does that the standard forbids.
pub fn evaluate(standard: Standard, subject: &Subject<'_>) -> Vec<Violation> {
    let minor = match standard.version {
        Version::Minor(minor) => minor.min(NEWEST),
        Version::Latest => NEWEST,
    };
    let applies = |check: &&Check| {
        check.since <= minor
            && check.level <= standard.level
            && (standard.level == Level::Baseline || minor < check.until)
    };
    let checks = CHECKS.iter().filter(|_| standard.level != Level::Privileged).filter(applies);
    checks.filter_map(|check| (check.find)(subject, minor)).collect()
}

impl<'a> Subject<'a> {
    /// The names of the containers of which `is` holds.
    pub fn containers(&self, mut is: impl FnMut(&'a Value) -> bool) -> Vec<&'a str> {
        pod::containers(self.spec).filter(|(_, c)| is(c)).map(|(_, container)| pod::text(container, "name")).collect()
    }

    /// The pod's and the containers' values of a field of their security contexts: whether the pod's is bad, and the
    /// containers whose are.
    pub fn bad_setters(&self, field: &str, mut is_bad: impl FnMut(&'a Value) -> bool) -> (bool, Vec<&'a str>) {
        let mut bad = |owner: &'a Value| {
            let value = &owner["securityContext"][field];
            !value.is_null() && is_bad(value)
        };
        (bad(self.spec), self.containers(bad))
    }

    pub fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// Whether its users are none of the host's.
    pub fn has_own_users(&self) -> bool {
        self.spec["hostUsers"] == false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::plugins::pod_security::report::details;
    use crate::model::value::json;

    fn fails(level: Level, version: Version, pod: &Value) -> String {
        let subject = Subject { metadata: &pod["metadata"], spec: &pod["spec"] };
        details(&evaluate(Standard { level, version }, &subject))
    }

    fn with(container: Value) -> Value {
        let mut container = container;
        container["name"] = "c".into();
        json!({"spec": {"containers": [container]}})
    }

    fn hardened() -> Value {
        json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
            "capabilities": {"drop": ["ALL"]}})
    }

    #[test]
    fn a_plain_pod_is_baseline_and_not_restricted() {
        let plain = with(json!({}));
        assert_eq!(fails(Level::Baseline, Version::Latest, &plain), "");
        assert_eq!(
            fails(Level::Restricted, Version::Latest, &plain),
            "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), \
             unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), \
             runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), \
             seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
        );
        assert_eq!(fails(Level::Restricted, Version::Latest, &with(json!({"securityContext": hardened()}))), "");
        let bad = with(json!({"securityContext": {"privileged": true}, "ports": [{"hostPort": 80}]}));
        assert_eq!(fails(Level::Privileged, Version::Latest, &bad), "");
    }

    #[test]
    fn versions_have_the_checks_of_their_time() {
        let plain = with(json!({}));
        let old = fails(Level::Restricted, Version::Minor(7), &plain);
        assert_eq!(old, "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true)");
        assert_eq!(
            fails(Level::Restricted, Version::Minor(36), &plain),
            fails(Level::Restricted, Version::Latest, &plain)
        );
        let probe = with(json!({"livenessProbe": {"httpGet": {"port": 1, "host": "192.0.2.1"}}}));
        assert_eq!(fails(Level::Baseline, Version::Minor(33), &probe), "");
        assert_eq!(
            fails(Level::Baseline, Version::Minor(34), &probe),
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"192.0.2.1\")"
        );
        let mut windows = with(json!({"securityContext": {"runAsNonRoot": true}}));
        windows["spec"]["os"] = json!({"name": "windows"});
        assert!(fails(Level::Restricted, Version::Minor(24), &windows).contains("allowPrivilegeEscalation"));
        assert_eq!(fails(Level::Restricted, Version::Minor(25), &windows), "");
        let mut users = with(json!({"securityContext": {"procMount": "Unmasked", "runAsUser": 0}}));
        users["spec"]["hostUsers"] = false.into();
        let told = "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")";
        assert_eq!(fails(Level::Baseline, Version::Minor(34), &users), told);
        assert_eq!(fails(Level::Baseline, Version::Minor(35), &users), "");
        let restricted = fails(Level::Restricted, Version::Minor(35), &users);
        assert!(restricted.contains(told) && !restricted.contains("runAs"), "{restricted}");
        let annotated = json!({"metadata": {"annotations": {
                "container.seccomp.security.alpha.kubernetes.io/c": "unconfined",
                "seccomp.security.alpha.kubernetes.io/pod": "runtime/default"}},
            "spec": {"containers": [{"name": "c"}]}});
        assert_eq!(
            fails(Level::Baseline, Version::Minor(18), &annotated),
            "seccompProfile (forbidden annotation container.seccomp.security.alpha.kubernetes.io/c=\"unconfined\")"
        );
        assert_eq!(fails(Level::Baseline, Version::Minor(19), &annotated), "");
    }

    #[test]
    fn what_the_baseline_forbids_is_told() {
        let context = |context: Value| with(json!({"securityContext": context}));
        let spec = |field: &str, value: Value| {
            let mut pod = with(json!({}));
            pod["spec"][field] = value;
            pod
        };
        let cases = [
            (
                context(json!({"privileged": true})),
                "privileged (container \"c\" must not set securityContext.privileged=true)",
            ),
            (spec("hostPID", true.into()), "host namespaces (hostPID=true)"),
            (spec("volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])), "hostPath volumes (volume \"v\")"),
            (
                with(json!({"ports": [{"hostPort": 80}, {"hostPort": 9}]})),
                "hostPort (container \"c\" uses hostPorts 80, 9)",
            ),
            (
                context(json!({"capabilities": {"add": ["SYS_ADMIN", "NET_RAW", "CHOWN"]}})),
                "non-default capabilities (container \"c\" must not include \"NET_RAW\", \"SYS_ADMIN\" in securityContext.capabilities.add)",
            ),
            (
                spec("securityContext", json!({"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]})),
                "forbidden sysctls (kernel.msgmax)",
            ),
            (
                context(json!({"seLinuxOptions": {"type": "custom", "user": "u"}})),
                "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"custom\"; user may not be set)",
            ),
            (
                context(json!({"appArmorProfile": {"type": "Unconfined"}})),
                "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")",
            ),
            (
                spec("securityContext", json!({"windowsOptions": {"hostProcess": true}})),
                "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
            ),
        ];
        for (pod, expected) in cases {
            assert_eq!(fails(Level::Baseline, Version::Latest, &pod), expected);
        }
        let mut both = context(json!({"seccompProfile": {"type": "Unconfined"}}));
        both["spec"]["securityContext"] = json!({"seccompProfile": {"type": "Unconfined"}});
        both["spec"]["initContainers"] =
            json!([{"name": "i", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]);
        assert_eq!(
            fails(Level::Baseline, Version::Latest, &both),
            "seccompProfile (pod and containers \"i\", \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")"
        );
        let mut annotated = context(json!({"appArmorProfile": {"type": "Unconfined"}}));
        annotated["metadata"] =
            json!({"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}});
        assert_eq!(
            fails(Level::Baseline, Version::Latest, &annotated),
            "forbidden AppArmor profiles (container \"c\" and annotation must not set AppArmor profile type to \"Unconfined\", \"container.apparmor.security.beta.kubernetes.io/c=\"unconfined\"\")"
        );
    }

    #[test]
    fn what_is_restricted_is_told() {
        let pod = |change: fn(&mut Value)| {
            let mut pod = with(json!({"securityContext": hardened()}));
            change(&mut pod["spec"]);
            fails(Level::Restricted, Version::Latest, &pod)
        };
        assert_eq!(
            pod(|spec| spec["volumes"] =
                json!([{"name": "a", "nfs": {}}, {"name": "b", "secret": {}}, {"name": "d", "hostPath": {}}])),
            "restricted volume types (volumes \"a\", \"d\" use restricted volume types \"hostPath\", \"nfs\")"
        );
        assert_eq!(
            pod(|spec| spec["securityContext"] = json!({"runAsUser": 0, "runAsNonRoot": false})),
            "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), runAsUser=0 (pod must not set runAsUser=0)"
        );
        assert_eq!(
            pod(|spec| spec["containers"][0]["securityContext"]["capabilities"] =
                json!({"add": ["NET_BIND_SERVICE", "X"]})),
            "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]; container \"c\" must not include \"X\" in securityContext.capabilities.add)"
        );
        assert_eq!(
            pod(|spec| spec["containers"][0]["securityContext"]["seccompProfile"] = json!({"type": "Unconfined"})),
            "seccompProfile (container \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")"
        );
    }
}

//! Probes, hooks of the lifecycle, and what they do.

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::numbers::{non_negative, port_number, port_number_or_name};
use crate::rules::checks::web::http_header_name;

/// What a probe can do.
const PROBES: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
/// What a hook can do.
const HOOKS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];
const WINDOWS_SIGNALS: [&str; 2] = ["SIGKILL", "SIGTERM"];
/// Sorted.
const LINUX_SIGNALS: [&str; 65] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// The lifecycle and the probes of a container that runs on. `grace`: the pod's, in seconds.
pub fn lifecycle_and_probes(container: &At, os: &At, grace: Option<i64>, errs: &mut FieldErrors) {
    let lifecycle = container.at("lifecycle");
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.at(hook);
        if hook.exists() {
            handler(&hook, &HOOKS, grace, errs);
        }
    }
    stop_signal(&lifecycle.at("stopSignal"), os, errs);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if probe.is_null() {
            continue;
        }
        self::probe(&probe, grace, errs);
        let (success, own_grace) = (probe.at("successThreshold"), probe.at("terminationGracePeriodSeconds"));
        if name == "readinessProbe" {
            if own_grace.exists() {
                own_grace.invalid(errs, "must not be set for readinessProbes");
            }
        } else if success.i64() != 1 {
            success.invalid(errs, "must be 1");
        }
    }
}

fn probe(at: &At, grace: Option<i64>, errs: &mut FieldErrors) {
    handler(at, &PROBES, grace, errs);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        non_negative(&at.at(field), errs);
    }
    let own_grace = at.at("terminationGracePeriodSeconds");
    if own_grace.exists() && own_grace.i64() <= 0 {
        own_grace.invalid(errs, "must be greater than 0");
    }
}

/// Exactly one of `known`.
fn handler(at: &At, known: &[&str], grace: Option<i64>, errs: &mut FieldErrors) {
    let mut first = true;
    for name in known {
        let action = at.at(name);
        if action.is_null() {
            continue;
        }
        if first {
            self::action(&action, name, grace, errs);
        } else {
            action.forbidden(errs, "may not specify more than 1 handler type");
        }
        first = false;
    }
    if first {
        at.required(errs, "must specify a handler type");
    }
}

fn action(at: &At, name: &str, grace: Option<i64>, errs: &mut FieldErrors) {
    match name {
        "exec" => {
            if at.at("command").is_empty() {
                at.at("command").required(errs, "");
            }
        }
        "httpGet" => {
            if at.at("path").is_empty() {
                at.at("path").required(errs, "");
            }
            port_number_or_name(&at.at("port"), errs);
            choices::one_of(&at.at("scheme"), &["HTTP", "HTTPS"], errs);
            let headers = at.at("httpHeaders");
            for header in headers.items() {
                let name = header.at("name").str();
                for text in http_header_name(name) {
                    errs.push(FieldError::invalid(headers.path(), name, text));
                }
            }
        }
        "tcpSocket" => port_number_or_name(&at.at("port"), errs),
        "grpc" => at.at("port").invalid_each(errs, port_number(at.at("port").i64())),
        _ => sleep(at, grace, errs),
    }
}

fn sleep(at: &At, grace: Option<i64>, errs: &mut FieldErrors) {
    let Some(grace) = grace else { return };
    let seconds = at.at("seconds").i64();
    if seconds < 0 || seconds > grace {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        at.invalid_as(errs, seconds, detail);
    }
}

fn stop_signal(at: &At, os: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    match os.at("name").str() {
        _ if os.is_null() => at.forbidden(errs, "may not be set for containers with empty `spec.os.name`"),
        "windows" => choices::one_of(at, &WINDOWS_SIGNALS, errs),
        "linux" => choices::one_of(at, &LINUX_SIGNALS, errs),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    #[test]
    fn probes_and_hooks_are_judged_in_stocks_order() {
        let spec = json!({"containers": [{
            "lifecycle": {"preStop": {"sleep": {"seconds": 31}}, "postStart": {}},
            "livenessProbe": {"exec": {}, "grpc": {"port": 1}, "successThreshold": 2, "periodSeconds": -1},
            "readinessProbe": {"httpGet": {"path": "/", "scheme": "FTP", "port": "a_b", "httpHeaders": [{"name": "a b"}]},
                "terminationGracePeriodSeconds": 0}}]});
        let root = At::new(&spec, table::message("k8s.io.api.core.v1.PodSpec"));
        let mut errs = FieldErrors::new();
        let containers = root.at("containers");
        lifecycle_and_probes(&containers.item(0), &root.at("os"), Some(30), &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().replace("containers[0].", "")).collect();
        assert_begin(
            &found,
            &[
                "lifecycle.postStart: Required value: must specify a handler type",
                "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeri",
                "livenessProbe.exec.command: Required value",
                "livenessProbe.grpc: Forbidden: may not specify more than 1 handler type",
                "livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                "livenessProbe.successThreshold: Invalid value: 2: must be 1",
                "readinessProbe.httpGet.port: Invalid value: \"a_b\": must contain only alpha-numeric characters (a-z, ",
                "readinessProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", \"HTTPS\"",
                "readinessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphan",
                "readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
                "readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must not be set for readinessProbes",
            ],
        );
    }
}

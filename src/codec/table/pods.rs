//! Cells of pods, whose status is gathered from conditions, phases and the states of all containers.

use super::row::Row;
use crate::codec::protobuf::view::View;
use crate::model::time::Time;

pub fn pod(row: &mut Row<'_>, pod: View<'_>) {
    let (spec, status) = (pod.at("spec"), pod.at("status"));
    let shown = Summary::of(pod, spec, status);
    row.name(pod);
    row.print(format_args!("{}/{}", shown.ready, shown.total));
    row.text(&shown.reason);
    match shown.last_restart {
        Some(time) if shown.restarts != 0 => {
            let ago = row.since(Some(time));
            row.print(format_args!("{} ({ago} ago)", shown.restarts));
        }
        _ => row.print(format_args!("{}", shown.restarts)),
    }
    row.created(pod);
    let address = match status.text("podIP") {
        "" => status.items("podIPs").next().map_or("", |ip| ip.text("ip")),
        address => address,
    };
    row.text_or(address, "<none>");
    row.text_or(spec.text("nodeName"), "<none>");
    row.text_or(status.text("nominatedNodeName"), "<none>");
    row.text(&readiness_gates(spec, status));
    match status.text("phase") {
        "Succeeded" => row.complete("Succeeded", "The pod has completed successfully."),
        "Failed" => row.complete("Failed", "The pod failed."),
        _ => {}
    }
}

fn readiness_gates(spec: View<'_>, status: View<'_>) -> String {
    let (mut all, mut met) = (0, 0);
    for gate in spec.items("readinessGates") {
        all += 1;
        met += usize::from(condition(status, gate.text("conditionType")) == Some("True"));
    }
    if all == 0 { "<none>".into() } else { format!("{met}/{all}") }
}

/// The status of the first condition of that type.
fn condition<'a>(status: View<'a>, kind: &str) -> Option<&'a str> {
    status.items("conditions").find(|c| c.text("type") == kind).map(|c| c.text("status"))
}

/// What a pod's row says of its containers.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Time>,
}

/// Restarts of a group of containers, and when the last one was.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Time>,
}

impl Restarts {
    fn add(&mut self, container: View<'_>) {
        self.count += container.number("restartCount");
        let ended = container.at("lastState").at("terminated").time("finishedAt");
        self.last = self.last.max(ended);
    }
}

impl Summary {
    fn of(pod: View<'_>, spec: View<'_>, status: View<'_>) -> Self {
        let reason = match status.text("reason") {
            "" => status.text("phase"),
            reason => reason,
        };
        let mut summary =
            Self { reason: reason.into(), ready: 0, total: spec.count("containers"), restarts: 0, last_restart: None };
        if status.items("conditions").any(|c| (c.text("type"), c.text("reason")) == ("PodScheduled", "SchedulingGated"))
        {
            summary.reason = "SchedulingGated".into();
        }
        let (initializing, sidecars) = summary.init_containers(spec, status);
        if !initializing || condition(status, "Initialized") == Some("True") {
            summary.containers(status, sidecars);
        }
        if pod.at("metadata").has("deletionTimestamp") {
            if status.text("reason") == "NodeLost" {
                summary.reason = "Unknown".into();
            } else if !matches!(status.text("phase"), "Succeeded" | "Failed") {
                summary.reason = "Terminating".into();
            }
        }
        summary
    }

    /// Whether they are still at work, and the restarts of those that keep running beside the others.
    fn init_containers(&mut self, spec: View<'_>, status: View<'_>) -> (bool, Restarts) {
        let kept: Vec<&str> = spec
            .items("initContainers")
            .filter(|c| c.text("restartPolicy") == "Always")
            .map(|container| container.text("name"))
            .collect();
        self.total += kept.len();
        let (mut all, mut sidecars) = (Restarts::default(), Restarts::default());
        let mut initializing = false;
        for (at, container) in status.items("initContainerStatuses").enumerate() {
            all.add(container);
            let sidecar = kept.contains(&container.text("name"));
            if sidecar {
                sidecars.add(container);
            }
            let state = container.at("state");
            let ended = state.get("terminated");
            if ended.is_some_and(|t| t.number("exitCode") == 0) {
                continue;
            }
            if sidecar && container.flag("started") {
                self.ready += usize::from(container.flag("ready"));
                continue;
            }
            self.reason = match (ended, state.at("waiting").text("reason")) {
                (Some(ended), _) => format!("Init:{}", exit(ended)),
                (None, "" | "PodInitializing") => format!("Init:{at}/{}", spec.count("initContainers")),
                (None, waiting) => format!("Init:{waiting}"),
            };
            initializing = true;
            break;
        }
        (self.restarts, self.last_restart) = (all.count, all.last);
        (initializing, sidecars)
    }

    fn containers(&mut self, status: View<'_>, mut restarts: Restarts) {
        let containers: Vec<View<'_>> = status.items("containerStatuses").collect();
        let (mut running, mut failure) = (false, None);
        for container in containers.iter().rev() {
            restarts.add(*container);
            let state = container.at("state");
            let waiting = state.at("waiting").text("reason");
            if !waiting.is_empty() {
                self.reason = waiting.into();
            } else if let Some(ended) = state.get("terminated") {
                self.reason = exit(ended);
                if ended.number("exitCode") != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if container.flag("ready") && state.has("running") {
                running = true;
                self.ready += 1;
            }
        }
        (self.restarts, self.last_restart) = (restarts.count, restarts.last);
        if self.reason != "Completed" {
            return;
        }
        let ready = status.items("conditions").any(|c| (c.text("type"), c.text("status")) == ("Ready", "True"));
        match failure {
            _ if running && ready => self.reason = "Running".into(),
            Some(failure) => self.reason = failure,
            None if running => self.reason = "NotReady".into(),
            None => {}
        }
    }
}

/// Why a container ended.
fn exit(ended: View<'_>) -> String {
    match (ended.text("reason"), ended.number("signal")) {
        ("", 0) => format!("ExitCode:{}", ended.number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.into(),
    }
}

//! What a node says of a pod: the status as a kubelet writes it.

use jiff::Timestamp;

use super::pod::{Container, End, Phase, Pod, Role, State};
use crate::model::gotext;
use crate::model::value::{Map, Value, json};

/// The conditions that a node sets, in a kubelet's order.
pub(super) const CONDITIONS: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

impl Pod {
    /// The status as of `now`, on a node with this address. Remembers since when conditions have been so.
    pub fn status(&mut self, host: &str, now: Timestamp) -> Value {
        let phase = self.phase();
        let mut status = json!({
            "phase": format!("{phase:?}"),
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "conditions": self.conditions(phase, now),
            "containerStatuses": self.statuses(|role| role == Role::Main)
        });
        if self.generation > 0 {
            status["observedGeneration"] = self.generation.into();
        }
        if let Some(started) = self.started {
            status["startTime"] = text(started).into();
        }
        if let Some(first) = self.addresses.first() {
            status["podIP"] = first.to_string().into();
            status["podIPs"] = self.addresses.iter().map(|address| json!({"ip": address.to_string()})).collect();
        }
        if self.containers.iter().any(|container| container.role != Role::Main) {
            status["initContainerStatuses"] = self.statuses(|role| role != Role::Main).into();
        }
        if self.is_late {
            status["reason"] = "DeadlineExceeded".into();
            status["message"] = "Pod was active on the node longer than the specified deadline".into();
        }
        status
    }

    fn conditions(&mut self, phase: Phase, now: Timestamp) -> Vec<Value> {
        let ready = self.containers_ready(phase);
        let completed = (phase == Phase::Succeeded).then(|| ("PodCompleted", String::new()));
        let told = [
            (self.has_network(phase), None),
            (self.is_initialized(), completed.or_else(|| self.why_not_initialized())),
            (ready.is_none() && self.closed_gates().is_none(), ready.clone().or_else(|| self.closed_gates())),
            (ready.is_none(), ready),
            (true, None),
        ];
        let mut all = Vec::with_capacity(told.len());
        for ((name, known), (is, why)) in CONDITIONS.iter().zip(&mut self.conditions).zip(told) {
            if known.1.is_none() || known.0 != is {
                *known = (is, Some(now));
            }
            let mut condition = json!({"type": name, "status": if is { "True" } else { "False" },
                "lastProbeTime": null, "lastTransitionTime": text(known.1.unwrap_or(now))});
            if self.generation > 0 {
                condition["observedGeneration"] = self.generation.into();
            }
            // What no longer holds must be taken away: the API merges conditions.
            let (reason, message) = why.map_or((Value::Null, Value::Null), |(reason, message)| {
                (reason.into(), if message.is_empty() { Value::Null } else { message.into() })
            });
            condition["reason"] = reason;
            condition["message"] = message;
            all.push(condition);
        }
        all
    }

    fn has_network(&self, phase: Phase) -> bool {
        !self.addresses.is_empty() && !matches!(phase, Phase::Succeeded | Phase::Failed)
    }

    /// `None`: they are.
    fn containers_ready(&self, phase: Phase) -> Option<(&'static str, String)> {
        match phase {
            Phase::Succeeded => return Some(("PodCompleted", String::new())),
            Phase::Failed => return Some(("PodFailed", String::new())),
            Phase::Pending | Phase::Running => {}
        }
        let ready = |one: &&Container| matches!(one.state, State::Running(_));
        let unready: Vec<_> = self
            .containers
            .iter()
            .filter(|one| one.role != Role::Init && !ready(one))
            .map(|one| one.name.clone())
            .collect();
        let names = || format!("containers with unready status: {}", gotext::list(&unready));
        (!unready.is_empty()).then(|| ("ContainersNotReady", names()))
    }

    fn closed_gates(&self) -> Option<(&'static str, String)> {
        let closed = self.gates.iter().filter(|(_, status)| status.as_deref() != Some("True"));
        let say = |(name, status): &(String, Option<String>)| match status {
            None => format!("corresponding condition of pod readiness gate {name:?} does not exist."),
            Some(status) => {
                format!("the status of pod readiness gate {name:?} is not \"True\", but {status}")
            }
        };
        let all: Vec<_> = closed.map(say).collect();
        (!all.is_empty()).then(|| ("ReadinessGatesNotReady", all.join(", ")))
    }

    fn why_not_initialized(&self) -> Option<(&'static str, String)> {
        let missing = |one: &&Container| match one.role {
            Role::Main => false,
            Role::Sidecar => one.state == State::Created,
            Role::Init => !matches!(one.state, State::Ended(end) if end.code == 0),
        };
        let names: Vec<_> = self.containers.iter().filter(missing).map(|one| one.name.clone()).collect();
        let message = format!("containers with incomplete status: {}", gotext::list(&names));
        (!names.is_empty()).then_some(("ContainersNotInitialized", message))
    }

    fn statuses(&self, which: impl Fn(Role) -> bool) -> Vec<Value> {
        self.containers.iter().filter(|one| which(one.role)).map(|one| self.container(one)).collect()
    }

    fn container(&self, one: &Container) -> Value {
        let runs = matches!(one.state, State::Running(_));
        let has_run = runs || one.last.is_some() || matches!(one.state, State::Ended(_));
        let id = format!("simulated://{}/{}/{}", self.uid, one.name, one.restarts);
        let done = one.role == Role::Init && matches!(one.state, State::Ended(end) if end.code == 0);
        let mut status = json!({
            "name": one.name, "image": one.image, "restartCount": one.restarts,
            "imageID": if has_run { format!("simulated://{}", one.image) } else { String::new() },
            "ready": done || runs && one.role != Role::Init,
            "started": runs,
            "state": self.state(one, &id),
            "lastState": one.last.filter(|_| one.restarts > 0 || !runs).map_or(json!({}), |end| ended(end, "")),
            "resources": amounts(&one.resources)
        });
        if has_run {
            status["containerID"] = id.into();
        }
        if let Some(requests) = one.resources["requests"].as_object() {
            status["allocatedResources"] = requests.clone().into();
        }
        status
    }

    fn state(&self, one: &Container, id: &str) -> Value {
        match one.state {
            State::Running(since) => json!({"running": {"startedAt": text(since)}}),
            State::Ended(end) => ended(end, id),
            State::Backoff(_) => {
                let message = format!(
                    "back-off {}s restarting failed container={} pod={}_{}({})",
                    one.pause().as_secs(),
                    one.name,
                    self.name,
                    self.namespace,
                    self.uid
                );
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
            }
            State::Created if one.role != Role::Main || self.is_initialized() => {
                let has_inits = self.containers.iter().any(|one| one.role != Role::Main);
                let reason = if has_inits { "PodInitializing" } else { "ContainerCreating" };
                json!({"waiting": {"reason": reason}})
            }
            State::Created => json!({"waiting": {"reason": "PodInitializing"}}),
        }
    }
}

fn ended(end: End, id: &str) -> Value {
    let mut terminated = json!({"exitCode": end.code, "reason": if end.code == 0 { "Completed" } else { "Error" },
        "startedAt": text(end.started), "finishedAt": text(end.at)});
    if !id.is_empty() {
        terminated["containerID"] = id.into();
    }
    json!({"terminated": terminated})
}

/// Limits and requests as they were asked for.
fn amounts(resources: &Value) -> Value {
    let both = ["limits", "requests"].into_iter();
    let given = both.filter_map(|part| Some((part, resources[part].as_object()?.clone())));
    Value::Object(given.collect::<Map>())
}

/// In whole seconds, as the API has times.
pub(super) fn text(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).expect("a time")
    }

    fn told(status: &Value) -> String {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let conditions = conditions.map(|one| {
            let word = |field: &str| one[field].as_str().unwrap_or("").to_owned();
            let seconds = word("lastTransitionTime").trim_end_matches('Z').rsplit(':').next().map(str::to_owned);
            format!("{}={}@{} {}", word("type"), word("status"), seconds.unwrap_or_default(), word("reason"))
        });
        conditions.map(|one| one.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn conditions_change_with_their_time() {
        let mut pod = Pod::new(&json!({"metadata": {"name": "p", "uid": "u"},
            "spec": {"containers": [{"name": "a"}], "readinessGates": [{"conditionType": "g/open"}]},
            "status": {"conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}]}}));
        pod.step(at(2));
        let first = pod.status("198.18.0.1", at(2));
        assert_eq!(
            told(&first),
            "PodReadyToStartContainers=False@02\nInitialized=True@02\nReady=False@02 ContainersNotReady\n\
             ContainersReady=False@02 ContainersNotReady\nPodScheduled=True@01"
        );
        assert_eq!(first["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
        pod.addresses.push([10, 0, 0, 2].into());
        pod.step(at(3));
        let second = pod.status("198.18.0.1", at(3));
        assert_eq!(
            told(&second),
            "PodReadyToStartContainers=True@03\nInitialized=True@02\nReady=False@02 ReadinessGatesNotReady\n\
             ContainersReady=True@03\nPodScheduled=True@01"
        );
        let text = "corresponding condition of pod readiness gate \"g/open\" does not exist.";
        assert_eq!(second["conditions"][2]["message"], text);
        pod.gates[0].1 = Some("True".into());
        let third = pod.status("198.18.0.1", at(4));
        assert_eq!(third["conditions"][2]["status"], "True");
        assert_eq!((&third["phase"], &third["podIP"]), (&json!("Running"), &json!("10.0.0.2")));
    }

    #[test]
    fn what_was_asked_for_is_what_a_container_has() {
        let mut pod = Pod::new(&json!({"metadata": {"uid": "u"}, "spec": {"containers": [
            {"name": "a", "image": "i", "resources": {"requests": {"cpu": "1"}, "claims": []}}]}}));
        let status = pod.status("h", at(0))["containerStatuses"][0].clone();
        assert_eq!(status["resources"], json!({"requests": {"cpu": "1"}}));
        assert_eq!(status["allocatedResources"], json!({"cpu": "1"}));
        assert_eq!(status["containerID"], Value::Null);
    }
}

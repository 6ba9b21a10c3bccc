//! A pod on a simulated node: what its containers do as time goes by. It reads no clock and sends nothing.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::command::{Run, run};
use crate::base::backoff::Backoff;
use crate::model::object;
use crate::model::value::Value;

/// A container that ended is started again at once the first time, then after this.
const RESTART: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(300));

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub(super) generation: i64,
    policy: Policy,
    pub(super) containers: Vec<Container>,
    /// Readiness gates, and the status of each one's condition where there is one.
    pub(super) gates: Vec<(String, Option<String>)>,
    pub host_network: bool,
    deadline: Option<Duration>,
    pub is_deleting: bool,
    /// It came to its end before this node knew it.
    is_over: bool,
    /// Its deadline has passed.
    pub(super) is_late: bool,
    pub(super) started: Option<Timestamp>,
    /// What the containers are reached at; empty until there is room for it.
    pub addresses: Vec<IpAddr>,
    /// Since when each condition of [`super::status::CONDITIONS`] has been so.
    pub(super) conditions: [(bool, Option<Timestamp>); 5],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Always,
    OnFailure,
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct Container {
    pub name: String,
    pub image: String,
    pub resources: Value,
    pub role: Role,
    run: Run,
    pub state: State,
    /// How it ended before it was started again.
    pub last: Option<End>,
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Comes to its end before the next one starts.
    Init,
    /// An init container that keeps running.
    Sidecar,
    Main,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Created,
    Running(Timestamp),
    Ended(End),
    /// Starts again then.
    Backoff(Timestamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub started: Timestamp,
    pub at: Timestamp,
    pub code: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Pod {
    /// The pod as the API has it: new here, or with its progress so far as its status tells it (a node that was started
    /// again goes on where it was).
    pub fn new(object: &Value) -> Self {
        let (spec, status) = (&object["spec"], &object["status"]);
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let policy = match spec["restartPolicy"].as_str() {
            Some("Never") => Policy::Never,
            Some("OnFailure") => Policy::OnFailure,
            _ => Policy::Always,
        };
        let addresses = status["podIPs"].as_array().into_iter().flatten();
        let mut pod = Self {
            namespace: object::namespace(object).to_owned(),
            name: object::name(object).to_owned(),
            uid: object::uid(object).to_owned(),
            generation: object::generation(object),
            policy,
            containers: Vec::new(),
            gates: Vec::new(),
            host_network: spec["hostNetwork"] == true,
            deadline: spec["activeDeadlineSeconds"].as_u64().map(Duration::from_secs),
            is_deleting: object::is_deleting(object),
            is_over: ["Succeeded", "Failed"].contains(&text(&status["phase"]).as_str()),
            is_late: false,
            started: time(&status["startTime"]),
            addresses: addresses.filter_map(|address| address["ip"].as_str()?.parse().ok()).collect(),
            conditions: super::status::CONDITIONS.map(|name| {
                let found = condition(status, name);
                (found["status"] == "True", time(&found["lastTransitionTime"]))
            }),
        };
        for container in spec["initContainers"].as_array().into_iter().flatten() {
            let role = if container["restartPolicy"] == "Always" { Role::Sidecar } else { Role::Init };
            let known = part(&status["initContainerStatuses"], container);
            pod.containers.push(Container::new(container, role, policy, known));
        }
        for container in spec["containers"].as_array().into_iter().flatten() {
            let known = part(&status["containerStatuses"], container);
            pod.containers.push(Container::new(container, Role::Main, policy, known));
        }
        for gate in spec["readinessGates"].as_array().into_iter().flatten() {
            let name = text(&gate["conditionType"]);
            let status = condition(status, &name)["status"].as_str().map(str::to_owned);
            pod.gates.push((name, status));
        }
        pod
    }

    /// The same pod after a change in the API: what is wanted comes from there, what has happened is known here.
    pub fn update(&mut self, object: &Value) {
        let mut new = Self::new(object);
        for container in &mut new.containers {
            if let Some(old) = self.containers.iter().find(|old| old.name == container.name) {
                (container.state, container.last, container.restarts) = (old.state, old.last, old.restarts);
            }
        }
        new.is_over = self.is_over;
        new.is_late = self.is_late;
        new.started = self.started;
        new.conditions = self.conditions;
        new.addresses = std::mem::take(&mut self.addresses);
        *self = new;
    }

    /// Whether there is nothing more to be said of it.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether containers wait for an address.
    pub fn needs_address(&self) -> bool {
        !self.is_over && !self.is_deleting && self.started.is_some() && self.addresses.is_empty()
    }

    /// What has happened by `now`. The first step only takes note of the pod. Gives when the next thing happens.
    pub fn step(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.is_over {
            return None;
        }
        let Some(started) = self.started else {
            self.started = Some(now);
            return Some(now);
        };
        let deadline = self.deadline.and_then(|deadline| started.checked_add(deadline).ok());
        self.is_late |= deadline.is_some_and(|deadline| deadline <= now);
        if self.is_deleting || self.is_late {
            self.stop(now, |_| true);
            return None;
        }
        if self.addresses.is_empty() {
            return deadline;
        }
        self.containers.iter_mut().for_each(|container| container.end(now));
        let policy = self.policy;
        if self.initialize(now) {
            for container in self.containers.iter_mut().filter(|container| container.role == Role::Main) {
                container.go_on(policy, now);
            }
        }
        if matches!(self.phase(), Phase::Succeeded | Phase::Failed) {
            self.stop(now, |_| true);
            return None;
        }
        self.containers.iter().filter_map(Container::due).chain(deadline).min()
    }

    /// Starts init containers, each after those before it; whether they are through.
    fn initialize(&mut self, now: Timestamp) -> bool {
        let policy = if self.policy == Policy::Never { Policy::Never } else { Policy::OnFailure };
        for container in &mut self.containers {
            match container.role {
                Role::Main => return true,
                Role::Sidecar => container.go_on(Policy::Always, now),
                Role::Init => {
                    container.go_on(policy, now);
                    if !container.has_succeeded() {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn stop(&mut self, now: Timestamp, which: impl Fn(&Container) -> bool) {
        for container in self.containers.iter_mut().filter(|container| which(container)) {
            match container.state {
                State::Running(started) => container.state = State::Ended(End { started, at: now, code: 0 }),
                State::Backoff(_) => container.state = container.last.map_or(State::Created, State::Ended),
                State::Created | State::Ended(_) => {}
            }
        }
    }

    /// Whether no container runs and none will.
    pub fn has_stopped(&self) -> bool {
        self.is_over || self.containers.iter().all(|one| matches!(one.state, State::Created | State::Ended(_)))
    }

    pub(super) fn is_initialized(&self) -> bool {
        self.containers.iter().all(|container| match container.role {
            Role::Main => true,
            Role::Sidecar => container.state != State::Created,
            Role::Init => container.has_succeeded(),
        })
    }

    /// As the API defines it.
    pub fn phase(&self) -> Phase {
        let mains = || self.containers.iter().filter(|container| container.role == Role::Main);
        if self.is_late {
            return Phase::Failed;
        }
        if self.is_deleting && self.has_stopped() && self.started.is_some() {
            return if mains().all(Container::has_succeeded) { Phase::Succeeded } else { Phase::Failed };
        }
        let failed = |one: &Container| matches!(one.state, State::Ended(end) if end.code != 0);
        if self.containers.iter().any(|one| one.role == Role::Init && failed(one)) && self.policy == Policy::Never {
            return Phase::Failed;
        }
        if !self.is_initialized() || mains().any(|one| one.state == State::Created) {
            return Phase::Pending;
        }
        if !mains().all(|one| matches!(one.state, State::Ended(end) if !self.policy.restarts(end))) {
            return Phase::Running;
        }
        if mains().any(failed) { Phase::Failed } else { Phase::Succeeded }
    }
}

impl Policy {
    fn restarts(self, end: End) -> bool {
        match self {
            Policy::Always => true,
            Policy::OnFailure => end.code != 0,
            Policy::Never => false,
        }
    }
}

impl Container {
    fn new(spec: &Value, role: Role, policy: Policy, known: &Value) -> Self {
        let text = |field: &str| spec[field].as_str().unwrap_or("").to_owned();
        let ends = role == Role::Init || policy != Policy::Always;
        let state = match &known["state"] {
            state if state["running"].is_object() => time(&state["running"]["startedAt"]).map(State::Running),
            state if state["terminated"].is_object() => end(&state["terminated"]).map(State::Ended),
            _ => None,
        };
        Self {
            name: text("name"),
            image: text("image"),
            resources: spec["resources"].clone(),
            role,
            run: if role == Role::Sidecar { Run::Forever } else { run(spec, ends) },
            state: state.unwrap_or(State::Created),
            last: end(&known["lastState"]["terminated"]),
            restarts: known["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        }
    }

    fn has_succeeded(&self) -> bool {
        matches!(self.state, State::Ended(end) if end.code == 0)
    }

    /// It ends if its time is over.
    fn end(&mut self, now: Timestamp) {
        let (State::Running(started), Run::For(time, code)) = (self.state, self.run) else { return };
        if started.checked_add(time).is_ok_and(|at| at <= now) {
            self.state = State::Ended(End { started, at: now, code });
        }
    }

    /// It is started, or started again.
    fn go_on(&mut self, policy: Policy, now: Timestamp) {
        if let State::Ended(end) = self.state
            && policy.restarts(end)
        {
            self.last = Some(end);
            let pause = if self.restarts == 0 { Duration::ZERO } else { RESTART.after(self.restarts) };
            self.state = State::Backoff(end.at.checked_add(pause).unwrap_or(end.at));
        }
        match self.state {
            State::Created => self.state = State::Running(now),
            State::Backoff(until) if until <= now => {
                self.restarts = self.restarts.saturating_add(1);
                self.state = State::Running(now);
            }
            _ => {}
        }
    }

    /// When something happens to it.
    fn due(&self) -> Option<Timestamp> {
        match (self.state, self.run) {
            (State::Running(started), Run::For(time, _)) => started.checked_add(time).ok(),
            (State::Backoff(until), _) => Some(until),
            _ => None,
        }
    }

    /// How long the pause is that it waits for.
    pub fn pause(&self) -> Duration {
        RESTART.after(self.restarts)
    }
}

fn part<'a>(statuses: &'a Value, container: &Value) -> &'a Value {
    let mut all = statuses.as_array().into_iter().flatten();
    all.find(|status| status["name"] == container["name"]).unwrap_or(&Value::Null)
}

pub(super) fn condition<'a>(status: &'a Value, name: &str) -> &'a Value {
    let mut all = status["conditions"].as_array().into_iter().flatten();
    all.find(|condition| condition["type"] == name).unwrap_or(&Value::Null)
}

fn end(terminated: &Value) -> Option<End> {
    let code = i32::try_from(terminated["exitCode"].as_i64().unwrap_or(0)).ok()?;
    let at = time(&terminated["finishedAt"])?;
    Some(End { started: time(&terminated["startedAt"]).unwrap_or(at), at, code })
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn pod(spec: Value) -> Pod {
        Pod::new(&json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": spec}))
    }

    /// `second: phase containers` for each moment at which something happens, at most `steps` of them.
    fn story(pod: &mut Pod, steps: usize) -> String {
        let (mut now, mut lines) = (at(0), Vec::new());
        for _ in 0..steps {
            let next = pod.step(now);
            let states = pod.containers.iter().map(|one| match one.state {
                State::Created => "waits".to_owned(),
                State::Running(_) if one.restarts > 0 => format!("runs({})", one.restarts),
                State::Running(_) => "runs".to_owned(),
                State::Ended(end) => format!("ended {}", end.code),
                State::Backoff(until) => format!("until {}", until.as_second() - at(0).as_second()),
            });
            let states = states.collect::<Vec<_>>().join(", ");
            lines.push(format!("{}: {:?} {states}", now.as_second() - at(0).as_second(), pod.phase()));
            if pod.needs_address() {
                pod.addresses.push([10, 0, 0, 2].into());
            }
            match next {
                Some(next) => now = next,
                None => break,
            }
        }
        lines.join("\n")
    }

    #[test]
    fn a_service_runs_until_it_is_deleted() {
        let mut pod = pod(json!({"containers": [{"name": "a", "image": "nginx"}]}));
        assert_eq!(story(&mut pod, 9), "0: Pending waits\n0: Running runs");
        pod.is_deleting = true;
        assert_eq!(story(&mut pod, 9), "0: Succeeded ended 0");
        assert!(pod.has_stopped());
    }

    #[test]
    fn init_containers_run_one_after_another() {
        let mut pod = pod(json!({
            "initContainers": [
                {"name": "i", "command": ["sleep", "2"]},
                {"name": "s", "restartPolicy": "Always"},
                {"name": "j", "command": ["sleep", "3"]}],
            "containers": [{"name": "a"}]}));
        assert_eq!(
            story(&mut pod, 9),
            "0: Pending waits, waits, waits, waits\n\
             0: Pending runs, waits, waits, waits\n\
             2: Pending ended 0, runs, runs, waits\n\
             5: Running ended 0, runs, ended 0, runs"
        );
    }

    #[test]
    fn a_job_ends_as_its_command_says() {
        let job = |policy: &str, command: Value| {
            pod(json!({"restartPolicy": policy, "containers": [{"name": "a", "command": command}]}))
        };
        let end = |mut pod: Pod| story(&mut pod, 9).lines().last().map(str::to_owned);
        assert_eq!(end(job("Never", json!(["perl"]))).as_deref(), Some("1: Succeeded ended 0"));
        assert_eq!(end(job("Never", json!(["false"]))).as_deref(), Some("0: Failed ended 1"));
        assert_eq!(end(job("OnFailure", json!(["sleep", "7"]))).as_deref(), Some("7: Succeeded ended 0"));
    }

    #[test]
    fn what_fails_is_restarted_less_and_less_often() {
        let mut pod = pod(json!({"restartPolicy": "OnFailure",
            "containers": [{"name": "a", "command": ["sh", "-c", "sleep 1; exit 2"]}]}));
        assert_eq!(
            story(&mut pod, 8),
            "0: Pending waits\n0: Running runs\n1: Running runs(1)\n2: Running until 12\n12: Running runs(2)\n\
             13: Running until 33\n33: Running runs(3)\n34: Running until 74"
        );
    }

    #[test]
    fn a_deadline_ends_a_pod() {
        let mut pod = pod(json!({"activeDeadlineSeconds": 5, "containers": [{"name": "a"}]}));
        assert_eq!(story(&mut pod, 9), "0: Pending waits\n0: Running runs\n5: Failed ended 0");
    }

    #[test]
    fn a_pod_goes_on_where_its_status_is() {
        let known = Pod::new(&json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]},
            "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "podIPs": [{"ip": "10.0.0.7"}],
                "containerStatuses": [{"name": "a", "restartCount": 2,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}]}}));
        assert_eq!((known.phase(), known.containers[0].restarts), (Phase::Running, 2));
        assert_eq!(known.addresses, [IpAddr::from([10, 0, 0, 7])]);
        assert!(!known.needs_address());
    }
}

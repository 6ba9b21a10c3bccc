//! How long a job waits before it makes a pod in place of one that failed.

use std::time::Duration;

use super::claim::JobPod;
use crate::codec::protobuf::view::View;
use crate::controllers::item::until;
use crate::controllers::pods::Pod;
use crate::model::time::Time;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// What is left of the wait after the failures since the last success.
pub fn left(pods: &[JobPod<'_>], now: Time) -> Duration {
    let last_success = pods.iter().filter(|pod| pod.succeeded()).filter_map(|pod| ended(&pod.pod)).max();
    let failures = pods.iter().filter(|pod| pod.failed).filter_map(|pod| ended(&pod.pod));
    let since: Vec<Time> = failures.filter(|at| last_success.is_none_or(|success| *at > success)).collect();
    since.iter().max().map_or(Duration::ZERO, |last| left_after(since.len(), *last, now))
}

/// The same for one index, whose last pod failed.
pub fn left_of_index(last: &JobPod<'_>, now: Time) -> Duration {
    let failures = usize::try_from(last.failures.0 + last.failures.1 + 1).unwrap_or(1);
    ended(&last.pod).map_or(Duration::ZERO, |at| left_after(failures, at, now))
}

fn left_after(failures: usize, last: Time, now: Time) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let due = Time { seconds: last.seconds + i64::try_from(wait.as_secs()).unwrap_or(0), ..last };
    until(due, now)
}

/// When a pod ended, as well as its status tells.
pub fn ended(pod: &Pod<'_>) -> Option<Time> {
    let metadata = pod.view.at("metadata");
    let unready = pod.ready_since.filter(|_| !pod.ready);
    let deletion = || {
        let at = metadata.time("deletionTimestamp")?;
        Some(Time { seconds: at.seconds - metadata.number("deletionGracePeriodSeconds"), ..at })
    };
    of_containers(pod).or(unready).or_else(deletion).or_else(|| metadata.time("creationTimestamp"))
}

/// When its last container ended; `None` while one runs.
fn of_containers(pod: &Pod<'_>) -> Option<Time> {
    let (spec, status) = (pod.view.at("spec"), pod.view.at("status"));
    let is_sidecar = |status: &View<'_>| {
        let mut containers = spec.items("initContainers");
        containers.any(|c| c.text("name") == status.text("name") && c.text("restartPolicy") == "Always")
    };
    let sidecars = status.items("initContainerStatuses").filter(is_sidecar);
    let ends =
        status.items("containerStatuses").chain(sidecars).map(|c| c.at("state").at("terminated").time("finishedAt"));
    ends.collect::<Option<Vec<Time>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait() {
        let at = |seconds| Time { seconds, nanos: 0 };
        let left = |failures, now| left_after(failures, at(100), at(now)).as_secs();
        assert_eq!([left(1, 100), left(2, 105), left(3, 100), left(7, 100), left(90, 100)], [10, 15, 40, 600, 600]);
        assert_eq!(left(1, 111), 0);
    }
}

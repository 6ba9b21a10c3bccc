//! From what pods use to how many there should be.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Settings;
use super::metrics::{Sample, Samples};
use crate::controllers::pods::Pod;
use crate::model::time::Time;

/// The most replicas that there are.
const MOST: f64 = i32::MAX as f64;

/// By how much usage may differ from its target, down and up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub down: f64,
    pub up: f64,
}

impl Tolerance {
    pub fn covers(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// What pods are to use.
pub enum Target<'a> {
    /// Of each, in thousandths.
    Average(i64),
    /// Percent of what they ask for; what each asks for in thousandths.
    Utilization(i64, &'a dyn Fn(&str) -> i64),
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub replicas: i64,
    /// Percent, for a target that is one.
    pub utilization: i64,
    /// The average, in thousandths.
    pub average: i64,
}

/// Which pods tell something.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Groups {
    pub ready: i64,
    pub unready: BTreeSet<String>,
    pub missing: BTreeSet<String>,
    pub ignored: BTreeSet<String>,
}

impl Groups {
    pub fn of(pods: &[Pod<'_>], samples: &Samples, is_cpu: bool, settings: &Settings, now: Time) -> Self {
        let mut groups = Self::default();
        for pod in pods {
            let name = pod.object.name().to_owned();
            if pod.deleting || pod.phase == "Failed" {
                groups.ignored.insert(name);
            } else if pod.phase == "Pending" {
                groups.unready.insert(name);
            } else if let Some(sample) = samples.get(&name) {
                if is_cpu && is_starting(pod, sample, settings, now) {
                    groups.unready.insert(name);
                } else {
                    groups.ready += 1;
                }
            } else {
                groups.missing.insert(name);
            }
        }
        groups
    }
}

/// Whether a pod's CPU says nothing yet of its work.
fn is_starting(pod: &Pod<'_>, sample: &Sample, settings: &Settings, now: Time) -> bool {
    let status = pod.view.at("status");
    let condition = status.items("conditions").find(|condition| condition.text("type") == "Ready");
    let (Some(condition), Some(started)) = (condition, status.time("startTime")) else { return true };
    let is_unready = condition.text("status") == "False";
    let changed = condition.time("lastTransitionTime").unwrap_or(started);
    if later(started, settings.cpu_initialization) > now {
        return is_unready || sample.at.is_none_or(|at| at < later(changed, sample.window));
    }
    is_unready && later(started, settings.initial_readiness) > changed
}

fn later(time: Time, by: Duration) -> Time {
    Time { seconds: time.seconds + by.as_secs() as i64, ..time }
}

/// How many pods the samples call for.
pub fn of_pods(
    current: i64,
    mut samples: Samples,
    groups: &Groups,
    target: &Target<'_>,
    tolerance: Tolerance,
) -> Result<Found, String> {
    samples.retain(|pod, _| !groups.ignored.contains(pod) && !groups.unready.contains(pod));
    if samples.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".into());
    }
    let (ratio, utilization, average) = target.ratio(&samples)?;
    let found = |replicas: i64| Ok(Found { replicas, utilization, average });
    let is_up = ratio > 1.0;
    let counts_unready = !groups.unready.is_empty() && is_up;
    if !counts_unready && groups.missing.is_empty() {
        let is_near = tolerance.covers(ratio);
        return found(if is_near { current } else { (ratio * groups.ready as f64).ceil().min(MOST) as i64 });
    }
    // Who says nothing is taken for what speaks against a change.
    let silent = |value: i64| Sample { value, at: None, window: Duration::ZERO };
    if ratio != 1.0 {
        let assumed = |pod: &String| (pod.clone(), silent(if is_up { 0 } else { target.of(pod) }));
        samples.extend(groups.missing.iter().map(assumed));
    }
    if counts_unready {
        samples.extend(groups.unready.iter().map(|pod| (pod.clone(), silent(0))));
    }
    let (new, ..) = target.ratio(&samples)?;
    let has_turned = (ratio < 1.0 && new > 1.0) || (ratio > 1.0 && new < 1.0);
    let replicas = (new * samples.len() as f64).ceil().min(MOST) as i64;
    let goes_astray = (new < 1.0 && replicas > current) || (new > 1.0 && replicas < current);
    found(if tolerance.covers(new) || has_turned || goes_astray { current } else { replicas })
}

impl Target<'_> {
    /// Usage as a part of the target, in percent of what is asked for, and on average.
    fn ratio(&self, samples: &Samples) -> Result<(f64, i64, i64), String> {
        let total = samples.values().fold(0i64, |sum, sample| sum.saturating_add(sample.value));
        let average = total / samples.len() as i64;
        match self {
            Self::Average(target) => Ok((average as f64 / *target as f64, 0, average)),
            Self::Utilization(target, asked) => {
                let asked = samples.keys().fold(0i64, |sum, pod| sum.saturating_add(asked(pod)));
                if asked == 0 {
                    return Err("no metrics returned matched known pods".into());
                }
                let utilization = (i128::from(total) * 100 / i128::from(asked)) as i64;
                Ok((utilization as f64 / *target as f64, utilization, average))
            }
        }
    }

    /// What a pod would use that uses what it should.
    fn of(&self, pod: &str) -> i64 {
        match self {
            Self::Average(target) => *target,
            Self::Utilization(target, asked) => asked(pod).saturating_mul((*target).max(100)) / 100,
        }
    }
}

/// How many pods a value calls for that all of them have together.
pub fn of_value(current: i64, usage: i64, target: i64, tolerance: Tolerance, ready: i64) -> i64 {
    let ratio = usage as f64 / target as f64;
    match current {
        0 => ratio.ceil().min(MOST) as i64,
        _ if tolerance.covers(ratio) => current,
        _ => (ratio * ready as f64).ceil().min(MOST) as i64,
    }
}

/// How many pods a value calls for of which each is to have a share; and the share that each has.
pub fn of_share(current: i64, usage: i64, target: i64, tolerance: Tolerance) -> (i64, i64) {
    let ratio = usage as f64 / (target as f64 * current as f64);
    let replicas =
        if tolerance.covers(ratio) { current } else { (usage as f64 / target as f64).ceil().min(MOST) as i64 };
    (replicas, (usage as f64 / current as f64).ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Tolerance = Tolerance { down: 0.1, up: 0.1 };

    fn samples(values: &[i64]) -> Samples {
        let sample = |value: &i64| Sample { value: *value, at: None, window: Duration::ZERO };
        values.iter().enumerate().map(|(at, value)| (format!("p{at}"), sample(value))).collect()
    }

    fn groups(ready: i64, unready: &[&str], missing: &[&str]) -> Groups {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Groups { ready, unready: set(unready), missing: set(missing), ignored: BTreeSet::new() }
    }

    #[test]
    fn more_use_calls_for_more_pods() {
        let asked = |_: &str| 1000;
        let target = Target::Utilization(50, &asked);
        let all = |values: &[i64]| of_pods(2, samples(values), &groups(2, &[], &[]), &target, NEAR).expect("found");
        assert_eq!(all(&[1000, 1000]), Found { replicas: 4, utilization: 100, average: 1000 });
        assert_eq!(all(&[520, 540]).replicas, 2, "near enough");
        assert_eq!(all(&[100, 100]).replicas, 1);
        let none = of_pods(2, Samples::new(), &groups(0, &[], &["a"]), &target, NEAR);
        assert_eq!(none, Err("did not receive metrics for targeted pods (pods might be unready)".into()));
    }

    #[test]
    fn silent_pods_speak_against_a_change() {
        let target = Target::Average(100);
        let missing = |values: &[i64]| {
            of_pods(3, samples(values), &groups(2, &[], &["x"]), &target, NEAR).expect("found").replicas
        };
        assert_eq!(missing(&[300, 300]), 6, "three would need six");
        assert_eq!(missing(&[90, 80]), 3, "the third may use what it should");
        assert_eq!(missing(&[160, 130]), 3, "with one that uses nothing they are near");
        let starting = of_pods(3, samples(&[300, 300]), &groups(2, &["x"], &[]), &target, NEAR).expect("found");
        assert_eq!((starting.replicas, starting.average), (6, 300));
    }

    #[test]
    fn values_are_shared() {
        assert_eq!(of_value(4, 2000, 1000, NEAR, 4), 8);
        assert_eq!(of_value(4, 1050, 1000, NEAR, 4), 4);
        assert_eq!(of_value(0, 2500, 1000, NEAR, 0), 3);
        assert_eq!(of_share(2, 1000, 100, NEAR), (10, 500));
        assert_eq!(of_share(2, 210, 100, NEAR), (2, 105));
    }
}

//! What is made and deleted: first so that each node has what it should, then, in a rollout, pods of the new template in
//! place of older ones.

use std::collections::BTreeMap;

use super::claim::Claimed;
use super::placement::{Fit, judge};
use super::pod;
use super::status::Counts;
use crate::controllers::harness::Next;
use crate::controllers::history::HASH;
use crate::controllers::item::{Item, until};
use crate::controllers::pods::Pod;
use crate::model::intstr::{Round, scaled};
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::Value;

/// A pod to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    pub name: String,
    pub node: String,
    pub phase: String,
}

#[derive(Debug, Default)]
pub struct Plan {
    /// Nodes that get a pod.
    pub create: Vec<String>,
    pub delete: Vec<Doomed>,
    pub counts: Counts,
    /// When a pod will have been ready for long enough.
    pub next: Next,
}

/// What is asked of all nodes.
struct Ask<'a> {
    set: &'a Item,
    hash: &'a str,
    now: Time,
    min_ready: i64,
    surge: i64,
    unavailable: i64,
}

impl Plan {
    pub fn of(set: &Item, nodes: &[Value], claimed: &Claimed<'_>, hash: &str, now: Time) -> Result<Self> {
        let spec = &set.spec()["template"]["spec"];
        let tolerations = pod::tolerations(spec);
        let fits: BTreeMap<&str, Fit> =
            nodes.iter().map(|node| (object::name(node), judge(spec, &tolerations, node))).collect();
        let wanted = fits.values().filter(|fit| fit.may_come).count() as i64;
        let ask = Ask::new(set, hash, now, wanted)?;
        let mut plan = Self::default();
        for (node, fit) in &fits {
            let pods = claimed.by_node.get(*node).map_or(&[][..], Vec::as_slice);
            plan.counts.add(*fit, pods, |pod| ask.is_new(pod), |pod| ask.is_available(pod));
            plan.place(&ask, node, *fit, pods);
        }
        for (node, pods) in claimed.by_node.iter().filter(|(node, _)| !fits.contains_key(node.as_str())) {
            plan.doom(node, pods.iter().filter(|pod| pod.node().is_empty()));
        }
        let is_rolling = set.spec()["updateStrategy"]["type"] == "RollingUpdate";
        if plan.create.is_empty() && plan.delete.is_empty() && is_rolling {
            match ask.surge {
                0 => plan.replace(&ask, &fits, claimed),
                _ => plan.overlap(&ask, &fits, claimed),
            }
        }
        let pods = claimed.by_node.values().flatten().filter(|pod| ask.min_ready > 0 && !ask.is_available(pod));
        let due = pods.filter_map(|pod| pod.available_at(ask.min_ready)).min();
        plan.next = due.map_or(Next::Done, |at| Next::After(until(at, now)));
        Ok(plan)
    }

    fn doom<'a>(&mut self, node: &str, pods: impl Iterator<Item = &'a Pod<'a>>) {
        let doomed = pods.filter(|pod| !pod.deleting).map(|pod| Doomed {
            name: pod.object.name().to_owned(),
            node: node.to_owned(),
            phase: pod.phase.to_owned(),
        });
        self.delete.extend(doomed);
    }

    /// One node as it should be.
    fn place(&mut self, ask: &Ask<'_>, node: &str, fit: Fit, pods: &[Pod<'_>]) {
        if pods.is_empty() {
            self.create.extend(fit.may_come.then(|| node.to_owned()));
            return;
        }
        if !fit.may_stay {
            return self.doom(node, pods.iter());
        }
        self.doom(node, pods.iter().filter(|pod| pod.is_done()));
        let running: Vec<&Pod<'_>> = pods.iter().filter(|pod| pod.is_active()).collect();
        if ask.surge == 0 {
            return self.doom(node, running.into_iter().skip(1));
        }
        if running.is_empty() {
            let is_failed = pods.iter().any(|pod| pod.is_done() && !pod.deleting);
            self.create.extend((fit.may_come && !is_failed).then(|| node.to_owned()));
        } else if running.len() > 1 {
            let (new, old): (Vec<_>, Vec<_>) = running.into_iter().partition(|pod| ask.is_new(pod));
            self.doom(node, new.iter().copied().skip(1).chain(old.iter().copied().skip(1)));
            if let (Some(new), Some(old)) = (new.first(), old.first())
                && (!old.ready || ask.is_available(new))
            {
                self.doom(node, [*old].into_iter());
            }
        }
    }

    /// Old pods go, as many as may be missing; those that nobody can use go at once.
    fn replace(&mut self, ask: &Ask<'_>, fits: &BTreeMap<&str, Fit>, claimed: &Claimed<'_>) {
        let mut candidates = Vec::new();
        let mut missing = 0;
        let names = fits.iter().filter(|(name, fit)| fit.may_come || claimed.by_node.contains_key(**name));
        for (node, _) in names {
            let pods = claimed.by_node.get(*node).map_or(&[][..], Vec::as_slice);
            match ask.pair(pods) {
                Some((Some(new), None)) => missing += i64::from(!ask.is_available(new)),
                Some((None, Some(old))) if ask.is_available(old) => candidates.push((node, old)),
                Some((None, Some(old))) => {
                    self.doom(node, [old].into_iter());
                    missing += 1;
                }
                _ => missing += 1,
            }
        }
        let may_go = usize::try_from(ask.unavailable - missing).unwrap_or(0);
        for (node, old) in candidates.into_iter().take(may_go) {
            self.doom(node, [old].into_iter());
        }
    }

    /// New pods come beside old ones, as many as may be too many; an old one goes when its successor is there.
    fn overlap(&mut self, ask: &Ask<'_>, fits: &BTreeMap<&str, Fit>, claimed: &Claimed<'_>) {
        let (mut candidates, mut surplus) = (Vec::new(), 0);
        for (node, pods) in &claimed.by_node {
            let may_come = fits.get(node.as_str()).is_some_and(|fit| fit.may_come);
            match ask.pair(pods) {
                None => surplus += 1,
                Some((Some(new), Some(old))) if ask.is_available(new) => self.doom(node, [old].into_iter()),
                Some((Some(_), Some(_))) => surplus += 1,
                Some((None, Some(old))) if !may_come => self.doom(node, [old].into_iter()),
                Some((None, Some(old))) if ask.is_available(old) => candidates.push(node.clone()),
                Some((None, Some(_))) => self.create.push(node.clone()),
                Some((_, None)) => {}
            }
        }
        let may_come = usize::try_from(ask.surge - surplus).unwrap_or(0);
        self.create.extend(candidates.into_iter().take(may_come));
    }
}

impl<'a> Ask<'a> {
    fn new(set: &'a Item, hash: &'a str, now: Time, wanted: i64) -> Result<Self> {
        let strategy = &set.spec()["updateStrategy"];
        let rolling = &strategy["rollingUpdate"];
        let count = |field: &str| match &rolling[field] {
            Value::Null => Ok(0),
            _ if strategy["type"] != "RollingUpdate" => Ok(0),
            value => scaled(value, wanted, Round::Up).map_err(Status::internal),
        };
        let (surge, mut unavailable) = (count("maxSurge")?, count("maxUnavailable")?);
        if wanted > 0 && surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        let min_ready = set.spec()["minReadySeconds"].as_i64().unwrap_or(0);
        Ok(Self { set, hash, now, min_ready, surge, unavailable })
    }

    /// Whether a pod is of the newest template.
    fn is_new(&self, pod: &Pod<'_>) -> bool {
        let has = |label: &str, value: &str| pod.object.label(label).is_some_and(|found| found == value);
        has(HASH, self.hash) || pod::generation(self.set).is_some_and(|number| has(pod::POD_GENERATION, number))
    }

    fn is_available(&self, pod: &Pod<'_>) -> bool {
        pod.is_available(self.min_ready, self.now)
    }

    /// The new and the old pod of a node; `None`: there are several of a sort.
    fn pair<'b>(&self, pods: &'b [Pod<'b>]) -> Option<(Option<&'b Pod<'b>>, Option<&'b Pod<'b>>)> {
        let (new, old): (Vec<_>, Vec<_>) = pods.iter().filter(|pod| !pod.deleting).partition(|pod| self.is_new(pod));
        (new.len() < 2 && old.len() < 2).then(|| (new.first().copied(), old.first().copied()))
    }
}

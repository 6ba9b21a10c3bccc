//! What is made, deleted and replaced: one pod after the other, or all at once where the set allows it.

use super::pod;
use super::replicas::{Replicas, revision};
use crate::cache::shelf::Shelf;
use crate::controllers::batch;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Cx, Next};
use crate::controllers::item::{Item, until};
use crate::controllers::pods::{Pod, is_namespace_terminating};
use crate::controllers::resources::PODS;
use crate::model::status::{Outcome, Result, Status};
use crate::model::time::Time;
use crate::registry::options::DeleteOptions;

/// One run for a set.
pub struct Run<'a> {
    pub cx: &'a Cx,
    pub set: &'a Item,
    pub claims: &'a Shelf,
    /// The revision that pods below the partition have, and the newest one.
    pub current: &'a Item,
    pub update: &'a Item,
    pub now: Time,
}

/// Whether a set that goes step by step may take the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Go,
    Wait,
}

impl Run<'_> {
    pub async fn manage(&mut self, replicas: &Replicas<'_>) -> Result<Next> {
        let next = self.due(replicas);
        if self.steps(replicas).await? == Step::Go && self.set.spec()["updateStrategy"]["type"] != "OnDelete" {
            self.roll(replicas).await?;
        }
        Ok(next)
    }

    /// When a pod will have been ready for long enough.
    fn due(&self, replicas: &Replicas<'_>) -> Next {
        let waiting = replicas.all().filter(|pod| !replicas.is_available(pod));
        let due = waiting.filter_map(|pod| pod.available_at(replicas.min_ready)).min();
        due.map_or(Next::Done, |at| Next::After(until(at, self.now)))
    }

    async fn steps(&self, replicas: &Replicas<'_>) -> Result<Step> {
        if self.set.spec()["podManagementPolicy"] == "Parallel" {
            let wanted = &replicas.wanted;
            let one =
                async |at: usize| self.wanted(replicas, wanted[at].0, wanted[at].1.as_ref(), false).await.map(drop);
            batch::slow_start(wanted.len(), one).await?;
            for (number, pod) in &replicas.condemned {
                self.retain(*number, Some(pod), false).await?;
            }
            let doomed = replicas.condemned.iter().filter(|(_, pod)| !pod.deleting);
            batch::all(doomed.map(|(_, pod)| self.delete(pod))).await?;
            return Ok(Step::Go);
        }
        for (number, pod) in &replicas.wanted {
            if self.wanted(replicas, *number, pod.as_ref(), true).await? == Step::Wait {
                return Ok(Step::Wait);
            }
        }
        for (number, pod) in &replicas.condemned {
            self.retain(*number, Some(pod), false).await?;
        }
        match replicas.condemned.first() {
            None => Ok(Step::Go),
            Some((number, pod)) => self.condemned(replicas, *number, pod).await.map(|()| Step::Wait),
        }
    }

    /// A number that is wanted: its pod is made, made anew, or put right.
    async fn wanted(&self, replicas: &Replicas<'_>, number: i64, pod: Option<&Pod<'_>>, in_turn: bool) -> Result<Step> {
        let Some(pod) = pod else {
            if !self.has_stale_claims(number) {
                self.create(number).await?;
            }
            return Ok(Step::Wait);
        };
        if pod.is_done() {
            if !pod.deleting {
                self.delete(pod).await?;
            }
            return Ok(Step::Wait);
        }
        if pod.phase == "Pending" && !pod.deleting {
            self.make_claims(number).await?;
        }
        let is_usable = pod.phase == "Running" && replicas.is_available(pod) && !pod.deleting;
        if in_turn && !is_usable {
            return Ok(Step::Wait);
        }
        self.retain(number, Some(pod), true).await?;
        if !pod.deleting && !self.is_itself(pod, number) {
            self.put_right(pod, number).await?;
        }
        Ok(Step::Go)
    }

    /// A number that is not wanted goes when all before it are well, or when it is what is not.
    async fn condemned(&self, replicas: &Replicas<'_>, number: i64, pod: &Pod<'_>) -> Result<()> {
        let is_well = pod.phase == "Running" && replicas.is_available(pod);
        if pod.deleting || !is_well && replicas.first_unavailable() != Some(number) {
            return Ok(());
        }
        self.delete(pod).await
    }

    /// Replaces the pod with the highest number that is not of the newest revision, when those above it are well.
    async fn roll(&self, replicas: &Replicas<'_>) -> Result<()> {
        let partition = self.set.spec()["updateStrategy"]["rollingUpdate"]["partition"].as_u64().unwrap_or(0);
        let first = usize::try_from(partition).unwrap_or(usize::MAX);
        for (_, pod) in replicas.wanted.iter().skip(first).rev() {
            let Some(pod) = pod else { return Ok(()) };
            if revision(pod) != self.update.name() && !pod.deleting {
                return self.delete(pod).await;
            }
            if !replicas.is_available(pod) || pod.deleting {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Numbers below the partition keep the current revision.
    fn revision_of(&self, number: i64) -> &Item {
        let strategy = &self.set.spec()["updateStrategy"];
        let start = self.set.spec()["ordinals"]["start"].as_i64().unwrap_or(0);
        let kept = match strategy["rollingUpdate"].is_object() {
            true => strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0),
            false => self.set.status()["currentReplicas"].as_i64().unwrap_or(0),
        };
        if strategy["type"] == "RollingUpdate" && number < start + kept { self.current } else { self.update }
    }

    async fn create(&self, number: i64) -> Result<()> {
        let pod = pod::new(self.set, self.revision_of(number), number);
        let name = pod::name(self.set, number);
        let made = match self.make_claims(number).await {
            Ok(()) => self.cx.create(PODS.at(self.set.namespace(), &name), &pod).await.map(drop),
            Err(status) => Err(status),
        };
        match made {
            // The set goes too.
            Err(status) if is_namespace_terminating(&status) => return Ok(()),
            Err(status) if status.is_already_exists() => return Err(status),
            made => self.tell("Create", &name, made)?,
        }
        self.retain(number, None, true).await
    }

    async fn delete(&self, pod: &Pod<'_>) -> Result<()> {
        let name = pod.object.name();
        let options = DeleteOptions { uid: Some(pod.object.uid().into_owned()), ..DeleteOptions::default() };
        let deleted = self.cx.delete(PODS.at(self.set.namespace(), name), &options).await;
        self.tell("Delete", name, deleted.unless_gone().map(drop))
    }

    async fn put_right(&self, pod: &Pod<'_>, number: i64) -> Result<()> {
        self.make_claims(number).await?;
        let cut = self.cx.cut(&[&PODS])?;
        let mut item = Item::new(cut.shelf(&PODS), pod.object)?;
        pod::identify(&mut item.value, pod.object.name(), number);
        pod::store(self.set, &mut item.value, number);
        let updated = self.cx.update(item.target(), &item.value).await.map(drop);
        self.tell("Update", pod.object.name(), updated)
    }

    /// Says what was done to a pod, or why not.
    fn tell(&self, verb: &str, pod: &str, done: Result<()>) -> Result<()> {
        let what = format!("{verb} Pod {pod} in StatefulSet {}", self.set.name());
        let reason = |verb: &str| match verb {
            "Create" => ("SuccessfulCreate", "FailedCreate"),
            "Delete" => ("SuccessfulDelete", "FailedDelete"),
            _ => ("SuccessfulUpdate", "FailedUpdate"),
        };
        match &done {
            Ok(()) => self.cx.event(self.set.into(), Kind::Normal, reason(verb).0, format!("{what} successful")),
            Err(Status { message, .. }) => {
                self.cx.event(
                    self.set.into(),
                    Kind::Warning,
                    reason(verb).1,
                    format!("{what} failed error: {message}"),
                );
            }
        }
        done
    }
}

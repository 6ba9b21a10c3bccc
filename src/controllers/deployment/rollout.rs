//! Who is scaled: step by step in a rollout, all in proportion when the deployment itself is.

use super::plan::{self, Size, Strategy};
use super::sets::Set;
use super::{Run, revision};
use crate::cache::index::OWNER;
use crate::controllers::events::Kind;
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::controllers::resources::PODS;
use crate::model::status::{Outcome, Result, Status};
use crate::registry::options::DeleteOptions;

impl Run<'_> {
    /// One step of a rolling update.
    pub(super) async fn roll(&mut self) -> Result<()> {
        self.sync_newest(true).await?;
        let at = self.newest.ok_or_else(|| Status::internal("the newest set was made"))?;
        let (now, wanted) = (self.sets[at].replicas(), self.wanted());
        let size = match now > wanted {
            true => wanted,
            false => self.strategy.newest_size(wanted, self.total(), now),
        };
        if size != now {
            return self.resize(at, size, false).await;
        }
        let old: Vec<usize> = self.old().filter(|(_, set)| set.replicas() > 0).map(|(at, _)| at).collect();
        let sizes: Vec<Size> = old.iter().map(|at| size_of(&self.sets[*at])).collect();
        let steps = plan::shrink_old(wanted, self.strategy.unavailable(), size_of(&self.sets[at]), &sizes);
        for (which, size) in &steps {
            self.resize(old[*which], *size, false).await?;
        }
        if steps.is_empty() {
            self.forget_old_when_complete().await?;
        }
        Ok(())
    }

    /// One step of a change in which no two versions run at once.
    pub(super) async fn recreate(&mut self) -> Result<()> {
        let active: Vec<usize> = self.old().filter(|(_, set)| set.replicas() > 0).map(|(at, _)| at).collect();
        for at in &active {
            self.resize(*at, 0, false).await?;
        }
        if !active.is_empty() || self.old_pods_run() {
            return Ok(());
        }
        self.sync_newest(true).await?;
        let at = self.newest.ok_or_else(|| Status::internal("the newest set was made"))?;
        self.resize(at, self.wanted(), false).await?;
        self.forget_old_when_complete().await
    }

    fn old_pods_run(&self) -> bool {
        let shelf = self.cut.shelf(&PODS);
        self.old().any(|(_, set)| {
            let mut pods = shelf.by_index(&OWNER, set.0.uid()).filter_map(|object| Pod::new(shelf, object));
            set.counted("replicas") > 0 || pods.any(|pod| !pod.is_done())
        })
    }

    /// The deployment itself has grown or shrunk, or is paused.
    pub(super) async fn scale(&mut self) -> Result<()> {
        let wanted = self.wanted();
        let mut active: Vec<usize> = (0..self.sets.len()).filter(|at| self.sets[*at].replicas() > 0).collect();
        let only = match active[..] {
            [] => self.newest.or(self.sets.len().checked_sub(1)),
            [one] => Some(one),
            _ => None,
        };
        if let Some(at) = only {
            return self.resize(at, wanted, false).await;
        }
        if let Some(newest) = self.newest.filter(|at| self.is_saturated(*at)) {
            for at in active.into_iter().filter(|at| *at != newest) {
                self.resize(at, 0, false).await?;
            }
            return Ok(());
        }
        if self.strategy == Strategy::Recreate || active.is_empty() {
            return Ok(());
        }
        let surge = self.strategy.surge();
        let grows = wanted > 0 && wanted + surge > self.total();
        active.sort_by(|a, b| {
            let (a, b) = (&self.sets[*a], &self.sets[*b]);
            let age = if grows { b.by_age(a) } else { a.by_age(b) };
            b.replicas().cmp(&a.replicas()).then(age)
        });
        let sizes: Vec<Size> = active.iter().map(|at| size_of(&self.sets[*at])).collect();
        let status_replicas = self.deployment.status()["replicas"].as_i64().unwrap_or(0);
        let shares = plan::share(wanted, surge, status_replicas, &sizes);
        for (at, size) in active.into_iter().zip(shares) {
            self.resize(at, size, true).await?;
        }
        Ok(())
    }

    /// Pods that all sets together are told to have.
    fn total(&self) -> i64 {
        self.sets.iter().map(Set::replicas).sum()
    }

    /// Whether all pods that are wanted are its own and available.
    fn is_saturated(&self, at: usize) -> bool {
        let (set, wanted) = (&self.sets[at], self.wanted());
        set.replicas() == wanted && set.desired() == Some(wanted) && set.available() == wanted
    }

    /// Gives a set another size. `note`: notes the deployment's size on it even if its own stays.
    async fn resize(&mut self, at: usize, size: i64, note: bool) -> Result<()> {
        let (before, wanted) = (self.sets[at].replicas(), self.wanted());
        if before == size && !note {
            return Ok(());
        }
        let mut set = self.sets[at].0.clone();
        set.value["spec"]["replicas"] = size.into();
        revision::note_size(&mut set.value, wanted, wanted + self.strategy.surge());
        if set.value == self.sets[at].0.value {
            return Ok(());
        }
        let written = self.cx.update(set.target(), &set.value).await?;
        self.sets[at] = Set(Item::of(&set.storage, &written.object)?);
        if before != size {
            let way = if before < size { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {} from {before} to {size}", set.name());
            self.cx.event((&self.deployment).into(), Kind::Normal, "ScalingReplicaSet", message);
        }
        Ok(())
    }

    async fn forget_old_when_complete(&mut self) -> Result<()> {
        let status = self.deployment.status();
        let counted = |field: &str| status[field].as_i64().unwrap_or(0);
        let wanted = self.wanted();
        let all = ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|field| counted(field) == wanted);
        if all && counted("observedGeneration") >= self.deployment.generation() {
            self.forget_old().await?;
        }
        Ok(())
    }

    /// Deletes the oldest versions beyond `spec.revisionHistoryLimit`, those without pods.
    pub(super) async fn forget_old(&mut self) -> Result<()> {
        let limit = self.deployment.spec()["revisionHistoryLimit"].as_i64();
        let Some(limit) = limit.filter(|limit| *limit != i64::from(i32::MAX)) else { return Ok(()) };
        let mut old: Vec<&Set> = self.old().map(|(_, set)| set).filter(|set| !set.0.is_deleting()).collect();
        let many = (old.len() as i64 - limit).max(0) as usize;
        old.sort_by(|a, b| match (revision::of(&a.0.value), revision::of(&b.0.value)) {
            (Some(one), Some(two)) => one.cmp(&two).then_with(|| a.by_age(b)),
            _ => a.by_age(b),
        });
        for set in old.into_iter().take(many) {
            let is_seen = set.counted("observedGeneration") >= set.0.generation();
            if set.replicas() != 0 || set.counted("replicas") != 0 || !is_seen {
                continue;
            }
            self.cx.delete(set.0.target(), &DeleteOptions::default()).await.unless_gone()?;
        }
        Ok(())
    }
}

fn size_of(set: &Set) -> Size {
    Size { replicas: set.replicas(), available: set.available(), max: set.max() }
}

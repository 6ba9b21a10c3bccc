//! The ReplicaSet of the template as it is now: made when it is missing, numbered, and named in the deployment.

use super::hash::{LABEL, set_name, template_hash};
use super::sets::{Set, without_hash};
use super::{Run, condition, revision};
use crate::controllers::conditions;
use crate::controllers::events::Kind;
use crate::controllers::item::Item;
use crate::controllers::pods::is_namespace_terminating;
use crate::controllers::resources::REPLICA_SETS;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

const PROGRESSING: &str = "Progressing";

impl Run<'_> {
    /// Numbers the newest set and names its number in the deployment. Makes the set, if it is missing and `may_make`.
    pub(super) async fn sync_newest(&mut self, may_make: bool) -> Result<()> {
        let numbers = self.old().filter_map(|(_, set)| revision::of(&set.0.value));
        let next = numbers.max().unwrap_or(0) + 1;
        match self.newest {
            Some(at) => self.keep_newest(at, next).await,
            None if may_make => self.make_newest(next).await,
            None => Ok(()),
        }
    }

    async fn keep_newest(&mut self, at: usize, next: i64) -> Result<()> {
        let mut set = self.sets[at].0.clone();
        revision::annotate(&self.deployment.value, &mut set.value, next);
        let min_ready = &self.deployment.spec()["minReadySeconds"];
        if set.spec()["minReadySeconds"].as_i64().unwrap_or(0) != min_ready.as_i64().unwrap_or(0) {
            set.value["spec"]["minReadySeconds"] = min_ready.clone();
        }
        if set.value != self.sets[at].0.value {
            let written = self.cx.update(set.target(), &set.value).await?;
            self.sets[at] = Set(Item::of(&set.storage, &written.object)?);
        }
        let number = object::annotation(&self.sets[at].0.value, revision::REVISION).unwrap_or("").to_owned();
        let found = format!("Found new replica set \"{}\"", self.sets[at].0.name());
        let is_news = self.deadline().is_some() && conditions::find(self.deployment.status(), PROGRESSING).is_none();
        let now = self.cx.now();
        let news = is_news.then(|| condition(PROGRESSING, "True", "FoundNewReplicaSet", &found, now));
        self.note(&number, news).await
    }

    async fn make_newest(&mut self, next: i64) -> Result<()> {
        let (value, size) = self.new_set(next);
        let name = object::name(&value).to_owned();
        let target = REPLICA_SETS.at(self.deployment.namespace(), &name);
        let (created, is_new) = match self.cx.create(target, &value).await {
            Ok(written) => (written.object, true),
            Err(status) if status.is_already_exists() => match self.taken(&name).await? {
                Some(object) => (object, false),
                None => return Err(status),
            },
            Err(status) => return self.cannot_make(&name, status).await,
        };
        let storage = self.cut.shelf(&REPLICA_SETS).storage.clone();
        self.sets.push(Set(Item::of(&storage, &created)?));
        self.newest = Some(self.sets.len() - 1);
        if is_new && size > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {size}");
            self.cx.event((&self.deployment).into(), Kind::Normal, "ScalingReplicaSet", message);
        }
        let message = format!("Created new replica set \"{name}\"");
        let now = self.cx.now();
        let has_news = is_new && self.deadline().is_some();
        let news = has_news.then(|| condition(PROGRESSING, "True", "NewReplicaSetCreated", &message, now));
        self.note(&next.to_string(), news).await
    }

    /// The set of a template that has none, and its size.
    fn new_set(&self, next: i64) -> (Value, i64) {
        let spec = self.deployment.spec();
        let hash = template_hash(&spec["template"], self.deployment.status()["collisionCount"].as_i64());
        let mut template = spec["template"].clone();
        template["metadata"]["labels"][LABEL] = hash.as_str().into();
        let mut selector = spec["selector"].clone();
        selector["matchLabels"][LABEL] = hash.as_str().into();
        let (wanted, total) = (self.wanted(), self.sets.iter().map(Set::replicas).sum());
        let size = self.strategy.newest_size(wanted, total, 0);
        let mut value = json!({
            "metadata": {
                "name": set_name(self.deployment.name(), &hash),
                "namespace": self.deployment.namespace(),
                "labels": template["metadata"]["labels"],
                "ownerReferences": [self.deployment.controller_reference()],
            },
            "spec": {"replicas": size, "selector": selector, "template": template},
        });
        if !spec["minReadySeconds"].is_null() {
            value["spec"]["minReadySeconds"] = spec["minReadySeconds"].clone();
        }
        revision::annotate(&self.deployment.value, &mut value, next);
        revision::note_size(&mut value, wanted, wanted + self.strategy.surge());
        (value, size)
    }

    /// The set that has the name already, if it is the one to be made. Otherwise the hash is taken: the next attempt
    /// shall have another.
    async fn taken(&mut self, name: &str) -> Result<Option<std::sync::Arc<crate::cache::object::Object>>> {
        let found = self.cx.get(REPLICA_SETS.at(self.deployment.namespace(), name)).await?;
        let storage = self.cut.shelf(&REPLICA_SETS).storage.clone();
        let set = Item::of(&storage, &found)?;
        let is_own = found.controller().is_some_and(|owner| owner.uid == self.deployment.uid());
        if is_own && without_hash(&set.spec()["template"]) == without_hash(&self.deployment.spec()["template"]) {
            return Ok(Some(found));
        }
        let mut value = self.deployment.value.clone();
        let collisions = value["status"]["collisionCount"].as_i64().unwrap_or(0);
        value["status"]["collisionCount"] = (collisions + 1).into();
        self.write(value).await?;
        Ok(None)
    }

    async fn cannot_make(&mut self, name: &str, status: Status) -> Result<()> {
        if is_namespace_terminating(&status) {
            return Err(status);
        }
        let message = format!("Failed to create new replica set \"{name}\": {}", status.message);
        if self.deadline().is_some() {
            let news = condition(PROGRESSING, "False", "ReplicaSetCreateError", &message, self.cx.now());
            let mut list = conditions::all(self.deployment.status());
            conditions::set(&mut list, news);
            let mut value = self.deployment.value.clone();
            value["status"]["conditions"] = list.into();
            // The set matters more than the note about it.
            let _ = self.write(value).await;
        }
        self.cx.event((&self.deployment).into(), Kind::Warning, "ReplicaSetCreateError", message);
        Err(status)
    }

    /// Names a number in the deployment, and adds a condition.
    async fn note(&mut self, number: &str, news: Option<Value>) -> Result<()> {
        let mut value = self.deployment.value.clone();
        revision::annotations(&mut value).insert(revision::REVISION.into(), number.into());
        if let Some(news) = news {
            let mut list = conditions::all(self.deployment.status());
            conditions::set(&mut list, news);
            value["status"]["conditions"] = list.into();
        }
        if value == self.deployment.value {
            return Ok(());
        }
        self.write(value).await
    }

    /// Writes the deployment's status, and with it its annotations.
    pub(super) async fn write(&mut self, value: Value) -> Result<()> {
        let written = self.cx.update(self.deployment.target().part("status"), &value).await?;
        self.deployment = Item::of(&self.deployment.storage, &written.object)?;
        Ok(())
    }

    /// Says that it was paused or resumed, so that the time in between does not count as a rollout without progress.
    pub(super) async fn note_pause(&mut self) -> Result<()> {
        let current = conditions::find(self.deployment.status(), PROGRESSING).map(|c| c["reason"].clone());
        let reason = current.as_ref().and_then(Value::as_str).unwrap_or("");
        if self.deadline().is_none() || reason == "ProgressDeadlineExceeded" {
            return Ok(());
        }
        let now = self.cx.now();
        let news = match (self.is_paused(), reason == "DeploymentPaused") {
            (true, false) => condition(PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused", now),
            (false, true) => condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", now),
            _ => return Ok(()),
        };
        let mut list = conditions::all(self.deployment.status());
        conditions::set(&mut list, news);
        let mut value = self.deployment.value.clone();
        value["status"]["conditions"] = list.into();
        self.write(value).await
    }
}

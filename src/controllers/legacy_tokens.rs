//! Tokens in secrets that were made for service accounts long ago and that nobody has used for long: first they are
//! marked as invalid, and after the same time again they are deleted.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;

use super::account_tokens::{ACCOUNT, ACCOUNT_UID, TYPE};
use super::config::Config;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, time};
use super::resources::{CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS};
use crate::cache::object::Object;
use crate::model::object;
use crate::model::pod;
use crate::model::status::{Outcome, Result};
use crate::model::time::Time;
use crate::model::value::json;
use crate::registry::options::DeleteOptions;

/// How often all are looked at: what is counted is days.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";
/// Since when the use of tokens is written down.
const TRACKING: (&str, &str, &str) = ("kube-system", "kube-apiserver-legacy-service-account-token-tracking", "since");
/// The one key.
const ALL: &str = "tokens";

/// Key: all of them.
pub struct LegacyTokens {
    unused: Duration,
}

impl LegacyTokens {
    pub fn new(config: &Config) -> Self {
        Self { unused: config.token_clean_up }
    }
}

#[async_trait]
impl Controller for LegacyTokens {
    fn follows(&self) -> Follows {
        Follows::these(&[])
    }

    fn triggers(&self, _: &Change<'_>, _: &mut Keys) {}

    fn begin(&self, keys: &mut Keys) {
        keys.add(ALL);
    }

    async fn reconcile(&self, cx: &Cx, _: &str) -> Result<Next> {
        let cut = cx.cut(&[&CONFIG_MAPS, &PODS, &SECRETS, &SERVICE_ACCOUNTS])?;
        let now = cx.now();
        let limit = Time { seconds: now.seconds - self.unused.as_secs() as i64, ..now };
        if tracked_since(&cut)?.is_none_or(|since| since > limit) {
            return Ok(Next::After(INTERVAL));
        }
        let mut mounted: HashMap<String, HashSet<String>> = HashMap::new();
        for secret in cut.shelf(&SECRETS).iter(None) {
            let Some(secret) = unused(&cut, secret, limit)? else { continue };
            if !mounted.contains_key(secret.namespace()) {
                mounted.insert(secret.namespace().to_owned(), of_pods(&cut, secret.namespace())?);
            }
            if mounted[secret.namespace()].contains(secret.name()) {
                continue;
            }
            if let Err(status) = clean(cx, &secret, now, limit).await {
                // The others are not at fault.
                tracing::warn!(secret = secret.name(), namespace = secret.namespace(), "{}", status.message);
            }
        }
        Ok(Next::After(INTERVAL))
    }
}

/// The first moment from which on all use is known: the day after that when it began. `None`: it has not.
fn tracked_since(cut: &Cut) -> Result<Option<Time>> {
    let (namespace, name, field) = TRACKING;
    let Some(map) = Item::find(cut.shelf(&CONFIG_MAPS), namespace, name)? else { return Ok(None) };
    let day = map.value["data"][field].as_str().and_then(midnight);
    Ok(day.map(|day| Time { seconds: day.seconds + 24 * 3600, ..day }))
}

/// A token that was made before `limit`, not used since, and that its account lists: it was not made by hand.
fn unused(cut: &Cut, object: &Object, limit: Time) -> Result<Option<Item>> {
    let secret = Item::new(cut.shelf(&SECRETS), object)?;
    let is_old = time(&secret.value["metadata"]["creationTimestamp"]).is_some_and(|made| made < limit);
    if secret.value["type"] != TYPE || !is_old || secret.is_deleting() {
        return Ok(None);
    }
    if let Some(used) = object::label(&secret.value, LAST_USED)
        && (midnight(used).is_none() || used >= day(limit).as_str())
    {
        return Ok(None);
    }
    let Some(account) = object::annotation(&secret.value, ACCOUNT) else { return Ok(None) };
    let Some(account) = Item::find(cut.shelf(&SERVICE_ACCOUNTS), secret.namespace(), account)? else {
        return Ok(None);
    };
    let uid = object::annotation(&secret.value, ACCOUNT_UID).unwrap_or("");
    let mut listed = account.value["secrets"].as_array().into_iter().flatten();
    let is_listed = listed.any(|reference| reference["name"] == secret.name());
    let is_of_account = uid.is_empty() || uid == account.uid();
    Ok(Some(secret).filter(|_| is_listed && is_of_account))
}

/// The secrets that a namespace's pods name.
fn of_pods(cut: &Cut, namespace: &str) -> Result<HashSet<String>> {
    let shelf = cut.shelf(&PODS);
    let mut names = HashSet::new();
    for object in shelf.iter(Some(namespace)) {
        names.extend(pod::secrets(Item::new(shelf, object)?.spec()).into_iter().map(str::to_owned));
    }
    Ok(names)
}

async fn clean(cx: &Cx, secret: &Item, now: Time, limit: Time) -> Result<()> {
    let marked = object::label(&secret.value, INVALID_SINCE).filter(|day| midnight(day).is_some());
    let Some(marked) = marked else {
        let patch = json!({"metadata": {"uid": secret.uid(), "labels": {INVALID_SINCE: day(now)}}});
        return cx.merge(secret.target(), &patch).await.map(drop);
    };
    if marked >= day(limit).as_str() {
        return Ok(());
    }
    let resource_version = Some(object::resource_version(&secret.value).to_owned());
    cx.delete(secret.target(), &DeleteOptions { resource_version, ..DeleteOptions::default() })
        .await
        .unless_late()
        .map(drop)
}

/// `2026-01-31`
fn day(time: Time) -> String {
    time.to_text().chars().take("2026-01-31".len()).collect()
}

fn midnight(day: &str) -> Option<Time> {
    Time::parse(&format!("{day}T00:00:00Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, pod_spec};
    use crate::model::value::Value;

    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_marked_and_then_deleted() {
        let world = World::with(&["legacy-serviceaccount-token-cleaner-controller"]).await;
        let (namespace, name, field) = TRACKING;
        let map = json!({"metadata": {"name": name, "namespace": namespace}, "data": {field: "2026-01-01"}});
        world.create(&CONFIG_MAPS, map).await;
        let listed = ["old", "used", "mounted"].map(|name| json!({"name": name}));
        world.create(&SERVICE_ACCOUNTS, json!({"metadata": {"name": "a", "namespace": "d"}, "secrets": listed})).await;
        for name in ["old", "used", "mounted", "by-hand"] {
            let metadata = json!({"name": name, "namespace": "d", "annotations": {ACCOUNT: "a"}});
            world.create(&SECRETS, json!({"metadata": metadata, "type": TYPE})).await;
        }
        let mut spec = pod_spec("a:1");
        spec["volumes"] = json!([{"name": "v", "secret": {"secretName": "mounted"}}]);
        world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "d"}, "spec": spec})).await;
        world.pass(YEAR - INTERVAL).await;
        let used = json!({"metadata": {"labels": {LAST_USED: "2026-12-01"}}});
        world.merge(SECRETS.at("d", "used"), used).await;
        assert_eq!(world.get(&SECRETS, "d", "old")["metadata"]["labels"], Value::Null);
        world.pass(2 * INTERVAL).await;
        let invalid = |name: &str| world.get(&SECRETS, "d", name)["metadata"]["labels"][INVALID_SINCE].is_string();
        assert_eq!(["old", "used", "mounted", "by-hand"].map(invalid), [true, false, false, false]);
        assert_eq!(world.names(&SECRETS).len(), 4);
        world.pass(YEAR + INTERVAL).await;
        assert!(!world.names(&SECRETS).contains(&"old".to_owned()));
        assert!(world.names(&SECRETS).contains(&"mounted".to_owned()));
    }
}

//! Tokens by which nodes join: they sign the ConfigMap `cluster-info`, so that a node that knows one can trust it, and
//! are deleted when their time is over.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::Item;
use super::resources::{CONFIG_MAPS, SECRETS};
use crate::auth::token::bootstrap::{expiration, signature, signer};
use crate::cache::object::Object;
use crate::model::status::{Outcome, Result};
use crate::model::value::Value;
use crate::registry::options::DeleteOptions;

const TYPE: &str = "bootstrap.kubernetes.io/token";
/// Where the tokens are.
const TOKENS: &str = "kube-system";
/// What is signed, and where it is.
const PUBLIC: &str = "kube-public";
const INFO: &str = "cluster-info";
const CONTENT: &str = "kubeconfig";
/// Begins the keys of signatures; the id of the token follows.
const SIGNATURE: &str = "jws-kubeconfig-";

/// Key: the one ConfigMap.
pub struct BootstrapSigner;

/// Key: a secret.
pub struct TokenCleaner;

#[async_trait]
impl Controller for BootstrapSigner {
    fn follows(&self) -> Follows {
        Follows::these(&[&CONFIG_MAPS, &SECRETS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let is_info = change.is_of(&CONFIG_MAPS) && change.namespace() == PUBLIC && change.name() == INFO;
        if is_info || is_token(change) {
            keys.add(INFO);
        }
    }

    async fn reconcile(&self, cx: &Cx, _: &str) -> Result<Next> {
        let cut = cx.cut(&[&CONFIG_MAPS, &SECRETS])?;
        let Some(mut info) = Item::find(cut.shelf(&CONFIG_MAPS), PUBLIC, INFO)? else { return Ok(Next::Done) };
        let Some(data) = info.value["data"].as_object() else { return Ok(Next::Done) };
        let Some(content) = data.get(CONTENT).and_then(Value::as_str) else { return Ok(Next::Done) };
        let (shelf, now) = (cut.shelf(&SECRETS), cx.plane.registry.clock.now());
        let mut signatures = BTreeMap::new();
        for secret in shelf.iter(Some(TOKENS)) {
            if let Some((id, key)) = signer(&Item::new(shelf, secret)?.value, now) {
                signatures.insert(format!("{SIGNATURE}{id}"), Value::from(signature(content, &id, &key)));
            }
        }
        let mut wanted = data.clone();
        wanted.retain(|key, _| !key.starts_with(SIGNATURE));
        wanted.extend(signatures);
        if wanted == *data {
            return Ok(Next::Done);
        }
        info.value["data"] = wanted.into();
        cx.update(info.target(), &info.value).await.unless_gone().map(|_| Next::Done)
    }
}

#[async_trait]
impl Controller for TokenCleaner {
    fn follows(&self) -> Follows {
        Follows::these(&[&SECRETS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if is_token(change) && !change.is_deleted() {
            keys.add(change.name());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SECRETS])?;
        let Some(secret) = Item::find(cut.shelf(&SECRETS), TOKENS, key)? else { return Ok(Next::Done) };
        let Some(end) = expiration(&secret.value) else { return Ok(Next::Done) };
        let now = cx.plane.registry.clock.now();
        if now < end {
            return Ok(Next::After(end.duration_since(now).unsigned_abs()));
        }
        let options = DeleteOptions { uid: Some(secret.uid().to_owned()), ..DeleteOptions::default() };
        cx.delete(secret.target(), &options).await.unless_late().map(|_| Next::Done)
    }
}

fn is_token(change: &Change<'_>) -> bool {
    let is_typed = |secret: &Object| change.view(secret).is_some_and(|secret| secret.text("type") == TYPE);
    change.is_of(&SECRETS) && change.namespace() == TOKENS && change.states().any(|secret| is_typed(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;
    use crate::model::value::json;
    use std::time::Duration;

    fn token(id: &str, expiration: &str) -> Value {
        let metadata = json!({"name": format!("bootstrap-token-{id}"), "namespace": TOKENS});
        let data = json!({
            "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
            "expiration": expiration,
        });
        json!({"metadata": metadata, "type": TYPE, "stringData": data})
    }

    fn signed(world: &World) -> Vec<String> {
        let data = world.get(&CONFIG_MAPS, PUBLIC, INFO)["data"].as_object().cloned().unwrap_or_default();
        data.keys().map(|key| key.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_sign_until_their_time_is_over() {
        let world = World::with(&["bootstrapsigner", "tokencleaner"]).await;
        let data = json!({CONTENT: "x", "jws-kubeconfig-gone00": "old"});
        world.create(&CONFIG_MAPS, json!({"metadata": {"name": INFO, "namespace": PUBLIC}, "data": data})).await;
        world.create(&SECRETS, token("aaaaaa", "")).await;
        world.create(&SECRETS, token("bbbbbb", "2026-01-01T01:00:00Z")).await;
        world.create(&SECRETS, token("cccccc", "2025-01-01T01:00:00Z")).await;
        world.settle().await;
        assert_eq!(signed(&world), ["jws-kubeconfig-aaaaaa", "jws-kubeconfig-bbbbbb", CONTENT]);
        let own = world.get(&CONFIG_MAPS, PUBLIC, INFO)["data"]["jws-kubeconfig-aaaaaa"].clone();
        assert_eq!(own, signature("x", "aaaaaa", "0123456789abcdef"));
        assert_eq!(world.names(&SECRETS), ["bootstrap-token-aaaaaa", "bootstrap-token-bbbbbb"]);
        world.merge(CONFIG_MAPS.at(PUBLIC, INFO), json!({"data": {CONTENT: "y"}})).await;
        world.pass(Duration::from_secs(3601)).await;
        assert_eq!(world.names(&SECRETS), ["bootstrap-token-aaaaaa"]);
        assert_eq!(signed(&world), ["jws-kubeconfig-aaaaaa", CONTENT]);
        let own = world.get(&CONFIG_MAPS, PUBLIC, INFO)["data"]["jws-kubeconfig-aaaaaa"].clone();
        assert_eq!(own, signature("y", "aaaaaa", "0123456789abcdef"));
    }
}

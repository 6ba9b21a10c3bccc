//! Tokens that lie in secrets: secrets of the type `kubernetes.io/service-account-token` are filled, and go with their
//! account. The account's list of secrets forgets those that are gone.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::config::Config;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, view};
use super::resources::{SECRETS, SERVICE_ACCOUNTS};
use crate::auth::token::claims::Reference;
use crate::auth::token::issue::Issuer;
use crate::cache::object::Object;
use crate::codec::protobuf::view::View;
use crate::model::object;
use crate::model::status::{Outcome, Result, Status};
use crate::model::value::Value;
use crate::registry::options::DeleteOptions;

/// The type of a secret that holds a token.
pub(super) const TYPE: &str = "kubernetes.io/service-account-token";
/// Annotations: whose token it is.
pub(super) const ACCOUNT: &str = "kubernetes.io/service-account.name";
pub(super) const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// Keys: `namespace/secret/account`, and `namespace//account` for all secrets of an account that is gone.
pub struct AccountTokens {
    issuer: Issuer,
    /// In base64; empty: none is put into secrets.
    root_ca: String,
}

impl AccountTokens {
    /// `None`: there is no key to sign with.
    pub fn new(config: &Config) -> Option<Self> {
        Some(Self { issuer: config.tokens.clone()?, root_ca: STANDARD.encode(&config.root_ca) })
    }

    /// Fills a secret whose account is there, deletes it otherwise.
    async fn judge(&self, cx: &Cx, cut: &Cut, secret: Item) -> Result<()> {
        let name = object::annotation(&secret.value, ACCOUNT).unwrap_or("").to_owned();
        let wanted = object::annotation(&secret.value, ACCOUNT_UID).unwrap_or("").to_owned();
        match account_uid(cx, cut, secret.namespace(), &name, &wanted).await? {
            Some(uid) => self.fill(cx, secret, Reference { name, uid }).await,
            None => {
                let options = DeleteOptions { uid: Some(secret.uid().to_owned()), ..DeleteOptions::default() };
                cx.delete(secret.target(), &options).await.unless_late().map(drop)
            }
        }
    }

    async fn fill(&self, cx: &Cx, mut secret: Item, account: Reference) -> Result<()> {
        let has = |key: &str| secret.value["data"][key].as_str().is_some_and(|value| !value.is_empty());
        let needs_ca = !self.root_ca.is_empty() && secret.value["data"]["ca.crt"] != self.root_ca.as_str();
        let (needs_namespace, needs_token) = (!has("namespace"), !has("token"));
        if !needs_ca && !needs_namespace && !needs_token {
            return Ok(());
        }
        if needs_ca {
            secret.value["data"]["ca.crt"] = self.root_ca.as_str().into();
        }
        if needs_namespace {
            secret.value["data"]["namespace"] = STANDARD.encode(secret.namespace()).into();
        }
        if needs_token {
            let token = self.issuer.issue_for_secret(secret.namespace(), &account, secret.name());
            secret.value["data"]["token"] = STANDARD.encode(token.map_err(Status::internal)?).into();
        }
        let annotations = &mut secret.value["metadata"]["annotations"];
        (annotations[ACCOUNT], annotations[ACCOUNT_UID]) = (account.name.into(), account.uid.into());
        cx.update(secret.target(), &secret.value).await.unless_late().map(drop)
    }
}

#[async_trait]
impl Controller for AccountTokens {
    fn follows(&self) -> Follows {
        Follows::these(&[&SECRETS, &SERVICE_ACCOUNTS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&SERVICE_ACCOUNTS) {
            let is_another = change.states().map(|account| account.uid()).collect::<Vec<_>>();
            if change.previous.is_some() && (change.is_deleted() || is_another[0] != is_another[1]) {
                keys.add(&format!("{}//{}", change.namespace(), change.name()));
            }
            return;
        }
        if let Some(account) = change.view(change.object()).and_then(account_of) {
            keys.add(&format!("{}/{account}", change.key().as_str()));
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let mut parts = key.splitn(3, '/');
        let (Some(namespace), Some(name), Some(account)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(Next::Done);
        };
        let cut = cx.cut(&[&SECRETS, &SERVICE_ACCOUNTS])?;
        let shelf = cut.shelf(&SECRETS);
        let is_of_account = |secret: &Object| view(shelf, secret).and_then(account_of) == Some(account);
        if name.is_empty() {
            for secret in shelf.iter(Some(namespace)).filter(|secret| is_of_account(secret)) {
                self.judge(cx, &cut, Item::new(shelf, secret)?).await?;
            }
            return Ok(Next::Done);
        }
        match shelf.get(namespace, name) {
            Some(secret) if is_of_account(secret) => self.judge(cx, &cut, Item::new(shelf, secret)?).await?,
            Some(_) => {}
            None => forget(cx, &cut, namespace, name, account).await?,
        }
        Ok(Next::Done)
    }
}

/// Whose token a secret holds; `None` when it is of another type.
fn account_of(secret: View<'_>) -> Option<&str> {
    if secret.text("type") != TYPE {
        return None;
    }
    let annotations = secret.at("metadata").labels("annotations");
    annotations.into_iter().find(|(key, _)| *key == ACCOUNT).map(|(_, account)| account)
}

/// The UID of an account; with `wanted`, only of that one. `None`: it is gone, which is asked of the store.
async fn account_uid(cx: &Cx, cut: &Cut, namespace: &str, name: &str, wanted: &str) -> Result<Option<String>> {
    let fits = |account: &Object| wanted.is_empty() || account.uid() == wanted;
    if let Some(account) = cut.get(&SERVICE_ACCOUNTS, namespace, name).filter(|account| fits(account)) {
        return Ok(Some(account.uid().into_owned()));
    }
    let found = cx.get(SERVICE_ACCOUNTS.at(namespace, name)).await.unless_gone()?;
    Ok(found.filter(|account| fits(account)).map(|account| account.uid().into_owned()))
}

/// Takes a secret that is gone from the list of its account.
async fn forget(cx: &Cx, cut: &Cut, namespace: &str, secret: &str, account: &str) -> Result<()> {
    let Some(mut account) = Item::find(cut.shelf(&SERVICE_ACCOUNTS), namespace, account)? else { return Ok(()) };
    let Some(secrets) = account.value["secrets"].as_array() else { return Ok(()) };
    let others: Vec<Value> = secrets.iter().filter(|known| known["name"] != secret).cloned().collect();
    if others.len() == secrets.len() {
        return Ok(());
    }
    account.value["secrets"] = others.into();
    cx.update(account.target(), &account.value).await.unless_gone().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;
    use crate::pki::key::Key;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use std::sync::Arc;

    use crate::model::value::json;

    async fn world() -> World {
        let key = Arc::new(Key::generate().expect("a key"));
        World::configured(&Config {
            enabled: vec!["serviceaccount-token".into()],
            root_ca: "PEM".into(),
            tokens: Some(Issuer::new(key, "https://issuer")),
            ..Config::default()
        })
        .await
    }

    fn secret(name: &str, account: &str) -> Value {
        let metadata = json!({"name": name, "namespace": "d", "annotations": {ACCOUNT: account}});
        json!({"metadata": metadata, "type": TYPE})
    }

    fn account(secrets: Value) -> Value {
        json!({"metadata": {"name": "robot", "namespace": "d"}, "secrets": secrets})
    }

    fn decoded(secret: &Value, key: &str) -> String {
        let bytes = STANDARD.decode(secret["data"][key].as_str().expect("set")).expect("base64");
        String::from_utf8(bytes).expect("text")
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_are_filled() {
        let world = world().await;
        let robot = world.create(&SERVICE_ACCOUNTS, account(Value::Null)).await;
        world.create(&SECRETS, secret("s", "robot")).await;
        world.create(&SECRETS, json!({"metadata": {"name": "other", "namespace": "d"}})).await;
        world.settle().await;
        let made = world.get(&SECRETS, "d", "s");
        assert_eq!((decoded(&made, "ca.crt"), decoded(&made, "namespace")), ("PEM".into(), "d".into()));
        assert_eq!(object::annotation(&made, ACCOUNT_UID), Some(object::uid(&robot)));
        let token = decoded(&made, "token");
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("a payload")).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims["sub"], "system:serviceaccount:d:robot");
        assert_eq!(claims["kubernetes.io/serviceaccount/secret.name"], "s");
        world.merge(SECRETS.at("d", "s"), json!({"data": {"ca.crt": null}})).await;
        world.settle().await;
        let again = world.get(&SECRETS, "d", "s");
        assert_eq!((decoded(&again, "ca.crt"), decoded(&again, "token")), ("PEM".into(), token), "the token stays");
        assert_eq!(world.get(&SECRETS, "d", "other")["data"], Value::Null);
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_go_with_their_account_and_accounts_forget_them() {
        let world = world().await;
        world.create(&SERVICE_ACCOUNTS, account(json!([{"name": "a"}, {"name": "b"}]))).await;
        for (name, of) in [("a", "robot"), ("b", "robot"), ("lost", "nobody")] {
            world.create(&SECRETS, secret(name, of)).await;
        }
        world.settle().await;
        assert_eq!(world.names(&SECRETS), ["a", "b"], "nobody has no account");
        world.delete(SECRETS.at("d", "a")).await;
        world.settle().await;
        assert_eq!(world.get(&SERVICE_ACCOUNTS, "d", "robot")["secrets"], json!([{"name": "b"}]));
        world.delete(SERVICE_ACCOUNTS.at("d", "robot")).await;
        world.settle().await;
        assert_eq!(world.names(&SECRETS), [""; 0]);
    }
}

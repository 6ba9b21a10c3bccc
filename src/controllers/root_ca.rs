//! The ConfigMap `kube-root-ca.crt` of each namespace: by what its pods know this API.

use async_trait::async_trait;

use super::config::Config;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::Item;
use super::pods::is_namespace_terminating;
use super::resources::{CONFIG_MAPS, NAMESPACES};
use crate::model::object;
use crate::model::status::Result;
use crate::model::value::{Value, json};

const NAME: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
                    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
                    distributions of Kubernetes clusters.";

/// Key: a namespace.
pub struct RootCa {
    /// What the ConfigMap's `data` must be.
    data: Value,
}

impl RootCa {
    pub fn new(config: &Config) -> Option<Self> {
        (!config.root_ca.is_empty()).then(|| Self { data: json!({"ca.crt": config.root_ca}) })
    }
}

#[async_trait]
impl Controller for RootCa {
    fn follows(&self) -> Follows {
        Follows::these(&[&NAMESPACES, &CONFIG_MAPS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&NAMESPACES) {
            if change.previous.is_none() {
                keys.add(change.name());
            }
        } else if change.name() == NAME {
            keys.add(change.namespace());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&NAMESPACES, &CONFIG_MAPS])?;
        if cut.get(&NAMESPACES, "", key).is_none_or(|namespace| namespace.is_deleting()) {
            return Ok(Next::Done);
        }
        let target = CONFIG_MAPS.at(key, NAME);
        let written = match Item::find(cut.shelf(&CONFIG_MAPS), key, NAME)? {
            Some(map) if map.value["data"] == self.data && object::annotation(&map.value, DESCRIPTION).is_some() => {
                return Ok(Next::Done);
            }
            Some(mut map) => {
                map.value["data"] = self.data.clone();
                map.value["metadata"]["annotations"][DESCRIPTION] = TEXT.into();
                cx.update(target, &map.value).await
            }
            None => {
                let metadata = json!({"name": NAME, "namespace": key, "annotations": {DESCRIPTION: TEXT}});
                cx.create(target, &json!({"metadata": metadata, "data": self.data})).await
            }
        };
        match written {
            Err(status) if !status.is_already_exists() && !is_namespace_terminating(&status) => Err(status),
            _ => Ok(Next::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;

    #[tokio::test(start_paused = true)]
    async fn each_namespace_has_the_certificates() {
        let config =
            Config { enabled: vec!["root-ca-cert-publisher".into()], root_ca: "PEM".into(), ..Config::default() };
        let world = World::configured(&config).await;
        world.create(&NAMESPACES, json!({"metadata": {"name": "a"}})).await;
        world.settle().await;
        let map = world.get(&CONFIG_MAPS, "a", NAME);
        assert_eq!(map["data"], json!({"ca.crt": "PEM"}));
        assert_eq!(object::annotation(&map, DESCRIPTION), Some(TEXT));
        world.merge(CONFIG_MAPS.at("a", NAME), json!({"data": {"ca.crt": "other", "more": "x"}})).await;
        world.settle().await;
        assert_eq!(world.get(&CONFIG_MAPS, "a", NAME)["data"], json!({"ca.crt": "PEM"}));
        let annotated = json!({"metadata": {"annotations": {DESCRIPTION: "mine"}}});
        world.merge(CONFIG_MAPS.at("a", NAME), annotated).await;
        world.delete(CONFIG_MAPS.at("a", NAME)).await;
        world.settle().await;
        assert_eq!(object::annotation(&world.get(&CONFIG_MAPS, "a", NAME), DESCRIPTION), Some(TEXT));
    }
}

//! Feeds RBAC with the roles and bindings of the cache, in the order of their changes.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::auth::rbac::{Kind, Rbac};
use crate::cache::handle::{Cache, Snapshot};
use crate::cache::lister::Query;
use crate::cache::object::{Key, Object};
use crate::cache::shelf::ShelfId;
use crate::cache::subscription::{Subscription, Update};
use crate::model::names::GroupResource;
use crate::model::value::Value;
use crate::schema::resource::Shape;

const GROUP: &str = "rbac.authorization.k8s.io";
const KINDS: [(&str, Kind); 4] = [
    ("roles", Kind::Role),
    ("clusterroles", Kind::ClusterRole),
    ("rolebindings", Kind::RoleBinding),
    ("clusterrolebindings", Kind::ClusterRoleBinding),
];

/// The four resources as RBAC was told of them.
pub struct Roles {
    rbac: Arc<Rbac>,
    subscription: Subscription,
    shelves: HashMap<ShelfId, (Kind, Shape)>,
    told: HashMap<(ShelfId, Key), Value>,
}

impl Roles {
    /// Tells RBAC the state as it is; then [`Roles::follow`] keeps it so.
    pub fn open(cache: &Cache, rbac: Arc<Rbac>) -> Result<Self, crate::cache::error::CacheError> {
        let names = KINDS.map(|(resource, _)| GroupResource::new(GROUP, resource));
        let subscription = cache.subscribe(&names.each_ref())?;
        let mut roles = Self { rbac, subscription, shelves: HashMap::new(), told: HashMap::new() };
        while let Some(update) = roles.subscription.try_next() {
            roles.take(update);
        }
        Ok(roles)
    }

    /// Until `stop`.
    pub async fn follow(mut self, stop: CancellationToken) {
        loop {
            let update = tokio::select! {
                () = stop.cancelled() => return,
                update = self.subscription.next() => update,
            };
            self.take(update);
        }
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Resync(snapshot) => self.resync(&snapshot),
            Update::Event(event) => {
                let key = (event.shelf, event.key().clone());
                let current = event.current().cloned();
                self.tell(key, current.as_deref());
            }
        }
    }

    fn resync(&mut self, snapshot: &Snapshot) {
        for shelf in &snapshot.shelves {
            let Some((_, kind)) = KINDS.into_iter().find(|(name, _)| *name == shelf.storage.shelf.resource) else {
                continue;
            };
            self.shelves.insert(shelf.id, (kind, shelf.storage.shape.clone()));
            let objects = shelf.list(Query::default()).objects;
            let gone: Vec<_> = self
                .told
                .keys()
                .filter(|(id, key)| *id == shelf.id && !objects.iter().any(|object| object.key == *key))
                .cloned()
                .collect();
            gone.into_iter().for_each(|key| self.tell(key, None));
            objects.iter().for_each(|object| self.tell((shelf.id, object.key.clone()), Some(object)));
        }
    }

    fn tell(&mut self, key: (ShelfId, Key), object: Option<&Object>) {
        let Some((kind, shape)) = self.shelves.get(&key.0) else { return };
        let after = object.and_then(|object| object.to_value(shape).ok());
        let before = self.told.get(&key);
        self.rbac.apply([(*kind, before, after.as_ref())]);
        match after {
            Some(after) => self.told.insert(key, after),
            None => self.told.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::User;
    use crate::model::value::json;
    use crate::registry::client::Target;
    use crate::registry::fixture;

    #[tokio::test]
    async fn roles_are_told_as_roles_and_bindings_as_bindings() {
        let client = fixture::client().await;
        let role = json!({"metadata": {"name": "reader"}, "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
        client.create(Target::new(GROUP, "clusterroles", "", "reader"), &role).await.expect("a role");
        let rbac = Arc::new(Rbac::default());
        let mut roles = Roles::open(&client.registry().cache, rbac.clone()).expect("shelves");
        let binding = json!({"metadata": {"name": "readers"},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "ann"}]});
        let ann = User::new("ann", &[]);
        assert_eq!(rbac.rules_for(&ann, "").0, []);
        client.create(Target::new(GROUP, "clusterrolebindings", "", "readers"), &binding).await.expect("a binding");
        while roles.told.len() < 2 {
            let update = roles.subscription.next().await;
            roles.take(update);
        }
        let (rules, errors) = rbac.rules_for(&ann, "");
        assert_eq!((rules.len(), errors.as_str()), (1, ""));
    }
}

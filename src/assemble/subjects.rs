//! What tokens are checked against, read from the cache.

use crate::auth::identity::Secret;
use crate::auth::token::bootstrap::BootstrapSecrets;
use crate::auth::token::verify::{Subject, TokenSecret, TokenSubjects};
use crate::cache::handle::Cache;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::time::Time;
use crate::model::value::Value;
use crate::schema::table::{API_CORE_V1_SECRET, API_CORE_V1_SERVICEACCOUNT, Message};

/// The cache, as authentication sees it.
pub struct Cached(pub Cache);

impl Cached {
    fn subject(&self, resource: &str, namespace: &str, name: &str) -> Option<Subject> {
        let object = self.0.get(&GroupResource::new("", resource), namespace, name).ok().flatten()?;
        let deleted = if object.is_deleting() {
            let row =
                crate::schema::builtin::ROWS.iter().find(|row| row.group.is_empty() && row.resource == resource)?;
            let value = object.to_value(&row.storage()?.shape).ok()?;
            Time::parse(object::meta_str(&value, "deletionTimestamp"))
                .ok()
                .and_then(|time| jiff::Timestamp::from_second(time.seconds).ok())
        } else {
            None
        };
        Some(Subject { uid: object.uid().as_ref().into(), deleted })
    }

    fn value(&self, resource: &str, namespace: &str, name: &str, message: &'static Message) -> Option<Value> {
        let object = self.0.get(&GroupResource::new("", resource), namespace, name).ok().flatten()?;
        object.to_value(&crate::schema::resource::Shape::Builtin(message)).ok()
    }
}

impl TokenSubjects for Cached {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Subject> {
        self.subject("serviceaccounts", namespace, name)
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<Subject> {
        self.subject("pods", namespace, name)
    }

    fn node(&self, name: &str) -> Option<Subject> {
        self.subject("nodes", "", name)
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Subject> {
        self.subject("secrets", namespace, name)
    }

    fn token_secret(&self, namespace: &str, name: &str) -> Option<TokenSecret> {
        let value = self.value("secrets", namespace, name, &API_CORE_V1_SECRET)?;
        Some(TokenSecret {
            is_deleting: object::is_deleting(&value),
            token: Secret::new(decoded(&value["data"]["token"])),
            is_invalidated: object::label(&value, "kubernetes.io/legacy-token-invalid-since").is_some(),
        })
    }

    fn lists_secret(&self, namespace: &str, account: &str, secret: &str) -> bool {
        let Some(value) = self.value("serviceaccounts", namespace, account, &API_CORE_V1_SERVICEACCOUNT) else {
            return false;
        };
        value["secrets"].as_array().into_iter().flatten().any(|known| known["name"] == secret)
    }
}

impl BootstrapSecrets for Cached {
    fn secret(&self, name: &str) -> Option<Value> {
        self.value("secrets", "kube-system", name, &API_CORE_V1_SECRET)
    }
}

fn decoded(data: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(data.as_str().unwrap_or("")).unwrap_or_default()
}

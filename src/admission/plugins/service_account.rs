//! ServiceAccount: every pod runs as one, and gets a token of it.

use std::time::Duration;

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{self, CONTAINERS, INIT_CONTAINERS, items, items_mut, push, text};
use crate::admission::reads::Reads;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

const DEFAULT: &str = "default";
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_VOLUME: &str = "kube-api-access-";
/// How long a token in a pod lives, in seconds: an hour, and what marks it as one that may live longer.
const TOKEN_SECONDS: i64 = 3607;
const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
/// How long a pod waits for its namespace's default account, which a controller makes.
const DEFAULT_PATIENCE: Duration = Duration::from_millis(1500);

pub struct ServiceAccount(Reads);

impl ServiceAccount {
    pub fn new(reads: &Reads) -> Self {
        Self(reads.clone())
    }

    async fn account(&self, a: &Attributes<'_>, name: &str) -> Result<Value> {
        let found = if name == DEFAULT {
            self.0.get_awaited(("", "serviceaccounts"), a.namespace, name, DEFAULT_PATIENCE).await?
        } else {
            self.0.get_sure("", "serviceaccounts", a.namespace, name).await?
        };
        found.ok_or_else(|| {
            let missing = Status::not_found(&GroupResource::new("", "serviceaccount"), name);
            a.forbid(format!("error looking up service account {}/{name}: {}", a.namespace, missing.message))
        })
    }

    async fn check(&self, a: &Attributes<'_>, pod: &Value) -> Result<()> {
        let spec = &pod["spec"];
        if is_mirror(pod) && a.creates() {
            return check_mirror(spec).map_err(|why| a.forbid(why));
        }
        let name = account_name(spec);
        if name.is_empty() {
            let why = format!("no service account specified for pod {}/{}", a.namespace, object::name(pod));
            return Err(a.forbid(why));
        }
        let account = self.account(a, name).await?;
        if !object::annotation(&account, ENFORCE).is_some_and(is_true) {
            return Ok(());
        }
        let checked = if a.creates() { check_secrets(&account, spec) } else { check_debuggers(&account, spec) };
        match checked {
            Err(why) if a.creates() => Err(a.forbid(why)),
            Err(why) => Err(Status::unknown(why)),
            Ok(()) => Ok(()),
        }
    }

    fn mount_token(&self, spec: &mut Value) {
        let existing = items(spec, "volumes").map(|volume| text(volume, "name")).find(|n| n.starts_with(TOKEN_VOLUME));
        let existing = existing.map(str::to_owned);
        let volume = existing.clone().unwrap_or_else(|| format!("{TOKEN_VOLUME}{}", self.0.entropy.name_suffix()));
        let mount = json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH});
        let mut mounted = false;
        for list in [INIT_CONTAINERS, CONTAINERS] {
            for container in items_mut(spec, list) {
                if !items(container, "volumeMounts").any(|mount| text(mount, "mountPath") == TOKEN_PATH) {
                    push(container, "volumeMounts", mount.clone());
                    mounted = true;
                }
            }
        }
        if mounted && existing.is_none() {
            push(spec, "volumes", token_volume(&volume));
        }
    }
}

#[async_trait]
impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is_any("", "pods")
            && ((a.creates() && a.subresource.is_empty()) || (a.updates() && a.subresource == "ephemeralcontainers"))
    }

    async fn admit(&self, a: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(pod) = pod.filter(|_| a.creates()) else { return Ok(()) };
        if is_mirror(pod) {
            return self.check(a, pod).await;
        }
        let name = match account_name(&pod["spec"]) {
            "" => DEFAULT.to_owned(),
            name => name.to_owned(),
        };
        let account = self.account(a, &name).await?;
        let spec = &mut pod["spec"];
        spec["serviceAccountName"] = name.as_str().into();
        spec["serviceAccount"] = name.into();
        let flag = |object: &Value| object["automountServiceAccountToken"].as_bool();
        if flag(spec).or(flag(&account)).unwrap_or(true) {
            self.mount_token(spec);
        }
        if items(spec, "imagePullSecrets").next().is_none() {
            let names = items(&account, "imagePullSecrets").map(|reference| json!({"name": text(reference, "name")}));
            let names: Vec<Value> = names.collect();
            if !names.is_empty() {
                spec["imagePullSecrets"] = names.into();
            }
        }
        self.check(a, pod).await
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        match pod {
            Some(pod) => self.check(a, pod).await,
            None => Ok(()),
        }
    }
}

fn is_mirror(pod: &Value) -> bool {
    object::annotation(pod, pod::MIRROR).is_some()
}

/// As Go's `strconv.ParseBool` reads it.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// The older name of the field still counts.
fn account_name(spec: &Value) -> &str {
    match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount"),
        name => name,
    }
}

fn token_volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}})
}

/// A mirror pod stands for one that runs already: it must not make the node fetch anything.
fn check_mirror(spec: &Value) -> std::result::Result<(), &'static str> {
    let projections = items(spec, "volumes").flat_map(|volume| items(&volume["projected"], "sources"));
    if !account_name(spec).is_empty() {
        Err("a mirror pod may not reference service accounts")
    } else if !pod::secrets(spec).is_empty() {
        Err("a mirror pod may not reference secrets")
    } else if projections.into_iter().any(|source| source["serviceAccountToken"].is_object()) {
        Err("a mirror pod may not use ServiceAccountToken volume projections")
    } else {
        Ok(())
    }
}

fn names<'a>(account: &'a Value, list: &str) -> Vec<&'a str> {
    items(account, list).map(|reference| text(reference, "name")).collect()
}

/// The account that says so lets its pods use its own secrets alone.
fn check_secrets(account: &Value, spec: &Value) -> std::result::Result<(), String> {
    let (allowed, account_name) = (names(account, "secrets"), object::name(account));
    for volume in items(spec, "volumes").filter(|volume| volume["secret"].is_object()) {
        let secret = text(&volume["secret"], "secretName");
        if !allowed.contains(&secret) {
            return Err(format!(
                "volume with secret.secretName=\"{secret}\" is not allowed because service account {account_name} does not reference that secret"
            ));
        }
    }
    for (word, container) in pod::containers(spec).filter(|(word, _)| *word != "ephemeral container") {
        check_environment(word, container, &allowed, account_name)?;
    }
    let pulls = names(account, "imagePullSecrets");
    for (index, reference) in items(spec, "imagePullSecrets").enumerate() {
        let secret = text(reference, "name");
        if !pulls.contains(&secret) {
            return Err(format!(
                "imagePullSecrets[{index}].name=\"{secret}\" is not allowed because service account {account_name} does not reference that imagePullSecret"
            ));
        }
    }
    Ok(())
}

fn check_debuggers(account: &Value, spec: &Value) -> std::result::Result<(), String> {
    let allowed = names(account, "secrets");
    items(spec, pod::EPHEMERAL_CONTAINERS)
        .try_for_each(|container| check_environment("ephemeral container", container, &allowed, object::name(account)))
}

fn check_environment(
    word: &str,
    container: &Value,
    allowed: &[&str],
    account: &str,
) -> std::result::Result<(), String> {
    let of = text(container, "name");
    let refused = |from: String, secret: &str| {
        Err(format!(
            "{word} {of} with {from} referencing secret.secretName=\"{secret}\" is not allowed because service account {account} does not reference that secret"
        ))
    };
    for env in items(container, "env").filter(|env| env["valueFrom"]["secretKeyRef"].is_object()) {
        let secret = text(&env["valueFrom"]["secretKeyRef"], "name");
        if !allowed.contains(&secret) {
            return refused(format!("envVar {}", text(env, "name")), secret);
        }
    }
    for source in items(container, "envFrom").filter(|source| source["secretRef"].is_object()) {
        let secret = text(&source["secretRef"], "name");
        if !allowed.contains(&secret) {
            return refused("envFrom".to_owned(), secret);
        }
    }
    Ok(())
}

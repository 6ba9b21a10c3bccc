//! Approves requests of nodes for client certificates, if who asks may have them.

use std::time::Duration;

use async_trait::async_trait;

use super::form::{KUBELET_CLIENT, kubelet_client};
use super::request::{APPROVED, DENIED, certificate, has, parse, signer, usages};
use crate::auth::authorizer::{Attributes, Resource};
use crate::auth::identity::{Extra, Identity, User};
use crate::controllers::conditions;
use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::{Item, time};
use crate::controllers::resources::SIGNING_REQUESTS;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};
use crate::pki::request::SigningRequest;

/// Whoever was not allowed is asked about again after as long as it has waited, within these.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(1000);

/// (what must be allowed, what is said): who asks for its own certificate needs less.
const OWN: (&str, &str) =
    ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.");
const ANY: (&str, &str) = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.");

/// Key: a request.
pub struct Approver;

#[async_trait]
impl Controller for Approver {
    fn follows(&self) -> Follows {
        Follows::these(&[&SIGNING_REQUESTS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if !change.is_deleted() {
            keys.add(change.name());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SIGNING_REQUESTS])?;
        let Some(csr) = Item::find(cut.shelf(&SIGNING_REQUESTS), "", key)? else { return Ok(Next::Done) };
        let is_decided = has(&csr, APPROVED) || has(&csr, DENIED) || certificate(&csr).is_some();
        if is_decided || signer(&csr) != KUBELET_CLIENT {
            return Ok(Next::Done);
        }
        let (request, user) = (parse(&csr)?, requester(&csr));
        let ways = ways(&csr, &request);
        for (permission, message) in &ways {
            if may(cx, &user, permission).await {
                return approve(cx, csr, message).await.map(|()| Next::Done);
            }
        }
        Ok(if ways.is_empty() { Next::Done } else { Next::After(wait(cx, &csr)) })
    }
}

/// In which ways a request can be approved.
fn ways(csr: &Item, request: &SigningRequest) -> Vec<(&'static str, &'static str)> {
    if kubelet_client(request, &usages(csr)).is_err() {
        return Vec::new();
    }
    match csr.spec()["username"] == request.holder.common_name.as_str() {
        true => vec![OWN, ANY],
        false => vec![ANY],
    }
}

fn requester(csr: &Item) -> User {
    let spec = csr.spec();
    let text = |value: &Value| value.as_str().unwrap_or("").into();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    let extra = spec["extra"].as_object().into_iter().flatten();
    let extra: Extra = extra.map(|(key, values)| (key.as_str().into(), texts(values))).collect();
    Identity { name: text(&spec["username"]), uid: text(&spec["uid"]), groups: texts(&spec["groups"]), extra }.into()
}

async fn may(cx: &Cx, user: &User, permission: &str) -> bool {
    let asked = Resource {
        group: "certificates.k8s.io",
        version: "*",
        resource: "certificatesigningrequests",
        subresource: permission,
        ..Resource::default()
    };
    cx.plane.registry.authorizer.authorize(&Attributes::resource(user, "create", asked)).await.is_allowed()
}

fn wait(cx: &Cx, csr: &Item) -> Duration {
    let since = time(&csr.value["metadata"]["creationTimestamp"]).unwrap_or(cx.now());
    let waited = u64::try_from(cx.now().seconds - since.seconds).unwrap_or(0);
    Duration::from_secs(waited).clamp(SOONEST, LATEST)
}

async fn approve(cx: &Cx, mut csr: Item, message: &str) -> Result<()> {
    let mut list = conditions::all(csr.status());
    list.push(json!({"type": APPROVED, "status": "True", "reason": "AutoApproved", "message": message}));
    csr.value["status"]["conditions"] = list.into();
    cx.update(csr.target().part("approval"), &csr.value).await.unless_gone().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    const NODE: &[u8] = include_bytes!("../../../tests/data/pki/kubelet-client.csr");

    fn csr(name: &str, signer: &str) -> Value {
        let spec = json!({
            "request": STANDARD.encode(NODE), "signerName": signer, "usages": ["client auth", "digital signature"],
        });
        json!({"metadata": {"name": name}, "spec": spec})
    }

    fn said(world: &World, name: &str) -> Value {
        let conditions = conditions::all(&world.get(&SIGNING_REQUESTS, "", name)["status"]);
        conditions.first().map_or(Value::Null, |condition| json!([condition["type"], condition["message"]]))
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_nodes_are_approved() {
        let world = World::with(&["csrapproving"]).await;
        world.create(&SIGNING_REQUESTS, csr("node", KUBELET_CLIENT)).await;
        world.create(&SIGNING_REQUESTS, csr("client", "kubernetes.io/kube-apiserver-client")).await;
        world.settle().await;
        assert_eq!(said(&world, "node"), json!([APPROVED, ANY.1]));
        assert_eq!(said(&world, "client"), Value::Null, "people's are for people");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_asks_for_itself_needs_less() {
        let world = World::with(&[]).await;
        world.create(&SIGNING_REQUESTS, csr("node", KUBELET_CLIENT)).await;
        world.settle().await;
        let snapshot = world.client.registry().cache.snapshot(&[&SIGNING_REQUESTS.full]).expect("a shelf");
        let mut item = Item::find(&snapshot.shelves[0], "", "node").expect("decodable").expect("there");
        let request = parse(&item).expect("a request");
        assert_eq!(ways(&item, &request), [ANY]);
        item.value["spec"]["username"] = "system:node:n1".into();
        item.value["spec"]["extra"] = json!({"k": ["v"]});
        assert_eq!(ways(&item, &request), [OWN, ANY]);
        let user = requester(&item);
        assert_eq!((user.name.as_str(), user.extra_value("k")), ("system:node:n1", Some("v")));
        item.value["spec"]["usages"] = json!(["server auth"]);
        assert_eq!(ways(&item, &request), []);
    }
}

//! APIServices: the condition `Available` says whether the Service behind one can be asked.
//!
//! Nothing is passed on to another server yet, so none that names a Service is ever available: what stands in the way
//! first is what the condition says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::controllers::endpoints::slices::SERVICE_NAME;
use crate::controllers::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::resources::{API_SERVICES, ENDPOINT_SLICES, SERVICES};
use crate::model::condition;
use crate::model::gotext::quote;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};

const CONDITION: &str = "Available";

/// Key: an APIService.
#[derive(Default)]
pub struct ApiServices {
    /// Each one's Service, as (namespace, name), so that a change of a Service finds them.
    behind: Mutex<BTreeMap<String, (String, String)>>,
}

#[async_trait]
impl Controller for ApiServices {
    fn follows(&self) -> Follows {
        Follows::these(&[&API_SERVICES, &SERVICES, &ENDPOINT_SLICES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let mut behind = self.behind.lock().expect("nothing panics that holds it");
        if change.is_of(&API_SERVICES) {
            let service = if change.is_deleted() { None } else { service(change) };
            match service {
                Some(service) => behind.insert(change.name().to_owned(), service),
                None => behind.remove(change.name()),
            };
            keys.add(change.name());
            return;
        }
        if behind.is_empty() {
            return;
        }
        let label = change.object().label(SERVICE_NAME);
        let name = if change.is_of(&SERVICES) { Some(change.name()) } else { label.as_deref() };
        let is_of = |service: &(String, String)| service.0 == change.namespace() && Some(service.1.as_str()) == name;
        behind.iter().filter(|(_, service)| is_of(service)).for_each(|(key, _)| keys.add(key));
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&API_SERVICES, &SERVICES, &ENDPOINT_SLICES])?;
        let Some(mut item) = Item::find(cut.shelf(&API_SERVICES), "", key)? else { return Ok(Next::Done) };
        let (status, reason, message) = match obstacle(&cut, item.spec())? {
            Some((reason, message)) => ("False", reason, message),
            None => ("True", "Local", "Local APIServices are always available".to_owned()),
        };
        let condition = json!({"type": CONDITION, "status": status, "reason": reason, "message": message});
        if !condition::set(&mut item.value["status"], condition, cx.now()) {
            return Ok(Next::Done);
        }
        cx.update(item.target().part("status"), &item.value).await.unless_gone().map(|_| Next::Done)
    }
}

fn service(change: &Change<'_>) -> Option<(String, String)> {
    let snapshot = change.registry.cache.snapshot(&[&API_SERVICES.full]).ok()?;
    let item = Item::new(&snapshot.shelves[0], change.object()).ok()?;
    let service = item.spec()["service"].as_object()?;
    let text = |field: &str| service.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    Some((text("namespace"), text("name")))
}

/// Why the server behind it cannot be asked: a reason and a message.
fn obstacle(cut: &Cut, spec: &Value) -> Result<Option<(&'static str, String)>> {
    let wanted = &spec["service"];
    if wanted.is_null() {
        return Ok(None);
    }
    let (namespace, name) = (wanted["namespace"].as_str().unwrap_or(""), wanted["name"].as_str().unwrap_or(""));
    let who = format!("service/{name} in {}", quote(namespace));
    let Some(service) = Item::find(cut.shelf(&SERVICES), namespace, name)? else {
        return Ok(Some(("ServiceNotFound", format!("{who} is not present"))));
    };
    if service.spec()["type"].as_str().unwrap_or("ClusterIP") == "ClusterIP" {
        let number = wanted["port"].as_i64().unwrap_or(443);
        let port = service.spec()["ports"].as_array().into_iter().flatten().find(|port| port["port"] == number);
        let Some(port) = port else {
            return Ok(Some(("ServicePortError", format!("{who} is not listening on port {number}"))));
        };
        if let Some(obstacle) = no_endpoint(cut, namespace, name, &port["name"])? {
            return Ok(Some(obstacle));
        }
    }
    let why = "this server does not pass requests on to other servers";
    Ok(Some(("FailedDiscoveryCheck", format!("failing or missing response from {who}: {why}"))))
}

/// That no slice of the Service has an address that is ready at the port of this name.
fn no_endpoint(cut: &Cut, namespace: &str, name: &str, port: &Value) -> Result<Option<(&'static str, String)>> {
    let shelf = cut.shelf(&ENDPOINT_SLICES);
    let slices = shelf.iter(Some(namespace)).filter(|slice| slice.label(SERVICE_NAME).as_deref() == Some(name));
    let slices = slices.map(|slice| Item::new(shelf, slice)).collect::<Result<Vec<_>>>()?;
    let who = format!("service/{name} in {}", quote(namespace));
    if slices.is_empty() {
        return Ok(Some(("EndpointsNotFound", format!("cannot find endpointslices for {who}"))));
    }
    let port = port.as_str().unwrap_or("");
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let has = slices.iter().any(|slice| {
        let is_ready = |endpoint: &Value| endpoint["conditions"]["ready"] != false;
        items(&slice.value["endpoints"]).iter().any(is_ready)
            && items(&slice.value["ports"]).iter().any(|known| known["name"].as_str().unwrap_or("") == port)
    });
    let message = format!("endpointslices for {who} have no addresses with port name {}", quote(port));
    Ok((!has).then_some(("MissingEndpoints", message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::conditions;
    use crate::controllers::events;
    use crate::controllers::serving::{self, MANAGER};
    use crate::controllers::testing::World;

    fn told(world: &World, name: &str) -> String {
        let found = world.get(&API_SERVICES, "", name);
        let condition = conditions::find(&found["status"], CONDITION).cloned().unwrap_or_default();
        let text = |field: &str| condition[field].as_str().unwrap_or("").to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    fn api(group: &str, service: Value) -> Value {
        json!({"metadata": {"name": format!("v1.{group}")}, "spec": {
            "group": group, "version": "v1", "service": service, "insecureSkipTLSVerify": !service.is_null(),
            "groupPriorityMinimum": 100, "versionPriority": 10,
        }})
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_is_missing_first() {
        let world = World::with(&[]).await;
        let events = events::start(world.client.registry(), &world.tasks);
        serving::start(world.client.registry(), &world.tasks, &events).expect("they start");
        world.create(&API_SERVICES, api("a.example", json!({"namespace": "default", "name": "s"}))).await;
        world.create(&API_SERVICES, api("b.example", Value::Null)).await;
        world.settle().await;
        assert_eq!(told(&world, "v1.a.example"), "False ServiceNotFound: service/s in \"default\" is not present");
        assert_eq!(told(&world, "v1.b.example"), "True Local: Local APIServices are always available");
        let owners = &world.get(&API_SERVICES, "", "v1.a.example")["metadata"]["managedFields"];
        assert_eq!((&owners[0]["manager"], &owners[0]["subresource"]), (&json!(MANAGER), &json!("status")));

        let service = json!({"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}});
        world.create(&SERVICES, service).await;
        world.settle().await;
        assert_eq!(
            told(&world, "v1.a.example"),
            "False ServicePortError: service/s in \"default\" is not listening on port 443"
        );
        world.merge(SERVICES.at("default", "s"), json!({"spec": {"ports": [{"port": 443}]}})).await;
        world.settle().await;
        assert_eq!(
            told(&world, "v1.a.example"),
            "False EndpointsNotFound: cannot find endpointslices for service/s in \"default\""
        );
    }
}

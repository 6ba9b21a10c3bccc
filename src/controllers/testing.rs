//! A small world for tests: a registry, controllers that run, and time that passes when it is told to.

use std::time::Duration;

use super::config::Config;
use super::resources::{EVENTS, Name};
use crate::base::tasks::Tasks;
use crate::controllers::item::Item;
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::fixture;
use crate::registry::options::DeleteOptions;

/// Long enough for everything that happens at once, too short for what waits for a time to come.
const MOMENT: Duration = Duration::from_millis(200);

pub struct World {
    pub client: Client,
    pub tasks: Tasks,
}

impl World {
    /// With these controllers.
    pub async fn with(names: &[&str]) -> Self {
        let config = Config { enabled: names.iter().map(|n| (*n).to_owned()).collect(), ..Config::default() };
        Self::configured(&config).await
    }

    pub async fn configured(config: &Config) -> Self {
        let world = Self { client: fixture::client().await, tasks: Tasks::default() };
        world.start(config);
        world
    }

    /// Starts more controllers.
    pub fn start(&self, config: &Config) {
        let events = super::events::start(self.client.registry(), &self.tasks);
        super::start(self.client.registry(), &self.tasks, config, &events).expect("they start");
    }

    /// Lets everything happen that can happen without waiting.
    pub async fn settle(&self) {
        self.pass(MOMENT).await;
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        self.client.registry().clock.sleep(time).await;
    }

    pub async fn create(&self, name: &Name, object: Value) -> Value {
        let (namespace, own) = (text(&object, "namespace"), text(&object, "name"));
        let written = self.client.create(name.at(&namespace, &own), &object).await.expect("created");
        self.value(name, &written.object)
    }

    pub async fn merge(&self, target: Target<'_>, patch: Value) {
        self.client.merge(target, &patch).await.expect("patched");
    }

    pub async fn delete(&self, target: Target<'_>) {
        self.client.delete(target, &DeleteOptions::default()).await.expect("deleted");
    }

    /// The object as it is now; `Null` when there is none.
    pub fn get(&self, name: &Name, namespace: &str, object: &str) -> Value {
        let found = self.client.registry().cache.get(&name.full, namespace, object).expect("a shelf");
        found.map_or(Value::Null, |object| self.value(name, &object))
    }

    /// All objects of a resource, by name.
    pub fn list(&self, name: &Name) -> Vec<Value> {
        let snapshot = self.client.registry().cache.snapshot(&[&name.full]).expect("a shelf");
        snapshot.shelves[0].iter(None).map(|object| self.value(name, object)).collect()
    }

    pub fn names(&self, name: &Name) -> Vec<String> {
        self.list(name).iter().map(|object| text(object, "name")).collect()
    }

    /// `reason: message xcount` of all events, in the order in which they were written first.
    pub fn events(&self) -> Vec<String> {
        let mut events = self.list(&EVENTS);
        events.sort_by_key(|event| event["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()));
        events.iter().map(|event| format!("{}: {}", text_at(event, "reason"), text_at(event, "message"))).collect()
    }

    fn value(&self, name: &Name, object: &crate::cache::object::Object) -> Value {
        let snapshot = self.client.registry().cache.snapshot(&[&name.full]).expect("a shelf");
        Item::new(&snapshot.shelves[0], object).expect("decodable").value
    }
}

fn text(object: &Value, field: &str) -> String {
    text_at(&object["metadata"], field)
}

fn text_at(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or("").to_owned()
}

/// A pod template with the label `app`, as it is after defaulting.
pub fn template(app: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": pod_spec(image)})
}

pub fn pod_spec(image: &str) -> Value {
    json!({
        "containers": [{
            "name": "c", "image": image, "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    })
}

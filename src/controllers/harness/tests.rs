//! Conversations with a controller that counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{Change, Controller, Cx, Follows, Keys, Next, Plane, Runner};
use crate::auth::identity::User;
use crate::base::tasks::Tasks;
use crate::controllers::events::{self, Recorder};
use crate::controllers::resources::CONFIG_MAPS;
use crate::model::status::{Result, Status};
use crate::model::value::json;
use crate::registry::client::Client;
use crate::registry::fixture::client;

/// Counts in `data.n` of each ConfigMap up to 5, one a run; `broken` always fails, `panics` does.
#[derive(Default)]
struct Counter {
    /// What each run saw.
    seen: Mutex<Vec<String>>,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Controller for Arc<Counter> {
    fn follows(&self) -> Follows {
        Follows::these(&[&CONFIG_MAPS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        keys.add(change.key().as_str());
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let at_once = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(at_once, Ordering::Relaxed);
        let result = self.count(cx, key).await;
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

impl Counter {
    async fn count(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&CONFIG_MAPS])?;
        let shelf = cut.shelf(&CONFIG_MAPS);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let item = crate::controllers::item::Item::new(shelf, object)?;
        let number: u64 = item.value["data"]["n"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        self.seen.lock().expect("not poisoned").push(format!("{key} {number}"));
        match item.name() {
            "broken" => return Err(Status::internal("broken")),
            "panics" => panic!("as it was told"),
            _ => {}
        }
        if number < 5 {
            let target = CONFIG_MAPS.at(item.namespace(), item.name());
            cx.plane.registry.clock.sleep(Duration::from_millis(1)).await;
            cx.merge(target, &json!({"data": {"n": (number + 1).to_string()}})).await?;
            return Ok(Next::After(Duration::from_secs(60)));
        }
        Ok(Next::Done)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("not poisoned"))
    }
}

/// A counter that runs, two keys at a time.
async fn counter() -> (Client, Arc<Counter>, Tasks) {
    let (client, tasks, counter) = (client().await, Tasks::default(), Arc::new(Counter::default()));
    let registry = client.registry().clone();
    let own = Client::new(&registry, User::controller("counter"), "counter");
    let recorder = Recorder::new(events::start(&registry, &tasks), own.clone(), "counter");
    let cx = Cx::new(Plane { registry }, own, recorder);
    let runner = Runner::new("counter", Arc::new(counter.clone()), cx, 2).expect("shelves");
    tasks.start("counter", |stop| runner.run(stop));
    (client, counter, tasks)
}

async fn make(client: &Client, name: &str) {
    let object = json!({"metadata": {"name": name}});
    client.create(CONFIG_MAPS.at("d", name), &object).await.expect("created");
}

async fn moment(client: &Client) {
    client.registry().clock.sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn no_run_sees_a_state_older_than_its_own_writes() {
    let (client, counter, tasks) = counter().await;
    for name in ["a", "b", "c"] {
        make(&client, name).await;
    }
    moment(&client).await;
    let seen = counter.take();
    for name in ["a", "b", "c"] {
        let of: Vec<_> = seen.iter().filter(|line| line.starts_with(&format!("d/{name} "))).collect();
        let mut once = of.clone();
        once.dedup();
        assert_eq!(once, [0, 1, 2, 3, 4, 5].map(|n| format!("d/{name} {n}")).iter().collect::<Vec<_>>());
        let twice = of.iter().filter(|line| line.ends_with(" 3")).count();
        assert_eq!(twice, 1, "each state is counted once: {of:?}");
    }
    assert_eq!(counter.most.load(Ordering::Relaxed), 2, "no more than its workers");
    client.registry().clock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(counter.take(), [""; 0], "at rest nothing runs");
    tasks.shutdown(Duration::from_secs(1)).await;
    make(&client, "late").await;
    moment(&client).await;
    assert_eq!(counter.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_ever_later() {
    let (client, counter, _tasks) = counter().await;
    make(&client, "broken").await;
    make(&client, "panics").await;
    client.registry().clock.sleep(Duration::from_millis(40)).await;
    let mut seen = counter.take();
    seen.sort();
    let four = |name: &str| vec![format!("d/{name} 0"); 4];
    assert_eq!(seen, [four("broken"), four("panics")].concat(), "at 0, 5, 15 and 35 ms");
}

//! Conversations with the Deployment and ReplicaSet controllers.

use std::time::Duration;

use super::revision;
use crate::controllers::conditions;
use crate::controllers::resources::{DEPLOYMENTS, PODS, REPLICA_SETS};
use crate::controllers::testing::{World, template};
use crate::model::value::{Value, json};

const WEB: crate::registry::client::Target<'static> =
    crate::registry::client::Target::new("apps", "deployments", "d", "web");

fn deployment(replicas: i64, strategy: Value) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "d", "annotations": {"team": "a"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("web", "a:1"),
            "strategy": strategy,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 600,
        },
    })
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

async fn world() -> World {
    World::with(&["deployment", "replicaset"]).await
}

impl World {
    /// All pods that run are ready from now on; `images` limits it to those of these images.
    async fn make_ready(&self, images: &[&str]) {
        let since = self.client.registry().now().to_text();
        for pod in self.list(&PODS) {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or("");
            let is_ready = conditions::find(&pod["status"], "Ready").is_some();
            if images.contains(&image) && !is_ready {
                let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": since.as_str()}]);
                let status = json!({"status": {"phase": "Running", "conditions": ready}});
                self.merge(PODS.at("d", pod["metadata"]["name"].as_str().unwrap_or("")).part("status"), status).await;
            }
        }
        self.settle().await;
    }

    /// The same until nothing changes any more.
    async fn roll_out(&self) {
        loop {
            let before = self.client.registry().cache.published();
            self.make_ready(&["a:1", "a:2", "a:3", "a:4", "a:5"]).await;
            if self.client.registry().cache.published() == before {
                return;
            }
        }
    }

    async fn set_image(&self, image: &str) {
        self.merge(WEB, json!({"spec": {"template": template("web", image)}})).await;
        self.settle().await;
    }

    /// `image=spec/available` of all ReplicaSets, by image.
    fn sets(&self) -> String {
        let mut lines: Vec<_> = self
            .list(&REPLICA_SETS)
            .iter()
            .map(|set| {
                let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or("");
                let available = set["status"]["availableReplicas"].as_i64().unwrap_or(0);
                format!("{image}={}/{available}", set["spec"]["replicas"])
            })
            .collect();
        lines.sort();
        lines.join(" ")
    }

    fn web(&self) -> Value {
        self.get(&DEPLOYMENTS, "d", "web")
    }

    /// `status/reason: message` of a condition, the names of sets shown as `web-?`.
    fn condition(&self, ty: &str) -> String {
        let web = self.web();
        let Some(found) = conditions::find(&web["status"], ty) else { return String::new() };
        let mut message = found["message"].as_str().unwrap_or("").to_owned();
        for name in self.names(&REPLICA_SETS) {
            message = message.replace(&name, "web-?");
        }
        format!("{}/{}: {message}", found["status"].as_str().unwrap_or(""), found["reason"].as_str().unwrap_or(""))
    }

    fn revisions(&self) -> Vec<i64> {
        let mut revisions: Vec<_> = self.list(&REPLICA_SETS).iter().filter_map(revision::of).collect();
        revisions.sort_unstable();
        revisions
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_has_a_set_with_a_hash() {
    let world = world().await;
    let made = world.create(&DEPLOYMENTS, deployment(3, rolling(json!("25%"), json!("25%")))).await;
    world.settle().await;
    let sets = world.list(&REPLICA_SETS);
    assert_eq!(sets.len(), 1);
    let set = &sets[0];
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().expect("a hash");
    assert_eq!(set["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(set["spec"]["selector"]["matchLabels"], json!({"app": "web", "pod-template-hash": hash}));
    assert_eq!(set["spec"]["template"]["metadata"]["labels"], json!({"app": "web", "pod-template-hash": hash}));
    assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], made["metadata"]["uid"]);
    let annotations = json!({"team": "a", (revision::REVISION): "1", (revision::DESIRED): "3", (revision::MAX): "4"});
    assert_eq!(set["metadata"]["annotations"], annotations);
    assert_eq!(world.sets(), "a:1=3/0");
    assert_eq!(world.events()[0], format!("ScalingReplicaSet: Scaled up replica set web-{hash} from 0 to 3"));
    assert_eq!(world.condition("Progressing"), "True/ReplicaSetUpdated: ReplicaSet \"web-?\" is progressing.");
    let unavailable = "False/MinimumReplicasUnavailable: Deployment does not have minimum availability.";
    assert_eq!(world.condition("Available"), unavailable);

    world.roll_out().await;
    let done = "True/NewReplicaSetAvailable: ReplicaSet \"web-?\" has successfully progressed.";
    assert_eq!(world.condition("Progressing"), done);
    let available = "True/MinimumReplicasAvailable: Deployment has minimum availability.";
    assert_eq!(world.condition("Available"), available);
    let status = world.web()["status"].clone();
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], 3, "{field}");
    }
    let at_rest = world.client.registry().cache.published();
    world.pass(Duration::from_secs(3000)).await;
    assert_eq!(world.client.registry().cache.published(), at_rest, "at rest nothing is written");
}

#[tokio::test(start_paused = true)]
async fn a_rolling_update_goes_step_by_step() {
    let world = world().await;
    world.create(&DEPLOYMENTS, deployment(10, rolling(json!(3), json!(2)))).await;
    world.roll_out().await;
    assert_eq!(world.sets(), "a:1=10/10");
    world.set_image("a:2").await;
    assert_eq!(world.sets(), "a:1=8/8 a:2=5/0", "as many more and as many fewer as may be");
    world.make_ready(&["a:2"]).await;
    assert_eq!(world.sets(), "a:1=3/3 a:2=10/5");
    world.make_ready(&["a:2"]).await;
    assert_eq!(world.sets(), "a:1=0/0 a:2=10/10");
    assert_eq!(world.condition("Progressing").split(':').next(), Some("True/NewReplicaSetAvailable"));
    assert_eq!(world.revisions(), [1, 2]);

    world.set_image("a:1").await;
    world.roll_out().await;
    assert_eq!((world.sets().as_str(), world.revisions()), ("a:1=10/10 a:2=0/0", vec![2, 3]));
    let sets = world.list(&REPLICA_SETS);
    let back = sets.iter().find(|set| revision::of(set) == Some(3)).expect("the newest");
    assert_eq!(back["metadata"]["annotations"][revision::HISTORY], "1");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_versions_are_kept() {
    let world = world().await;
    world.create(&DEPLOYMENTS, deployment(1, rolling(json!(1), json!(0)))).await;
    for image in ["a:1", "a:2", "a:3", "a:4", "a:5"] {
        world.set_image(image).await;
        world.roll_out().await;
    }
    assert_eq!((world.sets().as_str(), world.revisions()), ("a:3=0/0 a:4=0/0 a:5=1/1", vec![3, 4, 5]));
}

#[tokio::test(start_paused = true)]
async fn a_recreate_waits_for_the_old_pods_to_end() {
    let world = world().await;
    let mut wanted = deployment(2, json!({"type": "Recreate"}));
    wanted["spec"]["template"]["spec"]["nodeName"] = "n".into();
    world.create(&DEPLOYMENTS, wanted).await;
    world.roll_out().await;
    world.set_image("a:2").await;
    assert_eq!(world.sets(), "a:1=0/0", "their node has yet to end them");
    for name in world.names(&PODS) {
        let now = crate::registry::options::DeleteOptions { grace_period: Some(0), ..Default::default() };
        world.client.delete(PODS.at("d", &name), &now).await.expect("ended");
    }
    world.settle().await;
    assert_eq!(world.sets(), "a:1=0/0 a:2=2/0");
}

#[tokio::test(start_paused = true)]
async fn growth_in_the_middle_of_a_rollout_is_shared() {
    let world = world().await;
    world.create(&DEPLOYMENTS, deployment(10, rolling(json!(3), json!(2)))).await;
    world.roll_out().await;
    world.set_image("a:2").await;
    assert_eq!(world.sets(), "a:1=8/8 a:2=5/0");
    world.merge(WEB, json!({"spec": {"replicas": 20}})).await;
    world.settle().await;
    assert_eq!(world.sets(), "a:1=14/8 a:2=9/0");
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_is_scaled_but_not_rolled_out() {
    let world = world().await;
    world.create(&DEPLOYMENTS, deployment(2, rolling(json!(1), json!(0)))).await;
    world.roll_out().await;
    world.merge(WEB, json!({"spec": {"paused": true, "replicas": 3}})).await;
    world.set_image("a:2").await;
    assert_eq!(world.sets(), "a:1=3/2");
    assert_eq!(world.condition("Progressing"), "Unknown/DeploymentPaused: Deployment is paused");
    world.merge(WEB, json!({"spec": {"paused": null}})).await;
    world.roll_out().await;
    assert_eq!(world.sets(), "a:1=0/0 a:2=3/3");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_without_progress_times_out() {
    let world = world().await;
    world.create(&DEPLOYMENTS, deployment(2, rolling(json!(1), json!(0)))).await;
    world.roll_out().await;
    world.set_image("a:2").await;
    world.pass(Duration::from_secs(590)).await;
    assert_eq!(world.condition("Progressing"), "True/ReplicaSetUpdated: ReplicaSet \"web-?\" is progressing.");
    world.pass(Duration::from_secs(15)).await;
    let late = "False/ProgressDeadlineExceeded: ReplicaSet \"web-?\" has timed out progressing.";
    assert_eq!(world.condition("Progressing"), late);
    world.roll_out().await;
    assert_eq!(world.condition("Progressing").split(':').next(), Some("True/NewReplicaSetAvailable"));
}

#[tokio::test(start_paused = true)]
async fn a_taken_hash_is_not_used_again() {
    let world = world().await;
    let mut wanted = deployment(1, rolling(json!(1), json!(0)));
    wanted["spec"]["paused"] = true.into();
    let made = world.create(&DEPLOYMENTS, wanted).await;
    let hash = super::hash::template_hash(&made["spec"]["template"], None);
    let stranger = json!({
        "metadata": {"name": format!("web-{hash}"), "namespace": "d"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template("x", "b")},
    });
    world.create(&REPLICA_SETS, stranger).await;
    world.merge(WEB, json!({"spec": {"paused": null}})).await;
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.web()["status"]["collisionCount"], 1);
    assert_eq!(world.sets(), "a:1=1/0 b=0/0");
}

#[tokio::test(start_paused = true)]
async fn sets_without_a_deployment_are_taken_in() {
    let world = world().await;
    let mut orphan = deployment(3, Value::Null);
    orphan["metadata"] = json!({"name": "old", "namespace": "d", "labels": {"app": "web"}});
    orphan["spec"] = json!({
        "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("web", "a:1"),
    });
    world.create(&REPLICA_SETS, orphan).await;
    world.roll_out().await;
    world.create(&DEPLOYMENTS, deployment(3, rolling(json!(1), json!(0)))).await;
    world.roll_out().await;
    assert_eq!((world.sets().as_str(), world.names(&REPLICA_SETS)), ("a:1=3/3", vec!["old".to_owned()]));
}

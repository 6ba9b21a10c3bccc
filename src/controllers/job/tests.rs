//! Jobs from their first pod to their end.

use std::time::Duration;

use super::FINALIZER;
use crate::controllers::conditions;
use crate::controllers::resources::{JOBS, PODS};
use crate::controllers::testing::{World, pod_spec};
use crate::model::object;
use crate::model::value::{Value, json};

async fn world() -> World {
    World::with(&["job", "ttl-after-finished"]).await
}

async fn job(world: &World, spec: Value) {
    let mut spec = spec;
    let mut pod = pod_spec("a:1");
    pod["restartPolicy"] = "Never".into();
    pod["terminationGracePeriodSeconds"] = 0.into();
    spec["template"] = json!({"spec": pod});
    world.create(&JOBS, json!({"metadata": {"name": "j", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
}

fn pods(world: &World, phase: &str) -> Vec<String> {
    let is = |pod: &Value| pod["status"]["phase"].as_str().unwrap_or("Pending") == phase;
    world.list(&PODS).into_iter().filter(is).map(|pod| object::name(&pod).to_owned()).collect()
}

/// The first of the pods that run ends.
async fn end(world: &World, phase: &str, code: i64) {
    let name = pods(world, "Pending").remove(0);
    end_pod(world, &name, phase, code).await;
}

async fn end_pod(world: &World, name: &str, phase: &str, code: i64) {
    let now = world.client.registry().now().to_text();
    let state = json!({"terminated": {"exitCode": code, "finishedAt": now.as_str()}});
    let containers =
        json!([{"name": "c", "image": "a:1", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
    let patch = json!({"status": {"phase": phase, "containerStatuses": containers}});
    world.merge(PODS.at("d", name).part("status"), patch).await;
    world.settle().await;
}

/// `active ready succeeded failed` and the conditions that are true.
fn shown(world: &World) -> String {
    let job = world.get(&JOBS, "d", "j");
    let status = &job["status"];
    let counts = ["active", "ready", "succeeded", "failed"].map(|f| status[f].as_i64().unwrap_or(0).to_string());
    let said = conditions::all(status).into_iter().filter(|c| c["status"] == "True");
    let said = said.map(|c| format!(" {}={}", c["type"].as_str().unwrap_or(""), c["reason"].as_str().unwrap_or("")));
    counts.join(" ") + &said.collect::<String>()
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_until_enough_pods_have_succeeded() {
    let world = world().await;
    job(&world, json!({"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 60})).await;
    assert_eq!((shown(&world), pods(&world, "Pending").len()), ("2 0 0 0".into(), 2));
    let pod = world.list(&PODS).remove(0);
    assert_eq!(pod["metadata"]["finalizers"], json!([FINALIZER]));
    assert!(object::name(&pod).starts_with("j-"));
    end(&world, "Succeeded", 0).await;
    assert_eq!(shown(&world), "2 0 1 0");
    end(&world, "Succeeded", 0).await;
    end(&world, "Succeeded", 0).await;
    assert_eq!(shown(&world), "0 0 3 0 SuccessCriteriaMet=CompletionsReached Complete=CompletionsReached");
    let job = world.get(&JOBS, "d", "j");
    assert!(job["status"]["completionTime"].is_string() && job["status"]["startTime"].is_string());
    assert!(world.list(&PODS).iter().all(|pod| object::finalizers(pod).next().is_none()), "all are counted");
    assert_eq!(world.events().last().map(String::as_str), Some("Completed: Job completed"));
    world.pass(Duration::from_secs(61)).await;
    let job = world.get(&JOBS, "d", "j");
    assert!(job.is_null() || object::is_deleting(&job), "its time is over");
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_ever_later_until_the_limit() {
    let world = world().await;
    job(&world, json!({"backoffLimit": 1})).await;
    end(&world, "Failed", 1).await;
    assert_eq!((shown(&world), pods(&world, "Pending").len()), ("0 0 0 1".into(), 0), "it waits");
    world.pass(Duration::from_secs(10)).await;
    assert_eq!((shown(&world), pods(&world, "Pending").len()), ("1 0 0 1".into(), 1));
    end(&world, "Failed", 1).await;
    assert_eq!(shown(&world), "0 0 0 2 FailureTarget=BackoffLimitExceeded Failed=BackoffLimitExceeded");
    let last = "BackoffLimitExceeded: Job has reached the specified backoff limit";
    assert_eq!(world.events().last().map(String::as_str), Some(last));
}

#[tokio::test(start_paused = true)]
async fn indexes_each_have_a_pod() {
    let world = world().await;
    job(&world, json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3})).await;
    let of = |world: &World| -> Vec<(String, String)> {
        let index = |pod: &Value| object::label(pod, super::claim::INDEX).unwrap_or("").to_owned();
        world
            .list(&PODS)
            .iter()
            .map(|pod| (index(pod), pod["spec"]["hostname"].as_str().unwrap_or("").to_owned()))
            .collect()
    };
    let each = [0, 1, 2].map(|index| (index.to_string(), format!("j-{index}")));
    assert_eq!(of(&world), each);
    let pod = world.list(&PODS).remove(0);
    assert_eq!(pod["spec"]["containers"][0]["env"][0]["name"], "JOB_COMPLETION_INDEX");
    assert!(object::name(&pod).starts_with("j-0-"));
    let names = pods(&world, "Pending");
    end_pod(&world, &names[2], "Succeeded", 0).await;
    end_pod(&world, &names[0], "Succeeded", 0).await;
    assert_eq!(world.get(&JOBS, "d", "j")["status"]["completedIndexes"], "0,2");
    end_pod(&world, &names[1], "Succeeded", 0).await;
    assert_eq!(world.get(&JOBS, "d", "j")["status"]["completedIndexes"], "0-2");
    assert_eq!(shown(&world), "0 0 3 0 SuccessCriteriaMet=CompletionsReached Complete=CompletionsReached");
}

#[tokio::test(start_paused = true)]
async fn each_index_has_its_own_limit() {
    let world = world().await;
    job(&world, json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 1}))
        .await;
    let names = pods(&world, "Pending");
    end_pod(&world, &names[0], "Failed", 1).await;
    end_pod(&world, &names[1], "Succeeded", 0).await;
    world.pass(Duration::from_secs(10)).await;
    let again = pods(&world, "Pending").remove(0);
    let pod = world.get(&PODS, "d", &again);
    assert_eq!(object::annotation(&pod, super::claim::FAILURES), Some("1"));
    end_pod(&world, &again, "Failed", 1).await;
    assert_eq!(shown(&world), "0 0 1 2 FailureTarget=FailedIndexes Failed=FailedIndexes");
    assert_eq!(world.get(&JOBS, "d", "j")["status"]["failedIndexes"], "0");
}

#[tokio::test(start_paused = true)]
async fn a_policy_says_what_a_failure_means() {
    let world = world().await;
    let on = |action: &str, code: i64| json!({"action": action, "onExitCodes": {"operator": "In", "values": [code]}});
    job(&world, json!({"podFailurePolicy": {"rules": [on("Ignore", 3), on("FailJob", 42)]}})).await;
    end(&world, "Failed", 3).await;
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(shown(&world), "1 0 0 0", "it did not count");
    end(&world, "Failed", 42).await;
    assert_eq!(shown(&world), "0 0 0 1 FailureTarget=PodFailurePolicy Failed=PodFailurePolicy");
    let job = world.get(&JOBS, "d", "j");
    let message =
        conditions::find(&job["status"], "Failed").expect("failed")["message"].as_str().unwrap_or("").to_owned();
    assert!(message.ends_with("failed with exit code 42 matching FailJob rule at index 1"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn suspended_jobs_have_no_pods_and_late_ones_fail() {
    let world = world().await;
    job(&world, json!({"suspend": true, "activeDeadlineSeconds": 100})).await;
    assert_eq!((shown(&world), pods(&world, "Pending").len()), ("0 0 0 0 Suspended=JobSuspended".into(), 0));
    world.merge(JOBS.at("d", "j"), json!({"spec": {"suspend": false}})).await;
    world.settle().await;
    assert_eq!(shown(&world), "1 0 0 0");
    world.pass(Duration::from_secs(101)).await;
    assert_eq!(shown(&world), "0 0 0 1 FailureTarget=DeadlineExceeded Failed=DeadlineExceeded");
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_job_that_is_gone_are_freed() {
    let world = world().await;
    job(&world, json!({"parallelism": 2, "completions": 2})).await;
    let options =
        crate::registry::options::DeleteOptions { propagation: Some("Background".into()), ..Default::default() };
    world.client.delete(JOBS.at("d", "j"), &options).await.expect("deleted");
    world.settle().await;
    assert!(world.list(&PODS).iter().all(|pod| object::finalizers(pod).next().is_none()));
}

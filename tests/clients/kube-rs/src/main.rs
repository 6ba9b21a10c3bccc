//! What programs on kube-rs do, against the server of `$KUBECONFIG`: typed objects, apply, a watcher, a derived custom
//! resource.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, CustomResource, CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const NAMESPACE: &str = "kube-rs";

#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, JsonSchema)]
#[kube(group = "kube-rs.example", version = "v1", kind = "Well", namespaced, status = "WellStatus")]
struct WellSpec {
    depth: u32,
    #[serde(default)]
    lined: Option<bool>,
}

#[derive(Serialize, Deserialize, Clone, Debug, JsonSchema)]
struct WellStatus {
    full: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::try_default().await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let meta = ObjectMeta { name: Some(NAMESPACE.into()), ..Default::default() };
    namespaces.create(&PostParams::default(), &Namespace { metadata: meta, ..Default::default() }).await?;
    typed(&client).await.context("typed objects")?;
    println!("ok typed objects");
    watched(&client).await.context("a watcher")?;
    println!("ok a watcher");
    custom(&client).await.context("a derived custom resource")?;
    println!("ok a derived custom resource");
    Ok(())
}

async fn typed(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"x": "1"}}))?;
    let made = maps.create(&PostParams::default(), &map).await?;
    ensure!(made.uid().is_some() && made.resource_version().is_some(), "{made:?}");
    let refused = maps.create(&PostParams::default(), &map).await.expect_err("it is there");
    ensure!(matches!(&refused, kube::Error::Api(status) if status.reason == "AlreadyExists"), "{refused}");
    let apply = PatchParams::apply("kube-rs").force();
    let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"y": "2"}});
    let applied = maps.patch("a", &apply, &Patch::Apply(&wanted)).await?;
    ensure!(applied.data.as_ref().is_some_and(|data| data.len() == 2), "{applied:?}");
    let dry = PostParams { dry_run: true, ..Default::default() };
    maps.create(&dry, &serde_json::from_value(json!({"metadata": {"name": "dry"}}))?).await?;
    ensure!(maps.get_opt("dry").await?.is_none(), "a dry run left something behind");
    let listed = maps.list_metadata(&ListParams::default().fields("metadata.name=a")).await?;
    ensure!(listed.items.len() == 1, "{listed:?}");
    maps.delete("a", &DeleteParams::default()).await?;
    ensure!(maps.get_opt("a").await?.is_none());
    Ok(())
}

async fn watched(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let config = config.labels("watched=yes");
        let mut stream = watcher(maps.clone(), config).applied_objects().boxed();
        for number in 0..3 {
            let object = json!({"metadata": {"generateName": "w-", "labels": {"watched": "yes"}}, "data": {"n": number.to_string()}});
            let made = maps.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
            let found = async {
                while let Some(seen) = stream.try_next().await? {
                    if seen.uid() == made.uid() {
                        return Ok(());
                    }
                }
                anyhow::bail!("the stream ended")
            };
            tokio::time::timeout(Duration::from_secs(20), found).await.context("never seen")??;
        }
    }
    Ok(())
}

async fn custom(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = Well::crd().name_any();
    definitions.patch(&name, &PatchParams::apply("kube-rs"), &Patch::Apply(Well::crd())).await?;
    let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(20), established).await.context("never established")??;
    let wells: Api<Well> = Api::namespaced(client.clone(), NAMESPACE);
    let well = Well::new("deep", WellSpec { depth: 40, lined: None });
    wells.create(&PostParams::default(), &well).await?;
    let status = json!({"status": {"full": true}});
    let full = wells.patch_status("deep", &PatchParams::default(), &Patch::Merge(&status)).await?;
    ensure!(full.status.is_some_and(|status| status.full) && full.spec.depth == 40);
    let bad = json!({"spec": {"depth": "deep"}});
    let refused = wells.patch("deep", &PatchParams::default(), &Patch::Merge(&bad)).await.expect_err("no number");
    ensure!(matches!(&refused, kube::Error::Api(status) if status.code == 422), "{refused}");
    definitions.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

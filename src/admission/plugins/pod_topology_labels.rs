//! PodTopologyLabels: a pod says in which zone and region its node is, so that its containers can know.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::text;
use crate::admission::reads::Reads;
use crate::model::object;
use crate::model::status::Result;
use crate::model::value::{Value, json};

const LABELS: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

pub struct PodTopologyLabels(pub Reads);

#[async_trait]
impl Plugin for PodTopologyLabels {
    fn name(&self) -> &'static str {
        "PodTopologyLabels"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.creates() && a.is_any("", "pods") && matches!(a.subresource, "" | "binding")
    }

    /// The labels of a binding become those of its pod.
    async fn admit(&self, a: &mut Attributes<'_>, object: Option<&mut Value>) -> Result<()> {
        let Some(object) = object else { return Ok(()) };
        let node = match a.subresource {
            "binding" if text(&object["target"], "kind") != "Node" => return Ok(()),
            "binding" => text(&object["target"], "name"),
            _ => text(&object["spec"], "nodeName"),
        };
        let nodes = self.0.shelf("", "nodes")?;
        let Some(node) = nodes.get("", node).filter(|_| !node.is_empty()) else { return Ok(()) };
        for label in LABELS {
            let Some(value) = node.label(label) else { continue };
            let Some(meta) = object::metadata_mut(object) else { continue };
            let labels = meta.entry("labels").or_insert_with(|| json!({}));
            if !labels.is_object() {
                *labels = json!({});
            }
            labels[label] = value.into_owned().into();
        }
        Ok(())
    }
}

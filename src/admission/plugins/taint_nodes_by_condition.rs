//! TaintNodesByCondition: a new node takes no pods until it has said that it is ready.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{items, push, text};
use crate::model::status::Result;
use crate::model::value::{Value, json};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const EFFECT: &str = "NoSchedule";

pub struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "nodes") && a.creates()
    }

    async fn admit(&self, _: &mut Attributes<'_>, node: Option<&mut Value>) -> Result<()> {
        let Some(node) = node else { return Ok(()) };
        let is_there = |taint: &Value| text(taint, "key") == NOT_READY && text(taint, "effect") == EFFECT;
        if !items(&node["spec"], "taints").any(is_there) {
            push(&mut node["spec"], "taints", json!({"key": NOT_READY, "effect": EFFECT}));
        }
        Ok(())
    }
}

//! DefaultTolerationSeconds: a pod stays on a node that is not ready or unreachable for a while.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{items, push, text};
use crate::model::status::Result;
use crate::model::value::{Value, json};

/// How long, in seconds.
const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

pub struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && (a.creates() || a.updates())
    }

    async fn admit(&self, _: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(spec) = pod.and_then(|pod| pod.get_mut("spec")) else { return Ok(()) };
        for taint in TAINTS {
            let tolerates = |toleration: &Value| {
                ["", taint].contains(&text(toleration, "key"))
                    && ["", "NoExecute"].contains(&text(toleration, "effect"))
            };
            if !items(spec, "tolerations").any(tolerates) {
                let seconds = json!({"key": taint, "operator": "Exists", "effect": "NoExecute",
                    "tolerationSeconds": SECONDS});
                push(spec, "tolerations", seconds);
            }
        }
        Ok(())
    }
}

//! AlwaysPullImages: nobody runs an image from a node's disk that they may not pull themselves.

use std::borrow::Cow;

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{self, CONTAINERS, EPHEMERAL_CONTAINERS, INIT_CONTAINERS, items, items_mut, text};
use crate::model::field::{FieldError, Path, aggregate};
use crate::model::status::{Result, Status};
use crate::model::value::Value;

const ALWAYS: &str = "Always";

pub struct AlwaysPullImages;

#[async_trait]
impl Plugin for AlwaysPullImages {
    fn name(&self) -> &'static str {
        "AlwaysPullImages"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && (a.creates() || a.updates())
    }

    async fn admit(&self, a: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(pod) = pod.filter(|pod| has_new_image(a.old, pod)) else { return Ok(()) };
        let spec = &mut pod["spec"];
        for list in [INIT_CONTAINERS, CONTAINERS, EPHEMERAL_CONTAINERS] {
            items_mut(spec, list).for_each(|container| container["imagePullPolicy"] = ALWAYS.into());
        }
        for volume in items_mut(spec, "volumes").filter(|volume| volume["image"].is_object()) {
            volume["image"]["pullPolicy"] = ALWAYS.into();
        }
        Ok(())
    }

    /// A later plugin may have changed it back.
    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some(pod) = pod.filter(|pod| has_new_image(a.old, pod)) else { return Ok(()) };
        let at = Path::Root.name("spec");
        let mut errors = Vec::new();
        for list in [INIT_CONTAINERS, CONTAINERS, EPHEMERAL_CONTAINERS] {
            for (index, container) in items(&pod["spec"], list).enumerate() {
                let path = at.name(list);
                errors.extend(other(&path.index(index).name("imagePullPolicy"), &container["imagePullPolicy"]));
            }
        }
        for (index, volume) in items(&pod["spec"], "volumes").enumerate().filter(|(_, v)| v["image"].is_object()) {
            let path = at.name("volumes");
            errors.extend(other(&path.index(index).name("image").name("pullPolicy"), &volume["image"]["pullPolicy"]));
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(Status::unknown(aggregate(errors.iter().map(|error| Cow::Owned(a.forbid(error).message)))))
    }
}

fn other(path: &Path<'_>, policy: &Value) -> Option<FieldError> {
    let policy = policy.as_str().unwrap_or("");
    (policy != ALWAYS).then(|| FieldError::not_supported(path, policy, &[ALWAYS]))
}

/// An update that runs nothing else than before needs no new rights.
fn has_new_image(old: Option<&Value>, pod: &Value) -> bool {
    let images = |pod: &Value| -> Vec<String> {
        pod::containers(&pod["spec"]).map(|(_, container)| text(container, "image").to_owned()).collect()
    };
    old.is_none_or(|old| {
        let known = images(old);
        images(pod).iter().any(|image| !known.contains(image))
    })
}

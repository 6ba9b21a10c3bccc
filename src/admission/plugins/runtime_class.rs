//! RuntimeClass: what a pod's runtime costs beside its containers, and on which nodes it is.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{of_map, text};
use crate::admission::reads::Reads;
use crate::model::gotext::quote;
use crate::model::status::Result;
use crate::model::value::Value;

pub struct RuntimeClass(Reads);

impl RuntimeClass {
    pub fn new(reads: &Reads) -> Self {
        Self(reads.clone())
    }

    async fn class(&self, a: &Attributes<'_>, pod: &Value) -> Result<Option<Value>> {
        let Some(name) = pod["spec"]["runtimeClassName"].as_str() else { return Ok(None) };
        let found = self.0.get_sure("node.k8s.io", "runtimeclasses", "", name).await?;
        let missing = || a.forbid(format!("pod rejected: RuntimeClass {} not found", quote(name)));
        found.map(Some).ok_or_else(missing)
    }
}

#[async_trait]
impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && a.creates()
    }

    async fn admit(&self, a: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(pod) = pod else { return Ok(()) };
        let Some(class) = self.class(a, pod).await? else { return Ok(()) };
        let spec = &mut pod["spec"];
        if class["overhead"].is_object() {
            let overhead = &class["overhead"]["podFixed"];
            let given = of_map(&spec["overhead"]);
            if !given.is_empty() && given != of_map(overhead) {
                return Err(a.forbid(MISMATCH));
            }
            if !overhead.is_null() {
                spec["overhead"] = overhead.clone();
            }
        }
        let scheduling = &class["scheduling"];
        if scheduling.is_object() {
            select_nodes(spec, &scheduling["nodeSelector"]).map_err(|why| a.forbid(why))?;
            merge_tolerations(spec, &scheduling["tolerations"]);
        }
        Ok(())
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some(pod) = pod else { return Ok(()) };
        let class = self.class(a, pod).await?.filter(|class| class["overhead"].is_object());
        let given = &pod["spec"]["overhead"];
        match class {
            Some(class) if of_map(&class["overhead"]["podFixed"]) != of_map(given) => Err(a.forbid(MISMATCH)),
            None if !given.is_null() => {
                Err(a.forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"))
            }
            _ => Ok(()),
        }
    }
}

const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

/// The pod must agree with the class on every label that both name.
fn select_nodes(spec: &mut Value, selector: &Value) -> std::result::Result<(), String> {
    for (key, value) in selector.as_object().into_iter().flatten() {
        let (wanted, own) = (value.as_str().unwrap_or(""), spec["nodeSelector"].get(key).and_then(Value::as_str));
        if let Some(own) = own.filter(|own| *own != wanted) {
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {own}"
            ));
        }
        spec["nodeSelector"][key] = wanted.into();
    }
    Ok(())
}

/// Both lists in one, without those that another one includes.
fn merge_tolerations(spec: &mut Value, more: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let all = [list(&spec["tolerations"]), list(more)].concat();
    let mut merged: Vec<Value> = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let before = merged.iter().any(|other| includes(other, one));
        let after = all[index + 1..].iter().any(|other| other != one && includes(other, one));
        if !before && !after {
            merged.push(one.clone());
        }
    }
    if !merged.is_empty() {
        spec["tolerations"] = merged.into();
    }
}

/// Whether `wide` tolerates everything that `narrow` does.
fn includes(wide: &Value, narrow: &Value) -> bool {
    if wide == narrow {
        return true;
    }
    let differs = |field| text(wide, field) != text(narrow, field);
    if differs("key") && (!text(wide, "key").is_empty() || text(wide, "operator") != "Exists") {
        return false;
    }
    if differs("effect") && !text(wide, "effect").is_empty() {
        return false;
    }
    if text(wide, "effect") == "NoExecute"
        && let Some(seconds) = wide["tolerationSeconds"].as_i64()
        && narrow["tolerationSeconds"].as_i64().is_none_or(|other| other > seconds)
    {
        return false;
    }
    match text(wide, "operator") {
        "" | "Equal" => text(narrow, "operator") == "Equal" && !differs("value"),
        operator => operator == "Exists",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn the_wider_toleration_is_kept() {
        let mut spec =
            json!({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}, {"key": "b"}]});
        merge_tolerations(&mut spec, &json!([{"key": "a", "operator": "Exists"}, {"key": "b"}]));
        assert_eq!(spec["tolerations"], json!([{"key": "b"}, {"key": "a", "operator": "Exists"}]));
    }
}

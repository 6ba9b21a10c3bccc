//! PodNodeSelector: the pods of a namespace go to the nodes that its annotation names.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::reads::Reads;
use crate::model::gotext::quote;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::syntax;
use crate::model::value::{Text, Value, json};

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";

/// The selector of namespaces without the annotation.
const DEFAULT: &str = "clusterDefaultNodeSelector";

/// What is configured of a namespace is what its pods may select at most.
pub struct PodNodeSelector {
    reads: Reads,
    /// Selectors by namespace, and the default one.
    configured: BTreeMap<String, String>,
}

impl PodNodeSelector {
    pub fn new(reads: &Reads) -> std::result::Result<Self, String> {
        let configuration = reads.configurations.get("PodNodeSelector").unwrap_or(&Value::Null);
        let selectors = configuration["podNodeSelectorPluginConfig"].as_object().into_iter().flatten();
        let text = |(name, selector): (&Text, &Value)| match selector.as_str() {
            Some(selector) => Ok((name.to_string(), selector.to_owned())),
            None => Err(format!("podNodeSelectorPluginConfig: {name}: expected a node selector")),
        };
        Ok(Self { reads: reads.clone(), configured: selectors.map(text).collect::<std::result::Result<_, _>>()? })
    }

    fn configured(&self, name: &str) -> Result<BTreeMap<String, String>> {
        parse(self.configured.get(name).map_or("", String::as_str)).map_err(Status::unknown)
    }

    /// What the namespace wants, or that the pod wants otherwise.
    async fn wanted(&self, a: &Attributes<'_>, pod: &Value) -> Result<BTreeMap<String, String>> {
        let namespace = self.reads.get_sure("", "namespaces", "", a.namespace).await?;
        let namespace =
            namespace.ok_or_else(|| Status::not_found(&GroupResource::new("", "namespaces"), a.namespace))?;
        let wanted = match object::annotation(&namespace, ANNOTATION) {
            Some(selector) => parse(selector).map_err(Status::unknown)?,
            None => self.configured(DEFAULT)?,
        };
        let own = &pod["spec"]["nodeSelector"];
        if wanted.iter().any(|(key, value)| own[key].as_str().is_some_and(|other| other != value)) {
            let why = "pod node label selector conflicts with its namespace node label selector";
            return Err(Status::forbidden(&a.resource.name, object::name(pod), why));
        }
        Ok(wanted)
    }

    fn check(&self, a: &Attributes<'_>, pod: &Value) -> Result<()> {
        let allowed = self.configured(a.namespace)?;
        let mut selected = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
        let is_allowed = |(key, value): (&Text, &Value)| {
            allowed.get(key.as_str()).is_some_and(|allowed| value.as_str() == Some(allowed))
        };
        if allowed.is_empty() || selected.all(is_allowed) {
            return Ok(());
        }
        let why = "pod node label selector labels conflict with its namespace whitelist";
        Err(Status::forbidden(&a.resource.name, object::name(pod), why))
    }
}

#[async_trait]
impl Plugin for PodNodeSelector {
    fn name(&self) -> &'static str {
        "PodNodeSelector"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && a.creates()
    }

    async fn admit(&self, a: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(pod) = pod else { return Ok(()) };
        for (key, value) in self.wanted(a, pod).await? {
            if !pod["spec"]["nodeSelector"].is_object() {
                pod["spec"]["nodeSelector"] = json!({});
            }
            pod["spec"]["nodeSelector"][key] = value.into();
        }
        self.check(a, pod)
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        match pod {
            Some(pod) => {
                self.wanted(a, pod).await?;
                self.check(a, pod)
            }
            None => Ok(()),
        }
    }
}

/// `a=b,c=d`.
fn parse(selector: &str) -> std::result::Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for part in selector.split(',').filter(|_| !selector.is_empty()) {
        let pair: Vec<&str> = part.split('=').collect();
        let [key, value] = pair[..] else { return Err(format!("invalid selector: [{}]", pair.join(" "))) };
        let (key, value) = (key.trim(), value.trim());
        let wrong = |what: &str, text: &str, errors: &[_]| {
            let errors: Vec<String> =
                errors.iter().map(|error: &std::borrow::Cow<'_, str>| error.to_string()).collect();
            (!errors.is_empty()).then(|| format!("invalid label {what} {}: {}", quote(text), errors.join("; ")))
        };
        let errors =
            wrong("key", key, &syntax::label_key(key)).or_else(|| wrong("value", value, &syntax::label_value(value)));
        if let Some(error) = errors {
            return Err(error);
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_a_list_of_labels() {
        let shown = |selector: &str| {
            parse(selector).map(|labels| labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(shown(""), Ok(String::new()));
        assert_eq!(shown("b=2, a=1"), Ok("a=1 b=2".into()));
        assert_eq!(shown("a"), Err("invalid selector: [a]".into()));
        assert_eq!(shown("a=b=c"), Err("invalid selector: [a b c]".into()));
        assert!(shown("-=x").is_err_and(|why| why.starts_with("invalid label key \"-\": ")));
    }
}

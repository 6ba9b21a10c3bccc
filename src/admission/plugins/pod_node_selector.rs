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
use crate::model::value::{Value, json};

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";

/// Without a configuration: no default selector, and no list of what else a namespace may select.
pub struct PodNodeSelector(pub Reads);

impl PodNodeSelector {
    /// What the namespace wants, or that the pod wants otherwise.
    async fn wanted(&self, a: &Attributes<'_>, pod: &Value) -> Result<BTreeMap<String, String>> {
        let namespace = self.0.get_sure("", "namespaces", "", a.namespace).await?;
        let namespace =
            namespace.ok_or_else(|| Status::not_found(&GroupResource::new("", "namespaces"), a.namespace))?;
        let wanted = parse(object::annotation(&namespace, ANNOTATION).unwrap_or("")).map_err(Status::unknown)?;
        let own = &pod["spec"]["nodeSelector"];
        if wanted.iter().any(|(key, value)| own[key].as_str().is_some_and(|other| other != value)) {
            let why = "pod node label selector conflicts with its namespace node label selector";
            return Err(Status::forbidden(&a.resource.name, object::name(pod), why));
        }
        Ok(wanted)
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
        Ok(())
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        match pod {
            Some(pod) => self.wanted(a, pod).await.map(drop),
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

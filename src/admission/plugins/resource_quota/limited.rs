//! What may be had only where a quota counts it, as the plugin's configuration says.

use std::collections::BTreeSet;

use super::usage::Meter;
use crate::admission::chain::Attributes;
use crate::admission::configuration::check_kind;
use crate::admission::pod::{Amounts, items, text};
use crate::model::field::{FieldError, Path, aggregate};
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

const VERSIONS: [&str; 4] = [
    "apiserver.config.k8s.io/v1",
    "resourcequota.admission.k8s.io/v1",
    "resourcequota.admission.k8s.io/v1beta1",
    "resourcequota.admission.k8s.io/v1alpha1",
];

/// `limitedResources` of a `ResourceQuotaConfiguration`.
#[derive(Default)]
pub struct Limited(Vec<Value>);

/// What the quotas of a namespace cover for one object.
#[derive(Default)]
pub struct Covered {
    names: BTreeSet<String>,
    scopes: BTreeSet<String>,
}

impl Limited {
    pub fn read(configuration: Option<&Value>) -> std::result::Result<Self, String> {
        let Some(configuration) = configuration else { return Ok(Self::default()) };
        check_kind(configuration, &VERSIONS, "ResourceQuotaConfiguration")?;
        let (mut errors, path) = (Vec::new(), Path::Root.name("limitedResources"));
        let rows: Vec<Value> = items(configuration, "limitedResources").cloned().collect();
        for (at, row) in rows.iter().enumerate() {
            if text(row, "resource").is_empty() {
                errors.push(FieldError::required(&path.index(at).name("resource"), ""));
            }
        }
        if errors.is_empty() {
            return Ok(Self(rows));
        }
        Err(aggregate(errors.iter().map(|error| error.to_string().into())))
    }

    /// Whether anything of this resource is limited.
    pub fn limits(&self, a: &Attributes<'_>) -> bool {
        self.of(a).next().is_some()
    }

    fn of(&self, a: &Attributes<'_>) -> impl Iterator<Item = &Value> {
        let name = &a.resource.name;
        let of = move |row: &&Value| text(row, "apiGroup") == name.group && text(row, "resource") == name.resource;
        self.0.iter().filter(of)
    }

    /// Refuses what is limited and not covered.
    pub fn check(
        &self,
        a: &Attributes<'_>,
        meter: &Meter,
        usage: &Amounts,
        covered: &Covered,
        object: &Value,
    ) -> Result<()> {
        let uses = usage.iter().filter(|(_, amount)| amount.sign() > 0).map(|(name, _)| name.as_str());
        let contains = |row: &Value, name: &str| {
            items(row, "matchContains").filter_map(Value::as_str).any(|part| name.contains(part))
        };
        let limited: BTreeSet<&str> = uses.filter(|name| self.of(a).any(|row| contains(row, name))).collect();
        let missing: Vec<&str> = limited.into_iter().filter(|name| !covered.names.contains(*name)).collect();
        if !missing.is_empty() {
            return Err(a.forbid(format!("insufficient quota to consume: {}", missing.join(","))));
        }
        let scopes =
            self.0.iter().flat_map(|row| items(row, "matchScopes")).filter(|scope| meter.matches(object, scope));
        let open = scopes.filter(|scope| !covered.scopes.contains(text(scope, "scopeName")));
        let open: Vec<String> = open.map(shown).collect();
        if open.is_empty() {
            return Ok(());
        }
        Err(Status::unknown(format!("insufficient quota to match these scopes: [{}]", open.join(" "))))
    }
}

impl Covered {
    /// What this quota covers; `names` are those of its resources that count the object, where it is in scope.
    pub fn add(&mut self, quota: &Value, names: &[String], meter: &Meter, object: &Value) {
        self.names.extend(names.iter().cloned());
        let plain = items(&quota["spec"], "scopes").map(|scope| json!({"scopeName": scope, "operator": "Exists"}));
        let selected = items(&quota["spec"]["scopeSelector"], "matchExpressions").cloned();
        let matching = plain.chain(selected).filter(|scope| meter.matches(object, scope));
        self.scopes.extend(matching.map(|scope| text(&scope, "scopeName").to_owned()));
    }
}

/// As Go prints it: `{PriorityClass In [a b]}`.
fn shown(scope: &Value) -> String {
    let values: Vec<&str> = items(scope, "values").filter_map(Value::as_str).collect();
    format!("{{{} {} [{}]}}", text(scope, "scopeName"), text(scope, "operator"), values.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_resource_has_a_name() {
        let file = |rows: Value| json!({"apiVersion": VERSIONS[0], "kind": "ResourceQuotaConfiguration", "limitedResources": rows});
        assert!(Limited::read(Some(&file(json!([{"resource": "pods"}])))).is_ok());
        assert_eq!(
            Limited::read(Some(&file(json!([{"apiGroup": "apps"}])))).err(),
            Some("limitedResources[0].resource: Required value".into())
        );
        let scope = json!({"scopeName": "PriorityClass", "operator": "In", "values": ["a", "b"]});
        assert_eq!(shown(&scope), "{PriorityClass In [a b]}");
    }
}

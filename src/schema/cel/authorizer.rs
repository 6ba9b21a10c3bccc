//! The `authorizer` variable: what may this user do, asked step by step.

use std::fmt;

use super::error::Fault;
use super::value::{Result, Text, Val};

/// Who answers.
pub trait Authorize: Send + Sync {
    fn authorize(&self, asked: &Asked) -> Decision;
}

/// A question to an authorizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A service account (namespace, name) instead of the user of the request.
    pub service_account: Option<(String, String)>,
    pub verb: String,
    /// Of a question about a URL that is no resource.
    pub path: Option<String>,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub field_selector: String,
    pub label_selector: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub reason: String,
    pub error: Option<String>,
}

/// A question as far as it is asked, or its answer.
#[derive(Clone)]
pub struct Authority<'a> {
    answers: &'a dyn Authorize,
    stage: Stage,
    asked: Asked,
    decision: Decision,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Authorizer,
    Path,
    Group,
    Resource,
    Decision,
}

impl<'a> Authority<'a> {
    /// The variable `authorizer`.
    pub fn new(answers: &'a dyn Authorize) -> Self {
        Self { answers, stage: Stage::Authorizer, asked: Asked::default(), decision: Decision::default() }
    }

    /// The variable `authorizer.requestResource`.
    pub fn of_resource(answers: &'a dyn Authorize, asked: Asked) -> Self {
        Self { answers, stage: Stage::Resource, asked, decision: Decision::default() }
    }

    pub fn type_name(&self) -> &'static str {
        match self.stage {
            Stage::Authorizer => "kubernetes.authorization.Authorizer",
            Stage::Path => "kubernetes.authorization.PathCheck",
            Stage::Group => "kubernetes.authorization.GroupCheck",
            Stage::Resource => "kubernetes.authorization.ResourceCheck",
            Stage::Decision => "kubernetes.authorization.Decision",
        }
    }

    fn at(&self, stage: Stage, set: impl FnOnce(&mut Asked)) -> Self {
        let mut next = Self { stage, ..self.clone() };
        set(&mut next.asked);
        next
    }

    /// One step: (function, its arguments but the first).
    pub fn step(&self, function: &str, args: &[Text<'_>]) -> Result<Val<'a>> {
        let first = args.first().map_or("", |text| &**text);
        let text = first.to_owned();
        let next = match (self.stage, function) {
            (Stage::Authorizer, "path") if first.trim().is_empty() => return Err(Fault::new("path must not be empty")),
            (Stage::Authorizer, "path") => self.at(Stage::Path, |asked| asked.path = Some(text)),
            (Stage::Authorizer, "group") => self.at(Stage::Group, |asked| asked.group = text),
            (Stage::Authorizer, "serviceAccount") => return self.service_account(args),
            (Stage::Group, "resource") if first.trim().is_empty() => {
                return Err(Fault::new("resource must not be empty"));
            }
            (Stage::Group, "resource") => self.at(Stage::Resource, |asked| asked.resource = text),
            (Stage::Resource, "subresource") => self.at(Stage::Resource, |asked| asked.subresource = text),
            (Stage::Resource, "namespace") => self.at(Stage::Resource, |asked| asked.namespace = text),
            (Stage::Resource, "name") => self.at(Stage::Resource, |asked| asked.name = text),
            (Stage::Resource, "fieldSelector") => self.at(Stage::Resource, |asked| asked.field_selector = text),
            (Stage::Resource, "labelSelector") => self.at(Stage::Resource, |asked| asked.label_selector = text),
            (Stage::Path | Stage::Resource, "check") => {
                let mut next = self.at(Stage::Decision, |asked| asked.verb = text);
                next.decision = self.answers.authorize(&next.asked);
                next
            }
            (Stage::Decision, "allowed") => return Ok(Val::Bool(self.decision.allowed)),
            (Stage::Decision, "errored") => return Ok(Val::Bool(self.decision.error.is_some())),
            (Stage::Decision, "error") => return Ok(Val::text(self.decision.error.clone().unwrap_or_default())),
            (Stage::Decision, "reason") => return Ok(Val::text(self.decision.reason.clone())),
            _ => return Err(Fault::overload()),
        };
        Ok(Val::Authority(next.into()))
    }

    fn service_account(&self, args: &[Text<'_>]) -> Result<Val<'a>> {
        use crate::model::syntax::{dns1123_label, dns1123_subdomain};
        let [namespace, name] = args else { return Err(Fault::overload()) };
        if !dns1123_subdomain(name).is_empty() {
            return Err(Fault::new("Invalid service account name"));
        }
        if !dns1123_label(namespace).is_empty() {
            return Err(Fault::new("Invalid service account namespace"));
        }
        let account = (namespace.to_string(), name.to_string());
        let next = self.at(Stage::Authorizer, |asked| asked.service_account = Some(account));
        Ok(Val::Authority(next.into()))
    }
}

impl fmt::Debug for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.type_name(), self.asked)
    }
}

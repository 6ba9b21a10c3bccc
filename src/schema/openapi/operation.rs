//! An operation of the API, before a version of OpenAPI writes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::parameter::Parameter;
use crate::model::names::GroupVersionKind;
use crate::model::value::{Map, Value, json};

/// What may be done on a path.
pub struct Operation<'a> {
    /// `/api/v1/namespaces/{namespace}/pods`.
    pub path: String,
    /// `get`, `put`, ...
    pub method: &'static str,
    pub id: String,
    pub tag: String,
    pub about: String,
    /// `x-kubernetes-action` and `x-kubernetes-group-version-kind`; only operations on resources have them.
    pub action: Option<(&'static str, GroupVersionKind)>,
    /// Of the path and the query.
    pub parameters: Vec<Parameter<'a>>,
    pub body: Option<Body>,
    /// Status code -> what is in the answer.
    pub answers: Vec<(u16, Model)>,
    pub consumes: &'static [&'static str],
    pub produces: &'static [&'static str],
}

/// What is sent along.
pub struct Body {
    pub model: Model,
    pub required: bool,
}

/// The type of a body or an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    Text,
    /// The name of a definition.
    Named(String),
}

/// How a version of OpenAPI refers to a definition.
pub type Prefix = &'static str;

impl Model {
    pub fn schema(&self, prefix: Prefix) -> Value {
        match self {
            Model::Text => json!({"type": "string"}),
            Model::Named(name) => json!({"$ref": format!("{prefix}{name}")}),
        }
    }
}

/// What stock says of a status code.
pub fn answer(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        _ => "Unauthorized",
    }
}

/// The operations of each path, and the parameters that all of a path's operations have: those stand with the path.
pub struct Path<'a> {
    pub operations: Vec<Operation<'a>>,
    pub common: Vec<Parameter<'a>>,
}

/// Paths in order, each with its operations.
pub fn by_path<'a>(operations: impl IntoIterator<Item = Operation<'a>>) -> BTreeMap<String, Path<'a>> {
    let mut paths: BTreeMap<String, Path<'a>> = BTreeMap::new();
    for operation in operations {
        let path = paths.entry(operation.path.clone());
        let path = path.or_insert_with(|| Path { operations: Vec::new(), common: Vec::new() });
        path.operations.push(operation);
    }
    for path in paths.values_mut() {
        path.share();
    }
    paths
}

impl Path<'_> {
    /// Moves what all operations have to the path, and sorts.
    fn share(&mut self) {
        let first = self.operations[0].parameters.iter();
        let everywhere = |p: &&Parameter| self.operations.iter().all(|o| o.parameters.iter().any(|q| p.is(q)));
        self.common = first.filter(everywhere).cloned().collect();
        for operation in &mut self.operations {
            operation.parameters.retain(|p| !self.common.iter().any(|q| p.is(q)));
            operation.parameters.sort_by(Parameter::order);
        }
        self.common.sort_by(Parameter::order);
    }
}

impl Operation<'_> {
    /// The members that both versions write alike.
    pub fn head(&self) -> Map {
        let mut head = Map::new();
        if !self.about.is_empty() {
            head.insert("description".into(), self.about.as_str().into());
        }
        head.insert("tags".into(), json!([self.tag]));
        head.insert("operationId".into(), self.id.as_str().into());
        if let Some((action, kind)) = &self.action {
            head.insert("x-kubernetes-action".into(), (*action).into());
            head.insert("x-kubernetes-group-version-kind".into(), group_version_kind(kind));
        }
        head
    }
}

pub fn group_version_kind(kind: &GroupVersionKind) -> Value {
    json!({"group": kind.group.as_str(), "version": kind.version.as_str(), "kind": kind.kind.as_str()})
}

/// The path under which a group version is served: `/api/v1`, `/apis/apps/v1`.
pub fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// How operations of a group version are named: its tag, and what stands between verb and object.
pub struct Naming {
    pub tag: String,
    infix: String,
}

impl Naming {
    pub fn new(group: &str, version: &str) -> Self {
        let group = if group.is_empty() { "core" } else { group };
        let group = group.strip_suffix(".k8s.io").unwrap_or(group);
        let tag = if version.is_empty() {
            identifier(group, false)
        } else {
            format!("{}_{}", identifier(group, false), identifier(version, false))
        };
        Self { tag, infix: identifier(group, true) + &identifier(version, true) }
    }

    /// `list` and `NamespacedPod` -> `listCoreV1NamespacedPod`.
    pub fn id(&self, verb: &str, object: &str) -> String {
        format!("{verb}{}{}", self.infix, identifier(object, true))
    }
}

/// Letters and digits only; what follows anything else begins with a capital.
fn identifier(text: &str, capital: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut raise = capital;
    for (at, c) in text.char_indices() {
        if c.is_alphabetic() || c == '_' || (at > 0 && c.is_ascii_digit()) {
            if raise {
                out.extend(c.to_uppercase());
            } else {
                out.push(c);
            }
            raise = false;
        } else {
            raise = true;
        }
    }
    out
}

/// `status` -> `Status`.
pub fn title(word: &str) -> String {
    identifier(&word.to_lowercase(), true)
}

/// ` a Pod`: the noun with its article, a blank before each; words in the plural have none.
pub fn with_article(noun: &str) -> Cow<'static, str> {
    if noun.ends_with('s') && !noun.ends_with("ss") {
        return format!(" {noun}").into();
    }
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    format!(" {} {noun}", if vowel { "an" } else { "a" }).into()
}

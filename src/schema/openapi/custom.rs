//! The operations of a custom resource. Stock makes their part of the documents with another builder than the built-in
//! resources', so they differ: no watches, fewer media types, every kind named is the resource's own.

use super::definition;
use super::describe::Descriptions;
use super::operation::{Body, Model, Naming, Operation, root, title, with_article};
use super::parameter::{self, meta, options};
use super::published;
use super::resource::named;
use crate::schema::builtin;
use crate::schema::resource::Resource;

const OBJECTS: &[&str] = &["application/json", "application/yaml"];
const PATCHES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// (method, action, word, options, status codes)
type Verb = (&'static str, &'static str, &'static str, &'static str, &'static [u16]);

const COLLECTION: [Verb; 3] = [
    ("get", "list", "list", "ListOptions", &[200]),
    ("post", "post", "create", "CreateOptions", &[200, 201, 202]),
    ("delete", "deletecollection", "deletecollection", "ListOptions", &[200]),
];
const OBJECT: [Verb; 4] = [
    ("get", "get", "read", "GetOptions", &[200]),
    ("put", "put", "replace", "UpdateOptions", &[200, 201]),
    ("delete", "delete", "delete", "DeleteOptions", &[200, 202]),
    ("patch", "patch", "patch", "PatchOptions", &[200]),
];

/// All operations of a custom resource in one version.
pub fn operations<'a>(resource: &Resource, texts: &'a Descriptions) -> Vec<Operation<'a>> {
    let maker = Maker {
        resource,
        texts,
        naming: Naming::new(&resource.kind.group, &resource.kind.version),
        object: Model::Named(published::name(&resource.kind, &resource.kind.kind)),
        list: Model::Named(published::name(&resource.kind, &resource.list_kind)),
    };
    let mut made = Vec::new();
    if resource.namespaced {
        made.push(maker.everywhere());
    }
    made.extend(COLLECTION.into_iter().map(|verb| maker.operation(verb, "", false)));
    made.extend(OBJECT.into_iter().map(|verb| maker.operation(verb, "", true)));
    for sub in ["status", "scale"].into_iter().filter(|sub| resource.subresource(sub).is_some()) {
        let edits = OBJECT.into_iter().filter(|(method, ..)| *method != "delete");
        made.extend(edits.map(|verb| maker.operation(verb, sub, true)));
    }
    made
}

struct Maker<'r, 'a> {
    resource: &'r Resource,
    texts: &'a Descriptions,
    naming: Naming,
    object: Model,
    list: Model,
}

impl<'a> Maker<'_, 'a> {
    /// The list over all namespaces.
    fn everywhere(&self) -> Operation<'a> {
        let kind = &self.resource.kind;
        let mut operation = self.operation(COLLECTION[0], "", false);
        operation.path = format!("{}/{}", root(&kind.group, &kind.version), self.resource.name.resource);
        operation.id = self.naming.id("list", &format!("{}ForAllNamespaces", kind.kind));
        operation.parameters.retain(|p| p.name != "namespace");
        operation
    }

    fn operation(&self, verb: Verb, sub: &str, item: bool) -> Operation<'a> {
        let (method, action, word, option, codes) = verb;
        let kind = &self.resource.kind;
        let answer = match action {
            "list" => self.list.clone(),
            "delete" | "deletecollection" => named("Status"),
            _ => self.shown(sub),
        };
        let (prefix, rest) = word.split_at(if action == "deletecollection" { "delete".len() } else { word.len() });
        let namespaced = if self.resource.namespaced { "Namespaced" } else { "" };
        Operation {
            path: self.path(sub, item),
            method,
            id: self.naming.id(prefix, &format!("{rest}{namespaced}{}{}", kind.kind, title(sub))),
            tag: self.naming.tag.clone(),
            about: self.about(action, word, sub),
            action: Some((action, kind.clone())),
            parameters: self.parameters(option, item),
            body: self.body(action, sub),
            answers: codes.iter().map(|code| (*code, answer.clone())).collect(),
            consumes: if action == "patch" { PATCHES } else { OBJECTS },
            produces: OBJECTS,
        }
    }

    fn path(&self, sub: &str, item: bool) -> String {
        let kind = &self.resource.kind;
        let mut path = root(&kind.group, &kind.version);
        if self.resource.namespaced {
            path.push_str("/namespaces/{namespace}");
        }
        path.push('/');
        path.push_str(&self.resource.name.resource);
        if item {
            path.push_str("/{name}");
        }
        if !sub.is_empty() {
            path.push('/');
            path.push_str(sub);
        }
        path
    }

    fn parameters(&self, option: &str, item: bool) -> Vec<parameter::Parameter<'a>> {
        let mut parameters = vec![parameter::pretty(self.texts)];
        if self.resource.namespaced {
            parameters.push(parameter::namespace(self.texts));
        }
        if item {
            parameters.push(parameter::name(&self.resource.kind.kind));
        }
        parameters.extend(options(self.texts, meta(option), &[]));
        parameters
    }

    fn body(&self, action: &str, sub: &str) -> Option<Body> {
        let (model, required) = match action {
            "post" | "put" => (self.shown(sub), true),
            "patch" => (named("Patch"), true),
            "delete" => (named("DeleteOptions"), false),
            _ => return None,
        };
        Some(Body { model, required })
    }

    fn shown(&self, sub: &str) -> Model {
        let scale = || builtin::kind("autoscaling", "v1", "Scale").map(|m| Model::Named(definition::name(m)));
        if sub == "scale" { scale().unwrap_or(Model::Text) } else { self.object.clone() }
    }

    fn about(&self, action: &str, word: &str, sub: &str) -> String {
        let kind = &self.resource.kind.kind;
        let of = if sub.is_empty() { String::new() } else { format!(" {sub} of") };
        match action {
            "list" => format!("list{of} objects of kind {kind}"),
            "get" | "put" => format!("{word}{of} the specified {kind}"),
            "patch" => format!("partially update{of} the specified {kind}"),
            "deletecollection" => format!("delete collection of {kind}"),
            _ => format!("{word}{of}{}", with_article(kind)),
        }
    }
}

//! OpenAPI version 3: a document for each group version, and an index of them with the mark of each.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Definitions, Dialect, Scope, reachable};
use super::operation::{Model, Operation, Path, answer, by_path};
use super::parameter::Parameter;
use super::published::{self, Publisher};
use super::source::{Source, VERSION, is_custom};
use super::text::Text;
use super::{custom, fixed, resource};
use crate::model::value::{Map, Value, json};
use crate::schema::catalog::Catalog;
use crate::schema::digest;
use crate::schema::resource::Resource;
use crate::schema::table::MESSAGES;

const PREFIX: &str = "#/components/schemas/";

/// The paths of all documents under `/openapi/v3/`, sorted.
pub fn paths(catalog: &Catalog) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = fixed::everywhere().into_iter().map(|f| f.path).collect();
    for resource in catalog.resources() {
        let kind = &resource.kind;
        paths.insert(version_path(&kind.group, &kind.version));
        if !kind.group.is_empty() && !is_custom(resource) {
            paths.insert(format!("apis/{}", kind.group));
        }
    }
    paths
}

/// The index: each document's path and the address under which its content with this mark is found for ever.
pub fn index<'a>(marks: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let entry = |(path, mark): (&'a str, &'a str)| {
        (path.to_owned(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={mark}")}))
    };
    let paths: Map = marks.into_iter().map(entry).collect();
    bytes(&json!({"paths": paths}))
}

/// The mark of a document's bytes: in the index, and as its ETag.
pub fn mark(document: &[u8]) -> String {
    digest::mark(document)
}

/// The document of a path, as JSON; `None` where there is none.
pub fn document(source: &Source<'_>, path: &str) -> Option<Vec<u8>> {
    if let Some(fixed) = fixed::everywhere().into_iter().find(|f| f.path == path) {
        return Some(single(source, fixed.operation));
    }
    match path.split('/').collect::<Vec<_>>()[..] {
        ["apis", group] if !group.is_empty() => {
            let known = source.catalog.resources().iter().any(|r| r.kind.group == group && !is_custom(r));
            known.then(|| single(source, fixed::group(group).operation))
        }
        ["api", version] => group_version(source, "", version),
        ["apis", group, version] if !group.is_empty() => group_version(source, group, version),
        _ => None,
    }
}

fn version_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn single(source: &Source<'_>, operation: Operation<'_>) -> Vec<u8> {
    let document = Document { source, scope: Scope::All, own: true };
    document.write(by_path([operation]), BTreeMap::new())
}

fn group_version(source: &Source<'_>, group: &str, version: &str) -> Option<Vec<u8>> {
    let here = |r: &&Resource| r.kind.group == group && r.kind.version == version;
    let resources: Vec<&Resource> = source.catalog.resources().iter().map(AsRef::as_ref).filter(here).collect();
    let first = resources.first()?;
    if is_custom(first) {
        return Some(customs(source, &resources));
    }
    let mut operations = vec![fixed::version(group, version).operation];
    for resource in resources.into_iter().filter(|r| !is_custom(r)) {
        operations.extend(resource::operations(resource, source.texts));
    }
    let document = Document { source, scope: Scope::Of(group, version), own: true };
    Some(document.write(by_path(operations), BTreeMap::new()))
}

/// The custom resources of a group version.
fn customs(source: &Source<'_>, resources: &[&Resource]) -> Vec<u8> {
    let publisher = Publisher { dialect: Dialect::V3, texts: source.texts };
    let mut operations = Vec::new();
    let mut schemas = BTreeMap::new();
    for resource in resources.iter().filter(|r| is_custom(r)) {
        let custom = (source.custom)(resource);
        operations.extend(custom::operations(resource, source.texts));
        let kind = &resource.kind;
        schemas.insert(published::name(kind, &kind.kind), publisher.object(resource, &custom));
        schemas.insert(published::name(kind, &resource.list_kind), publisher.list(resource, &custom));
    }
    Document { source, scope: Scope::Clients, own: false }.write(by_path(operations), schemas)
}

struct Document<'a> {
    source: &'a Source<'a>,
    scope: Scope<'a>,
    /// Of built-in resources; those of custom ones bear another title.
    own: bool,
}

impl Document<'_> {
    /// With `customs`, the definitions of the custom resources.
    fn write(&self, paths: BTreeMap<String, Path<'_>>, customs: BTreeMap<String, Value>) -> Vec<u8> {
        let mut text = Text::new(1 << 16);
        let (title, version) = if self.own { ("Kubernetes", VERSION) } else { ("Kubernetes CRD Swagger", "v0.1.0") };
        text.member("openapi", &"3.0.0".into());
        text.member("info", &json!({"title": title, "version": version}));
        let named = models(paths.values().flat_map(|p| &p.operations));
        text.open("paths");
        for (path, item) in paths {
            text.member(&path, &item_value(&item));
        }
        text.close();
        text.open("components");
        if !named.is_empty() {
            text.open("schemas");
            self.schemas(&mut text, &named, customs);
            text.close();
        }
        if self.own {
            let bearer = json!({"type": "apiKey", "name": "authorization", "in": "header",
                "description": "Bearer Token authentication"});
            text.member("securitySchemes", &json!({"BearerToken": bearer}));
        }
        text.close();
        text.end()
    }

    fn schemas(&self, text: &mut Text, named: &BTreeSet<String>, customs: BTreeMap<String, Value>) {
        for (name, schema) in customs {
            text.member(&name, &schema);
        }
        let definitions = Definitions { dialect: Dialect::V3, scope: self.scope, texts: self.source.texts };
        let roots = MESSAGES.iter().filter(|m| named.contains(&super::definition::name(m)));
        // Custom types are no messages, so what they refer to is named here.
        let meta = ["ObjectMeta", "ListMeta"].map(super::parameter::meta);
        let extra = meta.iter().filter(|_| !self.own);
        for (name, message) in reachable(roots.chain(extra).copied()) {
            text.member(&name, &definitions.schema(message));
        }
    }
}

/// The definitions that operations name.
pub(super) fn models<'o, 'a: 'o>(operations: impl Iterator<Item = &'o Operation<'a>>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for operation in operations {
        let body = operation.body.iter().map(|b| &b.model);
        for model in body.chain(operation.answers.iter().map(|(_, model)| model)) {
            if let Model::Named(name) = model
                && !names.contains(name)
            {
                names.insert(name.clone());
            }
        }
    }
    names
}

fn item_value(path: &Path<'_>) -> Value {
    let mut item = Map::new();
    for operation in &path.operations {
        item.insert(operation.method.into(), operation_value(operation));
    }
    if !path.common.is_empty() {
        item.insert("parameters".into(), path.common.iter().map(parameter_value).collect());
    }
    Value::Object(item)
}

fn operation_value(operation: &Operation<'_>) -> Value {
    let mut out = operation.head();
    if !operation.parameters.is_empty() {
        out.insert("parameters".into(), operation.parameters.iter().map(parameter_value).collect());
    }
    if let Some(body) = &operation.body {
        let mut value = json!({"content": content(operation.consumes, &body.model)});
        if body.required {
            value["required"] = true.into();
        }
        out.insert("requestBody".into(), value);
    }
    let mut answers = Map::new();
    for (code, model) in &operation.answers {
        let value = json!({"description": answer(*code), "content": content(operation.produces, model)});
        answers.insert(code.to_string().into(), value);
    }
    answers.insert("401".into(), json!({"description": answer(401)}));
    out.insert("responses".into(), answers.into());
    Value::Object(out)
}

fn content(types: &[&str], model: &Model) -> Value {
    let one = |ty: &&str| ((*ty).to_owned(), json!({"schema": model.schema(PREFIX)}));
    Value::Object(types.iter().map(one).collect())
}

fn parameter_value(parameter: &Parameter<'_>) -> Value {
    let mut value = json!({
        "name": parameter.name,
        "in": parameter.place.name(),
        "schema": {"type": parameter.ty, "uniqueItems": true},
    });
    if parameter.place == super::parameter::Place::Path {
        value["required"] = true.into();
    }
    if !parameter.about.is_empty() {
        value["description"] = parameter.about.as_ref().into();
    }
    value
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a Value is written")
}

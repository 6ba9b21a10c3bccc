//! OpenAPI version 2: all in one document. It is given out piece by piece, so that it is never in memory as a tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use super::definition::{Definitions, Dialect, Scope, name, reachable};
use super::operation::{Body, Model, Operation, Path, answer, by_path};
use super::parameter::{Parameter, Place};
use super::published::{self, Publisher};
use super::source::{Source, VERSION, is_custom};
use super::text::Text;
use super::{custom, fixed, resource, v3};
use crate::model::value::{Map, Value, json};
use crate::schema::table::MESSAGES;

const PREFIX: &str = "#/definitions/";

/// A part of the document that holds many named pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Paths,
    Definitions,
    Parameters,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Paths => "paths",
            Part::Definitions => "definitions",
            Part::Parameters => "parameters",
        }
    }
}

/// Takes the document: first the small members, then the parts in turn, piece by piece.
pub trait Receiver {
    fn member(&mut self, name: &'static str, value: Value);
    fn piece(&mut self, part: Part, name: &str, value: Value);
}

/// The document as JSON.
pub fn document(source: &Source<'_>) -> Vec<u8> {
    let mut written = Written { text: Text::new(3 << 20), open: None };
    build(source, &mut written);
    written.close();
    written.text.end()
}

/// Gives the document to a receiver.
pub fn build(source: &Source<'_>, to: &mut impl Receiver) {
    to.member("swagger", "2.0".into());
    to.member("info", json!({"title": "Kubernetes", "version": VERSION}));
    let bearer = json!({"type": "apiKey", "name": "authorization", "in": "header",
        "description": "Bearer Token authentication"});

    to.member("security", json!([{"BearerToken": []}]));
    to.member("securityDefinitions", json!({"BearerToken": bearer}));

    let paths = by_path(operations(source));
    let mut shared = Shared::default();
    let named = v3::models(paths.values().flat_map(|p| &p.operations));
    for (path, item) in paths {
        to.piece(Part::Paths, &path, item_value(&item, &mut shared));
    }
    definitions(source, &named, to);
    for (name, value) in shared.named {
        to.piece(Part::Parameters, &name, value);
    }
}

fn operations<'a>(source: &'a Source<'a>) -> Vec<Operation<'a>> {
    let mut operations: Vec<Operation> = fixed::everywhere().into_iter().map(|f| f.operation).collect();
    let mut met = BTreeSet::new();
    for resource in source.catalog.resources() {
        if is_custom(resource) {
            operations.extend(custom::operations(resource, source.texts));
            continue;
        }
        let kind = &resource.kind;
        if !kind.group.is_empty() && met.insert((&kind.group, "")) {
            operations.push(fixed::group(&kind.group).operation);
        }
        if met.insert((&kind.group, &kind.version)) {
            operations.push(fixed::version(&kind.group, &kind.version).operation);
        }
        operations.extend(resource::operations(resource, source.texts));
    }
    operations
}

fn definitions(source: &Source<'_>, named: &BTreeSet<String>, to: &mut impl Receiver) {
    let definitions = Definitions { dialect: Dialect::V2, scope: Scope::All, texts: source.texts };
    let publisher = Publisher { dialect: Dialect::V2, texts: source.texts };
    let mut customs: Vec<_> = source.catalog.resources().iter().filter(|r| is_custom(r)).collect();
    customs.sort_by_key(|r| published::name(&r.kind, &r.kind.kind));
    for resource in customs {
        let custom = (source.custom)(resource);
        let kind = &resource.kind;
        to.piece(Part::Definitions, &published::name(kind, &kind.kind), publisher.object(resource, &custom));
        to.piece(Part::Definitions, &published::name(kind, &resource.list_kind), publisher.list(resource, &custom));
    }
    let roots = MESSAGES.iter().filter(|m| named.contains(&name(m))).copied();
    for (name, message) in reachable(roots) {
        to.piece(Part::Definitions, &name, definitions.schema(message));
    }
}

/// Parameters that stand once in the document, by their names: a parameter's own and the hash of what it is.
#[derive(Default)]
struct Shared<'a> {
    named: BTreeMap<String, Value>,
    /// The names of those that were met before: many operations have them.
    met: HashMap<Parameter<'a>, String>,
}

impl<'a> Shared<'a> {
    /// A reference to the parameter, or the parameter itself where it belongs to its operation alone. Old clients look for
    /// `dryRun` and `fieldValidation` where they are used.
    fn parameter(&mut self, parameter: &Parameter<'a>) -> Value {
        let own: &[&str] = match parameter.place {
            Place::Path => &["name"],
            Place::Query => &["name", "dryRun", "fieldValidation"],
        };
        if own.contains(&parameter.name) {
            return parameter_value(parameter);
        }
        if let Some(name) = self.met.get(parameter) {
            return reference(name);
        }
        let name = self.add(parameter.name, parameter_value(parameter));
        let reference = reference(&name);
        self.met.insert(parameter.clone(), name);
        reference
    }

    /// The same of a body: only types that all resources have are shared.
    fn body(&mut self, body: &Body) -> Value {
        let mut value = json!({"name": "body", "in": "body", "schema": body.model.schema(PREFIX)});
        if body.required {
            value["required"] = true.into();
        }
        match &body.model {
            Model::Named(name) if name.starts_with("io.k8s.apimachinery") => reference(&self.add("body", value)),
            _ => value,
        }
    }

    fn add(&mut self, name: &str, value: Value) -> String {
        let name = format!("{name}-{}", short_hash(&ordered(&value)));
        self.named.entry(name.clone()).or_insert(value);
        name
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/parameters/{name}")})
}

/// A parameter with its members in the order in which stock hashes them.
fn ordered(parameter: &Value) -> String {
    let order = ["uniqueItems", "type", "description", "name", "in", "required", "schema"];
    let member = |key: &&str| parameter.get(*key).map(|value| format!("\"{key}\":{value}"));
    let members: Vec<_> = order.iter().filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}

/// Eight characters: the first six bytes of FNV-1 (64 bits).
fn short_hash(text: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
    }
    URL_SAFE.encode(&hash.to_be_bytes()[..6])
}

fn item_value<'a>(path: &Path<'a>, shared: &mut Shared<'a>) -> Value {
    let mut item = Map::new();
    for operation in &path.operations {
        item.insert(operation.method.into(), operation_value(operation, shared));
    }
    if !path.common.is_empty() {
        item.insert("parameters".into(), path.common.iter().map(|p| shared.parameter(p)).collect());
    }
    Value::Object(item)
}

fn operation_value<'a>(operation: &Operation<'a>, shared: &mut Shared<'a>) -> Value {
    let mut out = operation.head();
    if !operation.consumes.is_empty() {
        out.insert("consumes".into(), json!(operation.consumes));
    }
    out.insert("produces".into(), json!(operation.produces));
    out.insert("schemes".into(), json!(["https"]));
    // The body's place in the order of names is that of `body`.
    let (before, after): (Vec<_>, Vec<_>) = operation.parameters.iter().partition(|p| p.name < "body");
    let mut parameters: Vec<Value> = before.into_iter().map(|p| shared.parameter(p)).collect();
    parameters.extend(operation.body.iter().map(|body| shared.body(body)));
    parameters.extend(after.into_iter().map(|p| shared.parameter(p)));
    if !parameters.is_empty() {
        out.insert("parameters".into(), parameters.into());
    }
    let mut answers = Map::new();
    for (code, model) in &operation.answers {
        answers.insert(code.to_string().into(), answer_value(*code, model));
    }
    answers.insert("401".into(), json!({"description": answer(401)}));
    out.insert("responses".into(), answers.into());
    Value::Object(out)
}

fn answer_value(code: u16, model: &Model) -> Value {
    json!({"description": answer(code), "schema": model.schema(PREFIX)})
}

fn parameter_value(parameter: &Parameter<'_>) -> Value {
    let mut value = json!({
        "uniqueItems": true,
        "type": parameter.ty,
        "name": parameter.name,
        "in": parameter.place.name(),
    });
    if parameter.place == Place::Path {
        value["required"] = true.into();
    }
    if !parameter.about.is_empty() {
        value["description"] = parameter.about.as_ref().into();
    }
    value
}

/// Writes JSON as the pieces come.
struct Written {
    text: Text,
    open: Option<Part>,
}

impl Receiver for Written {
    fn member(&mut self, name: &'static str, value: Value) {
        self.text.member(name, &value);
    }

    fn piece(&mut self, part: Part, name: &str, value: Value) {
        if self.open != Some(part) {
            self.close();
            self.text.open(part.name());
            self.open = Some(part);
        }
        self.text.member(name, &value);
    }
}

impl Written {
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.text.close();
        }
    }
}

//! The operations of a built-in resource: they follow from its verbs, its scope and its subresources.

use super::definition;
use super::describe::Descriptions;
use super::operation::{Body, Model, Naming, Operation, root, title, with_article};
use super::parameter::{self, Parameter, meta, options};
use crate::model::names::GroupVersionKind;
use crate::schema::builtin::{self, Row};
use crate::schema::resource::{Resource, Subresource, Verbs};
use crate::schema::table::Message;

/// What objects are sent and answered in.
pub const OBJECTS: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAMS: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
const TEXTS: &[&str] = &["text/plain", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const ANY: &[&str] = &["*/*"];

/// Methods that connect, by the verb that allows each; a proxy that takes all of these takes the last two as well.
const CONNECTS: [(Verbs, &str, &str); 7] = [
    (Verbs::GET, "get", "GET"),
    (Verbs::CREATE, "post", "POST"),
    (Verbs::UPDATE, "put", "PUT"),
    (Verbs::DELETE, "delete", "DELETE"),
    (Verbs::PATCH, "patch", "PATCH"),
    (Verbs::UPDATE, "head", "HEAD"),
    (Verbs::UPDATE, "options", "OPTIONS"),
];

const WATCH_PARAMETER: &str = "deprecated: use the 'watch' parameter with a list operation instead";

/// All operations of a resource and its subresources.
pub fn operations<'a>(resource: &'a Resource, texts: &'a Descriptions) -> Vec<Operation<'a>> {
    let mut maker = Maker::new(resource, texts);
    maker.collection();
    maker.object();
    for sub in &resource.subresources {
        match connected(sub) {
            Some(options) => maker.connect(sub, options),
            None => maker.subresource(sub),
        }
    }
    maker.made
}

/// The options of a subresource that is connected to instead of read and written: they are its kind.
fn connected(sub: &Subresource) -> Option<&'static Message> {
    if sub.kind.kind.ends_with("Options") { builtin::kind("", "v1", &sub.kind.kind) } else { None }
}

struct Maker<'a> {
    resource: &'a Resource,
    row: Option<&'static Row>,
    texts: &'a Descriptions,
    naming: Naming,
    root: String,
    made: Vec<Operation<'a>>,
}

/// Where an operation acts.
#[derive(Clone, Copy, PartialEq)]
enum Target<'s> {
    /// All namespaces of a resource that has them.
    Everywhere,
    Collection,
    Object,
    Sub(&'s str),
}

/// What differs from operation to operation.
struct Verb<'s> {
    method: &'static str,
    action: &'static str,
    /// Before the group and after it: `delete`, `collection`.
    word: (&'static str, &'static str),
    about: String,
    target: Target<'s>,
}

impl<'a> Maker<'a> {
    fn new(resource: &'a Resource, texts: &'a Descriptions) -> Self {
        let kind = &resource.kind;
        Self {
            resource,
            row: builtin::row_of(&kind.group, &kind.version, &resource.name.resource),
            texts,
            naming: Naming::new(&kind.group, &kind.version),
            root: root(&kind.group, &kind.version),
            made: Vec::new(),
        }
    }

    fn has(&self, verb: Verbs) -> bool {
        self.resource.verbs.contains(verb)
    }

    fn kind(&self) -> &'a str {
        &self.resource.kind.kind
    }

    fn collection(&mut self) {
        let kind = self.kind();
        let everywhere = if self.resource.namespaced { Some(Target::Everywhere) } else { None };
        for target in [Target::Collection].into_iter().chain(everywhere) {
            if self.has(Verbs::LIST) {
                let verb = if self.has(Verbs::WATCH) { "list or watch" } else { "list" };
                let about = format!("{verb} objects of kind {kind}");
                self.list(Verb { method: "get", action: "list", word: ("list", ""), about, target });
            }
            if self.has(Verbs::LIST.and(Verbs::WATCH)) {
                let about = format!("watch individual changes to a list of {kind}. {WATCH_PARAMETER}.");
                self.watch(Verb { method: "get", action: "watchlist", word: ("watch", ""), about, target });
            }
        }
        let target = Target::Collection;
        if self.has(Verbs::CREATE) {
            let about = format!("create{}", with_article(kind));
            self.create(Verb { method: "post", action: "post", word: ("create", ""), about, target }, self.model());
        }
        if self.has(Verbs::DELETECOLLECTION) {
            let about = format!("delete collection of {kind}");
            let word = ("delete", "collection");
            self.delete(Verb { method: "delete", action: "deletecollection", word, about, target });
        }
    }

    fn object(&mut self) {
        let kind = self.kind();
        let target = Target::Object;
        self.edit(self.resource.verbs, target, &self.model(), &self.resource.kind);
        if self.has(Verbs::DELETE) {
            let about = format!("delete{}", with_article(kind));
            self.delete(Verb { method: "delete", action: "delete", word: ("delete", ""), about, target });
        }
        if self.has(Verbs::GET.and(Verbs::WATCH)) {
            let filtered = "filtered to a single item with the 'fieldSelector' parameter";
            let about = format!("watch changes to an object of kind {kind}. {WATCH_PARAMETER}, {filtered}.");
            self.watch(Verb { method: "get", action: "watch", word: ("watch", ""), about, target });
        }
    }

    fn subresource(&mut self, sub: &'a Subresource) {
        let kind = self.full_kind(sub);
        let model = model(builtin::kind(&kind.group, &kind.version, &kind.kind));
        let target = Target::Sub(&sub.name);
        self.edit(sub.verbs, target, &model, &kind);
        if sub.verbs.contains(Verbs::CREATE) {
            let about = format!("create {} of{}", sub.name, with_article(self.kind()));
            self.create(Verb { method: "post", action: "post", word: ("create", ""), about, target }, model);
            self.last().action = Some(("post", kind));
        }
    }

    /// Get, update and patch.
    fn edit(&mut self, verbs: Verbs, target: Target<'a>, model: &Model, kind: &GroupVersionKind) {
        let specified = match target {
            Target::Sub(sub) => format!("{sub} of the specified {}", self.kind()),
            _ => format!("the specified {}", self.kind()),
        };
        let first = self.made.len();
        if verbs.contains(Verbs::GET) {
            let about = format!("read {specified}");
            self.push(Verb { method: "get", action: "get", word: ("read", ""), about, target }, OBJECTS);
            self.read(target, model);
        }
        if verbs.contains(Verbs::UPDATE) {
            let about = format!("replace {specified}");
            self.push(Verb { method: "put", action: "put", word: ("replace", ""), about, target }, OBJECTS);
            self.takes(model.clone(), true, "UpdateOptions");
            self.last().answers = vec![(200, model.clone()), (201, model.clone())];
        }
        if verbs.contains(Verbs::PATCH) {
            let about = format!("partially update {specified}");
            self.push(Verb { method: "patch", action: "patch", word: ("patch", ""), about, target }, OBJECTS);
            self.takes(named("Patch"), true, "PatchOptions");
            self.last().answers = vec![(200, model.clone()), (201, model.clone())];
            self.last().consumes = PATCHES;
        }
        for operation in &mut self.made[first..] {
            let action = operation.action.as_ref().map_or("", |(action, _)| action);
            operation.action = Some((action, kind.clone()));
        }
    }

    /// What a get takes and answers: a subresource may have options of its own, and answer with text.
    fn read(&mut self, target: Target<'_>, model: &Model) {
        let special = match target {
            Target::Sub(sub) => self.row.and_then(|row| row.read_options(sub)),
            _ => None,
        };
        let texts = self.texts;
        let parameters = special.into_iter().flat_map(|message| options(texts, message, &[]));
        let answer = if special.is_some() { Model::Text } else { model.clone() };
        let operation = self.last();
        operation.parameters.extend(parameters);
        operation.answers = vec![(200, answer)];
        if special.is_some() {
            operation.produces = TEXTS;
        }
    }

    fn list(&mut self, verb: Verb<'_>) {
        let answer = match self.model() {
            Model::Named(name) => Model::Named(format!("{name}List")),
            Model::Text => Model::Text,
        };
        self.push(verb, STREAMS);
        self.last().answers = vec![(200, answer)];
        let parameters = options(self.texts, meta("ListOptions"), &[]);
        self.last().parameters.extend(parameters);
    }

    fn watch(&mut self, verb: Verb<'_>) {
        self.push(verb, STREAMS);
        self.last().answers = vec![(200, named("WatchEvent"))];
        let parameters = options(self.texts, meta("ListOptions"), &[]);
        self.last().parameters.extend(parameters);
    }

    fn create(&mut self, verb: Verb<'_>, model: Model) {
        self.push(verb, OBJECTS);
        self.takes(model.clone(), true, "CreateOptions");
        self.last().answers = vec![(200, model.clone()), (201, model.clone()), (202, model)];
    }

    fn delete(&mut self, verb: Verb<'_>) {
        let collection = verb.target == Target::Collection;
        let answer =
            if !collection && self.row.is_some_and(|row| row.returns_deleted) { self.model() } else { named("Status") };
        self.push(verb, OBJECTS);
        self.takes(named("DeleteOptions"), false, "DeleteOptions");
        self.last().answers = vec![(200, answer.clone())];
        if collection {
            let parameters = options(self.texts, meta("ListOptions"), &["watch", "allowWatchBookmarks"]);
            self.last().parameters.extend(parameters);
        } else {
            self.last().answers.push((202, answer));
        }
    }

    fn connect(&mut self, sub: &'a Subresource, message: &'static Message) {
        let path_option = message.field("path").is_some();
        let paths: &[&str] = if path_option { &["", "WithPath"] } else { &[""] };
        for suffix in paths {
            for (verb, method, shown) in CONNECTS {
                if !sub.verbs.contains(verb) {
                    continue;
                }
                let about = format!("connect {shown} requests to {} of {}", sub.name, self.kind());
                let target = Target::Sub(&sub.name);
                self.push(Verb { method, action: "connect", word: ("connect", ""), about, target }, ANY);
                let object = format!("{}{}{suffix}", title(method), self.object_name(target));
                let id = self.naming.id("connect", &object);
                let parameters = options(self.texts, message, &[]);
                let operation = self.made.last_mut().expect("just made");
                operation.id = id;
                operation.answers = vec![(200, Model::Text)];
                operation.action = Some(("connect", GroupVersionKind::new("", "v1", message.short_name())));
                operation.parameters.retain(|p| p.name != "pretty");
                operation.parameters.extend(parameters);
                if !suffix.is_empty() {
                    operation.path.push_str("/{path}");
                    operation.parameters.push(parameter::path());
                }
            }
        }
    }

    fn push(&mut self, verb: Verb<'_>, produces: &'static [&'static str]) {
        let watched = verb.word.0 == "watch";
        let mut object = format!("{}{}", verb.word.1, self.object_name(verb.target));
        if verb.action == "watchlist" {
            object.push_str("List");
        }
        if verb.target == Target::Everywhere {
            object.push_str("ForAllNamespaces");
        }
        let mut parameters = vec![parameter::pretty(self.texts)];
        parameters.extend(self.path_parameters(verb.target));
        self.made.push(Operation {
            path: self.path(verb.target, watched),
            method: verb.method,
            id: self.naming.id(verb.word.0, &object),
            tag: self.naming.tag.clone(),
            about: verb.about,
            action: Some((verb.action, self.resource.kind.clone())),
            parameters,
            body: None,
            answers: Vec::new(),
            consumes: ANY,
            produces,
        });
    }

    /// Gives the last operation a body and the parameters of its options.
    fn takes(&mut self, model: Model, required: bool, kind: &str) {
        let parameters = options(self.texts, meta(kind), &[]);
        let operation = self.last();
        operation.body = Some(Body { model, required });
        operation.parameters.extend(parameters);
    }

    fn last(&mut self) -> &mut Operation<'a> {
        self.made.last_mut().expect("an operation was made")
    }

    fn object_name(&self, target: Target<'_>) -> String {
        let namespaced = self.resource.namespaced && target != Target::Everywhere;
        let sub = if let Target::Sub(sub) = target { title(sub) } else { String::new() };
        format!("{}{}{sub}", if namespaced { "Namespaced" } else { "" }, self.kind())
    }

    fn path(&self, target: Target<'_>, watched: bool) -> String {
        let watch = if watched { "/watch" } else { "" };
        let namespaces =
            if self.resource.namespaced && target != Target::Everywhere { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{}{watch}{namespaces}/{}", self.root, self.resource.name.resource);
        match target {
            Target::Everywhere | Target::Collection => collection,
            Target::Object => format!("{collection}/{{name}}"),
            Target::Sub(sub) => format!("{collection}/{{name}}/{sub}"),
        }
    }

    fn path_parameters(&self, target: Target<'_>) -> Vec<Parameter<'a>> {
        let mut parameters = Vec::new();
        if self.resource.namespaced && target != Target::Everywhere {
            parameters.push(parameter::namespace(self.texts));
        }
        if let Target::Object | Target::Sub(_) = target {
            let kind = match target {
                Target::Sub(sub) => self.resource.subresource(sub).map_or(self.kind(), |s| &s.kind.kind),
                _ => self.kind(),
            };
            parameters.push(parameter::name(kind));
        }
        parameters
    }

    fn model(&self) -> Model {
        model(self.resource.shape.message())
    }

    /// A subresource's kind with its group and version, which are empty where they are the resource's.
    fn full_kind(&self, sub: &Subresource) -> GroupVersionKind {
        if sub.kind.version.is_empty() {
            self.resource.kind.group_version().with_kind(&sub.kind.kind)
        } else {
            sub.kind.clone()
        }
    }
}

fn model(message: Option<&'static Message>) -> Model {
    message.map_or(Model::Text, |message| Model::Named(definition::name(message)))
}

/// A type of `meta/v1`.
pub fn named(kind: &str) -> Model {
    model(Some(meta(kind)))
}

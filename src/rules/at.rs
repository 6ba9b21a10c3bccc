//! A value of an object, where it stands and what the schema says of it: what validators are written on.
//!
//! ```text
//! for port in container.at("ports").items() {
//!     port.at("name").check(errs, port_name);
//! }
//! ```
//!
//! Nothing is allocated until an error is written. In debug builds a name that the schema does not have panics.
//! A child points to its parent, so a parent whose child is kept needs a `let` of its own; what is read (`str`,
//! `value`, `strs`) lives as long as the object.

use std::borrow::Cow;

use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::model::quantity::Quantity;
use crate::model::syntax::Texts;
use crate::model::value::{Map, Text, Value};
use crate::schema::table::{Field, Json, Message, Shape};

use super::{same, show};

static NULL: Value = Value::Null;

/// What is demanded of a value; what is wrong is written to the errors.
pub type Rule = fn(&At, &mut FieldErrors);

/// A value and its place. Absent and null read alike; for a field that is no pointer, so does zero.
///
/// `'v` is the object's lifetime, `'p` that of the chain of places, whose links are the `At`s above this one.
#[derive(Clone, Copy)]
pub struct At<'p, 'v> {
    value: &'v Value,
    path: Path<'p>,
    /// Of the root; `None` where there is no static schema.
    root: Option<&'static Message>,
}

impl<'p, 'v> At<'p, 'v> {
    /// The root of an object of this type.
    pub fn new(value: &'v Value, root: Option<&'static Message>) -> Self {
        Self { value, path: Path::Root, root }
    }

    /// A field of this object.
    pub fn at<'s>(&'s self, name: &'s str) -> At<'s, 'v> {
        let child = At { value: self.value.get(name).unwrap_or(&NULL), path: self.path.name(name), root: self.root };
        debug_assert!(child.is_known(), "{} is no field of {:?}", child.path, self.root);
        child
    }

    /// The same value, told at another place, of which the schema says nothing.
    pub fn placed<'s>(&self, path: Path<'s>) -> At<'s, 'v> {
        At { value: self.value, path, root: None }
    }

    /// Items of a list; none when it is absent.
    pub fn items<'s>(&'s self) -> impl DoubleEndedIterator<Item = At<'s, 'v>> + ExactSizeIterator + Clone {
        let items: &'v [Value] = self.value.as_array().map_or(&[], Vec::as_slice);
        items.iter().enumerate().map(|(at, value)| At { value, path: self.path.index(at), root: self.root })
    }

    /// Entries of a map; none when it is absent.
    pub fn entries<'s>(&'s self) -> impl Iterator<Item = (&'v str, At<'s, 'v>)> + Clone {
        let entries: Option<&'v Map> = self.value.as_object();
        let at = |(key, value): (&'v Text, &'v Value)| {
            (key.as_str(), At { value, path: self.path.key(key.as_str()), root: self.root })
        };
        entries.into_iter().flatten().map(at)
    }

    /// An item of a list; absent beyond its end.
    pub fn item<'s>(&'s self, index: usize) -> At<'s, 'v> {
        At { value: self.value.get(index).unwrap_or(&NULL), path: self.path.index(index), root: self.root }
    }

    /// An entry of a map.
    pub fn entry<'s>(&'s self, key: &'s str) -> At<'s, 'v> {
        At { value: self.value.get(key).unwrap_or(&NULL), path: self.path.key(key), root: self.root }
    }

    pub fn value(&self) -> &'v Value {
        self.value
    }

    pub fn path(&self) -> &Path<'p> {
        &self.path
    }

    /// Empty when absent.
    pub fn str(&self) -> &'v str {
        self.value.as_str().unwrap_or("")
    }

    /// The texts of a list of strings.
    pub fn strs(&self) -> impl DoubleEndedIterator<Item = &'v str> + ExactSizeIterator + Clone + use<'v> {
        self.value.as_array().map_or(&[][..], Vec::as_slice).iter().map(|item| item.as_str().unwrap_or(""))
    }

    /// 0 when absent.
    pub fn i64(&self) -> i64 {
        self.value.as_i64().unwrap_or(0)
    }

    /// False when absent.
    pub fn bool(&self) -> bool {
        self.value.as_bool().unwrap_or(false)
    }

    /// Zero when absent. A decoded object holds no bad quantity.
    pub fn quantity(&self) -> Quantity {
        Quantity::from_value(self.value).unwrap_or(Quantity::ZERO)
    }

    pub fn exists(&self) -> bool {
        !self.value.is_null()
    }

    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// Absent, or an empty text, list or object.
    pub fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Written(_) => false,
        }
    }

    /// Items, entries or bytes; 0 when absent.
    pub fn len(&self) -> usize {
        match self.value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => 0,
        }
    }

    /// Whether a field of this object is set.
    pub fn has(&self, name: &str) -> bool {
        self.at(name).exists()
    }

    /// Whether both say the same, as API machinery compares: empty lists equal absent ones, `1000m` equals `1`.
    pub fn same_as(&self, other: &At<'_, '_>) -> bool {
        match self.schema() {
            Schema::Message(message) => same::messages(self.value, other.value, message),
            Schema::Field(field) => same::fields(self.value, other.value, field),
            Schema::Item(field) => same::items(self.value, other.value, field),
            Schema::Unknown | Schema::Missing => same::values(self.value, other.value),
        }
    }

    /// What the schema says of this value. Costs a walk from the root.
    pub fn schema(&self) -> Schema {
        self.root.map_or(Schema::Unknown, |root| Schema::of(&self.path, root))
    }

    fn is_known(&self) -> bool {
        !matches!(self.schema(), Schema::Missing)
    }
}

/// What is wrong with the value, written to `errs`.
impl At<'_, '_> {
    pub fn invalid(&self, errs: &mut FieldErrors, detail: impl Into<Cow<'static, str>>) {
        errs.push(FieldError::invalid(&self.path, self.bad(), detail));
    }

    /// Invalid, but shown with another value than its own.
    pub fn invalid_as(&self, errs: &mut FieldErrors, value: impl Into<Bad>, detail: impl Into<Cow<'static, str>>) {
        errs.push(FieldError::invalid(&self.path, value, detail));
    }

    pub fn required(&self, errs: &mut FieldErrors, detail: impl Into<Cow<'static, str>>) {
        errs.push(FieldError::required(&self.path, detail));
    }

    pub fn forbidden(&self, errs: &mut FieldErrors, detail: impl Into<Cow<'static, str>>) {
        errs.push(FieldError::forbidden(&self.path, detail));
    }

    pub fn duplicate(&self, errs: &mut FieldErrors) {
        errs.push(FieldError::duplicate(&self.path, self.bad()));
    }

    pub fn not_found(&self, errs: &mut FieldErrors) {
        errs.push(FieldError::not_found(&self.path, self.bad()));
    }

    /// `supported` in the order to print.
    pub fn not_supported<T: AsRef<str>>(&self, errs: &mut FieldErrors, supported: &[T]) {
        errs.push(FieldError::not_supported(&self.path, self.bad(), supported));
    }

    /// `most` in bytes.
    pub fn too_long(&self, errs: &mut FieldErrors, most: usize) {
        errs.push(FieldError::too_long(&self.path, most));
    }

    pub fn too_many(&self, errs: &mut FieldErrors, most: usize) {
        errs.push(FieldError::too_many(&self.path, self.len(), most));
    }

    pub fn too_few(&self, errs: &mut FieldErrors, least: usize) {
        errs.push(FieldError::too_few(&self.path, self.len(), least));
    }

    pub fn internal(&self, errs: &mut FieldErrors, detail: impl Into<Cow<'static, str>>) {
        errs.push(FieldError::internal(&self.path, detail));
    }

    /// Invalid once for each text.
    pub fn invalid_each(&self, errs: &mut FieldErrors, texts: Texts) {
        for text in texts {
            self.invalid(errs, text);
        }
    }

    /// Invalid for whatever `check` finds wrong with the text. True when it found nothing.
    pub fn check(&self, errs: &mut FieldErrors, check: impl Fn(&str) -> Texts) -> bool {
        let texts = check(self.str());
        let right = texts.is_empty();
        self.invalid_each(errs, texts);
        right
    }

    /// Invalid unless it says the same as before.
    pub fn immutable(&self, errs: &mut FieldErrors, before: &At<'_, '_>) {
        if !self.same_as(before) {
            self.invalid(errs, "field is immutable");
        }
    }

    /// The value as its errors print it: an absent one as the zero of its type, an object as Go's internal type.
    pub fn bad(&self) -> Bad {
        match (self.value, self.schema()) {
            // Go prints a text of a type of its own as JSON does.
            (value @ Value::String(_), Schema::Field(field) | Schema::Item(field)) if !field.doc.choices.is_empty() => {
                Bad::plain(gotext::json(value))
            }
            // Only texts that are types of their own are rewritten: times, quantities.
            (Value::String(_), schema) if schema.message().is_none() => self.value.into(),
            (value, Schema::Message(message)) => Bad::plain(show::message(value, message)),
            (value, Schema::Field(field)) => Bad::plain(show::field(value, field)),
            (Value::Null, Schema::Item(field)) if field.item_pointer => Bad::plain("null"),
            (value, Schema::Item(field)) => Bad::plain(show::item(value, field)),
            (value, _) => value.into(),
        }
    }
}

/// What the schema says of a value.
#[derive(Clone, Copy)]
pub enum Schema {
    /// An object of this type.
    Message(&'static Message),
    /// The whole of a field: its list, its map or its one value.
    Field(&'static Field),
    /// An item of the field's list, or a value of its map.
    Item(&'static Field),
    /// There is no static schema here.
    Unknown,
    /// There is one, and it has no such field.
    Missing,
}

impl Schema {
    fn of(path: &Path<'_>, root: &'static Message) -> Self {
        match path {
            Path::Root => Schema::Message(root),
            Path::Name(parent, name) => match Self::of(parent, root).message() {
                Some(message) if message.json == Json::Object => {
                    message.field(name).map_or(Self::beside(message, name), Schema::Field)
                }
                Some(_) => Schema::Unknown,
                None => Schema::Missing,
            },
            Path::Index(parent, _) | Path::Key(parent, _) => match Self::of(parent, root) {
                Schema::Field(field) if field.shape != Shape::One => Schema::Item(field),
                Schema::Field(_) | Schema::Unknown => Schema::Unknown,
                _ => Schema::Missing,
            },
        }
    }

    /// JSON shows these, protobuf does not.
    fn beside(message: &Message, name: &str) -> Self {
        if message.object && matches!(name, "apiVersion" | "kind") { Schema::Unknown } else { Schema::Missing }
    }

    /// The type of the value, where it is an object.
    pub fn message(self) -> Option<&'static Message> {
        match self {
            Schema::Message(message) => Some(message),
            Schema::Field(field) if field.shape == Shape::One => field.message(),
            Schema::Item(field) => field.message(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn pod() -> Option<&'static Message> {
        table::message("k8s.io.api.core.v1.Pod")
    }

    #[test]
    fn values_are_read_with_their_place() {
        let object = json!({"kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "ports": [{"containerPort": 80}]}], "hostNetwork": true}});
        let root = At::new(&object, pod());
        let mut seen = Vec::new();
        for container in root.at("spec").at("containers").items() {
            seen.push(format!("{} {}", container.at("name").path(), container.at("name").str()));
            for port in container.at("ports").items() {
                let number = port.at("containerPort");
                seen.push(format!("{} {}", number.path(), number.i64()));
            }
            assert!(container.at("image").is_null() && container.at("env").items().len() == 0);
        }
        for (key, label) in root.at("metadata").at("labels").entries() {
            seen.push(format!("{} {key}={}", label.path(), label.str()));
        }
        let places =
            ["spec.containers[0].name c", "spec.containers[0].ports[0].containerPort 80", "metadata.labels[a] a=b"];
        assert_eq!(seen, places);
        assert!(root.at("spec").at("hostNetwork").bool() && root.at("kind").str() == "Pod");
    }

    #[test]
    fn absent_values_print_as_the_zero_of_their_type() {
        let object = json!({"spec": {"containers": [{"resources": {}}]}});
        let root = At::new(&object, pod());
        let spec = root.at("spec");
        let container = spec.at("containers");
        let container = container.item(0);
        let mut errs = FieldErrors::new();
        container.at("name").invalid(&mut errs, "x");
        spec.at("nodeSelector").invalid(&mut errs, "x");
        spec.at("priority").invalid(&mut errs, "x");
        spec.at("hostPID").invalid(&mut errs, "x");
        container.at("ports").item(0).at("containerPort").invalid(&mut errs, "x");
        container.at("resources").at("limits").entry("cpu").invalid(&mut errs, "x");
        let found: Vec<_> = errs.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "spec.containers[0].name: Invalid value: \"\": x",
                "spec.nodeSelector: Invalid value: null: x",
                "spec.priority: Invalid value: null: x",
                "spec.hostPID: Invalid value: false: x",
                "spec.containers[0].ports[0].containerPort: Invalid value: 0: x",
                "spec.containers[0].resources.limits[cpu]: Invalid value: \"0\": x",
            ]
        );
    }

    #[test]
    fn unchanged_is_judged_by_meaning() {
        let before = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1000m"}}}]}});
        let after = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}, "ports": []}]}});
        let (before, after) = (At::new(&before, pod()), At::new(&after, pod()));
        let mut errs = FieldErrors::new();
        after.at("spec").immutable(&mut errs, &before.at("spec"));
        assert!(errs.is_empty());
        after.at("metadata").at("name").immutable(&mut errs, &before.at("kind"));
        assert!(errs.is_empty());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "spec.contaners is no field of")]
    fn a_name_that_the_schema_does_not_have_panics() {
        At::new(&json!({}), pod()).at("spec").at("contaners");
    }
}

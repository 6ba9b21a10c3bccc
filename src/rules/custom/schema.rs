//! The schema of a CustomResourceDefinition's version, read once: every keyword that means something to a value.

use std::sync::OnceLock;

use ::regex::Regex;

use crate::model::named::Named;
use crate::model::regex;
use crate::model::value::Value;

/// One node of a schema (apiextensions.k8s.io/v1 JSONSchemaProps).
#[derive(Debug, Default)]
pub struct Schema {
    /// Its `type`; empty where there is none.
    pub kind: String,
    pub format: String,
    pub nullable: bool,
    pub default: Option<Value>,
    pub maximum: Option<f64>,
    pub minimum: Option<f64>,
    pub exclusive_maximum: bool,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<f64>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub unique_items: bool,
    pub pattern: Option<Pattern>,
    pub choices: Vec<Value>,
    pub required: Vec<String>,
    pub properties: Named<Schema>,
    pub additional: Option<Additional>,
    pub items: Option<Items>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
    /// `x-kubernetes-preserve-unknown-fields`, when it is said.
    pub preserve: Option<bool>,
    pub embedded: bool,
    pub int_or_string: bool,
    pub list_type: Option<String>,
    pub list_keys: Vec<String>,
    pub map_type: Option<String>,
    pub rules: Vec<Rule>,
    /// `anyOf` says integer or string and nothing else.
    pub any_of_int_or_string: bool,
    pub title: bool,
    pub description: bool,
    /// Keywords of JSON Schema that no structural schema has, in the order of checks, as far as they are said.
    pub foreign: Vec<&'static str>,
    /// Those of them that say nothing: `$ref: ""` and `dependencies: {}`.
    pub hollow: Vec<&'static str>,
    /// In `definitions` and `dependencies`: no value is ever checked against them, but what they say is.
    pub definitions: Named<Schema>,
    pub dependencies: Named<Schema>,
}

/// `additionalProperties`.
#[derive(Debug)]
pub enum Additional {
    Any(bool),
    Schema(Box<Schema>),
}

/// `items`.
#[derive(Debug)]
pub enum Items {
    One(Box<Schema>),
    Each(Vec<Schema>),
}

/// A pattern, compiled when a value is first checked against it.
#[derive(Debug)]
pub struct Pattern {
    pub text: String,
    compiled: OnceLock<Result<Regex, String>>,
}

/// One of `x-kubernetes-validations`.
#[derive(Debug, Default)]
pub struct Rule {
    pub rule: String,
    pub message: String,
    pub message_expression: String,
    pub reason: Option<String>,
    pub field_path: String,
    pub optional_old_self: Option<bool>,
}

/// What [`Schema::foreign`] tells of.
const FOREIGN: [&str; 7] =
    ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"];

impl Schema {
    /// Reads a schema as the definition has it. What does not fit is as if it were not there: the codec lets no such
    /// definition in.
    pub fn read(schema: &Value) -> Self {
        let mut read = Self::own(schema);
        let each = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        let named = |name: &str| {
            let parts = schema.get(name).and_then(Value::as_object).into_iter().flatten();
            parts
                .filter(|(_, part)| part.is_object())
                .map(|(name, part)| (name.to_string(), Self::read(part)))
                .collect()
        };
        read.properties = named("properties");
        read.definitions = named("definitions");
        read.dependencies = named("dependencies");
        read.additional = match schema.get("additionalProperties") {
            Some(Value::Bool(any)) => Some(Additional::Any(*any)),
            Some(part @ Value::Object(_)) => Some(Additional::Schema(Box::new(Self::read(part)))),
            _ => None,
        };
        read.items = match schema.get("items") {
            Some(Value::Array(parts)) => Some(Items::Each(parts.iter().map(Self::read).collect())),
            Some(part @ Value::Object(_)) => Some(Items::One(Box::new(Self::read(part)))),
            _ => None,
        };
        read.all_of = each("allOf").map(Self::read).collect();
        read.any_of = each("anyOf").map(Self::read).collect();
        read.one_of = each("oneOf").map(Self::read).collect();
        read.not = schema.get("not").filter(|part| part.is_object()).map(|part| Box::new(Self::read(part)));
        read.rules = each("x-kubernetes-validations").map(Rule::read).collect();
        read
    }

    /// What a schema says itself, without its parts.
    fn own(schema: &Value) -> Self {
        let text = |name: &str| schema.get(name).and_then(Value::as_str);
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool);
        let float = |name: &str| schema.get(name).and_then(Value::as_f64);
        let int = |name: &str| schema.get(name).and_then(Value::as_i64);
        let each = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        let texts = |name: &str| each(name).filter_map(Value::as_str).map(str::to_owned).collect();
        let pattern = text("pattern").filter(|pattern| !pattern.is_empty());
        Self {
            kind: text("type").unwrap_or_default().to_owned(),
            format: text("format").unwrap_or_default().to_owned(),
            nullable: flag("nullable").unwrap_or(false),
            default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            maximum: float("maximum"),
            minimum: float("minimum"),
            exclusive_maximum: flag("exclusiveMaximum").unwrap_or(false),
            exclusive_minimum: flag("exclusiveMinimum").unwrap_or(false),
            multiple_of: float("multipleOf"),
            max_length: int("maxLength"),
            min_length: int("minLength"),
            max_items: int("maxItems"),
            min_items: int("minItems"),
            max_properties: int("maxProperties"),
            min_properties: int("minProperties"),
            unique_items: flag("uniqueItems").unwrap_or(false),
            pattern: pattern.map(|text| Pattern { text: text.to_owned(), compiled: OnceLock::new() }),
            choices: each("enum").cloned().collect(),
            required: texts("required"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource").unwrap_or(false),
            int_or_string: flag("x-kubernetes-int-or-string").unwrap_or(false),
            list_type: text("x-kubernetes-list-type").map(str::to_owned),
            list_keys: texts("x-kubernetes-list-map-keys"),
            map_type: text("x-kubernetes-map-type").map(str::to_owned),
            any_of_int_or_string: schema.get("anyOf").is_some_and(is_int_or_string),
            title: text("title").is_some_and(|title| !title.is_empty()),
            description: text("description").is_some_and(|description| !description.is_empty()),
            foreign: FOREIGN.into_iter().filter(|name| is_said(name, schema.get(name))).collect(),
            hollow: ["$ref", "dependencies"]
                .into_iter()
                .filter(|name| schema.get(name).is_some_and(is_empty))
                .collect(),
            ..Self::default()
        }
    }

    /// Unknown fields stay.
    pub fn preserves(&self) -> bool {
        self.preserve == Some(true)
    }

    /// The schema of all items.
    pub fn item(&self) -> Option<&Schema> {
        match &self.items {
            Some(Items::One(schema)) => Some(schema),
            _ => None,
        }
    }

    /// The schema of a map's values.
    pub fn values(&self) -> Option<&Schema> {
        match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            _ => None,
        }
    }

    /// The schema of a field or of a map's value.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or_else(|| self.values())
    }

    /// Whether this schema or any within it is such.
    pub fn any(&self, such: &mut dyn FnMut(&Schema) -> bool) -> bool {
        such(self) || self.parts().any(|part| part.any(such))
    }

    /// All schemas within, in the order in which stock looks at them.
    pub fn parts(&self) -> impl Iterator<Item = &Schema> {
        let items: &[Schema] = match &self.items {
            Some(Items::Each(parts)) => parts,
            _ => &[],
        };
        let listed = items.iter().chain(&self.all_of).chain(&self.any_of).chain(&self.one_of);
        let named = self.properties.values().chain(self.values());
        let foreign = self.definitions.values().chain(self.dependencies.values());
        self.item().into_iter().chain(listed).chain(self.not.as_deref()).chain(named).chain(foreign)
    }
}

impl Pattern {
    /// Whether a text matches; the error is Go's, of a pattern that is none.
    pub fn matches(&self, text: &str) -> Result<bool, &str> {
        self.compiled().map(|pattern| pattern.is_match(text))
    }

    pub fn defect(&self) -> Option<&str> {
        self.compiled().err()
    }

    fn compiled(&self) -> Result<&Regex, &str> {
        self.compiled.get_or_init(|| regex::compile(&self.text)).as_ref().map_err(String::as_str)
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            rule: text("rule"),
            message: text("message"),
            message_expression: text("messageExpression"),
            reason: rule.get("reason").and_then(Value::as_str).map(str::to_owned),
            field_path: text("fieldPath"),
            optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
        }
    }
}

fn is_int_or_string(any_of: &Value) -> bool {
    let is = |choice: &Value, kind: &str| {
        choice.as_object().is_some_and(|fields| fields.len() == 1) && choice.get("type").is_some_and(|of| of == kind)
    };
    matches!(any_of.as_array().map(Vec::as_slice), Some([int, text]) if is(int, "integer") && is(text, "string"))
}

/// Pointers are said when they are there, texts and maps when they are not empty.
fn is_empty(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty) || value.as_object().is_some_and(|fields| fields.is_empty())
}

fn is_said(name: &str, value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => name == "$ref" || !text.is_empty(),
        Some(Value::Object(fields)) => matches!(name, "dependencies" | "additionalItems") || !fields.is_empty(),
        Some(_) => true,
    }
}

//! The OpenAPI v2 document in protobuf: gnostic's `openapi.v2.Document`, which old clients ask for.
//!
//! A table says for each form of message which member of the JSON goes into which field. What may stand in a message in
//! one of several forms is told apart as gnostic does.

use crate::codec::wire::{FIXED64, VARINT, put_bytes, put_varint};
use crate::model::value::Value;
use crate::schema::openapi::source::Source;
use crate::schema::openapi::v2::{self, Part, Receiver};

/// The media types by which it is asked for. Clients take the first for a malformed one when it is answered with.
pub const ASKED: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];
/// The media type of the answer.
pub const ANSWERED: &str = ASKED[1];

/// How deep schemas may nest; what is deeper is left out.
const MAX_DEPTH: usize = 256;

/// The document's bytes.
pub fn document(source: &Source<'_>) -> Vec<u8> {
    let mut document = Document::default();
    v2::build(source, &mut document);
    document.finish()
}

/// How a member of the JSON becomes a field.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Integer,
    Double,
    /// A list of texts.
    Texts,
    /// Any JSON, as a message that holds it as text.
    Any,
    Anys,
    One(&'static Form),
    Many(&'static Form),
    /// An object with members of one form: a message with a list of pairs.
    Named(&'static Form),
    /// The types of a schema, one or a list, in a message.
    Types,
    /// A schema in a message, in its field 1.
    Wrapped(&'static Form),
    /// A schema, or true or false.
    SchemaOrBool,
    /// A list of parameters or references to parameters.
    Parameters,
    /// Answers by status code: the pairs' values are wrapped once more.
    Answers,
    /// A list of objects of lists of texts.
    Requirements,
    /// Parameters by name.
    SecurityDefinitions,
}

/// A message: its fields in ascending order, and where members that begin with `x-` go.
struct Form {
    fields: &'static [(&'static str, u32, Kind)],
    extensions: u32,
}

static INFO: Form = Form { fields: &[("title", 1, Kind::Text), ("version", 2, Kind::Text)], extensions: 7 };

static SCHEMA: Form = Form {
    fields: &[
        ("$ref", 1, Kind::Text),
        ("format", 2, Kind::Text),
        ("title", 3, Kind::Text),
        ("description", 4, Kind::Text),
        ("default", 5, Kind::Any),
        ("multipleOf", 6, Kind::Double),
        ("maximum", 7, Kind::Double),
        ("exclusiveMaximum", 8, Kind::Flag),
        ("minimum", 9, Kind::Double),
        ("exclusiveMinimum", 10, Kind::Flag),
        ("maxLength", 11, Kind::Integer),
        ("minLength", 12, Kind::Integer),
        ("pattern", 13, Kind::Text),
        ("maxItems", 14, Kind::Integer),
        ("minItems", 15, Kind::Integer),
        ("uniqueItems", 16, Kind::Flag),
        ("maxProperties", 17, Kind::Integer),
        ("minProperties", 18, Kind::Integer),
        ("required", 19, Kind::Texts),
        ("enum", 20, Kind::Anys),
        ("additionalProperties", 21, Kind::SchemaOrBool),
        ("type", 22, Kind::Types),
        ("items", 23, Kind::Wrapped(&SCHEMA)),
        ("allOf", 24, Kind::Many(&SCHEMA)),
        ("properties", 25, Kind::Named(&SCHEMA)),
        ("externalDocs", 29, Kind::One(&EXTERNAL_DOCS)),
        ("example", 30, Kind::Any),
    ],
    extensions: 31,
};

static EXTERNAL_DOCS: Form = Form { fields: &[("description", 1, Kind::Text), ("url", 2, Kind::Text)], extensions: 3 };

static PATH: Form = Form {
    fields: &[
        ("get", 2, Kind::One(&OPERATION)),
        ("put", 3, Kind::One(&OPERATION)),
        ("post", 4, Kind::One(&OPERATION)),
        ("delete", 5, Kind::One(&OPERATION)),
        ("options", 6, Kind::One(&OPERATION)),
        ("head", 7, Kind::One(&OPERATION)),
        ("patch", 8, Kind::One(&OPERATION)),
        ("parameters", 9, Kind::Parameters),
    ],
    extensions: 10,
};

static OPERATION: Form = Form {
    fields: &[
        ("tags", 1, Kind::Texts),
        ("description", 3, Kind::Text),
        ("operationId", 5, Kind::Text),
        ("produces", 6, Kind::Texts),
        ("consumes", 7, Kind::Texts),
        ("parameters", 8, Kind::Parameters),
        ("responses", 9, Kind::Answers),
        ("schemes", 10, Kind::Texts),
    ],
    extensions: 13,
};

static ANSWER: Form =
    Form { fields: &[("description", 1, Kind::Text), ("schema", 2, Kind::Wrapped(&SCHEMA))], extensions: 5 };

static BODY_PARAMETER: Form = Form {
    fields: &[
        ("description", 1, Kind::Text),
        ("name", 2, Kind::Text),
        ("in", 3, Kind::Text),
        ("required", 4, Kind::Flag),
        ("schema", 5, Kind::One(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY_PARAMETER: Form = Form {
    fields: &[
        ("required", 1, Kind::Flag),
        ("in", 2, Kind::Text),
        ("description", 3, Kind::Text),
        ("name", 4, Kind::Text),
        ("type", 6, Kind::Text),
        ("format", 7, Kind::Text),
        ("uniqueItems", 20, Kind::Flag),
    ],
    extensions: 23,
};

static PATH_PARAMETER: Form = Form {
    fields: &[
        ("required", 1, Kind::Flag),
        ("in", 2, Kind::Text),
        ("description", 3, Kind::Text),
        ("name", 4, Kind::Text),
        ("type", 5, Kind::Text),
        ("format", 6, Kind::Text),
        ("uniqueItems", 19, Kind::Flag),
    ],
    extensions: 22,
};

static REFERENCE: Form = Form { fields: &[("$ref", 1, Kind::Text), ("description", 2, Kind::Text)], extensions: 0 };

static API_KEY: Form = Form {
    fields: &[("type", 1, Kind::Text), ("name", 2, Kind::Text), ("in", 3, Kind::Text), ("description", 4, Kind::Text)],
    extensions: 5,
};

/// The parts come one after another and are put together at the end: a message's length stands before it.
#[derive(Default)]
struct Document {
    swagger: String,
    info: Vec<u8>,
    paths: Vec<u8>,
    definitions: Vec<u8>,
    parameters: Vec<u8>,
    security: Vec<u8>,
}

impl Receiver for Document {
    fn member(&mut self, name: &'static str, value: Value) {
        match name {
            "swagger" => self.swagger = value.as_str().unwrap_or("").into(),
            "info" => self.info = message(&INFO, &value, 0),
            "security" => field(&mut self.security, 12, Kind::Requirements, &value, 0),
            "securityDefinitions" => field(&mut self.security, 13, Kind::SecurityDefinitions, &value, 0),
            other => unreachable!("the document has no {other}"),
        }
    }

    fn piece(&mut self, part: Part, name: &str, value: Value) {
        match part {
            Part::Paths => pair(&mut self.paths, 2, name, &message(&PATH, &value, 0)),
            Part::Definitions => pair(&mut self.definitions, 1, name, &message(&SCHEMA, &value, 0)),
            Part::Parameters => pair(&mut self.parameters, 1, name, &parameter(&value, 0)),
        }
    }
}

impl Document {
    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.paths.len() + self.definitions.len() + self.parameters.len() + 1024);
        put_bytes(&mut out, 1, self.swagger.as_bytes());
        for (number, part) in [(2, self.info), (8, self.paths), (9, self.definitions), (10, self.parameters)] {
            put_bytes(&mut out, number, &part);
        }
        out.extend(self.security);
        out
    }
}

fn message(form: &Form, value: &Value, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(members) = value.as_object().filter(|_| depth < MAX_DEPTH) else { return out };
    for (name, number, kind) in form.fields {
        if let Some(value) = members.get(name) {
            field(&mut out, *number, *kind, value, depth);
        }
    }
    for (name, value) in members.iter().filter(|(name, _)| form.extensions > 0 && name.starts_with("x-")) {
        pair(&mut out, form.extensions, name, &any(value));
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, kind: Kind, value: &Value, depth: usize) {
    let list = || value.as_array().into_iter().flatten();
    match kind {
        Kind::Text => put_bytes(out, number, value.as_str().unwrap_or("").as_bytes()),
        Kind::Texts => list().filter_map(Value::as_str).for_each(|text| put_bytes(out, number, text.as_bytes())),
        Kind::Flag => number_field(out, number, u64::from(value.as_bool().unwrap_or(false))),
        Kind::Integer => number_field(out, number, value.as_i64().unwrap_or(0) as u64),
        Kind::Double => {
            put_varint(out, u64::from(number << 3 | FIXED64));
            out.extend(value.as_f64().unwrap_or(0.0).to_le_bytes());
        }
        Kind::Any => put_bytes(out, number, &any(value)),
        Kind::Anys => list().for_each(|value| put_bytes(out, number, &any(value))),
        Kind::One(form) => put_bytes(out, number, &message(form, value, depth + 1)),
        Kind::Many(form) => list().for_each(|value| put_bytes(out, number, &message(form, value, depth + 1))),
        Kind::Named(form) => put_bytes(out, number, &named(value, |value| message(form, value, depth + 1))),
        Kind::Types => {
            let mut types = Vec::new();
            let one = value.as_str().into_iter();
            one.chain(list().filter_map(Value::as_str)).for_each(|ty| put_bytes(&mut types, 1, ty.as_bytes()));
            put_bytes(out, number, &types);
        }
        Kind::Wrapped(form) => put_bytes(out, number, &wrap(1, &message(form, value, depth + 1))),
        Kind::SchemaOrBool => {
            let mut either = Vec::new();
            match value {
                Value::Bool(allowed) => number_field(&mut either, 2, u64::from(*allowed)),
                schema => put_bytes(&mut either, 1, &message(&SCHEMA, schema, depth + 1)),
            }
            put_bytes(out, number, &either);
        }
        Kind::Parameters => list().for_each(|value| {
            let item = match value.get("$ref") {
                Some(_) => wrap(2, &message(&REFERENCE, value, depth)),
                None => wrap(1, &parameter(value, depth)),
            };
            put_bytes(out, number, &item);
        }),
        Kind::Answers => put_bytes(out, number, &named(value, |value| wrap(1, &message(&ANSWER, value, depth + 1)))),
        Kind::Requirements => list().for_each(|value| {
            let texts = |value: &Value| {
                let mut texts = Vec::new();
                field(&mut texts, 1, Kind::Texts, value, depth);
                texts
            };
            put_bytes(out, number, &named(value, texts));
        }),
        Kind::SecurityDefinitions => {
            put_bytes(out, number, &named(value, |value| wrap(2, &message(&API_KEY, value, depth + 1))));
        }
    }
}

/// A parameter of the body, of the query or of the path.
fn parameter(value: &Value, depth: usize) -> Vec<u8> {
    match value.get("in").and_then(Value::as_str) {
        Some("body") => wrap(1, &message(&BODY_PARAMETER, value, depth)),
        Some("path") => wrap(2, &wrap(4, &message(&PATH_PARAMETER, value, depth))),
        _ => wrap(2, &wrap(3, &message(&QUERY_PARAMETER, value, depth))),
    }
}

/// A message of pairs.
fn named(value: &Value, each: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        pair(&mut out, 1, name, &each(value));
    }
    out
}

/// A field with a name and a message.
fn pair(out: &mut Vec<u8>, number: u32, name: &str, value: &[u8]) {
    let mut pair = Vec::with_capacity(name.len() + value.len() + 12);
    put_bytes(&mut pair, 1, name.as_bytes());
    put_bytes(&mut pair, 2, value);
    put_bytes(out, number, &pair);
}

fn wrap(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    put_bytes(&mut out, number, content);
    out
}

/// JSON is YAML, which the message holds.
fn any(value: &Value) -> Vec<u8> {
    wrap(2, format!("{value}\n").as_bytes())
}

fn number_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number << 3 | VARINT));
    put_varint(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::wire::{Malformed, Reader};
    use crate::model::value::json;
    use crate::schema::catalog::Catalog;
    use crate::schema::openapi::describe::Descriptions;
    use crate::schema::openapi::source::Custom;

    /// The fields of a message with this number.
    fn all(bytes: &[u8], number: u32) -> Result<Vec<&[u8]>, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        while let Some((at, value)) = reader.field()? {
            if at == number {
                found.push(value.bytes()?);
            }
        }
        Ok(found)
    }

    #[test]
    fn the_document_has_the_pieces_of_its_json() -> Result<(), Malformed> {
        let catalog = Catalog::builtin();
        let texts = Descriptions::unpack();
        let source = Source { catalog: &catalog, custom: &|_| Custom::default(), texts: &texts };
        let bytes = document(&source);
        let text: Value = serde_json::from_slice(&v2::document(&source)).expect("JSON");
        assert_eq!(all(&bytes, 1)?, [b"2.0"]);
        for (number, pairs, part) in [(8, 2, "paths"), (9, 1, "definitions"), (10, 1, "parameters")] {
            let part = text[part].as_object().expect("an object");
            let mut names = Vec::new();
            for pair in all(all(&bytes, number)?[0], pairs)? {
                names.push(std::str::from_utf8(all(pair, 1)?[0]).expect("UTF-8"));
            }
            assert_eq!(names, part.keys().collect::<Vec<_>>());
        }
        Ok(())
    }

    #[test]
    fn a_schema_stands_as_gnostic_has_it() {
        let schema = json!({"type": "array", "items": {"$ref": "#/x"}, "minItems": 2, "x-kubernetes-list-type": "set"});
        let wanted = [
            &[15 << 3, 2][..],
            // type: the field's number takes two bytes
            &[0xb2, 0x01, 7, 10, 5],
            b"array",
            &[0xba, 0x01, 7, 10, 5, 10, 3],
            b"#/x",
            &[0xfa, 0x01, 34, 10, 22],
            b"x-kubernetes-list-type",
            &[18, 8, 18, 6],
            b"\"set\"\n",
        ];
        assert_eq!(message(&SCHEMA, &schema, 0), wanted.concat());
    }

    #[test]
    fn parameters_are_told_apart_by_their_place() {
        let kinds = |value: &Value| {
            let bytes = parameter(value, 0);
            let outer = Reader::new(&bytes).field().expect("protobuf").expect("a field");
            let inner = Reader::new(outer.1.bytes().expect("a message")).field().expect("protobuf").expect("a field");
            (outer.0, inner.0)
        };
        assert_eq!(kinds(&json!({"in": "query", "name": "x"})), (2, 3));
        assert_eq!(kinds(&json!({"in": "path", "name": "x"})), (2, 4));
        assert_eq!(kinds(&json!({"in": "body", "name": "body"})), (1, 2));
    }
}

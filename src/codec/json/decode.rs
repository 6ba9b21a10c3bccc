//! JSON of a known type to a sparse value, as Go decodes into a struct: names are case-sensitive, null unsets, the first
//! wrong type is the error; unknown and repeated fields are noted and left out or overwritten.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use super::compact::written;
use super::parse::{Parser, Token, Unreadable, number};
use super::syntax;
use crate::model::duration::Duration;
use crate::model::gotext;
use crate::model::quantity::Quantity;
use crate::model::time::{Precision, Time};
use crate::model::value::{Map, Text, Value};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Strict errors noted at most.
const MAX_NOTES: usize = 100;

/// A decoded object and what strict decoding has against it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Sparse.
    pub value: Value,
    /// `unknown field "spec.x"`, `duplicate field "spec.y"`: in order of appearance, at most 100.
    pub notes: Vec<String>,
}

/// Reads an object of this message. The error is Go's text.
pub fn decode(text: &[u8], message: &'static Message) -> Result<Decoded, String> {
    let mut decoder = Decoder { steps: Vec::new(), notes: Vec::new(), wrong: None };
    let mut parser = Parser::new(text);
    let result = decoder.root(&mut parser, message).and_then(|value| {
        parser.end()?;
        Ok(value)
    });
    match result {
        Ok(value) => match decoder.wrong {
            None => Ok(Decoded { value, notes: decoder.notes }),
            Some(error) => Err(error),
        },
        Err(failure) => Err(syntax::explain(text).unwrap_or_else(|| failure.text(decoder.wrong))),
    }
}

/// Decoding ended early.
enum Failure {
    Unreadable,
    /// A type's own reader refused its text.
    Refused(String),
    /// A type's own reader found this (in Go's words) and wanted that.
    Mistaken(String, &'static str),
}

impl Failure {
    fn text(self, wrong: Option<String>) -> String {
        match self {
            Failure::Refused(text) => text,
            Failure::Mistaken(found, wanted) => {
                format!("json: cannot unmarshal {found} into Go value of type {wanted}")
            }
            Failure::Unreadable => wrong.unwrap_or_else(|| "json: number out of range".into()),
        }
    }
}

impl From<Unreadable> for Failure {
    fn from(_: Unreadable) -> Self {
        Failure::Unreadable
    }
}

type Decode<T> = Result<T, Failure>;

/// A step of the path to the place being read.
enum Step {
    /// A field of this type.
    Field(&'static Message, &'static str),
    /// A name that is no field, or a map's key.
    Key(Text),
    Index(usize),
}

struct Decoder {
    steps: Vec<Step>,
    notes: Vec<String>,
    /// The first value of a wrong type.
    wrong: Option<String>,
}

/// Whose field is being read, for error texts.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The struct; `None` at the root.
    holder: Option<&'static Message>,
    /// The Go type that is wanted.
    wanted: &'a dyn Fn() -> String,
}

impl Decoder {
    fn root(&mut self, parser: &mut Parser<'_>, message: &'static Message) -> Decode<Value> {
        let wanted = || message.go_name().to_owned();
        self.message(parser, message, Place { holder: None, wanted: &wanted }, None).map(|v| v.unwrap_or_default())
    }

    /// `None`: null. `before` is what an earlier field of the same name gave: objects are merged into it.
    fn message(
        &mut self,
        parser: &mut Parser<'_>,
        message: &'static Message,
        place: Place<'_>,
        before: Option<Value>,
    ) -> Decode<Option<Value>> {
        let token = parser.token()?;
        match message.json {
            _ if token == Token::Null => {
                parser.literal(token)?;
                Ok(None)
            }
            Json::Object if token == Token::Object => {
                let base = if let Some(Value::Object(map)) = before { map } else { Map::new() };
                self.object(parser, message, base).map(|map| Some(Value::Object(map)))
            }
            Json::Object => self.wrong_type(parser, token, place),
            Json::Time => time(parser, token, Precision::Seconds).map(Some).map_err(|f| self.placed(f, place)),
            Json::MicroTime => time(parser, token, Precision::Micros).map(Some).map_err(|f| self.placed(f, place)),
            Json::Duration => duration(parser, token).map(Some).map_err(|f| self.placed(f, place)),
            Json::Quantity => quantity(parser, token).map(Some),
            Json::IntOrString => int_or_string(parser, token).map(Some).map_err(|f| self.placed(f, place)),
            Json::Raw => Ok(Some(parser.value()?)),
            Json::Written => Ok(Some(written(parser)?)),
            Json::Items => self.strings(parser, place),
            Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => {
                // Stock reads these by hand, and nothing in them strictly.
                let noted = self.notes.len();
                let read = self.schema_or(parser, token, message, place);
                self.notes.truncate(noted);
                read.map(Some)
            }
        }
    }

    fn object(&mut self, parser: &mut Parser<'_>, message: &'static Message, mut map: Map) -> Decode<Map> {
        let mut seen: Vec<&'static str> = Vec::new();
        parser.object(|parser, key| {
            let Some(field) = message.field(&key) else {
                return self.unknown(parser, message, key.into());
            };
            self.steps.push(Step::Field(message, field.name));
            if seen.contains(&field.name) {
                self.note("duplicate");
            } else {
                seen.push(field.name);
            }
            let before = map.remove(field.name);
            if let Some(value) = self.field(parser, message, field, before)? {
                map.insert(Text::const_new(field.name), value);
            }
            self.steps.pop();
            Ok(())
        })?;
        Ok(map)
    }

    fn unknown(&mut self, parser: &mut Parser<'_>, message: &'static Message, key: Text) -> Decode<()> {
        if message.object && (key == "apiVersion" || key == "kind") {
            return self.type_meta(parser, message, key);
        }
        self.steps.push(Step::Key(key));
        self.note("unknown");
        self.steps.pop();
        Ok(parser.skip()?)
    }

    /// `apiVersion` and `kind`: read for their type's sake; the caller knows them already.
    fn type_meta(&mut self, parser: &mut Parser<'_>, message: &'static Message, key: Text) -> Decode<()> {
        self.steps.push(Step::Key(key));
        let wanted = || "string".to_owned();
        self.string(parser, Place { holder: Some(message), wanted: &wanted })?;
        self.steps.pop();
        Ok(())
    }

    /// The field's value, `None` when it is unset by what is read.
    fn field(
        &mut self,
        parser: &mut Parser<'_>,
        holder: &'static Message,
        field: &'static Field,
        before: Option<Value>,
    ) -> Decode<Option<Value>> {
        let container = || field.go_type();
        let place = Place { holder: Some(holder), wanted: &container };
        match field.shape {
            Shape::One => {
                let value = self.item(parser, holder, field, before)?;
                Ok(value.filter(|v| field.pointer || !is_zero(v, field.ty)))
            }
            Shape::List => self.list(parser, holder, field, place),
            Shape::Map => self.map(parser, holder, field, place, before),
        }
    }

    fn item(
        &mut self,
        parser: &mut Parser<'_>,
        holder: &'static Message,
        field: &'static Field,
        before: Option<Value>,
    ) -> Decode<Option<Value>> {
        let wanted = || field.go_item().to_owned();
        let place = Place { holder: Some(holder), wanted: &wanted };
        match field.ty {
            Type::String => Ok(self.string(parser, place)?.map(Value::from)),
            Type::Bool => match parser.token()? {
                Token::Bool(flag) => {
                    parser.literal(Token::Bool(flag))?;
                    Ok(Some(flag.into()))
                }
                token => self.other(parser, token, place),
            },
            Type::Int32 | Type::Int64 => self.integer(parser, field.ty, place),
            Type::Double => match parser.token()? {
                Token::Number => Ok(Some(Value::Number(number(parser.number()?)?))),
                token => self.other(parser, token, place),
            },
            Type::Bytes => self.bytes(parser, place),
            Type::Message(message) => self.message(parser, message, place, before),
        }
    }

    fn list(
        &mut self,
        parser: &mut Parser<'_>,
        holder: &'static Message,
        field: &'static Field,
        place: Place<'_>,
    ) -> Decode<Option<Value>> {
        let token = parser.token()?;
        if token != Token::Array {
            return self.other(parser, token, place);
        }
        let mut items = Vec::new();
        parser.array(|parser, index| {
            self.steps.push(Step::Index(index));
            let value = self.item(parser, holder, field, None)?;
            items.push(value.unwrap_or_else(|| if field.item_pointer { Value::Null } else { zero(field.ty) }));
            self.steps.pop();
            Ok::<_, Failure>(())
        })?;
        Ok(Some(Value::Array(items)))
    }

    fn map(
        &mut self,
        parser: &mut Parser<'_>,
        holder: &'static Message,
        field: &'static Field,
        place: Place<'_>,
        before: Option<Value>,
    ) -> Decode<Option<Value>> {
        let token = parser.token()?;
        if token != Token::Object {
            return self.other(parser, token, place);
        }
        let mut map = if let Some(Value::Object(map)) = before { map } else { Map::new() };
        // Most maps begin empty: then what is in it was in this text.
        let mut seen = (!map.is_empty()).then(BTreeSet::<Text>::new);
        parser.object(|parser, key| {
            let key = Text::from(key);
            self.steps.push(Step::Key(key.clone()));
            if seen.as_mut().map_or(map.contains_key(&key), |seen| !seen.insert(key.clone())) {
                self.note("duplicate");
            }
            let value = self.item(parser, holder, field, None)?.unwrap_or_else(|| zero(field.ty));
            self.steps.pop();
            map.insert(key, value);
            Ok::<_, Failure>(())
        })?;
        Ok(Some(Value::Object(map)))
    }

    fn string<'p>(&mut self, parser: &mut Parser<'p>, place: Place<'_>) -> Decode<Option<std::borrow::Cow<'p, str>>> {
        match parser.token()? {
            Token::String => Ok(Some(parser.text()?)),
            token => self.other(parser, token, place),
        }
    }

    fn strings(&mut self, parser: &mut Parser<'_>, place: Place<'_>) -> Decode<Option<Value>> {
        let token = parser.token()?;
        if token != Token::Array {
            return self.other(parser, token, place);
        }
        let wanted = || "string".to_owned();
        let mut items = Vec::new();
        parser.array(|parser, _| {
            let item = self.string(parser, Place { holder: place.holder, wanted: &wanted })?;
            items.push(item.unwrap_or_default().into());
            Ok::<_, Failure>(())
        })?;
        Ok(Some(Value::Array(items)))
    }

    fn integer(&mut self, parser: &mut Parser<'_>, ty: Type, place: Place<'_>) -> Decode<Option<Value>> {
        let token = parser.token()?;
        if token != Token::Number {
            return self.other(parser, token, place);
        }
        let literal = parser.number()?;
        let fits = |n: &i64| !matches!(ty, Type::Int32) || i32::try_from(*n).is_ok();
        match literal.parse::<i64>().ok().filter(fits) {
            Some(integer) => Ok(Some(integer.into())),
            None => {
                self.mistaken(&format!("number {literal}"), place);
                Ok(None)
            }
        }
    }

    fn bytes(&mut self, parser: &mut Parser<'_>, place: Place<'_>) -> Decode<Option<Value>> {
        let Some(text) = self.string(parser, place)? else { return Ok(None) };
        match decode_base64(&text) {
            Ok(bytes) => Ok(Some(STANDARD.encode(bytes).into())),
            Err(at) => {
                self.wrong.get_or_insert_with(|| format!("illegal base64 data at input byte {at}"));
                Ok(None)
            }
        }
    }

    fn schema_or(
        &mut self,
        parser: &mut Parser<'_>,
        token: Token,
        message: &'static Message,
        place: Place<'_>,
    ) -> Decode<Value> {
        let schema = message.fields.iter().find(|f| f.name == "schema").and_then(Field::message);
        match (token, message.json, schema) {
            (Token::Object, _, Some(schema)) => Ok(self.message(parser, schema, place, None)?.unwrap_or_default()),
            (Token::Bool(flag), Json::SchemaOrBool, _) => {
                parser.literal(token)?;
                Ok(flag.into())
            }
            (Token::Array, Json::SchemaOrArray | Json::SchemaOrStringArray, _) => {
                let list = message.fields.iter().find(|f| f.shape == Shape::List).ok_or(Failure::Unreadable)?;
                Ok(self.list(parser, message, list, place)?.unwrap_or_default())
            }
            (_, Json::SchemaOrBool, _) => Err(Failure::Refused("boolean or JSON schema expected".into())),
            (_, Json::SchemaOrArray, _) => Err(Failure::Refused("JSON schema or JSON schema array expected".into())),
            _ => Err(Failure::Refused("JSON schema or string array expected".into())),
        }
    }

    /// Null, or a value of a wrong type.
    fn other<T>(&mut self, parser: &mut Parser<'_>, token: Token, place: Place<'_>) -> Decode<Option<T>> {
        if token == Token::Null {
            parser.literal(token)?;
            return Ok(None);
        }
        self.wrong_type(parser, token, place)
    }

    fn wrong_type<T>(&mut self, parser: &mut Parser<'_>, token: Token, place: Place<'_>) -> Decode<Option<T>> {
        self.mistaken(token.word(), place);
        parser.skip()?;
        Ok(None)
    }

    fn mistaken(&mut self, found: &str, place: Place<'_>) {
        if self.wrong.is_none() {
            self.wrong = Some(self.mistake(found, &(place.wanted)(), place));
        }
    }

    fn mistake(&self, found: &str, wanted: &str, place: Place<'_>) -> String {
        match place.holder {
            None => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
            Some(holder) => {
                let fields: Vec<&str> = self.steps.iter().flat_map(Step::fields).collect();
                let (holder, path) = (holder.short_name(), fields.join("."));
                format!("json: cannot unmarshal {found} into Go struct field {holder}.{path} of type {wanted}")
            }
        }
    }

    /// What a type's own reader found wrong, with its place.
    fn placed(&self, failure: Failure, place: Place<'_>) -> Failure {
        match failure {
            Failure::Mistaken(found, wanted) => Failure::Refused(self.mistake(&found, wanted, place)),
            other => other,
        }
    }

    fn note(&mut self, what: &str) {
        if self.notes.len() >= MAX_NOTES {
            return;
        }
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Field(_, name) => join(&mut path, name),
                Step::Key(name) => join(&mut path, name),
            }
        }
        self.notes.push(format!("{what} field {}", gotext::quote(&path)));
    }
}

impl Step {
    /// The names by which Go goes: the types that are embedded on the way, then the field.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let (message, name) = match self {
            Step::Field(message, name) => (Some(*message), Some(*name)),
            Step::Key(name) if name == "kind" || name == "apiVersion" => (None, Some(name.as_str())),
            _ => (None, None),
        };
        let embedded = message.into_iter().flat_map(move |message| message.embedded(name.unwrap_or("")));
        embedded.chain(name)
    }
}

fn join(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// A string that a type's own reader wants.
fn own_string(parser: &mut Parser<'_>, token: Token) -> Decode<String> {
    if token == Token::String {
        return Ok(parser.string()?);
    }
    parser.skip()?;
    Err(Failure::Mistaken(token.word().to_owned(), "string"))
}

fn time(parser: &mut Parser<'_>, token: Token, precision: Precision) -> Decode<Value> {
    let time = Time::parse_as(&own_string(parser, token)?, precision).map_err(Failure::Refused)?;
    Ok(if time.is_zero() { Value::Null } else { Value::String(time.to_text_as(precision)) })
}

fn duration(parser: &mut Parser<'_>, token: Token) -> Decode<Value> {
    let duration = Duration::parse(&own_string(parser, token)?).map_err(Failure::Refused)?;
    Ok(duration.to_string().into())
}

fn quantity(parser: &mut Parser<'_>, token: Token) -> Decode<Value> {
    let text = match token {
        Token::String => parser.string()?,
        Token::Number => parser.number()?.to_owned(),
        _ => {
            parser.skip()?;
            String::new()
        }
    };
    match Quantity::parse(text.trim()) {
        Ok(quantity) => Ok(quantity.to_string().into()),
        Err(error) => Err(Failure::Refused(error.to_string())),
    }
}

fn int_or_string(parser: &mut Parser<'_>, token: Token) -> Decode<Value> {
    match token {
        Token::String => Ok(parser.text()?.into()),
        Token::Number => {
            let literal = parser.number()?;
            let wrong = |_| Failure::Mistaken(format!("number {literal}"), "int32");
            literal.parse::<i32>().map(Value::from).map_err(wrong)
        }
        _ => {
            parser.skip()?;
            Err(Failure::Mistaken(token.word().to_owned(), "int32"))
        }
    }
}

/// What a non-pointer field holds when it is unset.
pub(in crate::codec) fn is_zero(value: &Value, ty: Type) -> bool {
    match (value, ty) {
        (Value::Null, _) => true,
        (Value::String(text), Type::Message(message)) if message.json == Json::Quantity => {
            matches!(text.as_str(), "" | "0")
        }
        (Value::Number(number), Type::Message(message)) if message.json == Json::IntOrString => {
            number.as_i64() == Some(0)
        }
        (_, Type::Message(message)) if !matches!(message.json, Json::Object | Json::Items) => false,
        (Value::Bool(flag), _) => !flag,
        (Value::Number(number), _) => number.as_f64() == Some(0.0),
        (Value::String(text), ty) => text.is_empty() && !matches!(ty, Type::Bytes),
        (Value::Object(map), _) => map.is_empty(),
        (Value::Array(items), _) => items.is_empty(),
        (Value::Written(_), _) => false,
    }
}

/// What null becomes within a list or a map.
pub(super) fn zero(ty: Type) -> Value {
    match ty {
        Type::String | Type::Bytes => "".into(),
        Type::Bool => false.into(),
        Type::Int32 | Type::Int64 => 0.into(),
        Type::Double => 0.0.into(),
        Type::Message(message) => match message.json {
            Json::Object => Value::Object(Map::new()),
            Json::Quantity => "0".into(),
            Json::IntOrString => 0.into(),
            Json::Items => Value::Array(Vec::new()),
            _ => Value::Null,
        },
    }
}

/// Standard base64 with padding; line breaks are skipped. The error is the byte at which Go gives up.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>, usize> {
    const STRICT: GeneralPurpose = GeneralPurpose::new(
        &ALPHABET,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
            .with_decode_allow_trailing_bits(true),
    );
    let clean: String = text.chars().filter(|c| *c != '\n' && *c != '\r').collect();
    STRICT.decode(&clean).map_err(|_| give_up(text.as_bytes()))
}

/// Where Go's decoder stops: at the first byte that cannot be there, or where the text ends within a group of four.
fn give_up(text: &[u8]) -> usize {
    let bytes: Vec<(usize, u8)> =
        text.iter().copied().enumerate().filter(|(_, b)| *b != b'\n' && *b != b'\r').collect();
    let mut group = 0;
    for (place, (at, byte)) in bytes.iter().enumerate() {
        match byte {
            b if b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/' => group = (group + 1) % 4,
            b'=' if group >= 2 => return after_padding(text, &bytes[place..], group),
            _ => return *at,
        }
    }
    text.len() - group
}

/// `bytes` begins with the first `=` of a group that has `letters` letters.
fn after_padding(text: &[u8], bytes: &[(usize, u8)], letters: usize) -> usize {
    let garbage = |rest: &[(usize, u8)]| rest.first().map_or(text.len(), |(at, _)| *at);
    match (letters, &bytes[1..]) {
        (3, rest) => garbage(rest),
        (_, []) => text.len(),
        (_, [(_, b'='), rest @ ..]) => garbage(rest),
        (_, [(at, _), ..]) => at - 1,
    }
}

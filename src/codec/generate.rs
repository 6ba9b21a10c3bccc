//! Generated objects for property tests: any message, filled at random, sparse.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::model::duration::Duration;
use crate::model::time::Time;
use crate::model::value::{Map, Value, json};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// How deep generated objects nest; recursive types end there.
const DEPTH: u32 = 5;
/// Of an object's fields about one in so many is set.
const RARITY: u32 = 4;

/// A sparse value of this message.
pub fn message(message: &'static Message) -> BoxedStrategy<Value> {
    nested(message, DEPTH)
}

fn nested(message: &'static Message, depth: u32) -> BoxedStrategy<Value> {
    match message.json {
        Json::Object => object(message, depth),
        Json::Time => (-60_000_000_000_i64..200_000_000_000)
            .prop_map(|seconds| Time { seconds, nanos: 0 }.to_text().as_str().into())
            .boxed(),
        Json::MicroTime => (0..4_000_000_000_i64, 0..1_000_000_u32)
            .prop_map(|(seconds, micros)| Time { seconds, nanos: micros * 1000 }.to_micros_text().as_str().into())
            .boxed(),
        Json::Duration => (0..1_000_000_i64).prop_map(|ms| Duration(ms * 1_000_000).to_string().into()).boxed(),
        Json::Quantity => (1..1000_i64, "(|m|Ki|Mi|G)").prop_map(|(n, unit)| canonical_quantity(n, &unit)).boxed(),
        Json::IntOrString => prop_oneof![any::<i32>().prop_map(Value::from), text().prop_map(Value::from)].boxed(),
        Json::Raw => prop_oneof![Just(json!({"a": [1, true, null, "x"]})), Just(json!("text")), Just(json!(7))].boxed(),
        Json::Written => Just(Value::Written(r#"{"f:b":{},"f:a":{}}"#.into())).boxed(),
        Json::Items => prop::collection::vec(text(), 0..3).prop_map(Value::from).boxed(),
        Json::SchemaOrBool => any::<bool>().prop_map(Value::from).boxed(),
        Json::SchemaOrArray => Just(json!([{"type": "string"}])).boxed(),
        Json::SchemaOrStringArray => prop::collection::vec(text(), 1..3).prop_map(Value::from).boxed(),
    }
}

fn canonical_quantity(number: i64, unit: &str) -> Value {
    match crate::model::quantity::Quantity::parse(&format!("{number}{unit}")) {
        Ok(quantity) => quantity.to_string().into(),
        Err(_) => Value::Null,
    }
}

fn object(message: &'static Message, depth: u32) -> BoxedStrategy<Value> {
    let mut strategy = Just(Map::new()).boxed();
    if depth == 0 {
        return strategy.prop_map(Value::Object).boxed();
    }
    for field in message.fields {
        let inner: BoxedStrategy<Option<Value>> =
            prop::option::weighted(1.0 / f64::from(RARITY), one(field, depth)).boxed();
        strategy = (strategy, inner)
            .prop_map(move |(mut map, value)| {
                match value {
                    Some(Value::Object(inner)) if field.inline => map.extend(inner),
                    Some(value) if field.pointer || !is_plain_zero(field, &value) => {
                        map.insert(field.name.into(), value);
                    }
                    _ => {}
                }
                map
            })
            .boxed();
    }
    strategy.prop_map(Value::Object).boxed()
}

fn one(field: &'static Field, depth: u32) -> BoxedStrategy<Value> {
    let item: BoxedStrategy<Value> = match field.ty {
        Type::String => text().prop_map(Value::from).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::Int32 => any::<i32>().prop_map(Value::from).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::from).boxed(),
        Type::Double => (1..1000_i32).prop_map(|n| Value::from(f64::from(n) + 0.5)).boxed(),
        Type::Bytes => prop_oneof![Just("aGVsbG8="), Just("AAEC")].prop_map(Value::from).boxed(),
        Type::Message(message) => nested(message, depth - 1),
    };
    match field.shape {
        Shape::One => item,
        Shape::List => prop::collection::vec(item, 1..3).prop_map(Value::from).boxed(),
        Shape::Map => prop::collection::btree_map("[a-z]{1,4}", item, 1..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed(),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z0-9.-]{1,12}", 1 => "[ -~]{0,6}", 1 => "\\PC{0,4}"]
}

fn is_plain_zero(field: &Field, value: &Value) -> bool {
    match (value, field.ty) {
        (Value::Null, _) => true,
        _ if field.shape != Shape::One => false,
        (Value::Number(number), Type::Message(_)) => number.as_i64() == Some(0),
        (_, Type::Message(message)) if message.json != Json::Object => false,
        (Value::String(text), _) => text.is_empty(),
        (Value::Number(number), _) => number.as_f64() == Some(0.0),
        (Value::Bool(flag), _) => !flag,
        (Value::Object(map), _) => map.is_empty(),
        (Value::Array(_) | Value::Written(_), _) => false,
    }
}

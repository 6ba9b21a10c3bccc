//! Metrics of autoscalers, as autoscaling/v1 has them in annotations and autoscaling/v2 in fields.

use super::text::{self, Type};
use crate::model::quantity::Quantity;
use crate::model::value::{Map, Value, json};

/// A field of v1's JSON: its name, its type, whether it stands there when it is zero, and where v2 has it.
type Place = (&'static str, Type, bool, &'static [&'static str]);

/// A kind of metric; its fields in the order of v1's JSON.
struct Kind {
    /// As `type` says it; the field is called so too, beginning in lower case.
    name: &'static str,
    /// What to aim at.
    source: &'static [Place],
    /// What was found.
    status: &'static [Place],
}

const NAME: &[&str] = &["metric", "name"];
const SELECTOR: &[&str] = &["metric", "selector"];
const TARGET: &[&str] = &["target", "value"];
const AVERAGE_TARGET: &[&str] = &["target", "averageValue"];
const CURRENT: &[&str] = &["current", "value"];
const AVERAGE: &[&str] = &["current", "averageValue"];
const UTILIZATION: &[&str] = &["current", "averageUtilization"];
const UTILIZATION_TARGET: &[&str] = &["target", "averageUtilization"];

/// In the order of a metric's JSON.
const KINDS: [Kind; 5] = [
    Kind {
        name: "Object",
        source: &[
            ("target", Type::Reference, true, &["describedObject"]),
            ("metricName", Type::Text, true, NAME),
            ("targetValue", Type::Quantity, true, TARGET),
            ("selector", Type::Selector, false, SELECTOR),
            ("averageValue", Type::Quantity, false, AVERAGE_TARGET),
        ],
        status: &[
            ("target", Type::Reference, true, &["describedObject"]),
            ("metricName", Type::Text, true, NAME),
            ("currentValue", Type::Quantity, true, CURRENT),
            ("selector", Type::Selector, false, SELECTOR),
            ("averageValue", Type::Quantity, false, AVERAGE),
        ],
    },
    Kind {
        name: "Pods",
        source: &[
            ("metricName", Type::Text, true, NAME),
            ("targetAverageValue", Type::Quantity, true, AVERAGE_TARGET),
            ("selector", Type::Selector, false, SELECTOR),
        ],
        status: &[
            ("metricName", Type::Text, true, NAME),
            ("currentAverageValue", Type::Quantity, true, AVERAGE),
            ("selector", Type::Selector, false, SELECTOR),
        ],
    },
    Kind {
        name: "Resource",
        source: &[
            ("name", Type::Text, true, &["name"]),
            ("targetAverageUtilization", Type::Int, false, UTILIZATION_TARGET),
            ("targetAverageValue", Type::Quantity, false, AVERAGE_TARGET),
        ],
        status: &[
            ("name", Type::Text, true, &["name"]),
            ("currentAverageUtilization", Type::Int, false, UTILIZATION),
            ("currentAverageValue", Type::Quantity, true, AVERAGE),
        ],
    },
    Kind {
        name: "ContainerResource",
        source: &[
            ("name", Type::Text, true, &["name"]),
            ("targetAverageUtilization", Type::Int, false, UTILIZATION_TARGET),
            ("targetAverageValue", Type::Quantity, false, AVERAGE_TARGET),
            ("container", Type::Text, true, &["container"]),
        ],
        status: &[
            ("name", Type::Text, true, &["name"]),
            ("currentAverageUtilization", Type::Int, false, UTILIZATION),
            ("currentAverageValue", Type::Quantity, true, AVERAGE),
            ("container", Type::Text, true, &["container"]),
        ],
    },
    Kind {
        name: "External",
        source: &[
            ("metricName", Type::Text, true, NAME),
            ("metricSelector", Type::Selector, false, SELECTOR),
            ("targetValue", Type::Quantity, false, TARGET),
            ("targetAverageValue", Type::Quantity, false, AVERAGE_TARGET),
        ],
        status: &[
            ("metricName", Type::Text, true, NAME),
            ("metricSelector", Type::Selector, false, SELECTOR),
            ("currentValue", Type::Quantity, true, CURRENT),
            ("currentAverageValue", Type::Quantity, false, AVERAGE),
        ],
    },
];

impl Kind {
    fn field(&self) -> String {
        self.name[..1].to_ascii_lowercase() + &self.name[1..]
    }

    fn places(&self, is_status: bool) -> &'static [Place] {
        if is_status { self.status } else { self.source }
    }
}

/// Utilization of the CPU in percent; `part` is `target` or `current`.
pub fn cpu(part: &str, percent: i64) -> Value {
    let mut found = json!({"averageUtilization": percent});
    if part == "target" {
        found["type"] = "Utilization".into();
    }
    json!({"type": "Resource", "resource": {"name": "cpu", part: found}})
}

/// The same of a metric that says it.
pub fn cpu_of(metric: &Value, part: &str) -> Option<i64> {
    let resource = metric.get("resource").filter(|r| metric["type"] == "Resource" && r["name"] == "cpu")?;
    resource[part]["averageUtilization"].as_i64()
}

/// From the JSON of v1's list; `None` when that is wrong.
pub fn read(json: &Value, is_status: bool) -> Option<Vec<Value>> {
    let metric = |json: &Value| {
        let mut out = Map::new();
        text::take(json, "type", Type::Text, &mut out, "type")?;
        for kind in &KINDS {
            let field = kind.field();
            if let Some(source) = text::field(json, &field)? {
                out.insert(field.into(), read_source(kind, source, is_status)?);
            }
        }
        Some(out.into())
    };
    text::items(json)?.iter().map(metric).collect()
}

fn read_source(kind: &Kind, json: &Value, is_status: bool) -> Option<Value> {
    json.as_object()?;
    let mut out = Value::Object(Map::new());
    for (name, ty, always, path) in kind.places(is_status) {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().fold(&mut out, |now, name| &mut now[*name]);
        if parent.is_null() {
            *parent = Value::Object(Map::new());
        }
        let fields = parent.as_object_mut()?;
        text::take(json, name, *ty, fields, last)?;
        if *always && matches!(ty, Type::Quantity) {
            fields.entry(*last).or_insert_with(|| "0".into());
        }
    }
    if !is_status {
        set_target_type(kind, out.get_mut("target")?.as_object_mut()?);
    }
    out.as_object_mut()?.retain(|_, part| part.as_object().is_none_or(|part| !part.is_empty()));
    Some(out)
}

/// v1 has no field for it: it follows from what is set.
fn set_target_type(kind: &Kind, target: &mut Map) {
    let has = |name: &str| target.contains_key(name);
    let ty = match kind.name {
        "Object" if has("averageValue") => "AverageValue",
        "External" if !has("value") => "AverageValue",
        "Object" | "External" => "Value",
        "Resource" | "ContainerResource" if has("averageUtilization") => "Utilization",
        _ => "AverageValue",
    };
    // A zero beside an average is v1's way to leave it out.
    let zero = target.get("value").is_some_and(|v| Quantity::from_value(v).is_ok_and(|q| q.is_zero()));
    if kind.name == "Object" && ty == "AverageValue" && zero {
        target.remove("value");
    }
    target.insert("type".into(), ty.into());
}

/// The JSON of v1's list.
pub fn write(metrics: &[Value], is_status: bool) -> String {
    text::list(metrics.iter().map(|metric| {
        let mut fields = vec![("type".to_owned(), Type::Text.write(metric.get("type")))];
        for kind in &KINDS {
            let field = kind.field();
            if let Some(source) = metric.get(&field).filter(|source| !source.is_null()) {
                fields.push((field, write_source(kind, source, is_status)));
            }
        }
        text::object(fields)
    }))
}

fn write_source(kind: &Kind, source: &Value, is_status: bool) -> String {
    let fields = kind.places(is_status).iter().filter_map(|(name, ty, always, path)| {
        let value = path.iter().try_fold(source, |now, name| now.get(*name)).filter(|value| !value.is_null());
        (*always || value.is_some()).then(|| (*name, ty.write(value)))
    });
    text::object(fields)
}

//! Rows of custom resources: the columns that a CustomResourceDefinition's version asks for.

use std::borrow::Cow;

use super::column::Column;
use super::columns::{AGE_TEXT, NAME};
use super::jsonpath::Path;
use super::row::Row;
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::{gotext, object};

/// The columns of one version of a custom resource.
#[derive(Clone, Debug)]
pub struct Printer {
    /// The columns' definitions, in JSON.
    definitions: Vec<u8>,
    columns: Vec<(String, Path)>,
}

impl Printer {
    /// Of `additionalPrinterColumns`; without any, the age is shown. Columns from the first unreadable path on are left
    /// out.
    pub fn new(columns: &[Value]) -> Self {
        let mut printer = Self { definitions: Vec::new(), columns: Vec::new() };
        NAME.write(&mut printer.definitions);
        if columns.is_empty() {
            printer.add("Age", "date", "", AGE_TEXT, 0, ".metadata.creationTimestamp");
        }
        for column in columns {
            let text = |name| column.get(name).and_then(Value::as_str).unwrap_or("");
            let description = match text("description") {
                "" => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
                description => description.to_owned(),
            };
            let priority = column.get("priority").and_then(Value::as_i64).unwrap_or(0);
            if !printer.add(text("name"), text("type"), text("format"), &description, priority, text("jsonPath")) {
                break;
            }
        }
        printer
    }

    /// Of the scale subresource, by which of its paths the definition names.
    pub fn scale(desired: bool, available: bool) -> Self {
        let mut printer = Self { definitions: Vec::new(), columns: Vec::new() };
        NAME.write(&mut printer.definitions);
        if desired {
            printer.add("Desired", "integer", "", "Number of desired replicas", 0, ".spec.replicas");
        }
        if available {
            printer.add("Available", "integer", "", "Number of actual replicas", 0, ".status.replicas");
        }
        printer.add("Age", "date", "", AGE_TEXT, 0, ".metadata.creationTimestamp");
        printer
    }

    fn add(&mut self, name: &str, kind: &str, format: &str, description: &str, priority: i64, path: &str) -> bool {
        let Ok(path) = Path::parse(path) else { return false };
        self.definitions.push(b',');
        Column { name, kind, format, description, priority }.write(&mut self.definitions);
        self.columns.push((kind.to_owned(), path));
        true
    }

    /// The columns' definitions: the items of a JSON list, without its brackets.
    pub fn definitions(&self) -> &[u8] {
        &self.definitions
    }

    /// Writes the object's cells.
    pub fn cells(&self, row: &mut Row<'_>, value: &Value) {
        row.text(object::name(value));
        for (kind, path) in &self.columns {
            let found = path.find(value).ok().and_then(|found| found.into_iter().next());
            match found {
                Some(value) if kind == "string" => row.text(&printed(&value)),
                Some(value) => cell(row, kind, &value),
                None => row.json(b"null"),
            }
        }
    }
}

/// Any value as text.
fn printed(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("<no value>"),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        Value::Number(number) => Cow::Owned(match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, number) => gotext::float(number.unwrap_or(0.0)),
        }),
        Value::Array(_) | Value::Object(_) | Value::Written(_) => Cow::Owned(gotext::json(value)),
    }
}

/// A value of another type than the column's is null.
fn cell(row: &mut Row<'_>, kind: &str, value: &Value) {
    match (kind, value) {
        ("integer", Value::Number(number)) => {
            row.number(number.as_i64().or(number.as_f64().map(|n| n as i64)).unwrap_or(0));
        }
        ("number", Value::Number(number)) => row.json(number.to_string().as_bytes()),
        ("boolean", Value::Bool(flag)) => row.flag(*flag),
        ("date", Value::String(text)) if text.is_empty() || text == "null" => row.age(None),
        ("date", Value::String(text)) => match Time::parse(text) {
            Ok(time) => row.age(Some(time).filter(|t| !t.is_zero())),
            Err(_) => row.text("<invalid>"),
        },
        _ => row.json(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn cells_are_of_their_columns_types() {
        let columns = [
            json!({"name": "Str", "type": "string", "jsonPath": ".spec.s"}),
            json!({"name": "Int", "type": "integer", "jsonPath": ".spec.i", "priority": 1}),
            json!({"name": "Num", "type": "number", "jsonPath": ".spec.n"}),
            json!({"name": "Bool", "type": "boolean", "jsonPath": ".spec.b", "description": "d"}),
            json!({"name": "When", "type": "date", "jsonPath": ".spec.d"}),
        ];
        let printer = Printer::new(&columns);
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        for (spec, cells) in [
            (
                json!({"s": "x", "i": 3, "n": 2.5, "b": true, "d": "2025-12-31T00:00:00Z"}),
                json!(["a", "x", 3, 2.5, true, "24h"]),
            ),
            (
                json!({"s": 5, "i": "x", "n": "x", "b": "no", "d": "bad"}),
                json!(["a", "5", null, null, null, "<invalid>"]),
            ),
            (json!({"s": null, "i": 1.5, "n": 3, "b": null, "d": 5}), json!(["a", "<no value>", 1, 3, null, null])),
            (json!({"s": {"k": [1, 2.5]}}), json!(["a", "{\"k\":[1,2.5]}", null, null, null, null])),
            (json!({"s": 1e21}), json!(["a", "1e+21", null, null, null, null])),
        ] {
            let mut out = Vec::new();
            let mut row = Row::new(&mut out, now);
            printer.cells(&mut row, &json!({"metadata": {"name": "a"}, "spec": spec}));
            row.end().extend_from_slice(b"null}");
            let shown: Value = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(shown["cells"], cells, "{spec}");
        }
        let definitions: Value = serde_json::from_slice(&[b"[", printer.definitions(), b"]"].concat()).expect("JSON");
        assert_eq!(definitions[2]["priority"], 1);
        assert_eq!(definitions[4]["description"], "d");
        assert_eq!(definitions[1]["description"], "Custom resource definition column (in JSONPath format): .spec.s");
    }

    #[test]
    fn a_wrong_path_ends_the_columns() {
        let columns = [
            json!({"name": "A", "type": "string", "jsonPath": ".a"}),
            json!({"name": "B", "type": "string", "jsonPath": ".b["}),
            json!({"name": "C", "type": "string", "jsonPath": ".c"}),
        ];
        assert_eq!(Printer::new(&columns).columns.len(), 1);
        assert_eq!(Printer::new(&[]).columns.len(), 1);
        assert_eq!(Printer::scale(true, true).columns.len(), 3);
    }
}

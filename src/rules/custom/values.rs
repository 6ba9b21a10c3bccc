//! Whether a value fits its schema, in the words of the original's OpenAPI validator.

use super::correlate::Pair;
use super::formats;
use super::numbers;
use super::outcome::{Outcome, ValueFault};
use super::schema::{Additional, Items, Schema};
use crate::model::field::{FieldErrors, Path};
use crate::model::value::{Map, Number, Value};

/// All that is wrong with a value; of a part that did not change (`pair` has what it was), nothing.
pub fn check(value: &Value, schema: &Schema, pair: Option<Pair<'_>>, path: &Path<'_>, errs: &mut FieldErrors) {
    let mut at = String::new();
    Check { at: &mut at }.part(value, schema, pair).tell(path, errs);
}

struct Check<'c> {
    /// Where the value stands.
    at: &'c mut String,
}

impl Check<'_> {
    /// A part that has a place of its own: what is wrong with it does not count when it was so before.
    fn part(&mut self, value: &Value, schema: &Schema, pair: Option<Pair<'_>>) -> Outcome {
        let mut outcome = self.value(value, schema, pair);
        if !outcome.is_right() && pair.is_some_and(|pair| pair.same()) {
            outcome.faults.clear();
        }
        outcome
    }

    fn within(&mut self, step: &str, value: &Value, schema: &Schema, pair: Option<Pair<'_>>) -> Outcome {
        let length = self.at.len();
        self.at.push_str(step);
        let outcome = self.part(value, schema, pair);
        self.at.truncate(length);
        outcome
    }

    /// Each check that applies counts, and what it counted.
    fn value(&mut self, value: &Value, schema: &Schema, pair: Option<Pair<'_>>) -> Outcome {
        let mut all = Outcome::default();
        if value.is_null() {
            all.merge(self.kind(value, schema));
            self.choices(value, schema, &mut all);
            return all;
        }
        let format = formats::of(schema);
        if schema.int_or_string || !schema.kind.is_empty() || format.is_some() {
            all.merge(self.kind(value, schema));
            all.matches += 1;
        }
        all.merge(self.schemas(value, schema, pair));
        all.matches += 1;
        match value {
            Value::String(text) => {
                self.text(text, schema, &mut all);
                all.matches += 1;
                if let Some(name) = format.filter(|name| formats::is_known(name)) {
                    if !formats::is(name, text) {
                        all.add(ValueFault::mistyped(self.at, name, text));
                    }
                    all.matches += 1;
                }
            }
            Value::Number(number) => {
                all.merge(numbers::check(self.at, number, schema));
                all.matches += 1;
            }
            Value::Array(items) => {
                all.merge(self.items(items, schema, pair));
                all.matches += 1;
            }
            _ => {}
        }
        self.choices(value, schema, &mut all);
        all.matches += u32::from(!schema.choices.is_empty() || !value.is_null());
        if let Value::Object(fields) = value {
            all.merge(self.fields(fields, schema, pair));
            all.matches += 1;
        }
        all.matches += 1;
        all
    }

    fn kind(&self, value: &Value, schema: &Schema) -> Outcome {
        let own = [schema.kind.as_str()];
        let expected: &[&str] = match own {
            _ if schema.int_or_string => &["integer", "string"],
            [""] => &[],
            _ => &own,
        };
        let mistyped = |found: &str| {
            let fault = ValueFault::mistyped(self.at, &expected.join(","), found);
            Outcome { faults: vec![fault], matches: 0 }
        };
        let right = Outcome { faults: Vec::new(), matches: 1 };
        let (found, found_format) = found(value);
        if value.is_null() {
            return if expected.is_empty() || schema.nullable { right } else { mistyped("null") };
        }
        let whole = matches!(value, Value::Number(number) if numbers::is_whole(number));
        let fits = expected.contains(&found)
            || (found == "number" && whole && expected.contains(&"integer"))
            || (found == "integer" && expected.contains(&"number"));
        let numeric = expected.contains(&"number") || expected.contains(&"integer");
        match formats::of(schema) {
            Some(_) if matches!(value, Value::String(_) | Value::Array(_)) && !numeric => right,
            Some(format) if !fits && format != found_format && !matches!(value, Value::String(_) | Value::Array(_)) => {
                let fault = ValueFault::mistyped(self.at, format, found_format);
                Outcome { faults: vec![fault], matches: 0 }
            }
            _ if fits => right,
            _ => mistyped(found),
        }
    }

    /// `anyOf`, `oneOf`, `allOf`, `not`.
    fn schemas(&mut self, value: &Value, schema: &Schema, pair: Option<Pair<'_>>) -> Outcome {
        let mut all = Outcome { faults: Vec::new(), matches: 1 };
        let quoted = |at: &str| crate::model::gotext::quote(at);
        if !schema.any_of.is_empty() {
            let (right, best) = self.alternatives(&schema.any_of, value, pair, true);
            if right == 0 {
                let text = format!("{} must validate at least one schema (anyOf)", quoted(self.at));
                all.add(ValueFault::of_whole(text));
            }
            all.merge(best.unwrap_or_default());
        }
        if !schema.one_of.is_empty() {
            let (right, best) = self.alternatives(&schema.one_of, value, pair, false);
            if right != 1 {
                let why = if right == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {right} valid alternatives")
                };
                let text = format!("{} must validate one and only one schema (oneOf). {why}", quoted(self.at));
                all.add(ValueFault::of_whole(text));
            }
            // Of several that fit, none is told of.
            all.merge(best.filter(|_| right < 2).unwrap_or_default());
        }
        if !schema.all_of.is_empty() {
            let outcomes: Vec<_> = schema.all_of.iter().map(|one| self.value(value, one, pair)).collect();
            let right = outcomes.iter().filter(|outcome| outcome.is_right()).count();
            let count = outcomes.len();
            outcomes.into_iter().for_each(|outcome| all.merge(outcome));
            if right != count {
                let why = if right == 0 { ". None validated" } else { "" };
                let text = format!("{} must validate all the schemas (allOf){why}", quoted(self.at));
                all.add(ValueFault::of_whole(text));
            }
        }
        if let Some(not) = &schema.not
            && self.value(value, not, pair).is_right()
        {
            let text = format!("{} must not validate the schema (not)", quoted(self.at));
            all.add(ValueFault::of_whole(text));
        }
        all
    }

    /// How many fit, and the outcome to tell of: the first that fits, else the one of most matches.
    fn alternatives(
        &mut self,
        schemas: &[Schema],
        value: &Value,
        pair: Option<Pair<'_>>,
        first: bool,
    ) -> (usize, Option<Outcome>) {
        let (mut right, mut best): (usize, Option<Outcome>) = (0, None);
        for schema in schemas {
            let outcome = self.value(value, schema, pair);
            if outcome.is_right() {
                if right == 0 {
                    best = Some(outcome);
                }
                right += 1;
                if first {
                    break;
                }
            } else if right == 0 && best.as_ref().is_none_or(|best| outcome.matches > best.matches) {
                best = Some(outcome);
            }
        }
        (right, best)
    }

    fn text(&self, text: &str, schema: &Schema, all: &mut Outcome) {
        let letters = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(most) = schema.max_length.filter(|most| letters() > *most) {
            all.add(ValueFault::too_long(self.at, most));
        } else if let Some(least) = schema.min_length.filter(|least| letters() < *least) {
            all.add(ValueFault::invalid(self.at, text, &format!("should be at least {least} chars long")));
        } else if let Some(pattern) = &schema.pattern {
            let words = match pattern.matches(text) {
                Ok(true) => return,
                Ok(false) => format!("should match '{}'", pattern.text),
                Err(why) => format!("should match '{}, but pattern is invalid: {why}'", pattern.text),
            };
            all.add(ValueFault::invalid(self.at, text, &words));
        }
    }

    fn items(&mut self, items: &[Value], schema: &Schema, pair: Option<Pair<'_>>) -> Outcome {
        let mut all = Outcome { faults: Vec::new(), matches: 1 };
        let pairs = pair.map(|pair| pair.items()).unwrap_or_default();
        let each: &[Schema] = match &schema.items {
            Some(Items::Each(each)) => each,
            _ => &[],
        };
        for (at, item) in items.iter().enumerate() {
            if let Some(of) = schema.item().or_else(|| each.get(at)) {
                let pair = pairs.get(at).copied().flatten();
                let outcome = self.within(&format!("[{at}]"), item, of, pair);
                all.merge(outcome);
            }
        }
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(least) = schema.min_items.filter(|least| count < *least) {
            all.add(ValueFault::invalid(self.at, count, &format!("should have at least {least} items")));
        }
        if let Some(most) = schema.max_items.filter(|most| count > *most) {
            all.add(ValueFault::too_many(self.at, items.len(), most, "items"));
        }
        if schema.unique_items && items.iter().enumerate().any(|(at, item)| items[..at].contains(item)) {
            all.add(ValueFault::invalid(self.at, "", "shouldn't contain duplicates"));
        }
        all
    }

    fn fields(&mut self, fields: &Map, schema: &Schema, pair: Option<Pair<'_>>) -> Outcome {
        let mut all = Outcome::default();
        let count = i64::try_from(fields.len()).unwrap_or(i64::MAX);
        if let Some(least) = schema.min_properties.filter(|least| count < *least) {
            all.add(ValueFault::invalid(self.at, count, &format!("should have at least {least} properties")));
        }
        if let Some(most) = schema.max_properties.filter(|most| count > *most) {
            all.add(ValueFault::too_many(self.at, fields.len(), most, "properties"));
        }
        let root = self.at.is_empty();
        // What any object is of was made the same in old and new.
        let pair_of = |name: &str| match pair {
            Some(pair) if !(root && matches!(name, "apiVersion" | "kind")) => pair.field(name),
            _ => None,
        };
        for (name, value) in fields.iter().filter(|(name, _)| !schema.properties.contains_key(name.as_str())) {
            match &schema.additional {
                Some(Additional::Any(false)) => {
                    let text = format!("{}.{name} in body is a forbidden property", self.at);
                    all.add(ValueFault::forbidden(self.at, name, text));
                }
                Some(Additional::Schema(of)) => {
                    let outcome = self.within(&format!(".{name}"), value, of, pair_of(name));
                    all.merge(outcome);
                }
                _ => {}
            }
        }
        for (name, of) in schema.properties.iter() {
            if let Some(value) = fields.get(name) {
                let step = if root { name.to_owned() } else { format!(".{name}") };
                let outcome = self.within(&step, value, of, pair_of(name));
                all.merge(outcome);
            }
        }
        for name in schema.required.iter().filter(|name| !fields.contains_key(name)) {
            all.add(ValueFault::required(format!("{}.{name}", self.at)));
        }
        all
    }

    fn choices(&self, value: &Value, schema: &Schema, all: &mut Outcome) {
        if !schema.choices.is_empty() && !schema.choices.iter().any(|choice| is_choice(value, choice)) {
            all.add(ValueFault::not_a_choice(self.at, value, &schema.choices));
        }
    }
}

/// A value's type and format.
fn found(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_i64() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) | Value::Written(_) => ("object", ""),
    }
}

/// Equal, also after Go's conversion to the choice's type: numbers among each other, integers to letters.
fn is_choice(value: &Value, choice: &Value) -> bool {
    match (value, choice) {
        (Value::Null, _) => false,
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Number(number), Value::String(text)) => {
            let letter = number.as_i64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
            letter.is_some_and(|letter| text.chars().eq([letter]))
        }
        (a, b) => a == b,
    }
}

fn same_number(value: &Number, choice: &Number) -> bool {
    match (value.as_i64(), choice.as_i64()) {
        (Some(a), Some(b)) => a == b,
        (None, Some(b)) => value.as_f64().is_some_and(|a| a.trunc() as i64 == b),
        (_, None) => value.as_f64() == choice.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn errors(schema: &Value, value: &Value) -> Vec<String> {
        let (schema, mut errs) = (Schema::read(schema), FieldErrors::new());
        check(value, &schema, None, &Path::Root, &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    /// Checks a field against its schema.
    fn check_field<const N: usize>(rows: [(Value, Value, &str); N]) {
        for (schema, value, expected) in rows {
            let of = json!({"type": "object", "properties": {"f": schema}});
            assert_eq!(errors(&of, &json!({"f": value})).join("; "), expected, "{schema} {value}");
        }
    }

    #[test]
    fn types_and_numbers() {
        check_field([
            (
                json!({"type": "string"}),
                json!(1),
                r#"f: Invalid value: "integer": f in body must be of type string: "integer""#,
            ),
            (json!({"type": "integer"}), json!(1.0), ""),
            (
                json!({"type": "integer"}),
                json!(1.5),
                r#"f: Invalid value: "number": f in body must be of type integer: "number"; <nil>: Invalid value: "": Checked value must be of type integer (default format) in f"#,
            ),
            (
                json!({"type": "integer", "format": "int32"}),
                json!(2147483648_i64),
                r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in f"#,
            ),
            (
                json!({"type": "integer", "maximum": 10.0, "multipleOf": 2.0}),
                json!(11),
                "f: Invalid value: 11: f in body should be a multiple of 2; f: Invalid value: 11: f in body should be less than or equal to 10",
            ),
            (
                json!({"type": "string"}),
                json!(null),
                r#"f: Invalid value: "null": f in body must be of type string: "null""#,
            ),
            (json!({"type": "string", "nullable": true}), json!(null), ""),
            (json!({"type": "string", "maxLength": 1}), json!("ab"), "f: Too long: may not be more than 1 bytes"),
        ]);
    }

    #[test]
    fn texts_lists_and_alternatives() {
        check_field([
            (
                json!({"type": "string", "pattern": "^a$"}),
                json!("b"),
                r#"f: Invalid value: "b": f in body should match '^a$'"#,
            ),
            (
                json!({"type": "string", "enum": ["x", "y"]}),
                json!("z"),
                r#"f: Unsupported value: "z": supported values: "x", "y""#,
            ),
            (
                json!({"x-kubernetes-int-or-string": true}),
                json!({}),
                r#"f: Invalid value: "object": f in body must be of type integer,string: "object""#,
            ),
            (
                json!({"type": "string", "format": "ipv4"}),
                json!("x"),
                r#"f: Invalid value: "x": f in body must be of type ipv4: "x""#,
            ),
            (
                json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
                json!(["a", "b"]),
                "f: Too many: 2: must have at most 1 item",
            ),
            (json!({"type": "object", "required": ["x"]}), json!({}), "f.x: Required value"),
            (
                json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                json!({"a": 1, "b": 1}),
                r#"<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
            ),
            (
                json!({"type": "object", "not": {"required": ["a"]}}),
                json!({"a": 1}),
                r#"<nil>: Invalid value: "": "f" must not validate the schema (not)"#,
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                json!({"k": 1}),
                r#"f.k: Invalid value: "integer": f.k in body must be of type string: "integer""#,
            ),
        ]);
    }

    #[test]
    fn what_did_not_change_is_not_told() {
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "a": {"type": "string", "maxLength": 1}, "b": {"type": "string", "maxLength": 1},
            "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {
                "type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string", "maxLength": 1}}}},
        }}));
        let old = json!({"a": "long", "b": "x", "l": [{"k": "1", "v": "long"}, {"k": "2", "v": "x"}]});
        let new = json!({"a": "long", "b": "long", "l": [{"k": "2", "v": "long"}, {"k": "1", "v": "long"}]});
        let mut errs = FieldErrors::new();
        check(&new, &schema, Some(Pair { new: &new, old: &old, schema: &schema }), &Path::Root, &mut errs);
        let fields: Vec<_> = errs.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["b", "l[0].v"]);
    }
}

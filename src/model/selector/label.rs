//! Label selectors: requirements that an object's labels must all meet.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use smallvec::{SmallVec, smallvec};

use super::super::field::{FieldError, Path, aggregate};
use super::super::{gotext, syntax};
use crate::model::value::{Map, Text, Value};

pub use super::parse::parse;

/// Selects objects by their labels. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Selects no object at all, as an absent selector object does.
    nothing: bool,
    /// By key.
    requirements: Vec<Requirement>,
}

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: CompactString,
    pub operator: Operator,
    values: SmallVec<[CompactString; 1]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    GreaterThan,
    LessThan,
    Exists,
    DoesNotExist,
}

impl Selector {
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn nothing() -> Self {
        Self { nothing: true, requirements: Vec::new() }
    }

    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { nothing: false, requirements }
    }

    /// These labels with these values, unchecked: what `spec.selector` of a Service means.
    pub fn of_labels(labels: &Map) -> Self {
        let equals = |(key, value): (&Text, &Value)| Requirement {
            key: key.as_str().into(),
            operator: Operator::Equals,
            values: smallvec![value.as_str().unwrap_or("").into()],
        };
        Self::new(labels.iter().map(equals).collect())
    }

    /// From a `LabelSelector` object. Null selects nothing, an empty one everything. The error is stock's text.
    pub fn of_object(object: &Value) -> Result<Self, String> {
        if object.is_null() {
            return Ok(Self::nothing());
        }
        let text = |value: &Value| CompactString::from(value.as_str().unwrap_or(""));
        let mut requirements = Vec::new();
        for (key, value) in object["matchLabels"].as_object().into_iter().flatten() {
            requirements.push(Requirement::new(key, Operator::Equals, smallvec![text(value)])?);
        }
        for expression in object["matchExpressions"].as_array().into_iter().flatten() {
            let operator = match expression["operator"].as_str().unwrap_or("") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{} is not a valid label selector operator", gotext::quote(other))),
            };
            let values = expression["values"].as_array().into_iter().flatten().map(text).collect();
            let key = expression["key"].as_str().unwrap_or("");
            requirements.push(Requirement::new(key, operator, values)?);
        }
        Ok(Self::new(requirements))
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// True when every object is selected.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// Whether labels given by a lookup meet all requirements.
    pub fn matches_by<T: AsRef<str>>(&self, lookup: impl Fn(&str) -> Option<T>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(lookup(&r.key).as_ref().map(AsRef::as_ref)))
    }

    /// Whether labels in any order meet all requirements. Walks them once a requirement.
    pub fn matches<'a, I>(&self, labels: I) -> bool
    where
        I: IntoIterator<Item = (&'a str, &'a str)> + Clone,
    {
        self.matches_by(|key| labels.clone().into_iter().find(|(k, _)| *k == key).map(|(_, value)| value))
    }

    /// Whether an object's `metadata.labels` meet all requirements.
    pub fn matches_map(&self, labels: Option<&Map>) -> bool {
        self.matches_by(|key| labels?.get(key)?.as_str())
    }

    /// The one value that the label must have, where the first requirement of it says so.
    pub fn exact_match(&self, key: &str) -> Option<&str> {
        let requirement = self.requirements.iter().find(|r| r.key == key)?;
        match (requirement.operator, requirement.values.as_slice()) {
            (Operator::In | Operator::Equals | Operator::DoubleEquals, [value]) => Some(value),
            _ => None,
        }
    }
}

impl Requirement {
    /// Checked as stock does; the error is its text.
    pub fn new(key: &str, operator: Operator, values: SmallVec<[CompactString; 1]>) -> Result<Self, String> {
        let mut wrong = Vec::new();
        check_key(&Path::Root.name("key"), key, &mut wrong);
        let path = Path::Root.name("values");
        let found = if values.is_empty() { Value::Null } else { values.iter().map(CompactString::as_str).collect() };
        if let Some(detail) = operator.miscounted(values.len()) {
            wrong.push(FieldError::invalid(&path, &found, detail));
        }
        for (at, value) in values.iter().enumerate() {
            if matches!(operator, Operator::GreaterThan | Operator::LessThan) && value.parse::<i64>().is_err() {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                wrong.push(FieldError::invalid(&path.index(at), value.as_str(), detail));
            }
        }
        for (at, value) in values.iter().enumerate() {
            let texts = syntax::label_value(value);
            if !texts.is_empty() {
                wrong.push(FieldError::invalid(&path.index(at).key(key), value.as_str(), texts.join("; ")));
            }
        }
        if !wrong.is_empty() {
            return Err(aggregate(wrong.iter().map(|e| Cow::Owned(e.to_string()))));
        }
        Ok(Self { key: key.into(), operator, values })
    }

    pub fn values(&self) -> &[CompactString] {
        &self.values
    }

    /// Whether a label with this value, or no such label, meets it.
    pub fn matches(&self, value: Option<&str>) -> bool {
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(|v| self.has(v)),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(|v| self.has(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let bound = self.values.first().and_then(|v| v.parse::<i64>().ok());
                let value = value.and_then(|v| v.parse::<i64>().ok());
                match (value, bound) {
                    (Some(value), Some(bound)) if self.operator == Operator::GreaterThan => value > bound,
                    (Some(value), Some(bound)) => value < bound,
                    _ => false,
                }
            }
        }
    }

    fn has(&self, value: &str) -> bool {
        self.values.iter().any(|v| v == value)
    }
}

impl Operator {
    fn miscounted(self, values: usize) -> Option<&'static str> {
        match self {
            Operator::In | Operator::NotIn if values == 0 => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if values != 0 => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if values != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        }
    }
}

pub(super) fn check_key(path: &Path<'_>, key: &str, wrong: &mut Vec<FieldError>) {
    let texts = syntax::label_key(key);
    if !texts.is_empty() {
        wrong.push(FieldError::invalid(path, key, texts.join("; ")));
    }
}

/// The form that [`parse`] reads: requirements by key, their values sorted.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, between, after) = match self.operator {
            Operator::In => ("", " in (", ")"),
            Operator::NotIn => ("", " notin (", ")"),
            Operator::Equals => ("", "=", ""),
            Operator::DoubleEquals => ("", "==", ""),
            Operator::NotEquals => ("", "!=", ""),
            Operator::GreaterThan => ("", ">", ""),
            Operator::LessThan => ("", "<", ""),
            Operator::Exists => return f.write_str(&self.key),
            Operator::DoesNotExist => return write!(f, "!{}", self.key),
        };
        let mut values: SmallVec<[&str; 8]> = self.values.iter().map(CompactString::as_str).collect();
        values.sort_unstable();
        write!(f, "{before}{}{between}{}{after}", self.key, values.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        parse(selector).expect(selector).matches(labels.iter().copied())
    }

    #[test]
    fn labels_are_matched() {
        let labels = [("app", "web"), ("tier", "front"), ("n", "5")];
        for (selector, selected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (web,db),other notin (x)", true),
            ("app,!other", true),
            ("other", false),
            ("app!=web", false),
            ("other=", false),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app>1", false),
        ] {
            assert_eq!(selects(selector, &labels), selected, "{selector}");
        }
    }

    #[test]
    fn objects_become_selectors() {
        for (object, text) in [
            (json!({}), Ok("")),
            (json!({"matchLabels": {"b": "2", "a": "1"}}), Ok("a=1,b=2")),
            (
                json!({"matchLabels": {"z": "1"}, "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["y", "x"]}, {"key": "b", "operator": "DoesNotExist"}]}),
                Ok("a in (x,y),!b,z=1"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Is"}]}),
                Err("\"Is\" is not a valid label selector operator"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
                Err("values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}),
                Err("values: Invalid value: [\"x\"]: values set must be empty for exists and does not exist"),
            ),
        ] {
            let selector = Selector::of_object(&object).map(|s| s.to_string());
            assert_eq!(selector.as_deref().map_err(String::as_str), text, "{object}");
        }
        assert!(Selector::of_object(&Value::Null).is_ok_and(|s| s.is_nothing() && !s.matches_map(None)));
    }

    #[test]
    fn an_exact_match_is_found() {
        let selector = parse("a in (x),b in (x,y),c=z,d!=z").expect("a selector");
        for (key, value) in [("a", Some("x")), ("b", None), ("c", Some("z")), ("d", None), ("e", None)] {
            assert_eq!(selector.exact_match(key), value, "{key}");
        }
    }
}

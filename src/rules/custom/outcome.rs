//! What checking a value against a schema found, as the original's validator counts and words it.

use crate::model::field::{Bad, Fault, FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::model::value::Value;

/// Errors, and how many checks applied: of several schemas none of which fits, the one with most is told of.
#[derive(Debug, Default)]
pub struct Outcome {
    pub faults: Vec<ValueFault>,
    pub matches: u32,
}

/// One thing wrong with a value.
#[derive(Debug)]
pub struct ValueFault {
    /// By which two are the same.
    text: String,
    /// Where in the value; `None` where the whole is told of.
    at: Option<String>,
    kind: Fault,
    value: Bad,
    detail: Detail,
}

#[derive(Debug)]
enum Detail {
    None,
    /// The text itself.
    Text,
    Own(String),
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.faults.is_empty()
    }

    pub fn merge(&mut self, other: Self) {
        for fault in other.faults {
            self.add(fault);
        }
        self.matches += other.matches;
    }

    /// Once.
    pub fn add(&mut self, fault: ValueFault) {
        if !self.faults.iter().any(|known| known.text == fault.text) {
            self.faults.push(fault);
        }
    }

    /// As errors of an object whose part at `path` was checked.
    pub fn tell(self, path: &Path<'_>, errs: &mut FieldErrors) {
        for fault in self.faults {
            let detail = match fault.detail {
                Detail::None => String::new(),
                Detail::Text => fault.text,
                Detail::Own(detail) => detail,
            };
            let name = fault.at.as_deref().map(|at| at.strip_prefix('.').unwrap_or(at)).filter(|at| !at.is_empty());
            let error = match name {
                Some(name) => FieldError::new(fault.kind, &path.name(name), fault.value, detail),
                None => FieldError::new(fault.kind, path, fault.value, detail),
            };
            errs.push(error);
        }
    }
}

impl ValueFault {
    /// Invalid, in the validator's words.
    pub fn invalid(at: &str, value: impl Into<Bad>, words: &str) -> Self {
        Self::new(at, Fault::Invalid, value, format!("{at} in body {words}"))
    }

    /// Of the wrong type.
    pub fn mistyped(at: &str, expected: &str, found: &str) -> Self {
        let words = format!("{at} in body must be of type {expected}: {}", gotext::quote(found));
        Self::new(at, Fault::TypeInvalid, found, words)
    }

    pub fn required(at: String) -> Self {
        let text = format!("{at} in body is required");
        Self { text, at: Some(at), kind: Fault::Required, value: Bad::plain(""), detail: Detail::None }
    }

    pub fn not_a_choice(at: &str, value: &Value, choices: &[Value]) -> Self {
        let shown: Vec<_> = choices.iter().map(gotext::value).collect();
        let text = format!("{at} in body should be one of [{}]", shown.join(" "));
        let name = |choice: &Value| match choice {
            Value::String(text) => gotext::quote(text),
            other => gotext::quote(&gotext::json(other)),
        };
        let supported: Vec<_> = choices.iter().map(name).collect();
        let detail = Detail::Own(format!("supported values: {}", supported.join(", ")));
        Self { text, at: Some(at.to_owned()), kind: Fault::NotSupported, value: bad(value), detail }
    }

    pub fn too_long(at: &str, most: i64) -> Self {
        let text = format!("{at} in body should be at most {most} chars long");
        let detail = match most {
            0.. => format!("may not be more than {most} bytes"),
            _ => "value is too long".to_owned(),
        };
        let (at, value) = (Some(at.to_owned()), Bad::plain(""));
        Self { text, at, kind: Fault::TooLong, value, detail: Detail::Own(detail) }
    }

    /// More `what` (items, properties) than allowed.
    pub fn too_many(at: &str, count: usize, most: i64, what: &str) -> Self {
        let text = format!("{at} in body should have at most {most} {what}");
        let detail = match most {
            1 => "must have at most 1 item".to_owned(),
            0.. => format!("must have at most {most} items"),
            _ => "has too many items".to_owned(),
        };
        Self { text, at: Some(at.to_owned()), kind: Fault::TooMany, value: count.into(), detail: Detail::Own(detail) }
    }

    /// What the validator tells without saying where.
    pub fn of_whole(text: String) -> Self {
        Self { text, at: None, kind: Fault::Invalid, value: "".into(), detail: Detail::Text }
    }

    /// A field that no schema allows.
    pub fn forbidden(at: &str, name: &str, text: String) -> Self {
        Self::new(at, Fault::Invalid, name, text)
    }

    /// A schema's fault, told of the value.
    pub fn bad_factor(at: &str, factor: Bad, text: String) -> Self {
        Self::new(at, Fault::Invalid, factor, text)
    }

    fn new(at: &str, kind: Fault, value: impl Into<Bad>, text: String) -> Self {
        Self { text, at: Some(at.to_owned()), kind, value: value.into(), detail: Detail::Text }
    }
}

/// A value as its errors print it.
pub fn bad(value: &Value) -> Bad {
    match value {
        Value::Number(number) => Bad::plain(gotext::number(number)),
        other => other.into(),
    }
}

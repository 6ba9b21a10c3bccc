//! What a list, watch or deletecollection is narrowed to by its selectors, as authorizers are told (KEP-4601).
//!
//! Selectors only narrow: what cannot be read is left out, and the question is about more than what was asked for.

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::model::selector::{field, label};
use crate::model::value::{Value, json};

/// One requirement of a selector. A field's `=` is `In` one value, `!=` is `NotIn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: CompactString,
    pub operator: Operator,
    pub values: Vec<CompactString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Of a field selector.
pub fn of_fields(selector: &field::FieldSelector) -> Vec<Requirement> {
    let requirement = |term: &field::Term| Requirement {
        key: term.field.clone(),
        operator: if term.equal { Operator::In } else { Operator::NotIn },
        values: vec![term.value.clone()],
    };
    selector.terms().iter().map(requirement).collect()
}

/// Of a label selector; `<` and `>` are left out.
pub fn of_labels(selector: &label::Selector) -> Vec<Requirement> {
    selector.requirements().iter().filter_map(of_label).collect()
}

fn of_label(requirement: &label::Requirement) -> Option<Requirement> {
    use label::Operator as Of;
    let operator = match requirement.operator {
        Of::In | Of::Equals | Of::DoubleEquals => Operator::In,
        Of::NotIn | Of::NotEquals => Operator::NotIn,
        Of::Exists => Operator::Exists,
        Of::DoesNotExist => Operator::DoesNotExist,
        Of::GreaterThan | Of::LessThan => return None,
    };
    Some(Requirement { key: requirement.key.clone(), operator, values: requirement.values().to_vec() })
}

/// Of a review's `fieldSelector`: a text, or requirements, those of them that a field selector can have.
pub fn of_field_attributes(attributes: &Value) -> Vec<Requirement> {
    let raw = attributes["rawSelector"].as_str().unwrap_or("");
    if listed(attributes).next().is_none() {
        return field::FieldSelector::parse(raw).map_or_else(|_| Vec::new(), |selector| of_fields(&selector));
    }
    let requirement = |value: &Value| {
        let (key, operator, values) = parts(value);
        let operator = match operator {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            _ => return None,
        };
        (values.len() == 1).then(|| Requirement { key, operator, values: values.into_vec() })
    };
    listed(attributes).filter_map(requirement).collect()
}

/// Of a review's `labelSelector`: a text, or requirements, those of them that are valid.
pub fn of_label_attributes(attributes: &Value) -> Vec<Requirement> {
    let raw = attributes["rawSelector"].as_str().unwrap_or("");
    if listed(attributes).next().is_none() {
        return label::parse(raw).map_or_else(|_| Vec::new(), |selector| of_labels(&selector));
    }
    let requirement = |value: &Value| {
        let (key, operator, values) = parts(value);
        let operator = match operator {
            "In" => label::Operator::In,
            "NotIn" => label::Operator::NotIn,
            "Exists" => label::Operator::Exists,
            "DoesNotExist" => label::Operator::DoesNotExist,
            _ => return None,
        };
        label::Requirement::new(&key, operator, values).ok().as_ref().and_then(of_label)
    };
    listed(attributes).filter_map(requirement).collect()
}

fn listed(attributes: &Value) -> impl Iterator<Item = &Value> {
    attributes["requirements"].as_array().into_iter().flatten()
}

fn parts(value: &Value) -> (CompactString, &str, SmallVec<[CompactString; 1]>) {
    let text = |field: &str| value[field].as_str().unwrap_or("");
    let values = value["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    (text("key").into(), text("operator"), values.map(CompactString::from).collect())
}

impl Requirement {
    /// The API's JSON.
    pub fn to_value(&self) -> Value {
        let operator = match self.operator {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
        };
        let mut value = json!({"key": self.key.as_str(), "operator": operator});
        if !self.values.is_empty() {
            value["values"] = self.values.iter().map(CompactString::as_str).collect();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gotext;

    /// `a In [b]`, one after the other.
    fn shown(requirements: &[Requirement]) -> String {
        let one = |r: &Requirement| format!("{} {:?} {}", r.key, r.operator, gotext::list(&r.values));
        requirements.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_text_is_read_as_a_list_reads_it() {
        let fields = |raw: &str| shown(&of_field_attributes(&json!({ "rawSelector": raw })));
        assert_eq!(fields("spec.nodeName=n,metadata.name!=x"), "metadata.name NotIn [x]; spec.nodeName In [n]");
        assert_eq!((fields("no selector"), fields("")), (String::new(), String::new()));
        let labels = |raw: &str| shown(&of_label_attributes(&json!({ "rawSelector": raw })));
        assert_eq!(
            labels("a=b,c!=d,e,!f,g in (h,i),j notin (k),l>3"),
            "a In [b]; c NotIn [d]; e Exists []; f DoesNotExist []; g In [h i]; j NotIn [k]"
        );
        assert_eq!(labels("a in"), "");
    }

    #[test]
    fn requirements_that_mean_nothing_are_left_out() {
        let of =
            |key: &str, operator: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
        let all = json!({"requirements": [
            of("a", "In", &["b"]), of("a", "In", &["b", "c"]), of("a", "NotIn", &["b"]), of("a", "Exists", &[]),
            of("a", "DoesNotExist", &[]), of("a", "Gt", &["1"]), of("-", "Exists", &[]), of("a", "In", &[])
        ]});
        assert_eq!(shown(&of_field_attributes(&all)), "a In [b]; a NotIn [b]");
        assert_eq!(
            shown(&of_label_attributes(&all)),
            "a In [b]; a In [b c]; a NotIn [b]; a Exists []; a DoesNotExist []"
        );
        assert_eq!(of_label_attributes(&Value::Null), []);
    }
}

//! Label selectors as texts.

use crate::codec::protobuf::view::View;

/// `a=b,c=d`, sorted; `<none>` when there is no label.
pub fn labels(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return "<none>".into();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// A LabelSelector in the form of the command line: `a=b,c in (d,e),!f`; empty when there is none or it is empty.
///
/// `None`: an operator that is none, or one with a wrong number of values.
pub fn text(selector: Option<View<'_>>) -> Option<String> {
    let Some(selector) = selector else { return Some(String::new()) };
    let labels = selector.labels("matchLabels");
    let mut parts: Vec<(&str, String)> = labels.iter().map(|(key, value)| (*key, format!("{key}={value}"))).collect();
    for expression in selector.items("matchExpressions") {
        let key = expression.text("key");
        let mut values: Vec<&str> = expression.texts("values").collect();
        values.sort_unstable();
        let part = match (expression.text("operator"), values.is_empty()) {
            ("In", false) => format!("{key} in ({})", values.join(",")),
            ("NotIn", false) => format!("{key} notin ({})", values.join(",")),
            ("Exists", true) => key.to_owned(),
            ("DoesNotExist", true) => format!("!{key}"),
            _ => return None,
        };
        parts.push((key, part));
    }
    parts.sort_by_key(|(key, _)| *key);
    Some(parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(","))
}

/// The same, with a word for none and for a wrong one.
pub fn shown(selector: Option<View<'_>>) -> String {
    match text(selector) {
        None => "<error>".into(),
        Some(text) if text.is_empty() => "<none>".into(),
        Some(text) => text,
    }
}

/// As Go prints the struct, which is what stock shows of a policy's parameters.
pub fn go_struct(selector: View<'_>) -> String {
    let labels: String = selector.labels("matchLabels").iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let expression = |e: View<'_>| {
        let values: Vec<&str> = e.texts("values").collect();
        let (key, operator, values) = (e.text("key"), e.text("operator"), values.join(" "));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
    };
    let expressions: String = selector.items("matchExpressions").map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

//! What the failure of a pod means for its job, and when a job has succeeded early.

use super::indexes::Indexes;
use crate::codec::protobuf::view::View;
use crate::controllers::pods::Pod;
use crate::model::value::Value;

/// What a failed pod's failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Counts,
    /// It does not count.
    Ignored,
    /// Its index has failed.
    Index,
    /// The job has failed, for this reason.
    Job(String),
}

/// By the first rule of `spec.podFailurePolicy` that matches.
pub fn judge(policy: &Value, pod: &Pod<'_>) -> Failure {
    for (at, rule) in policy["rules"].as_array().into_iter().flatten().enumerate() {
        let action = rule["action"].as_str().unwrap_or("");
        let which = match rule["onExitCodes"].is_object() {
            true => exited(&rule["onExitCodes"], pod).map(|(container, code)| {
                format!("Container {container} for pod {} failed with exit code {code}", pod.object.key.as_str())
            }),
            false => condition(&rule["onPodConditions"], pod)
                .map(|condition| format!("Pod {} has condition {condition}", pod.object.key.as_str())),
        };
        match (which, action) {
            (Some(_), "Ignore") => return Failure::Ignored,
            (Some(_), "FailIndex") => return Failure::Index,
            (Some(_), "Count") => return Failure::Counts,
            (Some(what), "FailJob") => return Failure::Job(format!("{what} matching {action} rule at index {at}")),
            _ => {}
        }
    }
    Failure::Counts
}

/// A container that has failed with one of the codes, and its code.
fn exited<'a>(rule: &Value, pod: &Pod<'a>) -> Option<(&'a str, i64)> {
    let status = pod.view.at("status");
    let containers = status.items("containerStatuses").chain(status.items("initContainerStatuses"));
    let values = rule["values"].as_array().map_or(&[][..], Vec::as_slice);
    let failed = containers.filter_map(|container: View<'a>| {
        let code = container.at("state").get("terminated")?.number("exitCode");
        (code != 0).then(|| (container.text("name"), code))
    });
    let matches = |(name, code): &(&str, i64)| {
        let is_named = rule["containerName"].as_str().is_none_or(|wanted| wanted == *name);
        let is_in = values.iter().any(|value| value.as_i64() == Some(*code));
        is_named && is_in == (rule["operator"] == "In")
    };
    failed.into_iter().find(matches)
}

fn condition<'a>(patterns: &Value, pod: &Pod<'a>) -> Option<&'a str> {
    let patterns = patterns.as_array().map_or(&[][..], Vec::as_slice);
    let mut conditions = pod.view.at("status").items("conditions");
    let matches = |condition: &View<'a>| {
        let (ty, status) = (condition.text("type"), condition.text("status"));
        patterns.iter().any(|pattern| pattern["type"] == ty && pattern["status"].as_str().unwrap_or("True") == status)
    };
    conditions.find(matches).map(|condition| condition.text("type"))
}

/// Which rule of `spec.successPolicy` these indexes meet.
pub fn succeeded(policy: &Value, completions: i64, indexes: &Indexes) -> Option<String> {
    if indexes.is_empty() {
        return None;
    }
    let meets = |rule: &Value| {
        let count = rule["succeededCount"].as_i64();
        let Some(text) = rule["succeededIndexes"].as_str() else {
            return count.is_some_and(|count| indexes.count() >= count);
        };
        let wanted = Indexes::parse(text, completions);
        let common = wanted.common(indexes);
        !wanted.is_empty() && (common == wanted.count() || count.is_some_and(|count| common >= count))
    };
    let at = policy["rules"].as_array()?.iter().position(meets)?;
    Some(format!("Matched rules at index {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn enough_indexes_are_a_success() {
        let policy = json!({"rules": [{"succeededIndexes": "0,5"}, {"succeededIndexes": "1-3", "succeededCount": 2}, {"succeededCount": 4}]});
        let of = |text: &str| succeeded(&policy, 10, &Indexes::parse(text, 10));
        assert_eq!(of("0,5,7").as_deref(), Some("Matched rules at index 0"));
        assert_eq!(of("1,3").as_deref(), Some("Matched rules at index 1"));
        assert_eq!(of("6-9").as_deref(), Some("Matched rules at index 2"));
        assert_eq!((of("0,1"), of("")), (None, None));
    }
}

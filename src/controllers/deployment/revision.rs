//! The annotations that number the versions of a deployment.

use crate::model::object;
use crate::model::value::{Map, Value};

pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// The numbers that a version had before it was rolled back to.
pub const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of a deployment that are not its ReplicaSets'.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
/// Of the history annotation, in bytes.
const MAX_HISTORY: usize = 2_000;

/// The number of a version; 0 when it has none, `None` when it is no number.
pub fn of(set: &Value) -> Option<i64> {
    object::annotation(set, REVISION).map_or(Some(0), |text| text.parse().ok())
}

/// Gives the newest set the deployment's annotations and its number, which is at least `revision`.
pub fn annotate(deployment: &Value, set: &mut Value, revision: i64) {
    let theirs = deployment["metadata"]["annotations"].as_object();
    let copied = theirs.into_iter().flatten().filter(|(key, _)| !OWN.contains(&key.as_str()));
    let annotations = annotations(set);
    copied.for_each(|(key, value)| drop(annotations.insert(key.clone(), value.clone())));
    let old = annotations.get(REVISION).and_then(Value::as_str).map(str::to_owned);
    let Ok(number) = old.as_deref().filter(|text| !text.is_empty()).map_or(Ok(0), str::parse::<i64>) else { return };
    if number >= revision {
        return;
    }
    annotations.insert(REVISION.into(), revision.to_string().into());
    if let Some(old) = old {
        let history = annotations.get(HISTORY).and_then(Value::as_str).unwrap_or("");
        if let Some(longer) = remembered(history, &old) {
            annotations.insert(HISTORY.into(), longer.into());
        }
    }
}

/// Notes the size of the deployment on a set.
pub fn note_size(set: &mut Value, desired: i64, max: i64) {
    let annotations = annotations(set);
    annotations.insert(DESIRED.into(), desired.to_string().into());
    annotations.insert(MAX.into(), max.to_string().into());
}

/// The history with one number more; the oldest leave when it grows too long.
fn remembered(history: &str, old: &str) -> Option<String> {
    let mut kept: Vec<&str> = history.split(',').filter(|number| !number.is_empty()).collect();
    let mut length = if kept.is_empty() { old.len() } else { history.len() + 1 + old.len() };
    while length > MAX_HISTORY && !kept.is_empty() {
        length -= kept.remove(0).len() + 1;
    }
    if length > MAX_HISTORY {
        return None;
    }
    kept.push(old);
    Some(kept.join(","))
}

pub fn annotations(object: &mut Value) -> &mut Map {
    let slot = &mut object["metadata"]["annotations"];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made an object")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_version_that_comes_back_remembers_its_numbers() {
        let deployment = json!({"metadata": {"annotations": {"a": "b", REVISION: "7"}}});
        let mut set = json!({"metadata": {"annotations": {REVISION: "2"}}});
        annotate(&deployment, &mut set, 4);
        assert_eq!(set["metadata"]["annotations"], json!({"a": "b", REVISION: "4", HISTORY: "2"}));
        annotate(&deployment, &mut set, 4);
        annotate(&deployment, &mut set, 6);
        assert_eq!(set["metadata"]["annotations"][HISTORY], "2,4");
        assert_eq!(of(&set), Some(6));
    }

    #[test]
    fn a_new_version_gets_its_number() {
        let mut set = json!({"metadata": {}});
        annotate(&json!({"metadata": {}}), &mut set, 1);
        note_size(&mut set, 3, 4);
        assert_eq!(set["metadata"]["annotations"], json!({REVISION: "1", DESIRED: "3", MAX: "4"}));
    }

    #[test]
    fn the_history_is_bounded() {
        let long = vec!["12345"; 333].join(",");
        let longer = remembered(&long, "99999").expect("fits");
        assert!(longer.len() <= MAX_HISTORY && longer.ends_with(",99999"));
    }
}

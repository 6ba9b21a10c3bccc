//! Pods die gracefully: their node is given time, unless there is none or they are done.

use async_trait::async_trait;

use super::{Grace, KindHooks};
use crate::model::value::Value;

pub struct Pods;

#[async_trait]
impl KindHooks for Pods {
    fn resource(&self) -> (&'static str, &'static str) {
        ("", "pods")
    }

    fn grace(&self, value: &Value, wanted: Option<i64>) -> Grace {
        let spec = &value["spec"];
        let scheduled = spec["nodeName"].as_str().is_some_and(|name| !name.is_empty());
        let done = matches!(value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        if !scheduled || done {
            return Grace::Seconds(0);
        }
        let seconds = wanted.or_else(|| spec["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0);
        Grace::Seconds(if seconds < 0 { 1 } else { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn only_a_running_pod_is_given_time() {
        let grace = |pod, wanted| Pods.grace(&pod, wanted);
        let spec = json!({"nodeName": "n", "terminationGracePeriodSeconds": 30});
        assert_eq!(grace(json!({"spec": spec}), None), Grace::Seconds(30));
        assert_eq!(grace(json!({"spec": spec}), Some(5)), Grace::Seconds(5));
        assert_eq!(grace(json!({"spec": spec, "status": {"phase": "Failed"}}), Some(5)), Grace::Seconds(0));
        assert_eq!(grace(json!({"spec": {}}), Some(5)), Grace::Seconds(0));
    }
}

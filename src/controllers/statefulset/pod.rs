//! A pod with its number.

use super::claims;
use crate::controllers::history::{self, HASH};
use crate::controllers::item::Item;
use crate::controllers::pods;
use crate::model::value::{Value, json};

/// Labels that say a pod's name and number.
pub const NAME: &str = "statefulset.kubernetes.io/pod-name";
pub const INDEX: &str = "apps.kubernetes.io/pod-index";

/// What a pod's name says: its set's name and its number.
pub fn number(pod: &str) -> Option<(&str, i64)> {
    let (parent, number) = pod.rsplit_once('-')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty();
    is_number.then(|| Some((parent, i64::from(number.parse::<i32>().ok()?))))?
}

pub fn name(set: &Item, number: i64) -> String {
    format!("{}-{number}", set.name())
}

/// A new pod of the set, as `revision` says.
pub fn new(set: &Item, revision: &Item, number: i64) -> Value {
    let mut pod = pods::from_template(set, &history::template(revision));
    let name = name(set, number);
    identify(&mut pod, &name, number);
    pod["metadata"]["labels"][HASH] = revision.name().into();
    pod["metadata"]["name"] = name.as_str().into();
    pod["spec"]["hostname"] = name.into();
    if let Some(service) = set.spec()["serviceName"].as_str() {
        pod["spec"]["subdomain"] = service.into();
    }
    store(set, &mut pod, number);
    pod
}

/// Gives a pod the labels that say who it is.
pub fn identify(pod: &mut Value, name: &str, number: i64) {
    pod["metadata"]["labels"][NAME] = name.into();
    pod["metadata"]["labels"][INDEX] = number.to_string().into();
}

/// Gives a pod the set's volumes, in place of others with their names.
pub fn store(set: &Item, pod: &mut Value, number: i64) {
    let templates = claims::templates(set);
    if templates.is_empty() {
        return;
    }
    let claim = |template: &Value| {
        let name = template["metadata"]["name"].as_str().unwrap_or("");
        json!({"name": name, "persistentVolumeClaim": {"claimName": claims::name(set, name, number)}})
    };
    let mut volumes: Vec<Value> = templates.iter().map(claim).collect();
    let own = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let is_other = |volume: &Value| templates.iter().all(|template| template["metadata"]["name"] != volume["name"]);
    volumes.extend(own.into_iter().filter(is_other));
    pod["spec"]["volumes"] = volumes.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_numbers() {
        assert_eq!(number("web-0"), Some(("web", 0)));
        assert_eq!(number("a-b-12"), Some(("a-b", 12)));
        assert_eq!([number("web"), number("web-"), number("web-x1"), number("web--1")].iter().flatten().count(), 1);
        assert_eq!(number("web--1"), Some(("web-", 1)));
        assert_eq!(number("web-99999999999"), None);
    }
}

//! Event, kept as core/v1. Those written as events.k8s.io/v1 are judged more strictly; how an event is served says
//! which.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::kind::{Cx, NONE, Rules};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::syntax::{dns1123_subdomain, label_key};
use crate::model::time::Time;

pub const RULES: Rules = Rules { group: "", kind: "Event", create_on_update: true, validate, validate_update, ..NONE };

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
/// (field, most bytes)
const TEXTS: [(&str, usize); 4] = [("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024)];
/// What an update may not change; a repeated one is judged twice.
const FIXED: [&str; 9] =
    ["involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type"];

fn validate(cx: &Cx, at: &At, errs: &mut FieldErrors) {
    basics(cx, at, errs);
    if is_core(cx) {
        return;
    }
    object_meta(&at.at("metadata"), META, errs);
    series(at, errs);
    if is_zero(&at.at("eventTime")) {
        at.at("eventTime").required(errs, "");
    }
    let kind = at.at("type").str();
    if !["Normal", "Warning"].contains(&kind) {
        at.at("type").invalid_as(errs, "", format!("has invalid value: {kind}"));
    }
    let source = at.at("source");
    let unset = [
        ("firstTimestamp", is_zero(&at.at("firstTimestamp"))),
        ("lastTimestamp", is_zero(&at.at("lastTimestamp"))),
        ("count", at.at("count").i64() == 0),
        ("source", source.at("component").is_empty() && source.at("host").is_empty()),
    ];
    for (field, _) in unset.into_iter().filter(|(_, unset)| !unset) {
        at.at(field).invalid_as(errs, "", "needs to be unset");
    }
}

fn validate_update(cx: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    basics(cx, at, errs);
    if is_core(cx) {
        return;
    }
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    if at.at("series").value() != old.at("series").value() {
        series(at, errs);
    }
    for field in FIXED.into_iter().chain(["eventTime", "action", "related"]) {
        at.at(field).immutable(errs, &old.at(field));
    }
    // As in stock, this place has events.k8s.io's name.
    let (controller, before) = (at.at("reportingComponent").str(), old.at("reportingComponent").str());
    if controller != before {
        errs.push(FieldError::invalid(&Path::Root.name("reportingController"), controller, "field is immutable"));
    }
    at.at("reportingInstance").immutable(errs, &old.at("reportingInstance"));
}

/// What every event must keep.
fn basics(cx: &Cx, at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    let namespace = metadata.at("namespace").str();
    let about = at.at("involvedObject");
    let about = about.at("namespace");
    let timed = !is_zero(&at.at("eventTime"));
    let agrees = match (about.str(), timed) {
        ("", true) => ["default", "kube-system"].contains(&namespace),
        ("", false) => ["", "default"].contains(&namespace),
        (about, timed) => timed || about == namespace,
    };
    if !agrees {
        about.invalid(errs, "does not match event.namespace");
    }
    if timed {
        reporter(cx, at, errs);
    }
    for text in dns1123_subdomain(namespace) {
        errs.push(FieldError::invalid(&Path::Root.name("namespace"), namespace, text));
    }
}

fn reporter(cx: &Cx, at: &At, errs: &mut FieldErrors) {
    let name = if is_core(cx) { "reportingComponent" } else { "reportingController" };
    let (place, controller) = (Path::Root.name(name), at.at("reportingComponent").str());
    if controller.is_empty() {
        errs.push(FieldError::required(&place, ""));
    }
    for text in label_key(controller) {
        errs.push(FieldError::invalid(&place, controller, text));
    }
    for (field, most) in TEXTS {
        let text = at.at(field);
        if text.is_empty() && field != "message" {
            text.required(errs, "");
        }
        if text.len() > most {
            text.invalid_as(errs, "", format!("can have at most {most} characters"));
        }
    }
}

fn series(at: &At, errs: &mut FieldErrors) {
    let series = at.at("series");
    if series.is_null() {
        return;
    }
    if series.at("count").i64() < 2 {
        series.at("count").invalid_as(errs, "", "should be at least 2");
    }
    if is_zero(&series.at("lastObservedTime")) {
        series.at("lastObservedTime").required(errs, "");
    }
}

fn is_core(cx: &Cx) -> bool {
    cx.served.group.is_empty()
}

fn is_zero(at: &At) -> bool {
    at.is_null() || Time::parse(at.str()).is_ok_and(Time::is_zero)
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn core() -> Kind {
        Kind::new("v1", "Event")
    }

    fn new() -> Kind {
        Kind::new("events.k8s.io/v1", "Event")
    }

    #[test]
    fn an_old_event_only_agrees_about_its_namespace() {
        assert!(core().create(json!({})).is_ok());
        let found = core().refused(json!({"involvedObject": {"namespace": "other"}}));
        assert_eq!(found, ["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"]);
    }

    #[test]
    fn an_event_with_a_time_says_who_reports_what() {
        let timed = json!({"eventTime": "2026-01-01T00:00:00.000000Z"});
        let expected = |controller: &str| {
            let name = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
            vec![
                format!("{controller}: Required value"),
                format!("{controller}: Invalid value: \"\": name part must be non-empty"),
                format!("{controller}: Invalid value: \"\": {name}"),
                "reportingInstance: Required value".to_owned(),
                "action: Required value".to_owned(),
                "reason: Required value".to_owned(),
            ]
        };
        assert_eq!(core().refused(timed.clone()), expected("reportingComponent"));
        let mut found = expected("reportingController");
        found.push("type: Invalid value: \"\": has invalid value: ".to_owned());
        assert_eq!(new().refused(timed), found);
    }

    #[test]
    fn the_new_version_keeps_an_event_as_it_is_but_its_series() {
        let event = |note: &str, count: i64| {
            json!({"eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "a.b/c", "reportingInstance": "i",
                "action": "A", "reason": "R", "type": "Normal", "note": note,
                "series": {"count": count, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}})
        };
        assert!(new().create(event("n", 2)).is_ok());
        assert!(new().update("", event("n", 2), event("n", 3)).is_ok());
        let found = new().update("", event("n", 2), event("m", 1)).unwrap_err();
        let texts = [
            "series.count: Invalid value: \"\": should be at least 2",
            "message: Invalid value: \"m\": field is immutable",
        ];
        assert_eq!(found, texts);
    }
}

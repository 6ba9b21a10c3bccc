//! The kind Job: defaults, preparation, and which checks a write goes through.

use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::labels::has_bad_selector_value;
use crate::rules::checks::meta::object_meta;
use crate::rules::checks::names::dns1123_label;
use crate::rules::fill::{default, items, made, text};
use crate::rules::kind::{self, Cx, Generation, NONE, Part, Rules, STATUS};
use crate::rules::pod::options::Options;
use crate::rules::workload::{META, fill_template, is_new_generation, lenient, prepare_template, warn_name};

use super::{change, selector, spec, status};

pub const RULES: Rules = Rules {
    group: "batch",
    kind: "Job",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    orphan_by_default: true,
    orphan_warning: "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
                     them or set propagationPolicy=Orphan to suppress this warning",
    prepare_create,
    prepare_update: |_, new, old| {
        selector::unshare(new);
        prepare_template(new, Some(old), TEMPLATE);
    },
    validate: |cx, at, errs| job(cx, at, &Options::default(), true, errs),
    validate_update,
    warn,
    // A kept job is filled when it is read: labels that were made for the template are then the job's too.
    canonicalize: |object| {
        if !selector::has_labels(object) {
            selector::take_labels(object);
        }
    },
    parts: &[Part { validate: status::validate, ..STATUS }],
    ..NONE
};

const TEMPLATE: &[&str] = &["spec", "template"];
const RETRIES: i64 = 6;

/// Defaults.
pub fn fill(object: &mut Value) {
    fill_template(object, TEMPLATE);
    fill_policy(object, &["spec", "podFailurePolicy", "rules"]);
    selector::share(object);
    let Some(spec) = made(object, &["spec"]) else { return };
    let has = |name: &str| spec.get(name).is_some_and(|value| !value.is_null());
    let (alone, by_index, policy) =
        (!has("completions") && !has("parallelism"), has("backoffLimitPerIndex"), has("podFailurePolicy"));
    if alone {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    default(spec, "backoffLimit", if by_index { i64::from(i32::MAX) } else { RETRIES });
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "podReplacementPolicy", if policy { "Failed" } else { "TerminatingOrFailed" });
    default(spec, "manualSelector", false);
}

fn prepare_create(_: &Cx, object: &mut Value) {
    let shared = selector::unshare(object);
    if object["spec"]["manualSelector"] != true {
        selector::generate(object);
    }
    if shared {
        selector::take_labels(object);
    }
    prepare_template(object, None, TEMPLATE);
}

/// Defaults of a failure policy's rules, which stand at `path`.
pub fn fill_policy(object: &mut Value, path: &[&str]) {
    for rule in items(object, path) {
        let patterns = rule.get_mut("onPodConditions").and_then(Value::as_array_mut);
        for pattern in patterns.into_iter().flatten().filter_map(Value::as_object_mut) {
            if text(pattern, "status").is_empty() {
                pattern.insert("status".into(), "True".into());
            }
        }
    }
}

/// A whole job. Of one that came before the labels with a domain did, they are not asked (`all_labels`).
fn job(cx: &Cx, at: &At, options: &Options, all_labels: bool, errs: &mut FieldErrors) {
    let (meta, spec) = (at.at("metadata"), at.at("spec"));
    object_meta(&meta, META, errs);
    selector::generated(at, all_labels, errs);
    spec::with_selector(cx, &spec, options, errs);
    let (name, completions) = (meta.at("name"), spec.at("completions").i64());
    if spec.at("completionMode").str() == "Indexed" && completions > 0 {
        let last = format!("{}-{}", name.str(), completions - 1);
        if !dns1123_label(&last).is_empty() {
            name.invalid(errs, format!("will not able to create pod with invalid DNS label: {last}"));
        }
    }
}

fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    let before = old.at("spec");
    let mut options = lenient(old);
    options.bad_selector_values |= has_bad_selector_value(&before.at("selector"));
    job(cx, new, &options, selector::has_all_labels(&before.at("template")), errs);
    change::validate(cx, new, old, &options, errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    if old.is_none() {
        warn_name(new, warnings);
    }
    if is_new_generation(new, old) {
        spec::warn(&new.at("spec"), warnings);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::template;

    fn job(spec: Value) -> Value {
        let mut whole = json!({"template": template(json!({"restartPolicy": "Never"}))});
        for (name, value) in spec.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        json!({"spec": whole})
    }

    /// One that is kept, with these fields.
    fn kept(spec: Value) -> Value {
        let mut object = Kind::new("batch/v1", "Job").create(job(spec)).unwrap();
        object["metadata"]["uid"] = "u-1".into();
        object
    }

    #[test]
    fn a_job_selects_its_own_pods() {
        let kept = kept(json!({}));
        let spec = &kept["spec"];
        assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}));
        assert_eq!(
            spec["template"]["metadata"]["labels"],
            json!({"a": "b", "batch.kubernetes.io/controller-uid": "u-1", "batch.kubernetes.io/job-name": "obj",
                "controller-uid": "u-1", "job-name": "obj"})
        );
        assert_eq!(
            (&kept["metadata"]["labels"], &spec["backoffLimit"]),
            (&spec["template"]["metadata"]["labels"], &json!(6))
        );
        let mut labelled = job(json!({}));
        labelled["metadata"] = json!({"labels": {"a": "b"}});
        let labelled = Kind::new("batch/v1", "Job").create(labelled).unwrap();
        assert_eq!(labelled["metadata"]["labels"], json!({"a": "b"}));
        let selector = json!({"selector": {"matchLabels": {"a": "b"}}, "manualSelector": true});
        assert_eq!(self::kept(selector)["spec"]["template"]["metadata"]["labels"], json!({"a": "b"}));
    }

    #[test]
    fn indexes_have_bounds_and_policies() {
        let kind = Kind::new("batch/v1", "Job");
        let rules = json!([
            {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [3, 0, 3], "containerName": "x"}},
            {"action": "Skip"},
        ]);
        let spec = json!({"completions": 3, "maxFailedIndexes": 2, "podFailurePolicy": {"rules": rules},
            "managedBy": "me", "podReplacementPolicy": "TerminatingOrFailed"});
        let known = "\"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"";
        assert_eq!(
            kind.refused(job(spec)),
            [
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
                "spec.maxFailedIndexes: Invalid value: 2: requires indexed completion mode",
                "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to \
                 be set",
                "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"x\": must be one of the \
                 container or initContainer names in the pod template",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3",
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
                &format!(
                    "spec.podFailurePolicy.rules[1].action: Unsupported value: \"Skip\": supported values: {known}"
                ),
                "spec.podFailurePolicy.rules[1]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
                "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            ]
        );
        let successes = json!([{}, {"succeededIndexes": "0,2-1", "succeededCount": 4}, {"succeededIndexes": "0-1",
            "succeededCount": 3}]);
        let spec = json!({"completionMode": "Indexed", "completions": 3, "successPolicy": {"rules": successes}});
        assert_eq!(
            kind.refused(job(spec)),
            [
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be \
                 specified",
                "spec.successPolicy.rules[1].succeededIndexes: Invalid value: \"0,2-1\": error parsing succeededIndexes: \
                 non-increasing order, previous: 2, current: 1",
                "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number \
                 of specified completions)",
                "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: must be less than or equal to 0 (the number \
                 of indexes in the specified succeededIndexes field)",
                "spec.successPolicy.rules[2].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number \
                 of indexes in the specified succeededIndexes field)",
            ]
        );
    }

    #[test]
    fn a_suspended_job_may_change_where_its_pods_run() {
        let kind = Kind::new("batch/v1", "Job");
        let placed = |mut object: Value| {
            object["spec"]["template"]["spec"]["nodeSelector"] = json!({"zone": "z"});
            object["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
            object
        };
        let old = kept(json!({"suspend": true}));
        assert!(kind.update("", old.clone(), placed(old.clone())).is_ok());
        let mut renamed = placed(old.clone());
        renamed["spec"]["template"]["spec"]["containers"][0]["image"] = "j".into();
        let found = kind.update("", old, renamed).unwrap_err();
        crate::rules::transcript::assert_begin(&found, &["spec.template.spec: Invalid value: {\"Volumes\":null,"]);
        let old = kept(json!({}));
        let found = kind.update("", old.clone(), placed(old)).unwrap_err();
        crate::rules::transcript::assert_begin(&found, &["spec.template: Invalid value: {"]);
    }

    #[test]
    fn a_finished_job_stays_finished() {
        let kind = Kind::new("batch/v1", "Job");
        let with = |status: Value| {
            let mut object = kept(json!({}));
            object["status"] = status;
            object
        };
        let is = |kinds: &[&str]| kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect::<Value>();
        let begun = "2026-01-01T00:00:00Z";
        let failed = with(json!({"startTime": begun, "failed": 1, "conditions": is(&["FailureTarget", "Failed"])}));
        let running = with(json!({"startTime": begun, "active": 1}));
        assert!(kind.update("status", running.clone(), failed.clone()).is_ok());
        assert_eq!(
            kind.update("status", failed, running.clone()).unwrap_err(),
            [
                "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
                "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
                "status.failed: Invalid value: 0: cannot decrease the failed counter",
            ]
        );
        let complete = with(json!({"startTime": begun, "active": 1, "ready": 2, "conditions": is(&["Complete"]),
            "completedIndexes": "1-"}));
        assert_eq!(
            kind.update("status", running, complete).unwrap_err(),
            [
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true \
                 condition",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
                "status.completedIndexes: Invalid value: \"1-\": error parsing completedIndexes: too large index: \"1\"",
                "status.completedIndexes: Invalid value: \"1-\": cannot set non-empty completedIndexes when non-indexed \
                 completion mode",
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
            ]
        );
    }
}

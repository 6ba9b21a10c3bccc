//! CronJob: a job made at every time of a schedule.

use super::at::At;
use super::checks::choices;
use super::checks::meta::{object_meta, object_meta_update};
use super::checks::numbers::non_negative;
use super::checks::schedule::{schedule, zone};
use super::fill::{default, made};
use super::job::{fill_policy, spec as job};
use super::kind::{self, Cx, Generation, NONE, Rules, STATUS};
use super::pod::options::Options;
use super::workload::{META, fill_template, is_new_generation, none_negative, prepare_template, warn_name};
use crate::model::field::FieldErrors;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "batch",
    kind: "CronJob",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    prepare_create: |_, object| prepare_template(object, None, TEMPLATE),
    prepare_update: |_, new, old| prepare_template(new, Some(old), TEMPLATE),
    validate,
    validate_update: |cx, new, old, errs| {
        object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
        let before = old.at("spec");
        let template = before.at("jobTemplate");
        let options = Options::of_template(Some(&template.at("spec").at("template")));
        spec(cx, &new.at("spec"), Some(&before), &options, errs);
    },
    warn,
    parts: &[STATUS],
    ..NONE
};

const TEMPLATE: &[&str] = &["spec", "jobTemplate", "spec", "template"];
/// A job's name has the minute after it, and still names pods.
const NAME_BYTES: usize = 63 - 11;
const CONCURRENCY: [&str; 3] = ["Allow", "Forbid", "Replace"];

/// Defaults.
pub fn fill(object: &mut Value) {
    fill_template(object, TEMPLATE);
    fill_policy(object, &["spec", "jobTemplate", "spec", "podFailurePolicy", "rules"]);
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "concurrencyPolicy", "Allow");
        default(spec, "suspend", false);
        default(spec, "successfulJobsHistoryLimit", 3);
        default(spec, "failedJobsHistoryLimit", 1);
    }
}

fn validate(cx: &Cx, at: &At, errs: &mut FieldErrors) {
    let meta = at.at("metadata");
    object_meta(&meta, META, errs);
    spec(cx, &at.at("spec"), None, &Options::default(), errs);
    let name = meta.at("name");
    if name.len() > NAME_BYTES {
        name.invalid(errs, format!("must be no more than {NAME_BYTES} characters"));
    }
}

fn spec(cx: &Cx, spec: &At, old: Option<&At>, options: &Options, errs: &mut FieldErrors) {
    let (when, time_zone) = (spec.at("schedule"), spec.at("timeZone"));
    if when.is_empty() {
        when.required(errs, "");
    } else {
        let had_zone = old.is_some_and(|old| old.at("schedule").str().contains("TZ"));
        schedule(&when, &time_zone, had_zone, errs);
    }
    non_negative(&spec.at("startingDeadlineSeconds"), errs);
    if old.is_none_or(|old| old.at("timeZone").value() != time_zone.value()) {
        zone(&time_zone, errs);
    }
    choices::required(&spec.at("concurrencyPolicy"), &CONCURRENCY, errs);
    job::template(cx, &spec.at("jobTemplate"), options, errs);
    none_negative(spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let spec = new.at("spec");
    if old.is_none() {
        warn_name(new, warnings);
    }
    if is_new_generation(new, old) {
        job::warn(&spec.at("jobTemplate").at("spec"), warnings);
    }
    if old.is_some() && spec.at("schedule").str().contains("TZ") {
        warnings.push(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::template;

    fn cron_job(spec: Value) -> Value {
        let job = json!({"spec": {"template": template(json!({"restartPolicy": "Never"}))}});
        let mut whole = json!({"schedule": "*/5 * * * *", "jobTemplate": job});
        for (name, value) in spec.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        json!({"spec": whole})
    }

    #[test]
    fn jobs_of_it_get_their_defaults_when_they_are_made() {
        let spec = Kind::new("batch/v1", "CronJob").create(cron_job(json!({}))).unwrap()["spec"].clone();
        assert_eq!((&spec["concurrencyPolicy"], &spec["failedJobsHistoryLimit"]), (&json!("Allow"), &json!(1)));
        assert_eq!(spec["jobTemplate"]["spec"]["backoffLimit"], Value::Null);
        assert_eq!(spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
    }

    #[test]
    fn what_is_wrong_is_told_in_stocks_order() {
        let kind = Kind::new("batch/v1", "CronJob");
        let job = json!({"spec": {"template": template(json!({})), "manualSelector": true, "selector": {}}});
        let spec = json!({"schedule": "", "timeZone": "", "concurrencyPolicy": "Skip", "failedJobsHistoryLimit": -1,
            "startingDeadlineSeconds": -1, "jobTemplate": job});
        let mut object = cron_job(spec);
        object["metadata"] = json!({"name": "a".repeat(53)});
        let begins = [
            "spec.schedule: Required value",
            "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string",
            "spec.concurrencyPolicy: Unsupported value: \"Skip\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated",
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            "metadata.name: Invalid value: \"aaaaa",
        ];
        crate::rules::transcript::assert_begin(&kind.refused(object), &begins);
    }
}

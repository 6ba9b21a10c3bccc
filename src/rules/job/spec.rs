//! What the spec of a job must keep, its own or that of a CronJob's template.

use crate::model::field::FieldErrors;
use crate::model::selector::label::Selector;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::{SelectorLeniency, label_selector};
use crate::rules::checks::names::domain_prefixed_path;
use crate::rules::kind::Cx;
use crate::rules::pod::options::Options;
use crate::rules::pod::template;
use crate::rules::workload::none_negative;

use super::policies;

const INDEXED_PARALLELISM: i64 = 100_000;
const FAILED_INDEXES: i64 = 100_000;
/// Above so many completions a limit per index has bounds of its own.
const MANY_COMPLETIONS: i64 = 100_000;
const PARALLELISM_OF_MANY: i64 = 10_000;
const FAILED_INDEXES_OF_MANY: i64 = 10_000;
const MANAGED_BY_BYTES: usize = 63;
const MODES: [&str; 2] = ["NonIndexed", "Indexed"];
const RESTART_POLICIES: [&str; 2] = ["OnFailure", "Never"];

/// The spec of a job that is kept: it selects its pods.
pub fn with_selector(cx: &Cx, spec: &At, options: &Options, errs: &mut FieldErrors) {
    self::spec(cx, spec, options, errs);
    let selector = spec.at("selector");
    if selector.is_null() {
        selector.required(errs, "");
    }
    let leniency = SelectorLeniency { bad_values: options.bad_selector_values, ..SelectorLeniency::default() };
    label_selector(&selector, leniency, errs);
    if let Ok(selector) = Selector::of_object(selector.value()) {
        let template = spec.at("template");
        let meta = template.at("metadata");
        let labels = meta.at("labels");
        if !selector.matches_map(labels.value().as_object()) {
            labels.invalid(errs, "`selector` does not match template `labels`");
        }
    }
}

/// The spec without its selector.
pub fn spec(cx: &Cx, spec: &At, options: &Options, errs: &mut FieldErrors) {
    let limits = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    none_negative(spec, &limits, errs);
    let by_index = spec.at("backoffLimitPerIndex");
    if spec.has("maxFailedIndexes") && by_index.is_null() {
        by_index.required(errs, "when maxFailedIndexes is specified");
    }
    let manager = spec.at("managedBy");
    if manager.exists() {
        domain_prefixed_path(&manager, errs);
        if manager.len() > MANAGED_BY_BYTES {
            manager.too_long(errs, MANAGED_BY_BYTES);
        }
    }
    let mode = spec.at("completionMode");
    choices::optional(&mode, &MODES, errs);
    if mode.str() == "Indexed" {
        indexed(spec, errs);
    }
    if mode.is_null() || mode.str() == "NonIndexed" {
        for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if spec.has(name) {
                spec.at(name).invalid(errs, "requires indexed completion mode");
            }
        }
    }
    policies::failure(spec, errs);
    let success = spec.at("successPolicy");
    if success.exists() && mode.str() != "Indexed" {
        success.invalid(errs, "requires indexed completion mode");
    } else if success.exists() {
        policies::success(spec, errs);
    }
    policies::replacement(spec, errs);
    template::validate(cx, &spec.at("template"), options, errs);
    restart_policy(spec, errs);
}

fn indexed(spec: &At, errs: &mut FieldErrors) {
    let (completions, parallelism, failed) =
        (spec.at("completions"), spec.at("parallelism"), spec.at("maxFailedIndexes"));
    if completions.is_null() {
        completions.required(errs, "when completion mode is Indexed");
    }
    if parallelism.i64() > INDEXED_PARALLELISM {
        let detail = format!("must be less than or equal to {INDEXED_PARALLELISM} when completion mode is Indexed");
        parallelism.invalid(errs, detail);
    }
    if completions.exists() && failed.i64() > completions.i64() && failed.exists() {
        failed.invalid(errs, "must be less than or equal to completions");
    }
    if failed.i64() > FAILED_INDEXES {
        failed.invalid(errs, format!("must be less than or equal to {FAILED_INDEXES}"));
    }
    if completions.i64() <= MANY_COMPLETIONS || !spec.has("backoffLimitPerIndex") {
        return;
    }
    if failed.is_null() {
        failed.required(errs, format!("must be specified when completions is above {MANY_COMPLETIONS}"));
    }
    for (at, most) in [(parallelism, PARALLELISM_OF_MANY), (failed, FAILED_INDEXES_OF_MANY)] {
        if at.i64() > most {
            let detail = format!(
                "must be less than or equal to {most} when completions are above {MANY_COMPLETIONS} and used with backoff \
                 limit per index"
            );
            at.invalid(errs, detail);
        }
    }
}

fn restart_policy(spec: &At, errs: &mut FieldErrors) {
    let template = spec.at("template");
    let pod = template.at("spec");
    let policy = pod.at("restartPolicy");
    match policy.str() {
        "" | "Always" => policy.required(errs, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" => {
            if spec.has("podFailurePolicy") {
                policy.invalid(errs, "only \"Never\" is supported when podFailurePolicy is specified");
            }
        }
        _ => policy.not_supported(errs, &RESTART_POLICIES),
    }
}

/// The template of a CronJob's jobs.
pub fn template(cx: &Cx, at: &At, options: &Options, errs: &mut FieldErrors) {
    let spec = at.at("spec");
    self::spec(cx, &spec, options, errs);
    let (selector, manual) = (spec.at("selector"), spec.at("manualSelector"));
    if selector.exists() {
        selector.invalid(errs, "`selector` will be auto-generated");
    }
    if manual.bool() {
        manual.not_supported(errs, &["nil", "false"]);
    }
}

/// Warnings of a job's spec.
pub fn warn(spec: &At, warnings: &mut Vec<String>) {
    let many = spec.at("completions").i64() > MANY_COMPLETIONS && spec.at("parallelism").i64() > PARALLELISM_OF_MANY;
    if spec.at("completionMode").str() == "Indexed" && many {
        warnings.push(format!(
            "{}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
            spec.path()
        ));
    }
    template::warn(&spec.at("template"), warnings);
}

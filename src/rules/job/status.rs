//! What the status of a job must keep.
//!
//! Other controllers than Kubernetes' own write it too, so that most rules are asked of what changes alone: a status
//! that was wrong before may be written again.

use std::collections::BTreeSet;

use crate::model::field::{Bad, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::kind::Cx;
use crate::rules::workload::none_negative;

use super::indexes;

/// Whether a condition of this type has this status.
pub fn is(job: &At, kind: &str, status: &str) -> bool {
    let at = job.at("status");
    let conditions = at.at("conditions");
    conditions.items().any(|condition| condition.at("type").str() == kind && condition.at("status").str() == status)
}

/// A written status: the job with it, and before.
struct Change<'a, 'p, 'v> {
    new: &'a At<'p, 'v>,
    old: &'a At<'p, 'v>,
}

impl Change<'_, '_, '_> {
    fn is(&self, kind: &str) -> bool {
        is(self.new, kind, "True")
    }

    fn was(&self, kind: &str) -> bool {
        is(self.old, kind, "True")
    }

    fn turned(&self, kind: &str) -> bool {
        self.is(kind) != self.was(kind)
    }

    fn is_finished(&self) -> bool {
        self.is("Complete") || self.is("Failed")
    }

    fn finished_turned(&self) -> bool {
        self.is_finished() != (self.was("Complete") || self.was("Failed"))
    }

    fn changed(&self, name: &str) -> bool {
        let (status, before) = (self.new.at("status"), self.old.at("status"));
        !status.at(name).same_as(&before.at(name))
    }

    /// Tells that the conditions do not go together.
    fn conflict(&self, detail: impl Into<std::borrow::Cow<'static, str>>, errs: &mut FieldErrors) {
        self.new.at("status").at("conditions").invalid_as(errs, Bad::omitted(), detail);
    }
}

/// All that is wrong with a written status.
pub fn validate(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let change = Change { new, old };
    none_negative(&new.at("status"), &["active", "succeeded", "failed", "ready", "terminating"], errs);
    uncounted(new, errs);
    complete(&change, errs);
    finished(&change, errs);
    named_indexes(&change, errs);
    running(&change, errs);
    success_criteria(&change, errs);
    kept(&change, errs);
}

/// Pods that are not yet counted are named, and once.
fn uncounted(job: &At, errs: &mut FieldErrors) {
    let status = job.at("status");
    let pods = status.at("uncountedTerminatedPods");
    let mut seen = BTreeSet::new();
    for list in ["succeeded", "failed"] {
        for uid in pods.at(list).items() {
            if uid.str().is_empty() {
                uid.invalid(errs, "must not be empty");
            } else if !seen.insert(uid.str()) {
                uid.duplicate(errs);
            }
        }
    }
}

/// Complete excludes other ends, and has its time.
fn complete(change: &Change, errs: &mut FieldErrors) {
    let status = change.new.at("status");
    let (start, end) = (status.at("startTime"), status.at("completionTime"));
    let turned = change.turned("Complete");
    let times = turned || change.changed("completionTime");
    let is_complete = change.is("Complete");
    if (turned || change.turned("Failed")) && is_complete && change.is("Failed") {
        change.conflict("cannot set Complete=True and Failed=true conditions", errs);
    }
    if (turned || change.turned("FailureTarget")) && is_complete && change.is("FailureTarget") {
        change.conflict("cannot set Complete=True and FailureTarget=true conditions", errs);
    }
    if times && end.exists() && !is_complete {
        end.invalid(errs, "cannot set completionTime when there is no Complete=True condition");
    }
    if times && end.is_null() && is_complete {
        end.required(errs, "completionTime is required for Complete jobs");
    }
    // Times of the API are texts of one form, which sort as they follow each other.
    let backwards = start.exists() && end.exists() && end.str() < start.str();
    if backwards && (change.changed("startTime") || change.changed("completionTime")) {
        end.invalid(errs, "must be equal to or after `startTime`");
    }
}

/// An end is announced before it is told, and nothing runs after it.
fn finished(change: &Change, errs: &mut FieldErrors) {
    let (status, spec) = (change.new.at("status"), change.new.at("spec"));
    if (change.turned("Failed") || change.changed("failedIndexes"))
        && change.is("Failed")
        && !change.is("FailureTarget")
    {
        change.conflict("cannot set Failed=True condition without the FailureTarget=true condition", errs);
    }
    let met = change.turned("Complete") || change.turned("SuccessCriteriaMet");
    if met && change.is("Complete") && !change.is("SuccessCriteriaMet") {
        change.conflict("cannot set Complete=True condition without the SuccessCriteriaMet=true condition", errs);
    }
    if !change.is_finished() {
        return;
    }
    let turned = change.finished_turned();
    let (active, start) = (status.at("active"), status.at("startTime"));
    if (turned || change.changed("active")) && active.i64() > 0 {
        active.invalid(errs, "active>0 is invalid for finished job");
    }
    let completions = spec.at("completions");
    let never_ran = spec.at("suspend").bool() && completions.exists() && completions.i64() == 0;
    if (turned || change.changed("startTime")) && !never_ran && start.is_null() {
        start.required(errs, "startTime is required for finished job");
    }
    let pods = status.at("uncountedTerminatedPods");
    let left = !pods.at("failed").is_empty() || !pods.at("succeeded").is_empty();
    if (turned || change.changed("uncountedTerminatedPods")) && left {
        pods.invalid(errs, "must be empty for finished job");
    }
}

fn named_indexes(change: &Change, errs: &mut FieldErrors) {
    let (status, spec) = (change.new.at("status"), change.new.at("spec"));
    let (completed, failed) = (status.at("completedIndexes"), status.at("failedIndexes"));
    let (completed_changed, failed_changed) = (change.changed("completedIndexes"), change.changed("failedIndexes"));
    let (completions, by_index) = (spec.at("completions"), spec.has("backoffLimitPerIndex"));
    let counted = completions.exists();
    if completed_changed
        && counted
        && let Err(why) = indexes::count(completed.str(), completions.i64())
    {
        completed.invalid(errs, format!("error parsing completedIndexes: {why}"));
    }
    if failed_changed
        && counted
        && by_index
        && let Err(why) = indexes::count(failed.str(), completions.i64())
    {
        failed.invalid(errs, format!("error parsing failedIndexes: {why}"));
    }
    if completed_changed && !completed.is_empty() && spec.at("completionMode").str() != "Indexed" {
        completed.invalid(errs, "cannot set non-empty completedIndexes when non-indexed completion mode");
    }
    if failed_changed && !by_index && failed.exists() {
        failed.invalid(errs, "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
    }
    if (failed_changed || completed_changed)
        && counted
        && let Some(index) = indexes::overlap(completed.str(), failed.str(), completions.i64())
    {
        failed.invalid(errs, format!("failedIndexes and completedIndexes overlap at index: {index}"));
    }
}

fn running(change: &Change, errs: &mut FieldErrors) {
    let status = change.new.at("status");
    let (terminating, ready) = (status.at("terminating"), status.at("ready"));
    let asked = change.finished_turned() || change.changed("terminating");
    if asked && terminating.i64() > 0 && change.is_finished() {
        terminating.invalid(errs, "terminating>0 is invalid for finished job");
    }
    let asked = change.changed("ready") || change.changed("active");
    if asked && ready.exists() && ready.i64() > status.at("active").i64() {
        ready.invalid(errs, "cannot set more ready pods than active");
    }
}

fn success_criteria(change: &Change, errs: &mut FieldErrors) {
    let met = change.is("SuccessCriteriaMet");
    if met && change.is("Failed") {
        change.conflict("cannot set SuccessCriteriaMet=True and Failed=true conditions", errs);
    }
    if met && change.is("FailureTarget") {
        change.conflict("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions", errs);
    }
    if change.new.at("spec").has("successPolicy") && !met && change.is("Complete") {
        change.conflict("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True", errs);
    }
}

/// What was told stays told.
fn kept(change: &Change, errs: &mut FieldErrors) {
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if change.was(kind) && !change.is(kind) {
            change.conflict(format!("cannot disable the terminal {kind}=True condition"), errs);
        }
    }
    let (spec, status, before) = (change.new.at("spec"), change.new.at("status"), change.old.at("status"));
    let (failed, succeeded) = (status.at("failed"), status.at("succeeded"));
    if failed.i64() < before.at("failed").i64() {
        failed.invalid(errs, "cannot decrease the failed counter");
    }
    // A job whose parallelism and completions are one number can be scaled down.
    let (completions, parallelism) = (spec.at("completions"), spec.at("parallelism"));
    let scales = spec.at("completionMode").str() == "Indexed" && completions.value() == parallelism.value();
    if !scales && succeeded.i64() < before.at("succeeded").i64() {
        succeeded.invalid(errs, "cannot decrease the succeeded counter");
    }
    let (start, end) = (status.at("startTime"), status.at("completionTime"));
    if end.exists() && before.has("completionTime") && change.changed("completionTime") {
        end.invalid(errs, "field is immutable");
    }
    let resumes = is(change.old, "Suspended", "True") && is(change.new, "Suspended", "False");
    let restarted = before.has("startTime") && change.changed("startTime");
    if restarted && !resumes && !spec.at("suspend").bool() {
        start.invalid(errs, "field is immutable for unsuspended job once set");
    }
    let (met, was_met) = (change.is("SuccessCriteriaMet"), change.was("SuccessCriteriaMet"));
    if was_met && !met {
        change.conflict("cannot disable the SuccessCriteriaMet=True condition", errs);
    }
    if change.was("Complete") && !was_met && met {
        change.conflict("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions", errs);
    }
}

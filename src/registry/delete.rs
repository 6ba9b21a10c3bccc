//! Delete and deletecollection: preconditions, grace, finalizers, propagation.

use super::core::{Current, Registry, Step, rules};
use super::custom::objects;
use super::hooks::Grace;
use super::meta::{self, FOREGROUND, ORPHAN};
use super::options::{DeleteOptions, ListOptions, WriteOptions};
use super::request::{Address, Caller, Deleted};
use crate::admission::chain::Operation;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Outcome, Result, Status};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::rules::kind::Rules;

/// What a round of a delete decides.
enum Verdict {
    /// The object is as dead as it gets for now: answer with it as it is.
    Pending,
    /// It stays, changed: finalizers or a grace period hold it.
    Hold(Value),
    /// It ends now; its last state.
    End(Value),
}

impl Registry {
    /// Deletes an object, or begins to.
    pub async fn delete(&self, caller: &mut Caller, at: &Address, options: &DeleteOptions) -> Result<Deleted> {
        options.validate()?;
        let warning = rules(&at.resource).orphan_warning;
        if !warning.is_empty() && options.propagation.is_none() && options.orphan_dependents.is_none() {
            caller.warn(warning);
        }
        let write = WriteOptions { dry_run: options.dry_run.clone(), ..WriteOptions::default() };
        self.admit(caller, at, Operation::Delete, None, None, &write).await?;
        self.hooks.begin_delete(at)?;
        let mut transaction = self.begin(caller, at, options.is_dry_run()).await?;
        let (done, ended) = loop {
            let (decided, ended) = match transaction.seen() {
                Some(current) => match self.delete_round(caller, at, options, &write, current).await {
                    Ok(step) => {
                        let ended = matches!(step, Step::Delete { .. });
                        (Ok(step), ended)
                    }
                    Err(refusal) => (Err(refusal), false),
                },
                None => (Err(Status::not_found(&at.resource.name, &at.name)), false),
            };
            if let Some(done) = transaction.conclude(decided).await? {
                break (done, ended);
            }
        };
        if done.deleted && !options.is_dry_run() {
            self.hooks.after_delete(self, at, &done.object).await;
        }
        Ok(Deleted { object: done.object, gone: ended })
    }

    async fn delete_round(
        &self,
        caller: &mut Caller,
        at: &Address,
        options: &DeleteOptions,
        write: &WriteOptions,
        current: &Current,
    ) -> Result<Step> {
        let verdict = self.judge(at, current, options)?;
        let old = objects::shown(&at.resource, &current.value)?;
        self.validate_admission(caller, at, Operation::Delete, None, Some(&old), write).await?;
        Ok(match verdict {
            Verdict::Pending => Step::Keep,
            Verdict::Hold(value) => Step::Put { value, ttl: None },
            Verdict::End(last) => Step::Delete { last },
        })
    }

    /// Deletes every object of a collection that the list options select, one after another.
    pub async fn delete_collection(
        &self,
        caller: &mut Caller,
        at: &Address,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<super::read::Listed> {
        options.validate()?;
        let listed = self.list(at, list, &caller.annotations).await.map_err(|mut status| {
            if status.message.starts_with("continue key is not valid") {
                status.message = format!("invalid continue token: {}", status.message);
            }
            status
        })?;
        for object in &listed.items {
            let one = Address { namespace: object.namespace().into(), name: object.name().into(), ..at.clone() };
            self.delete(caller, &one, options).await.unless_gone()?;
        }
        Ok(listed)
    }

    fn judge(&self, at: &Address, current: &Current, options: &DeleteOptions) -> Result<Verdict> {
        let (rules, now) = (rules(&at.resource), self.now());
        let mut value = current.value.clone();
        preconditions(at, &value, options)?;
        if let Some(verdict) = self.hooks.judge_delete(at, &value, now) {
            return Ok(if verdict == value { Verdict::Pending } else { Verdict::Hold(verdict) });
        }
        let graceful = match self.grace(at, &mut value, options, now)? {
            Graceful::Pending => return Ok(Verdict::Pending),
            graceful => graceful,
        };
        if let Some(finalizers) = collection_finalizers(&value, rules, options, self.hooks.has_dependents(&at.resource))
        {
            meta::set_finalizers(&mut value, &finalizers);
        }
        let held = object::finalizers(&value).next().is_some();
        Ok(match graceful {
            Graceful::Seconds(seconds) if held || seconds > 0 => Verdict::Hold(value),
            Graceful::Seconds(_) | Graceful::Pending => Verdict::End(value),
            Graceful::None if held => {
                meta::mark_deleting(&mut value, now);
                Verdict::Hold(value)
            }
            Graceful::None => Verdict::End(value),
        })
    }

    /// What the kind's grace period makes of the delete; sets the deletion's time and grace.
    fn grace(&self, at: &Address, value: &mut Value, options: &DeleteOptions, now: Time) -> Result<Graceful> {
        let wanted = options.grace_period.map(|seconds| if seconds < 0 { 1 } else { seconds });
        let Grace::Seconds(default) = self.hooks.grace(&at.resource, value, wanted) else {
            return Ok(Graceful::None);
        };
        if object::is_deleting(value) {
            return Ok(shorten(value, wanted));
        }
        let end = Time { seconds: now.seconds + default, nanos: 0 };
        object::set_meta(value, "deletionTimestamp", end.to_text().as_str().into());
        object::set_meta(value, "deletionGracePeriodSeconds", default.into());
        if object::generation(value) > 0 {
            let next = object::generation(value) + 1;
            object::set_meta(value, "generation", next.into());
        }
        Ok(Graceful::Seconds(default))
    }
}

/// How a grace period stands after a delete.
enum Graceful {
    /// The kind knows none, or it is over.
    None,
    /// Begun before, not shortened by this delete.
    Pending,
    /// This many seconds from now.
    Seconds(i64),
}

/// A second delete may only shorten the grace period.
fn shorten(value: &mut Value, wanted: Option<i64>) -> Graceful {
    let period = object::metadata(value).and_then(|m| m.get("deletionGracePeriodSeconds")).and_then(Value::as_i64);
    let Some(period) = period.filter(|period| *period != 0) else { return Graceful::None };
    let period = if period < 0 { 1 } else { period };
    let Some(shorter) = wanted.filter(|wanted| *wanted < period) else { return Graceful::Pending };
    if let Ok(end) = Time::parse(object::meta_str(value, "deletionTimestamp")) {
        let end = Time { seconds: end.seconds - period + shorter, ..end };
        object::set_meta(value, "deletionTimestamp", end.to_text().as_str().into());
    }
    object::set_meta(value, "deletionGracePeriodSeconds", shorter.into());
    Graceful::Seconds(shorter)
}

/// Refuses to delete another object, or another version of it, than was meant.
pub(super) fn preconditions(at: &Address, value: &Value, options: &DeleteOptions) -> Result<()> {
    let kind = at.resource.storage.as_ref().map_or(&at.resource.kind, |s| &s.kind);
    let named = GroupResource::new(&kind.group, &kind.kind);
    if let Some(uid) = &options.uid
        && uid != object::uid(value)
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            object::uid(value)
        );
        return Err(Status::conflict(&named, &at.name, why));
    }
    if let Some(version) = &options.resource_version
        && version != object::resource_version(value)
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            object::resource_version(value)
        );
        return Err(Status::conflict(&named, &at.name, why));
    }
    Ok(())
}

/// The finalizers that the propagation policy asks for; `None` when they are there already.
fn collection_finalizers(
    value: &Value,
    rules: &Rules,
    options: &DeleteOptions,
    collected: bool,
) -> Option<Vec<String>> {
    let has = |name: &str| object::finalizers(value).any(|f| f == name);
    let (orphan, foreground) = if !collected {
        (false, false)
    } else if let Some(orphan) = options.orphan_dependents {
        (orphan, false)
    } else if let Some(policy) = &options.propagation {
        (policy == "Orphan", policy == "Foreground")
    } else if let Some(first) = object::finalizers(value).find(|f| *f == ORPHAN || *f == FOREGROUND) {
        (first == ORPHAN, first == FOREGROUND)
    } else {
        (rules.orphan_by_default, false)
    };
    if has(ORPHAN) == orphan && has(FOREGROUND) == foreground {
        return None;
    }
    let others = object::finalizers(value).filter(|f| *f != ORPHAN && *f != FOREGROUND).map(str::to_owned);
    let mut finalizers: Vec<String> = others.collect();
    finalizers.extend(orphan.then(|| ORPHAN.to_owned()));
    finalizers.extend(foreground.then(|| FOREGROUND.to_owned()));
    Some(finalizers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::kind::NONE;

    fn finalizers(before: &[&str], options: &DeleteOptions, orphan_by_default: bool) -> Option<Vec<String>> {
        let rules = Rules { orphan_by_default, ..NONE };
        collection_finalizers(&json!({"metadata": {"finalizers": before}}), &rules, options, true)
    }

    #[test]
    fn the_policy_decides_the_finalizers() {
        let policy = |p: &str| DeleteOptions { propagation: Some(p.into()), ..DeleteOptions::default() };
        let orphans = |o| DeleteOptions { orphan_dependents: Some(o), ..DeleteOptions::default() };
        let none = DeleteOptions::default();
        assert_eq!(finalizers(&["a/b"], &policy("Orphan"), false), Some(vec!["a/b".into(), "orphan".into()]));
        assert_eq!(finalizers(&["orphan"], &policy("Foreground"), false), Some(vec!["foregroundDeletion".into()]));
        assert_eq!(finalizers(&["orphan"], &policy("Background"), true), Some(vec![]));
        assert_eq!(finalizers(&["orphan"], &none, false), None);
        assert_eq!(finalizers(&[], &none, true), Some(vec!["orphan".into()]));
        assert_eq!(finalizers(&[], &orphans(false), true), None);
    }

    #[test]
    fn a_grace_period_only_shrinks() {
        let mut value =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}});
        assert!(matches!(shorten(&mut value, Some(40)), Graceful::Pending));
        assert!(matches!(shorten(&mut value, None), Graceful::Pending));
        assert!(matches!(shorten(&mut value, Some(10)), Graceful::Seconds(10)));
        assert_eq!(value["metadata"]["deletionTimestamp"], "2026-01-01T00:00:10Z");
    }
}

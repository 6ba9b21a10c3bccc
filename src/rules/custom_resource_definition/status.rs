//! The status of a definition: which of its names are its own, and the conditions that say how far it has come.

use super::names::Taken;
use super::validate::{Approval, approved, is_protected};
use crate::model::object;
use crate::model::time::Time;
use crate::model::value::{Value, json};

pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

const ANNOTATION: &str = "api-approved.kubernetes.io";
const PULL: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// (type, status, reason, message)
pub type Condition<'a> = (&'a str, &'a str, &'a str, &'a str);

pub const DOOMED: Condition<'_> = (
    "Terminating",
    "True",
    "InstanceDeletionPending",
    "CustomResourceDefinition marked for deletion; CustomResource deletion will be initiated soon",
);
pub const ENDING: Condition<'_> =
    ("Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress");
pub const ENDED: Condition<'_> = ("Terminating", "False", "InstanceDeletionCompleted", "removed all instances");
pub const NEVER: Condition<'_> = ("Terminating", "False", "NeverEstablished", "resource was never established");

/// Brings the status up to what the spec asks for, where `taken` are the names of the group's other definitions.
/// Whoever keeps the result serves the definition from then on if it is established.
pub fn settle(crd: &mut Value, taken: &Taken, now: Time) {
    let wanted = crd["spec"]["names"].clone();
    let mut accepted = crd["status"]["acceptedNames"].clone();
    if !accepted.is_object() {
        accepted = json!({});
    }
    let conflict = taken.accept(&wanted, &mut accepted);
    crd["status"]["acceptedNames"] = accepted;
    let (status, reason, message) = match &conflict {
        Some((reason, message)) => ("False", *reason, message.as_str()),
        None => ("True", "NoConflicts", "no conflicts found"),
    };
    set(crd, ("NamesAccepted", status, reason, message), now);
    if !super::is_true(crd, "Established") {
        let established = match conflict {
            None => ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
            Some(_) => ("Established", "False", "NotAccepted", "not all names are accepted"),
        };
        set(crd, established, now);
    }
    say_structural(crd, now);
    say_approved(crd, now);
}

/// Puts a condition in the place of the one of its type. Its time is that of the status' last change.
pub fn set(crd: &mut Value, (ty, status, reason, message): Condition<'_>, now: Time) {
    let Some(fields) = crd.as_object_mut() else { return };
    let of = fields.entry("status").or_insert_with(|| json!({}));
    if !of["conditions"].is_array() {
        of["conditions"] = json!([]);
    }
    let Some(conditions) = of["conditions"].as_array_mut() else { return };
    let known = conditions.iter().position(|condition| condition["type"] == ty);
    let before = known.map(|at| &conditions[at]).filter(|before| before["status"] == status);
    let since = before.map_or_else(|| now.to_text().as_str().into(), |before| before["lastTransitionTime"].clone());
    let condition =
        json!({"type": ty, "status": status, "lastTransitionTime": since, "reason": reason, "message": message});
    match known {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

fn remove(crd: &mut Value, ty: &str) {
    if let Some(conditions) = crd["status"]["conditions"].as_array_mut() {
        conditions.retain(|condition| condition["type"] != ty);
    }
}

/// Old definitions may keep unknown fields; that is the only way left not to be structural.
fn say_structural(crd: &mut Value, now: Time) {
    const TYPE: &str = "NonStructuralSchema";
    if crd["spec"]["preserveUnknownFields"] == true {
        let why = "spec.preserveUnknownFields: Invalid value: true: must be false";
        set(crd, (TYPE, "True", "Violations", why), now);
    } else {
        remove(crd, TYPE);
    }
}

/// Groups of the Kubernetes project need its approval.
fn say_approved(crd: &mut Value, now: Time) {
    const TYPE: &str = "KubernetesAPIApprovalPolicyConformant";
    if !is_protected(crd["spec"]["group"].as_str().unwrap_or_default()) {
        return remove(crd, TYPE);
    }
    let text = object::annotation(crd, ANNOTATION).unwrap_or_default().to_owned();
    let must = format!("protected groups must have approval annotation \"{ANNOTATION}\"");
    let (status, reason, message) = match approved(crd) {
        Approval::Missing => ("False", "MissingAnnotation", format!("{must}, {PULL}")),
        Approval::Invalid => {
            let form = "with either a URL or a reason starting with \"unapproved\"";
            ("False", "InvalidAnnotation", format!("{must} {form}, {PULL}"))
        }
        Approval::Bypassed => ("False", "UnapprovedAnnotation", format!("not approved: \"{text}\"")),
        Approval::Approved => ("True", "ApprovedAnnotation", format!("approved in {text}")),
    };
    set(crd, (TYPE, status, reason, &message), now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd(names: Value) -> Value {
        json!({"metadata": {"name": "things.x.io"}, "spec": {"group": "x.io", "names": names}})
    }

    fn shown(crd: &Value) -> Vec<String> {
        let conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
        let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
        conditions.map(|of| ["type", "status", "reason", "message"].map(|field| text(of, field)).join(" ")).collect()
    }

    fn settled(names: Value, taken: &Taken) -> Value {
        let mut crd = crd(names);
        settle(&mut crd, taken, Time::parse("2026-01-01T00:00:00Z").expect("a time"));
        crd
    }

    #[test]
    fn free_names_are_accepted() {
        let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
        let crd = settled(names.clone(), &Taken::default());
        assert_eq!(crd["status"]["acceptedNames"], names);
        assert_eq!(
            shown(&crd),
            [
                "NamesAccepted True NoConflicts no conflicts found",
                "Established True InitialNamesAccepted the initial names have been accepted",
            ]
        );
    }

    #[test]
    fn taken_names_are_told_of() {
        let mut taken = Taken::default();
        taken.add(&json!({"plural": "others", "kind": "Other", "shortNames": ["o", "t"], "listKind": "ThingList"}));
        let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
        let mut short = names.clone();
        (short["shortNames"], short["listKind"]) = (json!(["o", "t", "x"]), json!("Things"));
        let crd = settled(names, &taken);
        assert_eq!(
            shown(&crd),
            [
                "NamesAccepted False ListKindConflict \"ThingList\" is already in use",
                "Established False NotAccepted not all names are accepted",
            ]
        );
        assert_eq!(crd["status"]["acceptedNames"], json!({"plural": "things", "singular": "thing", "kind": "Thing"}));
        let why = "NamesAccepted False ShortNamesConflict [\"o\" is already in use, \"t\" is already in use]";
        assert_eq!(shown(&settled(short, &taken))[0], why);
    }

    #[test]
    fn groups_of_the_project_are_approved() {
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let case = |annotation: &str| {
            let mut crd = crd(json!({"plural": "things", "kind": "Thing"}));
            crd["spec"]["group"] = "x.k8s.io".into();
            crd["metadata"]["annotations"] = json!({ANNOTATION: annotation});
            settle(&mut crd, &Taken::default(), now);
            shown(&crd)[2].clone()
        };
        assert_eq!(
            case("https://github.com/kubernetes/kubernetes/pull/1"),
            "KubernetesAPIApprovalPolicyConformant True ApprovedAnnotation approved in \
             https://github.com/kubernetes/kubernetes/pull/1"
        );
        let not = "KubernetesAPIApprovalPolicyConformant False UnapprovedAnnotation not approved: \"unapproved, why\"";
        assert_eq!(case("unapproved, why"), not);
    }
}

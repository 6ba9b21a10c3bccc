//! CSIDriver: what a volume driver can do and needs.

use super::at::At;
use super::checks::choices;
use super::checks::meta::{object_meta, object_meta_update};
use super::fill;
use super::kind::{Generation, NONE, Rules};
use super::storage_class::META;
use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "storage.k8s.io",
    kind: "CSIDriver",
    generation: Generation::Own,
    unconditional_update: false,
    returns_deleted: true,
    prepare_create: |_, new| fill::remove(new, &["spec"], PREVENT_SCHEDULING),
    prepare_update: |_, new, old| prepare_update(new, old),
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), errs);
    },
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        let (now, before) = (at.at("spec"), old.at("spec"));
        spec(&now, errs);
        let attach = now.at("attachRequired");
        if !attach.same_as(&before.at("attachRequired")) {
            let place = now.path().name("attachedRequired");
            errs.push(FieldError::invalid(&place, attach.bad(), "field is immutable"));
        }
        now.at("volumeLifecycleModes").immutable(errs, &before.at("volumeLifecycleModes"));
    },
    warn: |_, at, old, warnings| {
        let spec = at.at("spec");
        let tokens = spec.at("tokenRequests");
        let unchanged = old.is_some_and(|old| tokens.same_as(&old.at("spec").at("tokenRequests")));
        if !tokens.is_empty() && !unchanged && !spec.has("serviceAccountTokenInSecrets") {
            warnings.push(TOKENS_WARNING.to_owned());
        }
    },
    ..NONE
};

/// Of a feature that is off; what an old object has of it stays.
const PREVENT_SCHEDULING: &str = "preventPodSchedulingIfMissing";
const TOKENS_WARNING: &str = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to \
    prevent possible logging of tokens in volume attributes";
const LEAST_TOKEN_SECONDS: i64 = 10 * 60;
const MOST_TOKEN_SECONDS: i64 = 1 << 32;
const LEAST_UPDATE_SECONDS: i64 = 10;

pub fn fill_driver(object: &mut Value) {
    let Some(spec) = fill::made(object, &["spec"]) else { return };
    fill::default(spec, "attachRequired", true);
    for flag in ["podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"] {
        fill::default(spec, flag, false);
    }
    fill::default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if spec.get("volumeLifecycleModes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert("volumeLifecycleModes".into(), vec!["Persistent"].into());
    }
}

fn prepare_update(new: &mut Value, old: &Value) {
    if old["spec"][PREVENT_SCHEDULING].is_null() {
        fill::remove(new, &["spec"], PREVENT_SCHEDULING);
    }
    if new.get("spec") != old.get("spec") {
        object::set_meta(new, "generation", (object::generation(old) + 1).into());
    }
}

fn spec(at: &At, errs: &mut FieldErrors) {
    choices::optional(&at.at("fsGroupPolicy"), &["File", "None", "ReadWriteOnceWithFSType"], errs);
    token_requests(&at.at("tokenRequests"), errs);
    let modes = at.at("volumeLifecycleModes");
    for mode in modes.strs().filter(|mode| !["Persistent", "Ephemeral"].contains(mode)) {
        errs.push(FieldError::not_supported(modes.path(), mode, &["Persistent", "Ephemeral"]));
    }
    let period = at.at("nodeAllocatableUpdatePeriodSeconds");
    if period.exists() && period.i64() < LEAST_UPDATE_SECONDS {
        period.invalid(errs, "must be greater than or equal to 10 seconds");
    }
    let in_secrets = at.at("serviceAccountTokenInSecrets");
    if in_secrets.exists() && at.at("tokenRequests").is_empty() {
        in_secrets.invalid(errs, "serviceAccountTokenInSecrets is set but no tokenRequests are specified");
    }
}

fn token_requests(at: &At, errs: &mut FieldErrors) {
    for (index, request) in at.items().enumerate() {
        let audience = request.at("audience");
        if at.items().take(index).any(|earlier| earlier.at("audience").str() == audience.str()) {
            audience.duplicate(errs);
            continue;
        }
        let seconds = request.at("expirationSeconds");
        if seconds.exists() && seconds.i64() < LEAST_TOKEN_SECONDS {
            seconds.invalid(errs, "may not specify a duration less than 10 minutes");
        }
        if seconds.i64() > MOST_TOKEN_SECONDS {
            seconds.invalid(errs, "may not specify a duration larger than 2^32 seconds");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("storage.k8s.io/v1", "CSIDriver")
    }

    #[test]
    fn a_driver_says_all_it_can_do() {
        let kept = kind().create(json!({"spec": {"preventPodSchedulingIfMissing": true}})).expect("a driver");
        let spec = json!({"attachRequired": true, "fsGroupPolicy": "ReadWriteOnceWithFSType", "podInfoOnMount": false,
            "requiresRepublish": false, "seLinuxMount": false, "storageCapacity": false,
            "volumeLifecycleModes": ["Persistent"]});
        assert_eq!(kept["spec"], spec);
        let bad = json!({"spec": {"fsGroupPolicy": "Any", "nodeAllocatableUpdatePeriodSeconds": 9,
            "volumeLifecycleModes": ["Once"], "tokenRequests": [{"expirationSeconds": 1}, {"audience": ""}]}});
        assert_eq!(
            kind().refused(bad),
            [
                "spec.fsGroupPolicy: Unsupported value: \"Any\": supported values: \"File\", \"None\", \
                 \"ReadWriteOnceWithFSType\"",
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
                "spec.tokenRequests[1].audience: Duplicate value: \"\"",
                "spec.volumeLifecycleModes: Unsupported value: \"Once\": supported values: \"Persistent\", \"Ephemeral\"",
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
            ]
        );
    }

    #[test]
    fn changes_count_and_some_are_refused() {
        let old = json!({"metadata": {"generation": 4}, "spec": {}});
        let kept = kind().update("", old.clone(), json!({"spec": {"podInfoOnMount": true}})).expect("a change");
        assert_eq!(kept["metadata"]["generation"], 5);
        assert_eq!(
            kind().update("", old, json!({"spec": {"attachRequired": false, "volumeLifecycleModes": ["Ephemeral"]}})),
            Err(vec![
                "spec.attachedRequired: Invalid value: false: field is immutable".to_owned(),
                "spec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: field is immutable".to_owned(),
            ])
        );
    }
}

//! CSINode: the volume drivers of a node.

use super::at::At;
use super::checks::meta::object_meta;
use super::checks::names::{csi_driver_name, label_key};
use super::checks::numbers::non_negative;
use super::kind::{NONE, Rules};
use super::storage_class::META;
use super::{fill, show};
use crate::model::field::{Bad, FieldError, FieldErrors};
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "storage.k8s.io",
    kind: "CSINode",
    unconditional_update: false,
    returns_deleted: true,
    validate: |_, at, errs| node(at, errs),
    validate_update: |_, at, old, errs| {
        node(at, errs);
        let (now, before) = (at.at("spec"), old.at("spec"));
        let (now, before) = (now.at("drivers"), before.at("drivers"));
        for old in before.items() {
            for new in now.items().filter(|new| new.at("name").str() == old.at("name").str()) {
                same_driver(&new, &old, errs);
            }
        }
    },
    ..NONE
};

const ID_BYTES: usize = 256;

fn node(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let drivers = at.at("spec");
    let drivers = drivers.at("drivers");
    for (index, driver) in drivers.items().enumerate() {
        let name = driver.at("name");
        csi_driver_name(&name, errs);
        node_id(&driver.at("nodeID"), errs);
        non_negative(&driver.at("allocatable").at("count"), errs);
        if drivers.items().take(index).any(|earlier| earlier.at("name").str() == name.str()) {
            name.duplicate(errs);
        }
        topology_keys(&driver, errs);
    }
}

fn node_id(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    }
    if at.len() > ID_BYTES {
        at.invalid(errs, "must be 256 characters or less");
    }
}

/// The places of their errors are the driver's.
fn topology_keys(driver: &At, errs: &mut FieldErrors) {
    let keys = driver.at("topologyKeys").strs();
    for (index, key) in keys.clone().enumerate() {
        if key.is_empty() {
            driver.required(errs, "");
        }
        if keys.clone().take(index).any(|earlier| earlier == key) {
            errs.push(FieldError::duplicate(driver.path(), key));
        }
        for text in label_key(key) {
            driver.invalid_as(errs, key, text);
        }
    }
}

/// Of a driver that stays, only what it can hold may change.
fn same_driver(new: &At, old: &At, errs: &mut FieldErrors) {
    let fixed = ["name", "nodeID", "topologyKeys"];
    if fixed.iter().all(|field| new.at(field).same_as(&old.at(field))) {
        return;
    }
    let mut shown: Value = new.value().clone();
    fill::remove(&mut shown, &[], "allocatable");
    let shown = new.schema().message().map_or_else(|| (&shown).into(), |m| Bad::plain(show::message(&shown, m)));
    let root = crate::model::field::Path::Root;
    errs.push(FieldError::invalid(&root.name("spec").name("drivers"), shown, "field is immutable"));
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("storage.k8s.io/v1", "CSINode")
    }

    #[test]
    fn drivers_have_names_and_ids() {
        let bad = json!({"spec": {"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": ["a", "a", ""]},
            {"name": "d", "allocatable": {"count": -1}}]}});
        assert_eq!(
            kind().refused(bad),
            [
                "spec.drivers[0]: Duplicate value: \"a\"",
                "spec.drivers[0]: Required value",
                "spec.drivers[0]: Invalid value: \"\": name part must be non-empty",
                "spec.drivers[0]: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and \
                 must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used \
                 for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                "spec.drivers[1].nodeID: Required value",
                "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                "spec.drivers[1].name: Duplicate value: \"d\"",
            ]
        );
    }

    #[test]
    fn a_driver_changes_only_what_it_can_hold() {
        let node = |id: &str, count: i64| json!({"spec": {"drivers": [{"name": "d", "nodeID": id, "allocatable": {"count": count}}]}});
        assert!(kind().update("", node("a", 1), node("a", 2)).is_ok());
        assert_eq!(
            kind().update("", node("a", 1), node("b", 1)).unwrap_err(),
            [
                "spec.drivers: Invalid value: {\"Name\":\"d\",\"NodeID\":\"b\",\"TopologyKeys\":null,\"Allocatable\":null}: \
              field is immutable"
            ]
        );
    }
}

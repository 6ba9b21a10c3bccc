//! VolumeAttributesClass: attributes that a volume's driver may change later.

use super::at::At;
use super::checks::meta::{object_meta, object_meta_update};
use super::kind::{NONE, Rules};
use super::storage_class::{META, driver, parameters};
use crate::model::field::FieldErrors;

pub const RULES: Rules = Rules {
    group: "storage.k8s.io",
    kind: "VolumeAttributesClass",
    returns_deleted: true,
    validate: |_, at, errs| class(at, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        for (field, detail) in [
            ("driverName", "updates to driverName are forbidden."),
            ("parameters", "updates to parameters are forbidden."),
        ] {
            if !at.at(field).same_as(&old.at(field)) {
                at.at(field).forbidden(errs, detail);
            }
        }
        class(at, errs);
    },
    ..NONE
};

fn class(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    driver(&at.at("driverName"), errs);
    parameters(&at.at("parameters"), false, errs);
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_class_says_something_and_stays() {
        let kind = Kind::new("storage.k8s.io/v1", "VolumeAttributesClass");
        assert_eq!(
            kind.refused(json!({"driverName": "A b"})),
            [
                "driverName: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', \
                 and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \
                 regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                "parameters: Required value: must contain at least one key/value pair",
            ]
        );
        let class = |iops: &str| json!({"driverName": "d", "parameters": {"iops": iops}});
        assert_eq!(
            kind.update("", class("1"), class("2")).unwrap_err(),
            ["parameters: Forbidden: updates to parameters are forbidden."]
        );
    }
}

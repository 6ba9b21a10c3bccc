//! IPAddress: an address in use, and by what.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::checks::network::canonical_ip;
use super::kind::{NONE, Rules};
use crate::model::field::FieldErrors;
use crate::model::syntax::{dns1123_subdomain, path_segment};

pub const RULES: Rules = Rules {
    group: "networking.k8s.io",
    kind: "IPAddress",
    literal_generate_name: true,
    validate: |_, at, errs| address(at, errs),
    validate_update: |_, at, old, errs| {
        address(at, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        at.at("spec").at("parentRef").immutable(errs, &old.at("spec").at("parentRef"));
    },
    ..NONE
};

const META: MetaRules =
    MetaRules { namespaced: false, name: NameRule::Own(|name, _| canonical_ip(name)), kube_finalizers: true };

fn address(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let spec = at.at("spec");
    let parent = spec.at("parentRef");
    if parent.is_null() {
        return parent.required(errs, "");
    }
    if !parent.at("group").is_empty() {
        parent.at("group").check(errs, dns1123_subdomain);
    }
    for field in ["resource", "name"] {
        let name = parent.at(field);
        if name.is_empty() {
            name.required(errs, "");
        } else {
            name.check(errs, path_segment);
        }
    }
    if !parent.at("namespace").is_empty() {
        parent.at("namespace").check(errs, path_segment);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    #[test]
    fn its_name_is_the_address() {
        let kind = Kind::new("networking.k8s.io/v1", "IPAddress");
        let address = |name: &str, parent: Value| json!({"metadata": {"name": name}, "spec": {"parentRef": parent}});
        let parent = json!({"resource": "services", "name": "s"});
        assert!(kind.create(address("2001:db8::1", parent.clone())).is_ok());
        let found = kind.refused(address("2001:db8:0::1", json!({"name": "s"})));
        assert_eq!(
            found,
            [
                "metadata.name: Invalid value: \"2001:db8:0::1\": must be in canonical form (\"2001:db8::1\")",
                "spec.parentRef.resource: Required value",
            ]
        );
        let moved =
            kind.update("", address("10.0.0.1", parent), address("10.0.0.1", json!({"resource": "r", "name": "s"})));
        let text = "spec.parentRef: Invalid value: {\"Group\":\"\",\"Resource\":\"r\",\"Namespace\":\"\",\"Name\":\"s\"}: field is immutable";
        assert_eq!(moved.unwrap_err(), [text]);
    }
}

//! DeviceClass: devices of a sort, and how drivers set them up.

use super::parts::{GROUP, bounded};
use super::requests::selectors;
use super::settings::{MOST_SETTINGS, settings};
use crate::model::field::FieldErrors;
use crate::model::syntax::{DNS1123_SUBDOMAIN_BYTES, Texts};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::{NameRule, dns1123_subdomain};
use crate::rules::checks::resources::is_extended;
use crate::rules::kind::{Generation, NONE, Rules};

pub const RULES: Rules = Rules {
    group: GROUP,
    kind: "DeviceClass",
    generation: Generation::Fields(&["spec"]),
    returns_deleted: true,
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), None, errs);
    },
    validate_update: |_, at, old, errs| {
        object_meta(&at.at("metadata"), META, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        spec(&at.at("spec"), Some(&old.at("spec")), errs);
    },
    ..NONE
};

/// Only the made-up name is judged, not what it begins with.
const NAME: NameRule = NameRule::Own(|name, begins| if begins { Texts::new() } else { class_name(name) });
const META: MetaRules = MetaRules { namespaced: false, name: NAME, kube_finalizers: true };

/// A subdomain; what is too long is told in bytes.
fn class_name(name: &str) -> Texts {
    let mut wrong = dns1123_subdomain(name);
    if name.len() > DNS1123_SUBDOMAIN_BYTES {
        wrong[0] = format!("must be no more than {DNS1123_SUBDOMAIN_BYTES} bytes").into();
    }
    wrong
}

fn spec(at: &At, before: Option<&At>, errs: &mut FieldErrors) {
    selectors(&at.at("selectors"), errs);
    let config = at.at("config");
    let kept = before.is_some_and(|before| config.same_as(&before.at("config")));
    bounded(&config, MOST_SETTINGS, errs, |item, errs| settings(item, kept, errs));
    let name = at.at("extendedResourceName");
    if name.exists() && !is_extended(name.str()) {
        name.invalid(errs, "must be a valid extended resource name");
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_class_selects_devices_and_tells_drivers() {
        let kind = Kind::new("resource.k8s.io/v1", "DeviceClass");
        let class = json!({"spec": {"selectors": [{"cel": {"expression": "device.driver == 'd'"}}, {}],
            "config": [{}], "extendedResourceName": "cpu"}});
        assert_eq!(
            kind.refused(class),
            [
                "spec.selectors[1].cel: Required value",
                "spec.config[0].opaque: Required value",
                "spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name",
            ]
        );
        let old = json!({"metadata": {"generation": 1}});
        let new = json!({"spec": {"extendedResourceName": "example.com/gpu"}});
        assert_eq!(kind.update("", old, new).expect("a change")["metadata"]["generation"], 2);
    }
}

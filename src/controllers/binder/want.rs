//! What a claim asks for, and which volumes are enough.

use crate::model::object;
use crate::model::quantity::{Format, Quantity};
use crate::model::selector::label::Selector;
use crate::model::value::Value;

/// How a class was named before there was a field for it.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub struct Want {
    pub class: String,
    pub modes: Vec<String>,
    pub size: Quantity,
    mode: String,
    attributes: String,
    /// `None`: any labels.
    selector: Option<Selector>,
}

impl Want {
    pub fn of(claim: &Value) -> Self {
        let spec = &claim["spec"];
        let selector = || Selector::of_object(&spec["selector"]).unwrap_or_else(|_| Selector::nothing());
        Self {
            class: class(claim).to_owned(),
            modes: modes(spec),
            size: quantity(&spec["resources"]["requests"]["storage"]),
            mode: mode(spec).to_owned(),
            attributes: text(spec, "volumeAttributesClassName").to_owned(),
            selector: (!spec["selector"].is_null()).then(selector),
        }
    }

    /// Whether a volume is large enough and of the right sort, whoever has it.
    pub fn is_met(&self, volume: &Value) -> bool {
        let spec = &volume["spec"];
        size(volume) >= self.size
            && self.has_modes(spec)
            && mode(spec) == self.mode
            && text(spec, "volumeAttributesClassName") == self.attributes
            && !object::is_deleting(volume)
    }

    /// Whether a free volume is one that the claim may get.
    pub fn takes(&self, volume: &Value) -> bool {
        let selects = |selector: &Selector| {
            selector.matches_map(object::metadata(volume).and_then(|meta| meta.get("labels")?.as_object()))
        };
        class(volume) == self.class && self.is_met(volume) && self.selector.as_ref().is_none_or(selects)
    }

    /// Why a volume that a user has chosen is not enough.
    pub fn refusal(&self, volume: &Value) -> Option<String> {
        let spec = &volume["spec"];
        if object::is_deleting(volume) {
            return Some(format!("the volume is marked for deletion {:?}", object::name(volume)));
        }
        let checks = [
            (size(volume).value() >= self.size.value(), "requested PV is too small"),
            (class(volume) == self.class, "storageClassName does not match"),
            (text(spec, "volumeAttributesClassName") == self.attributes, "volumeAttributesClassName does not match"),
            (mode(spec) == self.mode, "incompatible volumeMode"),
            (self.has_modes(spec), "incompatible accessMode"),
        ];
        checks.into_iter().find(|(is_met, _)| !is_met).map(|(_, why)| why.to_owned())
    }

    /// Whether a volume is of the other volume mode.
    pub fn is_other_mode(&self, volume: &Value) -> bool {
        mode(&volume["spec"]) != self.mode
    }

    fn has_modes(&self, spec: &Value) -> bool {
        let offered = modes(spec);
        self.modes.iter().all(|mode| offered.contains(mode))
    }
}

/// The class of a volume or a claim, empty for none.
pub fn class(object: &Value) -> &str {
    object::annotation(object, CLASS).unwrap_or_else(|| text(&object["spec"], "storageClassName"))
}

/// Whether a claim says of which class it is, be it of none.
pub fn has_class(claim: &Value) -> bool {
    object::annotation(claim, CLASS).is_some() || claim["spec"]["storageClassName"].is_string()
}

/// What a volume holds.
pub fn size(volume: &Value) -> Quantity {
    quantity(&volume["spec"]["capacity"]["storage"])
}

/// `spec.accessModes`.
pub fn modes(spec: &Value) -> Vec<String> {
    let modes = spec["accessModes"].as_array().into_iter().flatten();
    modes.filter_map(|mode| mode.as_str().map(str::to_owned)).collect()
}

fn mode(spec: &Value) -> &str {
    Some(text(spec, "volumeMode")).filter(|mode| !mode.is_empty()).unwrap_or("Filesystem")
}

fn quantity(value: &Value) -> Quantity {
    Quantity::from_value(value).unwrap_or(Quantity::from_i64(0, Format::BinarySi))
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_volume_is_enough_or_not_for_one_reason() {
        let requests = json!({"storage": "2Gi"});
        let claim =
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": requests}, "storageClassName": "a"});
        let want = Want::of(&json!({"spec": claim}));
        let volume = |size: &str, class: &str, mode: &str, access: &str| json!({"spec": {"capacity": {"storage": size}, "storageClassName": class, "volumeMode": mode, "accessModes": [access, "ReadOnlyMany"]}});
        let cases = [
            (volume("2Gi", "a", "Filesystem", "ReadWriteOnce"), None),
            (volume("1Gi", "a", "Filesystem", "ReadWriteOnce"), Some("requested PV is too small")),
            (volume("2Gi", "b", "Filesystem", "ReadWriteOnce"), Some("storageClassName does not match")),
            (volume("2Gi", "a", "Block", "ReadWriteOnce"), Some("incompatible volumeMode")),
            (volume("2Gi", "a", "Filesystem", "ReadWriteMany"), Some("incompatible accessMode")),
        ];
        for (volume, why) in cases {
            assert_eq!(want.refusal(&volume).as_deref(), why);
            assert_eq!(want.takes(&volume), why.is_none());
        }
    }
}

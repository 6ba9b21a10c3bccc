//! The status of a claim: what was allocated, for whom it is reserved, what drivers say of its devices.

use std::collections::BTreeSet;

use super::allocation::allocation;
use super::parts::{label, pool_name, set, uuid};
use super::requests::{Names, admin_forbidden, is_for_admins};
use super::settings::any_object;
use crate::model::field::{Bad, FieldErrors};
use crate::model::gotext;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::conditions::conditions;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::checks::names::csi_driver_name;
use crate::rules::checks::network::interface_address;
use crate::rules::kind::Cx;
use crate::rules::{fill, strategy};

const MOST_CONSUMERS: usize = 256;
/// Of a device.
const MOST_CONDITIONS: usize = 8;
const MOST_ADDRESSES: usize = 16;
const DATA_BYTES: usize = 10 * 1024;
const INTERFACE_BYTES: usize = 256;
const HARDWARE_BYTES: usize = 128;

/// Drops what drivers said of devices that the claim no longer has.
pub fn prepare(_: &Cx, new: &mut Value, old: &Value) {
    strategy::keep_metadata(new, old);
    let gone: BTreeSet<_> = allocated(&old["status"]).difference(&allocated(&new["status"])).cloned().collect();
    let Some(status) = fill::fields(new, &["status"]) else { return };
    if let Some(devices) = status.get_mut("devices").and_then(Value::as_array_mut) {
        devices.retain(|device| !gone.contains(&device_id(device)));
        if devices.is_empty() {
            status.remove("devices");
        }
    }
}

/// All that is wrong with a claim whose status changed.
pub fn changed(cx: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    let (status, before) = (at.at("status"), old.at("status"));
    for_admins(cx, &status, &before, errs);
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let consumers = status.at("reservedFor");
    set(&consumers, MOST_CONSUMERS, errs, consumer, |at| gotext::quote(at.at("uid").str()));
    let had = allocated(status.value());
    let devices = status.at("devices");
    set(&devices, usize::MAX, errs, |at, errs| device(at, &had, errs), |at| device_id(at.value()));
    let (now, then) = (status.at("allocation"), before.at("allocation"));
    if !consumers.is_empty() && now.is_null() {
        consumers.forbidden(errs, "may not be specified when `allocated` is not set");
    } else if at.at("metadata").has("deletionTimestamp") {
        let earlier = before.at("reservedFor");
        let is_new = |consumer: At| !earlier.items().any(|old| old.value() == consumer.value());
        if consumers.items().any(is_new) {
            let detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            consumers.forbidden(errs, detail);
        }
    }
    if now.exists() && then.exists() {
        now.immutable(errs, &then);
    } else if now.exists() {
        let spec = at.at("spec");
        allocation(&now, &Names::of(&spec.at("devices")), errs);
    }
}

/// Devices that others use are allocated in namespaces for that only.
fn for_admins(cx: &Cx, status: &At, before: &At, errs: &mut FieldErrors) {
    let granted = |at: &At| {
        let results = at.value()["allocation"]["devices"]["results"].as_array();
        results.and_then(|results| results.iter().position(|result| result["adminAccess"] == true))
    };
    if let Some(index) = granted(status).filter(|_| granted(before).is_none() && !is_for_admins(cx)) {
        let results = status.at("allocation");
        let results = results.at("devices");
        let results = results.at("results");
        admin_forbidden(&results.item(index).at("adminAccess"), errs);
    }
}

fn consumer(at: &At, errs: &mut FieldErrors) {
    for field in ["resource", "name", "uid"] {
        if at.at(field).is_empty() {
            at.at(field).required(errs, "");
        }
    }
}

/// What a driver says of a device.
fn device(at: &At, had: &BTreeSet<String>, errs: &mut FieldErrors) {
    csi_driver_name(&at.at("driver"), errs);
    pool_name(&at.at("pool"), errs);
    label(&at.at("device"), errs);
    if at.has("shareID") {
        at.at("shareID").check(errs, uuid);
    }
    let id = device_id(at.value());
    if !had.contains(&id) {
        at.invalid_as(errs, Bad::plain(id), "must be an allocated device in the claim");
    }
    let list = at.at("conditions");
    if list.len() > MOST_CONDITIONS {
        list.too_many(errs, MOST_CONDITIONS);
    }
    conditions(&list, errs);
    if at.has("data") {
        any_object(&at.at("data"), DATA_BYTES, errs);
    }
    let network = at.at("networkData");
    for (field, most) in [("interfaceName", INTERFACE_BYTES), ("hardwareAddress", HARDWARE_BYTES)] {
        if network.at(field).len() > most {
            network.at(field).too_long(errs, most);
        }
    }
    set(&network.at("ips"), MOST_ADDRESSES, errs, interface_address, |at| gotext::quote(at.str()));
}

/// The devices of a status's allocation.
fn allocated(status: &Value) -> BTreeSet<String> {
    let results = status["allocation"]["devices"]["results"].as_array();
    results.into_iter().flatten().map(device_id).collect()
}

/// Which device of which pool of which driver, and whose share of it, as stock prints it.
fn device_id(at: &Value) -> String {
    let text = |field: &str| gotext::json(&Value::from(at[field].as_str().unwrap_or("")));
    format!(
        "{{\"Driver\":{},\"Pool\":{},\"Device\":{},\"ShareID\":{}}}",
        text("driver"),
        text("pool"),
        text("device"),
        text("shareID")
    )
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("resource.k8s.io/v1", "ResourceClaim")
    }

    fn claim(status: Value) -> Value {
        json!({"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}, "status": status})
    }

    fn allocated(device: &str) -> Value {
        json!({"devices": {"results": [{"request": "r", "driver": "d", "pool": "p", "device": device}]}})
    }

    #[test]
    fn drivers_tell_of_allocated_devices() {
        let said = json!([{"driver": "d", "pool": "p", "device": "x", "networkData": {"ips": ["10.0.0.1/24", "a"]}},
            {"driver": "d", "pool": "p", "device": "x"}]);
        let new = claim(json!({"allocation": allocated("y"), "devices": said}));
        let old = claim(json!({"allocation": allocated("y")}));
        let missing = "Invalid value: {\"Driver\":\"d\",\"Pool\":\"p\",\"Device\":\"x\",\"ShareID\":\"\"}: must be an \
            allocated device in the claim";
        assert_eq!(
            kind().update("status", old.clone(), new.clone()).unwrap_err(),
            [
                format!("status.devices[0]: {missing}"),
                "status.devices[0].networkData.ips[1]: Invalid value: \"a\": must be a valid address in CIDR form, (e.g. \
                 10.9.8.7/24 or 2001:db8::1/64)"
                    .to_owned(),
                format!("status.devices[1]: {missing}"),
                "status.devices[1]: Duplicate value: {\"Driver\":\"d\",\"Pool\":\"p\",\"Device\":\"x\",\"ShareID\":\"\"}"
                    .to_owned(),
            ]
        );
        let mut gone = new;
        gone["status"]["allocation"] = Value::Null;
        let old = claim(json!({"allocation": allocated("x")}));
        let kept = kind().update("status", old, gone).expect("a claim without devices");
        assert!(kept["status"]["devices"].is_null());
    }

    #[test]
    fn a_claim_is_reserved_while_it_has_devices() {
        let consumer = json!({"resource": "pods", "name": "a", "uid": "u"});
        assert_eq!(
            kind()
                .update("status", claim(json!({})), claim(json!({"reservedFor": [consumer, consumer, {}]})))
                .unwrap_err(),
            [
                "status.reservedFor[2].resource: Required value",
                "status.reservedFor[2].name: Required value",
                "status.reservedFor[2].uid: Required value",
                "status.reservedFor[1]: Duplicate value: \"u\"",
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            ]
        );
    }

    #[test]
    fn devices_of_others_are_for_admins() {
        let mut mine = allocated("x");
        mine["devices"]["results"][0]["adminAccess"] = true.into();
        assert_eq!(
            kind().update("status", claim(json!({})), claim(json!({"allocation": mine}))).unwrap_err(),
            ["status.allocation.devices.results[0].adminAccess: Forbidden: admin access to devices requires the \
                 `resource.kubernetes.io/admin-access: true` label on the containing namespace"]
        );
    }
}

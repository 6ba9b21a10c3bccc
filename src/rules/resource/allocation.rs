//! What was allocated for a claim: devices for its requests, and what their drivers are told.

use super::parts::{binding_conditions, bounded, label, pool_name, uuid};
use super::requests::{MOST_REQUESTS, Names};
use super::settings::{MOST_SETTINGS, settings};
use crate::model::field::FieldErrors;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::names::csi_driver_name;
use crate::rules::pod::affinity::node_selector;

/// A new allocation; one that is there stays as it is.
pub fn allocation(at: &At, names: &Names, errs: &mut FieldErrors) {
    let devices = at.at("devices");
    bounded(&devices.at("results"), MOST_REQUESTS, errs, |at, errs| result(at, names, errs));
    // Those of the class and those of the claim.
    bounded(&devices.at("config"), 2 * MOST_SETTINGS, errs, |at, errs| {
        choices::required(&at.at("source"), &["FromClaim", "FromClass"], errs);
        names.references(&at.at("requests"), errs);
        settings(at, false, errs);
    });
    if at.has("nodeSelector") {
        node_selector(&at.at("nodeSelector"), false, errs);
    }
}

/// A device for a request.
fn result(at: &At, names: &Names, errs: &mut FieldErrors) {
    names.reference(&at.at("request"), errs);
    csi_driver_name(&at.at("driver"), errs);
    pool_name(&at.at("pool"), errs);
    label(&at.at("device"), errs);
    binding_conditions(at, errs);
    if at.has("shareID") {
        at.at("shareID").check(errs, uuid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn an_allocation_has_devices_for_requests() {
        let asked = json!({"requests": [{"name": "r"}]});
        let got = json!({"devices": {"results": [{"request": "q", "driver": "d", "pool": "p", "device": "x",
            "shareID": "s"}], "config": [{"source": "FromAfar", "opaque": {"driver": "d", "parameters": {}}}]}});
        let mut errs = FieldErrors::new();
        let message = table::message("k8s.io.api.resource.v1.AllocationResult");
        allocation(&At::new(&got, message), &Names::of(&At::new(&asked, None)), &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "devices.results[0].request: Invalid value: \"q\": must be the name of a request in the claim or the name \
                 of a request and a subrequest separated by '/'",
                "devices.results[0].shareID: Invalid value: \"s\": error validating uid: invalid UUID length: 1",
                "devices.config[0].source: Unsupported value: \"FromAfar\": supported values: \"FromClaim\", \"FromClass\"",
            ]
        );
    }
}

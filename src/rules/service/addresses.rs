//! Cluster IPs, IP families and the policy about them: how they must agree.

use super::spec;
use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::network::{Family, ip_family, legacy_ip};

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];

/// At `spec`. Values that the old object had are right.
pub fn validate(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    if !spec::needs_cluster_ip(at.value()) {
        return;
    }
    let (ip, ips) = (at.at("clusterIP"), at.at("clusterIPs"));
    if ip.is_empty() {
        if !ips.is_empty() {
            ips.invalid(errs, "must be empty when `clusterIP` is not specified");
        }
    } else if ips.is_empty() {
        ips.required(errs, "");
    } else if ips.item(0).str() != ip.str() {
        ips.invalid(errs, "first value must match `clusterIP`");
    }
    let families = at.at("ipFamilies");
    for (index, family) in families.items().enumerate() {
        choices::one_of(&family, &FAMILIES, errs);
        if families.strs().take(index).any(|earlier| earlier == family.str()) {
            family.duplicate(errs);
        }
    }
    choices::optional(&at.at("ipFamilyPolicy"), &POLICIES, errs);
    if !each_ip(&ips, old, errs) {
        return;
    }
    if ips.len() > 1 {
        let of = |family| ips.strs().any(|ip| ip_family(ip) == Some(family));
        if !(of(Family::V4) && of(Family::V6)) {
            ips.invalid(errs, "may specify no more than one IP for each IP family");
        }
    }
    if !spec::is_headless(at.value()) {
        families_of_ips(&ips, &families, errs);
    }
}

/// Whether every address is one.
fn each_ip(ips: &At, old: Option<&At>, errs: &mut FieldErrors) -> bool {
    let (mut right, before) = (true, old.map(|old| spec::texts(old.value(), "clusterIPs")));
    for (index, ip) in ips.items().enumerate() {
        if index == 0 && ip.str() == spec::NONE {
            if ips.len() > 1 {
                right = false;
                ips.invalid(errs, "'None' must be the first and only value");
            }
        } else if !before.clone().is_some_and(|mut before| before.any(|before| before == ip.str())) {
            let found = errs.len();
            legacy_ip(&ip, true, errs);
            right &= errs.len() == found;
        }
    }
    if ips.len() > 2 {
        ips.invalid(errs, "may only hold up to 2 values");
    }
    right
}

fn families_of_ips(ips: &At, families: &At, errs: &mut FieldErrors) {
    for (index, (ip, family)) in ips.items().zip(families.strs()).enumerate() {
        let is_v6 = ip_family(ip.str()) == Some(Family::V6);
        if (family == "IPv4" && is_v6) || (family == "IPv6" && !is_v6) {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errs.push(FieldError::invalid(ip.path(), ip.str(), detail));
        }
    }
}

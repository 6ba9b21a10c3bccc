//! The part `status` of a pod: what its node says of it, and the scheduler.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain, label_key};
use crate::rules::checks::network::{ip_warning, old_ip, sloppy_ip};
use crate::rules::checks::resources::is_native;
use crate::rules::kind::Cx;

use super::container_status::{container_statuses, state_transitions};
use super::disabled;
use super::options::Options;
use super::update::annotations_update;

const OBSERVED: &str = "must be a non-negative integer";

/// Class of service and observed generations stay where the request leaves them out.
pub fn prepare(_: &Cx, new: &mut Value, old: &Value) {
    for field in ["deletionTimestamp", "ownerReferences"] {
        let before = object::metadata(old).and_then(|meta| meta.get(field)).cloned().unwrap_or(Value::Null);
        object::set_meta(new, field, before);
    }
    if !new["status"].is_object() {
        new["status"] = Value::Object(Map::new());
    }
    let (status, before) = (&mut new["status"], &old["status"]);
    for field in ["qosClass", "observedGeneration"] {
        if status[field].is_null() && !before[field].is_null() {
            status[field] = before[field].clone();
        }
    }
    let mut generations: BTreeMap<&str, VecDeque<&Value>> = BTreeMap::new();
    for condition in before["conditions"].as_array().into_iter().flatten() {
        let generation = &condition["observedGeneration"];
        generations.entry(condition["type"].as_str().unwrap_or("")).or_default().push_back(generation);
    }
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let of_type = condition["type"].as_str().and_then(|kind| generations.get_mut(kind));
        let generation = of_type.and_then(VecDeque::pop_front).filter(|generation| !generation.is_null());
        if condition["observedGeneration"].is_null()
            && let Some(generation) = generation
        {
            condition["observedGeneration"] = generation.clone();
        }
    }
    disabled::drop_status(status, before);
}

pub fn validate(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    let options = Options::of_status(old);
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    annotations_update(new, old, &options, errs);
    let (spec, spec_before) = (new.at("spec"), old.at("spec"));
    let (status, before) = (new.at("status"), old.at("status"));
    conditions(&status.at("conditions"), errs);
    if spec.at("nodeName").str() != spec_before.at("nodeName").str() {
        errs.push(FieldError::forbidden(&status.path().name("nodeName"), "may not be changed directly"));
    }
    let (nominated, was) = (status.at("nominatedNodeName"), before.at("nominatedNodeName"));
    if nominated.str() != was.str() && !nominated.is_empty() {
        nominated.check(errs, dns1123_subdomain);
        if !spec_before.at("nodeName").is_empty() {
            nominated.forbidden(errs, "may not be set on pods that are already bound to a node");
        }
    }
    if status.at("observedGeneration").i64() < 0 {
        status.at("observedGeneration").invalid(errs, OBSERVED);
    }
    status.at("qosClass").immutable(errs, &before.at("qosClass"));
    state_transitions(&status, &before, &spec_before, errs);
    claim_statuses(&status, &spec, errs);
    extended_claim(&status.at("extendedResourceClaimStatus"), &spec, errs);
    allocated_claims(&status, &spec, errs);
    ips(&status, &before, "podIPs", errs);
    host_ips(&status, &before, errs);
    container_statuses(&status, &spec, errs);
}

fn conditions(at: &At, errs: &mut FieldErrors) {
    for condition in at.items() {
        if condition.at("observedGeneration").i64() < 0 {
            condition.at("observedGeneration").invalid(errs, OBSERVED);
        }
        let kind = condition.at("type").str();
        if ["PodScheduled", "Ready", "Initialized"].contains(&kind) {
            continue;
        }
        for text in label_key(kind) {
            errs.push(FieldError::invalid(&condition.path().name("Type"), kind, text));
        }
    }
}

fn claim_statuses(status: &At, spec: &At, errs: &mut FieldErrors) {
    let known: BTreeSet<_> = names(spec.at("resourceClaims").value()).collect();
    let mut seen = BTreeSet::new();
    for item in status.at("resourceClaimStatuses").items() {
        let (name, claim) = (item.at("name"), item.at("resourceClaimName"));
        if !known.contains(name.str()) {
            name.invalid(errs, "must match the name of an entry in `spec.resourceClaims`");
        }
        if !seen.insert(name.str()) {
            name.duplicate(errs);
        }
        if claim.exists() {
            claim.check(errs, dns1123_subdomain);
        }
    }
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap_or(""))
}

/// The claim that was made for extended resources (KEP-5004).
fn extended_claim(at: &At, spec: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let lists = ["initContainers", "containers"].map(|list| spec.at(list).value());
    let containers: BTreeMap<_, _> = lists
        .iter()
        .flat_map(|list| list.as_array().into_iter().flatten())
        .map(|container| (container["name"].as_str().unwrap_or(""), container))
        .collect();
    let mappings = at.at("requestMappings");
    if mappings.is_empty() {
        mappings.required(errs, "at least one request mapping is required");
    }
    let mut seen = BTreeSet::new();
    for item in mappings.items() {
        let (container, resource) = (item.at("containerName"), item.at("resourceName"));
        let request = item.at("requestName");
        match containers.get(container.str()) {
            Some(known) if known["resources"]["requests"].get(resource.str()).is_some() => {}
            Some(_) => resource.invalid(
                errs,
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or \
                 spec.containers.resources.requests",
            ),
            None => container
                .invalid(errs, "must match the name of an entry in spec.initContainers.name or spec.containers.name"),
        }
        for text in dns1123_label(request.str()) {
            errs.push(FieldError::invalid(&at.path().name("requestName"), request.str(), text));
        }
        if !seen.insert((container.str(), resource.str(), request.str())) {
            [container, resource, request].iter().for_each(|field| field.duplicate(errs));
        }
    }
    let claim = at.at("resourceClaimName");
    if claim.is_empty() {
        claim.required(errs, "");
    } else {
        claim.check(errs, dns1123_subdomain);
    }
}

/// Claims of resources that the node allocates itself (KEP-5517).
fn allocated_claims(status: &At, spec: &At, errs: &mut FieldErrors) {
    let claims = [spec.at("resourceClaims").value(), status.at("resourceClaimStatuses").value()];
    for item in status.at("nodeAllocatableResourceClaimStatuses").items() {
        let (name, resources) = (item.at("resourceClaimName"), item.at("resources"));
        if name.is_empty() {
            name.required(errs, "must not be empty");
        }
        let mut known = claims.iter().flat_map(|list| list.as_array().into_iter().flatten());
        if known.all(|claim| claim["resourceClaimName"] != name.str()) {
            name.invalid(errs, "no mapping found in pod reference");
        }
        if item.at("containers").is_empty() {
            item.at("containers").required(errs, "must not be empty");
        }
        if resources.is_empty() {
            resources.required(errs, "must not be empty");
        }
        for (resource, amount) in resources.entries() {
            if !is_native(resource) {
                amount.invalid_as(errs, resource, "must be a node allocatable resource name");
            }
            if amount.quantity().sign() < 0 {
                amount.invalid(errs, "must be non-negative");
            }
        }
    }
}

fn host_ips(status: &At, before: &At, errs: &mut FieldErrors) {
    let list = status.at("hostIPs");
    if list.is_empty() {
        return;
    }
    let first = list.item(0);
    if status.at("hostIP").str() != first.at("ip").str() {
        first.at("ip").invalid(errs, "must be equal to `hostIP`");
    }
    ips(status, before, "hostIPs", errs);
}

/// Addresses, at most one of each family. An address that was there before may be written as it was.
fn ips(status: &At, before: &At, list: &str, errs: &mut FieldErrors) {
    let (list, was) = (status.at(list), before.at(list));
    let known: BTreeSet<_> = was.items().map(|item| item.at("ip").str()).collect();
    for item in list.items() {
        let ip = item.at("ip");
        let wrong = old_ip(ip.str(), !known.contains(ip.str()));
        wrong.into_iter().for_each(|text| item.invalid_as(errs, ip.str(), text));
    }
    if list.len() < 2 {
        return;
    }
    let parsed: Option<Vec<_>> = list.items().map(|item| sloppy_ip(item.at("ip").str())).collect();
    match parsed {
        Some(ips) => {
            let both = ips.iter().any(|ip| ip.is_ipv4()) && ips.iter().any(|ip| ip.is_ipv6());
            if !both || ips.len() > 2 {
                list.invalid(errs, "may specify no more than one IP for each IP family");
            }
        }
        None => {
            let mut all = list.items().enumerate();
            let bad = all.find(|(_, item)| sloppy_ip(item.at("ip").str()).is_none());
            let (index, ip) = bad.map_or((0, ""), |(index, item)| (index, item.at("ip").str()));
            let text = format!("failed to check for dual stack with error:invalid IP[{index}]: {ip}");
            list.internal(errs, text);
            list.invalid(errs, "may specify no more than one IP for each IP family");
        }
    }
}

/// Warnings of a changed status: addresses that should be written otherwise.
pub fn warn(_: &Cx, new: &At, _: &At, warnings: &mut Vec<String>) {
    let status = new.at("status");
    for list in ["podIPs", "hostIPs"] {
        for address in status.at(list).items() {
            let ip = address.at("ip");
            warnings.extend(ip_warning(ip.path(), ip.str()));
        }
    }
}

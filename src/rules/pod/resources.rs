//! What containers and pods ask for and are limited to, and the claims that they use.

use std::collections::BTreeSet;

use crate::model::field::{Fault, FieldError, FieldErrors};
use crate::model::quantity::Quantity;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::names::dns1123_label;
use crate::rules::checks::resources::{
    can_overcommit, container_resource_name, is_huge_page, resource_name, resource_quantity,
};

use super::amounts::{is_of_pods, of_containers};
use super::options::Options;
use super::visit::{NO_PLACE, container_values};

/// How the name of a resource is judged.
type NameRule = fn(&At, &str, &mut FieldErrors);

/// The `resources` of a container; `claims` are the names of the pod's resource claims.
pub fn container_resources(at: &At, claims: &BTreeSet<&str>, options: &Options, errs: &mut FieldErrors) {
    requirements(at, container_resource_name, options, errs);
    used_claims(&at.at("claims"), claims, errs);
}

/// Amounts without requests and claims, as an overhead is; errors stand below `limits`.
pub fn overhead(at: &At, options: &Options, errs: &mut FieldErrors) {
    let place = at.path().name("limits");
    let mut of_cpu_or_memory = false;
    let mut of_huge_pages = false;
    for (name, amount) in at.placed(place).entries() {
        amount_of(&amount, name, container_resource_name, options, errs);
        of_cpu_or_memory |= matches!(name, "cpu" | "memory");
        of_huge_pages |= is_huge_page(name);
    }
    if of_huge_pages && !of_cpu_or_memory {
        at.forbidden(errs, "HugePages require cpu or memory");
    }
}

/// `{limits, requests}`, all but the claims.
fn requirements(at: &At, name_rule: NameRule, options: &Options, errs: &mut FieldErrors) {
    let (limits, requests) = (at.at("limits"), at.at("requests"));
    for (name, limit) in limits.entries() {
        amount_of(&limit, name, name_rule, options, errs);
    }
    for (name, request) in requests.entries() {
        name_rule(&request, name, errs);
        resource_quantity(&request, name, errs);
        let limit = limits.entry(name);
        if limit.exists() {
            let (asked, most) = (request.quantity(), limit.quantity());
            let shown = asked.to_string();
            if asked != most && !can_overcommit(name) {
                requests.invalid_as(errs, &shown, format!("must be equal to {name} limit of {most}"));
            } else if asked > most {
                requests.invalid_as(errs, &shown, format!("must be less than or equal to {name} limit of {most}"));
            }
        } else if !can_overcommit(name) {
            limits.required(errs, "Limit must be set for non overcommitable resources");
        }
        huge_page_amount(&request, name, options, errs);
    }
    let mut names = limits.entries().chain(requests.entries()).map(|(name, _)| name);
    if names.clone().any(is_huge_page) && !names.any(|name| matches!(name, "cpu" | "memory")) {
        at.forbidden(errs, "HugePages require cpu or memory");
    }
}

fn amount_of(at: &At, name: &str, name_rule: NameRule, options: &Options, errs: &mut FieldErrors) {
    name_rule(at, name, errs);
    resource_quantity(at, name, errs);
    huge_page_amount(at, name, options, errs);
}

fn huge_page_amount(at: &At, name: &str, options: &Options, errs: &mut FieldErrors) {
    if is_huge_page(name) && !options.indivisible_huge_pages && !is_divisible(name, &at.quantity()) {
        let amount = at.quantity().to_string();
        at.invalid_as(errs, &amount, format!("{amount} is not positive integer multiple of {name}"));
    }
}

/// Whether the amount is made of whole pages; the name says how large they are.
fn is_divisible(name: &str, amount: &Quantity) -> bool {
    let Ok(page) = Quantity::parse(name.strip_prefix("hugepages-").unwrap_or(name)) else { return false };
    let bytes = page.value();
    page.sign() > 0 && page.milli_value() % 1000 == 0 && bytes != 0 && amount.value() % bytes == 0
}

/// Whether a spec asks for parts of huge pages.
pub fn has_indivisible_huge_pages(spec: &At) -> bool {
    let is_bad = |list: &Value| {
        let mut amounts = list.as_object().into_iter().flatten();
        amounts.any(|(name, amount)| {
            is_huge_page(name) && !is_divisible(name, &Quantity::from_value(amount).unwrap_or(Quantity::ZERO))
        })
    };
    let of_container = |c: &Value| is_bad(&c["resources"]["limits"]) || is_bad(&c["resources"]["requests"]);
    container_values(spec.value()).any(of_container) || is_bad(spec.at("overhead").value())
}

/// The claims that a container uses, each by its name and perhaps one of its requests.
fn used_claims(at: &At, known: &BTreeSet<&str>, errs: &mut FieldErrors) {
    // As in stock a claim whose name holds a slash is taken for a request of another.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for claim in at.items() {
        let (name, request) = (claim.at("name").str(), claim.at("request").str());
        if name.is_empty() {
            claim.required(errs, "");
            continue;
        }
        if seen.contains(name) {
            claim_twice(&claim, name, errs);
        } else {
            if !request.is_empty() {
                claim.at("request").check(errs, dns1123_label);
            }
            let key = if request.is_empty() { name.to_owned() } else { format!("{name}/{request}") };
            if seen.contains(&key) {
                claim_twice(&claim, &key, errs);
            } else if request.is_empty() {
                let parts = seen.iter().filter(|key| key.split_once('/').is_some_and(|(other, _)| other == name));
                parts.for_each(|_| claim_twice(&claim, name, errs));
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            let names: Vec<&str> = known.iter().copied().collect();
            let known = if names.is_empty() { " which is empty".to_owned() } else { format!(": {}", names.join(", ")) };
            let detail = format!("must be one of the names in pod.spec.resourceClaims{known}");
            errs.push(FieldError::new(Fault::NotFound, claim.path(), name, detail));
        }
    }
}

fn claim_twice(claim: &At, key: &str, errs: &mut FieldErrors) {
    errs.push(FieldError::duplicate(claim.path(), key));
}

/// `spec.resources`: of the pod as a whole, beside what its containers ask for.
pub fn pod_resources(spec: &At, options: &Options, errs: &mut FieldErrors) {
    let resources = spec.at("resources");
    if resources.is_null() {
        return;
    }
    if spec.at("os").at("name").str() == "windows" {
        resources.forbidden(errs, "may not be set for a windows pod");
        return;
    }
    if resources.has("claims") {
        resources.at("claims").forbidden(errs, "claims may not be set for Resources at pod-level");
    }
    requirements(&resources, pod_resource_name, options, errs);
    used_claims(&resources.at("claims"), &claim_names(spec), errs);
    covers_containers(spec, &resources, errs);
}

fn pod_resource_name(at: &At, name: &str, errs: &mut FieldErrors) {
    let before = errs.len();
    resource_name(at, name, errs);
    if errs.len() == before && !is_of_pods(name) {
        errs.push(FieldError::not_supported(at.path(), name, &["cpu", "hugepages-", "memory"]));
    }
}

/// The pod must ask for as much as its containers together, and be limited to no less than each of them.
fn covers_containers(spec: &At, resources: &At, errs: &mut FieldErrors) {
    let requests = resources.at("requests");
    for (name, sum) in of_containers(spec.value(), "requests") {
        let own = requests.entry(name);
        if own.exists() && sum > own.quantity() {
            own.invalid(errs, format!("must be greater than or equal to aggregate container requests of {sum}"));
        }
    }
    let limits = resources.at("limits");
    for (name, sum) in of_containers(spec.value(), "limits").into_iter().filter(|(name, _)| is_huge_page(name)) {
        let own = limits.entry(name);
        if own.exists() && sum > own.quantity() {
            own.invalid(errs, format!("must be greater than or equal to aggregate container limits of {sum}"));
        }
    }
    let place = resources.path().name("containers");
    for (index, container) in spec.at("containers").items().enumerate() {
        for (name, limit) in container.at("resources").at("limits").entries() {
            let own = limits.entry(name);
            if own.exists() && limit.quantity() > own.quantity() {
                let (place, amount) = (place.index(index), limit.quantity().to_string());
                let detail = format!("must be less than or equal to pod limits of {}", own.quantity());
                errs.push(FieldError::invalid(&place.key(name).name("limits"), &amount, detail));
            }
        }
    }
}

/// The names of the pod's resource claims.
pub fn claim_names<'v>(spec: &At<'_, 'v>) -> BTreeSet<&'v str> {
    let claims = spec.at("resourceClaims").value().as_array().into_iter().flatten();
    claims.filter_map(|claim| claim["name"].as_str()).filter(|name| !name.is_empty()).collect()
}

/// `spec.resourceClaims`. A static pod, as its metadata tells, has none.
pub fn pod_claims(at: &At, is_static: bool, errs: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for claim in at.items() {
        if is_static {
            errs.push(FieldError::forbidden(&NO_PLACE, "static pods do not support resource claims"));
            continue;
        }
        let name = claim.at("name");
        if name.is_empty() {
            name.required(errs, "");
        } else if !seen.insert(name.str()) {
            name.duplicate(errs);
        } else {
            name.check(errs, dns1123_label);
        }
        let (existing, template) = (claim.at("resourceClaimName"), claim.at("resourceClaimTemplateName"));
        if existing.exists() && template.exists() {
            claim.invalid(errs, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
        }
        if existing.is_null() && template.is_null() {
            claim.invalid(errs, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
        }
        for source in [existing, template].iter().filter(|source| source.exists()) {
            source.check(errs, crate::rules::checks::names::dns1123_subdomain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn found(check: impl Fn(&At, &mut FieldErrors), message: &str, value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(value, table::message(&format!("k8s.io.api.core.v1.{message}"))), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn containers_ask_for_no_more_than_they_may_use() {
        let resources = json!({
            "limits": {"cpu": "1", "example.com/gpu": "2", "hugepages-2Mi": "3Mi"},
            "requests": {"cpu": "1500m", "example.com/gpu": "1", "example.com/x": "1"},
            "claims": [{"name": "a"}, {"name": "a", "request": "b"}, {"name": "c", "request": "d"}, {"name": "c"}]});
        let (claims, options) = (BTreeSet::from(["a", "b"]), Options::default());
        assert_eq!(
            found(|at, errs| container_resources(at, &claims, &options, errs), "ResourceRequirements", &resources),
            [
                "limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                "requests: Invalid value: \"1500m\": must be less than or equal to cpu limit of 1",
                "requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2",
                "limits: Required value: Limit must be set for non overcommitable resources",
                "claims[1]: Duplicate value: \"a\"",
                "claims[2]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims: a, b",
                "claims[3]: Duplicate value: \"c\"",
                "claims[3]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims: a, b",
            ]
        );
    }

    #[test]
    fn a_pod_covers_its_containers() {
        let spec = json!({"resources": {"requests": {"cpu": "1", "pods": "1"}, "limits": {"memory": "1Mi"}},
            "containers": [{"resources": {"requests": {"cpu": "2"}, "limits": {"memory": "2Mi"}}}]});
        assert_eq!(
            found(|at, errs| pod_resources(at, &Options::default(), errs), "PodSpec", &spec),
            [
                "resources.requests[pods]: Unsupported value: \"pods\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
                "resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container \
                 requests of 2",
                "resources.containers[0][memory].limits: Invalid value: \"2Mi\": must be less than or equal to pod limits \
                 of 1Mi",
            ]
        );
    }
}

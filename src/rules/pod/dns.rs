//! How a pod finds names: DNS policy and config, aliases of hosts; and the pod's own name.

use crate::model::field::FieldErrors;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::names::{dns1123_subdomain, dns1123_subdomain_underscore};
use crate::rules::checks::network::legacy_ip;

const POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const MOST_NAMESERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;
/// Of all search paths and the spaces between them.
const SEARCH_BYTES: usize = 2048;
const HOSTNAME_BYTES: usize = 64;

pub fn dns_policy(at: &At, errs: &mut FieldErrors) {
    choices::required(at, &POLICIES, errs);
}

/// `spec.dnsConfig`, which the policy `None` needs.
pub fn dns_config(spec: &At, errs: &mut FieldErrors) {
    let (at, policy) = (spec.at("dnsConfig"), spec.at("dnsPolicy"));
    let servers = at.at("nameservers");
    if policy.str() == "None" && at.is_null() {
        return at.required(errs, "must provide `dnsConfig` when `dnsPolicy` is None");
    }
    if policy.str() == "None" && servers.is_empty() {
        return servers.required(errs, "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
    if servers.len() > MOST_NAMESERVERS {
        servers.invalid(errs, format!("must not have more than {MOST_NAMESERVERS} nameservers"));
    }
    for server in servers.items() {
        legacy_ip(&server, true, errs);
    }
    searches(&at.at("searches"), errs);
    for option in at.at("options").items() {
        if option.at("name").is_empty() {
            option.required(errs, "must not be empty");
        }
    }
}

fn searches(at: &At, errs: &mut FieldErrors) {
    if at.len() > MOST_SEARCHES {
        at.invalid(errs, format!("must not have more than {MOST_SEARCHES} search paths"));
    }
    let bytes: usize = at.strs().map(str::len).sum();
    if bytes + at.len().saturating_sub(1) > SEARCH_BYTES {
        let detail = format!("must not have more than {SEARCH_BYTES} characters (including spaces) in the search list");
        at.invalid(errs, detail);
    }
    for item in at.items().filter(|item| item.str() != ".") {
        let path = item.str().strip_suffix('.').unwrap_or(item.str());
        for text in dns1123_subdomain_underscore(path) {
            item.invalid_as(errs, path, text);
        }
    }
}

/// `spec.hostAliases`.
pub fn host_aliases(at: &At, errs: &mut FieldErrors) {
    for alias in at.items() {
        legacy_ip(&alias.at("ip"), true, errs);
        for name in alias.at("hostnames").items() {
            name.check(errs, dns1123_subdomain);
        }
    }
}

/// `spec.hostnameOverride` (KEP-4762).
pub fn hostname_override(spec: &At, errs: &mut FieldErrors) {
    let name = spec.at("hostnameOverride");
    if name.is_null() {
        return;
    }
    for (field, detail) in [
        ("setHostnameAsFQDN", "may not be specified when setHostnameAsFQDN is true"),
        ("hostNetwork", "may not be specified when hostNetwork is true"),
    ] {
        if spec.at(field).bool() {
            name.forbidden(errs, detail);
        }
    }
    if name.len() > HOSTNAME_BYTES {
        name.too_long(errs, HOSTNAME_BYTES);
    }
    name.check(errs, dns1123_subdomain);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    #[test]
    fn names_of_and_for_a_pod() {
        let spec = json!({"dnsPolicy": "None", "setHostnameAsFQDN": true, "hostnameOverride": "A",
            "dnsConfig": {"nameservers": ["1.2.3.04"], "searches": [".", "a_b.c.", "-"], "options": [{}]},
            "hostAliases": [{"ip": "", "hostnames": ["a.b"]}]});
        let (root, mut errs) = (At::new(&spec, table::message("k8s.io.api.core.v1.PodSpec")), FieldErrors::new());
        dns_policy(&root.at("dnsPolicy"), &mut errs);
        dns_config(&root, &mut errs);
        host_aliases(&root.at("hostAliases"), &mut errs);
        hostname_override(&root, &mut errs);
        let found: Vec<_> = errs.iter().map(ToString::to_string).collect();
        assert_begin(
            &found,
            &[
                "dnsConfig.nameservers[0]: Invalid value: \"1.2.3.04\": must not have leading 0s",
                "dnsConfig.searches[2]: Invalid value: \"-\": a lowercase RFC 1123 subdomain must c",
                "dnsConfig.options[0]: Required value: must not be empty",
                "hostAliases[0].ip: Invalid value: \"\": must be a valid IP address, (e.g. 10.9.8.7",
                "hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
                "hostnameOverride: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consis",
            ],
        );
    }
}

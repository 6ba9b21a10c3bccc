//! NetworkPolicy: which traffic pods may have.

use super::at::At;
use super::checks::choices;
use super::checks::labels::{SelectorLeniency, label_selector};
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, port_name};
use super::checks::network::{cidr_warnings, is_strictly_within, legacy_cidr};
use super::checks::numbers::port_number;
use super::fill::{self as filling, default, items};
use super::kind::{Cx, Generation, NONE, Rules};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "networking.k8s.io",
    kind: "NetworkPolicy",
    generation: Generation::Own,
    prepare_create: |_, new| object::set_meta(new, "generation", 1.into()),
    prepare_update: |_, new, old| {
        // As in stock, an empty list is a change from none.
        if new["spec"] != old["spec"] {
            object::set_meta(new, "generation", (object::generation(old) + 1).into());
        }
    },
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), &Kept::default(), errs);
    },
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        spec(&at.at("spec"), &Kept::of(&old.at("spec")), errs);
    },
    warn,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
/// (rules, their peers)
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    let egress = object["spec"]["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    if let Some(spec) = filling::made(object, &["spec"])
        && spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty)
    {
        let types: &[&str] = if egress { &["Ingress", "Egress"] } else { &["Ingress"] };
        spec.insert("policyTypes".into(), types.into());
    }
    for (rules, _) in DIRECTIONS {
        let rules = object["spec"].get_mut(rules).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            items(rule, &["ports"]).for_each(|port| default(port, "protocol", "TCP"));
        }
    }
}

/// What an old object already had wrong and may keep.
#[derive(Default)]
struct Kept<'v> {
    selectors: SelectorLeniency,
    cidrs: Vec<&'v str>,
}

impl<'v> Kept<'v> {
    fn of(old: &At<'_, 'v>) -> Self {
        let mut wrong = FieldErrors::new();
        label_selector(&old.at("podSelector"), SelectorLeniency::default(), &mut wrong);
        let mut cidrs = Vec::new();
        for_each_block(old, |block| {
            cidrs.push(block.at("cidr").str());
            cidrs.extend(block.at("except").strs());
        });
        Self { selectors: SelectorLeniency { bad_values: !wrong.is_empty(), unknown_operators: false }, cidrs }
    }
}

fn for_each_block<'v>(spec: &At<'_, 'v>, mut visit: impl FnMut(&At<'_, 'v>)) {
    for (rules, peers) in DIRECTIONS {
        for rule in spec.at(rules).items() {
            for peer in rule.at(peers).items().filter(|peer| peer.has("ipBlock")) {
                visit(&peer.at("ipBlock"));
            }
        }
    }
}

fn spec(at: &At, kept: &Kept<'_>, errs: &mut FieldErrors) {
    label_selector(&at.at("podSelector"), kept.selectors, errs);
    for (rules, peers) in DIRECTIONS {
        for rule in at.at(rules).items() {
            rule.at("ports").items().for_each(|port| self::port(&port, errs));
            rule.at(peers).items().for_each(|peer| self::peer(&peer, kept, errs));
        }
    }
    let types = at.at("policyTypes");
    if types.len() > 2 {
        return types.invalid(errs, "may not specify more than two policyTypes");
    }
    types.items().for_each(|kind| choices::one_of(&kind, &["Ingress", "Egress"], errs));
}

fn port(at: &At, errs: &mut FieldErrors) {
    choices::optional(&at.at("protocol"), &PROTOCOLS, errs);
    let (port, end) = (at.at("port"), at.at("endPort"));
    if port.is_null() {
        if end.exists() {
            end.invalid(errs, "may not be specified when `port` is not specified");
        }
    } else if port.value().is_string() {
        if end.exists() {
            end.invalid(errs, "may not be specified when `port` is non-numeric");
        }
        port.check(errs, port_name);
    } else {
        port.invalid_each(errs, port_number(port.i64()));
        if end.exists() {
            if end.i64() < port.i64() {
                end.invalid_as(errs, port.i64(), "must be greater than or equal to `port`");
            }
            end.invalid_each(errs, port_number(end.i64()));
        }
    }
}

fn peer(at: &At, kept: &Kept<'_>, errs: &mut FieldErrors) {
    let (pods, namespaces, block) = (at.at("podSelector"), at.at("namespaceSelector"), at.at("ipBlock"));
    label_selector(&pods, kept.selectors, errs);
    label_selector(&namespaces, kept.selectors, errs);
    if block.exists() {
        ip_block(&block, kept, errs);
    }
    let selects = pods.exists() || namespaces.exists();
    match (selects, block.exists()) {
        (false, false) => at.required(errs, "must specify a peer"),
        (true, true) => at.forbidden(errs, "may not specify both ipBlock and another peer"),
        _ => {}
    }
}

fn ip_block(at: &At, kept: &Kept<'_>, errs: &mut FieldErrors) {
    let cidr = at.at("cidr");
    if cidr.is_empty() {
        return cidr.required(errs, "");
    }
    let check = |at: &At, errs: &mut FieldErrors| {
        if !kept.cidrs.contains(&at.str()) {
            legacy_cidr(at, true, errs);
        }
    };
    check(&cidr, errs);
    if is_strictly_within(cidr.str(), cidr.str()).is_none() {
        return;
    }
    for except in at.at("except").items() {
        check(&except, errs);
        if is_strictly_within(cidr.str(), except.str()) == Some(false) {
            errs.push(FieldError::invalid(except.path(), except.str(), "must be a strict subset of `cidr`"));
        }
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    for_each_block(&at.at("spec"), |block| {
        let (cidr, except) = (block.at("cidr"), block.at("except"));
        warnings.extend(cidr_warnings(cidr.path(), cidr.str()));
        for except in except.items() {
            warnings.extend(cidr_warnings(except.path(), except.str()));
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("networking.k8s.io/v1", "NetworkPolicy")
    }

    #[test]
    fn what_is_left_out_is_filled() {
        let kept = kind().create(json!({"spec": {"egress": [{"ports": [{"port": 53}]}]}})).expect("right");
        assert_eq!(kept["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(kept["spec"]["egress"][0]["ports"], json!([{"port": 53, "protocol": "TCP"}]));
        assert_eq!(kind().create(json!({})).expect("right")["spec"], json!({"policyTypes": ["Ingress"]}));
    }

    #[test]
    fn ports_and_peers_are_judged() {
        let object = json!({"spec": {"ingress": [{
            "ports": [{"port": 80, "endPort": 79}, {"port": "http", "endPort": 1}, {"endPort": 1}],
            "from": [{}, {"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "11.0.0.0/9", "10.0.0.0/8"]}}],
        }], "policyTypes": ["Both"]}});
        let text = kind().refused(object);
        assert_eq!(
            text,
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
                "spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is non-numeric",
                "spec.ingress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is not specified",
                "spec.ingress[0].from[0]: Required value: must specify a peer",
                "spec.ingress[0].from[1].ipBlock.except[1]: Invalid value: \"11.0.0.0/9\": must be a strict subset of `cidr`",
                "spec.ingress[0].from[1].ipBlock.except[2]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
                "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
                "spec.policyTypes[0]: Unsupported value: \"Both\": supported values: \"Ingress\", \"Egress\"",
            ]
        );
    }

    #[test]
    fn networks_that_were_there_may_stay_anywhere() {
        let policy =
            |rules: &str, peers: &str, cidr: &str| json!({"spec": {rules: [{peers: [{"ipBlock": {"cidr": cidr}}]}]}});
        let old = policy("ingress", "from", "10.0.0.1/8");
        assert!(kind().update("", old.clone(), policy("egress", "to", "10.0.0.1/8")).is_ok());
        assert!(kind().update("", old, policy("ingress", "from", "10.0.0.2/8")).is_err());
    }
}

//! IngressClass: which controller serves Ingresses.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, domain_prefixed_path};
use super::fill::{default, fields};
use super::ingress::reference;
use super::kind::{Generation, NONE, Rules};
use crate::model::field::FieldErrors;
use crate::model::syntax::dns1123_label;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "networking.k8s.io",
    kind: "IngressClass",
    generation: Generation::Fields(&["spec"]),
    validate: |_, at, errs| class(at, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        at.at("spec").at("controller").immutable(errs, &old.at("spec").at("controller"));
        class(at, errs);
    },
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
const CONTROLLER_BYTES: usize = 250;

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    if let Some(parameters) = fields(object, &["spec", "parameters"]) {
        default(parameters, "scope", "Cluster");
    }
}

fn class(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let spec = at.at("spec");
    let controller = spec.at("controller");
    if controller.len() > CONTROLLER_BYTES {
        controller.too_long(errs, CONTROLLER_BYTES);
    }
    domain_prefixed_path(&controller, errs);
    if spec.has("parameters") {
        parameters(&spec.at("parameters"), errs);
    }
}

fn parameters(at: &At, errs: &mut FieldErrors) {
    reference(at, errs);
    let (scope, namespace) = (at.at("scope"), at.at("namespace"));
    match scope.str() {
        _ if scope.is_null() => scope.required(errs, ""),
        "Namespace" if namespace.is_null() => namespace.required(errs, "`parameters.scope` is set to 'Namespace'"),
        "Namespace" => drop(namespace.check(errs, dns1123_label)),
        "Cluster" if namespace.exists() => namespace.forbidden(errs, "`parameters.scope` is set to 'Cluster'"),
        "Cluster" => {}
        _ => scope.not_supported(errs, &["Cluster", "Namespace"]),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    #[test]
    fn parameters_are_of_the_cluster_or_a_namespace() {
        let kind = Kind::new("networking.k8s.io/v1", "IngressClass");
        let class = |parameters: Value| json!({"spec": {"controller": "a.b/c", "parameters": parameters}});
        let kept = kind.create(class(json!({"kind": "K", "name": "n"}))).expect("right");
        assert_eq!(kept["spec"]["parameters"]["scope"], "Cluster");
        let found = kind.refused(class(json!({"kind": "a/b", "scope": "Namespace"})));
        assert_eq!(
            found,
            [
                "spec.parameters.kind: Invalid value: \"a/b\": may not contain '/'",
                "spec.parameters.name: Required value",
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ]
        );
        let (old, new) = (class(Value::Null), json!({"spec": {"controller": "a.b/d"}}));
        let found = kind.update("", old, new).unwrap_err();
        assert_eq!(found, ["spec.controller: Invalid value: \"a.b/d\": field is immutable"]);
    }
}

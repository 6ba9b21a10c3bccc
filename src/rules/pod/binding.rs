//! The kind Binding: a pod is bound to a node.

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::kind::{Cx, NONE, Rules};

pub const RULES: Rules = Rules { group: "", kind: "Binding", validate, ..NONE };

fn validate(_: &Cx, at: &At, errs: &mut FieldErrors) {
    let target = at.at("target");
    let (kind, name) = (target.at("kind"), target.at("name"));
    if !kind.is_empty() && kind.str() != "Node" {
        errs.push(FieldError::not_supported(kind.path(), kind.str(), &["Node", "<empty>"]));
    }
    if name.is_empty() {
        name.required(errs, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn a_pod_is_bound_to_a_node() {
        let cx = Cx::for_tests();
        let (binding, mut errs) = (json!({"target": {"kind": "Pod"}}), FieldErrors::new());
        validate(&cx, &At::new(&binding, table::message("k8s.io.api.core.v1.Binding")), &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
                "target.name: Required value"
            ]
        );
    }
}

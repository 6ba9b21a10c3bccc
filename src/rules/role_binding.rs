//! RoleBinding and ClusterRoleBinding: who has a role.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{dns1123_subdomain, path_segment};
use super::fill;
use super::kind::{NONE, Rules};
use super::role::{GROUP, NAME};
use crate::model::field::FieldErrors;
use crate::model::value::{Map, Value};

pub const ROLE_BINDING: Rules = Rules {
    group: GROUP,
    kind: "RoleBinding",
    create_on_update: true,
    validate: |_, at, errs| binding(at, true, errs),
    validate_update: |_, at, old, errs| changed(at, old, true, errs),
    ..NONE
};

pub const CLUSTER_ROLE_BINDING: Rules = Rules {
    group: GROUP,
    kind: "ClusterRoleBinding",
    create_on_update: true,
    validate: |_, at, errs| binding(at, false, errs),
    validate_update: |_, at, old, errs| changed(at, old, false, errs),
    ..NONE
};

const SERVICE_ACCOUNT: &str = "ServiceAccount";
const USER: &str = "User";
const USERS: &str = "Group";

/// The defaults of both kinds.
pub fn fill_binding(object: &mut Value) {
    let unset = |fields: &Map| fill::text(fields, "apiGroup").is_empty();
    if let Some(role) = fill::made(object, &["roleRef"])
        && unset(role)
    {
        role.insert("apiGroup".into(), GROUP.into());
    }
    for subject in fill::items(object, &["subjects"]) {
        if [USER, USERS].contains(&fill::text(subject, "kind")) && unset(subject) {
            subject.insert("apiGroup".into(), GROUP.into());
        }
    }
}

fn binding(at: &At, namespaced: bool, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), MetaRules { namespaced, name: NAME, kube_finalizers: true }, errs);
    let role = at.at("roleRef");
    of_group(&role.at("apiGroup"), errs);
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&role.at("kind").str()) {
        role.at("kind").not_supported(errs, kinds);
    }
    if role.at("name").is_empty() {
        role.at("name").required(errs, "");
    } else {
        role.at("name").check(errs, path_segment);
    }
    for subject in at.at("subjects").items() {
        self::subject(&subject, namespaced, errs);
    }
}

fn changed(at: &At, old: &At, namespaced: bool, errs: &mut FieldErrors) {
    binding(at, namespaced, errs);
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let role = at.at("roleRef");
    if !role.same_as(&old.at("roleRef")) {
        role.invalid(errs, "cannot change roleRef");
    }
}

fn subject(at: &At, namespaced: bool, errs: &mut FieldErrors) {
    let (name, group, namespace) = (at.at("name"), at.at("apiGroup"), at.at("namespace"));
    if name.is_empty() {
        name.required(errs, "");
    }
    match at.at("kind").str() {
        SERVICE_ACCOUNT => {
            if !name.is_empty() {
                name.check(errs, dns1123_subdomain);
            }
            if !group.is_empty() {
                group.not_supported(errs, &[""]);
            }
            if !namespaced && namespace.is_empty() {
                namespace.required(errs, "");
            }
        }
        USER | USERS => of_group(&group, errs),
        _ => at.at("kind").not_supported(errs, &[SERVICE_ACCOUNT, USER, USERS]),
    }
}

fn of_group(at: &At, errs: &mut FieldErrors) {
    if at.str() != GROUP {
        at.not_supported(errs, &[GROUP]);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn users_and_groups_are_of_this_api_group() {
        let kind = Kind::new("rbac.authorization.k8s.io/v1", "RoleBinding");
        let kept = kind.create(json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
            {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]}));
        let kept = kept.expect("a binding");
        assert_eq!(
            (&kept["roleRef"], &kept["subjects"]),
            (
                &json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}),
                &json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"},
                    {"kind": "ServiceAccount", "name": "s"}])
            )
        );
    }

    #[test]
    fn a_cluster_role_binding_binds_cluster_roles() {
        let kind = Kind::new("rbac.authorization.k8s.io/v1", "ClusterRoleBinding");
        let bad = json!({"roleRef": {"kind": "Role", "apiGroup": "x"}, "subjects": [
            {"kind": "ServiceAccount", "apiGroup": "x"}, {"kind": "Robot", "name": "r"}]});
        assert_eq!(
            kind.refused(bad),
            [
                "roleRef.apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                "roleRef.name: Required value",
                "subjects[0].name: Required value",
                "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"\"",
                "subjects[0].namespace: Required value",
                "subjects[1].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
            ]
        );
    }

    #[test]
    fn the_role_stays() {
        let kind = Kind::new("rbac.authorization.k8s.io/v1", "ClusterRoleBinding");
        let bound = |name: &str| json!({"roleRef": {"kind": "ClusterRole", "name": name}});
        assert_eq!(
            kind.update("", bound("a"), bound("b")).unwrap_err(),
            [
                "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"b\"}: \
              cannot change roleRef"
            ]
        );
    }
}

//! The answers: may this user do this, and what may this user do at all.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::bound::Among;
use super::escalation::{covers, refusal};
use super::rule::Rule;
use super::table::{Binding, Kind, RoleRef, SubjectKind, Table};
use crate::auth::authorizer::{Attributes, Authorizer, Decision, Reason, Rules, Target, Verdict};
use crate::auth::identity::User;
use crate::model::field::aggregate;
use crate::model::gotext;
use crate::model::value::Value;

/// So many roles are asked one by one before the index is.
const ASKED: usize = 16;

/// The RBAC authorizer. Reading never waits: a change is made on a copy that then takes the place of the old one.
#[derive(Default)]
pub struct Rbac {
    table: ArcSwap<Table>,
    /// Held while a change is made.
    changing: Mutex<()>,
}

/// A change of an object: what it was and what it is now, `None` for not there.
pub type Change<'a> = (Kind, Option<&'a Value>, Option<&'a Value>);

/// Why something is allowed: a binding, and the user who is one of its subjects.
#[derive(Clone, Debug)]
pub struct Grant {
    binding: Arc<Binding>,
    user: User,
}

impl Rbac {
    /// Takes over changes, in order; together they become visible.
    pub fn apply<'a>(&self, changes: impl IntoIterator<Item = Change<'a>>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        for (kind, before, after) in changes {
            table.apply(kind, before, after);
        }
        self.table.store(Arc::new(table));
    }

    /// Every rule that applies to `user` in `namespace` (cluster-wide ones included), and the error text for roles that
    /// could not be found, empty when all were.
    pub fn rules_for(&self, user: &User, namespace: &str) -> (Vec<Rule>, String) {
        let table = self.table.load();
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for binding in distinct(&table, user, namespace) {
            match table.role_of(binding) {
                Ok(role) => rules.extend(role.rules.iter().cloned()),
                Err(error) => errors.push(Cow::Owned(error)),
            }
        }
        (rules, if errors.is_empty() { String::new() } else { aggregate(errors) })
    }

    /// The rules of the role that a binding in `namespace` (empty: of the cluster) refers to.
    pub fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<Vec<Rule>, String> {
        self.table.load().rules_of(role, namespace).map(<[Rule]>::to_vec)
    }

    /// Whether `user` holds every right in `wanted` (in `namespace`, empty: cluster-wide); the text of stock's refusal
    /// when not.
    pub fn confirm_holds(&self, user: &User, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
        let (held, errors) = self.rules_for(user, namespace);
        let missing = covers(&held, wanted);
        if missing.is_empty() { Ok(()) } else { Err(refusal(user, missing, &errors)) }
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let table = self.table.load();
        let namespace = match &attributes.target {
            Target::Resource(resource) => resource.namespace,
            Target::Path(_) => "",
        };
        decide(&table, attributes, namespace, ASKED)
    }

    fn rules(&self, user: &User, namespace: &str) -> Rules {
        let (rules, error) = self.rules_for(user, namespace);
        Rules { rules, incomplete: false, error }
    }
}

/// Asks one role after the other, as long as they are few; then the index, which says which of all roles would allow it.
fn decide(table: &Table, attributes: &Attributes<'_>, namespace: &str, most: usize) -> Verdict {
    let (mut lost, mut asked) = (false, 0);
    for bound in table.bound_to(attributes.user, namespace) {
        let mut bindings = bound.bindings();
        while let Some(binding) = bindings.first() {
            if asked == most {
                return search(table, attributes, namespace);
            }
            asked += 1;
            match table.role_of(binding) {
                Err(_) => lost = true,
                Ok(role) if role.allows(attributes) => return granted(binding, attributes.user),
                Ok(_) => {}
            }
            bindings = after_role(bindings);
        }
    }
    refused(table, attributes.user, namespace, lost)
}

/// The same, in what it costs to find the roles that allow it.
fn search(table: &Table, attributes: &Attributes<'_>, namespace: &str) -> Verdict {
    let (user, (cluster, local)) = (attributes.user, table.roles_in(namespace));
    let (of_cluster, of_local) = (cluster.allowing(attributes), local.map(|local| local.allowing(attributes)));
    let allowing = Among { cluster: (cluster, &of_cluster), local: local.zip(of_local.as_ref()) };
    if !allowing.is_empty() {
        let first = table.bound_to(user, namespace).find_map(|bound| bound.first(&allowing));
        if let Some(binding) = first {
            return granted(binding, user);
        }
    }
    let there = Among { cluster: (cluster, cluster.there()), local: local.map(|local| (local, local.there())) };
    let lost = table.bound_to(user, namespace).any(|bound| bound.is_lost(&there));
    refused(table, user, namespace, lost)
}

fn granted(binding: &Arc<Binding>, user: &User) -> Verdict {
    let grant = Grant { binding: binding.clone(), user: user.clone() };
    Verdict { decision: Decision::Allow, reason: Reason::Granted(grant), error: None }
}

fn refused(table: &Table, user: &User, namespace: &str, lost: bool) -> Verdict {
    Verdict::no_opinion(if lost { Cow::Owned(lost_roles(table, user, namespace)) } else { "".into() })
}

/// What is left behind all the bindings of the first one's role: they stand together, and say the same.
fn after_role(bindings: &[Arc<Binding>]) -> &[Arc<Binding>] {
    let [first, second, ..] = bindings else { return &[] };
    // Few roles are bound more than once to one subject.
    let same = if second.role == first.role { bindings.partition_point(|b| b.role <= first.role) } else { 1 };
    &bindings[same..]
}

/// `RBAC: ` and what could not be found.
fn lost_roles(table: &Table, user: &User, namespace: &str) -> String {
    let errors = distinct(table, user, namespace).into_iter().filter_map(|b| table.role_of(b).err()).map(Cow::Owned);
    format!("RBAC: {}", aggregate(errors))
}

/// The bindings that apply, each once: the cluster's by name, then the namespace's by name.
fn distinct<'a>(table: &'a Table, user: &'a User, namespace: &'a str) -> Vec<&'a Arc<Binding>> {
    let mut bindings: Vec<_> = table.bindings_of(user, namespace).collect();
    bindings.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    bindings.dedup_by(|a, b| Arc::ptr_eq(a, b));
    bindings
}

/// `ClusterRoleBinding "b" of ClusterRole "view" to Group "g"`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binding = &self.binding;
        if binding.namespace.is_empty() {
            write!(f, "ClusterRoleBinding {}", gotext::quote(&binding.name))?;
        } else {
            write!(f, "RoleBinding {}", gotext::quote(&format!("{}/{}", binding.name, binding.namespace)))?;
        }
        write!(f, " of {} {} to ", binding.role.kind, gotext::quote(&binding.role.name))?;
        let Some(subject) = binding.subject_of(&self.user) else { return f.write_str("nobody") };
        match &subject.kind {
            SubjectKind::User => write!(f, "User {}", gotext::quote(&subject.name)),
            SubjectKind::Group => write!(f, "Group {}", gotext::quote(&subject.name)),
            SubjectKind::Other(kind) => write!(f, "{kind} {}", gotext::quote(&subject.name)),
            SubjectKind::ServiceAccount => {
                let whole = format!("{}/{}", subject.name, subject.namespace_in(binding));
                write!(f, "ServiceAccount {}", gotext::quote(&whole))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::authorizer::Resource;
    use crate::model::value::json;

    fn role(namespace: &str, name: &str, verb: &str, resource: &str) -> Value {
        let rule = json!({"verbs": [verb], "apiGroups": [""], "resources": [resource]});
        json!({"metadata": {"namespace": namespace, "name": name}, "rules": [rule]})
    }

    /// Subjects are `User x`, `Group x` or `ServiceAccount ns/x`.
    fn binding(namespace: &str, name: &str, role: &str, subjects: &[&str]) -> Value {
        let (kind, role) = role.split_once(' ').expect("kind and name");
        let subjects: Vec<_> = subjects
            .iter()
            .map(|subject| {
                let (kind, name) = subject.split_once(' ').expect("kind and name");
                let (namespace, name) = name.split_once('/').unwrap_or(("", name));
                json!({"kind": kind, "namespace": namespace, "name": name})
            })
            .collect();
        json!({"metadata": {"namespace": namespace, "name": name}, "roleRef": {"kind": kind, "name": role}, "subjects": subjects})
    }

    fn sample() -> Rbac {
        let rbac = Rbac::default();
        let objects = [
            (Kind::ClusterRole, role("", "view", "get", "pods")),
            (Kind::ClusterRole, role("", "edit", "update", "pods")),
            (Kind::Role, role("n", "view", "get", "secrets")),
            (Kind::ClusterRoleBinding, binding("", "viewers", "ClusterRole view", &["User x", "Group readers"])),
            (Kind::RoleBinding, binding("n", "editors", "ClusterRole edit", &["User jane", "ServiceAccount sa"])),
            (Kind::RoleBinding, binding("n", "secrets", "Role view", &["ServiceAccount other/sa", "Robot r2"])),
            (Kind::RoleBinding, binding("n", "lost", "ClusterRole gone", &["User mallory", "User jane"])),
            (Kind::ClusterRoleBinding, binding("", "lost", "Role view", &["User mallory"])),
        ];
        rbac.apply(objects.iter().map(|(kind, object)| (*kind, None, Some(object))));
        rbac
    }

    /// The reason when allowed, `-` and the reason otherwise.
    fn ask(rbac: &Rbac, user: &User, verb: &str, resource: &str, namespace: &str) -> String {
        let resource = Resource { resource, namespace, ..Resource::default() };
        let verdict = rbac.authorize(&Attributes::resource(user, verb, resource));
        if verdict.is_allowed() { verdict.reason.to_string() } else { format!("-{}", verdict.reason) }
    }

    #[test]
    fn decisions_and_their_reasons() {
        let rbac = sample();
        let reader = User::new("r", &["a", "readers"]);
        let view = "RBAC: allowed by ClusterRoleBinding \"viewers\" of ClusterRole \"view\" to Group \"readers\"";
        assert_eq!(ask(&rbac, &reader, "get", "pods", ""), view);
        assert_eq!(ask(&rbac, &reader, "get", "pods", "anywhere"), view);
        assert_eq!(ask(&rbac, &reader, "get", "secrets", "n"), "-");
        let edit = "RBAC: allowed by RoleBinding \"editors/n\" of ClusterRole \"edit\" to ";
        let jane = User::new("jane", &[]);
        assert_eq!(ask(&rbac, &jane, "update", "pods", "n"), format!("{edit}User \"jane\""));
        assert_eq!(ask(&rbac, &jane, "update", "pods", ""), "-", "a role binding says nothing about the cluster");
        let account: User = User::service_account("n", "sa", "").into();
        assert_eq!(ask(&rbac, &account, "update", "pods", "n"), format!("{edit}ServiceAccount \"sa/n\""));
        let other: User = User::service_account("other", "sa", "").into();
        assert_eq!(
            ask(&rbac, &other, "get", "secrets", "n"),
            "RBAC: allowed by RoleBinding \"secrets/n\" of Role \"view\" to ServiceAccount \"sa/other\""
        );
        assert_eq!(ask(&rbac, &User::new("r2", &[]), "get", "secrets", "n"), "-");
    }

    #[test]
    fn lost_roles_are_named_when_nothing_allows() {
        let (rbac, mallory) = (sample(), User::new("mallory", &[]));
        assert_eq!(
            ask(&rbac, &mallory, "get", "pods", "n"),
            "-RBAC: [role.rbac.authorization.k8s.io \"view\" not found, clusterrole.rbac.authorization.k8s.io \"gone\" not \
             found]"
        );
        assert_eq!(ask(&rbac, &mallory, "get", "pods", ""), "-RBAC: role.rbac.authorization.k8s.io \"view\" not found");
        assert!(ask(&rbac, &User::new("jane", &[]), "update", "pods", "n").starts_with("RBAC: allowed by"));
    }

    #[test]
    fn changes_are_followed() {
        let (rbac, jane) = (sample(), User::new("jane", &[]));
        let old = binding("n", "editors", "ClusterRole edit", &["User jane", "ServiceAccount sa"]);
        let new = binding("n", "editors", "ClusterRole edit", &["User joe"]);
        rbac.apply([(Kind::RoleBinding, Some(&old), Some(&new))]);
        assert!(ask(&rbac, &jane, "update", "pods", "n").starts_with('-'));
        assert!(ask(&rbac, &User::new("joe", &[]), "update", "pods", "n").starts_with("RBAC"));
        let (before, after) = (role("", "edit", "update", "pods"), role("", "edit", "patch", "pods"));
        rbac.apply([(Kind::ClusterRole, Some(&before), Some(&after))]);
        assert!(ask(&rbac, &User::new("joe", &[]), "update", "pods", "n").starts_with('-'));
        assert!(ask(&rbac, &User::new("joe", &[]), "patch", "pods", "n").starts_with("RBAC"));
        rbac.apply([(Kind::RoleBinding, Some(&new), None)]);
        assert!(ask(&rbac, &User::new("joe", &[]), "patch", "pods", "n").starts_with('-'));
    }

    #[test]
    fn nothing_is_left_of_what_is_gone() {
        let rbac = Rbac::default();
        let (view, bound) =
            (role("n", "view", "get", "pods"), binding("n", "b", "Role view", &["User u", "Group g", "User u"]));
        rbac.apply([(Kind::Role, None, Some(&view)), (Kind::RoleBinding, None, Some(&bound))]);
        assert!(ask(&rbac, &User::new("u", &[]), "get", "pods", "n").starts_with("RBAC"));
        rbac.apply([(Kind::RoleBinding, Some(&bound), None), (Kind::Role, Some(&view), None)]);
        assert!(rbac.table.load().is_empty());
    }

    #[test]
    fn rules_are_listed_once_a_binding() {
        let rbac = sample();
        let user = User::new("x", &["readers"]);
        let (rules, error) = rbac.rules_for(&user, "n");
        assert_eq!((rules, error.as_str()), (Rule::all_of(&role("", "view", "get", "pods")), ""));
        let (rules, error) = rbac.rules_for(&User::new("jane", &[]), "n");
        assert_eq!(rules, Rule::all_of(&role("", "edit", "update", "pods")));
        assert_eq!(error, "clusterrole.rbac.authorization.k8s.io \"gone\" not found");
        let role = RoleRef { kind: "Role".into(), name: "view".into() };
        assert_eq!(rbac.rules_of(&role, "n").map(|rules| rules.len()), Ok(1));
        assert!(rbac.rules_of(&role, "m").is_err());
    }

    #[test]
    fn granting_needs_holding() {
        let (rbac, jane) = (sample(), User::new("jane", &["g"]));
        let wanted = Rule::all_of(&role("", "", "update", "pods"));
        assert_eq!(rbac.confirm_holds(&jane, "n", &wanted), Ok(()));
        assert_eq!(
            rbac.confirm_holds(&jane, "", &wanted),
            Err("user \"jane\" (groups=[\"g\"]) is attempting to grant RBAC permissions not currently held:\n\
                 {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"update\"]}"
                .into())
        );
    }

    mod as_one_by_one {
        use proptest::prelude::*;

        use super::*;

        const VERBS: [&str; 4] = ["get", "list", "delete", "*"];
        const GROUPS: [&str; 3] = ["", "apps", "*"];
        const RESOURCES: [&str; 6] = ["pods", "pods/log", "secrets", "*", "*/log", "*/scale"];
        const PATHS: [&str; 6] = ["/healthz", "/logs/*", "/l*", "*", "/metrics", "/logs/**"];
        const SUBJECTS: [&str; 5] = ["User jane", "Group a", "Group b", "ServiceAccount n/jane", "Robot jane"];

        fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
            prop::collection::vec(prop::sample::select(of), 1..3)
        }

        fn rule() -> impl Strategy<Value = Value> {
            let names = prop::option::of(some(&["x", "y"])).prop_map(Option::unwrap_or_default);
            let of_resources = (some(&VERBS), some(&GROUPS), some(&RESOURCES), names).prop_map(|(verbs, groups, resources, names)| {
                json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names})
            });
            let of_paths = (some(&VERBS), some(&PATHS))
                .prop_map(|(verbs, paths)| json!({"verbs": verbs, "nonResourceURLs": paths}));
            prop_oneof![4 => of_resources, 1 => of_paths]
        }

        /// A role or a binding that is made, replaced or deleted.
        fn step() -> impl Strategy<Value = (Kind, Value, bool)> {
            let namespace = || prop::sample::select(vec!["", "n", "m"]);
            let role =
                (namespace(), 0..30u8, prop::collection::vec(rule(), 0..3)).prop_map(|(namespace, name, rules)| {
                    let kind = if namespace.is_empty() { Kind::ClusterRole } else { Kind::Role };
                    (kind, json!({"metadata": {"namespace": namespace, "name": format!("r{name}")}, "rules": rules}))
                });
            let bound = (namespace(), 0..60u8, any::<bool>(), 0..30u8, some(&SUBJECTS));
            let bound = bound.prop_map(|(namespace, name, local, role, subjects)| {
                let kind = if namespace.is_empty() { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
                let role = format!("{} r{role}", if local { "Role" } else { "ClusterRole" });
                (kind, binding(namespace, &format!("b{name}"), &role, &subjects))
            });
            (prop_oneof![role, bound], prop::bool::weighted(0.8))
                .prop_map(|((kind, object), stays)| (kind, object, stays))
        }

        fn answer(table: &Table, attributes: &Attributes<'_>, namespace: &str, most: usize) -> String {
            let verdict = decide(table, attributes, namespace, most);
            format!("{:?} {}", verdict.decision, verdict.reason)
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(48))]

            #[test]
            fn the_index_finds_the_same_binding(steps in prop::collection::vec(step(), 0..250)) {
                let (rbac, mut stored) = (Rbac::default(), std::collections::HashMap::new());
                for (kind, object, stays) in steps {
                    let at = (format!("{kind:?}"), object["metadata"].to_string());
                    let before = if stays { stored.insert(at, object.clone()) } else { stored.remove(&at) };
                    rbac.apply([(kind, before.as_ref(), Some(&object).filter(|_| stays))]);
                }
                let table = rbac.table.load();
                let jane = User::new("jane", &["b", "a"]);
                let account: User = User::service_account("n", "jane", "").into();
                for user in [&jane, &account] {
                    for (namespace, resource, subresource, name) in [
                        ("", "pods", "", ""), ("n", "pods", "", "x"), ("n", "pods", "log", "y"), ("m", "secrets", "scale", ""), ("k", "secrets", "", "z"),
                    ] {
                        for (verb, group) in [("get", ""), ("delete", "apps"), ("update", "")] {
                            let resource = Resource { group, resource, subresource, namespace, name, ..Resource::default() };
                            let asked = Attributes::resource(user, verb, resource);
                            prop_assert_eq!(answer(&table, &asked, namespace, 0), answer(&table, &asked, namespace, usize::MAX));
                        }
                    }
                    for path in ["/healthz", "/logs/x", "/x"] {
                        let asked = Attributes::path(user, "get", path);
                        prop_assert_eq!(answer(&table, &asked, "", 0), answer(&table, &asked, "", usize::MAX));
                    }
                }
                drop(table);
                for ((kind, _), object) in stored {
                    let kinds = [Kind::Role, Kind::ClusterRole, Kind::RoleBinding, Kind::ClusterRoleBinding];
                    let kind = kinds.into_iter().find(|one| format!("{one:?}") == kind).expect("one of four");
                    rbac.apply([(kind, Some(&object), None)]);
                }
                prop_assert!(rbac.table.load().is_empty());
            }
        }
    }
}

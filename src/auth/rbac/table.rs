//! Roles and bindings, indexed by subject. A persistent value: a copy costs nothing and never changes.

use std::sync::Arc;

use compact_str::CompactString;
use imbl::HashMap;

use super::bound::Bound;
use super::roles::Roles;
use super::rule::{Role, Rule};
use crate::auth::identity::{User, service_account_name};
use crate::model::names::ObjectName;
use crate::model::object::{name, namespace};
use crate::model::value::Value;

/// The four resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
}

/// A binding of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Empty: of the whole cluster.
    pub namespace: CompactString,
    pub name: CompactString,
    pub role: RoleRef,
    /// The place of the role among those of its scope; `None` where there are no such roles.
    pub(super) place: Option<u32>,
    pub subjects: Vec<Subject>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`; something else refers to nothing.
    pub kind: CompactString,
    pub name: CompactString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub kind: SubjectKind,
    pub name: CompactString,
    /// Of a service account; empty: the binding's own.
    pub namespace: CompactString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    User,
    Group,
    ServiceAccount,
    /// Applies to nobody.
    Other(CompactString),
}

/// Everything bound; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Table {
    cluster: Scope,
    namespaces: HashMap<CompactString, Scope>,
    bindings: HashMap<ObjectName, Arc<Binding>>,
}

/// The roles and bindings of a namespace, or of the cluster.
#[derive(Clone, Default)]
struct Scope {
    roles: Roles,
    users: HashMap<CompactString, Bound>,
    groups: HashMap<CompactString, Bound>,
}

impl Table {
    /// Takes over a change of an object: what it was and what it is, `None` for not there.
    pub(super) fn apply(&mut self, kind: Kind, before: Option<&Value>, after: Option<&Value>) {
        let Some(any) = after.or(before) else { return };
        match kind {
            Kind::Role | Kind::ClusterRole => {
                let scope = self.scope_mut(if kind == Kind::Role { namespace(any) } else { "" });
                scope.roles.set(name(any), after.map(Rule::all_of));
            }
            Kind::RoleBinding | Kind::ClusterRoleBinding => {
                let at = ObjectName::new(if kind == Kind::RoleBinding { namespace(any) } else { "" }, name(any));
                if let Some(old) = self.bindings.remove(&at) {
                    self.index(&old, false);
                    if let Some(roles) = self.roles_mut(&old) {
                        roles.unbind(&old.role.name);
                    }
                }
                if let Some(binding) = after {
                    let mut binding = Binding::from_value(&at, binding);
                    binding.place = self.roles_mut(&binding).map(|roles| roles.bind(&binding.role.name));
                    let binding = Arc::new(binding);
                    self.index(&binding, true);
                    self.bindings.insert(at.clone(), binding);
                }
            }
        }
        self.drop_empty(namespace(any));
    }

    /// Puts a binding under each of its subjects, or takes it away.
    fn index(&mut self, binding: &Arc<Binding>, put: bool) {
        let scope = self.scope_mut(&binding.namespace);
        for subject in &binding.subjects {
            let (map, key) = match &subject.kind {
                SubjectKind::User => (&mut scope.users, subject.name.clone()),
                SubjectKind::Group => (&mut scope.groups, subject.name.clone()),
                SubjectKind::ServiceAccount => match subject.account(binding) {
                    Some(user) => (&mut scope.users, user),
                    None => continue,
                },
                SubjectKind::Other(_) => continue,
            };
            let mut bound = map.remove(&key).unwrap_or_default();
            if put {
                bound.insert(binding);
            } else {
                bound.remove(binding);
            }
            if !bound.is_empty() {
                map.insert(key, bound);
            }
        }
    }

    fn scope_mut(&mut self, namespace: &str) -> &mut Scope {
        if namespace.is_empty() { &mut self.cluster } else { self.namespaces.entry(namespace.into()).or_default() }
    }

    /// The roles among which a binding finds its own.
    fn roles_mut(&mut self, binding: &Binding) -> Option<&mut Roles> {
        match (binding.role.kind.as_str(), binding.namespace.as_str()) {
            ("ClusterRole", _) => Some(&mut self.cluster.roles),
            ("Role", namespace) if !namespace.is_empty() => Some(&mut self.scope_mut(namespace).roles),
            _ => None,
        }
    }

    /// Forgets a namespace in which nothing is left.
    fn drop_empty(&mut self, namespace: &str) {
        if self.namespaces.get(namespace).is_some_and(Scope::is_empty) {
            self.namespaces.remove(namespace);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.bindings.is_empty() && self.cluster.is_empty()
    }

    /// The roles of the cluster, and those of `namespace` where it has some.
    pub(super) fn roles_in(&self, namespace: &str) -> (&Roles, Option<&Roles>) {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        (&self.cluster.roles, local.map(|scope| &scope.roles))
    }

    /// The bindings of the cluster and of `namespace` that apply to `user`; the cluster's first. One that applies for
    /// several reasons comes several times, those of one role in a row.
    pub(super) fn bindings_of<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Binding>> + 'a {
        self.bound_to(user, namespace).flat_map(|bound| bound.bindings())
    }

    /// The same by subject.
    pub(super) fn bound_to<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Bound> + 'a {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        std::iter::once(&self.cluster).chain(local).flat_map(|scope| {
            let of_groups = user.groups.iter().filter_map(|group| scope.groups.get(group));
            scope.users.get(&user.name).into_iter().chain(of_groups)
        })
    }

    /// The role of a binding; the error text that stock has for one that is not there.
    pub(super) fn role_of(&self, binding: &Binding) -> Result<&Arc<Role>, String> {
        self.role_in(&binding.role, &binding.namespace)
    }

    fn role_in(&self, role: &RoleRef, namespace: &str) -> Result<&Arc<Role>, String> {
        let (scope, resource) = match role.kind.as_str() {
            "ClusterRole" => (Some(&self.cluster), "clusterrole"),
            "Role" => (self.namespaces.get(namespace), "role"),
            other => return Err(format!("unsupported role reference kind: {other:?}")),
        };
        let found = scope.and_then(|scope| scope.roles.get(&role.name));
        found.ok_or_else(|| format!("{resource}.rbac.authorization.k8s.io {:?} not found", role.name.as_str()))
    }

    /// The rules of a role by reference, as a binding in `namespace` would find them.
    pub(super) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&[Rule], String> {
        self.role_in(role, namespace).map(|role| role.rules.as_slice())
    }
}

impl Scope {
    fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.users.is_empty() && self.groups.is_empty()
    }
}

impl Binding {
    fn from_value(at: &ObjectName, value: &Value) -> Self {
        let subjects = value.get("subjects").and_then(Value::as_array);
        Self {
            namespace: at.namespace.clone(),
            name: at.name.clone(),
            role: RoleRef::from_value(value.get("roleRef").unwrap_or(&Value::Null)),
            place: None,
            subjects: subjects.into_iter().flatten().map(Subject::from_value).collect(),
        }
    }

    pub(super) fn order(&self) -> (&RoleRef, &str) {
        (&self.role, &self.name)
    }

    /// Whether its role is one of the cluster's.
    pub(super) fn is_to_cluster_role(&self) -> bool {
        self.role.kind == "ClusterRole"
    }

    /// The first subject that is `user`.
    pub(super) fn subject_of(&self, user: &User) -> Option<&Subject> {
        self.subjects.iter().find(|subject| match &subject.kind {
            SubjectKind::User => subject.name == user.name,
            SubjectKind::Group => user.groups.contains(&subject.name),
            SubjectKind::ServiceAccount => subject.account(self).is_some_and(|account| account == user.name),
            SubjectKind::Other(_) => false,
        })
    }
}

impl RoleRef {
    pub fn from_value(value: &Value) -> Self {
        Self { kind: text(value, "kind"), name: text(value, "name") }
    }
}

impl Subject {
    fn from_value(value: &Value) -> Self {
        let kind = match value.get("kind").and_then(Value::as_str).unwrap_or("") {
            "User" => SubjectKind::User,
            "Group" => SubjectKind::Group,
            "ServiceAccount" => SubjectKind::ServiceAccount,
            other => SubjectKind::Other(other.into()),
        };
        Self { kind, name: text(value, "name"), namespace: text(value, "namespace") }
    }

    /// The namespace of a service account: its own, or the binding's.
    pub(super) fn namespace_in<'a>(&'a self, binding: &'a Binding) -> &'a str {
        if self.namespace.is_empty() { &binding.namespace } else { &self.namespace }
    }

    /// The user name of a service account; `None` when no namespace is known.
    fn account(&self, binding: &Binding) -> Option<CompactString> {
        let namespace = self.namespace_in(binding);
        (!namespace.is_empty()).then(|| service_account_name(namespace, &self.name))
    }
}

fn text(value: &Value, field: &str) -> CompactString {
    value.get(field).and_then(Value::as_str).unwrap_or("").into()
}

//! A request as authorizers see it, with the selectors that narrow it.

use super::query::Query;
use super::route::{Route, is_segment};
use crate::auth::authorizer::{Attributes, Resource, Target};
use crate::auth::identity::User;
use crate::auth::selected::{Requirement, of_fields, of_labels};
use crate::model::selector::field::FieldSelector;
use crate::model::selector::label;

/// What a list, watch or deletecollection is narrowed to; nothing where that cannot be read.
#[derive(Default)]
pub struct Narrowed {
    /// A list or watch of one name is about that object.
    name: String,
    fields: Vec<Requirement>,
    labels: Vec<Requirement>,
}

impl Narrowed {
    pub fn of(route: &Route, query: &Query<'_>) -> Self {
        let Route::Resource(target) = route else { return Self::default() };
        if target.by_path || !matches!(target.verb, "list" | "watch" | "deletecollection") {
            return Self::default();
        }
        let fields = query.first("fieldSelector").and_then(|text| FieldSelector::parse(text).ok()).unwrap_or_default();
        let labels = query.first("labelSelector").and_then(|text| label::parse(text).ok()).unwrap_or_default();
        let name =
            fields.exact_match("metadata.name").filter(|name| target.verb != "deletecollection" && is_segment(name));
        let name = name.unwrap_or("").to_owned();
        Self { name, fields: of_fields(&fields), labels: of_labels(&labels) }
    }

    pub fn attributes<'a>(&'a self, user: &'a User, route: &'a Route) -> Attributes<'a> {
        match route {
            Route::Resource(target) => {
                let resource = Resource {
                    group: &target.group,
                    version: &target.version,
                    resource: &target.resource,
                    subresource: &target.subresource,
                    namespace: &target.namespace,
                    name: if target.name.is_empty() { &self.name } else { &target.name },
                    fields: &self.fields,
                    labels: &self.labels,
                };
                Attributes { user, verb: target.verb, target: Target::Resource(resource) }
            }
            Route::Other { verb, path } => Attributes { user, verb, target: Target::Path(path) },
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::apiserver::route::route;
    use crate::model::value::Value;

    /// `verb name fields labels`
    fn seen(method: Method, path: &str, query: &str) -> String {
        let route = route(&method, path, Some(query)).expect("a route");
        let (narrowed, user) = (Narrowed::of(&route, &Query::parse(query)), User::new("jane", &[]));
        let asked = narrowed.attributes(&user, &route);
        let Target::Resource(resource) = &asked.target else { return asked.verb.to_owned() };
        let shown = |all: &[Requirement]| all.iter().map(Requirement::to_value).collect::<Value>().to_string();
        format!("{} {:?} {} {}", asked.verb, resource.name, shown(resource.fields), shown(resource.labels))
    }

    #[test]
    fn selectors_of_collections_are_told() {
        let query = "labelSelector=a%3Db,!c&fieldSelector=spec.nodeName%3Dn";
        let fields = r#"[{"key":"spec.nodeName","operator":"In","values":["n"]}]"#;
        let labels = r#"[{"key":"a","operator":"In","values":["b"]},{"key":"c","operator":"DoesNotExist"}]"#;
        assert_eq!(seen(Method::GET, "/api/v1/pods", query), format!("list \"\" {fields} {labels}"));
        let watch = format!("{query}&watch=1");
        assert_eq!(seen(Method::GET, "/api/v1/pods", &watch), format!("watch \"\" {fields} {labels}"));
        let pods = "/api/v1/namespaces/n/pods";
        assert_eq!(seen(Method::DELETE, pods, query), format!("deletecollection \"\" {fields} {labels}"));
    }

    #[test]
    fn what_has_no_selector_or_none_that_is_read_is_told_without() {
        let both = "labelSelector=a%20in&fieldSelector=nothing";
        assert_eq!(seen(Method::GET, "/api/v1/pods", both), r#"list "" [] []"#);
        let one = "fieldSelector=metadata.name%3Dp";
        assert_eq!(seen(Method::GET, "/api/v1/pods/x", one), r#"get "x" [] []"#);
        assert_eq!(seen(Method::POST, "/api/v1/namespaces/n/pods", one), r#"create "" [] []"#);
        assert_eq!(seen(Method::GET, "/api/v1/watch/pods", one), r#"watch "" [] []"#, "an old path does not select");
        assert_eq!(seen(Method::GET, "/version", one), "get");
    }

    #[test]
    fn a_list_of_one_name_is_about_that_object() {
        let named = r#"[{"key":"metadata.name","operator":"In","values":["p"]}]"#;
        let one = "fieldSelector=metadata.name%3Dp";
        assert_eq!(seen(Method::GET, "/api/v1/pods", one), format!("list \"p\" {named} []"));
        let deleted = seen(Method::DELETE, "/api/v1/namespaces/n/pods", one);
        assert_eq!(deleted, format!("deletecollection \"\" {named} []"), "but not a deletion");
        assert!(seen(Method::GET, "/api/v1/pods", "fieldSelector=metadata.name%3D..").starts_with("list \"\""));
    }
}

//! Binding: a pod is given its node, once. What `POST pods/NAME/binding` and `POST bindings` do.

use super::core::{Registry, Step};
use super::meta;
use super::options::WriteOptions;
use super::request::{Address, Caller, Written};
use crate::model::field::FieldErrors;
use crate::model::gotext::quote;
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::syntax::path_segment;
use crate::model::value::{Map, Value, json};
use crate::rules::all;
use crate::rules::at::At;
use crate::schema::table;

impl Registry {
    /// Binds a pod as the Binding says. The address is of that pod's subresource `binding`, or of the collection `bindings`.
    pub async fn bind(
        &self,
        caller: &mut Caller,
        at: &Address,
        mut binding: Value,
        options: &WriteOptions,
    ) -> Result<Written> {
        options.validate("Create", false)?;
        meta::place(&mut binding, &at.resource, &at.namespace)?;
        let at = &named(at, &binding);
        self.admit_posted(caller, at, &mut binding, options).await?;
        if object::name(&binding) != at.name {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        let kind = GroupVersionKind::new("", "v1", "Binding");
        let mut errors = FieldErrors::new();
        let shape = table::message("k8s.io.api.core.v1.Binding");
        (all::rules(&kind).validate)(&self.cx(at, &caller.user), &At::new(&binding, shape), &mut errors);
        if !errors.is_empty() {
            return Err(Status::unknown(aggregate(&errors)));
        }
        self.validate_posted(caller, at, &binding, options).await?;
        let pod = self.bound_pod(at)?;
        is_address(&pod)?;
        let mut transaction = self.begin(caller, &pod, options.is_dry_run()).await?;
        loop {
            let decided = match transaction.seen() {
                Some(current) => self.bound(&pod, &current.value, &binding, options.is_dry_run()),
                None => Err(Status::not_found(&pod.resource.name, &pod.name)),
            };
            if let Some(done) = transaction.conclude(decided).await? {
                return Ok(Written { object: done.object, created: false });
            }
        }
    }

    /// The pod that a request is about: in its path, or in the collection by its name.
    fn bound_pod(&self, at: &Address) -> Result<Address> {
        let pods = GroupResource::new("", "pods");
        if at.resource.name == pods {
            return Ok(at.clone());
        }
        let catalog = self.catalog.load();
        let resource = catalog.preferred(&pods).ok_or_else(Status::no_such_resource)?;
        Ok(Address::new(resource, &at.namespace, &at.name))
    }

    fn bound(&self, at: &Address, current: &Value, binding: &Value, dry_run: bool) -> Result<Step> {
        self.same_uid(at, object::uid(binding), current, dry_run)?;
        self.same_version(at, object::resource_version(binding), current, dry_run)?;
        let mut pod = current.clone();
        assign(&mut pod, binding, self.now().to_text().as_str())
            .map_err(|why| Status::conflict(&GroupResource::new("", "pods/binding"), &at.name, why))?;
        Ok(Step::Put { value: pod, ttl: None })
    }
}

/// The address with the name that the Binding has, if the path says none.
fn named(at: &Address, binding: &Value) -> Address {
    let name = if at.name.is_empty() { object::name(binding).into() } else { at.name.clone() };
    Address { name, ..at.clone() }
}

/// Whether a pod can have this namespace and name. Most have been asked when they came in a path.
fn is_address(pod: &Address) -> Result<()> {
    if pod.namespace.is_empty() {
        return Err(Status::bad_request("Namespace parameter required."));
    }
    if pod.name.is_empty() {
        return Err(Status::bad_request("Name parameter required."));
    }
    let wrong = path_segment(&pod.name);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Status::bad_request(format!("Name parameter invalid: {}: {}", quote(&pod.name), wrong.join(";"))))
}

/// Puts the node, the annotations and the labels of a binding into a pod that may have them.
fn assign(pod: &mut Value, binding: &Value, now: &str) -> std::result::Result<(), String> {
    let name = object::name(pod);
    if object::is_deleting(pod) {
        return Err(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(node) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
        return Err(format!("pod {name} is already assigned to node {}", quote(node)));
    }
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    pod["spec"]["nodeName"] = binding["target"]["name"].clone();
    for field in ["annotations", "labels"] {
        let Some(given) = binding["metadata"][field].as_object().filter(|given| !given.is_empty()) else { continue };
        let Some(meta) = object::metadata_mut(pod) else { continue };
        let kept = meta.entry(field).or_insert_with(|| json!({}));
        if !kept.is_object() {
            *kept = json!({});
        }
        kept.as_object_mut().into_iter().for_each(|kept| kept.extend(given.clone()));
    }
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
        set_condition(status, json!({"type": "PodScheduled", "status": "True"}), now);
    }
    Ok(())
}

/// Adds a condition or replaces the one of its type; its transition time is kept while its status stays.
fn set_condition(status: &mut Map, mut condition: Value, now: &str) {
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    condition["lastTransitionTime"] = now.into();
    match conditions.iter_mut().find(|known| known["type"] == condition["type"]) {
        Some(known) => {
            if known["status"] == condition["status"] && !known["lastTransitionTime"].is_null() {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}

/// Several errors in one message, as Go's aggregates read: each once.
fn aggregate(errors: &FieldErrors) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.len() == 1 { texts.remove(0) } else { format!("[{}]", texts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::client::Target;
    use crate::registry::fixture::{client, value};

    const POD: Target = Target::new("", "pods", "default", "a");

    fn pod(spec: Value) -> Value {
        json!({"metadata": {"name": "a", "namespace": "default", "labels": {"x": "1"}}, "spec": spec})
    }

    fn binding(node: &str) -> Value {
        json!({"metadata": {"name": "a", "annotations": {"why": "room"}}, "target": {"kind": "Node", "name": node}})
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_gets_its_node_once() {
        let client = client().await;
        client.create(POD, &pod(json!({"containers": [{"name": "c", "image": "i"}]}))).await.expect("created");
        let mut other = binding("n1");
        other["metadata"]["uid"] = "another".into();
        let refused = client.bind("default", "a", &other).await.expect_err("another pod");
        assert_eq!(refused.code, 409);
        let why = "Key: /registry/pods/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
                   UID in precondition: another";
        assert!(refused.message.contains(why), "{}", refused.message);

        let bound = client.bind("default", "a", &binding("n1")).await.expect("bound");
        let shown = value(client.registry(), "", "pods", &bound.object);
        assert_eq!(shown["spec"]["nodeName"], "n1");
        assert_eq!(shown["metadata"]["annotations"], json!({"why": "room"}));
        let conditions = shown["status"]["conditions"].as_array().expect("conditions");
        let scheduled = conditions.iter().find(|c| c["type"] == "PodScheduled").expect("scheduled");
        assert_eq!(
            (&scheduled["status"], &scheduled["lastTransitionTime"]),
            (&json!("True"), &json!("2026-01-01T00:00:00Z"))
        );

        let again = client.bind("default", "a", &binding("n2")).await.expect_err("assigned");
        let why = "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\"";
        assert_eq!((again.code, again.message.as_str()), (409, why));
        let missing = json!({"metadata": {"name": "b"}, "target": {"name": "n1"}});
        let missing = client.bind("default", "b", &missing).await.expect_err("no pod");
        assert_eq!((missing.code, missing.message.as_str()), (404, "pods \"b\" not found"));
        let named = client.bind("default", "b", &binding("n1")).await.expect_err("another name");
        assert_eq!(named.message, "name in URL does not match name in Binding object");
    }

    #[tokio::test(start_paused = true)]
    async fn a_binding_of_the_collection_names_its_pod() {
        let client = client().await;
        client.create(POD, &pod(json!({"containers": [{"name": "c", "image": "i"}]}))).await.expect("created");
        let registry = client.registry();
        let bindings = registry.catalog.load().find("", "v1", "bindings").cloned().expect("bindings");
        let mut caller = Caller::new(crate::auth::identity::User::new("tester", &[]), "tester");
        let mut bind = async |namespace: &str, body: Value, options: &WriteOptions| {
            registry.bind(&mut caller, &Address::new(&bindings, namespace, ""), body, options).await
        };
        let options = WriteOptions::default();
        let rehearsal = WriteOptions { dry_run: vec!["All".into()], ..WriteOptions::default() };
        bind("default", binding("n1"), &rehearsal).await.expect("it would be bound");
        let bound = bind("default", binding("n1"), &options).await.expect("bound");
        assert_eq!(value(registry, "", "pods", &bound.object)["spec"]["nodeName"], "n1");
        let mut text = async |namespace: &str, mut body: Value, name: &str| {
            object::set_meta(&mut body, "name", name.into());
            bind(namespace, body, &options).await.expect_err("refused").message
        };
        assert_eq!(text("default", binding("n1"), "").await, "Name parameter required.");
        assert_eq!(text("", binding("n1"), "a").await, "Namespace parameter required.");
        let odd = "Name parameter invalid: \"a/b\": may not contain '/'";
        assert_eq!(text("default", binding("n1"), "a/b").await, odd);
        assert_eq!(text("default", binding("n1"), "b").await, "pods \"b\" not found");
        let elsewhere = json!({"metadata": {"namespace": "other"}, "target": {"name": "n1"}});
        assert!(text("default", elsewhere, "a").await.starts_with("the namespace of the provided object"));
    }

    #[test]
    fn gates_and_deletion_hold_a_pod() {
        let mut gated = pod(json!({"schedulingGates": [{"name": "g"}]}));
        let why = assign(&mut gated, &binding("n1"), "now").expect_err("gated");
        assert_eq!(why, "pod a has non-empty .spec.schedulingGates");
        let mut dying = pod(json!({}));
        object::set_meta(&mut dying, "deletionTimestamp", "2026-01-01T00:00:00Z".into());
        let why = assign(&mut dying, &binding("n1"), "now").expect_err("dying");
        assert_eq!(why, "pod a is being deleted, cannot be assigned to a host");
    }

    #[test]
    fn a_condition_keeps_its_transition_while_its_status_stays() {
        let mut status = Map::new();
        set_condition(&mut status, json!({"type": "A", "status": "True"}), "1");
        set_condition(&mut status, json!({"type": "A", "status": "True", "reason": "r"}), "2");
        assert_eq!(
            status["conditions"],
            json!([{"type": "A", "status": "True", "reason": "r", "lastTransitionTime": "1"}])
        );
        set_condition(&mut status, json!({"type": "A", "status": "False"}), "3");
        assert_eq!(status["conditions"], json!([{"type": "A", "status": "False", "lastTransitionTime": "3"}]));
    }
}

//! The record of what this process does itself, as far as there is something to tell; and what records have of objects.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;

use super::core::Registry;
use super::request::{Address, Caller, Deleted, Written};
use crate::audit::event::Answer;
use crate::audit::level::Level;
use crate::audit::record::Record;
use crate::auth::authorizer::Attributes;
use crate::cache::object::Object;
use crate::codec::json::compact::without_managed_fields;
use crate::codec::json::write;
use crate::codec::object as coding;
use crate::codec::protobuf::encode::encode;
use crate::model::names::GroupVersionKind;
use crate::model::object;
use crate::model::status::{Details, Result, Status};
use crate::model::value::Value;
use crate::schema::resource::Shape;
use crate::schema::table::Message;

/// From where this process comes to itself.
const SELF: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Something that is done at an address, and its record, if it is recorded.
pub struct Act {
    pub at: Address,
    pub caller: Caller,
    record: Option<Box<Record>>,
}

/// What an act leaves behind, as its record has it.
pub trait Outcome {
    /// The code, and the object that is left.
    fn told(&self) -> (u16, Option<&Object>);

    /// What a `Status` in the answer would say.
    fn status(&self, _: &Address) -> Option<Status> {
        None
    }
}

impl Act {
    /// Begins the record, if the policy wants one. Fails when it must be recorded and cannot be.
    pub async fn begin(
        registry: &Registry,
        asked: &Attributes<'_>,
        at: Address,
        mut caller: Caller,
        collection: bool,
    ) -> Result<Self> {
        let id = || registry.entropy.uid();
        let begun = registry.audit.metrics().and_then(|_| registry.audit.begin(asked, &id(), registry.clock.now()));
        let Some(mut record) = begun else { return Ok(Self { at, caller, record: None }) };
        record.event.uri = path(&at, collection).into();
        record.event.sources.push(SELF);
        record.event.set_agent(&caller.agent);
        caller.annotations = record.event.annotations.clone();
        if !record.received(false).await {
            return Err(Status::internal("failed to store audit event"));
        }
        Ok(Self { at, caller, record: Some(record) })
    }

    /// The object that is sent.
    pub fn sent(&mut self, value: &Value) {
        if let Some(record) = &mut self.record {
            refer(record, value);
            if record.level() >= Level::Request {
                let json = json(value, &self.at.resource.shape, &self.at.resource.kind);
                record.event.request_object = shown(json, record);
            }
        }
    }

    /// The patch that is sent.
    pub fn patched(&mut self, patch: &Value) {
        if let Some(record) = self.record.as_mut().filter(|record| record.level() >= Level::Request) {
            record.event.request_object = Some(patch.to_string().into());
        }
    }

    /// The end of the record.
    pub async fn end<T: Outcome>(mut self, outcome: Result<T>) -> Result<T> {
        let Some(mut record) = self.record.take() else { return outcome };
        let (answer, left) = match &outcome {
            Ok(done) => {
                let (code, object) = done.told();
                let status = done.status(&self.at).map(|status| answer(code, &status));
                (status.unwrap_or(Answer::new(code)), object)
            }
            Err(status) => (answer(status.code, status), None),
        };
        if record.level() == Level::RequestResponse {
            record.event.response_object = shown(left.and_then(|object| self.left(object)), &record);
        }
        record.answered(answer).await;
        record.complete().await;
        outcome
    }

    fn left(&self, object: &Object) -> Option<Vec<u8>> {
        let storage = self.at.resource.storage.as_ref()?;
        json(&object.to_value(&storage.shape).ok()?, &storage.shape, &storage.kind)
    }
}

impl Outcome for Written {
    fn told(&self) -> (u16, Option<&Object>) {
        (if self.created { 201 } else { 200 }, Some(&self.object))
    }
}

impl Outcome for Deleted {
    fn told(&self) -> (u16, Option<&Object>) {
        (200, Some(&self.object).filter(|_| !self.gone).map(AsRef::as_ref))
    }

    fn status(&self, at: &Address) -> Option<Status> {
        let details = Details {
            name: at.name.to_string(),
            group: at.resource.name.group.to_string(),
            kind: at.resource.name.resource.to_string(),
            uid: self.object.uid().into_owned(),
            ..Details::default()
        };
        self.gone.then(|| Status::success(details))
    }
}

impl Outcome for std::sync::Arc<Object> {
    fn told(&self) -> (u16, Option<&Object>) {
        (200, Some(self))
    }
}

/// Of what was refused there is nothing left.
impl Outcome for Act {
    fn told(&self) -> (u16, Option<&Object>) {
        (200, None)
    }
}

/// A part of an object that is answered as another kind.
impl Outcome for Value {
    fn told(&self) -> (u16, Option<&Object>) {
        (200, None)
    }
}

fn answer(code: u16, status: &Status) -> Answer {
    Answer::of_status(code, status.to_value().to_string().as_bytes())
}

/// Fills in what the address of a request does not say of its object.
pub fn refer(record: &mut Record, value: &Value) {
    let Some(reference) = &mut record.event.object else { return };
    for (slot, field) in [
        (&mut reference.namespace, "namespace"),
        (&mut reference.name, "name"),
        (&mut reference.uid, "uid"),
        (&mut reference.resource_version, "resourceVersion"),
    ] {
        if slot.is_empty() {
            *slot = object::meta_str(value, field).into();
        }
    }
}

/// A sparse value as JSON.
pub fn json(value: &Value, shape: &Shape, kind: &GroupVersionKind) -> Option<Vec<u8>> {
    match shape {
        Shape::Builtin(message) => message_json(value, message, &kind.group_version().to_string()),
        shape => coding::encode(value, shape, kind).ok().map(Vec::from),
    }
}

pub fn message_json(value: &Value, message: &'static Message, api_version: &str) -> Option<Vec<u8>> {
    let (raw, mut out) = (encode(value, message).ok()?, Vec::new());
    write::object(&mut out, &raw, message, api_version, message.short_name()).ok()?;
    Some(out)
}

/// What the record has of an object, which is in JSON.
pub fn shown(object: Option<Vec<u8>>, record: &Record) -> Option<Bytes> {
    let object = object.filter(|object| is_object(object))?;
    let pruned = record.omits_managed_fields().then(|| without_managed_fields(&object).ok()).flatten();
    Some(pruned.unwrap_or(object).into())
}

/// Documents that are no objects of the API say no kind first.
fn is_object(json: &[u8]) -> bool {
    json.starts_with(b"{\"kind\":") || json.starts_with(b"{\"apiVersion\":")
}

/// The path under which others would ask for the same.
fn path(at: &Address, collection: bool) -> String {
    let kind = &at.resource.kind;
    let mut path = match kind.group.as_str() {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    if at.resource.namespaced && !at.namespace.is_empty() {
        path += &format!("/namespaces/{}", at.namespace);
    }
    path += &format!("/{}", at.resource.name.resource);
    let named = !collection || !at.subresource.is_empty();
    if named && !at.name.is_empty() {
        path += &format!("/{}", at.name);
    }
    if !at.subresource.is_empty() {
        path += &format!("/{}", at.subresource);
    }
    path
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::backend::tests::Kept;
    use crate::audit::backend::{Backend, Format, Mode};
    use crate::audit::load::parse;
    use crate::audit::metrics::Metrics;
    use crate::audit::recorder::Audit;
    use crate::auth::identity::User;
    use crate::model::value::json;
    use crate::registry::client::{Client, Target};
    use crate::registry::fixture::recorded_client;
    use crate::registry::options::DeleteOptions;

    const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nomitManagedFields: \
        true\nrules: [{level: RequestResponse}]\n";

    async fn client() -> (Client, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let sink = kept.clone();
        let client = recorded_client(User::controller("job-controller"), move |clock| {
            let metrics = Metrics::new(clock);
            let mode = Mode::Blocking(sink);
            let backend = Backend { mode, format: Format::Json, longest: None, metrics: metrics.clone() };
            Audit::new(parse(POLICY.as_bytes()).expect("a policy"), vec![backend], metrics, clock)
        });
        (client.await, kept)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_controller_does_is_recorded_as_if_it_came_over_the_wire() {
        let (client, kept) = client().await;
        let map = Target::new("", "configmaps", "n", "m");
        client.create(map, &json!({"metadata": {"name": "m"}, "data": {"a": "b"}})).await.expect("created");
        client.merge(map, &json!({"data": {"a": "c"}})).await.expect("patched");
        client.delete(map, &DeleteOptions::default()).await.expect("deleted");
        client.get(map).await.expect_err("gone");
        let events: Vec<Value> = kept.texts().concat().iter().map(|text| text.parse().expect("JSON")).collect();
        let shown = |event: &Value| {
            let text =
                |path: &str| event.pointer(path).map_or_else(|| "-".into(), |v| v.as_str().unwrap_or("").to_owned());
            let code = event.pointer("/responseStatus/code").and_then(Value::as_i64).unwrap_or(0);
            let (sent, left) = (text("/requestObject/data/a"), text("/responseObject/data/a"));
            format!("{} {} {sent} {left} {code}", text("/verb"), text("/requestURI"))
        };
        let path = "/api/v1/namespaces/n/configmaps";
        let expected = [
            format!("create {path} b b 201"),
            format!("patch {path}/m c c 200"),
            format!("delete {path}/m - - 200"),
            format!("get {path}/m - - 404"),
        ];
        assert_eq!(events.iter().map(shown).collect::<Vec<_>>(), expected);
        let first = &events[0];
        assert_eq!(first["user"]["username"], "system:serviceaccount:kube-system:job-controller");
        assert_eq!(first["annotations"]["authorization.k8s.io/decision"], "allow");
        assert_eq!((&first["sourceIPs"], &first["userAgent"]), (&json!(["::1"]), &json!("tester")));
        assert_eq!(first.pointer("/responseObject/metadata/managedFields"), None);
        assert_eq!(events[3]["responseStatus"]["reason"], "NotFound");
    }
}

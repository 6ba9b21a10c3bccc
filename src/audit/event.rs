//! The event: what is known of a request at a stage, as `audit.k8s.io/v1` JSON and as a line of the old format.

use std::fmt::Write as _;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;

use super::annotations::Annotations;
use super::level::{Level, Stage};
use super::source::Sources;
use crate::auth::authorizer::{Attributes, Target};
use crate::auth::identity::User;
use crate::codec::json::scan;
use crate::codec::json::write::{integer, string};
use crate::model::gotext::quote;
use crate::model::time::{Precision, Time};

/// What stands before an event's own fields where it is alone, and not in a list.
pub const HEAD: &[u8] = b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",";

/// The mark of an event whose objects were too long.
const TRUNCATED: &str = "audit.k8s.io/truncated";
/// Bytes of a User-Agent that are kept, and what follows a longer one.
const MAX_AGENT: usize = 1024;
const CUT_OFF: &str = "...TRUNCATED";
/// Bytes that an event without objects has, roughly.
const USUAL: usize = 1024;

/// A request, as far as it is known.
#[derive(Clone, Debug)]
pub struct Event {
    pub level: Level,
    /// The request's `Audit-Id`.
    pub id: CompactString,
    /// Path and query, as they came.
    pub uri: CompactString,
    pub verb: CompactString,
    /// With an empty name when nobody knows who.
    pub user: User,
    pub impersonated: Option<User>,
    /// The right by which the user was impersonated; empty in the old mode.
    pub constraint: &'static str,
    pub sources: Sources,
    pub agent: CompactString,
    /// Of a request about resources.
    pub object: Option<Reference>,
    pub answer: Option<Answer>,
    /// JSON.
    pub request_object: Option<Bytes>,
    /// JSON.
    pub response_object: Option<Bytes>,
    pub received: Timestamp,
    pub annotations: Annotations,
}

/// Which object a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    pub group: CompactString,
    pub version: CompactString,
    pub resource: CompactString,
    pub subresource: CompactString,
    pub namespace: CompactString,
    pub name: CompactString,
    pub uid: CompactString,
    pub resource_version: CompactString,
}

/// How a request was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// What the answer's `Status` says, where it is one: members of a JSON object, each with a comma before it.
    pub members: Vec<u8>,
}

impl Answer {
    pub fn new(code: u16) -> Self {
        Self { code, members: Vec::new() }
    }

    /// With what a `Status` in JSON says.
    pub fn of_status(code: u16, status: &[u8]) -> Self {
        let mut members = Vec::with_capacity(status.len());
        for name in ["status", "message", "reason", "details"] {
            if let Ok(Some(value)) = scan::member(status, name) {
                members.extend_from_slice(format!(",\"{name}\":").as_bytes());
                members.extend_from_slice(value);
            }
        }
        Self { code, members }
    }

    pub fn failure(message: &str) -> Self {
        let mut members = b",\"status\":\"Failure\",\"message\":".to_vec();
        string(&mut members, message);
        members.extend_from_slice(b",\"reason\":\"InternalError\"");
        Self { code: 500, members }
    }

    pub fn success(message: &str) -> Self {
        let mut members = b",\"status\":\"Success\",\"message\":".to_vec();
        string(&mut members, message);
        Self { code: 200, members }
    }
}

impl Event {
    /// What is known when the request has come.
    pub fn new(level: Level, request: &Attributes<'_>, id: &str, received: Timestamp) -> Self {
        let object = match &request.target {
            Target::Path(_) => None,
            Target::Resource(asked) => Some(Reference {
                group: asked.group.into(),
                version: asked.version.into(),
                resource: asked.resource.into(),
                subresource: asked.subresource.into(),
                namespace: asked.namespace.into(),
                name: asked.name.into(),
                ..Reference::default()
            }),
        };
        Self {
            level,
            id: id.into(),
            uri: CompactString::default(),
            verb: request.verb.into(),
            user: request.user.clone(),
            impersonated: None,
            constraint: "",
            sources: Sources::new(),
            agent: CompactString::default(),
            object,
            answer: None,
            request_object: None,
            response_object: None,
            received,
            annotations: Annotations::new(level),
        }
    }

    /// The beginning of a long one.
    pub fn set_agent(&mut self, agent: &str) {
        let mut bound = agent.len().min(MAX_AGENT);
        while !agent.is_char_boundary(bound) {
            bound -= 1;
        }
        self.agent = agent[..bound].into();
        if bound < agent.len() {
            self.agent.push_str(CUT_OFF);
        }
    }

    /// The whole as JSON, with [`HEAD`]. `cut`: without objects, and marked so.
    pub fn json(&self, stage: Stage, at: Timestamp, cut: bool) -> Vec<u8> {
        let length = |object: &Option<Bytes>| object.as_ref().filter(|_| !cut).map_or(0, Bytes::len);
        let mut out = Vec::with_capacity(USUAL + length(&self.request_object) + length(&self.response_object));
        out.extend_from_slice(HEAD);
        let mut line = Line { out: &mut out, first: true };
        line.text("level", self.level.word());
        line.text("auditID", &self.id);
        line.text("stage", stage.word());
        line.text("requestURI", &self.uri);
        line.text("verb", &self.verb);
        line.key("user");
        user(line.out, &self.user);
        if let Some(other) = &self.impersonated {
            line.key("impersonatedUser");
            user(line.out, other);
        }
        if !self.constraint.is_empty() {
            line.key("authenticationMetadata");
            Line::open(line.out).some("impersonationConstraint", self.constraint).close();
        }
        if !self.sources.is_empty() {
            line.key("sourceIPs");
            texts(line.out, self.sources.iter().map(|ip| compact_str::format_compact!("{ip}")));
        }
        let line = &mut line.some("userAgent", &self.agent);
        if let Some(object) = &self.object {
            line.key("objectRef");
            object.json(line.out);
        }
        if let Some(answer) = &self.answer {
            line.key("responseStatus");
            line.out.extend_from_slice(b"{\"metadata\":{}");
            line.out.extend_from_slice(&answer.members);
            line.out.extend_from_slice(b",\"code\":");
            integer(line.out, answer.code.into());
            line.out.push(b'}');
        }
        for (name, object) in [("requestObject", &self.request_object), ("responseObject", &self.response_object)] {
            if let Some(object) = object.as_ref().filter(|_| !cut) {
                line.key(name);
                line.out.extend_from_slice(object);
            }
        }
        line.time("requestReceivedTimestamp", self.received);
        line.time("stageTimestamp", at);
        self.annotations_json(line, cut);
        out.push(b'}');
        out
    }

    fn annotations_json(&self, line: &mut Line<'_>, cut: bool) {
        let (mut map, mut unmarked) = (Vec::new(), cut);
        self.annotations.visit(|key, value| {
            if unmarked && key > TRUNCATED {
                pair(&mut map, TRUNCATED, "true");
                unmarked = false;
            }
            pair(&mut map, key, value);
        });
        if unmarked {
            pair(&mut map, TRUNCATED, "true");
        }
        if let Some(members) = map.get(1..) {
            line.key("annotations");
            line.out.push(b'{');
            line.out.extend_from_slice(members);
            line.out.push(b'}');
        }
    }

    /// The line of the old format, without its end.
    pub fn line(&self, stage: Stage) -> String {
        let names = |user: &User, none: &str| match user.groups.as_slice() {
            [] => none.to_owned(),
            groups => groups.iter().map(|group| quote(group)).collect::<Vec<_>>().join(","),
        };
        let known = !self.user.name.is_empty();
        let (name, groups) =
            if known { (self.user.name.as_str(), names(&self.user, "<none>")) } else { ("<none>", "<none>".into()) };
        let (other, others) = match &self.impersonated {
            Some(other) => (other.name.as_str(), names(other, "<lookup>")),
            None => ("<self>", "<lookup>".into()),
        };
        let namespace = self.object.as_ref().map(|object| object.namespace.as_str()).filter(|n| !n.is_empty());
        let source = self.sources.first().map_or_else(|| "<unknown>".into(), ToString::to_string);
        let answer = self.answer.as_ref().map_or_else(|| "<deferred>".into(), |answer| answer.code.to_string());
        let mut line = format!("{} AUDIT:", self.received);
        for (name, value) in [
            ("id", self.id.as_str()),
            ("stage", stage.word()),
            ("ip", &source),
            ("method", &self.verb),
            ("user", name),
            ("groups", &groups),
            ("as", other),
            ("asgroups", &others),
            ("user-agent", &self.agent),
            ("namespace", namespace.unwrap_or("<none>")),
            ("uri", &self.uri),
        ] {
            let _ = write!(line, " {name}={}", quote(value));
        }
        let _ = write!(line, " response=\"{answer}\"");
        line
    }
}

impl Reference {
    fn json(&self, out: &mut Vec<u8>) {
        Line::open(out)
            .some("resource", &self.resource)
            .some("namespace", &self.namespace)
            .some("name", &self.name)
            .some("uid", &self.uid)
            .some("apiGroup", &self.group)
            .some("apiVersion", &self.version)
            .some("resourceVersion", &self.resource_version)
            .some("subresource", &self.subresource)
            .close();
    }
}

/// An object's members, one after another.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Line<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Names are plain.
    fn key(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        string(self.out, value);
    }

    /// Left out when it is empty.
    fn some(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.text(name, value);
        }
        self
    }

    fn time(&mut self, name: &str, at: Timestamp) {
        self.key(name);
        self.out.push(b'"');
        let nanos = at.as_nanosecond().rem_euclid(1_000_000_000) as u32;
        let seconds = at.as_nanosecond().div_euclid(1_000_000_000) as i64;
        Time { seconds, nanos }.append(Precision::Micros, self.out);
        self.out.push(b'"');
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

fn user(out: &mut Vec<u8>, user: &User) {
    let mut line = Line::open(out).some("username", &user.name).some("uid", &user.uid);
    if !user.groups.is_empty() {
        line.key("groups");
        texts(line.out, user.groups.iter());
    }
    if !user.extra.is_empty() {
        line.key("extra");
        let mut extra = Line::open(line.out);
        for (key, values) in &user.extra {
            if !std::mem::take(&mut extra.first) {
                extra.out.push(b',');
            }
            string(extra.out, key);
            extra.out.push(b':');
            texts(extra.out, values.iter());
        }
        extra.close();
    }
    line.close();
}

fn texts<T: AsRef<str>>(out: &mut Vec<u8>, items: impl Iterator<Item = T>) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(out, item.as_ref());
    }
    out.push(b']');
}

fn pair(out: &mut Vec<u8>, key: &str, value: &str) {
    out.push(b',');
    string(out, key);
    out.push(b':');
    string(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::source::sources;
    use crate::auth::authorizer::Resource;
    use crate::auth::identity::Identity;
    use crate::codec::json::decode::decode;
    use crate::schema::table::APISERVER_PKG_APIS_AUDIT_V1_EVENT;

    const AT: Timestamp = Timestamp::constant(1_767_225_600, 123_456_789);

    fn event() -> Event {
        let extra = [("scopes".into(), vec!["a".into(), "b".into()])].into();
        let user = Identity { name: "jane".into(), uid: "u1".into(), groups: vec!["dev".into()], extra }.into();
        let asked = Resource { version: "v1", resource: "pods", namespace: "n", ..Resource::default() };
        let mut event = Event::new(Level::Metadata, &Attributes::resource(&user, "create", asked), "id-1", AT);
        event.uri = "/api/v1/namespaces/n/pods?fieldManager=<x>".into();
        event.sources = sources(&Default::default(), [127, 0, 0, 1].into());
        event.set_agent("kubectl/v1.36.3");
        event
    }

    fn shown(event: &Event, stage: Stage, cut: bool) -> String {
        String::from_utf8(event.json(stage, AT, cut)).expect("text")
    }

    #[test]
    fn it_is_written_field_by_field_as_stock_writes_it() {
        let mut event = event();
        let begin =
            "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":\"id-1\",";
        let request = "\"requestURI\":\"/api/v1/namespaces/n/pods?fieldManager=\\u003cx\\u003e\",\"verb\":\"create\",\
            \"user\":{\"username\":\"jane\",\"uid\":\"u1\",\"groups\":[\"dev\"],\"extra\":{\"scopes\":[\"a\",\"b\"]}},";
        let client = "\"sourceIPs\":[\"127.0.0.1\"],\"userAgent\":\"kubectl/v1.36.3\",";
        let object = "\"objectRef\":{\"resource\":\"pods\",\"namespace\":\"n\",\"apiVersion\":\"v1\"},";
        let times = "\"requestReceivedTimestamp\":\"2026-01-01T00:00:00.123456Z\",\
            \"stageTimestamp\":\"2026-01-01T00:00:00.123456Z\"";
        assert_eq!(
            shown(&event, Stage::RequestReceived, false),
            format!("{begin}\"stage\":\"RequestReceived\",{request}{client}{object}{times}}}")
        );
        event.impersonated = Some(User::new("joe", &[]));
        event.constraint = "impersonate:user-info";
        event.object = None;
        event.annotations.add("authorization.k8s.io/decision", "allow");
        let status = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no \"p\"","reason":"NotFound","details":{"name":"p"},"code":404}"#;
        event.answer = Some(Answer::of_status(404, status));
        assert_eq!(
            shown(&event, Stage::ResponseComplete, false),
            format!(
                "{begin}\"stage\":\"ResponseComplete\",{request}\"impersonatedUser\":{{\"username\":\"joe\"}},\
                 \"authenticationMetadata\":{{\"impersonationConstraint\":\"impersonate:user-info\"}},{client}\
                 \"responseStatus\":{{\"metadata\":{{}},\"status\":\"Failure\",\"message\":\"no \\\"p\\\"\",\
                 \"reason\":\"NotFound\",\"details\":{{\"name\":\"p\"}},\"code\":404}},{times},\
                 \"annotations\":{{\"authorization.k8s.io/decision\":\"allow\"}}}}"
            )
        );
    }

    #[test]
    fn what_is_cut_has_no_objects_and_says_so() {
        let mut event = event();
        event.level = Level::RequestResponse;
        event.request_object = Some(Bytes::from_static(b"{\"a\":1}"));
        event.response_object = Some(Bytes::from_static(b"{\"b\":2}"));
        event.annotations = Annotations::new(Level::RequestResponse);
        event.annotations.add("k", "v");
        assert!(
            shown(&event, Stage::ResponseComplete, false)
                .contains("\"requestObject\":{\"a\":1},\"responseObject\":{\"b\":2},")
        );
        let cut = shown(&event, Stage::ResponseComplete, true);
        assert!(cut.ends_with("\"annotations\":{\"audit.k8s.io/truncated\":\"true\",\"k\":\"v\"}}"), "{cut}");
        assert!(!cut.contains("Object\""), "{cut}");
    }

    #[test]
    fn the_api_reads_it() {
        let mut event = event();
        event.answer = Some(Answer::failure("a \"b\"\n"));
        event.constraint = "x";
        let json = event.json(Stage::Panic, AT, true);
        let decoded = decode(&json, &APISERVER_PKG_APIS_AUDIT_V1_EVENT).expect("an event");
        assert_eq!(decoded.notes, Vec::<String>::new());
        assert_eq!(decoded.value["responseStatus"]["message"], "a \"b\"\n");
    }

    #[test]
    fn a_line_of_the_old_format() {
        let mut event = event();
        event.answer = Some(Answer::new(201));
        assert_eq!(
            event.line(Stage::ResponseComplete),
            "2026-01-01T00:00:00.123456789Z AUDIT: id=\"id-1\" stage=\"ResponseComplete\" ip=\"127.0.0.1\" \
             method=\"create\" user=\"jane\" groups=\"\\\"dev\\\"\" as=\"<self>\" asgroups=\"<lookup>\" \
             user-agent=\"kubectl/v1.36.3\" namespace=\"n\" uri=\"/api/v1/namespaces/n/pods?fieldManager=<x>\" \
             response=\"201\""
        );
    }

    #[test]
    fn a_long_user_agent_is_cut_off() {
        let mut event = event();
        event.set_agent(&"x".repeat(1025));
        assert_eq!(event.agent, "x".repeat(1024) + CUT_OFF);
        event.set_agent(&"x".repeat(1024));
        assert_eq!(event.agent.len(), 1024);
    }
}

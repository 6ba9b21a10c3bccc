//! The API's error: an HTTP code, a reason that programs match on, and a text that people (and programs) read.

use std::borrow::Cow;
use std::fmt;

use super::field::{FieldError, aggregate};
use super::gotext;
use super::names::{GroupResource, GroupVersionKind};
use crate::model::value::{Map, Value};

/// An answer of kind `Status` (API convention "Response Status Kind").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub code: u16,
    /// Empty for success without a reason.
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Box<Details>>,
    /// For an expired list: the token with which it goes on, inconsistently.
    pub continue_token: String,
}

/// What the error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub name: String,
    pub group: String,
    /// A kind, or a resource: as stock's error of the same sort has it.
    pub kind: String,
    pub uid: String,
    pub causes: Vec<Cause>,
    /// Seconds; 0 when there is no use in trying again.
    pub retry_after: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub reason: Cow<'static, str>,
    pub message: String,
    pub field: String,
}

pub type Result<T> = std::result::Result<T, Status>;

/// What a writer that follows the cache makes of an answer: what is no longer true of the store needs no error, since
/// the change that made it so is heard of.
pub trait Outcome<T> {
    /// `None`: there is no such object any more.
    fn unless_gone(self) -> Result<Option<T>>;

    /// `None`: there is no such object any more, or someone else was faster.
    fn unless_late(self) -> Result<Option<T>>;
}

impl<T> Outcome<T> for Result<T> {
    fn unless_gone(self) -> Result<Option<T>> {
        unless(self, Status::is_not_found)
    }

    fn unless_late(self) -> Result<Option<T>> {
        unless(self, |status| status.is_not_found() || status.is_conflict())
    }
}

fn unless<T>(outcome: Result<T>, is_void: impl FnOnce(&Status) -> bool) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(status) if is_void(&status) => Ok(None),
        Err(status) => Err(status),
    }
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, continue_token: String::new() }
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: name.into(),
            group: resource.group.to_string(),
            kind: resource.resource.to_string(),
            ..Details::default()
        }));
        self
    }

    /// With a hint when to try again, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after = seconds;
        self
    }

    pub fn cause(mut self, reason: impl Into<Cow<'static, str>>, message: impl Into<String>, field: &str) -> Self {
        let cause = Cause { reason: reason.into(), message: message.into(), field: field.into() };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    pub fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }

    pub fn is_not_found(&self) -> bool {
        self.reason == "NotFound"
    }

    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }

    pub fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    /// 404: `pods "x" not found`.
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {} not found", gotext::quote(name))).about(resource, name)
    }

    /// 409: `pods "x" already exists`.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        let message = format!("{resource} {} already exists", gotext::quote(name));
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// 409: `Operation cannot be fulfilled on pods "x": ...`.
    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {}: {why}", gotext::quote(name));
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409: no attempt at a generated name found a free one.
    pub fn generate_name_conflict(taken: &Self) -> Self {
        let mut status = taken.clone();
        status.message += ", the server was not able to generate a unique name for the object";
        status.retry_after(1)
    }

    /// 409 with `message` alone: the conflicts of server-side apply, whose causes name managers.
    pub fn apply_conflict(message: impl Into<String>) -> Self {
        let mut status = Self::new(409, "Conflict", message);
        status.details = Some(Box::default());
        status
    }

    /// 403: `pods "x" is forbidden: ...`.
    pub fn forbidden(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = if resource.resource.is_empty() {
            format!("forbidden: {why}")
        } else if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {} is forbidden: {why}", gotext::quote(name))
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// 422: `Pod "x" is invalid: ...`, each error a cause.
    pub fn invalid(kind: &GroupVersionKind, name: &str, errors: &[FieldError]) -> Self {
        let list = aggregate(errors.iter().map(|e| Cow::Owned(e.to_string())));
        let message = if errors.is_empty() {
            format!("{} {} is invalid", kind.group_kind(), gotext::quote(name))
        } else {
            format!("{} {} is invalid: {list}", kind.group_kind(), gotext::quote(name))
        };
        let causes = errors.iter().map(|e| Cause {
            reason: Cow::Borrowed(e.fault.reason()),
            message: e.body(),
            field: e.field.clone(),
        });
        let mut status = Self::new(422, "Invalid", message);
        status.details = Some(Box::new(Details {
            name: name.into(),
            group: kind.group.to_string(),
            kind: kind.kind.to_string(),
            causes: causes.collect(),
            ..Details::default()
        }));
        status
    }

    /// 422 that tells nothing more: a patch that does not fit the object.
    pub fn unprocessable() -> Self {
        let mut status = Self::new(422, "Invalid", "the server rejected our request due to an error in our request");
        status.details = Some(Box::default());
        status
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 of an operation as a whole, without details of a resource.
    pub fn forbidden_plain(message: impl Into<String>) -> Self {
        let mut status = Self::new(403, "Forbidden", message);
        status.details = Some(Box::default());
        status
    }

    pub fn method_not_allowed(resource: &GroupResource, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {}", gotext::quote(&resource.to_string()));
        let mut status = Self::new(405, "MethodNotAllowed", message);
        status.details = Some(Box::new(Details {
            group: resource.group.to_string(),
            kind: resource.resource.to_string(),
            ..Details::default()
        }));
        status
    }

    /// 405 of a path that is there for other methods.
    pub fn method_not_allowed_here() -> Self {
        let mut status =
            Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        status.details = Some(Box::default());
        status
    }

    /// 501: known, and not there yet.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    /// 500 with exactly this message.
    pub fn internal_plain(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 410: a resourceVersion or continue token too old to serve.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(410, "Gone", message)
    }

    /// 429; `seconds` until another attempt is worth while.
    pub fn too_many_requests(message: impl Into<String>, seconds: u32) -> Self {
        Self::new(429, "TooManyRequests", message).retry_after(seconds)
    }

    /// 500: `Internal error occurred: ...`.
    pub fn internal(why: impl fmt::Display) -> Self {
        let why = why.to_string();
        let status = Self::new(500, "InternalError", format!("Internal error occurred: {why}"));
        status.cause("", why, "")
    }

    /// 500 without a reason: an error that no rule of the API names.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 404 of a path that names nothing served.
    pub fn no_such_resource() -> Self {
        let mut status = Self::new(404, "NotFound", "the server could not find the requested resource");
        status.details = Some(Box::default());
        status
    }

    pub fn service_unavailable(why: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", why)
    }

    /// 504 of an operation on a resource that the server could not finish in time.
    pub fn server_timeout(resource: &GroupResource, operation: &str, seconds: u32) -> Self {
        let message = format!(
            "The {operation} operation against {resource} could not be completed at this time, please try again."
        );
        let mut status = Self::new(500, "ServerTimeout", message);
        status.details = Some(Box::new(Details {
            name: operation.into(),
            group: resource.group.to_string(),
            kind: resource.resource.to_string(),
            retry_after: seconds,
            ..Details::default()
        }));
        status
    }

    pub fn timeout(message: impl Into<String>, seconds: u32) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {}", message.into())).retry_after(seconds)
    }

    /// 200: what a delete answers when the object is gone.
    pub fn success(details: Details) -> Self {
        let mut status = Self::new(200, "", "");
        status.details = Some(Box::new(details));
        status
    }

    pub fn is_success(&self) -> bool {
        self.code < 400
    }

    /// Its JSON, with kind and apiVersion.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("kind".into(), "Status".into());
        out.insert("apiVersion".into(), "v1".into());
        let mut metadata = Map::new();
        put(&mut metadata, "continue", &self.continue_token);
        out.insert("metadata".into(), Value::Object(metadata));
        out.insert("status".into(), if self.is_success() { "Success" } else { "Failure" }.into());
        put(&mut out, "message", &self.message);
        put(&mut out, "reason", self.reason);
        if let Some(details) = &self.details {
            out.insert("details".into(), details.to_value());
        }
        // A plain success goes without saying.
        if self.code != 200 {
            out.insert("code".into(), self.code.into());
        }
        Value::Object(out)
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        put(&mut out, "name", &self.name);
        put(&mut out, "group", &self.group);
        put(&mut out, "kind", &self.kind);
        put(&mut out, "uid", &self.uid);
        if !self.causes.is_empty() {
            out.insert("causes".into(), self.causes.iter().map(Cause::to_value).collect());
        }
        if self.retry_after > 0 {
            out.insert("retryAfterSeconds".into(), self.retry_after.into());
        }
        Value::Object(out)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        put(&mut out, "reason", &self.reason);
        put(&mut out, "message", &self.message);
        put(&mut out, "field", &self.field);
        Value::Object(out)
    }
}

fn put(out: &mut Map, key: &str, text: &str) {
    if !text.is_empty() {
        out.insert(key.into(), text.into());
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::Path;
    use crate::model::value::json;

    #[test]
    fn an_outcome_that_is_late_is_no_error() {
        let pods = GroupResource::new("", "pods");
        let (gone, conflict) = (Status::not_found(&pods, "p"), Status::conflict(&pods, "p", "changed"));
        assert_eq!(Ok(1).unless_gone(), Ok(Some(1)));
        assert_eq!(Err::<(), _>(gone.clone()).unless_gone(), Ok(None));
        assert_eq!(Err::<(), _>(gone).unless_late(), Ok(None));
        assert_eq!(Err::<(), _>(conflict.clone()).unless_late(), Ok(None));
        assert_eq!(Err::<(), _>(conflict.clone()).unless_gone(), Err(conflict));
    }

    #[test]
    fn shapes_match_stock() {
        let missing = Status::not_found(&GroupResource::new("apps", "deployments"), "d").to_value();
        assert_eq!(missing["message"], "deployments.apps \"d\" not found");
        assert_eq!(missing["details"], json!({"name": "d", "group": "apps", "kind": "deployments"}));
        let errors = [FieldError::required(&Path::Name(&Path::Root, "spec"), "")];
        let invalid = Status::invalid(&GroupVersionKind::new("", "v1", "Pod"), "p", &errors).to_value();
        assert_eq!(invalid["message"], "Pod \"p\" is invalid: spec: Required value");
        assert_eq!(invalid["details"]["causes"][0]["message"], "Required value");
    }
}

//! Parts of objects with a path of their own.

use http::{Method, Response};

use super::bodies::{self, Expected};
use super::exchange::{Exchange, respond};
use super::listen::Connection;
use super::objects::offer;
use super::options;
use super::respond::Body;
use super::route::Target;
use crate::codec::answer::subject::{Style, Subject};
use crate::codec::negotiate::accept::Offer;
use crate::codec::negotiate::body::{self, PatchType};
use crate::codec::protobuf::encode::encode;
use crate::model::names::GroupVersionKind;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::custom::objects as custom;
use crate::registry::meta;
use crate::registry::options::WriteOptions;
use crate::registry::request::Address;
use crate::registry::scale::{self, ScaleChange};
use crate::registry::write::Change;
use crate::schema::resource::{Shape, Verbs};
use crate::schema::table::{API_AUTOSCALING_V1_SCALE, API_CORE_V1_BINDING, API_POLICY_V1_EVICTION};

const NO_SCALE: &str = "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:110\"";

impl Exchange<'_> {
    pub async fn subresource(
        &mut self,
        at: &Address,
        target: &Target,
        connection: &Connection,
    ) -> Result<Response<Body>> {
        let is_custom = custom::definition(&at.resource).is_some();
        let Some(sub) = at.resource.subresource(&at.subresource) else {
            let missing = || Status::not_found(&at.resource.name, &at.name);
            return Err(if is_custom { missing() } else { Status::no_such_resource() });
        };
        let streams = match sub.name.as_str() {
            "proxy" => !target.verb.is_empty() || self.head.method == Method::OPTIONS,
            "exec" | "attach" | "portforward" => matches!(self.head.method, Method::GET | Method::POST),
            _ => false,
        };
        if (target.overlong && sub.name != "proxy") || (at.resource.namespaced && at.namespace.is_empty()) {
            return Err(Status::no_such_resource());
        }
        let allowed = streams || Verbs::parse(target.verb).is_some_and(|verb| sub.verbs.contains(verb));
        if !allowed && is_custom {
            return Err(Status::method_not_allowed(&at.resource.name, target.verb));
        }
        if !allowed {
            return Err(Status::method_not_allowed_here());
        }
        match (sub.name.as_str(), target.verb) {
            ("scale", verb) => self.scale(at, verb).await,
            ("token", _) => self.token_request(at).await,
            ("eviction", _) => self.eviction(at).await,
            ("binding", _) => self.bind(at).await,
            ("log", _) => self.log(at, connection).await,
            ("exec" | "attach" | "portforward", _) => self.stream(at, target, connection).await,
            ("proxy", _) => self.proxy(at, target, connection).await,
            (_, "get") => self.get(&Address { subresource: Default::default(), ..at.clone() }).await,
            (_, "patch") => self.patch(at).await,
            (_, "update") => self.update_part(at).await,
            _ => Err(Status::method_not_allowed_here()),
        }
    }

    async fn update_part(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(offer(&at.resource))?;
        let options = options::write(&self.query);
        options.validate("Update", false)?;
        let mut value = self.object(&Expected::of(&at.resource), &options).await?;
        meta::place(&mut value, &at.resource, &at.namespace)?;
        meta::same_name(&value, &at.name)?;
        let registry = self.server.registry.clone();
        let written = registry.update(&mut self.caller, at, Change::Replace(value), &options, false).await?;
        self.answer(if written.created { 201 } else { 200 }, &at.resource, written.object, style)
    }

    async fn scale(&mut self, at: &Address, verb: &str) -> Result<Response<Body>> {
        let style = self.style(Offer { table: true, ..Offer::default() })?;
        let registry = self.server.registry.clone();
        let shown = match verb {
            "get" => {
                let version = self.query.first("resourceVersion").unwrap_or("").to_owned();
                registry.scale(at, &version).await?
            }
            "update" => {
                let options = options::write(&self.query);
                let (kind, shape) = (scale::kind(), Shape::Builtin(&API_AUTOSCALING_V1_SCALE));
                let expected = Expected { kind: &kind, shape: &shape, kept: &kind, read_too: &[], definition: None };
                let is_custom = custom::definition(&at.resource).is_some();
                let body = self.object(&expected, &options).await;
                // Stock cannot say what is wrong with the Scale of a custom resource.
                let body = body.map_err(|status| match status.code {
                    400 if is_custom => Status::bad_request(NO_SCALE),
                    _ => status,
                })?;
                meta::same_name(&body, &at.name)?;
                registry.set_scale(&mut self.caller, at, ScaleChange::Replace(body), &options).await?
            }
            _ => {
                let options = options::write(&self.query);
                let kind = body::of_patch(self.header("content-type"), false, false)?;
                let body = self.read().await?;
                self.record_patch(&body, kind);
                registry.set_scale(&mut self.caller, at, scale_patch(kind, &body)?, &options).await?
            }
        };
        let raw = encode(&shown, &API_AUTOSCALING_V1_SCALE).map_err(Status::internal)?;
        style.representation.check(false, Some(&scale::kind()))?;
        let subject = Subject::plain("autoscaling/v1", &API_AUTOSCALING_V1_SCALE);
        let bytes = subject.object(&raw, style).map_err(Status::internal)?;
        Ok(respond(200, style.representation.media.content_type(), bytes))
    }

    async fn eviction(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(Offer::default())?;
        let query = options::write(&self.query);
        let (kind, shape) = (eviction_kind(), Shape::Builtin(&API_POLICY_V1_EVICTION));
        let expected =
            Expected { kind: &kind, shape: &shape, kept: &kind, read_too: &[("policy", "v1beta1")], definition: None };
        let body: Value = self.object(&expected, &WriteOptions { ..query.clone() }).await?;
        let mut options = body.get("deleteOptions").map(options::of_value).unwrap_or_default();
        options.dry_run.extend(query.dry_run.iter().cloned());
        options.dry_run.dedup();
        let registry = self.server.registry.clone();
        registry.evict(&mut self.caller, at, &body, &options).await?;
        self.made(style)
    }

    /// `POST pods/NAME/binding` and `POST bindings`.
    pub async fn bind(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(Offer::default())?;
        let options = options::write(&self.query);
        let (kind, shape) = (GroupVersionKind::new("", "v1", "Binding"), Shape::Builtin(&API_CORE_V1_BINDING));
        let binding = self
            .object(&Expected { kind: &kind, shape: &shape, kept: &kind, read_too: &[], definition: None }, &options)
            .await?;
        let registry = self.server.registry.clone();
        registry.bind(&mut self.caller, at, binding, &options).await?;
        self.made(style)
    }

    /// What is made shows elsewhere: the answer says no more than that it is.
    fn made(&self, style: Style) -> Result<Response<Body>> {
        let mut status = Status::success(Default::default());
        (status.code, status.details) = (201, None);
        let bytes = crate::codec::answer::object::status(&status, style.representation).map_err(Status::internal)?;
        Ok(respond(201, style.representation.media.content_type(), bytes))
    }
}

fn eviction_kind() -> GroupVersionKind {
    GroupVersionKind::new("policy", "v1", "Eviction")
}

fn scale_patch(kind: PatchType, body: &[u8]) -> Result<ScaleChange<'_>> {
    Ok(match kind {
        PatchType::Json => ScaleChange::Json(body),
        PatchType::Merge => ScaleChange::Merge(body),
        PatchType::Strategic => ScaleChange::Strategic(body),
        PatchType::ApplyYaml | PatchType::ApplyCbor => ScaleChange::Apply(bodies::applied(body, bodies::yaml)?.0),
    })
}

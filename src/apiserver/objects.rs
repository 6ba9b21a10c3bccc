//! The verbs on resources: from a request to the registry and back.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::bodies::{self, Expected};
use super::exchange::{Exchange, respond};
use super::options;
use super::respond::Body;
use crate::audit::spent::Layer;
use crate::cache::object::Object;
use crate::codec::answer::list::ListMeta;
use crate::codec::answer::subject::{Item, Style, Subject};
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{Offer, Shown};
use crate::codec::negotiate::body::{self, PatchType};
use crate::codec::table::custom::Printer;
use crate::codec::{cbor, object};
use crate::model::status::{Details, Result, Status};
use crate::registry::custom::objects as custom;
use crate::registry::meta;
use crate::registry::patch::Patch;
use crate::registry::request::{Address, Deleted};
use crate::registry::write::Change;
use crate::schema::convert;
use crate::schema::resource::{Resource, Shape};

/// An object as its resource serves it.
pub enum Served {
    /// Just as it is kept.
    Kept(Arc<Object>),
    /// In another version.
    Converted { raw: Bytes, kept: Arc<Object> },
    /// As its definition says.
    Custom(Bytes),
}

impl Item for Served {
    fn raw(&self) -> &[u8] {
        match self {
            Served::Kept(object) => &object.bytes,
            Served::Converted { raw, .. } | Served::Custom(raw) => raw,
        }
    }

    fn kept(&self) -> &[u8] {
        match self {
            Served::Kept(object) | Served::Converted { kept: object, .. } => &object.bytes,
            Served::Custom(raw) => raw,
        }
    }
}

/// Brings an object into the version that the resource serves.
pub fn served(resource: &Resource, object: Arc<Object>) -> Result<Served> {
    if let Some(bytes) = custom::served_bytes(resource, &object)? {
        return Ok(Served::Custom(bytes));
    }
    let Some(storage) = resource.storage.as_ref().filter(|_| resource.converts() && resource.definition.is_none())
    else {
        return Ok(Served::Kept(object));
    };
    let value = object.to_value(&storage.shape).map_err(Status::internal)?;
    let value = convert::to_served(resource, value);
    let raw = object::encode(&value, &resource.shape, &resource.kind).map_err(Status::internal)?;
    Ok(Served::Converted { raw, kept: object })
}

/// What answers of the resource have in common.
pub fn subject(resource: &Resource) -> Subject {
    match &resource.shape {
        Shape::Builtin(message) => Subject::builtin(resource, message),
        Shape::Custom(_) => {
            let printer = custom::definition(resource).map(|definition| definition.printer.clone());
            Subject::custom(resource, printer.unwrap_or_else(|| Arc::new(Printer::new(&[]))))
        }
    }
}

/// What the resource can be shown as.
pub fn offer(resource: &Resource) -> Offer {
    Offer { custom: matches!(resource.shape, Shape::Custom(_)), table: true, ..Offer::default() }
}

impl Exchange<'_> {
    /// An object of the resource as the answer.
    pub fn answer(&self, code: u16, resource: &Resource, object: Arc<Object>, style: Style) -> Result<Response<Body>> {
        let stored =
            resource.storage.as_ref().filter(|_| resource.shape.message().is_some()).map(|storage| &storage.kind);
        style.representation.check(false, stored)?;
        let (clock, record) = (&self.server.registry.clock, &self.caller.annotations);
        let object = record.timed(clock, Layer::Transform, || served(resource, object))?;
        let bytes = record.timed(clock, Layer::Serialize, || subject(resource).object(&object, style));
        Ok(respond(code, style.representation.media.content_type(), bytes.map_err(Status::internal)?))
    }

    pub async fn get(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(offer(&at.resource))?;
        let version = self.query.first("resourceVersion").unwrap_or("").to_owned();
        let registry = &self.server.registry;
        let found = registry.get(at, &version);
        let object = self.caller.annotations.waited(&registry.clock, Layer::Store, found).await?;
        self.answer(200, &at.resource, object, style)
    }

    pub async fn list(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(Offer { watch: true, ..offer(&at.resource) })?;
        let options = options::list(&self.query)?;
        let options = self.narrow(options, at)?;
        let mut collection = at.clone();
        collection.name = Default::default();
        let listed = self.server.registry.list(&collection, &options, &self.caller.annotations).await?;
        let resource = &at.resource;
        let stored =
            resource.storage.as_ref().filter(|_| resource.shape.message().is_some()).map(|storage| &storage.kind);
        style.representation.check(true, stored)?;
        let meta = ListMeta {
            resource_version: listed.revision.to_string(),
            continue_token: listed.continue_token,
            remaining: listed.remaining,
        };
        self.items(resource, listed.items, meta, style)
    }

    /// A list as the answer, made while it is sent.
    pub fn items(
        &self,
        resource: &Resource,
        items: Vec<Arc<Object>>,
        meta: ListMeta,
        style: Style,
    ) -> Result<Response<Body>> {
        let (clock, record) = (&self.server.registry.clock, &self.caller.annotations);
        let items = items.into_iter().map(|object| served(resource, object));
        let items = record.timed(clock, Layer::Transform, || items.collect::<Result<Vec<_>>>())?;
        let list = subject(resource).list(items, meta, style);
        let body = record.timed(clock, Layer::Serialize, || whole_or_chunks(list))?;
        Ok(respond(200, style.representation.media.content_type(), body))
    }

    pub async fn create(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(offer(&at.resource))?;
        let options = options::write(&self.query);
        options.validate("Create", false)?;
        let value = self.object(&Expected::of(&at.resource), &options).await?;
        let registry = self.server.registry.clone();
        let written = registry.create(&mut self.caller, at, value, &options).await?;
        self.answer(201, &at.resource, written.object, style)
    }

    pub async fn update(&mut self, at: &Address) -> Result<Response<Body>> {
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

    pub async fn patch(&mut self, at: &Address) -> Result<Response<Body>> {
        let custom = matches!(at.resource.shape, Shape::Custom(_));
        let kind = body::of_patch(self.header("content-type"), custom, false)?;
        let style = self.style(offer(&at.resource))?;
        let options = options::write(&self.query);
        let body = self.read().await?;
        self.record_patch(&body, kind);
        let registry = self.server.registry.clone();
        let apply = |(wanted, repeated)| Patch::Apply { wanted, repeated };
        let patch = match kind {
            PatchType::Json => Patch::Json(&body),
            PatchType::Merge => Patch::Merge(&body),
            PatchType::Strategic => Patch::Strategic(&body),
            PatchType::ApplyYaml => apply(bodies::applied(&body, bodies::yaml)?),
            PatchType::ApplyCbor => {
                apply(bodies::applied(&body, |body| cbor::to_json(body).map(|text| (text, Vec::new())))?)
            }
        };
        let written = registry.patch(&mut self.caller, at, patch, &options).await?;
        self.answer(if written.created { 201 } else { 200 }, &at.resource, written.object, style)
    }

    pub async fn delete(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(offer(&at.resource))?;
        let content_type = self.header("content-type").to_owned();
        let body = self.read().await?;
        let options = options::delete(&self.query, &content_type, &body)?;
        self.record_options(&body, &content_type);
        let registry = self.server.registry.clone();
        let deleted = registry.delete(&mut self.caller, at, &options).await?;
        let held = !deleted.gone;
        let code = if held && options.orphan_dependents == Some(false) { 202 } else { 200 };
        if held || returns_deleted(&at.resource) {
            return self.answer(code, &at.resource, deleted.object, style);
        }
        let status = Status::success(details(at, &deleted));
        let bytes = crate::codec::answer::object::status(&status, style.representation).map_err(Status::internal)?;
        Ok(respond(code, style.representation.media.content_type(), bytes))
    }

    pub async fn delete_collection(&mut self, at: &Address) -> Result<Response<Body>> {
        let style = self.style(offer(&at.resource))?;
        let list = options::list(&self.query)?;
        let content_type = self.header("content-type").to_owned();
        let body = self.read().await?;
        let options = options::delete(&self.query, &content_type, &body)?;
        self.record_options(&body, &content_type);
        let registry = self.server.registry.clone();
        let listed = registry.delete_collection(&mut self.caller, at, &options, &list).await?;
        let meta = ListMeta {
            resource_version: listed.revision.to_string(),
            continue_token: listed.continue_token,
            remaining: listed.remaining,
        };
        self.items(&at.resource, listed.items, meta, style)
    }
}

fn details(at: &Address, deleted: &Deleted) -> Details {
    Details {
        name: at.name.to_string(),
        group: at.resource.name.group.to_string(),
        kind: at.resource.name.resource.to_string(),
        uid: deleted.object.uid().into_owned(),
        ..Details::default()
    }
}

/// Whether a delete of the kind answers with the object that is gone.
fn returns_deleted(resource: &Resource) -> bool {
    crate::registry::core::rules(resource).returns_deleted
}

/// A short list is sent whole, with its length; a long one in chunks.
fn whole_or_chunks<T, E>(mut chunks: T) -> Result<Body>
where
    T: Iterator<Item = std::result::Result<Bytes, E>> + Send + 'static,
    E: std::fmt::Display,
{
    let Some(first) = chunks.next().transpose().map_err(Status::internal)? else { return Ok(Body::empty()) };
    let Some(second) = chunks.next().transpose().map_err(Status::internal)? else { return Ok(first.into()) };
    let rest = chunks.map_while(|chunk| chunk.map_err(|error| tracing::error!(%error, "a list breaks off")).ok());
    Ok(Body::Chunks(Box::new([first, second].into_iter().chain(rest))))
}

/// Whether events are rendered once for all watchers that see this: it is nothing but the objects' own bytes.
pub fn is_shared(style: Style) -> bool {
    matches!(style.representation.view, Shown::Whole | Shown::Metadata(_)) && style.representation.media != Media::Yaml
}

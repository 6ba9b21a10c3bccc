//! Options of requests, from the query and from the body of a delete.

use std::num::IntErrorKind;
use std::time::Duration;

use super::bodies;
use super::query::{Query, is_true};
use super::route::Route;
use super::seats;
use crate::codec::negotiate::body;
use crate::model::duration::Duration as GoDuration;
use crate::model::gotext;
use crate::model::selector::field::FieldSelector;
use crate::model::selector::label;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::options::{DeleteOptions, ListOptions, WriteOptions};
use crate::schema::table::APIMACHINERY_PKG_APIS_META_V1_DELETEOPTIONS;

/// Options of a list or a watch. Fails with 400.
pub fn list(query: &Query<'_>) -> Result<ListOptions> {
    let text = |key: &str| query.first(key).unwrap_or("").to_owned();
    Ok(ListOptions {
        labels: label::parse(query.first("labelSelector").unwrap_or("")).map_err(Status::bad_request)?,
        fields: FieldSelector::parse(query.first("fieldSelector").unwrap_or("")).map_err(Status::bad_request)?,
        watch: query.first("watch").is_some_and(is_true),
        bookmarks: query.first("allowWatchBookmarks").is_some_and(is_true),
        resource_version: text("resourceVersion"),
        version_match: text("resourceVersionMatch"),
        timeout_seconds: number(query, "timeoutSeconds")?,
        limit: number(query, "limit")?.unwrap_or(0),
        continue_token: text("continue"),
        send_initial_events: query.first("sendInitialEvents").map(is_true),
    })
}

/// How long a request may take: what it says itself, if that is less than `most`; `None` for one that goes on for as long
/// as its client likes. Fails with 400.
pub fn limit(route: &Route, query: &Query<'_>, most: Duration) -> Result<Option<Duration>> {
    if seats::is_long(route) {
        return Ok(None);
    }
    let text = query.first("timeout").filter(|text| !text.is_empty());
    let given = text
        .map(GoDuration::parse)
        .transpose()
        .map_err(|why| Status::bad_request(format!("invalid timeout specified in the request URL - {why}")))?;
    let given = given.and_then(GoDuration::to_std).filter(|given| !given.is_zero() && *given < most);
    Ok(Some(given.unwrap_or(most)))
}

/// Options of a create, update or patch.
pub fn write(query: &Query<'_>) -> WriteOptions {
    WriteOptions {
        dry_run: query.all("dryRun").map(str::to_owned).collect(),
        field_manager: query.first("fieldManager").unwrap_or("").into(),
        field_validation: query.first("fieldValidation").unwrap_or("").into(),
        force: query.first("force").map(is_true),
    }
}

/// Options of a delete: from its body, or from the query when there is none.
pub fn delete(query: &Query<'_>, content_type: &str, body: &[u8]) -> Result<DeleteOptions> {
    if body.is_empty() {
        return Ok(DeleteOptions {
            grace_period: number(query, "gracePeriodSeconds")?,
            orphan_dependents: query.first("orphanDependents").map(is_true),
            propagation: query.first("propagationPolicy").map(str::to_owned),
            dry_run: query.all("dryRun").map(str::to_owned).collect(),
            ignore_store_read_error: query.first("ignoreStoreReadErrorWithClusterBreakingPotential").map(is_true),
            ..DeleteOptions::default()
        });
    }
    let media = body::of_body(content_type, false)?;
    bodies::options(body, media, &APIMACHINERY_PKG_APIS_META_V1_DELETEOPTIONS).map(|value| of_value(&value))
}

/// Reads a `DeleteOptions`.
pub fn of_value(value: &Value) -> DeleteOptions {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let condition = |field: &str| value.get("preconditions").and_then(|p| p.get(field)).and_then(text);
    let dry_run = value.get("dryRun").and_then(Value::as_array);
    DeleteOptions {
        grace_period: value.get("gracePeriodSeconds").and_then(Value::as_i64),
        uid: condition("uid"),
        resource_version: condition("resourceVersion"),
        orphan_dependents: value.get("orphanDependents").and_then(Value::as_bool),
        propagation: value.get("propagationPolicy").and_then(text),
        dry_run: dry_run.map(|all| all.iter().filter_map(text).collect()).unwrap_or_default(),
        ignore_store_read_error: value.get("ignoreStoreReadErrorWithClusterBreakingPotential").and_then(Value::as_bool),
    }
}

pub fn number(query: &Query<'_>, key: &str) -> Result<Option<i64>> {
    let Some(text) = query.first(key) else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |error: std::num::ParseIntError| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing {}: {why}", gotext::quote(text)))
    };
    text.parse().map(Some).map_err(bad)
}

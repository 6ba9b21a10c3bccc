//! Watches: from which state they begin, and what they see.

use std::sync::Arc;

use super::core::{Registry, cache_status, storage};
use super::options::ListOptions;
use super::read::{check_fields, parse_version, selects};
use super::request::Address;
use crate::cache::error::CacheError;
use crate::cache::index::Index;
use crate::cache::object::Object;
use crate::cache::watcher::{Filter, Start, Watcher};
use crate::model::revision::Revision;
use crate::model::status::{Result, Status};

/// A watch that has begun.
pub struct Watch {
    pub watcher: Watcher,
    /// The end of the first state is marked with a bookmark.
    pub marks_initial: bool,
}

impl Registry {
    /// Begins a watch. 410 when history does not reach back to where it is to begin.
    pub async fn watch(&self, at: &Address, options: &ListOptions) -> Result<Watch> {
        options.validate()?;
        check_fields(&at.resource, &options.fields)?;
        let storage = storage(&at.resource)?;
        let version = parse_version(&options.resource_version)?;
        let start = match (options.send_initial_events, version) {
            (Some(true), None) | (None, None) => {
                self.fresh().await?;
                Start::State
            }
            (Some(true), Some(least)) => {
                self.reach(least).await?;
                Start::State
            }
            (Some(false), None) => {
                self.fresh().await?;
                Start::Now
            }
            (None, Some(Revision::ZERO)) => Start::State,
            (Some(false), Some(Revision::ZERO)) => Start::Now,
            (_, Some(revision)) => Start::After(revision),
        };
        let watcher = self.cache.watch(&storage.shelf, filter(at, options)?, start).map_err(|error| match error {
            CacheError::Expired { .. } => Status::expired(error.to_string()),
            other => cache_status(other),
        })?;
        Ok(Watch { watcher, marks_initial: options.send_initial_events == Some(true) && options.bookmarks })
    }
}

fn filter(at: &Address, options: &ListOptions) -> Result<Filter> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let exact = |field: &str| options.fields.exact_match(field).map(str::to_owned);
    let storage = storage(&at.resource)?.clone();
    let index = options.fields.terms().iter().find_map(|term| {
        Some((Index::of_field(&storage.shelf, &term.field)?, options.fields.exact_match(&term.field)?.to_owned()))
    });
    let all = options.labels.is_everything() && options.fields.is_everything();
    let (labels, fields) = (options.labels.clone(), options.fields.clone());
    let predicate = move |object: &Object| selects(object, &labels, &fields, &storage);
    Ok(Filter {
        namespace: text(&at.namespace).or_else(|| exact("metadata.namespace")),
        name: text(&at.name).or_else(|| exact("metadata.name")),
        index,
        predicate: (!all).then(|| Arc::new(predicate) as _),
    })
}

//! Get and list: from the cache, as fresh or as stale as the request asks.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::core::{FRESHNESS, Registry, cache_status, storage};
use super::options::ListOptions;
use super::request::Address;
use crate::audit::annotations::Annotations;
use crate::audit::spent::Layer;
use crate::cache::error::CacheError;
use crate::cache::index::Index;
use crate::cache::lister::Query;
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::codec::json::syntax::explain;
use crate::model::gotext;
use crate::model::revision::Revision;
use crate::model::selector::field::FieldSelector;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::schema::resource::{Resource, Storage};

const TOKEN_VERSION: &str = "meta.k8s.io/v1";
const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new \
list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between \
the time the first chunk was returned and now may show up in the list.";

const TOO_OLD: &str = "The resourceVersion for the provided list is too old.";

/// Go does not mind bits that are left over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The revision as of which the list is complete.
    pub revision: Revision,
    pub items: Vec<Arc<Object>>,
    /// Empty on the last page.
    pub continue_token: String,
    /// `None` where counting would cost a scan: with a selector.
    pub remaining: Option<i64>,
}

/// Which state a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsOf {
    /// At least as new as the request.
    Newest,
    /// Whatever there is.
    Any,
    NotOlderThan(Revision),
    Exactly(Revision),
}

/// Where a continued list goes on; the form is stock's.
#[derive(Debug, Deserialize, Serialize)]
struct Token {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    /// The next key, relative to the list's own prefix.
    #[serde(default)]
    start: String,
}

impl Registry {
    /// The object, at least as new as the request; `resource_version` as in the query.
    pub async fn get(&self, at: &Address, resource_version: &str) -> Result<Arc<Object>> {
        let storage = storage(&at.resource)?;
        match parse_version(resource_version)? {
            None => self.fresh().await?,
            Some(Revision::ZERO) => Revision::ZERO,
            Some(least) => self.reach(least).await?,
        };
        let found = self.cache.get(&storage.shelf, &at.namespace, &at.name).map_err(cache_status)?;
        found.ok_or_else(|| Status::not_found(&at.resource.name, &at.name))
    }

    /// A page of the objects that the options select; over all namespaces when the address names none.
    pub async fn list(&self, at: &Address, options: &ListOptions, record: &Annotations) -> Result<Listed> {
        options.validate()?;
        check_fields(&at.resource, &options.fields)?;
        let storage = storage(&at.resource)?;
        let token = self.token(options)?;
        let as_of = as_of(options, token.as_ref())?;
        let (revision, shelf) =
            record.waited(&self.clock, Layer::Store, self.snapshot(storage, as_of, options)).await?;
        let limit =
            if as_of == AsOf::Any || options.resource_version == "0" { 0 } else { options.limit.max(0) as usize };
        let mut listed = page(at, &shelf, token.as_ref().map(|t| t.start.as_str()), limit, options);
        listed.revision = revision;
        if !listed.continue_token.is_empty() {
            listed.continue_token = Token::text(revision.0 as i64, &listed.continue_token);
        }
        Ok(listed)
    }

    /// Waits until the cache has reached a revision that a client named.
    pub async fn reach(&self, least: Revision) -> Result<Revision> {
        if self.cache.at_least(least, self.clock.instant() + FRESHNESS).await.is_err() {
            return Err(too_large(least, self.cache.published()));
        }
        Ok(self.cache.published())
    }

    fn token(&self, options: &ListOptions) -> Result<Option<Token>> {
        if options.continue_token.is_empty() {
            return Ok(None);
        }
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        Token::parse(&options.continue_token).map(Some)
    }

    async fn snapshot(&self, storage: &Storage, as_of: AsOf, options: &ListOptions) -> Result<(Revision, Arc<Shelf>)> {
        let snapshot = match as_of {
            AsOf::Any => self.cache.snapshot(&[&storage.shelf]),
            AsOf::Newest => {
                self.fresh().await?;
                self.cache.snapshot(&[&storage.shelf])
            }
            AsOf::NotOlderThan(least) => {
                self.reach(least).await?;
                self.cache.snapshot(&[&storage.shelf])
            }
            AsOf::Exactly(revision) => {
                self.reach(revision).await?;
                self.cache.snapshot_at(&storage.shelf, revision)
            }
        };
        let mut snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(CacheError::Expired { .. }) => return Err(expired(options)),
            Err(error) => return Err(cache_status(error)),
        };
        let shelf = snapshot.shelves.pop().ok_or_else(Status::no_such_resource)?;
        Ok((snapshot.revision, shelf))
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self> {
        let invalid = |why: String| Status::bad_request(format!("continue key is not valid: {why}"));
        let bytes = LENIENT.decode(text.trim_end_matches('=')).map_err(|error| invalid(error.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes)
            .map_err(|error| invalid(explain(&bytes).unwrap_or_else(|| error.to_string())))?;
        if token.v != TOKEN_VERSION {
            return Err(invalid(format!("server does not recognize this encoded version {}", gotext::quote(&token.v))));
        }
        if token.rv == 0 {
            return Err(invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)".into()));
        }
        if token.start.is_empty() {
            return Err(invalid("encoded start key empty (version meta.k8s.io/v1)".into()));
        }
        if token.start.split('/').any(|part| part == "..") {
            return Err(invalid(token.start));
        }
        Ok(token)
    }

    fn text(revision: i64, start: &str) -> String {
        let token = Token { v: TOKEN_VERSION.into(), rv: revision, start: start.into() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }
}

fn as_of(options: &ListOptions, token: Option<&Token>) -> Result<AsOf> {
    if let Some(token) = token {
        return Ok(if token.rv < 0 { AsOf::Newest } else { AsOf::Exactly(Revision(token.rv as u64)) });
    }
    let given = parse_version(&options.resource_version)?;
    Ok(match (given, options.version_match.as_str()) {
        (None, _) => AsOf::Newest,
        (Some(Revision::ZERO), _) => AsOf::Any,
        (Some(revision), "Exact") => AsOf::Exactly(revision),
        (Some(revision), "") if options.limit > 0 => AsOf::Exactly(revision),
        (Some(revision), _) => AsOf::NotOlderThan(revision),
    })
}

/// `None`: not given.
pub fn parse_version(text: &str) -> Result<Option<Revision>> {
    if text.is_empty() {
        return Ok(None);
    }
    Revision::parse(text).map(Some).ok_or_else(|| {
        let quoted = gotext::quote(text);
        let why =
            format!("resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax");
        Status::unknown(why)
    })
}

/// 504 for a revision that the server has not seen.
pub fn too_large(wanted: Revision, newest: Revision) -> Status {
    let status = Status::timeout(format!("Too large resource version: {wanted}, current: {newest}"), 1);
    status.cause("ResourceVersionTooLarge", "Too large resource version", "")
}

fn expired(options: &ListOptions) -> Status {
    if options.continue_token.is_empty() {
        return Status::expired(TOO_OLD);
    }
    let mut status = Status::expired(EXPIRED);
    if let Ok(token) = Token::parse(&options.continue_token) {
        status.continue_token = Token::text(-1, &token.start);
    }
    status
}

/// Refuses selectors on fields that the resource does not offer.
pub fn check_fields(resource: &Resource, fields: &FieldSelector) -> Result<()> {
    match fields.terms().iter().find_map(|term| resource.refuse_field(&term.field)) {
        Some(why) => Err(Status::bad_request(why)),
        None => Ok(()),
    }
}

/// Whether an object is what the selectors ask for.
pub fn selects(object: &Object, labels: &Selector, fields: &FieldSelector, storage: &Storage) -> bool {
    let label = |key: &str| object.label(key);
    (labels.is_everything() || labels.matches_by(label))
        && (fields.is_everything() || fields.matches_by(|field| super::hooks::fields::value(object, field, storage)))
}

/// Cuts a page out of a shelf; its token is the bare key with which the next page begins.
fn page(at: &Address, shelf: &Shelf, start: Option<&str>, limit: usize, options: &ListOptions) -> Listed {
    let storage = &shelf.storage;
    let all = options.labels.is_everything() && options.fields.is_everything();
    let wanted = |object: &Object| selects(object, &options.labels, &options.fields, storage);
    let namespace = (!at.namespace.is_empty()).then_some(at.namespace.as_str());
    let indexed = options.fields.terms().iter().find_map(|term| {
        let index = Index::of_field(&storage.shelf, &term.field)?;
        Some((index, options.fields.exact_match(&term.field)?))
    });
    // Tokens are relative to the list's own prefix.
    let after = start.map(|start| {
        let last = start.trim_end_matches('\0');
        namespace.map_or(last.to_owned(), |namespace| format!("{namespace}/{last}"))
    });
    let query = Query {
        namespace,
        index: indexed,
        after: after.as_deref(),
        limit: (limit > 0).then_some(limit),
        predicate: (!all).then_some(&wanted),
    };
    let found = shelf.list(query);
    let next = found.next.map(|key| {
        let key = key.as_str();
        let relative = namespace.and_then(|namespace| key.strip_prefix(namespace)?.strip_prefix('/')).unwrap_or(key);
        format!("{relative}\0")
    });
    Listed {
        revision: Revision::ZERO,
        items: found.objects,
        continue_token: next.unwrap_or_default(),
        remaining: found.remaining.map(|count| count as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_stocks() {
        let text = Token::text(7, "a\0");
        let token = Token::parse(&text).expect("a token");
        assert_eq!((token.rv, token.start.as_str()), (7, "a\0"));
        for (bad, why) in [("!!", "continue key is not valid: "), (&Token::text(0, "a"), "incorrect encoded start")] {
            assert!(Token::parse(bad).expect_err("refused").message.contains(why), "{bad}");
        }
    }

    #[test]
    fn the_matrix_of_versions() {
        let case = |version: &str, matching: &str, limit| {
            let options = ListOptions {
                resource_version: version.into(),
                version_match: matching.into(),
                limit,
                ..ListOptions::default()
            };
            as_of(&options, None).expect("valid")
        };
        assert_eq!(case("", "", 0), AsOf::Newest);
        assert_eq!(case("0", "", 5), AsOf::Any);
        assert_eq!(case("7", "", 0), AsOf::NotOlderThan(Revision(7)));
        assert_eq!(case("7", "", 5), AsOf::Exactly(Revision(7)));
        assert_eq!(case("7", "NotOlderThan", 5), AsOf::NotOlderThan(Revision(7)));
        assert_eq!(case("7", "Exact", 0), AsOf::Exactly(Revision(7)));
    }
}

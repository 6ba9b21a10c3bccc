//! All that is wrong with a definition, in stock's order.

use super::names;
use super::options::{Options, REVIEWS};
use super::spec::{Spec, Version, has_status};
use super::{columns, schema};
use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::syntax::{dns1035_label, dns1123_subdomain};
use crate::model::url::Url;
use crate::model::value::Value;
use crate::model::{gotext, object};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::web::{is_ca_bundle, webhook_service, webhook_url};
use crate::rules::custom::schema::Schema;
use crate::rules::show;
use crate::schema::table;

const SPEC: &str = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec";
const APPROVED: &str = "api-approved.kubernetes.io";
/// Letters of a deprecation warning.
const WARNING_LETTERS: usize = 256;

pub fn spec(at: &At, options: &Options, errs: &mut FieldErrors) {
    let raw = at.value();
    let (spec, path) = (Spec::new(raw), at.path());
    group(&at.at("group"), errs);
    choices::required(&at.at("scope"), &["Cluster", "Namespaced"], errs);
    let keeps_unknown = raw["preserveUnknownFields"] == true;
    let mut options = options.clone();
    options.structural |= !keeps_unknown;
    if spec.shared.schema["openAPIV3Schema"].is_null() {
        missing_schemas(&spec, &options, keeps_unknown, path, errs);
    }
    let schemas: Vec<Schema> = spec.schemas().map(Schema::read).collect();
    if schemas.iter().any(|schema| schema.any(&mut |schema| schema.default.is_some())) {
        options.structural = true;
        if keeps_unknown {
            let why = "must be false in order to use defaults in the schema";
            errs.push(FieldError::invalid(&path.name("preserveUnknownFields"), true, why));
        }
    }
    options.structural |= schemas.iter().any(|schema| schema.any(&mut has_extensions));
    versions(&spec, &options, path, errs);
    for field in ["plural", "singular", "kind", "listKind"] {
        if at.at("names").at(field).is_empty() {
            at.at("names").at(field).required(errs, "");
        }
    }
    names::validate(&at.at("names"), errs);
    shared(&spec, &options, path, errs);
    if keeps_unknown && !matches!(raw["conversion"]["strategy"].as_str(), None | Some("None")) {
        let why = "must be None if spec.preserveUnknownFields is true";
        at.at("conversion").at("strategy").invalid(errs, why);
    }
    conversion(&at.at("conversion"), &options, errs);
}

fn group(at: &At, errs: &mut FieldErrors) {
    let texts = dns1123_subdomain(at.str());
    if at.is_empty() {
        at.required(errs, "");
    } else if !texts.is_empty() {
        at.invalid(errs, texts.join(","));
    } else if !at.str().contains('.') {
        at.invalid(errs, "should be a domain with at least one dot");
    }
}

fn missing_schemas(spec: &Spec<'_>, options: &Options, keeps_unknown: bool, path: &Path<'_>, errs: &mut FieldErrors) {
    for (at, version) in spec.versions.iter().enumerate() {
        if !version.parts.schema["openAPIV3Schema"].is_null() {
            continue;
        }
        let versions = path.name("versions");
        let index = versions.index(at);
        let schema = index.name("schema");
        let place = schema.name("openAPIV3Schema");
        if options.schemas {
            errs.push(FieldError::required(&place, ""));
        } else if !keeps_unknown && version.raw["served"] == true {
            errs.push(FieldError::required(&place, "because otherwise all fields are pruned"));
        }
    }
}

fn has_extensions(schema: &Schema) -> bool {
    schema.embedded
        || schema.preserve.is_some()
        || schema.int_or_string
        || !schema.list_keys.is_empty()
        || schema.list_type.is_some()
        || !schema.rules.is_empty()
}

fn versions(spec: &Spec<'_>, options: &Options, path: &Path<'_>, errs: &mut FieldErrors) {
    let versions = path.name("versions");
    for (at, version) in spec.versions.iter().enumerate() {
        let place = versions.index(at);
        label(&place.name("name"), version.name, "", errs);
        self::version(spec, version, &options.of_version(version.name), &place, errs);
    }
    let shown = || {
        if spec.versions.is_empty() {
            return Bad::plain(if spec.is_listed { "[]" } else { "null" });
        }
        let raw = spec.internal_versions();
        let field = table::message(SPEC).and_then(|spec| spec.field("versions"));
        field.map_or_else(|| (&raw).into(), |field| Bad::plain(show::field(&raw, field)))
    };
    let repeats = |version: &Version<'_>| spec.versions.iter().filter(|other| other.name == version.name).count() > 1;
    if spec.versions.iter().any(repeats) {
        errs.push(FieldError::invalid(&versions, shown(), "must contain unique version names"));
    }
    if spec.versions.iter().filter(|version| version.raw["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        errs.push(FieldError::invalid(&versions, shown(), why));
    }
    if let Some(first) = spec.versions.first().filter(|first| !first.name.is_empty()) {
        label(&path.name("version"), first.name, "", errs);
    }
}

/// RFC 1035, after these words.
pub fn label(path: &Path<'_>, text: &str, before: &str, errs: &mut FieldErrors) {
    let texts = dns1035_label(text);
    if !texts.is_empty() {
        errs.push(FieldError::invalid(path, text, format!("{before}{}", texts.join(","))));
    }
}

fn version(spec: &Spec<'_>, version: &Version<'_>, options: &Options, path: &Path<'_>, errs: &mut FieldErrors) {
    deprecation(version.raw, &path.name("deprecationWarning"), errs);
    let parts = version.parts;
    let raw = &parts.schema["openAPIV3Schema"];
    if !raw.is_null() {
        let status = has_status(spec.subresources(version));
        schema::validate(raw, status, options, &path.name("schema").name("openAPIV3Schema"), errs);
    }
    columns::subresources(parts.subresources, &path.name("subresources"), errs);
    columns::columns(parts.columns, &path.name("additionalPrinterColumns"), errs);
    if parts.selectable.as_array().is_none_or(Vec::is_empty) {
        return;
    }
    let at = path.name("selectableFields");
    if raw.is_null() {
        let why = "may only be set when `version.schema.openAPIV3Schema` is not included";
        return errs.push(FieldError::invalid(&at, "", why));
    }
    let many = options.many_selectable.iter().any(|known| known == version.name);
    columns::selectable(parts.selectable, raw, many, &path.name("schema.openAPIV3Schema"), &at, errs);
}

/// What all versions share.
fn shared(spec: &Spec<'_>, options: &Options, path: &Path<'_>, errs: &mut FieldErrors) {
    let parts = spec.shared;
    let raw = &parts.schema["openAPIV3Schema"];
    if !raw.is_null() {
        let first = spec.versions.first().map_or("", |first| first.name);
        let place = path.name("validation");
        schema::validate(raw, spec.any_status(), &options.of_version(first), &place.name("openAPIV3Schema"), errs);
    }
    columns::subresources(parts.subresources, &path.name("subresources"), errs);
    columns::columns(parts.columns, &path.name("additionalPrinterColumns"), errs);
    if parts.selectable.as_array().is_none_or(Vec::is_empty) {
        return;
    }
    let at = path.name("selectableFields");
    if parts.schema.is_null() {
        return errs.push(FieldError::invalid(&at, "", "may only be set when validations.schema is included"));
    }
    let many = options.many_selectable.iter().any(String::is_empty);
    columns::selectable(parts.selectable, raw, many, &path.name("schema.openAPIV3Schema"), &at, errs);
}

fn deprecation(version: &Value, path: &Path<'_>, errs: &mut FieldErrors) {
    let Some(text) = version["deprecationWarning"].as_str() else { return };
    if version["deprecated"] != true {
        return errs.push(FieldError::invalid(path, text, "can only be set for deprecated versions"));
    }
    if text.len() > WARNING_LETTERS {
        errs.push(FieldError::invalid(path, text, "must be <= 256 characters long"));
    }
    if text.is_empty() {
        errs.push(FieldError::invalid(path, text, "must not be an empty string"));
    }
    if let Some((at, _)) = text.char_indices().find(|(_, letter)| *letter != ' ' && !gotext::is_printable(*letter)) {
        let why = format!("must only contain printable UTF-8 characters; non-printable character found at index {at}");
        errs.push(FieldError::invalid(path, text, why));
    }
}

fn conversion(at: &At, options: &Options, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    choices::required(&at.at("strategy"), &["None", "Webhook"], errs);
    let webhook = at.at("webhook");
    let (client, reviews) = (webhook.at("clientConfig"), webhook.at("conversionReviewVersions"));
    let (client_path, reviews_path) =
        (at.path().name("webhookClientConfig"), at.path().name("conversionReviewVersions"));
    let (client, reviews) = (client.placed(client_path), reviews.placed(reviews_path));
    if at.at("strategy").str() != "Webhook" {
        let why = "should not be set when strategy is not set to Webhook";
        for part in [&client, &reviews].into_iter().filter(|part| part.exists()) {
            part.forbidden(errs, why);
        }
        return;
    }
    let (url, service) = (client.at("url"), client.at("service"));
    if client.is_null() {
        client.required(errs, "required when strategy is set to Webhook");
    } else if url.exists() == service.exists() {
        client.required(errs, "exactly one of url or service is required");
    } else if url.exists() {
        webhook_url(&url, true, errs);
    } else {
        webhook_service(&service, errs);
    }
    let bundle = client.at("caBundle");
    if options.right_ca_bundle && !bundle.is_empty() && !is_ca_bundle(bundle.str()) {
        bundle.invalid(errs, "unable to load root certificates: unable to parse bytes as PEM block");
    }
    review_versions(&reviews, options, errs);
}

fn review_versions(at: &At, options: &Options, errs: &mut FieldErrors) {
    if at.is_empty() {
        return at.required(errs, "");
    }
    let mut seen = Vec::new();
    for item in at.items() {
        if seen.contains(&item.str()) {
            item.invalid(errs, "duplicate version");
            continue;
        }
        seen.push(item.str());
        item.check(errs, dns1035_label);
    }
    if options.known_reviews && !seen.iter().any(|version| REVIEWS.contains(version)) {
        at.invalid(errs, format!("must include at least one of {}", REVIEWS.join(", ")));
    }
}

/// A version that was ever stored stays in the spec.
pub fn stored_versions(at: &At, spec: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        return at.invalid_as(errs, Bad::plain("null"), "must have at least one stored version");
    }
    let versions = spec.at("versions");
    let mut left: Vec<&str> = at.strs().collect();
    for version in versions.items() {
        let name = version.at("name").str();
        // A second version of the same name finds nothing left.
        let before = left.len();
        left.retain(|stored| *stored != name);
        if left.len() == before && version.at("storage").bool() {
            at.invalid(errs, format!("must have the storage version {name}"));
        }
    }
    for stored in at.items().filter(|stored| left.contains(&stored.str())) {
        let name = stored.str();
        let why = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a \
             storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        stored.invalid(errs, why);
    }
}

/// What is said of the approval of an API of the Kubernetes project.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    Missing,
    Bypassed,
    Approved,
    Invalid,
}

/// Groups of the community are not for everyone.
pub fn approval(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let approval = approved(at.value());
    if !is_protected(at.at("spec").at("group").str()) || old.is_some_and(|old| approved(old.value()) == approval) {
        return;
    }
    let pull = "see https://github.com/kubernetes/enhancements/pull/1111";
    let must = format!("protected groups must have approval annotation \"{APPROVED}\"");
    let (metadata, annotations) = (at.at("metadata"), "annotations");
    let annotations = metadata.at(annotations);
    let place = annotations.entry(APPROVED);
    match approval {
        Approval::Missing => place.required(errs, format!("{must}, {pull}")),
        Approval::Invalid => {
            place.invalid(errs, format!("{must} with either a URL or a reason starting with \"unapproved\", {pull}"));
        }
        Approval::Bypassed | Approval::Approved => {}
    }
}

/// Whether a group is the Kubernetes project's own.
pub fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

/// What a definition's annotation says of its approval.
pub fn approved(crd: &Value) -> Approval {
    let text = object::annotation(crd, APPROVED).unwrap_or_default();
    let is_url = || Url::parse_request(text).is_ok_and(|url| !url.host.is_empty() && !url.scheme.is_empty());
    match text {
        "" => Approval::Missing,
        text if text.starts_with("unapproved") => Approval::Bypassed,
        _ if is_url() => Approval::Approved,
        _ => Approval::Invalid,
    }
}

/// Only what was so already may keep unknown fields.
pub fn keeps_unknown(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let said = |at: &At| at.at("spec").at("preserveUnknownFields").bool();
    if said(at) && !old.is_some_and(said) {
        let why =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        at.at("spec").at("preserveUnknownFields").invalid(errs, why);
    }
}

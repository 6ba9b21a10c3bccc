//! Volumes of files that the API has: config maps, secrets, fields of the pod, tokens.

use std::collections::BTreeSet;

use crate::model::field::{FieldError, FieldErrors, Path};
use crate::rules::at::At;
use crate::rules::checks::web::local_non_reserved_path;
use crate::rules::pod::env::{FILE_FIELDS, field_ref, resource_ref};
use crate::rules::pod::options::Options;

/// Bits of permission.
const MODES: std::ops::RangeInclusive<i64> = 0..=0o777;
const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const LEAST_TOKEN_SECONDS: i64 = 600;
const MOST_TOKEN_SECONDS: i64 = 1 << 32;
/// Of the last two, off by default and dropped before, an object from elsewhere has what was right when it was written.
const PROJECTIONS: [&str; 6] =
    ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];

pub fn secret(at: &At, errs: &mut FieldErrors) {
    of_keys(at, "secretName", errs);
}

pub fn config_map(at: &At, errs: &mut FieldErrors) {
    of_keys(at, "name", errs);
}

fn of_keys(at: &At, name: &str, errs: &mut FieldErrors) {
    if at.at(name).is_empty() {
        at.at(name).required(errs, "");
    }
    mode(&at.at("defaultMode"), errs);
    for item in at.at("items").items() {
        key_to_path(&item, errs);
    }
}

fn key_to_path(at: &At, errs: &mut FieldErrors) {
    if at.at("key").is_empty() {
        at.at("key").required(errs, "");
    }
    required_path(&at.at("path"), errs);
    mode(&at.at("mode"), errs);
}

/// Errors of its files stand at the volume, as in stock.
pub fn downward_api(at: &At, errs: &mut FieldErrors) {
    mode(&at.at("defaultMode"), errs);
    for item in at.at("items").items() {
        downward_file(&item.placed(*at.path()), errs);
    }
}

fn downward_file(at: &At, errs: &mut FieldErrors) {
    required_path(&at.at("path"), errs);
    let (field, resource) = (at.at("fieldRef"), at.at("resourceFieldRef"));
    if field.exists() {
        field_ref(&field, &FILE_FIELDS, errs);
        if resource.exists() {
            at.invalid_as(errs, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
        }
    } else if resource.exists() {
        resource_ref(&resource, true, errs);
    } else {
        at.required(errs, "one of fieldRef and resourceFieldRef is required");
    }
    mode(&at.at("mode"), errs);
}

fn mode(at: &At, errs: &mut FieldErrors) {
    if at.exists() && !MODES.contains(&at.i64()) {
        at.invalid(errs, MODE);
    }
}

fn required_path(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    }
    local_non_reserved_path(at, errs);
}

/// The files of several sources in one folder.
pub fn projected(at: &At, options: &Options, errs: &mut FieldErrors) {
    mode(&at.at("defaultMode"), errs);
    let mut paths = Paths { place: at.path(), seen: BTreeSet::new() };
    for source in at.at("sources").items() {
        for name in ["secret", "configMap"] {
            let keys = source.at(name);
            if keys.exists() {
                projected_keys(&keys, &mut paths, errs);
            }
        }
        let fields = source.at("downwardAPI");
        for file in fields.at("items").items() {
            downward_file(&file.placed(*fields.path()), errs);
            paths.add(file.at("path").str(), file.at("path").str(), errs);
        }
        let token = source.at("serviceAccountToken");
        if token.exists() {
            self::token(&token, at, options, errs);
        }
        if PROJECTIONS.iter().filter(|name| source.has(name)).count() > 1 {
            source.forbidden(errs, "may not specify more than 1 volume type per source");
        }
    }
}

/// The paths that the sources of a projected volume fill so far.
struct Paths<'p, 'v> {
    place: &'p Path<'p>,
    seen: BTreeSet<&'v str>,
}

impl<'v> Paths<'_, 'v> {
    fn add(&mut self, path: &'v str, shown: &str, errs: &mut FieldErrors) {
        if !path.is_empty() && !self.seen.insert(path) {
            errs.push(FieldError::invalid(self.place, shown, "conflicting duplicate paths"));
        }
    }
}

fn projected_keys<'v>(at: &At<'_, 'v>, paths: &mut Paths<'_, 'v>, errs: &mut FieldErrors) {
    let name = at.at("name");
    if name.is_empty() {
        name.required(errs, "");
    }
    for item in at.at("items").items() {
        key_to_path(&item, errs);
        paths.add(item.at("path").str(), name.str(), errs);
    }
}

/// Errors of a token's path stand at the volume, as in stock.
fn token(at: &At, volume: &At, options: &Options, errs: &mut FieldErrors) {
    let seconds = at.at("expirationSeconds");
    if seconds.i64() < LEAST_TOKEN_SECONDS {
        seconds.invalid(errs, "may not specify a duration less than 10 minutes");
    }
    if seconds.i64() > MOST_TOKEN_SECONDS {
        seconds.invalid(errs, "may not specify a duration larger than 2^32 seconds");
    }
    let path = at.at("path").placed(volume.path().name("path"));
    if path.is_empty() {
        path.required(errs, "");
    } else if !options.any_token_path {
        local_non_reserved_path(&path, errs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn sources_of_a_folder() {
        let volume = json!({"projected": {"defaultMode": 512, "sources": [
            {"secret": {"name": "s", "items": [{"key": "k", "path": "a"}]}},
            {"configMap": {"items": [{"path": "a", "mode": -1}]}, "secret": {"name": "t"}},
            {"downwardAPI": {"items": [{"path": "../b", "fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}]}},
            {"downwardAPI": {"items": [{"path": "c"}]}},
            {"serviceAccountToken": {"expirationSeconds": 60, "path": "..x"}}]}});
        let root = At::new(&volume, table::message("k8s.io.api.core.v1.Volume"));
        let mut errs = FieldErrors::new();
        projected(&root.at("projected"), &Options::default(), &mut errs);
        let found: Vec<_> =
            errs.iter().map(|e| e.to_string().replace("projected", "").replace("sources", "")).collect();
        assert_eq!(
            found,
            [
                ".defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
                ".[1].configMap.name: Required value",
                ".[1].configMap.items[0].key: Required value",
                ".[1].configMap.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
                ": Invalid value: \"\": conflicting duplicate paths",
                ".[1]: Forbidden: may not specify more than 1 volume type per source",
                ".[2].downwardAPI.path: Invalid value: \"../b\": must not contain '..'",
                ".[2].downwardAPI.fieldRef.fieldPath: Unsupported value: \"spec.nodeName\": supported values: \
                 \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\"",
                ".[3].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
                ".[4].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
                ".path: Invalid value: \"..x\": must not start with '..'",
            ]
        );
    }
}

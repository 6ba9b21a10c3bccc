//! Warnings of files that hide each other in a volume.

use crate::model::gotext::quote;
use crate::model::value::{Map, Value};

/// After so many comparisons of paths in a volume no more warnings are looked for.
const MOST_COMPARISONS: usize = 1_000_000;

/// A path in a volume, without slashes at its end, and whence its file comes.
#[derive(PartialEq)]
struct Place<'v> {
    path: &'v str,
    source: String,
}

/// Warnings of each volume of the list.
pub fn overlaps(volumes: &Value, warnings: &mut Vec<String>) {
    for volume in list(volumes) {
        let name = quote(text(&volume["name"]));
        for (source, shown, named) in
            [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "DownwardAPI", "")]
        {
            let source = &volume[source];
            let shown =
                if named.is_empty() { shown.to_owned() } else { format!("{shown} {}", quote(text(&source[named]))) };
            let places = list(&source["items"]).map(|item| place(&item["path"], String::new()));
            collisions(places, &format!("volume {name} ({shown})"), warnings);
        }
        let mut places = Vec::new();
        for source in list(&volume["projected"]["sources"]) {
            if source.as_object().is_none_or(Map::is_empty) {
                warnings.push(format!("volume {name} (Projected) has no sources provided"));
            } else {
                projected(source, &mut places);
            }
        }
        collisions(places.into_iter(), &format!("volume {name} (Projected)"), warnings);
    }
}

/// The places of a source of a projected volume; of several, of the first that has any.
fn projected<'v>(source: &'v Value, places: &mut Vec<Place<'v>>) {
    let shown = |kind: &str, name: &Value| format!("{kind} {}", quote(text(name)));
    for (kind, shown) in [
        ("configMap", shown("ConfigMap", &source["configMap"]["name"])),
        ("secret", shown("Secret", &source["secret"]["name"])),
        ("downwardAPI", "DownwardAPI".to_owned()),
    ] {
        if let Some(items) = source[kind]["items"].as_array() {
            places.extend(items.iter().map(|item| place(&item["path"], shown.clone())));
            return;
        }
    }
    if let Some(token) = source.get("serviceAccountToken") {
        places.push(place(&token["path"], "ServiceAccountToken".to_owned()));
    } else if let Some(bundle) = source.get("clusterTrustBundle") {
        let name = bundle.get("name").unwrap_or(&bundle["signerName"]);
        places.push(place(&bundle["path"], shown("ClusterTrustBundle", name)));
    } else if let Some(certificate) = source.get("podCertificate") {
        for (field, shown) in [
            ("certificateChainPath", "PodCertificate chain"),
            ("keyPath", "PodCertificate key"),
            ("credentialBundlePath", "PodCertificate credential bundle"),
        ] {
            if let Some(path) = certificate.get(field) {
                places.push(place(path, shown.to_owned()));
            }
        }
    }
}

fn collisions<'v>(places: impl Iterator<Item = Place<'v>>, volume: &str, warnings: &mut Vec<String>) {
    let (mut earlier, mut comparisons): (Vec<Place>, usize) = (Vec::new(), 0);
    for place in places.filter(|place| !place.path.is_empty()) {
        comparisons += earlier.len();
        if comparisons > MOST_COMPARISONS {
            return;
        }
        for other in earlier.iter().filter(|other| within(other.path, place.path) || within(place.path, other.path)) {
            warnings.push(format!("{volume}: overlapping paths: {} with {}", place.show(), other.show()));
        }
        earlier.push(place);
    }
}

impl Place<'_> {
    fn show(&self) -> String {
        let path = quote(self.path);
        if self.source.is_empty() { path } else { format!("{path} ({})", self.source) }
    }
}

/// Whether the path is the folder or in it.
fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn place(path: &Value, source: String) -> Place<'_> {
    Place { path: text(path).trim_end_matches('/'), source }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn files_that_hide_each_other() {
        let volumes = json!([
            {"name": "a", "secret": {"secretName": "s", "items": [{"path": "x/"}, {"path": "xy"}, {"path": "x/y"}]}},
            {"name": "b", "projected": {"sources": [
                {},
                {"configMap": {"name": "c", "items": [{"path": "t/token"}]}},
                {"serviceAccountToken": {"path": "t"}}]}}]);
        let mut warnings = Vec::new();
        overlaps(&volumes, &mut warnings);
        assert_eq!(
            warnings,
            [
                "volume \"a\" (Secret \"s\"): overlapping paths: \"x/y\" with \"x\"",
                "volume \"b\" (Projected) has no sources provided",
                "volume \"b\" (Projected): overlapping paths: \"t\" (ServiceAccountToken) with \"t/token\" (ConfigMap \"c\")",
            ]
        );
    }
}

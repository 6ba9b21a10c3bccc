//! Recorded answers of a stock server, replayed against parts of this one.
//!
//! `MONOKUBE_ORACLE` names the folder of the oracle; where there is none these tests say so and pass.

mod fields;
mod negotiation;
mod steps;
mod table;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use monokube::codec::json::decode::decode;
use monokube::codec::protobuf::encode::encode;
use monokube::model::time::Time;
use monokube::model::value::Value;
use monokube::schema::catalog::Catalog;
use monokube::schema::resource::{Resource, Shape, Storage};

/// Stands for every time that was close to the recording's.
pub const NOW: &str = "2026-03-01T12:00:00Z";

pub fn now() -> Time {
    Time::parse(NOW).expect("a time")
}

/// One recorded conversation.
pub struct Scenario {
    pub name: String,
    pub steps: Vec<Value>,
}

/// The scenarios of an area; `None` when there is no oracle.
pub fn area(name: &str) -> Option<Vec<Scenario>> {
    let folder = steps::folder(name)?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("an area").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut scenarios = Vec::new();
    for file in files {
        let output = Command::new("gzip").arg("-dc").arg(&file).output().expect("gzip");
        for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
            let mut scenario: Value = serde_json::from_str(&settled(line)).expect("a scenario");
            let name = scenario["name"].as_str().expect("a name").to_owned();
            let Value::Array(steps) = scenario["steps"].take() else { panic!("{name} has no steps") };
            scenarios.push(Scenario { name, steps });
        }
    }
    Some(scenarios)
}

/// The text with what the recorder made symbols of turned into values of the right types.
fn settled(line: &str) -> String {
    let line = line.replace("<time.micro>", "2026-03-01T12:00:00.000000Z").replace("<time>", NOW);
    let mut out = String::with_capacity(line.len());
    let mut rest = line.as_str();
    // Ports are numbers, but a symbol stands in a string.
    while let Some(at) = rest.find("<port:") {
        let end = at + rest[at..].find('>').expect("a symbol's end");
        let digits: String = rest[at..end].chars().filter(char::is_ascii_digit).collect();
        let number = 30_000 + digits.parse::<u32>().expect("digits");
        let quoted = rest[..at].ends_with('"') && rest[end + 1..].starts_with('"');
        out.push_str(&rest[..at - usize::from(quoted)]);
        out.push_str(&number.to_string());
        rest = &rest[end + 1 + usize::from(quoted)..];
    }
    out + rest
}

/// What a request is about.
pub struct Target {
    pub resource: std::sync::Arc<Resource>,
    pub name: String,
    pub subresource: String,
}

impl Target {
    /// `None` when the path is no built-in resource's.
    pub fn of(catalog: &Catalog, path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or("");
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let rest = match rest {
            ["namespaces", _, more @ ..] if !more.is_empty() && !["status", "finalize"].contains(&more[0]) => more,
            rest => rest,
        };
        let resource = catalog.find(group, version, rest.first()?)?.clone();
        let part = |at: usize| rest.get(at).copied().unwrap_or("").to_owned();
        Some(Self { resource, name: part(1), subresource: part(2) })
    }

    /// Objects are kept in the form in which they are served.
    pub fn is_kept_as_served(&self) -> bool {
        let kept = |storage: &Storage| storage.kind == self.resource.kind;
        self.resource.storage.as_ref().is_some_and(kept)
    }
}

/// The objects that a scenario shows: each by resource and name, in every version.
#[derive(Default)]
pub struct Shown(HashMap<(String, String), Vec<Value>>);

impl Shown {
    /// Remembers what a step's answer shows.
    pub fn learn(&mut self, target: &Target, body: &Value) {
        if body["kind"] == target.resource.kind.kind.as_str() && target.subresource != "scale" {
            let name = body["metadata"]["name"].as_str().unwrap_or("").to_owned();
            self.0.entry((target.resource.name.to_string(), name)).or_default().push(body.clone());
        }
        for row in body["rows"].as_array().into_iter().flatten() {
            self.learn(target, &row["object"]);
        }
    }

    /// The object in a version, or in the last one that was shown.
    pub fn get(&self, target: &Target, name: &str, version: Option<&str>) -> Option<&Value> {
        let all = self.0.get(&(target.resource.name.to_string(), name.to_owned()))?;
        match version {
            Some(version) => all.iter().find(|object| object["metadata"]["resourceVersion"] == version),
            None => all.last(),
        }
    }
}

/// An object as the cache would hold it.
pub fn raw(object: &Value, resource: &Resource) -> Vec<u8> {
    let Shape::Builtin(message) = resource.shape else { panic!("a built-in type") };
    let decoded = decode(object.to_string().as_bytes(), message).expect("a recorded object");
    encode(&decoded.value, message).expect("a decoded object")
}

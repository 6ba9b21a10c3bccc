//! Recorded answers of a stock server, read step by step. They are no part of the repository: tests that want them are
//! skipped, and say so, where they are not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use monokube::model::value::{Map, Value};
use monokube::schema::structure::Structure;

/// A recorded conversation.
pub struct Scenario {
    pub name: String,
    pub steps: Vec<Step>,
}

/// A request and the answer to it.
pub struct Step {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Of a repeated key the first value.
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub user_agent: String,
    /// The request's body, if it is JSON.
    pub body: Option<Value>,
    /// The request's body as text.
    pub text: String,
    /// 0: the answer was not recorded.
    pub status: u16,
    pub answer: Value,
    pub warnings: Vec<String>,
    /// The order of lists and words in the answer does not count.
    pub unordered: bool,
    /// The answer was recorded in part only.
    pub partial: bool,
}

/// What stands for a time that was not the same in every run.
pub const TIME: &str = "2001-02-03T04:05:06Z";

/// The folder of an area's scenarios: in `$MONOKUBE_ORACLE`, or beside the repository. Says so where it is not at hand.
pub fn folder(area: &str) -> Option<PathBuf> {
    let home = std::env::var_os("MONOKUBE_ORACLE").map(PathBuf::from);
    let beside = |up: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(up).join("shared/oracle");
    let places = home.into_iter().chain([beside(".."), beside("../..")]);
    let folder = places.map(|place| place.join("scenarios").join(area)).find(|place| place.is_dir());
    if folder.is_none() {
        eprintln!("SKIPPED: no recorded scenarios of area {area}; set MONOKUBE_ORACLE to where they are");
    }
    folder
}

/// The scenarios of an area, `None` where they are not at hand.
pub fn scenarios(area: &str) -> Option<Vec<Scenario>> {
    let folder = folder(area)?;
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder").flatten() {
        let unzipped = Command::new("gzip").arg("-dc").arg(file.path()).output().expect("gzip").stdout;
        let text = String::from_utf8(unzipped)
            .expect("UTF-8")
            .replace("{ns}", "orc-ns")
            .replace("<ns>", "orc-ns")
            .replace("<name>", "name");
        // Symbols as words that JSON does not escape: `<uid:1.1>` is `uid-1.1`.
        let text = ["uid", "rv", "ip"].iter().fold(text, |text, kind| spelled(&text, kind));
        found.extend(text.lines().map(scenario));
    }
    Some(found)
}

fn spelled(text: &str, kind: &str) -> String {
    let start = format!("<{kind}:");
    let mut parts = text.split(&start);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        out.push_str(&format!("{kind}-{}", part.replacen('>', "", 1)));
    }
    out
}

fn scenario(line: &str) -> Scenario {
    let scenario: Value = serde_json::from_str(line).expect("JSON");
    let mut saved: Vec<(String, String)> = Vec::new();
    let steps = scenario["steps"].as_array().into_iter().flatten().map(|step| {
        let mut text = step.to_string();
        for (name, value) in &saved {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        let step: Value = serde_json::from_str(&text).expect("JSON");
        for (name, pointer) in step["save"].as_object().into_iter().flatten() {
            let value = pointer.as_str().and_then(|pointer| step["expect"]["body"].pointer(pointer));
            saved.push((name.to_string(), value.and_then(Value::as_str).unwrap_or("").to_owned()));
        }
        read(&step)
    });
    let steps = steps.collect();
    Scenario { name: scenario["name"].as_str().unwrap_or("").to_owned(), steps }
}

fn read(step: &Value) -> Step {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (path, query) = match step["path"].as_str().unwrap_or("").split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (text(&step["path"]), String::new()),
    };
    let mut pairs = BTreeMap::new();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        pairs.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    let body = match &step["body"] {
        Value::Null => serde_json::from_str(step["text"].as_str().unwrap_or("")).ok(),
        body => Some(body.clone()),
    };
    Step {
        method: text(&step["do"]),
        path,
        query: pairs,
        content_type: text(&step["headers"]["Content-Type"]),
        user_agent: text(&step["headers"]["User-Agent"]),
        text: match &step["body"] {
            Value::Null => text(&step["text"]),
            body => body.to_string(),
        },
        body,
        status: step["expect"]["status"].as_u64().unwrap_or(0) as u16,
        answer: symbols(step["expect"]["body"].clone()),
        warnings: step["expect"]["warnings"].as_array().into_iter().flatten().map(text).collect(),
        unordered: step["unordered"].as_bool().unwrap_or(false),
        partial: ["only", "drop"].iter().any(|key| step.get(key).is_some()),
    }
}

/// The answer with values of the right type in the places of symbols.
fn symbols(value: Value) -> Value {
    match value {
        Value::String(text) => match text.as_str() {
            "<time>" => TIME.into(),
            "<time.micro>" => "2001-02-03T04:05:06.000000Z".into(),
            text if text.starts_with("<port:") => 30_000.into(),
            // Of an object that another points at: the one that requests name.
            "<rv>" => "7".into(),
            _ => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(symbols).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, symbols(value))).collect(),
        other => other,
    }
}

/// Without null and empty parts: what is empty and what is not there differ in no recorded way here.
pub fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.into_iter().map(|(key, value)| (key, without_empty(value)));
            let full = |value: &Value| {
                !(value.is_null()
                    || value.as_object().is_some_and(Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty))
            };
            Value::Object(entries.filter(|(_, value)| full(value)).collect())
        }
        Value::Array(items) => items.into_iter().map(without_empty).collect(),
        other => other,
    }
}

/// Whether `part` is in `whole`, which may have more, in its lists too: what the server filled in.
pub fn within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter().all(|(name, value)| b.get(name).is_some_and(|other| within(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            let mut rest = b.iter();
            a.iter().all(|item| rest.any(|other| within(item, other)))
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// The answer with symbols where a message shows what differs from run to run.
pub fn symbolic(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let text = text.replace(TIME, "<time>");
            let text = replaced(&text, "resourceVersion\\\":\\\"", "\\\"", "resourceVersion\\\":\\\"<rv>\\\"");
            replaced(&text, "managedFields\\\":[", "]", "managedFields\\\":<managedFields>").into()
        }
        Value::Array(items) => items.into_iter().map(symbolic).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, symbolic(value))).collect(),
        other => other,
    }
}

/// Each part of the text from `start` to `end`, replaced.
fn replaced(text: &str, start: &str, end: &str, by: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(start) {
        let Some((_, after)) = after.split_once(end) else { break };
        out.push_str(before);
        out.push_str(by);
        rest = after;
    }
    out + rest
}

/// Two texts around the first letter in which they differ.
pub fn around(ours: &str, theirs: &str) -> String {
    let same = ours.chars().zip(theirs.chars()).take_while(|(a, b)| a == b).count();
    let part = |text: &str| text.chars().skip(same.saturating_sub(80)).take(300).collect::<String>();
    format!("\n    ours   {}\n    stock  {}", part(ours), part(theirs))
}

/// The words of an answer, sorted.
pub fn words(value: &Value) -> Vec<String> {
    let text = value.to_string().replace("\\n", " ");
    let words = text.split(|c: char| c.is_whitespace() || "[]{}:(),\"\\".contains(c));
    let mut words: Vec<_> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words
}

/// The structure of a recorded schema.
pub fn structure(schema: &Value) -> Structure {
    Structure::read(schema)
}

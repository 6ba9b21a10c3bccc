//! Tables and metadata of every resource, against the recorded ones.

use monokube::codec::answer::list::ListMeta;
use monokube::codec::answer::subject::{Include, Style, Subject};
use monokube::codec::negotiate::Media;
use monokube::codec::negotiate::accept::{MetaVersion, Representation, Shown as View};
use monokube::codec::table::custom::Printer;
use monokube::model::names::{GroupResource, GroupVersionKind};
use monokube::model::value::{Value, json};
use monokube::schema::catalog::Catalog;
use monokube::schema::resource::{Resource, Shape, Verbs};
use monokube::schema::structure::Structure;

use super::{NOW, Shown, Target, area, now, raw};

/// Compares whole tables and lists of metadata; tells what differs.
#[derive(Default)]
struct Verdict {
    same: usize,
    skipped: usize,
    wrong: Vec<String>,
}

impl Verdict {
    fn compare(&mut self, what: &str, ours: &Value, recorded: &Value) {
        if ours == recorded {
            self.same += 1;
        } else {
            self.wrong.push(format!("{what} {}", difference("", ours, recorded)));
        }
    }

    fn end(self, least: usize) {
        eprintln!("{} the same, {} not comparable, {} different", self.same, self.skipped, self.wrong.len());
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        assert!(self.same >= least, "only {} compared", self.same);
    }
}

/// Where two values differ first.
fn difference(path: &str, ours: &Value, recorded: &Value) -> String {
    let within = |part: &dyn std::fmt::Display, a: &Value, b: &Value| difference(&format!("{path}/{part}"), a, b);
    match (ours, recorded) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let differs = a.iter().find(|(key, value)| b[*key] != **value);
            differs.map_or(String::new(), |(key, value)| within(key, value, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let differs = (0..a.len()).find(|at| a[*at] != b[*at]);
            differs.map_or(String::new(), |at| within(&at, &a[at], &b[at]))
        }
        _ => format!("{path}: {ours} instead of {recorded}"),
    }
}

fn query<'a>(path: &'a str, name: &str) -> &'a str {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

fn style(view: View, path: &str) -> Style {
    let include = Include::parse(query(path, "includeObject")).unwrap_or_default();
    Style { representation: Representation { media: Media::Json, pretty: false, view }, include, now: now() }
}

/// Cells of ages have another word in the recording.
fn ageless(mut table: Value) -> Value {
    let age = |text: &str| {
        let text = text.split(" (x").next().unwrap_or("").trim_end_matches(" ago");
        !text.is_empty()
            && text.split_inclusive(|c: char| c.is_alphabetic()).all(|part| {
                let (digits, unit) = part.split_at(part.len() - 1);
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && "smhdy".contains(unit)
            })
    };
    let columns = table["columnDefinitions"].as_array().cloned().unwrap_or_default();
    let is_age = |column: &Value| {
        column["type"] == "date"
            || ["Age", "Last Seen", "First Seen", "Duration"].iter().any(|name| column["name"] == *name)
    };
    for row in table["rows"].as_array_mut().into_iter().flatten() {
        for (cell, column) in row["cells"].as_array_mut().into_iter().flatten().zip(&columns) {
            if is_age(column) && cell.as_str().is_some_and(age) {
                *cell = "<age>".into();
            }
        }
    }
    table
}

/// Without the order of managers and what a list alone has.
fn comparable(mut value: Value) -> Value {
    if let Some(meta) = value["metadata"].as_object_mut() {
        for field in ["resourceVersion", "continue", "remainingItemCount"] {
            meta.remove(field);
        }
    }
    sort_managers(&mut value);
    ageless(value)
}

fn sort_managers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(sort_managers),
        Value::Object(map) => {
            map.values_mut().for_each(sort_managers);
            if let Some(Value::Array(managers)) = map.get_mut("managedFields") {
                managers.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}

/// The objects that an answer shows, in its order; `None` when one was not seen in that version.
fn objects(target: &Target, shown: &Shown, body: &Value) -> Option<Vec<Vec<u8>>> {
    let object = |(name, version): (String, Option<String>)| {
        Some(raw(shown.get(target, &name, version.as_deref())?, &target.resource))
    };
    shows(body).into_iter().map(object).collect()
}

/// (name, version where it shows)
fn shows(body: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    let whole = |object: &Value| (text(&object["metadata"]["name"]), version(object));
    if let Some(rows) = body["rows"].as_array() {
        let column = |c: &Value| c["format"] == "name" && c["name"] == "Name";
        let at = body["columnDefinitions"].as_array().and_then(|all| all.iter().position(column)).unwrap_or(0);
        let name = |row: &Value| text(&row["cells"][at]).trim_end_matches(" (default)").to_owned();
        return rows.iter().map(|row| (name(row), version(&row["object"]))).collect();
    }
    match body["items"].as_array() {
        Some(items) => items.iter().map(whole).collect(),
        None => vec![whole(body)],
    }
}

fn view(body: &Value) -> Option<View> {
    let version = match body["apiVersion"].as_str()? {
        "meta.k8s.io/v1" => MetaVersion::V1,
        "meta.k8s.io/v1beta1" => MetaVersion::V1beta1,
        _ => return None,
    };
    match body["kind"].as_str()? {
        "Table" => Some(View::Table(version)),
        "PartialObjectMetadata" => Some(View::Metadata(version)),
        "PartialObjectMetadataList" => Some(View::MetadataList(version)),
        _ => None,
    }
}

fn check(verdict: &mut Verdict, what: &str, target: &Target, shown: &Shown, path: &str, body: &Value) {
    let Some(view) = view(body) else { return };
    let message = target.resource.shape.message().expect("a built-in type");
    let rows = matches!(view, View::Table(_));
    let items = objects(target, shown, body);
    let (Some(items), true) = (items, target.subresource != "scale" && (!rows || target.is_kept_as_served())) else {
        verdict.skipped += 1;
        return;
    };
    let (subject, style) = (Subject::builtin(&target.resource, message), style(view, path));
    let ours = if target.name.is_empty() && !body["metadata"]["name"].is_string() {
        let chunks: Vec<_> = subject.list(items, ListMeta::default(), style).map(|c| c.expect("a chunk")).collect();
        serde_json::from_slice(&chunks.concat()).expect("JSON")
    } else {
        serde_json::from_slice(&subject.object(&items[0], style).expect("an answer")).expect("JSON")
    };
    verdict.compare(what, &comparable(ours), &comparable(body.clone()));
}

fn replay(area_name: &str, verdict: &mut Verdict) -> bool {
    let Some(scenarios) = area(area_name) else { return false };
    let catalog = Catalog::builtin();
    for scenario in scenarios {
        let answers: Vec<(usize, &str, Target, &Value)> = scenario
            .steps
            .iter()
            .enumerate()
            .filter_map(|(at, step)| {
                let path = step["path"].as_str().unwrap_or("");
                Some((at, path, Target::of(&catalog, path)?, &step["expect"]["body"]))
            })
            .collect();
        let mut shown = Shown::default();
        answers.iter().for_each(|(_, _, target, body)| shown.learn(target, body));
        for (at, path, target, body) in &answers {
            check(verdict, &format!("{}/{at} {path}", scenario.name), target, &shown, path, body);
        }
    }
    true
}

#[test]
fn tables_are_stocks() {
    let mut verdict = Verdict::default();
    if replay("table", &mut verdict) {
        verdict.end(150);
    }
}

#[test]
fn metadata_is_stocks() {
    let mut verdict = Verdict::default();
    if replay("metadata-only", &mut verdict) {
        verdict.end(70);
    }
}

/// A custom resource as its definition in a request body says.
fn custom(definition: &Value) -> Subject {
    let version = &definition["spec"]["versions"][0];
    let text =
        |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or("").replace("{ns}", "<ns>");
    let kind = text("/spec/names/kind");
    let resource = Resource {
        kind: GroupVersionKind::new(&text("/spec/group"), version["name"].as_str().unwrap_or(""), &kind),
        name: GroupResource::new(&text("/spec/group"), &text("/spec/names/plural")),
        singular: Default::default(),
        list_kind: format!("{kind}List").into(),
        namespaced: true,
        verbs: Verbs::ALL,
        short_names: Vec::new(),
        categories: Vec::new(),
        subresources: Vec::new(),
        shape: Shape::Custom(Structure::default().ready()),
        storage: None,
        fields: Vec::new(),
        unknown_field: Default::default(),
        definition: None,
    };
    let columns = version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default();
    Subject::custom(&resource, Printer::new(&columns).into())
}

#[test]
fn columns_of_custom_resources_are_stocks() {
    let Some(scenarios) = area("crd") else { return };
    let scenario = scenarios.into_iter().find(|s| s.name == "printer-columns").expect("the scenario");
    let subject = custom(&scenario.steps[0]["body"]);
    let mut objects: Vec<Value> = Vec::new();
    let mut verdict = Verdict::default();
    for step in &scenario.steps {
        if step["do"] == "POST" && step["body"]["kind"] == "Thing" {
            let mut object = step["body"].clone();
            object["metadata"]["creationTimestamp"] = NOW.into();
            objects.push(object);
        }
        let (path, body) = (step["path"].as_str().unwrap_or(""), &step["expect"]["body"]);
        let Some(view) = view(body) else { continue };
        let named = |name: &String| objects.iter().find(|o| o["metadata"]["name"] == name.as_str()).cloned();
        let items: Vec<Vec<u8>> =
            shows(body).iter().map(|(name, _)| named(name).expect("a thing").to_string().into_bytes()).collect();
        let chunks: Vec<_> =
            subject.clone().list(items, ListMeta::default(), style(view, path)).map(|c| c.expect("a chunk")).collect();
        let mut ours: Value = serde_json::from_slice(&chunks.concat()).expect("JSON");
        let mut recorded = body.clone();
        // Only the cells: what the server added to the objects is not known here.
        for table in [&mut ours, &mut recorded] {
            table["rows"].as_array_mut().into_iter().flatten().for_each(|row| row["object"] = json!(null));
        }
        verdict.compare(path, &comparable(ours), &comparable(recorded));
    }
    verdict.end(3);
}

//! Field ownership, apply and patches against recorded answers of a stock server, without a server: the object before a
//! step is the one that the recording showed last, the object after it is computed here and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use monokube::codec::json::{decode, write};
use monokube::codec::protobuf::encode;
use monokube::fields::patch::{self, Validation};
use monokube::fields::set::Set;
use monokube::fields::update::{Context, Converted};
use monokube::fields::written::Fresh;
use monokube::fields::{apply, managed, resets, scale, update};
use monokube::model::names::{GroupResource, GroupVersionKind};
use monokube::model::object;
use monokube::model::status::Status;
use monokube::model::time::Time;
use monokube::model::value::{Value, json};
use monokube::schema::catalog::Catalog;
use monokube::schema::resource::{Resource, Shape, Verbs};

use super::steps::{Scenario, Step, TIME, around, scenarios, structure, symbolic, within, without_empty, words};

/// The objects that a scenario has shown, by path.
#[derive(Default)]
struct World {
    objects: BTreeMap<String, Value>,
    /// Lists of managers of objects whose scale was written since they were shown.
    scaled: BTreeMap<String, Option<Value>>,
    custom: Vec<Arc<Resource>>,
    /// Objects that an answer which was not recorded may have changed.
    unknown: BTreeSet<String>,
}

const TEMPLATE: &str = "deprecated.daemonset.template.generation";

/// What was compared, and what differed.
#[derive(Default)]
struct Tally {
    managers: usize,
    contents: usize,
    refusals: usize,
    wrong: Vec<String>,
}

/// Where a request goes.
struct Target {
    resource: Arc<Resource>,
    /// The object's path, without the subresource.
    path: String,
    subresource: String,
    named: bool,
}

fn run(area: &str, least: [usize; 3]) {
    let Some(all) = scenarios(area) else { return };
    let catalog = Catalog::builtin();
    let mut tally = Tally::default();
    for scenario in &all {
        replay(scenario, &catalog, &mut tally);
    }
    let found = [tally.managers, tally.contents, tally.refusals];
    eprintln!("{area}: {} lists of managers, {} contents, {} refusals compared", found[0], found[1], found[2]);
    assert!(
        tally.wrong.is_empty(),
        "{} differ:\n{}",
        tally.wrong.len(),
        tally.wrong[..tally.wrong.len().min(12)].join("\n")
    );
    assert!(found.iter().zip(least).all(|(found, least)| *found >= least), "too little was compared: {found:?}");
}

#[test]
fn apply_answers_as_recorded() {
    run("apply", [220, 210, 90]);
}

#[test]
fn patches_answer_as_recorded() {
    run("patch", [390, 330, 110]);
}

#[test]
fn status_writes_answer_as_recorded() {
    run("status", [125, 75, 25]);
}

#[test]
fn scales_answer_as_recorded() {
    run("scale", [8, 4, 4]);
}

#[test]
fn writes_answer_as_recorded() {
    run("crud", [225, 0, 0]);
}

#[test]
fn strict_patches_answer_as_recorded() {
    run("fieldvalidation", [65, 15, 3]);
}

#[test]
fn other_writes_answer_as_recorded() {
    for (area, least) in [("admission", 30), ("delete", 40), ("list", 60), ("negotiation", 20), ("table", 80)] {
        run(area, [least, 0, 0]);
    }
}

fn replay(scenario: &Scenario, catalog: &Catalog, tally: &mut Tally) {
    let mut world = World::default();
    for (index, step) in scenario.steps.iter().enumerate() {
        let before = tally.wrong.len();
        world.learn_type(step);
        if let Some(target) = world.target(catalog, step) {
            world.step(step, &target, tally);
        }
        for wrong in &mut tally.wrong[before..] {
            *wrong = format!("{} step {} {} {}: {wrong}", scenario.name, index + 1, step.method, step.path);
        }
    }
}

impl World {
    fn learn_type(&mut self, step: &Step) {
        let Some(body) = step.body.as_ref().filter(|body| body["kind"] == "CustomResourceDefinition") else { return };
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let (group, names) = (text(&body["spec"]["group"]), &body["spec"]["names"]);
        for version in body["spec"]["versions"].as_array().into_iter().flatten() {
            let Some(schema) = version.pointer("/schema/openAPIV3Schema") else { continue };
            let kind = GroupVersionKind::new(&group, &text(&version["name"]), &text(&names["kind"]));
            let name = GroupResource::new(&group, &text(&names["plural"]));
            self.custom.push(Arc::new(resource(kind, name, Shape::Custom(structure(schema).ready()))));
        }
    }

    fn target(&self, catalog: &Catalog, step: &Step) -> Option<Target> {
        let mut parts: Vec<&str> = step.path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version) = match parts.first()? {
            &"api" => ("", *parts.get(1)?),
            _ => (*parts.get(1)?, *parts.get(2)?),
        };
        let start = if group.is_empty() { 2 } else { 3 };
        let root = parts[..start].join("/");
        let mut rest = parts.split_off(start);
        let mut namespace = "";
        if rest.first() == Some(&"namespaces") && rest.len() > 2 && !["status", "finalize"].contains(&rest[2]) {
            namespace = rest[1];
            rest.drain(..2);
        }
        let plural = *rest.first()?;
        let mut custom = self.custom.iter().rev();
        let custom = custom.find(|r| r.name.group == group && r.kind.version == version && r.name.resource == plural);
        let resource = custom.cloned().or_else(|| catalog.find(group, version, plural).cloned())?;
        let name = match rest.get(1) {
            Some(name) => (*name).to_owned(),
            None => step.body.as_ref()?.pointer("/metadata/name")?.as_str()?.to_owned(),
        };
        Some(Target {
            resource,
            path: format!("{root}/{namespace}/{plural}/{name}"),
            subresource: rest.get(2).map_or_else(String::new, |sub| (*sub).to_owned()),
            named: rest.len() > 1,
        })
    }

    fn step(&mut self, step: &Step, target: &Target, tally: &mut Tally) {
        let shown = step.answer.get("kind").and_then(Value::as_str) == Some(target.resource.kind.kind.as_str());
        let good = (200..300).contains(&step.status);
        match (step.method.as_str(), target.subresource.as_str()) {
            ("GET", "") if good && shown => self.check_scaled(step, target, tally),
            ("POST", "") if !target.named && good && shown && !step.partial => create(step, target, tally),
            ("PUT", "" | "status") if good && shown => self.replace(step, target, tally),
            ("PATCH", "" | "status") if step.status != 0 && !step.partial => self.patch(step, target, tally),
            ("PUT" | "PATCH", "scale") if step.status != 0 => self.scale(step, target, tally),
            _ => {}
        }
        if step.query.contains_key("dryRun") || step.method == "GET" && step.status == 0 {
            return;
        }
        if good && shown && !step.partial {
            self.objects.insert(target.path.clone(), step.answer.clone());
            self.scaled.remove(&target.path);
            self.unknown.remove(&target.path);
        } else if (good || step.status == 0) && step.method != "GET" && target.subresource != "scale" {
            self.objects.remove(&target.path);
            if step.method != "DELETE" && step.status == 0 {
                self.unknown.insert(target.path.clone());
            }
        }
    }

    fn replace(&mut self, step: &Step, target: &Target, tally: &mut Tally) {
        let (Some(live), Some(body)) = (self.objects.get(&target.path), &step.body) else { return };
        // A DaemonSet's conversion sets an annotation that its strategy changes again.
        if live["apiVersion"] != step.answer["apiVersion"] || target.resource.kind.kind == "DaemonSet" {
            return;
        }
        let (Ok(live), Ok(new)) = (target.decode(live), target.decode(body)) else { return };
        let expected = target.decode(&step.answer).expect("an object");
        // What the server fills in is the writer's too: so the object that came of it is taken, with the client's list.
        let mut new = if bare(&new) == bare(&expected) { new } else { with_list_of(expected, &new) };
        update::update(Some(&live), &mut new, &target.context(step).cx());
        compare_managers(&new, &step.answer, tally);
    }

    fn patch(&mut self, step: &Step, target: &Target, tally: &mut Tally) {
        let strategic = step.content_type == "application/strategic-merge-patch+json";
        if self.unknown.contains(&target.path) || (target.is_custom() && strategic) {
            return;
        }
        let live = self.objects.get(&target.path).cloned();
        let context = target.context(step);
        let outcome = match (step.content_type.as_str(), live) {
            ("application/apply-patch+yaml", live) => {
                let Some(body) = step.body.as_ref().filter(|body| body.is_object()) else { return };
                if live.as_ref().is_some_and(|live| live["apiVersion"] != body["apiVersion"] && step.status < 300) {
                    return;
                }
                let live = live.map(|live| target.decode(&live).expect("an object"));
                let force = step.query.get("force").is_some_and(|force| force == "true");
                apply::apply(live.as_ref(), body, &context.cx(), force)
            }
            (kind, Some(live)) if live["apiVersion"] == target.api_version() => {
                let live = target.decode(&live).expect("an object");
                // Pruning is not this layer's.
                if target.is_custom() && (step.status == 422 || step.text.contains("bb")) {
                    return;
                }
                let patched = patched(kind, &live, step, target);
                patched.map(|(mut new, warnings)| {
                    if step.status == 200 && !target.is_custom() {
                        compare_warnings(&warnings, step, tally);
                    }
                    let expected = target.decode(&step.answer);
                    if let Some(expected) = expected.ok().filter(|expected| bare(&new) != bare(expected)) {
                        compare_contents(&new, &expected, step, target, tally);
                        new = with_list_of(expected, &new);
                    }
                    update::update(Some(&live), &mut new, &context.cx());
                    new
                })
            }
            _ => return,
        };
        self.compare(outcome, step, target, tally);
    }

    fn compare(&self, outcome: Result<Value, Status>, step: &Step, target: &Target, tally: &mut Tally) {
        match outcome {
            Ok(new) if step.status < 300 => {
                tally.contents += 1;
                let expected = target.decode(&step.answer).expect("an object");
                compare_contents(&new, &expected, step, target, tally);
                compare_managers(&new, &step.answer, tally);
            }
            Ok(_) if is_ours(&step.answer) => tally.wrong.push(format!("not refused: {}", step.answer["message"])),
            Err(status) if step.status < 300 => tally.wrong.push(format!("refused: {status}")),
            Err(status) => {
                tally.refusals += 1;
                let (ours, theirs) = (symbolic(status.to_value()), symbolic(step.answer.clone()));
                if ours != theirs && !(step.unordered && words(&ours) == words(&theirs)) {
                    tally.wrong.push(format!("refusal{}", around(&ours.to_string(), &theirs.to_string())));
                }
            }
            Ok(_) => {}
        }
    }

    fn scale(&mut self, step: &Step, target: &Target, tally: &mut Tally) {
        let Some(parent) = self.objects.get(&target.path).cloned() else { return };
        let own = target.api_version();
        let replicas: &scale::Replicas<'_> = &[(&own, Some(&["spec", "replicas"]))];
        let list = self.scaled.get(&target.path).cloned().unwrap_or_else(|| managed::list(&parent).cloned());
        let kind = GroupVersionKind::new("autoscaling", "v1", "Scale");
        let scale = monokube::schema::table::message("k8s.io.api.autoscaling.v1.Scale").expect("Scale");
        let target = Target {
            resource: Arc::new(resource(kind, GroupResource::new("autoscaling", "scales"), Shape::Builtin(scale))),
            path: target.path.clone(),
            subresource: "scale".into(),
            named: true,
        };
        let mut live = self.objects.get(&format!("{}/scale", target.path)).cloned().unwrap_or_else(|| {
            json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {
                "name": parent["metadata"]["name"], "namespace": parent["metadata"]["namespace"],
                "uid": parent["metadata"]["uid"], "resourceVersion": parent["metadata"]["resourceVersion"],
                "creationTimestamp": TIME,
            }, "spec": {"replicas": parent["spec"]["replicas"]}, "status": {"replicas": 0, "selector": "app=a"}})
        });
        let shown = scale::to_scale(list.as_ref(), replicas).expect("a readable list");
        live["metadata"]["managedFields"] = shown.unwrap_or(Value::Null);
        let inner = World { objects: [(target.path.clone(), live.clone())].into(), ..World::default() };
        let context = target.context(step);
        let live = target.decode(&live).expect("a scale");
        let new = match (step.method.as_str(), &step.body) {
            ("PUT", Some(body)) if step.status == 200 => target.decode(body).map(|mut new| {
                update::update(Some(&live), &mut new, &context.cx());
                new
            }),
            ("PATCH", Some(body)) if step.content_type == "application/apply-patch+yaml" => {
                let force = step.query.get("force").is_some_and(|force| force == "true");
                let outcome = apply::apply(Some(&live), body, &context.cx(), force);
                inner.compare_scale(outcome, step, tally)
            }
            ("PATCH", _) => {
                let outcome = patched(&step.content_type, &live, step, &target).map(|(mut new, _)| {
                    update::update(Some(&live), &mut new, &context.cx());
                    new
                });
                inner.compare_scale(outcome, step, tally)
            }
            _ => return,
        };
        let Ok(new) = new else { return };
        if step.status == 200 && !step.query.contains_key("dryRun") {
            let entries = scale::to_parent(list.as_ref(), managed::list(&new), &own, replicas);
            self.scaled.insert(target.path.clone(), entries.expect("a readable list"));
            self.objects.insert(format!("{}/scale", target.path), step.answer.clone());
        }
    }

    fn compare_scale(&self, outcome: Result<Value, Status>, step: &Step, tally: &mut Tally) -> Result<Value, String> {
        match outcome {
            Ok(new) if step.status == 200 => {
                tally.contents += 1;
                if new["spec"].get("replicas") != step.answer["spec"].get("replicas") {
                    tally.wrong.push(format!("scale\n  {new}\n  {}", step.answer));
                }
                Ok(new)
            }
            Ok(_) => Err(String::new()),
            Err(status) => {
                tally.refusals += 1;
                let (ours, theirs) = (symbolic(status.to_value()), symbolic(step.answer.clone()));
                if ours != theirs {
                    tally.wrong.push(format!("refusal{}", around(&ours.to_string(), &theirs.to_string())));
                }
                Err(String::new())
            }
        }
    }

    /// The list of managers of an object whose scale was written since it was shown.
    fn check_scaled(&self, step: &Step, target: &Target, tally: &mut Tally) {
        if let Some(list) = self.scaled.get(&target.path) {
            let object = json!({"metadata": {"managedFields": list.clone().unwrap_or(Value::Null)}});
            compare_managers(&object, &step.answer, tally);
        }
    }
}

/// A resource of which nothing but its names and its type matters.
fn resource(kind: GroupVersionKind, name: GroupResource, shape: Shape) -> Resource {
    Resource {
        singular: name.resource.clone(),
        list_kind: kind.kind.clone(),
        kind,
        name,
        namespaced: true,
        verbs: Verbs::ALL,
        short_names: Vec::new(),
        categories: Vec::new(),
        subresources: Vec::new(),
        shape,
        storage: None,
        fields: Vec::new(),
        unknown_field: Default::default(),
        definition: None,
    }
}

/// A created object is owned at least as the client sent it, at most as the server answered.
fn create(step: &Step, target: &Target, tally: &mut Tally) {
    let Some(Ok(sent)) = step.body.as_ref().map(|body| target.decode(body)) else { return };
    let answered = target.decode(&step.answer).expect("an object");
    let owned = |mut new: Value| {
        managed::take(&mut new);
        update::update(None, &mut new, &target.context(step).cx());
        union_of(&new)
    };
    // What a Secret takes as text becomes data before anybody owns it.
    if managed::list(&sent).is_some() || sent.get("stringData").is_some() {
        return;
    }
    let (least, found) = (owned(sent), union_of(&step.answer));
    let most = owned(answered).union(&least);
    tally.managers += 1;
    if !least.difference(&found).is_empty() || !found.difference(&most).is_empty() {
        let (lacks, more) = (least.difference(&found).to_text(), found.difference(&most).to_text());
        tally.wrong.push(format!("created: stock lacks {lacks}, and has {more}"));
    }
}

fn union_of(object: &Value) -> Set {
    let entries = managed::list(object).and_then(Value::as_array).cloned().unwrap_or_default();
    let sets = entries.iter().map(|entry| Set::parse(&entry["fieldsV1"].to_json()).expect("FieldsV1"));
    sets.fold(Set::new(), |all, set| all.union(&set))
}

/// The patched object, decoded, with its warnings.
fn patched(kind: &str, live: &Value, step: &Step, target: &Target) -> Result<(Value, Vec<String>), Status> {
    let validation = match step.query.get("fieldValidation").map(String::as_str) {
        Some("Ignore") => Validation::Ignore,
        Some("Strict") => Validation::Strict,
        _ => Validation::Warn,
    };
    let text = target.text(live);
    let body = step.text.as_bytes();
    let patched = match kind {
        "application/json-patch+json" => patch::json::apply(&text, body, validation)?,
        "application/merge-patch+json" => patch::merge::apply(&text, body, validation)?,
        _ => {
            let message = target.resource.shape.message().expect("a built-in type");
            let decoded = patch::strategic::apply(live, body, message, validation)?;
            return Ok((decoded.value, decoded.notes));
        }
    };
    let shown = String::from_utf8_lossy(&patched.text).into_owned();
    let decoded = match &target.resource.shape {
        Shape::Builtin(message) => decode::decode(&patched.text, message),
        Shape::Custom(_) => {
            Ok(decode::Decoded { value: serde_json::from_slice(&patched.text).expect("JSON"), notes: Vec::new() })
        }
    };
    let settled = patch::settle(|| shown, patched.notes, decoded, validation)?;
    Ok((settled.value, settled.notes))
}

/// What a context borrows.
struct Owned<'t> {
    target: &'t Target,
    manager: String,
    reset: Set,
    fresh: Fresh,
}

impl Owned<'_> {
    fn cx(&self) -> Context<'_> {
        Context {
            shape: &self.target.resource.shape,
            kind: &self.target.resource.kind,
            manager: &self.manager,
            subresource: &self.target.subresource,
            now: Time::parse(TIME).expect("a time"),
            reset: &self.reset,
            convert: &|_, _, _| Ok::<Option<Converted>, String>(None),
            fresh: &self.fresh,
        }
    }
}

impl Target {
    fn api_version(&self) -> String {
        self.resource.kind.group_version().to_string()
    }

    fn is_custom(&self) -> bool {
        matches!(self.resource.shape, Shape::Custom(_))
    }

    fn context(&self, step: &Step) -> Owned<'_> {
        let named = step.query.get("fieldManager").map_or("", String::as_str);
        Owned {
            target: self,
            manager: managed::manager_or_agent(named, &step.user_agent),
            reset: resets::resets(&self.resource, &self.subresource),
            fresh: Fresh::default(),
        }
    }

    fn decode(&self, object: &Value) -> Result<Value, String> {
        match &self.resource.shape {
            Shape::Builtin(message) => {
                let mut value = decode::decode(object.to_string().as_bytes(), message)?.value;
                // The conversion of DaemonSets writes this.
                if self.resource.kind.kind == "DaemonSet" && object::annotation(&value, TEMPLATE).is_none() {
                    value["metadata"]["annotations"][TEMPLATE] = "0".into();
                }
                Ok(value)
            }
            Shape::Custom(_) => Ok(object.clone()),
        }
    }

    /// The object as clients see it.
    fn text(&self, object: &Value) -> Vec<u8> {
        let Shape::Builtin(message) = &self.resource.shape else { return object.to_string().into_bytes() };
        let bytes = encode::encode(object, message).unwrap_or_else(|why| panic!("{why:?}: {object}"));
        let mut out = Vec::new();
        write::object(&mut out, &bytes, message, &self.api_version(), &self.resource.kind.kind).expect("well-formed");
        out
    }
}

/// An object without what the server alone sets.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| name != "apiVersion" && name != "kind");
        fields.entry("metadata").or_insert_with(|| json!({}));
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        let own = ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "namespace"];
        meta.retain(|name, _| !own.contains(&name.as_str()));
    }
    without_empty(object)
}

/// `object` with the list of managers that another has.
fn with_list_of(mut object: Value, other: &Value) -> Value {
    managed::take(&mut object);
    if let Some(list) = managed::list(other) {
        object["metadata"]["managedFields"] = list.clone();
    }
    object
}

/// Ours must be in theirs, but for what the strategies of some kinds change: that is not this layer's.
fn compare_contents(ours: &Value, theirs: &Value, step: &Step, target: &Target, tally: &mut Tally) {
    let kinds = ["Service", "Secret", "CertificateSigningRequest"];
    if step.status >= 300 || !target.subresource.is_empty() || kinds.contains(&target.resource.kind.kind.as_str()) {
        return;
    }
    let (mut ours, theirs) = (bare(ours), bare(theirs));
    if let Some(fields) = ours.as_object_mut() {
        fields.remove("status");
    }
    if !within(&ours, &theirs) {
        tally.wrong.push(format!("content{}", around(&ours.to_string(), &theirs.to_string())));
    }
}

fn compare_managers(new: &Value, answer: &Value, tally: &mut Tally) {
    tally.managers += 1;
    let (ours, theirs) = (managers(new), managers(answer));
    if ours != theirs {
        tally.wrong.push(format!("managers{}", around(&ours.join("\n"), &theirs.join("\n"))));
    }
}

/// The managers as texts, sorted; of their time only whether there is one.
fn managers(object: &Value) -> Vec<String> {
    let list = managed::list(object).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut texts: Vec<_> = list
        .into_iter()
        .map(|mut entry| {
            let text = entry["fieldsV1"].to_json();
            entry["fieldsV1"] = Set::parse(&text).expect("FieldsV1").to_text().parse().expect("JSON");
            entry.to_string()
        })
        .collect();
    texts.sort();
    texts
}

fn compare_warnings(ours: &[String], step: &Step, tally: &mut Tally) {
    let texts: Vec<_> = step.warnings.iter().map(|warning| warning.replace("\\\"", "\"")).collect();
    let known = |text: &&String| text.contains("unknown field") || text.contains("duplicate field");
    let theirs: Vec<_> = texts.iter().filter(known).map(|text| text[7..text.len() - 1].to_owned()).collect();
    if ours != theirs {
        tally.wrong.push(format!("warnings\n  {ours:?}\n  {theirs:?}"));
    }
}

/// Whether the refusal is one that this layer gives.
fn is_ours(answer: &Value) -> bool {
    let message = answer["message"].as_str().unwrap_or("");
    let ours = [
        "Apply failed with",
        "failed to create typed",
        "managedFields must be nil",
        "invalid object type",
        "patch: Invalid value",
    ];
    // Which kinds there are, the decoder of bodies knows.
    let kinds = ["is registered", "illegal base64", "must be specified"];
    ours.iter().any(|text| message.contains(text)) && !kinds.iter().any(|text| message.contains(text))
}

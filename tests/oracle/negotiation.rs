//! Accept and Content-Type, against recorded answers.

use monokube::codec::answer::list::ListMeta;
use monokube::codec::answer::subject::{Include, Style, Subject};
use monokube::codec::negotiate::accept::{Asked, Offer, Representation, Shown as View};
use monokube::codec::negotiate::{Media, body};
use monokube::codec::yaml::emit;
use monokube::model::status::Status;
use monokube::model::value::Value;
use monokube::schema::catalog::Catalog;

use super::{Shown, Target, area, now, raw};

/// What the server would answer, as far as it shows from the headers: the status and what it says.
fn refused(step: &Value, target: &Target) -> Option<Status> {
    let header = |name: &str| step["headers"][name].as_str().unwrap_or("");
    let path = step["path"].as_str().unwrap_or("");
    let list = target.name.is_empty() && step["do"] == "GET";
    let offer = Offer { table: true, watch: list, ..Offer::default() };
    let chosen = match offer.choose(Asked { accept: header("Accept"), ..Asked::default() }) {
        Ok(chosen) => chosen,
        Err(status) => return Some(status),
    };
    if path.contains("watch=1") {
        return offer.watch(chosen).err();
    }
    if ["POST", "PUT"].iter().any(|verb| step["do"] == *verb) {
        return body::of_body(header("Content-Type"), false).err();
    }
    let kept = target.resource.storage.as_ref().map(|storage| &storage.kind);
    chosen.check(list, kept).err()
}

#[test]
fn refusals_are_stocks() {
    let Some(scenarios) = area("negotiation") else { return };
    let catalog = Catalog::builtin();
    let mut compared = 0;
    for scenario in scenarios.iter().filter(|s| s.name.starts_with("accept") || s.name == "content-type") {
        for (at, step) in scenario.steps.iter().enumerate() {
            let Some(target) = Target::of(&catalog, step["path"].as_str().unwrap_or("")) else { continue };
            let code = step["expect"]["status"].as_u64().unwrap_or(0);
            let ours = refused(step, &target);
            let what = format!("{}/{at} {}", scenario.name, step["headers"]);
            if code == 406 || code == 415 {
                assert_eq!(ours.map(|s| s.to_value()).as_ref(), Some(&step["expect"]["body"]), "{what}");
            } else {
                assert_eq!(ours, None, "{what}");
            }
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} compared");
}

#[test]
fn yaml_is_stocks() {
    let Some(scenarios) = area("negotiation") else { return };
    let catalog = Catalog::builtin();
    let mut compared = 0;
    for scenario in scenarios {
        let mut shown = Shown::default();
        for step in &scenario.steps {
            let (path, recorded) = (step["path"].as_str().unwrap_or(""), &step["expect"]["body"]);
            let Some(target) = Target::of(&catalog, path) else { continue };
            shown.learn(&target, recorded);
            let Some(text) = recorded.as_str().filter(|text| text.starts_with("apiVersion: v1\n")) else { continue };
            let name = if target.name.is_empty() { "c" } else { &target.name };
            let (Some(object), true) = (shown.get(&target, name, None), !text.contains("kind: Status")) else {
                continue;
            };
            // A version is digits, which YAML quotes; its symbol would not be.
            let object: Value = serde_json::from_str(&object.to_string().replace("<rv:1.1>", "1")).expect("JSON");
            let representation = Representation { media: Media::Yaml, pretty: false, view: View::Whole };
            let style = Style { representation, include: Include::None, now: now() };
            let message = target.resource.shape.message().expect("a built-in type");
            let (subject, item) = (Subject::builtin(&target.resource, message), raw(&object, &target.resource));
            let ours = if target.name.is_empty() {
                let meta = ListMeta { resource_version: "1".into(), ..ListMeta::default() };
                subject.list(vec![item], meta, style).map(|c| c.expect("a chunk")).collect::<Vec<_>>().concat()
            } else {
                subject.object(&item, style).expect("an answer").to_vec()
            };
            let ours =
                String::from_utf8(ours).expect("UTF-8").replace("resourceVersion: \"1\"", "resourceVersion: \"<rv>\"");
            assert_eq!(ours, text, "{path}");
            compared += 1;
        }
    }
    assert!(compared >= 6, "only {compared} compared");
    assert_eq!(emit::text(&Value::Null), "null\n");
}

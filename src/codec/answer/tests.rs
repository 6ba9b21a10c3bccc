//! Every form of an answer, as clients of each form read it.

use bytes::Bytes;

use super::list::{CHUNK, ListMeta};
use super::object::status;
use super::subject::{Include, Style, Subject};
use super::watch::{self, Event, bookmark};
use crate::codec::cbor;
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{MetaVersion, Representation, Shown};
use crate::codec::protobuf::encode::encode;
use crate::codec::protobuf::envelope::Envelope;
use crate::codec::protobuf::tree::to_value;
use crate::codec::table::custom::Printer;
use crate::codec::wire::{Reader, Wire};
use crate::codec::yaml::read::read;
use crate::model::names::GroupResource;
use crate::model::status::Status;
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::schema::catalog::Catalog;
use crate::schema::resource::{Resource, Shape, Verbs};
use crate::schema::structure::Structure;
use crate::schema::table as t;

fn config_maps() -> Subject {
    let catalog = Catalog::builtin();
    let resource = catalog.find("", "v1", "configmaps").expect("configmaps");
    Subject::builtin(resource, &t::API_CORE_V1_CONFIGMAP)
}

fn things() -> Subject {
    let resource = Resource {
        kind: crate::model::names::GroupVersionKind::new("example.com", "v1", "Thing"),
        name: GroupResource::new("example.com", "things"),
        singular: "thing".into(),
        list_kind: "ThingList".into(),
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
    Subject::custom(&resource, Printer::new(&[]).into())
}

fn config_map(name: &str) -> Vec<u8> {
    let value = json!({
        "metadata": {"name": name, "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "data": {"k": "<v>"}
    });
    encode(&value, &t::API_CORE_V1_CONFIGMAP).expect("encodes")
}

fn thing(name: &str) -> Vec<u8> {
    format!(
        r#"{{"apiVersion":"example.com/v1","kind":"Thing","metadata":{{"creationTimestamp":"2026-01-01T00:00:00Z","name":"{name}","resourceVersion":"7"}},"spec":{{"a":1}}}}"#
    )
    .into_bytes()
}

fn style(media: Media, view: Shown) -> Style {
    let representation = Representation { media, pretty: false, view };
    Style { representation, include: Include::Metadata, now: Time::parse("2026-01-01T01:00:00Z").expect("a time") }
}

fn whole(media: Media) -> Style {
    style(media, Shown::Whole)
}

const TABLE: Shown = Shown::Table(MetaVersion::V1);
const METADATA: Shown = Shown::Metadata(MetaVersion::V1);
const METADATA_LIST: Shown = Shown::MetadataList(MetaVersion::V1);

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.into()).expect("UTF-8")
}

fn listed(subject: Subject, items: Vec<Vec<u8>>, style: Style) -> Bytes {
    let meta = ListMeta { resource_version: "9".into(), continue_token: "next".into(), remaining: Some(3) };
    let chunks: Result<Vec<Bytes>, _> = subject.list(items, meta, style).collect();
    chunks.expect("a list").concat().into()
}

fn json_of(bytes: Bytes) -> Value {
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn one_object_in_each_form() {
    let subject = config_maps();
    let object = |style| subject.object(&config_map("a"), style).expect("an answer");
    assert_eq!(
        text(object(whole(Media::Json))),
        "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"7\",\
         \"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"data\":{\"k\":\"\\u003cv\\u003e\"}}\n"
    );
    assert_eq!(
        text(object(whole(Media::Yaml))),
        "apiVersion: v1\ndata:\n  k: <v>\nkind: ConfigMap\nmetadata:\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n  \
         name: a\n  resourceVersion: \"7\"\n"
    );
    let protobuf = object(whole(Media::Protobuf));
    let envelope = Envelope::parse(&protobuf).expect("an envelope");
    assert_eq!((envelope.api_version, envelope.kind, envelope.raw), ("v1", "ConfigMap", &config_map("a")[..]));
    assert_eq!(cbor::decode(&object(whole(Media::Cbor))), Ok(json_of(object(whole(Media::Json)))));
    let mut pretty = whole(Media::Json);
    pretty.representation.pretty = true;
    assert!(text(object(pretty)).starts_with("{\n  \"kind\": \"ConfigMap\",\n"));
    let thing_text = thing("t");
    let custom = things().object(&thing_text, whole(Media::Json)).expect("an answer");
    assert_eq!(text(custom), format!("{}\n", String::from_utf8_lossy(&thing_text)));
}

#[test]
fn metadata_alone() {
    let expected = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "a", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    });
    for (subject, item) in [(config_maps(), config_map("a")), (things(), thing("a"))] {
        let json = subject.object(&item, style(Media::Json, METADATA)).expect("an answer");
        assert_eq!(json_of(json), expected);
        let protobuf = subject.object(&item, style(Media::Protobuf, METADATA)).expect("an answer");
        let envelope = Envelope::parse(&protobuf).expect("an envelope");
        assert_eq!((envelope.api_version, envelope.kind), ("meta.k8s.io/v1", "PartialObjectMetadata"));
        let value = to_value(envelope.raw, &t::APIMACHINERY_PKG_APIS_META_V1_PARTIALOBJECTMETADATA).expect("decodes");
        assert_eq!(value["metadata"], expected["metadata"]);
    }
}

#[test]
fn lists_in_each_form() {
    let items = || vec![config_map("a"), config_map("b")];
    let json = listed(config_maps(), items(), whole(Media::Json));
    assert!(text(json.clone()).starts_with(
        "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"next\",\
         \"remainingItemCount\":3},\"items\":[{\"metadata\":{\"name\":\"a\","
    ));
    assert!(text(json.clone()).ends_with("}]}\n"));
    let value = json_of(json);
    assert_eq!(value["items"][1]["metadata"]["name"], "b");
    let yaml = listed(config_maps(), items(), whole(Media::Yaml));
    assert_eq!(read(&yaml).map(|read| read.value), Ok(value.clone()));
    assert!(text(yaml).starts_with("apiVersion: v1\nitems:\n- data:\n    k: <v>\n  metadata:\n"));
    assert_eq!(cbor::decode(&listed(config_maps(), items(), whole(Media::Cbor))), Ok(value));
    let protobuf = listed(config_maps(), items(), whole(Media::Protobuf));
    let envelope = Envelope::parse(&protobuf).expect("an envelope");
    assert_eq!(envelope.kind, "ConfigMapList");
    let list = to_value(envelope.raw, &t::API_CORE_V1_CONFIGMAPLIST).expect("decodes");
    assert_eq!(list["metadata"], json!({"resourceVersion": "9", "continue": "next", "remainingItemCount": 3}));
    assert_eq!(list["items"][1]["metadata"]["name"], "b");
}

#[test]
fn empty_lists() {
    for (subject, view, expected) in [
        (config_maps(), Shown::Whole, r#""items":[]}"#),
        (config_maps(), METADATA_LIST, r#""items":null}"#),
        (config_maps(), TABLE, r#""rows":[]}"#),
        (things(), TABLE, r#""rows":[]}"#),
    ] {
        let json = text(listed(subject.clone(), Vec::new(), style(Media::Json, view)));
        assert!(json.ends_with(&format!("{expected}\n")), "{json}");
        let yaml = listed(subject.clone(), Vec::new(), style(Media::Yaml, view));
        assert_eq!(read(&yaml).map(|read| read.value), Ok(serde_json::from_str(&json).expect("JSON")));
    }
    assert_eq!(
        text(listed(things(), Vec::new(), whole(Media::Json))),
        "{\"apiVersion\":\"example.com/v1\",\"items\":[],\"kind\":\"ThingList\",\"metadata\":{\"continue\":\"next\",\
         \"remainingItemCount\":3,\"resourceVersion\":\"9\"}}\n"
    );
}

#[test]
fn lists_of_metadata() {
    for (subject, item) in [(config_maps(), config_map("a")), (things(), thing("a"))] {
        let json = json_of(listed(subject.clone(), vec![item.clone()], style(Media::Json, METADATA_LIST)));
        assert_eq!(
            (&json["kind"], &json["items"][0]["kind"]),
            (&json!("PartialObjectMetadataList"), &json!("PartialObjectMetadata"))
        );
        assert_eq!(json["items"][0]["metadata"]["name"], "a");
        let protobuf = listed(subject.clone(), vec![item.clone()], style(Media::Protobuf, METADATA_LIST));
        let raw = Envelope::parse(&protobuf).expect("an envelope").raw.to_vec();
        let list = to_value(&raw, &t::APIMACHINERY_PKG_APIS_META_V1_PARTIALOBJECTMETADATALIST).expect("decodes");
        assert_eq!(
            (&list["items"][0]["metadata"]["name"], &list["metadata"]["continue"]),
            (&json!("a"), &json!("next"))
        );
        // In v1beta1 items come first.
        let beta = Shown::MetadataList(MetaVersion::V1beta1);
        let protobuf = listed(subject, vec![item], style(Media::Protobuf, beta));
        let raw = Envelope::parse(&protobuf).expect("an envelope").raw.to_vec();
        let mut reader = Reader::new(&raw);
        let numbers: Vec<u32> =
            std::iter::from_fn(|| reader.field().expect("a field")).map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2]);
    }
}

#[test]
fn tables() {
    let table = json_of(listed(config_maps(), vec![config_map("a")], style(Media::Json, TABLE)));
    assert_eq!((&table["kind"], &table["metadata"]["resourceVersion"]), (&json!("Table"), &json!("9")));
    assert_eq!(table["columnDefinitions"][1]["name"], "Data");
    assert_eq!(table["rows"][0]["cells"], json!(["a", 1, "60m"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let with = |include| {
        let style = Style { include, ..style(Media::Json, TABLE) };
        json_of(config_maps().object(&config_map("a"), style).expect("a table"))["rows"][0]["object"].clone()
    };
    assert_eq!(with(Include::None), Value::Null);
    assert_eq!(with(Include::Object)["data"], json!({"k": "<v>"}));
    let one = json_of(things().object(&thing("t"), style(Media::Json, TABLE)).expect("a table"));
    assert_eq!((&one["metadata"]["resourceVersion"], &one["rows"][0]["cells"]), (&json!("7"), &json!(["t", "60m"])));
    let error = Include::parse("Bogus").expect_err("refused");
    assert_eq!(
        error.message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"Bogus\": must be 'Metadata', 'Object', \
         'None', or empty"
    );
}

#[test]
fn flow_schemas_stand_in_the_order_they_are_tried() {
    let catalog = Catalog::builtin();
    let resource = catalog.find("flowcontrol.apiserver.k8s.io", "v1", "flowschemas").expect("flowschemas");
    let message = &t::API_FLOWCONTROL_V1_FLOWSCHEMA;
    let subject = Subject::builtin(resource, message);
    let schema = |name: &str, precedence: i64| {
        let value = json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}});
        encode(&value, message).expect("encodes")
    };
    let items = vec![schema("a", 9), schema("b", 1), schema("c", 9)];
    let names = |view, field: &str, at: usize| {
        let list = json_of(listed(subject.clone(), items.clone(), style(Media::Json, view)));
        let all = list[field].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|i| i.pointer(["/cells/0", "/metadata/name"][at]).cloned().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(TABLE, "rows", 0), ["b", "a", "c"]);
    assert_eq!(names(Shown::Whole, "items", 1), ["a", "b", "c"]);
}

#[test]
fn long_lists_come_in_chunks() {
    let items: Vec<Vec<u8>> = (0..2000).map(|at| config_map(&format!("name-{at}"))).collect();
    for media in [Media::Json, Media::Yaml, Media::Protobuf, Media::Cbor] {
        let chunks: Result<Vec<Bytes>, _> =
            config_maps().list(items.clone(), ListMeta::default(), whole(media)).collect();
        let chunks = chunks.expect("a list");
        assert!(chunks.len() > 1, "{media:?}");
        for chunk in &chunks[..chunks.len() - 1] {
            assert!((CHUNK..CHUNK + 1024).contains(&chunk.len()), "{media:?}: {}", chunk.len());
        }
    }
    let mut pretty = whole(Media::Json);
    pretty.representation.pretty = true;
    let value = json_of(listed(config_maps(), items, pretty));
    assert_eq!(value["items"][1999]["metadata"]["name"], "name-1999");
}

#[test]
fn a_malformed_object_ends_a_list() {
    let items = vec![config_map("a"), vec![0x0a, 0xff], config_map("b")];
    let mut list = config_maps().list(items, ListMeta::default(), whole(Media::Json));
    assert!(list.next().is_some_and(|chunk| chunk.is_err()));
    assert!(list.next().is_none());
}

#[test]
fn events_in_each_form() {
    let subject = config_maps();
    let event = |style| subject.event(Event::Added, &config_map("a"), style, true).expect("an event");
    let json = text(event(whole(Media::Json)));
    assert!(
        json.starts_with("{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",")
            && json.ends_with("}}\n")
    );
    let frame = event(whole(Media::Protobuf));
    assert_eq!(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize, frame.len() - 4);
    let mut reader = Reader::new(&frame[4..]);
    assert_eq!(reader.field(), Ok(Some((1, Wire::Bytes(b"ADDED")))));
    let Ok(Some((2, Wire::Bytes(extension)))) = reader.field() else { panic!("an object") };
    let Ok(Some((1, Wire::Bytes(object)))) = Reader::new(extension).field() else { panic!("raw bytes") };
    assert_eq!(Envelope::parse(object).map(|e| e.raw), Ok(&config_map("a")[..]));
    assert_eq!(reader.field(), Ok(None));
    let cbor = cbor::decode(&event(whole(Media::Cbor))).expect("CBOR");
    assert_eq!(cbor, serde_json::from_str::<Value>(&json).expect("JSON"));
    let table = |columns| {
        let event =
            subject.event(Event::Modified, &config_map("a"), style(Media::Json, TABLE), columns).expect("an event");
        json_of(event)["object"].clone()
    };
    assert_eq!(table(true)["columnDefinitions"].as_array().map(Vec::len), Some(3));
    assert_eq!(table(false)["columnDefinitions"], Value::Null);
    assert!(subject.event(Event::Added, &config_map("a"), style(Media::Json, METADATA_LIST), true).is_err());
}

#[test]
fn bookmarks_and_errors_end_what_they_end() {
    for subject in [config_maps(), things()] {
        let raw = bookmark(&subject, "12", true).expect("a bookmark");
        let event = subject.event(Event::Bookmark, &raw, whole(Media::Json), false).expect("an event");
        assert_eq!(
            json_of(event),
            json!({"type": "BOOKMARK", "object": {
                "kind": subject.kind.as_str(), "apiVersion": subject.api_version.as_str(),
                "metadata": {"resourceVersion": "12", "annotations": {"k8s.io/initial-events-end": "true"}}
            }})
        );
    }
    let gone = Status::expired("too old resource version: 1 (5)");
    let event = watch::error(&gone, Media::Json).expect("an event");
    assert_eq!(
        text(event),
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
         \"message\":\"too old resource version: 1 (5)\",\"reason\":\"Expired\",\"code\":410}}\n"
    );
    assert!(watch::error(&gone, Media::Protobuf).is_ok_and(|frame| frame.len() > 4));
}

#[test]
fn errors_in_each_form() {
    let missing = Status::not_found(&GroupResource::new("", "configmaps"), "x");
    let of = |media| status(&missing, whole(media).representation).expect("an answer");
    assert_eq!(
        text(of(Media::Json)),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"configmaps \
         \\\"x\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"x\",\"kind\":\"configmaps\"},\"code\":404}\n"
    );
    assert_eq!(
        text(of(Media::Yaml)),
        "apiVersion: v1\ncode: 404\ndetails:\n  kind: configmaps\n  name: x\nkind: Status\nmessage: configmaps \"x\" not \
         found\nmetadata: {}\nreason: NotFound\nstatus: Failure\n"
    );
    let protobuf = of(Media::Protobuf);
    let envelope = Envelope::parse(&protobuf).expect("an envelope");
    assert_eq!((envelope.api_version, envelope.kind), ("v1", "Status"));
}

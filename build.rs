//! Compiles `proto/` into the static tables that `src/schema/table.rs` describes, and the API's
//! descriptions into one compressed blob; and `proto/etcd` into etcd's client. Runs no program: protox is the compiler.

#[path = "src/schema/slot.rs"]
mod slot;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use k8s_openapi::schemars::SchemaGenerator;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage,
    Value,
};

fn main() {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/schema/slot.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let pool = compile(Path::new("proto"));
    let text = Tables::new(&pool).write();
    std::fs::write(out.join("messages.rs"), text).expect("OUT_DIR is writable");
    std::fs::write(out.join("descriptions.z"), pack(&descriptions())).expect("OUT_DIR is writable");
    etcd(Path::new("proto/etcd"));
}

/// Messages and client of etcd, as `etcdserverpb.rs`. They are no part of the Kubernetes API and its tables.
fn etcd(root: &Path) {
    let files = protox::compile(["rpc.proto"], [root]).unwrap_or_else(|error| panic!("proto/etcd: {error:?}"));
    let client = tonic_prost_build::configure().build_server(false).build_transport(false);
    client.bytes(".etcdserverpb.PutRequest.value").compile_fds(files).expect("OUT_DIR is writable");
}

fn compile(root: &Path) -> DescriptorPool {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    let mut compiler = protox::Compiler::new([root]).expect("proto/ exists");
    compiler.include_imports(true);
    if let Err(error) = compiler.open_files(&files) {
        panic!("proto/: {error:?}");
    }
    compiler.descriptor_pool()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of proto/") {
        let path = entry.expect("an entry of proto/").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "proto") {
            into.push(path);
        }
    }
}

/// Writes one `static` per message, so that nothing is built when the program starts.
struct Tables<'a> {
    pool: &'a DescriptorPool,
}

impl<'a> Tables<'a> {
    fn new(pool: &'a DescriptorPool) -> Self {
        Self { pool }
    }

    fn messages(&self) -> Vec<MessageDescriptor> {
        let mut all: Vec<_> =
            self.pool.all_messages().filter(|m| m.full_name().starts_with("k8s.io.") && !m.is_map_entry()).collect();
        all.sort_by(|a, b| a.full_name().cmp(b.full_name()));
        all
    }

    fn write(&self) -> String {
        let mut text = String::new();
        let messages = self.messages();
        for message in &messages {
            self.message(&mut text, message);
        }
        writeln!(text, "/// Every message, by name.\npub static MESSAGES: [&Message; {}] = [", messages.len()).unwrap();
        for message in &messages {
            writeln!(text, "    &{},", ident(message.full_name())).unwrap();
        }
        text.push_str("];\n");
        text
    }

    fn message(&self, text: &mut String, message: &MessageDescriptor) {
        let options = message.options();
        let fields: Vec<_> = declared(message);
        let by_number = ascending(&fields);
        let top = fields.iter().map(|f| f.number()).max().unwrap_or(0);
        assert!(top < 250 && fields.len() < 250, "{}: numbers fit a byte", message.full_name());
        let mut index = vec![u8::MAX; top as usize + 1];
        for (at, field) in fields.iter().enumerate() {
            index[field.number() as usize] = at as u8;
        }
        let names = self.by_name(message);
        let by_name: Vec<_> = names.iter().map(|(name, path, _)| format!("({name:?}, &{path:?})")).collect();
        let slots = slots(names.iter().map(|(name, ..)| name.as_str()));
        let shown_unset: Vec<_> = names.iter().filter(|(.., shown)| *shown).map(|(name, ..)| name).collect();
        write!(
            text,
            "pub static {}: Message = Message {{ name: {:?}, json: Json::{}, object: {}, any: {}, kinds: {}, atomic: {}, unions: {},\n  \
             index: &{index:?}, ascending: &{by_number:?}, in_order: {}, by_name: &[{}], slots: &{slots:?}, shown_unset: &{shown_unset:?}, holds_written: {}, fields: &[\n",
            ident(message.full_name()),
            message.full_name(),
            self.json(&options),
            flag(&self.option(&options, "object")),
            flag(&self.option(&options, "any")),
            self.kinds(&options),
            self.option(&options, "struct_type").and_then(|v| v.as_str().map(|s| s == "atomic")).unwrap_or(false),
            self.unions(&options),
            by_number.is_sorted(),
            by_name.join(", "),
            self.holds_written(message, &mut Vec::new()),
        )
        .unwrap();
        for field in &fields {
            self.field(text, field);
        }
        text.push_str("] };\n");
    }

    /// Whether JSON that is kept as it was written may stand in it, at any depth.
    fn holds_written(&self, message: &MessageDescriptor, seen: &mut Vec<MessageDescriptor>) -> bool {
        if self.json(&message.options()) == "Written" {
            return true;
        }
        if seen.contains(message) {
            return false;
        }
        seen.push(message.clone());
        message.fields().any(|field| match field.kind() {
            Kind::Message(inner) => self.holds_written(&inner, seen),
            _ => false,
        })
    }

    /// The fields that JSON has, inline ones flattened, by name: (name, path of field indexes, whether it is shown unset).
    fn by_name(&self, message: &MessageDescriptor) -> Vec<(String, Vec<u8>, bool)> {
        let mut names = Vec::new();
        for (at, field) in declared(message).iter().enumerate() {
            if flag(&self.option(&field.options(), "inline")) == "true" {
                let Kind::Message(inner) = field.kind() else { panic!("an inline field is a message") };
                for (name, path, shown) in self.by_name(&inner) {
                    names.push((name, [vec![at as u8], path].concat(), shown));
                }
            } else {
                names.push((field.json_name().to_owned(), vec![at as u8], self.is_shown_unset(field)));
            }
        }
        names.sort();
        names
    }

    /// Whether JSON has the field also when it is unset.
    fn is_shown_unset(&self, field: &FieldDescriptor) -> bool {
        let options = field.options();
        let is = |name: &str| flag(&self.option(&options, name)) == "true";
        let is_value = !field.is_list()
            && matches!(field.kind(), Kind::Message(entry) if !entry.is_map_entry())
            && (is("value") || is("inline"));
        is("always") || (is_value && !is("omit_zero"))
    }

    fn field(&self, text: &mut String, field: &FieldDescriptor) {
        let options = field.options();
        let (shape, value) = match field.kind() {
            Kind::Message(entry) if entry.is_map_entry() => {
                assert_eq!(entry.map_entry_key_field().kind(), Kind::String, "JSON has string keys only");
                ("Map", entry.map_entry_value_field())
            }
            _ if field.is_list() => ("List", field.clone()),
            _ => ("One", field.clone()),
        };
        let is = |name: &str| flag(&self.option(&options, name));
        let pointer = match field.kind() {
            _ if shape != "One" => false,
            Kind::Message(_) => is("value") == "false" && is("inline") == "false",
            _ => field.supports_presence(),
        };
        let key = format!(",\"{}\":", field.json_name());
        let shown_unset = self.is_shown_unset(field);
        writeln!(
            text,
            "    Field {{ name: {:?}, key: {key:?}, number: {}, shape: Shape::{shape}, ty: {}, pointer: {pointer}, always: {}, \
             omit_zero: {}, shown_unset: {shown_unset}, inline: {}, item_pointer: {}, item_kind: {:?}, doc: &FieldDoc {{ required: {}, default: {:?}, choices: &{:?}, format: {:?}, granular: {} }}, \
             list: {}, map_atomic: {}, patch: {}, go: {:?}, key_go: {:?}, container_go: {:?} }},",
            field.json_name(),
            field.number(),
            ty(&value.kind()),
            is("always"),
            is("omit_zero"),
            is("inline"),
            is("item_pointer"),
            self.text(&options, "item_kind").split_once(' '),
            is("required"),
            self.text(&options, "default"),
            self.texts(&options, "enum"),
            self.text(&options, "format"),
            self.text(&options, "map_type") == "granular",
            self.list(&options),
            self.text(&options, "map_type") == "atomic",
            self.patch(&options),
            self.text(&options, "go"),
            self.text(&options, "key_go"),
            self.text(&options, "container_go"),
        )
        .unwrap();
    }

    fn list(&self, options: &DynamicMessage) -> String {
        match self.text(options, "list_type").as_str() {
            "" => "ListKind::None".into(),
            "atomic" => "ListKind::Atomic".into(),
            "set" => "ListKind::Set".into(),
            "map" => format!("ListKind::Map(&{:?})", self.texts(options, "list_map_key")),
            other => panic!("list_type {other}"),
        }
    }

    fn patch(&self, options: &DynamicMessage) -> String {
        let strategy = self.text(options, "patch_strategy");
        let has = |word: &str| strategy.split(',').any(|s| s == word);
        format!(
            "Patch {{ merge: {}, replace: {}, retain_keys: {}, key: {:?} }}",
            has("merge"),
            has("replace"),
            has("retainKeys"),
            self.text(options, "patch_merge_key")
        )
    }

    fn kinds(&self, options: &DynamicMessage) -> String {
        let one = |value: &Value| {
            let kind = value.as_message().expect("a kind");
            let part = |name: &str| kind.get_field_by_name(name).expect("a part").as_str().unwrap_or("").to_owned();
            format!("({:?}, {:?}, {:?})", part("group"), part("version"), part("kind"))
        };
        let list = self.option(options, "kind");
        let all: Vec<_> = list.iter().flat_map(|v| v.as_list().unwrap_or(&[]).iter()).map(one).collect();
        format!("&[{}]", all.join(", "))
    }

    fn unions(&self, options: &DynamicMessage) -> String {
        let text = |message: &DynamicMessage, name: &str| {
            message.get_field_by_name(name).expect("declared").as_str().unwrap_or("").to_owned()
        };
        let one = |value: &Value| {
            let union = value.as_message().expect("a union");
            let members = union.get_field_by_name("member").expect("declared").into_owned();
            let members: Vec<_> =
                members.as_list().unwrap_or(&[]).iter().map(|m| m.as_message().expect("a member")).collect();
            let members: Vec<_> = members.iter().map(|m| (text(m, "field"), text(m, "value"))).collect();
            format!("Union {{ discriminator: {:?}, members: &{members:?} }}", text(union, "discriminator"))
        };
        let list = self.option(options, "union");
        let all: Vec<_> = list.iter().flat_map(|v| v.as_list().unwrap_or(&[]).iter()).map(one).collect();
        format!("&[{}]", all.join(", "))
    }

    fn json(&self, options: &DynamicMessage) -> &'static str {
        match self.option(options, "json").and_then(|v| v.as_enum_number()).unwrap_or(0) {
            0 => "Object",
            1 => "Time",
            2 => "MicroTime",
            3 => "Duration",
            4 => "Quantity",
            5 => "IntOrString",
            6 => "Raw",
            7 => "SchemaOrBool",
            8 => "SchemaOrArray",
            9 => "SchemaOrStringArray",
            10 => "Items",
            11 => "Written",
            other => panic!("json form {other}"),
        }
    }

    fn extension(&self, options: &DynamicMessage, name: &str) -> Option<ExtensionDescriptor> {
        options.descriptor().extensions().find(|e| e.full_name() == name)
    }

    fn option(&self, options: &DynamicMessage, name: &str) -> Option<Value> {
        let extension = self.extension(options, name)?;
        options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
    }

    fn text(&self, options: &DynamicMessage, name: &str) -> String {
        self.option(options, name).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn texts(&self, options: &DynamicMessage, name: &str) -> Vec<String> {
        let list = self.option(options, name);
        list.iter()
            .flat_map(|v| v.as_list().unwrap_or(&[]).iter())
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    }
}

/// The fields in the order of the file, which is the order of the JSON.
fn declared(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let proto = message.descriptor_proto();
    proto.field.iter().map(|f| message.get_field(f.number() as u32).expect("a declared field")).collect()
}

fn ascending(fields: &[FieldDescriptor]) -> Vec<u8> {
    let mut order: Vec<u8> = (0..fields.len() as u8).collect();
    order.sort_by_key(|at| fields[*at as usize].number());
    order
}

/// Where each name of a message is found; see `schema::slot`.
fn slots<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> Vec<u8> {
    let size = (names.len() * 2).next_power_of_two().max(1);
    let mut slots = vec![u8::MAX; size];
    for (at, name) in names.enumerate() {
        let mut slot = slot::slot(name, size);
        while slots[slot] != u8::MAX {
            slot = (slot + 1) & (size - 1);
        }
        slots[slot] = at as u8;
    }
    slots
}

fn flag(value: &Option<Value>) -> &'static str {
    if value.as_ref().and_then(Value::as_bool).unwrap_or(false) { "true" } else { "false" }
}

fn ty(kind: &Kind) -> String {
    match kind {
        Kind::String => "Type::String".into(),
        Kind::Bool => "Type::Bool".into(),
        Kind::Int32 => "Type::Int32".into(),
        Kind::Int64 => "Type::Int64".into(),
        Kind::Double => "Type::Double".into(),
        Kind::Bytes => "Type::Bytes".into(),
        Kind::Message(message) => format!("Type::Message(&{})", ident(message.full_name())),
        other => panic!("no field is a {other:?}"),
    }
}

fn ident(full_name: &str) -> String {
    full_name.trim_start_matches("k8s.io.").replace('.', "_").to_uppercase()
}

/// Definition -> ("" -> its description, property -> its description).
type Descriptions = BTreeMap<String, BTreeMap<String, String>>;

/// What k8s-openapi says of its types, and `proto/descriptions.txt` of others.
fn descriptions() -> Descriptions {
    let mut generator = SchemaGenerator::default();
    name_types(&mut generator);
    let mut all = Descriptions::new();
    for (definition, schema) in generator.definitions() {
        let mut own = BTreeMap::new();
        let mut add = |name: &str, schema: &serde_json::Value| {
            if let Some(text) = schema.get("description").and_then(|d| d.as_str()) {
                own.insert(name.to_owned(), text.to_owned());
            }
        };
        add("", schema);
        for (name, property) in schema.get("properties").and_then(|p| p.as_object()).into_iter().flatten() {
            add(name, property);
        }
        all.insert(definition.clone(), own);
    }
    for line in include_str!("proto/descriptions.txt").lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<_> = line.splitn(3, '\t').collect();
        let [definition, field, text] = parts[..] else { panic!("three parts: {line}") };
        let text = match text.strip_prefix("= ").and_then(|other| other.split_once(' ')) {
            Some((definition, field)) => all[definition][field].clone(),
            None => text.replace("\\n", "\n"),
        };
        all.entry(definition.to_owned()).or_default().insert(field.to_owned(), text);
    }
    all
}

/// One record a definition, in the form that `src/schema/openapi/describe.rs` reads.
fn pack(descriptions: &Descriptions) -> Vec<u8> {
    let mut text = String::new();
    for (definition, own) in descriptions {
        write!(text, "\x1e{definition}").unwrap();
        for (name, description) in own {
            assert!(!description.contains(['\x1d', '\x1e', '\x1f']), "{definition}.{name} has a separator");
            write!(text, "\x1d{name}\x1f{description}").unwrap();
        }
    }
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(text.as_bytes()).expect("a Vec takes all");
    packed.finish().expect("a Vec takes all")
}

/// Names the types that no other type refers to; the generator finds the rest.
fn name_types(generator: &mut SchemaGenerator) {
    use k8s_openapi::api::{
        admissionregistration::v1 as admissionregistration, apps::v1 as apps, authentication::v1 as authentication,
        authorization::v1 as authorization, autoscaling, batch::v1 as batch, certificates::v1 as certificates,
        coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery, events::v1 as events,
        flowcontrol::v1 as flowcontrol, networking::v1 as networking, node::v1 as node, policy::v1 as policy,
        rbac::v1 as rbac, resource::v1 as resource, scheduling::v1 as scheduling, storage::v1 as storage,
    };
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
    use k8s_openapi::apimachinery::pkg::{apis::meta::v1 as meta, version};
    use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
    macro_rules! name {
        ($($module:ident :: { $($kind:ident),* $(,)? })*) => { $($( generator.subschema_for::<$module::$kind>(); )*)* };
    }
    use autoscaling::{v1 as autoscaling_v1, v2 as autoscaling_v2};
    name! {
        admissionregistration::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
        }
        apiextensions::{ CustomResourceDefinition }
        apiregistration::{ APIService }
        apps::{ ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
        authentication::{ SelfSubjectReview, TokenRequest, TokenReview }
        authorization::{
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
        }
        autoscaling_v1::{ HorizontalPodAutoscaler, Scale }
        autoscaling_v2::{ HorizontalPodAutoscaler }
        batch::{ CronJob, Job }
        certificates::{ CertificateSigningRequest }
        coordination::{ Lease }
        core::{
            Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
            PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service,
            ServiceAccount,
        }
        discovery::{ EndpointSlice }
        events::{ Event }
        flowcontrol::{ FlowSchema, PriorityLevelConfiguration }
        meta::{
            APIGroup, APIGroupList, APIResourceList, APIVersions, DeleteOptions, ListMeta, Patch, Status,
        }
        networking::{ Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR }
        node::{ RuntimeClass }
        policy::{ Eviction, PodDisruptionBudget }
        rbac::{ ClusterRole, ClusterRoleBinding, Role, RoleBinding }
        resource::{ DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice }
        scheduling::{ PriorityClass }
        storage::{
            CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
        }
        version::{ Info }
    }
}

//! A refused object as stock prints it: the JSON of Go's internal type.
//!
//! Internal types have no JSON names, so Go's own stand there and every field is written. Types of API machinery
//! (metadata, selectors) keep their JSON names and leave out what is empty.

use crate::codec::json::compact::compact;
use crate::model::gotext;
use crate::model::quantity::Quantity;
use crate::model::time::{Precision, Time};
use crate::model::value::Value;
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Words that Go writes in capitals at the beginning of a name.
const ACRONYMS: [&str; 32] = [
    "api", "aws", "ca", "cel", "chap", "cidr", "csi", "dns", "fc", "fqdn", "fs", "gce", "gmsa", "grpc", "http", "id",
    "io", "ip", "iqn", "iscsi", "json", "nfs", "os", "pd", "rbd", "se", "ssl", "tcp", "tls", "tty", "ttl", "uid",
];
/// What that rule does not give: (message, JSON name, Go's name); the message is empty where it is any.
const NAMES: [(&str, &str, &str); 45] = [
    ("", "cidrs", "CIDRs"),
    ("", "ips", "IPs"),
    ("", "url", "URL"),
    ("", "wwids", "WWIDs"),
    ("", "cephfs", "CephFS"),
    ("", "storageos", "StorageOS"),
    ("", "lun", "Lun"),
    ("AzureDiskVolumeSource", "diskURI", "DataDiskURI"),
    ("ContainerStatus", "lastState", "LastTerminationState"),
    ("DeviceAttribute", "bool", "BoolValue"),
    ("DeviceAttribute", "bools", "BoolValues"),
    ("DeviceAttribute", "int", "IntValue"),
    ("DeviceAttribute", "ints", "IntValues"),
    ("DeviceAttribute", "string", "StringValue"),
    ("DeviceAttribute", "strings", "StringValues"),
    ("DeviceAttribute", "version", "VersionValue"),
    ("DeviceAttribute", "versions", "VersionValues"),
    ("Event", "reportingComponent", "ReportingController"),
    ("GlusterfsPersistentVolumeSource", "endpoints", "EndpointsName"),
    ("GlusterfsVolumeSource", "endpoints", "EndpointsName"),
    ("ISCSIPersistentVolumeSource", "chapAuthDiscovery", "DiscoveryCHAPAuth"),
    ("ISCSIPersistentVolumeSource", "chapAuthSession", "SessionCHAPAuth"),
    ("ISCSIVolumeSource", "chapAuthDiscovery", "DiscoveryCHAPAuth"),
    ("ISCSIVolumeSource", "chapAuthSession", "SessionCHAPAuth"),
    ("JSONSchemaProps", "$ref", "Ref"),
    ("JSONSchemaProps", "$schema", "Schema"),
    ("JSONSchemaProps", "x-kubernetes-embedded-resource", "XEmbeddedResource"),
    ("JSONSchemaProps", "x-kubernetes-int-or-string", "XIntOrString"),
    ("JSONSchemaProps", "x-kubernetes-list-map-keys", "XListMapKeys"),
    ("JSONSchemaProps", "x-kubernetes-list-type", "XListType"),
    ("JSONSchemaProps", "x-kubernetes-map-type", "XMapType"),
    ("JSONSchemaProps", "x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("JSONSchemaProps", "x-kubernetes-validations", "XValidations"),
    ("LinuxContainerUser", "gid", "GID"),
    ("NodeSpec", "externalID", "DoNotUseExternalID"),
    ("PhotonPersistentDiskVolumeSource", "pdID", "PdID"),
    ("PodStatus", "qosClass", "QOSClass"),
    ("RBDPersistentVolumeSource", "image", "RBDImage"),
    ("RBDPersistentVolumeSource", "monitors", "CephMonitors"),
    ("RBDPersistentVolumeSource", "pool", "RBDPool"),
    ("RBDPersistentVolumeSource", "user", "RadosUser"),
    ("RBDVolumeSource", "image", "RBDImage"),
    ("RBDVolumeSource", "monitors", "CephMonitors"),
    ("RBDVolumeSource", "pool", "RBDPool"),
    ("RBDVolumeSource", "user", "RadosUser"),
];
/// Internal types whose fields stand in another order.
const ORDERS: [(&str, &str); 13] = [
    (
        "CSIDriverSpec",
        "attachRequired fsGroupPolicy podInfoOnMount volumeLifecycleModes storageCapacity tokenRequests \
         requiresRepublish seLinuxMount nodeAllocatableUpdatePeriodSeconds serviceAccountTokenInSecrets \
         preventPodSchedulingIfMissing",
    ),
    ("ContainerResourceMetricSource", "name container target"),
    ("ContainerResourceMetricStatus", "name container current"),
    (
        "JSONSchemaProps",
        "id $schema $ref description type nullable format title default maximum exclusiveMaximum minimum \
         exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems multipleOf enum \
         maxProperties minProperties required items allOf oneOf anyOf not properties additionalProperties \
         patternProperties dependencies additionalItems definitions externalDocs example \
         x-kubernetes-preserve-unknown-fields x-kubernetes-embedded-resource x-kubernetes-int-or-string \
         x-kubernetes-list-map-keys x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-validations",
    ),
    (
        "JobSpec",
        "parallelism completions podFailurePolicy successPolicy activeDeadlineSeconds backoffLimit \
         backoffLimitPerIndex maxFailedIndexes selector manualSelector template ttlSecondsAfterFinished \
         completionMode suspend podReplacementPolicy managedBy",
    ),
    (
        "JobStatus",
        "conditions startTime completionTime active terminating ready succeeded failed completedIndexes \
         failedIndexes uncountedTerminatedPods",
    ),
    (
        "PersistentVolumeSource",
        "gcePersistentDisk awsElasticBlockStore hostPath glusterfs nfs rbd quobyte iscsi flexVolume cinder \
         cephfs fc flocker azureFile vsphereVolume azureDisk photonPersistentDisk portworxVolume scaleIO \
         local storageos csi",
    ),
    (
        "PodSecurityContext",
        "seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot supplementalGroups \
         supplementalGroupsPolicy fsGroup fsGroupChangePolicy sysctls seccompProfile appArmorProfile \
         seLinuxChangePolicy",
    ),
    (
        "PodSpec",
        "volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds \
         activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName automountServiceAccountToken \
         nodeName securityContext imagePullSecrets hostname subdomain setHostnameAsFQDN affinity \
         schedulerName tolerations hostAliases priorityClassName priority preemptionPolicy dnsConfig \
         readinessGates runtimeClassName overhead enableServiceLinks topologySpreadConstraints os \
         schedulingGates resourceClaims resources hostnameOverride schedulingGroup",
    ),
    (
        "PodStatus",
        "observedGeneration phase conditions message reason nominatedNodeName hostIP hostIPs podIPs startTime \
         qosClass initContainerStatuses containerStatuses ephemeralContainerStatuses resize \
         resourceClaimStatuses extendedResourceClaimStatus allocatedResources resources \
         nodeAllocatableResourceClaimStatuses",
    ),
    (
        "ServiceSpec",
        "type ports selector clusterIP clusterIPs ipFamilies ipFamilyPolicy externalName externalIPs \
         loadBalancerIP sessionAffinity sessionAffinityConfig loadBalancerSourceRanges externalTrafficPolicy \
         healthCheckNodePort publishNotReadyAddresses allocateLoadBalancerNodePorts loadBalancerClass \
         internalTrafficPolicy trafficDistribution",
    ),
    (
        "ValidatingAdmissionPolicySpec",
        "paramKind matchConstraints validations matchConditions failurePolicy auditAnnotations variables",
    ),
    (
        "VolumeSource",
        "hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs \
         persistentVolumeClaim rbd quobyte flexVolume cinder cephfs flocker downwardAPI fc azureFile \
         configMap vsphereVolume azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos \
         csi ephemeral image",
    ),
];
/// Of a pod's spec; internally they belong to its security context.
const HOST_FIELDS: [&str; 5] = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"];

/// An object of this type.
pub fn message(value: &Value, message: &Message) -> String {
    let mut out = Writer::default();
    out.message(value, message);
    out.text
}

/// The whole of a field.
pub fn field(value: &Value, field: &Field) -> String {
    let mut out = Writer::default();
    out.field(value, field);
    out.text
}

/// An item of a field's list, or a value of its map.
pub fn item(value: &Value, field: &Field) -> String {
    let mut out = Writer::default();
    out.item(value, field);
    out.text
}

/// The name that Go gives a field of an internal type.
pub fn go_name(message: &Message, json: &str) -> String {
    let short = message.short_name();
    let known = NAMES.iter().find(|(of, name, _)| *name == json && (of.is_empty() || *of == short));
    if let Some((_, _, name)) = known {
        return (*name).to_owned();
    }
    let end = json.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(json.len());
    let (head, rest) = json.split_at(end);
    if ACRONYMS.contains(&head) {
        return head.to_ascii_uppercase() + rest;
    }
    let first = json.get(..1).unwrap_or("").to_ascii_uppercase();
    first + json.get(1..).unwrap_or("")
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn message(&mut self, value: &Value, message: &Message) {
        match message.json {
            Json::Object => self.object(value, message, &Value::Null),
            Json::Quantity => match Quantity::from_value(value) {
                Ok(quantity) => self.text.push_str(&format!("\"{quantity}\"")),
                Err(_) => self.plain(value),
            },
            Json::Time | Json::MicroTime => {
                let precision = if message.json == Json::Time { Precision::Seconds } else { Precision::Micros };
                match value.as_str().map(Time::parse) {
                    Some(Ok(time)) => self.text.push_str(&format!("\"{}\"", time.to_text_as(precision))),
                    _ => self.plain(value),
                }
            }
            Json::Written => match value.as_written().map(|text| compact(text.as_bytes())) {
                Some(Ok(text)) => self.text.push_str(&String::from_utf8_lossy(&text)),
                _ => self.plain(value),
            },
            Json::IntOrString if value.is_null() => self.text.push('0'),
            Json::SchemaOrArray | Json::SchemaOrBool | Json::SchemaOrStringArray if !value.is_null() => {
                self.alternative(value, message);
            }
            _ => self.plain(value),
        }
    }

    /// A schema, or what may stand in its place.
    fn alternative(&mut self, value: &Value, message: &Message) {
        let schema = value.is_object();
        let own = |is: bool| if is { value } else { &Value::Null };
        let parts = match message.json {
            Json::SchemaOrBool => [("Allows", "allows"), ("Schema", "schema")],
            Json::SchemaOrArray => [("Schema", "schema"), ("JSONSchemas", "jSONSchemas")],
            _ => [("Schema", "schema"), ("Property", "property")],
        };
        self.text.push('{');
        for (name, json) in parts {
            let Some(field) = message.field(json) else { continue };
            self.name(name);
            match json {
                "allows" => self.text.push_str(if schema || *value == true { "true" } else { "false" }),
                _ => self.field(own(schema == (json == "schema")), field),
            }
        }
        self.text.push('}');
    }

    fn object(&mut self, value: &Value, message: &Message, beside: &Value) {
        self.text.push('{');
        if is_internal(message) {
            if message.short_name() == "PodSecurityContext" {
                self.host_fields(beside);
            }
            self.internal(value, message);
        } else {
            self.with_json_names(value, message);
        }
        self.text.push('}');
    }

    fn internal(&mut self, value: &Value, message: &Message) {
        let order = ORDERS.iter().find(|(name, _)| *name == message.short_name()).map(|(_, order)| *order);
        let ordered = order.into_iter().flat_map(|order| order.split(' ')).filter_map(|name| message.field(name));
        let listed: &[Field] = if order.is_some() { &[] } else { message.fields };
        for field in ordered.chain(listed) {
            match field.message() {
                Some(inner) if field.inline => self.internal(value, inner),
                Some(meta) if field.name == "metadata" => self.with_json_names(&value["metadata"], meta),
                Some(context) if context.short_name() == "PodSecurityContext" => {
                    self.name(&go_name(message, field.name));
                    self.object(&value[field.name], context, value);
                }
                _ if is_left_out(message, field.name) => {}
                _ => {
                    self.name(&go_name(message, field.name));
                    self.field(&value[field.name], field);
                }
            }
        }
    }

    fn host_fields(&mut self, spec: &Value) {
        for name in HOST_FIELDS {
            let value = &spec[name];
            self.name(&(name[..1].to_ascii_uppercase() + &name[1..]));
            match value {
                Value::Null if name.starts_with("share") || name == "hostUsers" => self.text.push_str("null"),
                other => self.text.push_str(if *other == Value::Bool(true) { "true" } else { "false" }),
            }
        }
    }

    fn with_json_names(&mut self, value: &Value, message: &Message) {
        for field in message.fields {
            if let Some(inner) = field.message().filter(|_| field.inline) {
                self.with_json_names(value, inner);
                continue;
            }
            let value = &value[field.name];
            if field.always || (field.is_value() && !field.omit_zero) || !is_zero(value, field) {
                self.name(field.name);
                self.field(value, field);
            }
        }
    }

    fn field(&mut self, value: &Value, field: &Field) {
        match (field.shape, value) {
            (Shape::One, Value::Null) if field.pointer => self.text.push_str("null"),
            (Shape::One, _) => self.item(value, field),
            (Shape::List, Value::Array(items)) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.text.push(',');
                    }
                    self.item(item, field);
                }
                self.text.push(']');
            }
            (Shape::Map, Value::Object(entries)) => {
                self.text.push('{');
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by_key(|(key, _)| key.as_str());
                for (key, value) in sorted {
                    self.name(key);
                    self.item(value, field);
                }
                self.text.push('}');
            }
            (Shape::List | Shape::Map, _) => self.text.push_str("null"),
        }
    }

    fn item(&mut self, value: &Value, field: &Field) {
        match (field.ty, value) {
            (Type::Message(message), _) => self.message(value, message),
            (Type::String, Value::Null) => self.text.push_str("\"\""),
            (Type::Bool, Value::Null) => self.text.push_str("false"),
            (Type::Int32 | Type::Int64 | Type::Double, Value::Null) => self.text.push('0'),
            _ => self.plain(value),
        }
    }

    fn plain(&mut self, value: &Value) {
        self.text.push_str(&gotext::json(value));
    }

    fn name(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.text.push_str(&gotext::json(&Value::from(name)));
        self.text.push(':');
    }
}

fn is_internal(message: &Message) -> bool {
    !message.name.starts_with("k8s.io.apimachinery.")
}

fn is_left_out(message: &Message, name: &str) -> bool {
    match message.short_name() {
        "PodSpec" => name == "serviceAccount" || HOST_FIELDS.contains(&name),
        "PodStatus" => name == "podIP",
        "NodeSpec" => name == "podCIDR",
        "Secret" => name == "stringData",
        _ => false,
    }
}

fn is_zero(value: &Value, field: &Field) -> bool {
    match value {
        Value::Null => true,
        _ if field.pointer && field.shape == Shape::One => false,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Written(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn objects_print_as_gos_internal_types() {
        for (name, value, text) in [
            (
                "core.v1.ServicePort",
                json!({"port": 80, "protocol": "TCP"}),
                r#"{"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}"#,
            ),
            (
                "core.v1.Toleration",
                json!({"key": "<"}),
                r#"{"Key":"\u003c","Operator":"","Value":"","Effect":"","TolerationSeconds":null}"#,
            ),
            ("rbac.v1.RoleRef", json!({"kind": "Role"}), r#"{"APIGroup":"","Kind":"Role","Name":""}"#),
            ("networking.v1.ServiceCIDRSpec", json!({"cidrs": ["a"]}), r#"{"CIDRs":["a"]}"#),
            ("apps.v1.StatefulSetUpdateStrategy", json!({"type": "Bogus"}), r#"{"Type":"Bogus","RollingUpdate":null}"#),
            (
                "core.v1.VolumeNodeAffinity",
                json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In"}]}]}}),
                r#"{"Required":{"NodeSelectorTerms":[{"MatchExpressions":[{"Key":"k","Operator":"In","Values":null}],"MatchFields":null}]}}"#,
            ),
        ] {
            let schema = table::message(&format!("k8s.io.api.{name}")).expect(name);
            assert_eq!(message(&value, schema), text);
        }
    }

    #[test]
    fn types_of_api_machinery_keep_their_json() {
        let selector = table::message("k8s.io.apimachinery.pkg.apis.meta.v1.LabelSelector").expect("LabelSelector");
        let value = json!({"matchExpressions": [{"values": ["b"], "operator": "In", "key": "a"}], "matchLabels": {}});
        assert_eq!(message(&value, selector), r#"{"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]}"#);
        let owner = table::message("k8s.io.apimachinery.pkg.apis.meta.v1.OwnerReference").expect("OwnerReference");
        let value = json!({"kind": "K", "controller": false, "name": "n"});
        assert_eq!(message(&value, owner), r#"{"apiVersion":"","kind":"K","name":"n","uid":"","controller":false}"#);
    }

    #[test]
    fn a_pods_host_fields_stand_in_its_security_context() {
        let spec = table::message("k8s.io.api.core.v1.PodSpec").expect("PodSpec");
        let text = message(&json!({"hostPID": true, "serviceAccount": "s"}), spec);
        let context = r#""SecurityContext":{"HostNetwork":false,"HostPID":true,"HostIPC":false,"ShareProcessNamespace":null,"HostUsers":null,"SELinuxOptions":null"#;
        assert!(text.contains(context) && !text.contains(r#""ServiceAccount":"#), "{text}");
    }
}

//! A Secret's defaults, validation and warnings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keypair;
use crate::codec::json::parse::Parser;
use crate::codec::json::syntax;
use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::NameRule;
use crate::rules::config_map::{MOST_BYTES, decoded_len, immutable, key};
use crate::rules::fill as filling;
use crate::rules::kind::{Cx, NONE, Rules};

pub const RULES: Rules = Rules {
    group: "",
    kind: "Secret",
    validate: |_, at, errs| secret(at, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        at.at("type").immutable(errs, &old.at("type"));
        immutable(at, old, &["data"], errs);
        secret(at, errs);
    },
    warn,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const TLS: &str = "kubernetes.io/tls";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// The defaults of v1. `stringData` is only a way to write `data`.
pub fn fill(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    filling::default(fields, "type", "Opaque");
    if let Some(Value::Object(texts)) = fields.remove("stringData")
        && !texts.is_empty()
        && let Some(data) = filling::made(object, &["data"])
    {
        for (key, text) in texts {
            data.insert(key, STANDARD.encode(text.as_str().unwrap_or("")).into());
        }
    }
}

fn secret(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let (data, mut bytes) = (at.at("data"), 0);
    for (name, value) in data.entries() {
        key(&value, name, errs);
        bytes += decoded_len(value.str());
    }
    if bytes > MOST_BYTES {
        data.too_long(errs, MOST_BYTES);
    }
    let mut required = |key: &str, missing: bool| {
        if missing {
            data.entry(key).required(errs, "");
        }
    };
    let has = |key: &str| data.entry(key).exists();
    match at.at("type").str() {
        "kubernetes.io/service-account-token" => {
            let metadata = at.at("metadata");
            let annotations = metadata.at("annotations");
            if annotations.entry(ACCOUNT_NAME).is_empty() {
                annotations.entry(ACCOUNT_NAME).required(errs, "");
            }
        }
        "kubernetes.io/dockercfg" => json_object(&data.entry(".dockercfg"), errs),
        "kubernetes.io/dockerconfigjson" => json_object(&data.entry(".dockerconfigjson"), errs),
        "kubernetes.io/basic-auth" => {
            let neither = !has("username") && !has("password");
            required("username", neither);
            required("password", neither);
        }
        "kubernetes.io/ssh-auth" => required("ssh-privatekey", data.entry("ssh-privatekey").is_empty()),
        TLS => {
            required("tls.crt", !has("tls.crt"));
            required("tls.key", !has("tls.key"));
        }
        _ => {}
    }
}

/// Without showing what is in it.
fn json_object(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return at.required(errs, "");
    }
    let bytes = decoded(at);
    let wrong = syntax::explain(&bytes).or_else(|| match Parser::new(&bytes).token().map(|token| token.word()) {
        Ok("object" | "null") => None,
        Ok(word) => Some(format!("json: cannot unmarshal {word} into Go value of type map[string]interface {{}}")),
        Err(_) => Some("unexpected end of JSON input".to_owned()),
    });
    if let Some(wrong) = wrong {
        errs.push(FieldError::invalid(at.path(), "<secret contents redacted>", wrong));
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    if at.at("type").str() == TLS {
        let (certificate, key) = (at.at("data").entry("tls.crt").value(), at.at("data").entry("tls.key").value());
        let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap_or("")).unwrap_or_default();
        warnings.extend(keypair::wrong(&decoded(certificate), &decoded(key)));
    }
}

fn decoded(at: &At) -> Vec<u8> {
    STANDARD.decode(at.str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    #[test]
    fn texts_become_data() {
        let kept =
            Kind::new("v1", "Secret").create(json!({"data": {"a": "YQ==", "b": ""}, "stringData": {"a": "over"}}));
        let kept = kept.expect("right");
        assert_eq!(kept["data"], json!({"a": "b3Zlcg==", "b": ""}));
        assert!(kept["type"] == "Opaque" && kept.get("stringData").is_none());
    }

    #[test]
    fn known_types_have_their_keys() {
        let kind = Kind::new("v1", "Secret");
        let of = |secret: &str, data: Value| kind.refused(json!({"type": secret, "data": data}));
        let docker = "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": ";
        for (secret, data, found) in [
            ("kubernetes.io/dockercfg", json!({".dockercfg": "e30="}), vec![]),
            (
                "kubernetes.io/dockercfg",
                json!({".dockercfg": "W10="}),
                vec![format!("{docker}json: cannot unmarshal array into Go value of type map[string]interface {{}}")],
            ),
            (
                "kubernetes.io/dockercfg",
                json!({".dockercfg": "e30x"}),
                vec![format!("{docker}invalid character '1' after top-level value")],
            ),
            ("kubernetes.io/basic-auth", json!({"password": ""}), vec![]),
            (
                "kubernetes.io/basic-auth",
                json!({}),
                vec!["data[username]: Required value".to_owned(), "data[password]: Required value".to_owned()],
            ),
            (
                "kubernetes.io/ssh-auth",
                json!({"ssh-privatekey": ""}),
                vec!["data[ssh-privatekey]: Required value".to_owned()],
            ),
            ("kubernetes.io/tls", json!({"tls.crt": ""}), vec!["data[tls.key]: Required value".to_owned()]),
            ("example.com/any", json!({}), vec![]),
        ] {
            assert_eq!(of(secret, data), found, "{secret}");
        }
    }

    #[test]
    fn the_type_stays() {
        let (old, new) = (json!({"type": "a/b"}), json!({}));
        let found = Kind::new("v1", "Secret").update("", old, new).unwrap_err();
        assert_eq!(found, ["type: Invalid value: \"Opaque\": field is immutable"]);
    }
}

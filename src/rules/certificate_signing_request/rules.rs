//! The kind CertificateSigningRequest.

use super::conditions::{self, Leniency};
use super::names::signer_name;
use super::request::{wrong_certificates, wrong_request};
use crate::model::field::FieldErrors;
use crate::model::syntax::Texts;
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::NameRule;
use crate::rules::kind::{Cx, NONE, Part, Rules, STATUS, Status};
use crate::rules::strategy::keep;

pub const RULES: Rules = Rules {
    group: "certificates.k8s.io",
    kind: "CertificateSigningRequest",
    status: Status::Separate,
    prepare_create,
    prepare_update: |_, new, old| keep(new, old, "spec"),
    validate: |_, at, errs| request(at, None, errs),
    validate_update: |_, at, old, errs| changed(at, old, Writer::Requester, errs),
    parts: &[
        Part {
            name: "approval",
            prepare: conditions::prepare_approval,
            validate: |_, at, old, errs| changed(at, old, Writer::Approver, errs),
            ..STATUS
        },
        Part {
            prepare: conditions::prepare_status,
            validate: |_, at, old, errs| changed(at, old, Writer::Signer, errs),
            ..STATUS
        },
    ],
    ..NONE
};

/// Who changes a request, and so what may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Requester,
    Approver,
    Signer,
}

const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
const LEAST_SECONDS: i64 = 600;
/// Sorted.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Who asks is who is authenticated.
fn prepare_create(cx: &Cx, new: &mut Value) {
    let Some(spec) = crate::rules::fill::made(new, &["spec"]) else { return };
    for field in ["username", "uid", "groups", "extra"] {
        spec.remove(field);
    }
    for (field, text) in [("username", &cx.user.name), ("uid", &cx.user.uid)] {
        if !text.is_empty() {
            spec.insert(field.into(), text.as_str().into());
        }
    }
    if !cx.user.groups.is_empty() {
        spec.insert("groups".into(), json!(cx.user.groups));
    }
    if !cx.user.extra.is_empty() {
        let extra = cx.user.extra.iter().map(|(key, values)| (key.clone(), json!(values)));
        spec.insert("extra".into(), Value::Object(extra.collect()));
    }
}

/// What is wrong with a request. What was already wrong with the old one is let through.
fn request(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let any = NameRule::Own(|_, _| Texts::new());
    object_meta(&at.at("metadata"), MetaRules { namespaced: false, name: any, kube_finalizers: true }, errs);
    let spec = at.at("spec");
    let request = spec.at("request");
    if let Some(why) = wrong_request(request.str()) {
        request.invalid(errs, why);
    }
    usages(&spec.at("usages"), old, errs);
    let signer = spec.at("signerName");
    let was_legacy = old.is_some_and(|old| old.at("spec").at("signerName").str() == LEGACY_SIGNER);
    if signer.str() == LEGACY_SIGNER && !was_legacy {
        signer.invalid(errs, "the legacy signerName is not allowed via this API version");
    } else {
        signer_name(&signer, errs);
    }
    let seconds = spec.at("expirationSeconds");
    if seconds.exists() && seconds.i64() < LEAST_SECONDS {
        seconds.invalid(errs, "may not specify a duration less than 600 seconds (10 minutes)");
    }
    let status = at.at("status");
    let leniency = old.map(|old| Leniency::of(&old.at("status").at("conditions"))).unwrap_or_default();
    conditions::conditions(&status.at("conditions"), leniency, errs);
    let certificate = status.at("certificate");
    let before = old.map(|old| old.at("status").at("certificate").str());
    let tolerated = before.is_some_and(|before| before == certificate.str() || wrong_certificates(before).is_some());
    if !tolerated && let Some(why) = wrong_certificates(certificate.str()) {
        certificate.invalid_as(errs, "<certificate data>", why);
    }
}

fn usages(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    }
    let unknown = |at: &At| at.strs().any(|usage| !USAGES.contains(&usage));
    let repeats = |at: &At| at.strs().enumerate().any(|(index, usage)| at.strs().take(index).any(|u| u == usage));
    let before = |wrong: &dyn Fn(&At) -> bool| old.is_some_and(|old| wrong(&old.at("spec").at("usages")));
    if !before(&unknown) {
        for usage in at.items().filter(|usage| !USAGES.contains(&usage.str())) {
            usage.not_supported(errs, &USAGES);
        }
    }
    if !before(&repeats) {
        for (index, usage) in at.items().enumerate() {
            if at.strs().take(index).any(|earlier| earlier == usage.str()) {
                usage.duplicate(errs);
            }
        }
    }
}

fn changed(at: &At, old: &At, writer: Writer, errs: &mut FieldErrors) {
    request(at, Some(old), errs);
    let (status, before) = (at.at("status"), old.at("status"));
    let (now, then) = (status.at("conditions"), before.at("conditions"));
    conditions::none_removed(&now, &then, errs);
    if writer != Writer::Approver {
        conditions::none_added(&now, &then, errs);
    }
    let (certificate, certificate_before) = (status.at("certificate"), before.at("certificate"));
    if certificate.str() != certificate_before.str() {
        if writer != Writer::Signer {
            certificate.forbidden(errs, "updates may not set certificate content");
        } else if !certificate_before.is_empty() {
            certificate.forbidden(errs, "updates may not modify existing certificate content");
        }
    }
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::REQUEST;
    use super::*;
    use crate::rules::kind::User;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("certificates.k8s.io/v1", "CertificateSigningRequest")
    }

    fn asked(more: Value) -> Value {
        let mut spec = json!({"request": REQUEST, "signerName": "a.b/c", "usages": ["client auth"]});
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        json!({"spec": spec})
    }

    fn with_status(status: Value) -> Value {
        let mut object = asked(json!({}));
        object["status"] = status;
        object
    }

    #[test]
    fn who_asks_is_who_is_authenticated() {
        let user =
            User { name: "u".to_owned(), extra: vec![("k".to_owned(), vec!["v".to_owned()])], ..User::default() };
        let (cx, mut new) = (Cx { user, ..Cx::for_tests() }, asked(json!({"username": "root", "groups": ["g"]})));
        prepare_create(&cx, &mut new);
        assert_eq!(new, asked(json!({"username": "u", "extra": {"k": ["v"]}})));
    }

    #[test]
    fn a_request_says_for_what_and_of_whom() {
        assert!(kind().create(asked(json!({}))).is_ok());
        let bad = asked(json!({"request": "eA==", "usages": ["any", "any", "all"], "expirationSeconds": 599,
            "signerName": LEGACY_SIGNER}));
        let errors = kind().refused(bad);
        let errors: Vec<_> = errors.iter().map(|e| e.chars().take(100).collect::<String>()).collect();
        assert_eq!(
            errors,
            [
                "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST",
                "spec.usages[2]: Unsupported value: \"all\": supported values: \"any\", \"cert sign\", \"client auth\", \"code",
                "spec.usages[1]: Duplicate value: \"any\"",
                "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed",
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 min",
            ]
        );
    }

    #[test]
    fn approvers_approve_and_signers_sign() {
        let approved = with_status(json!({"conditions": [{"type": "Approved", "status": "True"}]}));
        let kept = kind().update("approval", asked(json!({})), approved.clone()).expect("an approval");
        assert_eq!(
            kept["status"]["conditions"][0],
            json!({"type": "Approved", "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        );
        assert_eq!(
            kind().update("status", asked(json!({})), approved.clone()).unwrap_err(),
            ["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""]
        );
        assert_eq!(
            kind().update("approval", approved.clone(), asked(json!({}))).unwrap_err(),
            ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]
        );
        let signed = with_status(json!({"certificate": "eA=="}));
        assert_eq!(
            kind().update("status", asked(json!({})), signed.clone()).unwrap_err(),
            [
                "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block"
            ]
        );
        assert!(kind().update("approval", asked(json!({})), signed.clone()).expect("no change")["status"].is_null());
        assert_eq!(
            kind().update("status", signed, with_status(json!({"certificate": "eQ=="}))).unwrap_err(),
            ["status.certificate: Forbidden: updates may not modify existing certificate content"]
        );
        let kept = kind().update("", approved.clone(), asked(json!({"usages": []}))).expect("nothing changes");
        assert_eq!((&kept["spec"], &kept["status"]), (&approved["spec"], &approved["status"]));
    }
}

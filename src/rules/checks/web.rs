//! URLs and services of webhooks, HTTP headers, paths of files.

use base64::Engine;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::model::field::FieldErrors;
use crate::model::syntax::{Texts, dns1123_subdomain};
use crate::model::url::Url;
use crate::rules::at::At;

use super::names::unless;
use super::numbers::port_number;

const FORM: &str = "; desired format: https://host[/path]";
const HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used \
    for validation is '[-A-Za-z0-9]+')";

/// The URL of a webhook.
pub fn webhook_url(at: &At, https_only: bool, errs: &mut FieldErrors) {
    let url = match Url::parse(at.str()) {
        Ok(url) => url,
        Err(why) => {
            at.required(errs, format!("url must be a valid URL: {why}{FORM}"));
            return;
        }
    };
    if https_only && url.scheme != "https" {
        at.invalid_as(errs, &url.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if url.host.is_empty() {
        at.invalid_as(errs, "", format!("host must be specified{FORM}"));
    }
    if let Some(user) = &url.user {
        at.invalid_as(errs, user, "user information is not permitted in the URL");
    }
    if !url.fragment.is_empty() {
        at.invalid_as(errs, &url.fragment, "fragments are not permitted in the URL");
    }
    if !url.query.is_empty() {
        at.invalid_as(errs, &url.query, "query parameters are not permitted in the URL");
    }
}

/// The service of a webhook: an object with `namespace`, `name`, `port` and `path`. Of name and namespace, stock names
/// the one that is there when the other is not.
pub fn webhook_service(at: &At, errs: &mut FieldErrors) {
    for (field, named) in [("namespace", "name"), ("name", "namespace")] {
        if at.at(field).is_empty() {
            at.at(named).required(errs, "");
        }
    }
    let port = at.at("port");
    for text in port_number(port.i64()) {
        port.invalid_as(errs, port.i64(), format!("port is not valid: {text}"));
    }
    service_path(&at.at("path"), errs);
}

/// Whether a bundle, in base64 as objects hold it, has a certificate.
pub fn is_ca_bundle(text: &str) -> bool {
    let Ok(bundle) = base64::engine::general_purpose::STANDARD.decode(text) else { return false };
    let mut found = CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok);
    found.any(|certificate| x509_parser::parse_x509_certificate(&certificate).is_ok())
}

/// Absolute, of segments that are subdomains; absent is right.
fn service_path(at: &At, errs: &mut FieldErrors) {
    let path = at.str();
    match path {
        "" | "/" => return,
        "//" => return at.invalid(errs, "segment[0] may not be empty"),
        _ => {}
    }
    if !path.starts_with('/') {
        at.invalid(errs, "must start with a '/'");
    }
    // As in stock, the first letter goes whatever it is.
    let mut rest = path.chars();
    rest.next();
    let rest = rest.as_str();
    for (index, segment) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if segment.is_empty() {
            at.invalid(errs, format!("segment[{index}] may not be empty"));
            continue;
        }
        for text in dns1123_subdomain(segment) {
            at.invalid(errs, format!("segment[{index}]: {text}"));
        }
    }
}

pub fn http_header_name(value: &str) -> Texts {
    unless(!value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), HEADER)
}

/// Begins with a slash.
pub fn absolute_path(at: &At, errs: &mut FieldErrors) {
    if !at.str().starts_with('/') {
        at.invalid(errs, "must be an absolute path");
    }
}

/// Nowhere goes one folder up.
pub fn no_backsteps(at: &At, errs: &mut FieldErrors) {
    if at.str().split('/').any(|part| part == "..") {
        at.invalid(errs, "must not contain '..'");
    }
}

/// Relative, and nowhere one folder up.
pub fn local_descending_path(at: &At, errs: &mut FieldErrors) {
    if at.str().starts_with('/') {
        at.invalid(errs, "must be a relative path");
    }
    no_backsteps(at, errs);
}

/// The same, and not of the names that volumes keep for themselves.
pub fn local_non_reserved_path(at: &At, errs: &mut FieldErrors) {
    local_descending_path(at, errs);
    if at.str().starts_with("..") && !at.str().starts_with("../") {
        at.invalid(errs, "must not start with '..'");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::rules::at::Rule;

    fn found(check: impl Fn(&At, &mut FieldErrors), value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(value, None), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn urls_of_webhooks() {
        for (url, errors) in [
            ("https://h/p", &[][..]),
            (
                "",
                &[
                    "<nil>: Invalid value: \"\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
                    "<nil>: Invalid value: \"\": host must be specified; desired format: https://host[/path]",
                ],
            ),
            (
                "http://u:p@h/?q#f",
                &[
                    "<nil>: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
                    "<nil>: Invalid value: \"u:p\": user information is not permitted in the URL",
                    "<nil>: Invalid value: \"f\": fragments are not permitted in the URL",
                    "<nil>: Invalid value: \"q\": query parameters are not permitted in the URL",
                ],
            ),
            (
                "https://x:y",
                &[
                    "<nil>: Required value: url must be a valid URL: parse \"https://x:y\": invalid port \":y\" after host; \
                   desired format: https://host[/path]",
                ],
            ),
        ] {
            assert_eq!(found(|at, errs| webhook_url(at, true, errs), &json!(url)), errors, "{url}");
        }
    }

    #[test]
    fn services_of_webhooks() {
        assert!(
            found(webhook_service, &json!({"name": "a", "namespace": "b", "port": 443, "path": "/a/b/"})).is_empty()
        );
        let service = |path: &str| json!({"name": "a", "namespace": "b", "port": 443, "path": path});
        for (path, error) in [
            ("//", "path: Invalid value: \"//\": segment[0] may not be empty"),
            ("/a//b", "path: Invalid value: \"/a//b\": segment[1] may not be empty"),
            ("xa", "path: Invalid value: \"xa\": must start with a '/'"),
        ] {
            assert_eq!(found(webhook_service, &service(path)), [error]);
        }
        let error = &found(webhook_service, &service("/A"))[0];
        assert!(
            error.starts_with("path: Invalid value: \"/A\": segment[0]: a lowercase RFC 1123 subdomain"),
            "{error}"
        );
        assert_eq!(
            found(webhook_service, &json!({})),
            [
                "name: Required value",
                "namespace: Required value",
                "port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            ]
        );
        assert_eq!(found(webhook_service, &json!({"name": "a", "port": 443})), ["name: Required value"]);
    }

    #[test]
    fn paths_and_headers() {
        let cases: &[(Rule, &str, &[&str])] = &[
            (absolute_path, "a", &["must be an absolute path"]),
            (no_backsteps, "a/..b/c", &[]),
            (local_descending_path, "/a/..", &["must be a relative path", "must not contain '..'"]),
            (local_non_reserved_path, "..a", &["must not start with '..'"]),
            (local_non_reserved_path, "../a", &["must not contain '..'"]),
        ];
        for (check, path, errors) in cases {
            let expected: Vec<_> = errors.iter().map(|e| format!("<nil>: Invalid value: \"{path}\": {e}")).collect();
            assert_eq!(found(check, &json!(path)), expected, "{path}");
        }
        assert!(http_header_name("X-A1").is_empty());
        assert_eq!(http_header_name("a b").as_slice(), [HEADER]);
    }
}

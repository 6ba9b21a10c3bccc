//! Names of signers: `example.com/signer`.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext::quote;
use crate::model::syntax::{DNS1123_LABEL_BYTES, DNS1123_SUBDOMAIN_BYTES as SUBDOMAIN_BYTES, Texts};
use crate::rules::at::At;
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain};

/// Room for a domain, a slash, a label, a dot and a subdomain.
const NAME_BYTES: usize = 2 * SUBDOMAIN_BYTES + DNS1123_LABEL_BYTES + 2;

pub fn signer_name(at: &At, errs: &mut FieldErrors) {
    let name = at.str();
    if name.is_empty() {
        return at.required(errs, "");
    }
    let Some((domain, path)) = name.split_once('/').filter(|(_, path)| !path.contains('/')) else {
        return at.invalid(errs, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    };
    if domain.len() > SUBDOMAIN_BYTES {
        errs.push(FieldError::too_long(at.path(), SUBDOMAIN_BYTES));
    }
    labels(at, domain, dns1123_label, errs);
    if !domain.contains('.') {
        at.invalid_as(errs, domain, "should be a domain with at least two segments separated by dots");
    }
    labels(at, path, dns1123_subdomain, errs);
    if name.len() > NAME_BYTES {
        errs.push(FieldError::too_long(at.path(), NAME_BYTES));
    }
}

/// What is wrong with the first wrong label of a part.
fn labels(at: &At, part: &str, check: fn(&str) -> Texts, errs: &mut FieldErrors) {
    for label in part.split('.') {
        let wrong = check(label);
        for text in &wrong {
            at.invalid_as(errs, part, format!("validating label {}: {text}", quote(label)));
        }
        if !wrong.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn signers_have_a_domain_and_a_path() {
        for (name, errors) in [
            ("example.com/s.t", &[][..]),
            ("", &["Required value"]),
            ("a.b/c/d", &["Invalid value: \"a.b/c/d\": must be a fully qualified domain and path of "]),
            (
                "A/",
                &[
                    "Invalid value: \"A\": validating label \"A\": a lowercase RFC 1123 label ",
                    "Invalid value: \"A\": should be a domain with at least two segments sepa",
                    "Invalid value: \"\": validating label \"\": a lowercase RFC 1123 subdomain",
                ],
            ),
        ] {
            let (value, mut errs) = (json!(name), FieldErrors::new());
            signer_name(&At::new(&value, None), &mut errs);
            let found: Vec<_> = errs.iter().map(|e| e.body().chars().take(66).collect::<String>()).collect();
            let expected: Vec<_> = errors.iter().map(|e| e.chars().take(66).collect::<String>()).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

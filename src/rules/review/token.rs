//! TokenRequest: a token for a service account.

use crate::model::value::Value;
use crate::rules::fill;
use crate::rules::kind::{NONE, Rules};

pub const REQUEST: Rules = Rules {
    group: "authentication.k8s.io",
    kind: "TokenRequest",
    validate: |_, at, errs| {
        let spec = at.at("spec");
        let seconds = spec.at("expirationSeconds");
        if seconds.i64() < LEAST_SECONDS {
            seconds.invalid(errs, "may not specify a duration less than 10 minutes");
        }
        if seconds.i64() > MOST_SECONDS {
            seconds.invalid(errs, "may not specify a duration larger than 2^32 seconds");
        }
    },
    ..NONE
};

const DEFAULT_SECONDS: i64 = 3600;
const LEAST_SECONDS: i64 = 600;
const MOST_SECONDS: i64 = 1 << 32;

pub fn fill_request(object: &mut Value) {
    if let Some(spec) = fill::made(object, &["spec"]) {
        fill::default(spec, "expirationSeconds", DEFAULT_SECONDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::FieldErrors;
    use crate::model::value::json;
    use crate::rules::at::At;
    use crate::rules::kind::Cx;

    #[test]
    fn a_token_lives_an_hour_or_as_long_as_asked() {
        for (seconds, error) in [
            (Value::Null, ""),
            (json!(600), ""),
            (json!(0), "spec.expirationSeconds: Invalid value: 0: may not specify a duration less than 10 minutes"),
            (
                json!((1i64 << 32) + 1),
                "spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
            ),
        ] {
            let mut request = json!({"spec": {"expirationSeconds": seconds}});
            fill_request(&mut request);
            let mut errs = FieldErrors::new();
            (REQUEST.validate)(&Cx::for_tests(), &At::new(&request, None), &mut errs);
            assert_eq!(errs.iter().map(ToString::to_string).collect::<String>(), error);
        }
    }
}

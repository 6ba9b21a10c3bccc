//! AuthenticationConfiguration: issuers of tokens, and who may come without saying who they are.

use std::collections::BTreeSet;

use super::file::{read, shape};
use crate::auth::authenticator::Anonymous;
use crate::auth::oidc::expressions::{Expression, Sight, Unusable};
use crate::model::field::{FieldErrors, Path, aggregate};
use crate::model::gotext;
use crate::model::url::Url;
use crate::model::value::Value;
use crate::pki::certificate::Certificate;
use crate::rules::at::At;
use crate::rules::checks::names::domain_prefixed_path;

const KIND: &str = "AuthenticationConfiguration";
const SCHEME: &str = "k8s.io/kubernetes/pkg/kubeapiserver/options/authentication.go:879";
/// Issuers at most.
const ISSUERS: usize = 64;
const UNVERIFIED_EMAIL: &str = "claims.email_verified must be used in claimMappings.username.expression or \
     claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in \
     claimMappings.username.expression";

/// Reads a file's content, strictly; it is not validated yet. The error is stock's text.
pub fn parse(content: &[u8]) -> Result<Value, String> {
    if content.is_empty() {
        return Err("empty config data".into());
    }
    read(content, KIND, SCHEME)
}

/// What is wrong with a configuration. `disallowed`: issuers of the server's own tokens.
pub fn validate(configuration: &Value, disallowed: &[String]) -> Result<(), String> {
    let errs = errors(configuration, disallowed);
    if errs.is_empty() { Ok(()) } else { Err(aggregate(errs.iter().map(|error| error.to_string().into()))) }
}

/// Who may come without saying who they are; `None` when the file does not say.
pub fn anonymous(configuration: &Value) -> Option<Anonymous> {
    let anonymous = configuration.get("anonymous").filter(|value| !value.is_null())?;
    if anonymous["enabled"] != true {
        return Some(Anonymous::Nobody);
    }
    let paths = anonymous["conditions"].as_array().into_iter().flatten();
    let paths: Vec<String> = paths.map(|condition| condition["path"].as_str().unwrap_or("").to_owned()).collect();
    Some(if paths.is_empty() { Anonymous::Everybody } else { Anonymous::Paths(paths) })
}

fn errors(configuration: &Value, disallowed: &[String]) -> FieldErrors {
    let mut errs = FieldErrors::new();
    let root = At::new(configuration, shape(KIND));
    let issuers = root.at("jwt");
    if issuers.len() > ISSUERS {
        issuers.too_many(&mut errs, ISSUERS);
        return errs;
    }
    let (mut urls, mut discoveries) = (BTreeSet::new(), BTreeSet::new());
    for jwt in issuers.items() {
        let issuer_at = jwt.at("issuer");
        issuer(&issuer_at, disallowed, &mut errs);
        let mut used = Used::default();
        claim_rules(&jwt.at("claimValidationRules"), &mut used, &mut errs);
        mappings(&jwt.at("claimMappings"), &mut used, &mut errs);
        user_rules(&jwt.at("userValidationRules"), &mut errs);
        let (url, discovery) = (issuer_at.at("url"), issuer_at.at("discoveryURL"));
        if !urls.insert(url.str()) {
            url.duplicate(&mut errs);
        }
        if !discovery.is_empty() && !discoveries.insert(discovery.str()) {
            discovery.duplicate(&mut errs);
        }
    }
    let anonymous = root.at("anonymous");
    let conditions = anonymous.at("conditions");
    if anonymous.exists() && !anonymous.at("enabled").bool() && !conditions.is_empty() {
        conditions.invalid(&mut errs, "enabled should be set to true when conditions are defined");
    }
    errs
}

/// Of which claims the expressions make use.
#[derive(Default)]
struct Used {
    email: bool,
    email_verified: bool,
}

fn issuer(issuer: &At, disallowed: &[String], errs: &mut FieldErrors) {
    let (url, discovery) = (issuer.at("url"), issuer.at("discoveryURL"));
    match url.str() {
        "" => url.required(errs, ""),
        text => {
            if disallowed.iter().any(|own| own == text) {
                let own: BTreeSet<&str> = disallowed.iter().map(String::as_str).collect();
                let own = gotext::list(&own.into_iter().collect::<Vec<_>>());
                url.invalid(errs, format!("URL must not overlap with disallowed issuers: {own}"));
            }
            url_of(&url, errs);
        }
    }
    if !discovery.is_empty() {
        let bare = |at: &At| at.str().trim_end_matches('/').to_owned();
        if !url.is_empty() && bare(&url) == bare(&discovery) {
            discovery.invalid(errs, "discoveryURL must be different from URL");
        }
        url_of(&discovery, errs);
    }
    audiences(&issuer.at("audiences"), &issuer.at("audienceMatchPolicy"), errs);
    let authority = issuer.at("certificateAuthority");
    if !authority.is_empty() && Certificate::all_from_pem(authority.str().as_bytes()).is_err() {
        authority.invalid_as(errs, "<omitted>", "data does not contain any valid RSA or ECDSA certificates");
    }
    let egress = issuer.at("egressSelectorType");
    match egress.str() {
        "" => {}
        "controlplane" | "cluster" => {
            let which = gotext::quote(egress.str());
            egress.invalid(errs, format!("oidc: egress lookup for {which} is not configured"));
        }
        _ => egress.invalid(errs, "egress selector must be either controlplane or cluster"),
    }
}

fn url_of(at: &At, errs: &mut FieldErrors) {
    let url = match Url::parse(at.str()) {
        Ok(url) => url,
        Err(why) => return at.invalid(errs, why),
    };
    if url.scheme != "https" {
        at.invalid(errs, "URL scheme must be https");
    }
    if url.user.is_some() {
        at.invalid(errs, "URL must not contain a username or password");
    }
    if !url.query.is_empty() {
        at.invalid(errs, "URL must not contain a query");
    }
    if !url.fragment.is_empty() {
        at.invalid(errs, "URL must not contain a fragment");
    }
}

fn audiences(audiences: &At, policy: &At, errs: &mut FieldErrors) {
    if audiences.is_empty() {
        audiences.required(errs, format!("at least one {} is required", audiences.path()));
        return;
    }
    let mut seen = BTreeSet::new();
    for audience in audiences.items() {
        if audience.is_empty() {
            audience.required(errs, "");
        }
        if !seen.insert(audience.str()) {
            audience.duplicate(errs);
        }
    }
    match (audiences.len(), policy.str()) {
        (_, "MatchAny") | (1, "") => {}
        (1, _) => policy.invalid(errs, "audienceMatchPolicy must be empty or MatchAny for single audience"),
        _ => policy.invalid(errs, "audienceMatchPolicy must be MatchAny for multiple audiences"),
    }
}

fn claim_rules(rules: &At, used: &mut Used, errs: &mut FieldErrors) {
    let (mut claims, mut expressions) = (BTreeSet::new(), BTreeSet::new());
    for rule in rules.items() {
        let (claim, expression) = (rule.at("claim"), rule.at("expression"));
        match (claim.is_empty(), expression.is_empty()) {
            (false, false) => rule.invalid_as(errs, claim.str(), "claim and expression can't both be set"),
            (true, true) => rule.required(errs, "claim or expression is required"),
            (false, true) => {
                if !rule.at("message").is_empty() {
                    rule.at("message").invalid(errs, "may not be specified when claim is set");
                }
                if !claims.insert(claim.str()) {
                    claim.duplicate(errs);
                }
            }
            (true, false) => {
                if !rule.at("requiredValue").is_empty() {
                    rule.at("requiredValue").invalid(errs, "may not be specified when expression is set");
                }
                if !expressions.insert(expression.str()) {
                    expression.duplicate(errs);
                } else if let Some(compiled) = compile(&expression, Sight::Claims, true, errs) {
                    used.email_verified |= compiled.program.selects("claims", "email_verified");
                }
            }
        }
    }
}

fn mappings(mappings: &At, used: &mut Used, errs: &mut FieldErrors) {
    let (username, groups, uid) = (mappings.at("username"), mappings.at("groups"), mappings.at("uid"));
    if let Some(compiled) = prefixed(&username, true, errs) {
        used.email |= compiled.program.selects("claims", "email");
        used.email_verified |= compiled.program.selects("claims", "email_verified");
    }
    prefixed(&groups, false, errs);
    match (uid.at("claim").is_empty(), uid.at("expression").is_empty()) {
        (false, false) => uid.invalid_as(errs, "", "claim and expression can't both be set"),
        (_, false) => drop(compile(&uid.at("expression"), Sight::Claims, false, errs)),
        _ => {}
    }
    let mut keys = BTreeSet::new();
    let extra = mappings.at("extra");
    for item in extra.items() {
        let (key, expression) = (item.at("key"), item.at("valueExpression"));
        extra_key(&key, errs);
        if !keys.insert(key.str()) {
            key.duplicate(errs);
        } else if expression.is_empty() {
            expression.required(errs, "");
        } else if let Some(compiled) = compile(&expression, Sight::Claims, false, errs) {
            used.email_verified |= compiled.program.selects("claims", "email_verified");
        }
    }
    if used.email && !used.email_verified {
        username.at("expression").invalid(errs, UNVERIFIED_EMAIL);
    }
}

fn extra_key(key: &At, errs: &mut FieldErrors) {
    domain_prefixed_path(key, errs);
    if key.str() != key.str().to_lowercase() {
        key.invalid(errs, "must be lowercase");
    }
    let domain = key.str().split_once('/').map_or("", |(domain, _)| domain);
    let is_of = |owner: &str| domain == owner || domain.strip_suffix(owner).is_some_and(|rest| rest.ends_with('.'));
    if is_of("kubernetes.io") || is_of("k8s.io") {
        key.invalid(errs, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use");
    }
}

/// The compiled expression, when there is one and nothing is wrong.
fn prefixed(at: &At, needed: bool, errs: &mut FieldErrors) -> Option<Expression> {
    let (claim, prefix, expression) = (at.at("claim"), at.at("prefix"), at.at("expression"));
    let before = errs.len();
    let mut compiled = None;
    match (claim.is_empty(), expression.is_empty()) {
        (false, false) => at.invalid_as(errs, "", "claim and expression can't both be set"),
        (true, true) if needed => at.required(errs, "claim or expression is required"),
        (true, true) => {}
        (true, false) => {
            if prefix.exists() {
                prefix.invalid(errs, "may not be specified when expression is set");
            }
            compiled = compile(&expression, Sight::Claims, false, errs);
        }
        (false, true) if prefix.is_null() => prefix.required(
            errs,
            "prefix is required when claim is set. It can be set to an empty string to disable prefixing",
        ),
        (false, true) => {}
    }
    compiled.filter(|_| errs.len() == before)
}

fn user_rules(rules: &At, errs: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for rule in rules.items() {
        let expression = rule.at("expression");
        if expression.is_empty() {
            expression.required(errs, "");
        } else if !seen.insert(expression.str()) {
            expression.duplicate(errs);
        } else {
            compile(&expression, Sight::User, true, errs);
        }
    }
}

fn compile(at: &At, sight: Sight, judges: bool, errs: &mut FieldErrors) -> Option<Expression> {
    match Expression::compile(at.str(), sight, judges) {
        Ok(compiled) => return Some(compiled),
        Err(Unusable::Invalid(why)) => at.invalid(errs, why),
        Err(Unusable::Internal(why)) => at.internal(errs, why),
    }
    None
}

/// The same from the flags `--oidc-*`.
#[derive(Clone, Debug, Default)]
pub struct OidcFlags {
    pub issuer_url: String,
    pub client_id: String,
    /// PEM.
    pub certificate_authority: String,
    pub username_claim: String,
    pub username_prefix: String,
    pub groups_claim: String,
    pub groups_prefix: String,
    /// Claims and their values.
    pub required_claims: Vec<(String, String)>,
}

impl OidcFlags {
    /// The configuration that the flags stand for.
    pub fn to_configuration(&self) -> Value {
        use crate::model::value::json;
        let prefix = match self.username_prefix.as_str() {
            "" if self.username_claim != "email" => format!("{}#", self.issuer_url),
            "-" => String::new(),
            prefix => prefix.to_owned(),
        };
        let mut jwt = json!({
            "issuer": {"url": self.issuer_url.as_str(), "audiences": [self.client_id.as_str()]},
            "claimMappings": {"username": {"claim": self.username_claim.as_str(), "prefix": prefix}}
        });
        if !self.groups_claim.is_empty() {
            let (claim, prefix) = (self.groups_claim.as_str(), self.groups_prefix.as_str());
            jwt["claimMappings"]["groups"] = json!({"claim": claim, "prefix": prefix});
        }
        if !self.certificate_authority.is_empty() {
            jwt["issuer"]["certificateAuthority"] = self.certificate_authority.as_str().into();
        }
        let rule =
            |(claim, value): &(String, String)| json!({"claim": claim.as_str(), "requiredValue": value.as_str()});
        if !self.required_claims.is_empty() {
            jwt["claimValidationRules"] = self.required_claims.iter().map(rule).collect();
        }
        json!({ "jwt": [jwt] })
    }
}

/// What a file that is read again may not change.
pub fn check_unchanged(initial: &Value, fresh: &Value) -> Result<(), String> {
    match initial.get("anonymous") == fresh.get("anonymous") {
        true => Ok(()),
        false => {
            let root = Path::Root;
            let at = root.name("anonymous");
            Err(crate::model::field::FieldError::forbidden(&at, "changed from initial configuration file").to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(yaml: &str) -> String {
        let whole = format!("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n{yaml}");
        let judge = |configuration| validate(&configuration, &["https://own".to_owned()]);
        match parse(whole.as_bytes()).and_then(judge) {
            Ok(()) => "right".into(),
            Err(why) => why,
        }
    }

    /// One issuer, with these parts in place of the right ones.
    fn jwt(issuer: &str, rest: &str) -> String {
        let issuer = if issuer.is_empty() { "{url: 'https://i', audiences: [a]}" } else { issuer };
        let rest = if rest.is_empty() { "claimMappings: {username: {claim: sub, prefix: ''}}" } else { rest };
        judged(&format!("jwt:\n- issuer: {issuer}\n  {rest}\n"))
    }

    #[test]
    fn files_are_read_strictly() {
        assert_eq!(jwt("", ""), "right");
        assert_eq!(judged("jwt: []"), "right");
        assert_eq!(parse(b"").expect_err("refused"), "empty config data");
        let unknown = jwt("{url: 'https://i', audiences: [a], urls: x}", "");
        assert_eq!(unknown, "strict decoding error: unknown field \"jwt[0].issuer.urls\"");
        let mistaken = jwt("{url: 7, audiences: [a]}", "");
        assert_eq!(mistaken, "json: cannot unmarshal number into Go struct field Issuer.jwt.issuer.url of type string");
        let twice = judged("jwt: []\njwt: []");
        assert!(twice.contains("key \"jwt\" already set in map"), "{twice}");
        assert_eq!(
            parse(b"kind: AuthenticationConfiguration").expect_err("refused"),
            "Object 'apiVersion' is missing in 'kind: AuthenticationConfiguration'"
        );
        assert_eq!(
            parse(b"{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}").expect_err("refused"),
            "no kind \"Pod\" is registered for version \"v1\" in scheme \
             \"k8s.io/kubernetes/pkg/kubeapiserver/options/authentication.go:879\""
        );
        for garbage in ["[", "a: b: c", "7", "\u{0}", "{", "- a"] {
            assert!(parse(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn issuers_are_judged() {
        let at = "jwt[0].issuer.";
        let cases = [
            ("{audiences: [a]}", "url: Required value"),
            ("{url: 'http://i', audiences: [a]}", "url: Invalid value: \"http://i\": URL scheme must be https"),
            (
                "{url: 'https://u:p@i', audiences: [a]}",
                "url: Invalid value: \"https://u:p@i\": URL must not contain a username or password",
            ),
            (
                "{url: 'https://i?q', audiences: [a]}",
                "url: Invalid value: \"https://i?q\": URL must not contain a query",
            ),
            (
                "{url: 'https://i#f', audiences: [a]}",
                "url: Invalid value: \"https://i#f\": URL must not contain a fragment",
            ),
            (
                "{url: 'https://own', audiences: [a]}",
                "url: Invalid value: \"https://own\": URL must not overlap with disallowed issuers: [https://own]",
            ),
            (
                "{url: 'https://i', discoveryURL: 'https://i/', audiences: [a]}",
                "discoveryURL: Invalid value: \"https://i/\": discoveryURL must be different from URL",
            ),
            ("{url: 'https://i'}", "audiences: Required value: at least one jwt[0].issuer.audiences is required"),
            ("{url: 'https://i', audiences: ['']}", "audiences[0]: Required value"),
            (
                "{url: 'https://i', audiences: [a, b]}",
                "audienceMatchPolicy: Invalid value: \"\": audienceMatchPolicy must be MatchAny for multiple audiences",
            ),
            (
                "{url: 'https://i', audiences: [a], audienceMatchPolicy: All}",
                "audienceMatchPolicy: Invalid value: \"All\": audienceMatchPolicy must be empty or MatchAny for single audience",
            ),
            (
                "{url: 'https://i', audiences: [a], certificateAuthority: x}",
                "certificateAuthority: Invalid value: \"<omitted>\": data does not contain any valid RSA or ECDSA certificates",
            ),
            (
                "{url: 'https://i', audiences: [a], egressSelectorType: x}",
                "egressSelectorType: Invalid value: \"x\": egress selector must be either controlplane or cluster",
            ),
        ];
        for (issuer, why) in cases {
            assert_eq!(jwt(issuer, ""), format!("{at}{why}"), "{issuer}");
        }
        let two =
            "- issuer: {url: 'https://i', audiences: [a]}\n  claimMappings: {username: {claim: sub, prefix: ''}}\n";
        assert_eq!(judged(&format!("jwt:\n{two}{two}")), "jwt[1].issuer.url: Duplicate value: \"https://i\"");
        assert!(judged(&format!("jwt:\n{}", two.repeat(65))).starts_with("jwt: Too many: 65"));
    }

    #[test]
    fn rules_and_mappings_are_judged() {
        let cases = [
            ("claimMappings: {}", "jwt[0].claimMappings.username: Required value: claim or expression is required"),
            (
                "claimMappings: {username: {claim: sub}}",
                "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to \
                 an empty string to disable prefixing",
            ),
            (
                "claimMappings: {username: {claim: sub, expression: claims.sub}}",
                "jwt[0].claimMappings.username: Invalid value: \"\": claim and expression can't both be set",
            ),
            (
                "claimMappings: {username: {prefix: a, expression: claims.sub}}",
                "jwt[0].claimMappings.username.prefix: Invalid value: \"a\": may not be specified when expression is set",
            ),
            (
                "claimMappings: {username: {expression: claims.email}}",
                "jwt[0].claimMappings.username.expression: Invalid value: \"claims.email\": claims.email_verified must be \
                 used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or \
                 claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression",
            ),
            ("claimMappings: {username: {expression: \"has(claims.email_verified) ? claims.email : ''\"}}", "right"),
            (
                "claimMappings: {username: {expression: 'claims.'}}",
                "jwt[0].claimMappings.username.expression: Invalid value: \"claims.\": compilation failed: ERROR: \
                 <input>:1:8: Syntax error: no viable alternative at input '.'\n | claims.\n | .......^",
            ),
            (
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: level, valueExpression: claims.a}]}",
                "jwt[0].claimMappings.extra[0].key: Invalid value: \"level\": must be a domain-prefixed path (such as \
                 \"acme.io/foo\")",
            ),
            (
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: a.k8s.io/b, valueExpression: claims.a}]}",
                "jwt[0].claimMappings.extra[0].key: Invalid value: \"a.k8s.io/b\": k8s.io, kubernetes.io and their \
                 subdomains are reserved for Kubernetes use",
            ),
            (
                "claimMappings: {username: {claim: sub, prefix: ''}}\n  claimValidationRules: [{claim: a, expression: b}]",
                "jwt[0].claimValidationRules[0]: Invalid value: \"a\": claim and expression can't both be set",
            ),
            (
                "claimMappings: {username: {claim: sub, prefix: ''}}\n  claimValidationRules: [{expression: claims.a}]",
                "jwt[0].claimValidationRules[0].expression: Invalid value: \"claims.a\": must evaluate to bool",
            ),
            (
                "claimMappings: {username: {claim: sub, prefix: ''}}\n  userValidationRules: [{message: x}]",
                "jwt[0].userValidationRules[0].expression: Required value",
            ),
            (
                "claimMappings: {username: {claim: sub, prefix: ''}}\n  userValidationRules: [{expression: user.name == ''}]",
                "jwt[0].userValidationRules[0].expression: Invalid value: \"user.name == ''\": compilation failed: ERROR: \
                 <input>:1:5: undefined field 'name'\n | user.name == ''\n | ....^",
            ),
        ];
        for (rest, why) in cases {
            assert_eq!(jwt("", rest), why, "{rest}");
        }
    }

    #[test]
    fn who_may_be_anonymous_is_read_and_stays() {
        let read = |yaml: &str| {
            let whole =
                format!("apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n{yaml}");
            parse(whole.as_bytes()).expect("a file")
        };
        let paths = read("anonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}]}");
        assert_eq!(anonymous(&paths), Some(Anonymous::Paths(vec!["/livez".into(), "/readyz".into()])));
        assert_eq!(anonymous(&read("anonymous: {enabled: true}")), Some(Anonymous::Everybody));
        assert_eq!(anonymous(&read("anonymous: {enabled: false}")), Some(Anonymous::Nobody));
        assert_eq!(anonymous(&read("jwt: []")), None);
        let wrong = judged("anonymous: {enabled: false, conditions: [{path: /livez}]}");
        assert!(wrong.ends_with("enabled should be set to true when conditions are defined"), "{wrong}");
        assert_eq!(check_unchanged(&paths, &paths), Ok(()));
        assert_eq!(
            check_unchanged(&paths, &read("jwt: []")),
            Err("anonymous: Forbidden: changed from initial configuration file".into())
        );
    }

    #[test]
    fn flags_stand_for_a_configuration() {
        let flags = OidcFlags {
            issuer_url: "https://i".into(),
            client_id: "c".into(),
            username_claim: "sub".into(),
            ..OidcFlags::default()
        };
        let prefix = |flags: &OidcFlags| {
            let configuration = flags.to_configuration();
            assert_eq!(validate(&configuration, &[]), Ok(()));
            configuration["jwt"][0]["claimMappings"]["username"]["prefix"].clone()
        };
        assert_eq!(prefix(&flags), "https://i#");
        assert_eq!(prefix(&OidcFlags { username_claim: "email".into(), ..flags.clone() }), "");
        assert_eq!(prefix(&OidcFlags { username_prefix: "-".into(), ..flags.clone() }), "");
        let full = OidcFlags {
            username_prefix: "o:".into(),
            groups_claim: "groups".into(),
            required_claims: vec![("hd".into(), "x".into())],
            ..flags.clone()
        };
        assert_eq!(prefix(&full), "o:");
        assert_eq!(full.to_configuration()["jwt"][0]["claimValidationRules"][0]["requiredValue"], "x");
        let own = validate(&flags.to_configuration(), &["https://i".into()]).expect_err("refused");
        assert!(own.contains("URL must not overlap with disallowed issuers"), "{own}");
    }
}

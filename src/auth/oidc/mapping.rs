//! From claims to a user, as the configuration of an issuer says.

use compact_str::CompactString;

use super::expressions::{Expression, Sight, Unusable, seen};
use crate::auth::identity::{CREDENTIAL_ID, Extra, Identity};
use crate::auth::token::claims::credential_id;
use crate::model::gotext;
use crate::model::value::{Map, Value};
use crate::schema::cel::value::Val;

const NO_TEXTS: &str = "expression must return a string or a list of strings";

/// What becomes of a token's claims.
pub(super) struct Mapping {
    username: Source,
    groups: Source,
    uid: Source,
    extra: Vec<(CompactString, Expression)>,
    /// Claims that must have these values.
    required: Vec<(String, String)>,
    claim_rules: Vec<(Expression, String)>,
    user_rules: Vec<(Expression, String)>,
}

/// Where a part of the user comes from.
enum Source {
    Nowhere,
    Claim { name: String, prefix: String },
    Expression(Box<Expression>),
}

impl Mapping {
    /// Of one `jwt` item, which has been validated.
    pub(super) fn new(jwt: &Value) -> Result<Self, String> {
        let mappings = &jwt["claimMappings"];
        let items = |list: &'static str| jwt[list].as_array().into_iter().flatten();
        let extra = mappings["extra"].as_array().into_iter().flatten();
        let rules = items("claimValidationRules");
        let (claims, judging): (Vec<_>, Vec<_>) = rules.partition(|rule| !text(rule, "claim").is_empty());
        let rule = |rule: &Value, sight| {
            Ok::<_, String>((compile(text(rule, "expression"), sight, true)?, text(rule, "message").to_owned()))
        };
        Ok(Self {
            username: Source::new(&mappings["username"])?,
            groups: Source::new(&mappings["groups"])?,
            uid: Source::new(&mappings["uid"])?,
            extra: extra
                .map(|item| {
                    Ok((text(item, "key").into(), compile(text(item, "valueExpression"), Sight::Claims, false)?))
                })
                .collect::<Result<_, String>>()?,
            required: claims
                .into_iter()
                .map(|rule| (text(rule, "claim").to_owned(), text(rule, "requiredValue").to_owned()))
                .collect(),
            claim_rules: judging.into_iter().map(|item| rule(item, Sight::Claims)).collect::<Result<_, _>>()?,
            user_rules: items("userValidationRules").map(|item| rule(item, Sight::User)).collect::<Result<_, _>>()?,
        })
    }

    /// The claim that holds the groups; empty when they come from elsewhere.
    pub(super) fn groups_claim(&self) -> &str {
        if let Source::Claim { name, .. } = &self.groups { name } else { "" }
    }

    /// The user of these claims, if every rule is kept.
    pub(super) fn user(&self, claims: &Value) -> Result<Identity, String> {
        let map = claims.as_object().ok_or("oidc: parse claims: no object")?;
        let mut user = Identity { name: self.username(claims, map)?, ..Identity::default() };
        user.groups = self.groups(claims, map)?;
        user.uid = self.uid(claims, map)?;
        user.extra = self.extra(claims, map)?;
        for (claim, wanted) in &self.required {
            if !map.contains_key(claim) {
                return Err(format!("oidc: required claim {claim} not present in ID token"));
            }
            let found = string(map, claim).map_err(|why| format!("oidc: parse claim {claim}: {why}"))?;
            if found != *wanted {
                return Err(format!(
                    "oidc: required claim {claim} value does not match. Got = {found}, want = {wanted}"
                ));
            }
        }
        judge(&self.claim_rules, Sight::Claims, claims)
            .map_err(|why| format!("oidc: error evaluating claim validation expression: {why}"))?;
        if !self.user_rules.is_empty() {
            judge(&self.user_rules, Sight::User, &seen(&user))
                .map_err(|why| format!("oidc: error evaluating user info validation rule: {why}"))?;
        }
        Ok(user)
    }

    fn username(&self, claims: &Value, map: &Map) -> Result<CompactString, String> {
        let (name, prefix) = match &self.username {
            Source::Nowhere => return Err("oidc: parse username claims \"\": claim not present".into()),
            Source::Claim { name, prefix } => (name, prefix),
            Source::Expression(expression) => {
                let bad = |why: &str| format!("oidc: error evaluating username claim expression: {why}");
                return match expression.run(Sight::Claims, claims).map_err(|why| bad(&why))? {
                    Val::String(name) if name.is_empty() => {
                        Err("oidc: empty username via CEL expression is not allowed".into())
                    }
                    Val::String(name) => Ok((*name).into()),
                    _ => Err(bad("username claim expression must return a string")),
                };
            }
        };
        let username =
            present(map, name).map_err(|why| format!("oidc: parse username claims {}: {why}", gotext::quote(name)))?;
        if name == "email" && map.contains_key("email_verified") {
            match &map["email_verified"] {
                Value::Bool(true) => {}
                Value::Bool(false) | Value::Null => return Err("oidc: email not verified".into()),
                other => {
                    let why = mistaken(other, "bool");
                    return Err(format!("oidc: parse 'email_verified' claim: {why}"));
                }
            }
        }
        Ok([prefix.as_str(), &username].concat().into())
    }

    fn groups(&self, claims: &Value, map: &Map) -> Result<Vec<CompactString>, String> {
        match &self.groups {
            Source::Nowhere => Ok(Vec::new()),
            Source::Claim { name, prefix } => {
                let Some(value) = map.get(name.as_str()) else { return Ok(Vec::new()) };
                let groups = one_or_many(value)
                    .map_err(|why| format!("oidc: parse groups claim {}: {why}", gotext::quote(name)))?;
                Ok(groups.into_iter().map(|group| [prefix.as_str(), group].concat().into()).collect())
            }
            Source::Expression(expression) => {
                let texts = expression.run(Sight::Claims, claims).and_then(|value| texts(&value));
                texts.map_err(|why| format!("oidc: error evaluating group claim expression: {why}"))
            }
        }
    }

    fn uid(&self, claims: &Value, map: &Map) -> Result<CompactString, String> {
        match &self.uid {
            Source::Nowhere => Ok(CompactString::default()),
            Source::Claim { name, .. } => present(map, name)
                .map(CompactString::from)
                .map_err(|why| format!("oidc: parse uid claim {}: {why}", gotext::quote(name))),
            Source::Expression(expression) => {
                let bad = |why: &str| format!("oidc: error evaluating uid claim expression: {why}");
                match expression.run(Sight::Claims, claims).map_err(|why| bad(&why))? {
                    Val::String(uid) => Ok((*uid).into()),
                    _ => Err(bad("uid claim expression must return a string")),
                }
            }
        }
    }

    fn extra(&self, claims: &Value, map: &Map) -> Result<Extra, String> {
        let mut extra = Extra::new();
        if let Some(Value::String(jti)) = map.get("jti").filter(|jti| **jti != "") {
            extra.insert(CREDENTIAL_ID.into(), vec![credential_id(jti).into()]);
        }
        for (key, expression) in &self.extra {
            let value = expression.run(Sight::Claims, claims)?;
            let texts = texts(&value)
                .map_err(|why| format!("oidc: error evaluating extra claim expression: {}: {why}", expression.text))?;
            if !texts.is_empty() {
                extra.insert(key.clone(), texts);
            }
        }
        Ok(extra)
    }
}

impl Source {
    fn new(value: &Value) -> Result<Self, String> {
        Ok(match (text(value, "claim"), text(value, "expression")) {
            ("", "") => Self::Nowhere,
            ("", expression) => Self::Expression(Box::new(compile(expression, Sight::Claims, false)?)),
            (claim, _) => Self::Claim { name: claim.to_owned(), prefix: text(value, "prefix").to_owned() },
        })
    }
}

fn compile(expression: &str, sight: Sight, judges: bool) -> Result<Expression, String> {
    Expression::compile(expression, sight, judges).map_err(|why| match why {
        Unusable::Invalid(why) | Unusable::Internal(why) => why,
    })
}

/// All rules must come out true.
fn judge(rules: &[(Expression, String)], sight: Sight, sees: &Value) -> Result<(), String> {
    // Those that fail to be evaluated are told before those that come out false.
    let outcomes: Vec<_> = rules.iter().map(|(rule, _)| rule.run(sight, sees)).collect::<Result<_, _>>()?;
    for ((rule, message), outcome) in rules.iter().zip(outcomes) {
        match outcome {
            Val::Bool(true) => {}
            Val::Bool(false) => return Err(format!("validation expression '{}' failed: {message}", rule.text)),
            _ => return Err("validation expression must return a boolean".into()),
        }
    }
    Ok(())
}

/// Texts without the empty ones; null is none.
fn texts(value: &Val<'_>) -> Result<Vec<CompactString>, String> {
    let kept = |text: &str| (!text.is_empty()).then(|| CompactString::from(text));
    match value {
        Val::Null => Ok(Vec::new()),
        Val::String(text) => Ok(kept(text).into_iter().collect()),
        list if list.is_list() => {
            let text = |item: Result<Val<'_>, _>| match item {
                Ok(Val::String(text)) => Ok(kept(&text)),
                _ => Err(NO_TEXTS.to_owned()),
            };
            list.items().filter_map(|item| text(item).transpose()).collect()
        }
        _ => Err(NO_TEXTS.into()),
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or("")
}

fn present(map: &Map, claim: &str) -> Result<String, String> {
    if map.contains_key(claim) { string(map, claim) } else { Err("claim not present".into()) }
}

/// A claim that is a text. Null is an empty one, as Go reads it.
fn string(map: &Map, claim: &str) -> Result<String, String> {
    match map.get(claim) {
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(Value::Null) | None => Ok(String::new()),
        Some(other) => Err(mistaken(other, "string")),
    }
}

/// A text, or a list of texts.
pub(super) fn one_or_many(value: &Value) -> Result<Vec<&str>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => {
            let text = |item: &'_ Value| if item.is_null() { None } else { item.as_str().map(str::len) };
            if items.iter().any(|item| !item.is_null() && text(item).is_none()) {
                return Err(mistaken(value, "string"));
            }
            Ok(items.iter().map(|item| item.as_str().unwrap_or("")).collect())
        }
        other => Err(mistaken(other, "string")),
    }
}

/// What Go says of a value of another type.
pub(super) fn mistaken(value: &Value, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {wanted}", value.type_name())
}

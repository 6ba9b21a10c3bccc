//! Tokens of an issuer from end to end: discovery, keys, claims, users, and everything that is refused.

use std::sync::Arc;

use compact_str::CompactString;

use super::issuer::Issuer;
use super::issuers::{ALGORITHMS, Issuers};
use super::testing::{Provider, Signer};
use crate::auth::authenticator::RemoteTokens as _;
use crate::auth::configured::authentication::validate;
use crate::auth::metrics::Metrics;
use crate::base::clock::Clock;
use crate::model::value::{Value, json};

fn by_sub() -> Value {
    json!({"username": {"claim": "sub", "prefix": "oidc:"}})
}

async fn start(jwt: &Value, algorithms: &[&str]) -> Arc<Issuer> {
    let configuration = json!({"jwt": [jwt.clone()]});
    validate(&configuration, &[]).expect("a right configuration");
    let algorithms: Vec<String> = algorithms.iter().map(|name| (*name).to_owned()).collect();
    let issuer = Issuer::start(jwt, &algorithms, (&Clock::machine(), &Metrics::default())).expect("an issuer");
    ready(|| issuer.health()).await;
    issuer
}

/// The issuer's configuration is asked for by a task of its own.
async fn ready(health: impl Fn() -> Result<(), String>) {
    for _ in 0..3000 {
        if health().is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("{:?}", health());
}

async fn ask(issuer: &Issuer, token: &str) -> String {
    match issuer.authenticate(token).await {
        Ok(None) => "nobody".into(),
        Err(why) => why,
        Ok(Some(user)) => {
            let extra: Vec<_> = user.extra.iter().map(|(key, values)| format!(" {key}={}", values.join(","))).collect();
            let uid = if user.uid.is_empty() { String::new() } else { format!(" uid={}", user.uid) };
            format!("{}{uid} {}{}", user.name, user.groups.join(","), extra.concat())
        }
    }
}

fn seconds(from_now: i64) -> i64 {
    Clock::machine().now().as_second() + from_now
}

/// The claims that every token needs, and `more`.
fn claims(provider: &Provider, more: &Value) -> Value {
    let mut claims =
        json!({"iss": provider.url.as_str(), "aud": "k8s", "sub": "jane", "exp": seconds(600), "iat": seconds(-5)});
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name.as_str()] = value.clone();
    }
    claims
}

#[tokio::test]
async fn every_algorithm_verifies_and_no_other() {
    let provider = Provider::start().await;
    let signers: Vec<Signer> = ALGORITHMS.iter().map(|name| Signer::new(name, name)).collect();
    provider.publish_keys("max-age=600", &signers.iter().collect::<Vec<_>>());
    let issuer = start(&provider.jwt(by_sub()), &ALGORITHMS).await;
    for signer in &signers {
        let token = signer.sign(&claims(&provider, &json!({"n": signer.algorithm})));
        assert_eq!(ask(&issuer, &token).await, "oidc:jane system:authenticated", "{}", signer.algorithm);
        assert_eq!(ask(&issuer, &token).await, "oidc:jane system:authenticated", "remembered");
        let mut forged = token.clone();
        forged.replace_range(token.len() - 9..token.len() - 5, "AAAA");
        assert!(ask(&issuer, &forged).await.starts_with("oidc: verify token: failed to verify signature"));
    }
    assert_eq!(provider.asked(), ["/.well-known/openid-configuration", "/keys"]);
}

#[tokio::test]
async fn no_token_chooses_how_it_is_verified() {
    let provider = Provider::start().await;
    let (rsa, other) = (Signer::new("k", "RS256"), Signer::new("k", "ES256"));
    let mut symmetric = json!({"kty": "oct", "k": "c2VjcmV0"});
    symmetric["kid"] = "s".into();
    let keys = json!({"keys": [rsa.jwk(), symmetric, {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "o"}]});
    provider.publish("/keys", "max-age=600", &keys.to_string());
    let issuer = start(&provider.jwt(by_sub()), &["RS256"]).await;
    let text = claims(&provider, &json!({})).to_string();
    let unsupported = |alg: &str| {
        format!(
            "oidc: verify token: oidc: id token signed with unsupported algorithm, expected [\"RS256\"] got \"{alg}\""
        )
    };
    for alg in ["none", "HS256", "ES256", "RS384", "PS256", "rs256", ""] {
        let token = rsa.sign_as(&json!({"alg": alg, "kid": "k"}), &text);
        assert_eq!(ask(&issuer, &token).await, unsupported(alg));
    }
    let confused = other.sign_as(&json!({"alg": "RS256", "kid": "k"}), &text);
    let unverified = "oidc: verify token: failed to verify signature: failed to verify id token signature";
    assert_eq!(ask(&issuer, &confused).await, unverified, "a signature of another sort");
    let critical = rsa.sign_as(&json!({"alg": "RS256", "kid": "k", "crit": ["b64"]}), &text);
    assert_eq!(ask(&issuer, &critical).await, "oidc: verify token: oidc: malformed jwt");
    let unsigned = format!("{}.", confused.rsplit_once('.').expect("parts").0);
    assert_eq!(ask(&issuer, &unsigned).await, unverified);
    assert!(ask(&issuer, &rsa.sign_as(&json!({"alg": "RS256"}), &text)).await.starts_with("oidc:jane"), "no kid: any");
}

#[tokio::test]
async fn a_token_must_be_for_us_and_for_now() {
    let provider = Provider::start().await;
    let signer = Signer::new("k", "RS256");
    provider.publish_keys("max-age=600", &[&signer]);
    let issuer = start(&provider.jwt(by_sub()), &["RS256"]).await;
    let say = async |more: Value| ask(&issuer, &signer.sign(&claims(&provider, &more))).await;
    assert_eq!(
        say(json!({"exp": 946684800})).await,
        "oidc: verify token: oidc: token is expired (Token Expiry: 2000-01-01 00:00:00 +0000 UTC)"
    );
    assert_eq!(
        say(json!({"exp": Value::Null})).await,
        "oidc: verify token: oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)"
    );
    assert!(say(json!({"nbf": seconds(600)})).await.contains("before the nbf (not before) time: "));
    assert!(say(json!({"nbf": seconds(30)})).await.starts_with("oidc:jane"), "clocks may differ");
    assert_eq!(
        say(json!({"aud": ["a", "b"]})).await,
        "oidc: verify token: oidc: expected audience \"k8s\" got [\"a\" \"b\"]"
    );
    assert!(say(json!({"aud": ["a", "k8s"]})).await.starts_with("oidc:jane"));
    assert_eq!(
        say(json!({"aud": 7})).await,
        "oidc: verify token: oidc: failed to unmarshal claims: json: cannot unmarshal number into Go value of type string"
    );
    assert_eq!(say(json!({"iss": "https://other"})).await, "nobody");
    for text in ["", "x", "a.b", "a.b.c", "{}", "a.b.c.d", "....", "\u{1f600}.\u{1f600}.\u{1f600}"] {
        assert_eq!(ask(&issuer, text).await, "nobody", "{text}");
    }
}

#[tokio::test]
async fn huge_and_nested_claims_cost_little_and_are_refused() {
    let provider = Provider::start().await;
    let signer = Signer::new("k", "ES256");
    provider.publish_keys("max-age=600", &[&signer]);
    let issuer = start(&provider.jwt(by_sub()), &["ES256"]).await;
    let header = json!({"alg": "ES256", "kid": "k"});
    let with = |part: &str| {
        let whole = claims(&provider, &json!({})).to_string();
        signer.sign_as(&header, &format!("{},\"x\":{part}}}", whole.trim_end_matches('}')))
    };
    let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(ask(&issuer, &with(&nested)).await, "oidc: verify token: oidc: failed to unmarshal claims: no JSON");
    let huge = format!("\"{}\"", "a".repeat(70_000));
    assert_eq!(ask(&issuer, &with(&huge)).await, "nobody");
    assert!(ask(&issuer, &with("1")).await.starts_with("oidc:jane"));
    let double = signer.sign_as(&header, &format!("{{\"iss\":\"https://other\",\"iss\":\"{}\"}}", provider.url));
    assert_eq!(ask(&issuer, &double).await, "nobody", "a claim that is said twice");
}

#[tokio::test]
async fn claims_become_a_user() {
    let provider = Provider::start().await;
    let signer = Signer::new("k", "ES256");
    provider.publish_keys("max-age=600", &[&signer]);
    let mut jwt = provider.jwt(json!({
        "username": {"claim": "email", "prefix": ""},
        "groups": {"claim": "roles", "prefix": "g:"},
        "uid": {"claim": "id"}
    }));
    jwt["claimValidationRules"] = json!([{"claim": "hd", "requiredValue": "example.com"}]);
    let issuer = start(&jwt, &["ES256"]).await;
    let right = json!({"email": "j@x", "email_verified": true, "roles": ["a", "b"], "id": "7", "hd": "example.com", "jti": "t"});
    let say = async |name: &str, value: Value| {
        let mut more = right.clone();
        more[name] = value;
        ask(&issuer, &signer.sign(&claims(&provider, &more))).await
    };
    let jti = "authentication.kubernetes.io/credential-id=JTI=t";
    assert_eq!(say("sub", "x".into()).await, format!("j@x uid=7 g:a,g:b,system:authenticated {jti}"));
    assert_eq!(say("roles", "one".into()).await, format!("j@x uid=7 g:one,system:authenticated {jti}"));
    assert_eq!(say("email_verified", false.into()).await, "oidc: email not verified");
    assert_eq!(
        say("email_verified", "true".into()).await,
        "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool"
    );
    assert_eq!(
        say("email", 7.into()).await,
        "oidc: parse username claims \"email\": json: cannot unmarshal number into Go value of type string"
    );
    assert_eq!(
        say("roles", json!({})).await,
        "oidc: parse groups claim \"roles\": json: cannot unmarshal object into Go value of type string"
    );
    assert_eq!(
        say("hd", "evil.com".into()).await,
        "oidc: required claim hd value does not match. Got = evil.com, want = example.com"
    );
    let bare = signer.sign(&claims(&provider, &json!({"id": "7"})));
    assert_eq!(ask(&issuer, &bare).await, "oidc: parse username claims \"email\": claim not present");
}

#[tokio::test]
async fn expressions_make_and_judge_a_user() {
    let provider = Provider::start().await;
    let signer = Signer::new("k", "ES256");
    provider.publish_keys("max-age=600", &[&signer]);
    let mut jwt = provider.jwt(json!({
        "username": {"expression": "claims.name + ':external'"},
        "groups": {"expression": "claims.roles.split(',')"},
        "uid": {"expression": "claims.acme__dot__id"},
        "extra": [
            {"key": "example.org/level", "valueExpression": "claims.level > 2.5 ? 'high' : ''"},
            {"key": "example.org/tenant", "valueExpression": "claims.nested.deep__dash__er"}
        ]
    }));
    jwt["claimValidationRules"] =
        json!([{"expression": "claims.exp - claims.iat < 86400.0", "message": "it lives too long"}]);
    jwt["userValidationRules"] = json!([
        {"expression": "!user.username.startsWith('system:')", "message": "system users are made here"},
        {"expression": "user.groups.all(group, !group.startsWith('system:'))"}
    ]);
    let issuer = start(&jwt, &["ES256"]).await;
    let right =
        json!({"name": "jane", "roles": "a,,b", "acme.id": "7", "level": 3, "nested": {"deep-er": ["x", "", "y"]}});
    let say = async |name: &str, value: Value| {
        let mut more = right.clone();
        more[name] = value;
        ask(&issuer, &signer.sign(&claims(&provider, &more))).await
    };
    assert_eq!(
        say("other", 1.into()).await,
        "jane:external uid=7 a,b,system:authenticated example.org/level=high example.org/tenant=x,y"
    );
    assert_eq!(
        say("level", 1.into()).await,
        "jane:external uid=7 a,b,system:authenticated example.org/tenant=x,y",
        "what is empty is left out"
    );
    assert_eq!(
        say("exp", seconds(200_000).into()).await,
        "oidc: error evaluating claim validation expression: validation expression 'claims.exp - claims.iat < 86400.0' \
         failed: it lives too long"
    );
    assert_eq!(
        say("name", "system:admin".into()).await,
        "oidc: error evaluating user info validation rule: validation expression \
         '!user.username.startsWith('system:')' failed: system users are made here"
    );
    assert!(
        say("roles", "system:masters".into()).await.starts_with("oidc: error evaluating user info validation rule")
    );
    assert_eq!(
        say("acme.id", 7.into()).await,
        "oidc: error evaluating uid claim expression: uid claim expression must return a string"
    );
    assert_eq!(
        say("roles", 7.into()).await,
        "oidc: error evaluating group claim expression: expression 'claims.roles.split(',')' resulted in error: no such \
         overload: split(double, string)"
    );
}

#[tokio::test]
async fn keys_are_kept_and_rotated() {
    let provider = Provider::start().await;
    let (old, new) = (Signer::new("old", "ES256"), Signer::new("new", "ES256"));
    provider.publish_keys("", &[&old]);
    let issuer = start(&provider.jwt(by_sub()), &["ES256"]).await;
    let token = |signer: &Signer, n: u32| signer.sign(&claims(&provider, &json!({"n": n})));
    let fetched = || provider.asked().iter().filter(|path| *path == "/keys").count();
    for n in 0..3 {
        assert!(ask(&issuer, &token(&old, n)).await.starts_with("oidc:jane"));
    }
    assert_eq!(fetched(), 1, "a known key is kept, whatever the issuer says of caches");
    for n in 0..50 {
        assert!(ask(&issuer, &token(&new, n)).await.contains("failed to verify id token signature"));
    }
    assert!(fetched() <= 2, "a flood of unknown keys asks no more often than once a second");
    provider.publish_keys("max-age=600", &[&old, &new]);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let all = futures_util::future::join_all((10..30).map(|n| {
        let (issuer, token) = (issuer.clone(), token(&new, n));
        async move { ask(&issuer, &token).await }
    }));
    assert!(all.await.iter().all(|answer| answer.starts_with("oidc:jane")), "a new key is found");
    let before = fetched();
    assert!(before <= 3, "those who come together ask once");
    provider.fail("/keys", 500, "");
    assert!(ask(&issuer, &token(&old, 40)).await.starts_with("oidc:jane"), "the issuer may be away");
    let stranger = Signer::new("stranger", "ES256");
    assert!(ask(&issuer, &token(&stranger, 1)).await.contains("failed to verify id token signature"));
    assert_eq!(fetched(), before, "keys that may be kept are not asked for again");
}

#[tokio::test]
async fn an_issuer_must_be_who_it_says_and_answer_within_bounds() {
    let provider = Provider::start().await;
    let signer = Signer::new("k", "ES256");
    let health = async |jwt: &Value| {
        let issuer =
            Issuer::start(jwt, &["ES256".to_owned()], (&Clock::machine(), &Metrics::default())).expect("an issuer");
        for _ in 0..1000 {
            let told = issuer.health().err().unwrap_or_default();
            if !told.ends_with("is not initialized") {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        String::new()
    };
    let why = |why: &str| format!("oidc: authenticator for issuer \"{}\" is not healthy: {why}", provider.url);
    let well_known = format!("Get \"{}/.well-known/openid-configuration\"", provider.url);
    let mut stranger = provider.jwt(by_sub());
    stranger["issuer"]["certificateAuthority"] = Provider::start().await.authority.into();
    assert_eq!(
        health(&stranger).await,
        why(&format!("{well_known}: tls: failed to verify certificate: x509: certificate signed by unknown authority"))
    );
    let document = json!({"issuer": "https://other", "jwks_uri": "https://x"});
    provider.publish("/.well-known/openid-configuration", "", &document.to_string());
    let mismatch = format!(
        "oidc: issuer did not match the issuer returned by provider, expected \"{}\" got \"https://other\"",
        provider.url
    );
    assert_eq!(health(&provider.jwt(by_sub())).await, why(&mismatch));
    provider.fail("/.well-known/openid-configuration", 404, "");
    assert_eq!(health(&provider.jwt(by_sub())).await, why("404 Not Found: no"));
    provider.fail("/.well-known/openid-configuration", 302, &format!("{}/elsewhere", provider.url));
    assert_eq!(health(&provider.jwt(by_sub())).await, why(&format!("{well_known}: a redirect is not followed")));
    provider.publish("/.well-known/openid-configuration", "", &"x".repeat(2 << 20));
    assert_eq!(
        health(&provider.jwt(by_sub())).await,
        why(&format!("{well_known}: the body is longer than 1048576 bytes"))
    );
    let document = json!({"issuer": provider.url.as_str(), "jwks_uri": format!("{}/keys", provider.url)});
    provider.publish("/elsewhere", "", &document.to_string());
    provider.publish_keys("", &[&signer]);
    let mut moved = provider.jwt(by_sub());
    moved["issuer"]["discoveryURL"] = format!("{}/elsewhere", provider.url).into();
    let issuer = start(&moved, &["ES256"]).await;
    assert!(ask(&issuer, &signer.sign(&claims(&provider, &json!({})))).await.starts_with("oidc:jane"));
}

#[tokio::test]
async fn groups_may_lie_elsewhere() {
    let (provider, elsewhere) = (Provider::start().await, Provider::start().await);
    let (signer, other) = (Signer::new("k", "ES256"), Signer::new("o", "ES256"));
    provider.publish_keys("max-age=600", &[&signer]);
    let mut jwt = provider.jwt(json!({
        "username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}
    }));
    jwt["issuer"]["certificateAuthority"] = format!("{}{}", provider.authority, elsewhere.authority).into();
    let issuer = start(&jwt, &["ES256"]).await;
    elsewhere.publish_keys("max-age=600", &[&other]);
    let groups = other.sign(&claims(&elsewhere, &json!({"groups": ["a", "b"]})));
    elsewhere.publish("/groups", "", &groups);
    let pointing = |endpoint: &str, source: &str, n: u32| {
        signer.sign(&claims(
            &provider,
            &json!({"n": n, "_claim_names": {"groups": source}, "_claim_sources": {"s": {"endpoint": endpoint, "access_token": "t"}}}),
        ))
    };
    let endpoint = format!("{}/groups", elsewhere.url);
    assert_eq!(ask(&issuer, &pointing(&endpoint, "s", 1)).await, "jane a,b,system:authenticated");
    assert!(elsewhere.asked().contains(&"/groups Bearer t".to_owned()));
    let refused = "oidc: could not expand distributed claims: ";
    assert_eq!(
        ask(&issuer, &pointing(&endpoint, "x", 2)).await,
        format!("{refused}id token _claim_names contained a source x missing in _claims_sources")
    );
    assert_eq!(
        ask(&issuer, &pointing("http://127.0.0.1:1/groups", "s", 3)).await,
        format!(
            "{refused}while getting distributed claim \"groups\": Get \"http://127.0.0.1:1/groups\": unsupported protocol \
             scheme: only https is spoken"
        )
    );
    elsewhere.publish("/groups", "", &signer.sign(&claims(&elsewhere, &json!({"groups": ["root"]}))));
    assert_eq!(
        ask(&issuer, &pointing(&endpoint, "s", 4)).await,
        format!(
            "{refused}verify distributed claim token: failed to verify signature: failed to verify id token signature"
        )
    );
}

#[tokio::test]
async fn issuers_are_exchanged_once_the_new_ones_are_ready() {
    let (first, second) = (Provider::start().await, Provider::start().await);
    let signer = Signer::new("k", "ES256");
    first.publish_keys("max-age=600", &[&signer]);
    second.publish_keys("max-age=600", &[&signer]);
    let algorithms = ["ES256".to_owned()];
    let configuration = |provider: &Provider| json!({"jwt": [provider.jwt(by_sub())]});
    let issuers =
        Issuers::start(&configuration(&first), &algorithms, (&Clock::machine(), &Metrics::default())).expect("issuers");
    ready(|| issuers.health()).await;
    let own: Arc<[CompactString]> = Arc::from(["api".into()]);
    let ask = async |provider: &Provider, wanted: &[CompactString]| {
        let token = signer.sign(&claims(provider, &json!({})));
        let found = issuers.authenticate(&token, wanted, &own).await.expect("an answer");
        found.map(|accepted| format!("{} for {}", accepted.user.name, accepted.audiences.join(",")))
    };
    assert_eq!(ask(&first, &own).await.as_deref(), Some("oidc:jane for api"));
    assert_eq!(ask(&first, &["other".into()]).await, None, "such a token is for this server alone");
    assert_eq!(ask(&second, &own).await, None);
    issuers.replace(&configuration(&second)).await.expect("exchanged");
    assert_eq!(ask(&first, &own).await, None);
    assert_eq!(ask(&second, &own).await.as_deref(), Some("oidc:jane for api"));
    issuers.replace(&json!({"jwt": []})).await.expect("none is needed");
    assert_eq!(ask(&second, &own).await, None);
}

//! Proofs of identity, good ones and bad ones, as they come over the wire.

use std::path::Path;
use std::process::Command;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use monokube::auth::token::discovery;
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::json;
use monokube::model::value::Value;
use monokube::pki::authority::{Authority, Leaf, Usage, Wanted};
use monokube::pki::key::Key;

use super::hostile::ask;
use super::rig::{Server, eventually};
use super::site::{Asked, Site};

const QUIET: &[&str] = &["--scheduler=false", "--controllers=namespace,serviceaccount"];
const SIGNATURE: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";

/// One who issues tokens.
pub struct Issuer {
    pub site: Site,
    key: Key,
    id: String,
}

impl Issuer {
    pub fn start() -> Self {
        let key = Key::generate().expect("a key");
        let keys = discovery::keys(std::slice::from_ref(key.public()));
        let id = keys["keys"][0]["kid"].as_str().expect("an id").to_owned();
        let answer = move |asked: &Asked| match asked.path.as_str() {
            "/.well-known/openid-configuration" => {
                Some(json!({"issuer": asked.url.as_str(), "jwks_uri": format!("{}/keys", asked.url)}).to_string())
            }
            "/keys" => Some(keys.to_string()),
            _ => None,
        };
        Self { site: Site::start(answer), key, id }
    }

    /// The claims of a good token, with others in their place.
    fn claims(&self, more: &Value) -> Value {
        let now = Clock::machine().now().as_second();
        let mut claims =
            json!({"iss": self.site.url.as_str(), "aud": "k8s", "sub": "jane", "groups": ["dev"], "exp": now + 600});
        for (name, value) in more.as_object().expect("claims") {
            claims[name.as_str()] = value.clone();
        }
        claims
    }

    pub fn token(&self, more: &Value) -> String {
        let head = json!({"alg": "ES256", "kid": self.id.as_str()});
        signed(&head, &self.claims(more), |message| self.key.sign_token(message).expect("a signature"))
    }

    pub fn write_authority(&self, path: &Path) -> String {
        std::fs::write(path, &self.site.authority).expect("written");
        path.display().to_string()
    }
}

fn signed(head: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    sealed(&head.to_string(), &claims.to_string(), sign)
}

fn sealed(head: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Who the server says one is.
fn who(server: &Server, token: &str) -> String {
    // curl does not send headers as long as some tokens here over HTTP/2.
    let review = ["--http1.1", "-d", r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#];
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let bearer = format!("Authorization: Bearer {token}");
    let (code, body) = ask(server, path, &[&bearer, "Content-Type: application/json"], &review);
    if code != 201 {
        return code.to_string();
    }
    let body: Value = body.parse().expect("JSON");
    let user = &body["status"]["userInfo"];
    let groups = user["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    format!("{} {}", user["username"].as_str().unwrap_or("-"), groups.join(","))
}

/// `alg: none`, key confusion, wrong keys, wrong times, wrong audiences, huge and nested claims: each is nobody.
fn refuses_bad_tokens(server: &Server, issuer: &Issuer) {
    let now = Clock::machine().now().as_second();
    let with = |more: Value| issuer.token(&more);
    let claims = issuer.claims(&json!({}));
    let other = Key::generate().expect("a key");
    let public = issuer.key.public().to_pem().expect("PEM");
    let confused = |key: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        signed(&json!({"alg": "HS256", "kid": issuer.id.as_str()}), &claims, |message| {
            hmac::sign(&key, message).as_ref().to_vec()
        })
    };
    // Written by hand: what nests so deep is no value that a test could drop.
    let nested = |claim: &str| {
        let text = issuer.claims(&json!({})).to_string();
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let claims = format!("{{\"{claim}\":{deep},{}", &text[1..]);
        sealed(&json!({"alg": "ES256", "kid": issuer.id.as_str()}).to_string(), &claims, |m| {
            issuer.key.sign_token(m).expect("signed")
        })
    };
    let half = |more: &str| format!("{}{more}", &issuer.token(&json!({}))[..80]);
    for (what, token) in [
        ("expired", with(json!({"exp": now - 60}))),
        ("not yet valid", with(json!({"nbf": now + 600}))),
        ("for another", with(json!({"aud": "other"}))),
        ("of another issuer", with(json!({"iss": "https://elsewhere.example.com"}))),
        ("without an end", with(json!({"exp": null}))),
        ("unsigned", signed(&json!({"alg": "none"}), &claims, |_| Vec::new())),
        ("unsigned, in capitals", signed(&json!({"alg": "NONE"}), &claims, |_| Vec::new())),
        ("signed with the public key", confused(public.as_bytes())),
        ("signed with the public key's bytes", confused(issuer.key.public().spki())),
        (
            "signed by another key",
            signed(&json!({"alg": "ES256", "kid": issuer.id.as_str()}), &claims, |m| {
                other.sign_token(m).expect("signed")
            }),
        ),
        ("nested claims", nested("sub")),
        ("nested beside", nested("x")),
        ("huge", with(json!({"x": "a".repeat(50_000)}))),
        ("cut off", half("")),
        ("three dots", half(".e30.e30")),
    ] {
        let said = who(server, &token);
        assert_eq!(said, "401", "{what}");
    }
    assert!(who(server, &with(json!({}))).contains("jane"), "and the good one is still good");
}

#[test]
fn tokens_of_an_issuer_named_by_flags() {
    let (folder, issuer) = (tempfile::tempdir().expect("a directory"), Issuer::start());
    let authority = issuer.write_authority(&folder.path().join("issuer.crt"));
    let flags = [
        format!("--oidc-issuer-url={}", issuer.site.url),
        "--oidc-client-id=k8s".to_owned(),
        format!("--oidc-ca-file={authority}"),
        "--oidc-groups-claim=groups".to_owned(),
        "--oidc-groups-prefix=team:".to_owned(),
        "--oidc-signing-algs=ES256".to_owned(),
        "--oidc-required-claim=dept=sales".to_owned(),
    ];
    let flags: Vec<&str> = QUIET.iter().copied().chain(flags.iter().map(String::as_str)).collect();
    let server = Server::start(&folder.path().join("data"), &flags);
    let sales = |more: Value| {
        let mut claims = json!({"dept": "sales"});
        more.as_object().into_iter().flatten().for_each(|(name, value)| claims[name.as_str()] = value.clone());
        issuer.token(&claims)
    };
    let name = format!("{}#jane team:dev,system:authenticated", issuer.site.url);
    eventually("the issuer", || who(&server, &sales(json!({}))) == name);
    assert_eq!(who(&server, &issuer.token(&json!({}))), "401", "without the claim");
    assert_eq!(who(&server, &sales(json!({"dept": "other"}))), "401");
    assert_eq!(who(&server, &sales(json!({"groups": "ops"}))), name.replace("dev", "ops"));
    server.terminate();
}

#[test]
fn tokens_of_issuers_that_stand_in_a_file() {
    let (folder, first, second) = (tempfile::tempdir().expect("a directory"), Issuer::start(), Issuer::start());
    let file = folder.path().join("authentication.yaml");
    let item = |issuer: &Issuer, prefix: &str| {
        json!({
            "issuer": {"url": issuer.site.url.as_str(), "audiences": ["k8s"], "certificateAuthority": issuer.site.authority.as_str()},
            "claimMappings": {"username": {"claim": "sub", "prefix": prefix}, "groups": {"claim": "groups", "prefix": ""}},
            "claimValidationRules": [{"expression": "claims.sub != 'mallory'", "message": "not you"}],
            "userValidationRules": [{"expression": "!user.username.startsWith('system:')", "message": "reserved"}]
        })
    };
    let write = |items: Vec<Value>| {
        let jwt: Value = items.into_iter().collect();
        std::fs::write(&file, format!("{SIGNATURE}jwt: {jwt}\n")).expect("written");
    };
    write(vec![item(&first, "a:"), item(&second, "")]);
    let flag = format!("--authentication-config={}", file.display());
    let server = Server::start(&folder.path().join("data"), &[QUIET, &[&flag]].concat());
    eventually("the first issuer", || who(&server, &first.token(&json!({}))) == "a:jane dev,system:authenticated");
    eventually("the second issuer", || who(&server, &second.token(&json!({}))) == "jane dev,system:authenticated");
    assert_eq!(who(&server, &second.token(&json!({"sub": "mallory"}))), "401", "a rule about claims");
    assert_eq!(who(&server, &second.token(&json!({"sub": "system:admin"}))), "401", "a rule about users");
    refuses_bad_tokens(&server, &first);
    write(vec![item(&second, "")]);
    eventually("the second issuer alone", || who(&server, &first.token(&json!({}))) == "401");
    assert!(who(&server, &second.token(&json!({}))).starts_with("jane"));
    let metrics = server.run("get --raw /metrics");
    assert!(
        metrics.contains("apiserver_authentication_config_controller_automatic_reloads_total"),
        "reloads are counted"
    );
    server.terminate();
}

#[test]
fn tokens_that_a_webhook_knows() {
    let folder = tempfile::tempdir().expect("a directory");
    let hook = Site::start(|asked| {
        let review: Value = asked.body.parse().ok()?;
        assert_eq!(review["apiVersion"], json!("authentication.k8s.io/v1"));
        let status = match review["spec"]["token"].as_str()? {
            "good" => json!({"authenticated": true, "user": {"username": "hooked", "groups": ["g"], "uid": "1"}}),
            "broken" => return None,
            _ => json!({"authenticated": false, "error": "who is that"}),
        };
        Some(json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}).to_string())
    });
    let kubeconfig = folder.path().join("hook.kubeconfig");
    let authority = base64::engine::general_purpose::STANDARD.encode(&hook.authority);
    let text = format!(
        "current-context: hook\ncontexts: [{{name: hook, context: {{cluster: hook}}}}]\nclusters: [{{name: hook, cluster: \
         {{server: '{}/review', certificate-authority-data: {authority}}}}}]\n",
        hook.url
    );
    std::fs::write(&kubeconfig, text).expect("written");
    let flag = format!("--authentication-token-webhook-config-file={}", kubeconfig.display());
    let flags = [QUIET, &[&flag, "--authentication-token-webhook-version=v1"]].concat();
    let server = Server::start(&folder.path().join("data"), &flags);
    assert_eq!(who(&server, "good"), "hooked g,system:authenticated");
    let asked = hook.asked().len();
    assert_eq!(who(&server, "good"), "hooked g,system:authenticated");
    assert_eq!(hook.asked().len(), asked, "the answer is remembered");
    assert_eq!(who(&server, "bad"), "401");
    assert_eq!(who(&server, "broken"), "401");
    let metrics = server.run("get --raw /metrics");
    for counted in ["request_total{status=\"hit\"} 1", "request_total{status=\"miss\"} ", "fetch_total{status=\"ok\"} "]
    {
        let counted = format!("authentication_token_cache_{counted}");
        assert!(metrics.contains(&counted), "{counted}: {metrics}");
    }
    // The server's own tokens are never shown to the webhook.
    let (own, before) = (server.run("create token default"), hook.asked().len());
    assert!(who(&server, own.trim()).starts_with("system:serviceaccount:default:default"));
    assert_eq!(hook.asked().len(), before);
    // Tokens of accounts: unsigned, or signed with what everybody may know.
    let token = own.trim();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64");
    let claims: Value = String::from_utf8(claims).expect("text").parse().expect("JSON");
    assert_eq!(who(&server, &signed(&json!({"alg": "none"}), &claims, |_| Vec::new())), "401");
    let public = std::fs::read(server.data_dir.join("pki/sa.pub")).expect("a key");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &public);
    assert_eq!(
        who(&server, &signed(&json!({"alg": "HS256"}), &claims, |m| hmac::sign(&key, m).as_ref().to_vec())),
        "401"
    );
    assert!(who(&server, token).starts_with("system:serviceaccount:default:default"));
    server.terminate();
}

/// A certificate of `authority`, from a year that may not be this one.
fn leaf(authority: &Authority, usage: Usage, years: i64) -> Leaf {
    let then = Clock::machine().now().as_second() + years * 365 * 24 * 3600;
    let clock = Clock::starting_at(jiff::Timestamp::from_second(then).expect("a time"));
    let wanted = Wanted { common_name: "jane", organizations: &["system:masters"], usage, ..Wanted::default() };
    authority.issue(&wanted, &clock, &Entropy::machine()).expect("a leaf")
}

/// The status for somebody with this certificate.
fn shown(server: &Server, folder: &Path, leaf: &Leaf) -> String {
    let (certificate, key) = (folder.join("c.crt"), folder.join("c.key"));
    std::fs::write(&certificate, leaf.certificate_pem().expect("PEM")).expect("written");
    std::fs::write(&key, leaf.key.to_pem().expect("PEM")).expect("written");
    let mut curl = Command::new("curl");
    curl.args(["-sk", "-o", "/dev/null", "-w", "%{http_code}", "--cert"]).arg(&certificate).arg("--key").arg(&key);
    let output = curl.arg(format!("{}/api/v1/secrets", server.address)).output().expect("curl runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn certificates_that_are_expired_early_for_servers_or_of_others() {
    let folder = tempfile::tempdir().expect("a directory");
    let long_ago = Clock::starting_at("2020-01-01T00:00:00Z".parse().expect("a time"));
    let create = |clock: &Clock| Authority::create("clients", None, clock, &Entropy::machine()).expect("an authority");
    let (ours, theirs) = (create(&long_ago), create(&Clock::machine()));
    let clients = folder.path().join("clients.crt");
    std::fs::write(&clients, ours.to_pem().expect("PEM")).expect("written");
    let flag = format!("--client-ca-file={}", clients.display());
    let server = Server::start(&folder.path().join("data"), &[QUIET, &[&flag]].concat());
    for (what, leaf, code) in [
        ("good", leaf(&ours, Usage::Client, 0), "200"),
        ("expired", leaf(&ours, Usage::Client, -2), "401"),
        ("not yet valid", leaf(&ours, Usage::Client, 2), "401"),
        ("for a server", leaf(&ours, Usage::Server, 0), "401"),
        ("of another authority of the same name", leaf(&theirs, Usage::Client, 0), "401"),
    ] {
        assert_eq!(shown(&server, folder.path(), &leaf), code, "{what}");
    }
    server.terminate();
}

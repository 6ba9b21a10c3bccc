//! A noisy run, and nothing secret in anything that it wrote or said.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use monokube::json;
use monokube::model::value::Value;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::credentials::Issuer;
use super::rig::{Server, told};
use super::site::Site;

/// Everything is recorded with what was sent and answered, but what is secret: as an administrator would have it.
const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: Metadata, resources: [{group: '', resources: [secrets, 'serviceaccounts/token']},
    {group: authentication.k8s.io}, {group: certificates.k8s.io}]}
- {level: RequestResponse}
";
const PASSWORD: &str = "correct-horse-battery-staple";
const FILE_TOKEN: &str = "file-token-0123456789abcdef";
const HOOK_TOKEN: &str = "hook-token-fedcba9876543210";
/// By which the server proves itself to the webhook.
const OWN_TOKEN: &str = "own-token-for-the-webhook-0123456789";
const BOOTSTRAP: (&str, &str) = ("abcdef", "0123456789abcdef");
/// Pieces of a secret that are looked for, so that a part of it is found, too.
const PIECE: usize = 16;

/// Bytes of a key's file, decoded, and where in it the secret number stands (SEC 1).
const KEY: usize = 121;
const NUMBER: std::ops::Range<usize> = 7..39;

/// What must not be found, with its name.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= PIECE, "{name} is too short to be looked for: {secret:?}");
        self.0.push((name.to_owned(), secret.to_owned()));
    }

    /// The secret number of a key on the curve P-256, as its file has it and as others would write it. The rest of the
    /// file is the public key, which anybody may know.
    fn add_key(&mut self, path: &Path) {
        use ::base64::Engine as _;
        use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let key = STANDARD.decode(&body).expect("base64");
        assert_eq!(key.len(), KEY, "{}: another sort of key", path.display());
        let (name, number) = (path.display().to_string(), &key[NUMBER]);
        self.add(&name, &body[NUMBER.start / 3 * 4..NUMBER.end / 3 * 4]);
        self.add(&name, &URL_SAFE_NO_PAD.encode(number));
        self.add(&name, &number.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }

    /// Claims and signature of a signed token. Its head is no secret.
    fn add_token(&mut self, name: &str, token: &str) {
        let parts = token.split('.').collect::<Vec<_>>();
        let [_, claims, signature] = parts[..] else { panic!("{token}") };
        self.add(&format!("the claims of {name}"), &claims[40..]);
        self.add(&format!("the signature of {name}"), signature);
    }

    /// Where in a text which of them stands.
    fn found(&self, place: &str, text: &str) -> Vec<String> {
        let is_there = |secret: &str| {
            let pieces = secret.as_bytes().windows(PIECE).step_by(PIECE);
            pieces.map(String::from_utf8_lossy).any(|piece| text.contains(piece.as_ref()))
        };
        let found = self.0.iter().filter(|(_, secret)| is_there(secret));
        found.map(|(name, _)| format!("{name} in {place}")).collect()
    }
}

fn curl(server: &Server, path: &str, arguments: &[&str]) -> String {
    let url = format!("{}{path}", server.address);
    let output = Command::new("curl").args(["-sk", "-i", "--max-time", "10"]).args(arguments).arg(url).output();
    told(&output.expect("curl runs"))
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Makes Secrets and tokens, and uses them rightly and wrongly. Gives what was answered to others than their owners.
fn noise(server: &Server, issuer: &Issuer, secrets: &mut Secrets) -> Vec<String> {
    secrets.add("a password", PASSWORD);
    secrets.add("a password, encoded", base64(PASSWORD).trim_end_matches('='));
    server.run(&format!("create secret generic s --from-literal=password={PASSWORD}"));
    server.run("get secret s -o yaml");
    server.run("get secrets -A");
    server.run(&format!("patch secret s -p {{\"stringData\":{{\"other\":\"{PASSWORD}\"}}}}"));
    let (id, secret) = BOOTSTRAP;
    let data = format!("--from-literal=token-id={id} --from-literal=token-secret={secret}");
    let kind = "--type=bootstrap.kubernetes.io/token --from-literal=usage-bootstrap-authentication=true";
    server.run(&format!("-n kube-system create secret generic bootstrap-token-{id} {kind} {data}"));
    secrets.add("a bootstrap token's secret", secret);
    secrets.add("the same, encoded", base64(secret).trim_end_matches('='));
    let token = server.run("create token default").trim().to_owned();
    secrets.add_token("a token", &token);
    secrets.add("a token of the file", FILE_TOKEN);
    secrets.add("a webhook's token", HOOK_TOKEN);
    secrets.add("the server's token for the webhook", OWN_TOKEN);
    let [sent, late, foreign] =
        [json!({}), json!({"exp": 1}), json!({"aud": "others"})].map(|more| issuer.token(&more));
    for (name, token) in [("an issuer's token", &sent), ("an old one", &late), ("one for others", &foreign)] {
        secrets.add_token(name, token);
    }
    let mean = ["status", "error", "nonsense"].map(|how| format!("{HOOK_TOKEN}-{how}"));
    let wrong = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
    let bootstrap = format!("{id}.{secret}");
    let mut answers = Vec::new();
    let known = [&token, &wrong, FILE_TOKEN, bootstrap.as_str(), &format!("{FILE_TOKEN}{token}")];
    let others = [&sent, &late, &foreign, HOOK_TOKEN, &mean[0], &mean[1], &mean[2]];
    for bearer in known.into_iter().chain(others) {
        let header = format!("Authorization: Bearer {bearer}");
        for extra in [&["--http1.1"][..], &["--http2"], &["-H", "Upgrade: websocket"], &["-X", "NONSENSE"]] {
            let arguments = [&["-H", header.as_str()][..], extra].concat();
            ["/api/v1/pods", "/version", "/apis/none", "/api/v1/watch/x/y/z"]
                .iter()
                .for_each(|path| answers.push(curl(server, path, &arguments)));
        }
        let doubled = [header.as_str(), "Impersonate-User: jane", "X-Remote-User: root", header.as_str()];
        let doubled: Vec<&str> = doubled.iter().flat_map(|header| ["-H", *header]).collect();
        answers.push(curl(server, "/api/v1/secrets", &doubled));
        answers.push(curl(server, "/api", &["-H", &format!("Authorization: {bearer}")]));
        let protocol = format!("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.{}", base64(bearer));
        answers.push(curl(server, "/api", &["-H", &protocol, "-H", "Upgrade: websocket", "-H", "Connection: Upgrade"]));
    }
    let review = format!(
        "{{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{{\"token\":\"{token}\"}}}}"
    );
    let reviewed = server.feed("create -f - -o yaml", &review);
    assert!(told(&reviewed).contains("authenticated: true"), "{}", told(&reviewed));
    let secret =
        |body: &str| format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"S!\"}},{body}}}");
    for body in ["\"data\":{\"a b\":\"x\"}", "\"type\":5", "\"data\":[]"] {
        let padded = format!("{body},\"stringData\":{{\"p\":\"{PASSWORD}\"}}");
        answers.push(told(&server.feed("create --validate=false -f -", &secret(&padded))));
    }
    server.run("delete secret s");
    answers
}

/// A webhook that repeats the tokens that it is shown, in every way in which it may.
fn mean_webhook() -> Site {
    Site::start(|asked| {
        let review: Value = asked.body.parse().ok()?;
        let token = review["spec"]["token"].as_str()?;
        let answer = |status: Value| {
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}).to_string()
        };
        Some(match token.rsplit('-').next() {
            Some("status") => json!({"kind": "Status", "apiVersion": "v1", "message": token}).to_string(),
            Some("nonsense") => token.to_owned(),
            _ if token == HOOK_TOKEN => answer(json!({"authenticated": true, "user": {"username": "hooked"}})),
            _ => answer(json!({"authenticated": false, "error": format!("I do not know {token}")})),
        })
    })
}

fn kubeconfig(hook: &Site, authority: &Path) -> String {
    format!(
        "current-context: hook\ncontexts: [{{name: hook, context: {{cluster: hook, user: me}}}}]\nusers: [{{name: me, user: \
         {{token: {OWN_TOKEN}}}}}]\nclusters: [{{name: hook, cluster: {{server: '{}/review', certificate-authority: \
         '{}'}}}}]\n",
        hook.url,
        authority.display()
    )
}

/// What is started from here on may dump its memory, as far as the machine allows.
fn let_dump() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: maximum, maximum }).expect("not above the most");
}

/// What the kernel writes of a process that breaks has all of its memory in it.
fn dumps_nothing(server: &Server) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("Linux");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[test]
fn a_noisy_run_tells_no_secret() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("policy.yaml"), POLICY).expect("written");
    std::fs::write(path("tokens.csv"), format!("{FILE_TOKEN},joe,u1,\"g1,g2\"\n")).expect("written");
    let flag = |name: &str, file: &str| format!("--{name}={}", path(file).display());
    let flags = [
        "-v=10".to_owned(),
        flag("audit-policy-file", "policy.yaml"),
        flag("audit-log-path", "audit.log"),
        flag("token-auth-file", "tokens.csv"),
    ];
    let (issuer, hook) = (Issuer::start(), mean_webhook());
    let issuers_authority = issuer.write_authority(&path("issuer.crt"));
    std::fs::write(path("hook.crt"), &hook.authority).expect("written");
    std::fs::write(path("hook.kubeconfig"), kubeconfig(&hook, &path("hook.crt"))).expect("written");
    let others = [
        format!("--oidc-issuer-url={}", issuer.site.url),
        "--oidc-client-id=k8s".to_owned(),
        "--oidc-signing-algs=ES256".to_owned(),
        format!("--oidc-ca-file={issuers_authority}"),
        flag("authentication-token-webhook-config-file", "hook.kubeconfig"),
        "--authentication-token-webhook-version=v1".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().chain(&others).map(String::as_str).collect();
    let_dump();
    let server = Server::start_logged(&path("data"), &flags, &path("server.log"));
    dumps_nothing(&server);
    let mut secrets = Secrets::default();
    let answers = noise(&server, &issuer, &mut secrets);
    assert!(hook.asked().len() >= 4, "the webhook has seen tokens");
    for key in std::fs::read_dir(server.data_dir.join("pki")).expect("the folder of keys") {
        let key = key.expect("a file").path();
        if key.extension().is_some_and(|extension| extension == "key") {
            secrets.add_key(&key);
        }
    }
    let metrics = server.run("get --raw /metrics");
    let debug = [
        "/healthz?verbose",
        "/readyz?verbose",
        "/livez?verbose",
        "/.well-known/openid-configuration",
        "/openid/v1/jwks",
    ]
    .map(|path| server.run(&format!("get --raw {path}")));
    assert!(server.terminate().success());

    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(path(name)).expect("a file")).into_owned();
    let (log, audit) = (read("server.log"), read("audit.log"));
    assert!(log.lines().count() > 100, "the log is as chatty as it can be");
    let recorded: BTreeSet<_> = ["secrets", "tokenreviews", "pods"]
        .into_iter()
        .filter(|resource| audit.contains(&format!("\"objectRef\":{{\"resource\":\"{resource}\"")))
        .collect();
    assert_eq!(recorded.len(), 3, "all of it is recorded: {recorded:?}");
    let mut found = secrets.found("the log", &log);
    found.extend(secrets.found("the audit log", &audit));
    found.extend(secrets.found("the metrics", &metrics));
    debug.iter().for_each(|text| found.extend(secrets.found("what anybody may ask", text)));
    answers.iter().for_each(|answer| found.extend(secrets.found("an answer", answer)));
    assert_eq!(found, Vec::<String>::new());
    for mark in ["PRIVATE KEY", "Bearer ey", "panicked at"] {
        assert!(!log.contains(mark) && !audit.contains(mark), "{mark}");
    }
}

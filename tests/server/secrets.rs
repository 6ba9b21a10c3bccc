//! A noisy run, and nothing secret in anything that it wrote or said.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::rig::{Server, told};

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
fn noise(server: &Server, secrets: &mut Secrets) -> Vec<String> {
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
    let claims = token.split('.').collect::<Vec<_>>();
    let [_, claims, signature] = claims[..] else { panic!("{token}") };
    secrets.add("the claims of a token", &claims[40..]);
    secrets.add("the signature of a token", signature);
    secrets.add("a token of the file", FILE_TOKEN);
    let wrong = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
    let bootstrap = format!("{id}.{secret}");
    let mut answers = Vec::new();
    for bearer in [&token, &wrong, FILE_TOKEN, bootstrap.as_str(), &format!("{FILE_TOKEN}{token}")] {
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
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::start_logged(&path("data"), &flags, &path("server.log"));
    let mut secrets = Secrets::default();
    let answers = noise(&server, &mut secrets);
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
    for mark in ["PRIVATE KEY", "Bearer ey"] {
        assert!(!log.contains(mark) && !audit.contains(mark), "{mark}");
    }
}

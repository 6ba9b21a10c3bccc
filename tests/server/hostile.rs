//! What comes with bad intent: forged headers, paths that mean to be others, credentials that were taken back. None of it
//! gets anywhere, and the server goes on.

use std::process::Command;

use super::raw::{Raw, plain};
use super::rig::Server;

const TOKENS: &str = "admin-token,admin,1,\"system:masters\"\njoe-token,joe,2,\"staff\"\n";
const ADMIN: &str = "Authorization: Bearer admin-token";
const JOE: &str = "Authorization: Bearer joe-token";

/// Status and body of an answer. The target is sent as it is written.
pub fn ask(server: &Server, target: &str, headers: &[&str], more: &[&str]) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--path-as-is", "-w", "\n%{http_code}", "--request-target", target]).args(more);
    for header in headers {
        curl.args(["-H", header]);
    }
    let output = curl.arg(&server.address).output().expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').expect("a status");
    (code.parse().expect("a status"), body.to_owned())
}

fn started(folder: &std::path::Path) -> Server {
    let tokens = folder.join("tokens.csv");
    std::fs::write(&tokens, TOKENS).expect("written");
    Server::start(&folder.join("data"), &[&format!("--token-auth-file={}", tokens.display())])
}

#[test]
fn what_means_ill_gets_nowhere() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = started(folder.path());
    forged_headers(&server);
    doubled_headers(&server);
    odd_targets(&server);
    odd_bytes(&server);
    slow_bodies(&server);
    large_bodies(&server);
    floods(&server);
    revoked(&server);
    assert_eq!(ask(&server, "/readyz", &[ADMIN], &[]).0, 200, "and the server goes on");
    server.terminate();
}

/// Only a front proxy may say who asks, and only who may impersonate acts as another.
fn forged_headers(server: &Server) {
    let (user, group) = ("X-Remote-User: admin", "X-Remote-Group: system:masters");
    let (code, body) = ask(server, "/api/v1/secrets", &[user, group], &[]);
    assert_eq!(code, 403);
    assert!(body.contains(r#"User \"system:anonymous\""#), "{body}");
    let review = ["-X", "POST", "-d", r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#];
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    for forged in [user, "x-remote-user: admin", "X-REMOTE-USER: admin", "X-Remote-Extra-Scopes: all"] {
        let (code, body) = ask(server, path, &[JOE, forged, group, "Content-Type: application/json"], &review);
        assert_eq!(code, 201, "{body}");
        let body = body.replace([' ', '\n'], "");
        assert!(body.contains(r#""username":"joe""#), "{body}");
        assert!(!body.contains("masters") && !body.contains("scopes"), "{body}");
    }
    for impersonating in ["Impersonate-User: admin", "Impersonate-User: joe", "Impersonate-Group: system:masters"] {
        let (code, body) = ask(server, "/api/v1/secrets", &[JOE, impersonating, "Impersonate-Group: x"], &[]);
        assert!(matches!(code, 400 | 403), "{impersonating}: {code} {body}");
    }
}

/// The first of several counts, and only the first.
fn doubled_headers(server: &Server) {
    assert_eq!(ask(server, "/api/v1/secrets", &[ADMIN, JOE], &[]).0, 200);
    assert_eq!(ask(server, "/api/v1/secrets", &[JOE, ADMIN], &[]).0, 403);
    assert_eq!(ask(server, "/api/v1/secrets", &["Authorization: Bearer nobody", ADMIN], &[]).0, 401);
    let joined = "Authorization: Bearer joe-token, Bearer admin-token";
    assert_eq!(ask(server, "/api/v1/secrets", &[joined], &[]).0, 401);
    for scheme in ["bearer", "BEARER", "Bearer  ", "Bearer\t", "Basic", ""] {
        let code = ask(server, "/api/v1/secrets", &[&format!("Authorization: {scheme} nobody")], &[]).0;
        assert!(matches!(code, 401 | 403), "{scheme:?}: {code}");
    }
}

/// Even for who may do everything, a target is what it says, or nothing.
fn odd_targets(server: &Server) {
    let overlong = format!("/api/v1/namespaces/default/pods/{}", "a".repeat(60_000));
    for target in [
        "/api/v1/namespaces/default/../kube-system/secrets",
        "/api/v1/namespaces/default/pods/..",
        "/api/v1/namespaces/default/pods/.",
        "/api/v1/namespaces/../secrets",
        "/api/v1/namespaces/default/pods/%2e%2e",
        "/api/v1/namespaces/default/pods/..%2f..%2fkube-system%2fsecrets",
        "/api/v1/namespaces/default%2fpods/x",
        "/api/v1/namespaces/default/pods/a%2fb",
        "/api/v1/namespaces/default/pods/a%00b",
        "/api/v1/namespaces/default/pods/%ff",
        "/api/v1/namespaces/default/pods/%zz",
        "/api//v1/namespaces/default/pods/x",
        "//api/v1/namespaces/default/pods/x",
        "/api/v1/namespaces//pods/x",
        "/api/v1/namespaces/default/pods/x/../../secrets",
        overlong.as_str(),
    ] {
        let (code, body) = ask(server, target, &[ADMIN], &[]);
        let shown = &target[..target.len().min(80)];
        assert!((400..500).contains(&code), "{shown}: {code} {body}");
        assert!(!body.contains("SecretList"), "{shown}: {body}");
    }
    // What an absolute target says of the host does not matter, who asks does.
    let absolute = "http://elsewhere.example.com/api/v1/secrets";
    assert_eq!(ask(server, absolute, &[JOE], &["--http1.1"]).0, 403);
    assert_eq!(ask(server, absolute, &[ADMIN], &["--http1.1"]).0, 200);
    let (code, _) = ask(server, "/api/v1/secrets", &[JOE, "X-Original-URL: /readyz", "X-Rewrite-URL: /readyz"], &[]);
    assert_eq!(code, 403);
    let large = format!("X-Large: {}", "a".repeat(2 << 20));
    let file = std::env::temp_dir().join(format!("monokube-headers-{}", std::process::id()));
    std::fs::write(&file, format!("{JOE}\n{large}\n")).expect("written");
    let from_file = format!("@{}", file.display());
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--http1.1", "-o", "/dev/null", "-w", "%{http_code}", "-H", &from_file]);
    let output = curl.arg(format!("{}/api/v1/secrets", server.address)).output().expect("curl runs");
    let code = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(["000", "400", "431"].contains(&code.as_str()), "{code}");
    let _ = std::fs::remove_file(file);
}

/// What curl would not send: NUL, overlong UTF-8, two lengths, a length and chunks, headers without an end.
fn odd_bytes(server: &Server) {
    let answered = |bytes: &[u8]| {
        let mut raw = Raw::open(server);
        raw.say(bytes);
        raw.answer().map(|(code, _, body)| (code, body))
    };
    let get = |target: &[u8]| [b"GET ", target, b" HTTP/1.1\r\nHost: k\r\n", ADMIN.as_bytes(), b"\r\n\r\n"].concat();
    assert_eq!(answered(&get(b"/readyz")).map(|(code, _)| code), Some(200));
    for target in [
        &b"/api/v1/secrets\0"[..],
        b"/api/v1/namespaces/default/secrets/\xc0\xae\xc0\xae/x",
        b"/api/v1/namespaces/default/secrets/%c0%ae%c0%ae%c0%afsecrets",
        b"/api/v1/namespaces/default/secrets/%e0%80%af",
        b"/api/v1/namespaces/default/secrets/a%0d%0aX: y",
        b"/api/v1/secrets\rX: y",
    ] {
        let (code, body) = answered(&get(target)).unwrap_or((400, String::new()));
        assert!((400..500).contains(&code), "{}: {code} {body}", target.escape_ascii());
        assert!(!body.contains("SecretList"), "{}: {body}", target.escape_ascii());
    }
    let post = "POST /api/v1/namespaces HTTP/1.1\r\nHost: k\r\nContent-Type: application/json\r\n";
    let smuggled = format!("GET /api/v1/secrets HTTP/1.1\r\nHost: k\r\n{ADMIN}\r\n\r\n");
    for lengths in ["Content-Length: 2\r\nContent-Length: 3\r\n", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"]
    {
        let mut raw = Raw::open(server);
        raw.say(format!("{post}{JOE}\r\n{lengths}\r\n0\r\n\r\n{smuggled}").as_bytes());
        let codes: Vec<u16> = std::iter::from_fn(|| raw.answer()).map(|(code, ..)| code).take(3).collect();
        assert!(codes.iter().all(|code| (400..500).contains(code)), "{lengths:?}: {codes:?}");
    }
}

/// A body that does not come holds nobody up for longer than the request says, and not at all where nobody is known.
fn slow_bodies(server: &Server) {
    let half = ["Content-Type: application/json", "Content-Length: 100"];
    let mut nobody = Raw::open(server);
    nobody.begin("POST /api/v1/namespaces", &["Authorization: Bearer nobody", half[0], half[1]]);
    assert_eq!(nobody.answer().expect("an answer").0, 401, "before the body is there");
    let mut slow = Raw::open(server);
    slow.begin("POST /api/v1/namespaces?timeout=500ms", &[ADMIN, half[0], half[1]]);
    slow.say(b"{");
    let (code, _, body) = slow.answer().expect("an answer");
    assert_eq!(code, 504, "{body}");
    assert!(body.contains(r#""reason":"Timeout""#), "{body}");
    for (timeout, why) in
        [("abc", "time: invalid duration \\\"abc\\\""), ("5", "time: missing unit in duration \\\"5\\\"")]
    {
        for header in [ADMIN, "Authorization: Bearer nobody"] {
            let (code, body) = ask(server, &format!("/api/v1/namespaces?timeout={timeout}"), &[header], &[]);
            assert_eq!(code, 400, "{body}");
            let text = format!("invalid timeout specified in the request URL - {why}");
            assert!(body.contains(&text), "{body}");
        }
    }
    assert_eq!(ask(server, "/api/v1/namespaces?timeout=20h", &[ADMIN], &[]).0, 200, "cut to the server's");
    assert_eq!(ask(server, "/api/v1/namespaces?timeout=0s", &[ADMIN], &[]).0, 200);
}

/// What is too large is not read, and a bomb is not unfolded.
fn large_bodies(server: &Server) {
    let mut large = Raw::open(server);
    let headers = [ADMIN, "Content-Type: application/json", "Content-Length: 999999999999"];
    large.begin("POST /api/v1/namespaces/default/configmaps", &headers);
    let (code, _, body) = large.answer().expect("an answer");
    assert_eq!(code, 413, "{body}");
    let nested = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &('b'..='p')
            .map(|c| format!("{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n", p = char::from(c as u8 - 1)))
            .collect::<String>();
    for (kind, body) in [("application/json", nested), ("application/yaml", bomb)] {
        let mut raw = Raw::open(server);
        let (kind, length) = (format!("Content-Type: {kind}"), format!("Content-Length: {}", body.len()));
        raw.begin("POST /api/v1/namespaces/default/configmaps", &[ADMIN, &kind, &length]);
        raw.say(body.as_bytes());
        let (code, _, answer) = raw.answer().expect("an answer");
        assert!((400..500).contains(&code), "{kind}: {code} {answer}");
    }
}

/// Requests without end before anybody is known, and connections that never say anything: nothing is kept of them.
fn floods(server: &Server) {
    let stored = || server.run("get configmaps,secrets,serviceaccounts,clusterrolebindings -A -o name");
    let (before, memory) = (stored(), resident(server));
    for _ in 0..5 {
        let many = format!("{}/api/v1/namespaces/default/secrets/[1-200]", server.address);
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--http1.1", "-o", "/dev/null", "-w", "%{http_code}\n", "-d", "{}"]);
        curl.args(["-H", "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.", &many]);
        let output = String::from_utf8(curl.output().expect("curl runs").stdout).expect("text");
        assert_eq!(output.lines().filter(|code| *code == "401").count(), 200, "{output}");
    }
    let silent: Vec<_> = (0..1200).map(|_| plain(server)).collect();
    assert_eq!(ask(server, "/readyz", &[ADMIN], &[]).0, 200, "whoever speaks is heard");
    let mut oldest = &silent[0];
    let mut byte = [0];
    assert!(matches!(std::io::Read::read(&mut oldest, &mut byte), Ok(0) | Err(_)), "the oldest of too many is cut off");
    drop(silent);
    assert_eq!(stored(), before);
    let grown = resident(server).saturating_sub(memory);
    assert!(grown < 64 << 20, "{grown} bytes more");
}

/// Bytes of memory that the server's process has.
fn resident(server: &Server) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", server.id())).expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}

/// A token lives no longer than its account.
fn revoked(server: &Server) {
    server.run("create serviceaccount robot");
    let token = server.run("create token robot");
    let header = format!("Authorization: Bearer {}", token.trim());
    assert_eq!(ask(server, "/version", &[&header], &[]).0, 200);
    let (head, rest) = header.rsplit_once('.').expect("a signature");
    let forged = format!("{head}.{}", rest.chars().rev().collect::<String>());
    assert_eq!(ask(server, "/version", &[&forged], &[]).0, 401);
    let unsigned = format!("{head}.");
    assert_eq!(ask(server, "/version", &[&unsigned], &[]).0, 401);
    server.run("delete serviceaccount robot");
    server.run("create serviceaccount robot");
    assert_eq!(ask(server, "/version", &[&header], &[]).0, 401, "another account of this name is another one");
}

//! What comes with bad intent: forged headers, paths that mean to be others, credentials that were taken back. None of it
//! gets anywhere, and the server goes on.

use std::process::Command;

use super::rig::Server;

const TOKENS: &str = "admin-token,admin,1,\"system:masters\"\njoe-token,joe,2,\"staff\"\n";
const ADMIN: &str = "Authorization: Bearer admin-token";
const JOE: &str = "Authorization: Bearer joe-token";

/// Status and body of an answer. The target is sent as it is written.
fn ask(server: &Server, target: &str, headers: &[&str], more: &[&str]) -> (u16, String) {
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

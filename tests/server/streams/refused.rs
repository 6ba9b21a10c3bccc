//! Streams and proxies that must not be: for whom, to where, and of whom.

use super::super::rig::{Server, told};
use super::{Rig, Speech};

const POD: &str = "/api/v1/namespaces/default/pods/one";

/// Server-side request forgery: nodes and pods say their own addresses (CVE-2020-8562, CVE-2022-3294, CVE-2025-13281).
#[test]
fn ssrf_by_an_address_that_nobody_checked_is_refused() {
    let rig = Rig::start(&[]);
    let not_allowed = |path: &str| {
        let answer = rig.curl(path, &[]);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("address not allowed"), "{path}: {answer}");
    };
    let own: String = rig.server.address.rsplit(':').next().expect("a port").to_owned();
    for path in ["/api/v1/nodes/n/proxy/", "/api/v1/nodes/n:80/proxy/", &format!("{POD}/proxy/"), &format!("{POD}/log")]
    {
        not_allowed(path);
    }
    let exec = rig.fed(Speech::Spdy, "exec one -- x", "");
    assert!(told(&exec).contains("address not allowed"), "{}", told(&exec));
    let exec = rig.fed(Speech::WebSocket, "exec one -- x", "");
    assert!(!exec.status.success() && told(&exec).contains("address not allowed"), "{}", told(&exec));
    for ip in ["169.254.169.254", "0.0.0.0", "::1", "fe80::1", "224.0.0.1"] {
        rig.status("pod/one", &format!(r#"{{"podIP": "{ip}", "podIPs": [{{"ip": "{ip}"}}]}}"#));
        not_allowed(&format!("{POD}:{own}/proxy/"));
        rig.status("node/n", &format!(r#"{{"addresses": [{{"type": "InternalIP", "address": "{ip}"}}]}}"#));
        not_allowed("/api/v1/nodes/n/proxy/");
    }
    // A service leads to no address that is not its pod's.
    rig.apply(
        r#"{"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s", "namespace": "default"}, "subsets": [{
        "addresses": [{"ip": "192.0.2.1", "targetRef": {"kind": "Pod", "namespace": "default", "name": "one"}}],
        "ports": [{"port": 80}]}]}"#,
    );
    let service = rig.curl("/api/v1/namespaces/default/services/s/proxy/", &[]);
    assert!(service.contains("no endpoints available for service"), "{service}");
    assert!(rig.seen().is_empty(), "nobody was asked");
}

/// Whoever may proxy must not come back as the server itself, with its certificate.
#[test]
fn this_server_is_no_backend_even_where_loopback_is_allowed() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    let own: u16 = rig.server.address.rsplit(':').next().expect("a port").parse().expect("a number");
    rig.status("node/n", &format!(r#"{{"daemonEndpoints": {{"kubeletEndpoint": {{"Port": {own}}}}}}}"#));
    let paths = [
        "/api/v1/nodes/n/proxy/api/v1/secrets".to_owned(),
        format!("/api/v1/nodes/https:n:{own}/proxy/api"),
        format!("/api/v1/namespaces/default/pods/https:one:{own}/proxy/api"),
        format!("{POD}/log"),
    ];
    for path in paths {
        let answer = rig.curl(&path, &[]);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("address not allowed"), "{path}: {answer}");
    }
}

#[test]
fn who_may_only_get_may_not_begin_a_stream() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    rig.server.run("create role reader --verb=get --resource=pods,pods/exec,pods/attach,pods/portforward");
    rig.server.run("create rolebinding reader --role=reader --user=joe");
    for sort in ["exec", "attach", "portforward"] {
        let upgrade =
            ["-H", "Authorization: Bearer joe-token", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
        let answer = rig.curl(&format!("{POD}/{sort}?command=x&stdout=1"), &upgrade);
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("pods \\\"one\\\" is forbidden"),
            "{sort}: {answer}"
        );
    }
    assert!(rig.seen().is_empty(), "nobody was asked");
}

/// CVE-2022-3172 and its kin: a kubelet sends nobody elsewhere.
#[test]
fn redirects_of_kubelets_lead_nowhere() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    let away = rig.curl("/api/v1/nodes/n/proxy/away", &[]);
    assert!(away.starts_with("HTTP/1.1 502 ") && !away.contains("192.0.2.1"), "{away}");
    let here = rig.curl("/api/v1/nodes/n/proxy/here", &[]);
    assert!(here.contains("\nlocation: /api/v1/nodes/n/proxy/there/?a=b\n"), "{here}");
}

#[test]
fn a_kubelet_of_another_authority_is_not_believed() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    let other = tempfile::tempdir().expect("a directory");
    let authority = rig.server.data_dir.join("pki/ca.crt");
    let client = rig.server.data_dir.parent().expect("a folder").join("kubelet");
    let flags = [
        "--scheduler=false".to_owned(),
        "--controllers=namespace".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--proxy-to-loopback".to_owned(),
        format!("--kubelet-client-certificate={}", client.join("apiserver-kubelet-client.crt").display()),
        format!("--kubelet-client-key={}", client.join("apiserver-kubelet-client.key").display()),
        format!("--kubelet-certificate-authority={}", authority.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::start(other.path(), &flags);
    let rig = Rig { server, ..rig };
    rig.populate();
    let said = rig.server.refused("logs one");
    assert!(said.contains("x509: certificate signed by unknown authority"), "{said}");
    let exec = rig.fed(Speech::Spdy, "exec one -- x", "");
    assert!(told(&exec).contains("error dialing backend"), "{}", told(&exec));
    assert!(rig.server.run("logs one --insecure-skip-tls-verify-backend").contains("/containerLogs/default/one/main"));
    assert_eq!(rig.seen().len(), 1, "and nobody else was asked");
}

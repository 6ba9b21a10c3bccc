//! Logs, exec, attach, port-forward and proxy, of a kubelet, a pod and a service.

mod kubelet;
mod refused;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use self::kubelet::Kubelet;
use super::rig::{Server, told};

const TOKENS: &str = "admin-token,admin,1,\"system:masters\"\njoe-token,joe,2,\"staff\"\n";

/// A server, the kubelet of its only node, and a pod of two containers on it.
struct Rig {
    kubelet: Kubelet,
    server: Server,
    _folder: tempfile::TempDir,
}

/// How kubectl speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Spdy,
    WebSocket,
}

impl Rig {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let pki = folder.path().join("kubelet");
        std::fs::create_dir(&pki).expect("made");
        let kubelet = Kubelet::start(&pki);
        let tokens = folder.path().join("tokens.csv");
        std::fs::write(&tokens, TOKENS).expect("written");
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let flags = [
            "--scheduler=false".to_owned(),
            "--controllers=namespace".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            file("token-auth-file", &tokens),
            file("kubelet-client-certificate", &pki.join("apiserver-kubelet-client.crt")),
            file("kubelet-client-key", &pki.join("apiserver-kubelet-client.key")),
            file("kubelet-certificate-authority", &pki.join("ca.crt")),
        ];
        let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        flags.extend(more);
        let server = Server::start(&folder.path().join("data"), &flags);
        let rig = Self { kubelet, server, _folder: folder };
        rig.populate();
        rig
    }

    fn populate(&self) {
        self.apply(r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}"#);
        let port = self.kubelet.secure.port();
        self.status(
            "node/n",
            &format!(
                r#"{{"addresses": [{{"type": "InternalIP", "address": "127.0.0.1"}}],
                "daemonEndpoints": {{"kubeletEndpoint": {{"Port": {port}}}}}}}"#
            ),
        );
        let plain = self.kubelet.plain.port();
        for (name, containers) in
            [("one", "[C]"), ("two", r#"[C, {"name": "side", "image": "i"}]"#), ("broken", "[C]"), ("refusing", "[C]")]
        {
            let main = format!(r#"{{"name": "main", "image": "i", "ports": [{{"containerPort": {plain}}}]}}"#);
            let containers = containers.replace('C', &main);
            self.apply(&format!(
                r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}", "namespace": "default"}},
                    "spec": {{"nodeName": "n", "containers": {containers}}}}}"#
            ));
            self.status(
                &format!("pod/{name}"),
                r#"{"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}"#,
            );
        }
    }

    fn apply(&self, manifest: &str) {
        let output = self.server.feed("create -f -", manifest);
        assert!(output.status.success(), "{}", told(&output));
    }

    fn status(&self, what: &str, status: &str) {
        let patch = format!(r#"{{"status": {status}}}"#);
        let output =
            self.server.kubectl(&["patch", what, "--subresource=status", "--type=merge", "-p", &patch]).output();
        let output = output.expect("kubectl runs");
        assert!(output.status.success(), "{}", told(&output));
    }

    fn speaking(&self, speech: Speech, line: &str) -> Command {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = self.server.kubectl(&arguments);
        let value = if speech == Speech::Spdy { "false" } else { "true" };
        command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", value).env("KUBECTL_PORT_FORWARD_WEBSOCKETS", value);
        command
    }

    /// Runs it with this on stdin.
    fn fed(&self, speech: Speech, line: &str, stdin: &str) -> Output {
        let mut command = self.speaking(speech, line);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kubectl runs");
        child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    }

    /// What the kubelet or the pod has been asked, in order.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.kubelet.seen.lock().expect("not poisoned"))
    }

    /// Status, headers and body of an answer, by curl over HTTP/1.1.
    fn curl(&self, path: &str, more: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--http1.1", "--path-as-is", "-i", "-m", "20"]).args(more);
        if !more.iter().any(|argument| argument.starts_with("Authorization")) {
            curl.args(["-H", "Authorization: Bearer admin-token"]);
        }
        let output = curl.arg(format!("{}{path}", self.server.address)).output().expect("curl runs");
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

#[test]
fn logs_are_the_kubelets_for_as_long_as_they_are_followed() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    let server = &rig.server;
    assert_eq!(server.run("logs one"), "/containerLogs/default/one/main \n");
    let all = server.run("logs two -c side --previous --tail=5 --since=10s --timestamps --limit-bytes=100");
    assert_eq!(
        all,
        "/containerLogs/default/two/side limitBytes=100&previous=true&sinceSeconds=10&tailLines=5&timestamps=true\n"
    );
    let raw = |query: &str| rig.curl(&format!("/api/v1/namespaces/default/pods/two/log?{query}"), &[]);
    let many = raw("");
    assert!(many.contains("a container name must be specified for pod two, choose one of: [main side]"), "{many}");
    assert!(raw("container=x").contains("container x is not valid for pod two"));
    let invalid = raw("container=main&tailLines=-1");
    assert!(
        invalid.starts_with("HTTP/1.1 422") && invalid.contains("PodLogOptions \\\"two\\\" is invalid"),
        "{invalid}"
    );
    assert!(raw("container=main&insecureSkipTLSVerifyBackend=true").contains("/containerLogs/default/two/main"));
    let waiting = server.refused("logs broken");
    assert!(waiting.contains("waiting to start: ContainerCreating"), "{waiting}");

    let mut following = server.kubectl(&["logs", "-f", "one"]).stdout(Stdio::piped()).spawn().expect("kubectl runs");
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "first line", "at once, not when a buffer is full");
    rig.kubelet.works();
    following.kill().expect("killed");
    let _ = following.wait();
    rig.kubelet.rests();
}

#[test]
fn commands_run_over_spdy_and_over_websocket() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    for speech in [Speech::Spdy, Speech::WebSocket] {
        rig.seen();
        let echoed = rig.fed(speech, "exec -i one -- cat", "said\n");
        assert_eq!(out(&echoed), "said\ndone\n", "{}", told(&echoed));
        let seen = rig.seen();
        assert!(seen.iter().any(|line| line.contains("/exec/default/one/main?command=cat")), "{seen:?}");

        let failed = rig.fed(speech, "exec two -c side -- fail", "");
        assert_eq!(failed.status.code(), Some(3), "{}", told(&failed));
        assert!(String::from_utf8_lossy(&failed.stderr).contains("went wrong"), "{}", told(&failed));
        let seen = rig.seen();
        assert!(
            seen.iter().any(|line| line.ends_with("/exec/default/two/side?command=fail&error=1&output=1 spdy/3.1")),
            "{seen:?}"
        );

        let attached = rig.fed(speech, "attach -i one", "said\n");
        assert_eq!(out(&attached).lines().next(), Some("said"), "{}", told(&attached));
        let refused = rig.fed(speech, "exec refusing -- x", "");
        assert!(!refused.status.success() && told(&refused).contains("container not found"), "{}", told(&refused));
    }
    let large = "0123456789abcdef".repeat(64 << 10);
    for speech in [Speech::Spdy, Speech::WebSocket] {
        let echoed = rig.fed(speech, "exec -i one -- cat", &large);
        assert_eq!(out(&echoed).len(), large.len() + "done\n".len());
    }
    rig.kubelet.rests();
}

#[test]
fn ports_are_forwarded_over_spdy_and_within_websocket() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    for speech in [Speech::Spdy, Speech::WebSocket] {
        rig.seen();
        let mut command = rig.speaking(speech, "port-forward pod/one :80");
        let mut forwarding = command.stdout(Stdio::piped()).spawn().expect("kubectl runs");
        let mut lines = BufReader::new(forwarding.stdout.take().expect("piped")).lines();
        let line = lines.next().expect("a line").expect("text");
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
        let mut stream = TcpStream::connect(("127.0.0.1", port.parse().expect("a number"))).expect("connected");
        stream.write_all(b"through").expect("sent");
        let mut back = [0; 7];
        stream.read_exact(&mut back).expect("read");
        assert_eq!(&back, b"through");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the other half");
        let seen = rig.seen();
        assert!(seen.iter().all(|line| line.ends_with("/portForward/default/one spdy/3.1")), "{seen:?}");
        forwarding.kill().expect("killed");
        let _ = forwarding.wait();
        rig.kubelet.rests();
    }
}

/// A kubelet that speaks an older WebSocket protocol, or reads WebSocket itself, gets it as it came.
#[test]
fn websocket_that_is_not_translated_passes_untouched() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    let ask = |offered: &str| {
        let offered = format!("Sec-WebSocket-Protocol: {offered}");
        let headers = [
            "-H",
            "Connection: Upgrade",
            "-H",
            "Upgrade: websocket",
            "-H",
            &offered,
            "-H",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "-H",
            "Sec-WebSocket-Version: 13",
            "-N",
        ];
        rig.curl("/api/v1/namespaces/default/pods/one/exec?command=x&stdout=1", &headers)
    };
    let v4 = ask("v4.channel.k8s.io");
    assert!(v4.starts_with("HTTP/1.1 101 ") && v4.ends_with("offered v4.channel.k8s.io"), "{v4}");
    rig.status("node/n", r#"{"declaredFeatures": ["ExtendWebSocketsToKubelet"]}"#);
    let v5 = ask("v5.channel.k8s.io");
    assert!(v5.ends_with("offered v5.channel.k8s.io"), "{v5}");
    let plain = rig.curl("/api/v1/namespaces/default/pods/one/exec?command=x&stdout=1", &[]);
    assert!(plain.starts_with("HTTP/1.1 400 ") && plain.contains("Upgrade request required"), "{plain}");
    rig.kubelet.rests();
}

#[test]
fn requests_go_on_to_nodes_pods_and_services() {
    let rig = Rig::start(&["--proxy-to-loopback"]);
    let node = rig.curl(
        "/api/v1/nodes/n/proxy/stats/summary?a=b",
        &["-H", "X-Remote-User: root", "-H", "X-Own: 1", "-H", "Cookie: c"],
    );
    assert!(node.contains("GET /stats/summary?a=b\n") && node.contains("\nx-own: 1\n"), "{node}");
    assert!(node.contains("\nx-forwarded-uri: /api/v1/nodes/n/proxy/stats/summary\n"), "{node}");
    assert!(node.contains("\nx-forwarded-for: 127.0.0.1\n") && node.contains("\ncookie: c\n"), "{node}");
    let body = node.split("\n\n").nth(1).expect("a body");
    assert!(!body.contains("admin-token") && !body.contains("authorization") && !body.contains("x-remote"), "{body}");
    assert!(!node.to_ascii_lowercase().contains("access-control-allow-origin"), "{node}");

    let pod = "/api/v1/namespaces/default/pods/one/proxy";
    assert!(rig.curl(&format!("{pod}/a%20b/"), &["-X", "POST", "-d", "x=y"]).contains("POST /a%20b/\n"));
    let bare = rig.curl(&format!("{pod}?x=y"), &[]);
    assert!(bare.starts_with("HTTP/1.1 301 ") && bare.contains(&format!("\nlocation: {pod}/?x=y\n")), "{bare}");
    assert!(rig.curl(&format!("{pod}/../../x"), &[]).contains("GET /x\n"), "what goes up stays below the pod");
    let here = rig.curl(&format!("{pod}/here"), &[]);
    assert!(here.contains(&format!("\nlocation: {pod}/there/?a=b\n")), "{here}");
    let page = rig.curl(&format!("{pod}/page"), &["-H", "Accept: text/html"]);
    assert!(page.ends_with(&format!("<a href=\"{pod}/next\">next</a>")), "{page}");
    // What broke off does not look whole.
    let cut = Command::new("curl")
        .args(["-sk", "-H", "Authorization: Bearer admin-token", &format!("{}{pod}/cut", rig.server.address)])
        .status();
    assert!(!cut.expect("curl runs").success());
}

#[test]
fn a_service_is_asked_at_its_pods() {
    // An address of loopback is no endpoint.
    let outward = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let Some(host) = outward.ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback()) else { return };
    let rig = Rig::start(&[]);
    let plain = rig.kubelet.plain.port();
    rig.status("pod/one", &format!(r#"{{"podIP": "{host}", "podIPs": [{{"ip": "{host}"}}]}}"#));
    rig.apply(r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"name": "web", "port": 80}]}}"#);
    let service = |name: &str| rig.curl(&format!("/api/v1/namespaces/default/services/{name}/proxy/x"), &[]);
    assert!(service("s:80").contains("endpoints \\\"s\\\" not found"));
    rig.apply(&format!(
        r#"{{"apiVersion": "v1", "kind": "Endpoints", "metadata": {{"name": "s", "namespace": "default"}}, "subsets": [{{
            "addresses": [{{"ip": "{host}", "targetRef": {{"kind": "Pod", "namespace": "default", "name": "one"}}}}],
            "ports": [{{"name": "web", "port": {plain}}}]}}]}}"#
    ));
    for name in ["s:80", "s:web", "http:s:web"] {
        assert!(service(name).contains("GET /x\n"), "{name}: {}", service(name));
    }
    assert!(service("s:81").contains("no service port 81 found for service \\\"s\\\""));
    assert!(service("s:other").contains("no endpoints available for service \\\"s:other\\\""));
    assert!(service("ftp:s:web").contains("invalid service request \\\"ftp:s:web\\\""));
}

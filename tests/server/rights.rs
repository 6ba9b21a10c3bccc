//! Rights that are worth more than they seem: each is its own check, and nobody gets one by having another.

use super::hostile::ask;
use super::rig::{Server, answers, told};

const QUIET: &[&str] = &["--scheduler=false", "--controllers=namespace,serviceaccount"];
const TOKENS: &str = "joe-token,joe,1,\"staff\"\n";
const JOE: &str = "Authorization: Bearer joe-token";

/// What joe may do from the beginning: write all that the dangerous rights are about.
const WRITER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: writer}
rules:
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings, clusterroles, clusterrolebindings]
  verbs: [get, list, create, update, patch]
- apiGroups: [certificates.k8s.io]
  resources: [certificatesigningrequests, certificatesigningrequests/approval, certificatesigningrequests/status]
  verbs: [get, list, create, update, patch]
- apiGroups: ['']
  resources: [nodes, serviceaccounts, secrets/status]
  verbs: [get, list, create, update, patch]
";

/// A cluster-scoped resource, and one of its objects.
const SHELF: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shelves.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: shelves, singular: shelf, kind: Shelf}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
const BOOK: &str = "{apiVersion: example.com/v1, kind: Shelf, metadata: {name: top}, secret: hidden-in-the-shelf}";

fn started(folder: &std::path::Path) -> Server {
    let tokens = folder.join("tokens.csv");
    std::fs::write(&tokens, TOKENS).expect("written");
    let flag = format!("--token-auth-file={}", tokens.display());
    Server::start(&folder.join("data"), &[QUIET, &[&flag]].concat())
}

fn fed(server: &Server, line: &str, manifest: &str) -> String {
    // kubectl takes what begins with a brace for JSON.
    told(&server.feed(line, &format!("---\n{manifest}")))
}

/// Gives joe a right; the rule is YAML within braces.
fn grant(server: &Server, name: &str, rule: &str) {
    let role = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {name}}}, rules: [{rule}]}}"
    );
    assert!(fed(server, "create -f -", &role).contains("created"));
    server.run(&format!("create clusterrolebinding {name} --clusterrole={name} --user=joe"));
}

/// Authorizers learn of a role at some time: asked again until the answer has this in it.
fn eventually(expected: &str, ask: impl Fn() -> String) {
    answers(expected, ask, |said| said.contains(expected));
}

#[test]
fn escalate_bind_impersonate_approve_sign_proxy_and_tokens_are_rights_of_their_own() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = started(folder.path());
    assert!(fed(&server, "create -f -", WRITER).contains("created"));
    server.run("create clusterrolebinding writer --clusterrole=writer --user=joe");
    eventually("yes", || told(&server.output("auth can-i update certificatesigningrequests/approval --as joe")));
    escalates(&server);
    impersonates(&server);
    certifies(&server);
    // Whoever may see nodes and make accounts may not speak through the one or as the other.
    server.run("create serviceaccount robot");
    let (code, body) = ask(&server, "/api/v1/nodes/n/proxy/metrics", &[JOE], &[]);
    assert!(code == 403 && body.contains(r#"cannot get resource \"nodes/proxy\""#), "{code} {body}");
    let refused = server.refused("create token robot --as joe");
    assert!(refused.contains("cannot create resource \"serviceaccounts/token\""), "{refused}");
    let (code, body) = ask(&server, "/api/v1/secrets", &[JOE], &[]);
    assert_eq!(code, 403, "a subresource is not its resource: {body}");
    server.terminate();
}

/// `escalate` is for roles, `bind` for bindings, and neither is the other.
fn escalates(server: &Server) {
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: power, namespace: default}, \
                rules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]}";
    let binding = "create rolebinding mine --clusterrole=system:aggregate-to-view --user=joe --as joe";
    let refused = "is attempting to grant RBAC permissions not currently held";
    let said = fed(server, "create --as joe -f -", role);
    assert!(said.contains(refused), "{said}");
    let said = server.refused(binding);
    assert!(said.contains(refused), "{said}");
    upkeep(server);
    grant(server, "escalator", "{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate]}");
    eventually("created", || fed(server, "create --as joe -f -", role));
    let said = server.refused(binding);
    assert!(said.contains(refused), "{said}");
    let bind = "{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: ['system:aggregate-to-view'], verbs: [bind]}";
    grant(server, "binder", bind);
    eventually("created", || told(&server.output(binding)));
    let said = server.refused("create rolebinding more --clusterrole=cluster-admin --user=joe --as joe");
    assert!(said.contains(refused), "{said}");
}

/// Roles that gather others', or are not there, are nobody's to give; what lets an object go is everybody's to write.
fn upkeep(server: &Server) {
    let gathers = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: gathers}, aggregationRule: \
                   {clusterRoleSelectors: [{matchLabels: {a: b}}]}}";
    let said = fed(server, "create --as joe -f -", gathers);
    assert!(said.contains("must have cluster-admin privileges to use an aggregationRule"), "{said}");
    let said = server.refused("create rolebinding lost --role=none --user=joe --as joe");
    assert!(said.contains("role.rbac.authorization.k8s.io \"none\" not found"), "{said}");
    let said = server.refused("create clusterrolebinding all --clusterrole=cluster-admin --user=joe --as joe");
    assert!(said.contains("is attempting to grant RBAC permissions not currently held"), "{said}");
    server.run("create role strong --verb=* --resource=secrets");
    let patch = |meta: &str| format!("patch role strong --as joe --type=merge -p {{\"metadata\":{{{meta}}}}}");
    let said = server.refused(&patch("\"labels\":{\"a\":\"b\"}"));
    assert!(said.contains("is attempting to grant RBAC permissions not currently held"), "{said}");
    server.run(&patch("\"finalizers\":[\"example.com/wait\"]"));
    server.run(&patch("\"finalizers\":null"));
    // What one holds oneself one may give.
    server.run("create role weak --verb=get,list --resource=serviceaccounts --as joe");
    server.run("create rolebinding weak --role=weak --user=ann --as joe");
}

/// Users, groups, uids and extra are impersonated each by a right of its own.
fn impersonates(server: &Server) {
    let (user, group) = ("Impersonate-User: ann", "Impersonate-Group: dev");
    let (uid, extra) = ("Impersonate-Uid: 7", "Impersonate-Extra-Scopes: all");
    let said = |headers: &[&str]| {
        let (code, body) = ask(server, "/api/v1/secrets", &[&[JOE], headers].concat(), &[]);
        assert_eq!(code, 403, "{body}");
        body
    };
    let refused = r#"User \"joe\" cannot impersonate"#;
    assert!(said(&[user]).contains(refused), "{}", said(&[user]));
    grant(server, "users", "{apiGroups: [''], resources: [users], verbs: [impersonate]}");
    eventually(r#"User \"ann\" cannot list resource \"secrets\""#, || said(&[user]));
    for (more, resource) in [(group, "groups"), (uid, "uids"), (extra, "userextras/scopes")] {
        let body = said(&[user, more]);
        assert!(body.contains(&format!(r#"cannot impersonate resource \"{resource}\""#)), "{more}: {body}");
    }
}

/// Whoever may write approvals and status neither approves nor signs for any signer.
fn certifies(server: &Server) {
    use base64::Engine as _;
    let request = base64::engine::general_purpose::STANDARD.encode(include_str!("../data/pki/kubelet-client.csr"));
    let csr = format!(
        "{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: c}}, spec: {{request: {request}, \
         signerName: example.com/signer, usages: [client auth]}}}}"
    );
    let said = fed(server, "create --as joe -f -", &csr);
    assert!(said.contains("created"), "{said}");
    let said = server.refused("certificate approve c --as joe");
    assert!(said.contains("user not permitted to approve requests with signerName \"example.com/signer\""), "{said}");
    grant(
        server,
        "approver",
        "{apiGroups: [certificates.k8s.io], resources: [signers], resourceNames: [example.com/signer], verbs: [approve]}",
    );
    eventually("approved", || told(&server.output("certificate approve c --as joe")));
    let chain = base64::engine::general_purpose::STANDARD.encode(include_str!("../data/pki/ca.crt"));
    let patch = format!(
        "patch csr c --as joe --subresource=status --type=merge -p {{\"status\":{{\"certificate\":\"{chain}\"}}}}"
    );
    let said = server.refused(&patch);
    assert!(said.contains("user not permitted to sign requests with signerName \"example.com/signer\""), "{said}");
}

/// CVE-2019-11247: a right in a namespace is none over what has no namespace.
#[test]
fn cluster_scoped_objects_are_not_reached_through_a_namespace() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = started(folder.path());
    assert!(fed(&server, "create -f -", SHELF).contains("created"));
    server.run("wait --for=condition=Established crd/shelves.example.com --timeout=30s");
    assert!(fed(&server, "create -f -", BOOK).contains("created"));
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: shelves, namespace: default}, rules: \
                [{apiGroups: [example.com, ''], resources: [shelves, nodes, namespaces], verbs: ['*']}]}";
    assert!(fed(&server, "create -f -", role).contains("created"));
    server.run("create rolebinding shelves --role=shelves --user=joe");
    eventually("yes", || told(&server.output("auth can-i delete shelves.example.com -n default --as joe")));
    for path in ["/apis/example.com/v1", "/apis/example.com/v1/namespaces/default"] {
        for (path, more) in [
            (format!("{path}/shelves"), &[][..]),
            (format!("{path}/shelves/top"), &[]),
            (format!("{path}/shelves/top"), &["-X", "DELETE"]),
            (format!("{path}/shelves?watch=1&timeoutSeconds=1"), &[]),
        ] {
            let (code, body) = ask(&server, &path, &[JOE], more);
            assert!(matches!(code, 403 | 404) && !body.contains("hidden-in-the-shelf"), "{path}: {code} {body}");
        }
    }
    let (code, body) = ask(&server, "/api/v1/namespaces/default/nodes", &[JOE], &[]);
    assert_eq!(code, 404, "{body}");
    assert!(server.run("get shelves").contains("top"), "it is there still");
    server.terminate();
}

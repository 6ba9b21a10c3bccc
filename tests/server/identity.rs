//! Who is believed and who decides, by files that change while the server runs.

use std::path::Path;
use std::process::Command;

use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::json;
use monokube::model::value::Value;
use monokube::pki::authority::{Authority, Leaf, Usage, Wanted};
use monokube::pki::kubeconfig::Kubeconfig;

use super::hostile::ask;
use super::rig::{Server, ends, eventually, told};
use super::site::Site;

const SIGNATURE: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: ";

fn authority(name: &str) -> Authority {
    Authority::create(name, None, &Clock::machine(), &Entropy::machine()).expect("an authority")
}

fn leaf(authority: &Authority, name: &str, usage: Usage) -> Leaf {
    let localhost = ["127.0.0.1".parse().expect("an address")];
    let wanted = Wanted { common_name: name, addresses: &localhost, usage, ..Wanted::default() };
    authority.issue(&wanted, &Clock::machine(), &Entropy::machine()).expect("a leaf")
}

/// kubectl as somebody with a certificate of `authority`.
fn as_client(server: &Server, authority: &Authority, name: &str, line: &str) -> String {
    let ca = std::fs::read_to_string(server.data_dir.join("pki/ca.crt")).expect("an authority");
    let config = Kubeconfig { cluster: "c", server: &server.address, authority: &ca, user: name };
    let path = server.data_dir.join(name);
    std::fs::write(&path, config.with_certificate(&leaf(authority, name, Usage::Client)).expect("YAML"))
        .expect("written");
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(&path).args(line.split(' ')).env("HOME", &server.data_dir).env_remove("KUBECONFIG");
    told(&command.output().expect("kubectl runs"))
}

#[test]
fn the_chain_of_authorizers_follows_its_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("authorization.yaml");
    let write = |more: &str| {
        let chain = "- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n";
        std::fs::write(&file, format!("{SIGNATURE}AuthorizationConfiguration\nauthorizers:\n{chain}{more}"))
            .expect("written");
    };
    write("");
    let flag = format!("--authorization-config={}", file.display());
    let server = Server::start(&folder.path().join("data"), &[&flag]);
    let ask = || told(&server.output("auth can-i list pods --as joe")).trim().to_owned();
    assert!(ask().ends_with("no"), "{}", ask());
    write("- {type: AlwaysAllow, name: alwaysallow}\n");
    eventually("the new chain", || ask().ends_with("yes"));
    write("- {type: Nonsense, name: nonsense}\n");
    write("- {type: AlwaysDeny, name: alwaysdeny}\n");
    eventually("the last chain", || ask().ends_with("no - Everything is forbidden."));
    write("- {type: AlwaysAllow, name: alwaysallow}\n");
    eventually("the first chain again", || ask().ends_with("yes"));
    let metrics = server.run("get --raw /metrics");
    let config = "apiserver_authorization_config_controller_last_config_info{apiserver_id_hash=\"sha256:";
    assert_eq!(metrics.matches(config).count(), 1, "{metrics}");
    for counted in
        ["authorization_duration_seconds_bucket{le=\"0.001\",", "authentication_duration_seconds_bucket{le=\"16.384\","]
    {
        assert!(metrics.contains(counted), "{counted}: {metrics}");
    }
    server.terminate();
}

/// A list is allowed for what it is narrowed to, by a webhook that is asked about nothing else.
#[test]
fn selectors_reach_a_webhook_that_decides() {
    let folder = tempfile::tempdir().expect("a directory");
    let hook = Site::start(|asked| {
        let review: Value = asked.body.parse().ok()?;
        let wanted = |key: &str| json!([{"key": key, "operator": "In", "values": ["a"]}]);
        let asked = &review["spec"]["resourceAttributes"];
        let allowed = asked["labelSelector"]["requirements"] == wanted("team")
            || asked["fieldSelector"]["requirements"] == wanted("metadata.name");
        let status = json!({"allowed": allowed, "reason": if allowed { "their own" } else { "of others" }});
        Some(
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "status": status})
                .to_string(),
        )
    });
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("tokens.csv"), "joe-token,joe,1\nadmin-token,admin,2,system:masters\n").expect("written");
    std::fs::write(path("hook.crt"), &hook.authority).expect("written");
    let kubeconfig = format!(
        "current-context: hook\ncontexts: [{{name: hook, context: {{cluster: hook}}}}]\nclusters: [{{name: hook, cluster: \
         {{server: '{}/review', certificate-authority: '{}'}}}}]\n",
        hook.url,
        path("hook.crt")
    );
    std::fs::write(path("hook.kubeconfig"), kubeconfig).expect("written");
    let condition = "has(request.resourceAttributes) && (has(request.resourceAttributes.fieldSelector) || \
                     has(request.resourceAttributes.labelSelector) && \
                     request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'team'))";
    let webhook = json!({
        "timeout": "3s", "authorizedTTL": "0s", "unauthorizedTTL": "0s", "subjectAccessReviewVersion": "v1",
        "cacheAuthorizedRequests": false, "cacheUnauthorizedRequests": false,
        "matchConditionSubjectAccessReviewVersion": "v1", "failurePolicy": "NoOpinion",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": path("hook.kubeconfig")},
        "matchConditions": [{"expression": condition}]
    });
    let chain = format!("- {{type: RBAC, name: rbac}}\n- {{type: Webhook, name: teams, webhook: {webhook}}}\n");
    std::fs::write(path("z.yaml"), format!("{SIGNATURE}AuthorizationConfiguration\nauthorizers:\n{chain}"))
        .expect("written");
    let flags =
        [format!("--authorization-config={}", path("z.yaml")), format!("--token-auth-file={}", path("tokens.csv"))];
    let server = Server::start(&folder.path().join("data"), &[&flags[0], &flags[1]]);
    let joe = |target: &str| ask(&server, target, &["Authorization: Bearer joe-token"], &[]);
    assert_eq!(joe("/api/v1/configmaps").0, 403);
    assert_eq!(joe("/api/v1/configmaps?labelSelector=other%3Da").0, 403);
    let before = hook.asked().len();
    assert_eq!(before, 0, "it is asked about nothing else");
    let (code, body) = joe("/api/v1/configmaps?labelSelector=team%3Db");
    assert!(code == 403 && body.contains("of others"), "{code} {body}");
    assert_eq!(joe("/api/v1/configmaps?labelSelector=team%3Da").0, 200);
    let allowed = reviews_with_selectors(&server);
    let metrics = server.run("get --raw /metrics");
    let counted = "apiserver_authorization_decisions_total{type=\"Webhook\",name=\"teams\",decision=\"allowed\"}";
    assert!(metrics.contains(&format!("{counted} {}\n", allowed + 1)), "{metrics}");
    server.terminate();
}

/// Each of the reviews passes its selectors on, written in either way. How many were allowed.
fn reviews_with_selectors(server: &Server) -> usize {
    let requirement =
        |key: &str, value: &str| json!({"requirements": [{"key": key, "operator": "In", "values": [value]}]});
    let selectors = [
        ("labelSelector", json!({"rawSelector": "team=a"}), true),
        ("labelSelector", json!({"rawSelector": "team=b"}), false),
        ("labelSelector", requirement("team", "a"), true),
        ("labelSelector", requirement("other", "a"), false),
        ("fieldSelector", json!({"rawSelector": "metadata.name=a"}), true),
        ("fieldSelector", json!({"rawSelector": "metadata.name=b"}), false),
        ("fieldSelector", requirement("metadata.name", "a"), true),
        ("fieldSelector", requirement("metadata.namespace", "a"), false),
    ];
    let mut allowed = 0;
    for (kind, path, token) in [
        ("SubjectAccessReview", "subjectaccessreviews", "admin-token"),
        ("LocalSubjectAccessReview", "namespaces/default/localsubjectaccessreviews", "admin-token"),
        ("SelfSubjectAccessReview", "selfsubjectaccessreviews", "joe-token"),
    ] {
        for (name, selector, expected) in &selectors {
            let mut spec =
                json!({"resourceAttributes": {"namespace": "default", "verb": "list", "resource": "configmaps"}});
            spec["resourceAttributes"][*name] = selector.clone();
            if token == "admin-token" {
                spec["user"] = json!("joe");
            }
            let mut review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
            if kind.starts_with("Local") {
                review["metadata"] = json!({"namespace": "default"});
            }
            let headers = [&format!("Authorization: Bearer {token}"), "Content-Type: application/json"];
            let path = format!("/apis/authorization.k8s.io/v1/{path}");
            let (code, body) = ask(server, &path, &headers, &["-X", "POST", "-d", &review.to_string()]);
            let body: Value = body.parse().expect("JSON");
            assert_eq!((code, body["status"]["allowed"] == json!(true)), (201, *expected), "{review}: {body}");
            allowed += usize::from(*expected);
        }
    }
    allowed
}

#[test]
fn certificates_follow_their_files() {
    let folder = tempfile::tempdir().expect("a directory");
    let (data, clients) = (folder.path().join("data"), folder.path().join("clients.crt"));
    let (first, second) = (authority("first"), authority("second"));
    std::fs::write(&clients, first.to_pem().expect("PEM")).expect("written");
    let flag = format!("--client-ca-file={}", clients.display());
    let server = Server::start(&data, &[&flag]);
    let who = |authority: &Authority| as_client(&server, authority, "jane", "auth whoami");
    assert!(who(&first).contains("jane"), "{}", who(&first));
    assert!(who(&second).contains("Unauthorized") || who(&second).contains("logged in"), "{}", who(&second));
    let both = format!("{}{}", first.to_pem().expect("PEM"), second.to_pem().expect("PEM"));
    std::fs::write(&clients, both).expect("written");
    eventually("both authorities", || who(&second).contains("jane"));
    assert!(who(&first).contains("jane"));
    std::fs::write(&clients, second.to_pem().expect("PEM")).expect("written");
    eventually("the second authority alone", || !who(&first).contains("jane"));

    let serving = leaf(&second, "kube-apiserver", Usage::Server);
    std::fs::write(data.join("pki/apiserver.key"), serving.key.to_pem().expect("PEM")).expect("written");
    std::fs::write(data.join("pki/apiserver.crt"), serving.certificate_pem().expect("PEM")).expect("written");
    eventually("the new serving certificate", || who(&second).contains("certificate signed by unknown authority"));
    server.terminate();
}

#[test]
fn who_may_be_anonymous_stands_in_a_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("authentication.yaml");
    let anonymous = "jwt: []\nanonymous: {enabled: true, conditions: [{path: /readyz}]}\n";
    std::fs::write(&file, format!("{SIGNATURE}AuthenticationConfiguration\n{anonymous}")).expect("written");
    let flag = format!("--authentication-config={}", file.display());
    let server = Server::start(&folder.path().join("data"), &[&flag]);
    let get = |path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "-o", "/dev/null", "-w", "%{http_code}"]).arg(format!("{}{path}", server.address));
        String::from_utf8(curl.output().expect("curl runs").stdout).expect("text")
    };
    assert_eq!((get("/readyz"), get("/livez"), get("/version")), ("200".into(), "401".into(), "401".into()));
    server.terminate();
}

#[test]
fn flags_that_exclude_each_other_are_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let authentication =
        write("a.yaml", &format!("{SIGNATURE}AuthenticationConfiguration\nanonymous: {{enabled: true}}\n"));
    let wrong = write("w.yaml", &format!("{SIGNATURE}AuthenticationConfiguration\njwt: [{{issuer: {{}}}}]\n"));
    let chain = "authorizers: [{type: RBAC, name: rbac}]";
    let authorization = write("z.yaml", &format!("{SIGNATURE}AuthorizationConfiguration\n{chain}\n"));
    let (authentication, wrong, authorization) = (
        format!("--authentication-config={authentication}"),
        format!("--authentication-config={wrong}"),
        format!("--authorization-config={authorization}"),
    );
    for (flags, why) in [
        (&["--oidc-issuer-url=https://i"][..], "oidc-issuer-url and oidc-client-id must be specified together"),
        (
            &["--oidc-issuer-url=https://i", "--oidc-client-id=c", "--oidc-signing-algs=HS256"],
            "oidc: unsupported signing alg: \"HS256\"",
        ),
        (
            &[&authentication, "--oidc-client-id=c"],
            "authentication-config file and oidc-* flags are mutually exclusive",
        ),
        (&[&authentication, "--anonymous-auth=true"], "--anonymous-auth flag cannot be set when anonymous field"),
        (&[&wrong], "invalid authentication configuration: [jwt[0].issuer.url: Required value"),
        (&[&authorization, "--authorization-mode=RBAC"], "--authorization-config can not be specified when"),
        (&["--authorization-mode=Webhook"], "authorization-mode Webhook's authorization config file not passed"),
        (
            &["--service-account-issuer=a", "--service-account-issuer=a"],
            "service-account-issuer \"a\" is already specified",
        ),
        (&["--service-account-max-token-expiration=10m"], "must be between 1 hour and 2^32 seconds"),
        (&["--service-account-jwks-uri=http://x"], "service-account-jwks-uri requires https scheme"),
        (
            &["--oidc-issuer-url=https://kubernetes.default.svc.cluster.local", "--oidc-client-id=c"],
            "URL must not overlap with disallowed issuers",
        ),
    ] {
        let (status, complaint) = ends(&folder.path().join("data"), flags);
        assert!(!status.success(), "{flags:?}");
        assert!(complaint.contains(why), "{flags:?}: {complaint}");
    }
    assert!(Path::new(&folder.path().join("data")).exists());
}

//! What a request pays for who it is and whether it may: `cargo bench --bench auth`.

use std::hint::black_box;
use std::sync::Arc;

use compact_str::CompactString;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use monokube::auth::authenticator::{Anonymous, Authenticator, Proofs};
use monokube::auth::authorizer::{Attributes, Chain, Resource};
use monokube::auth::identity::{Secret, User};
use monokube::auth::metrics::Metrics;
use monokube::auth::rbac::{Kind, Rbac};
use monokube::auth::token::claims::Reference;
use monokube::auth::token::issue::{Bound, Issuer, Lifetime, Wanted};
use monokube::auth::token::verify::{ServiceAccountTokens, Subject, TokenSecret, TokenSubjects};
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::json;
use monokube::model::value::Value;
use monokube::pki::key::Key;

const BOOTSTRAP: &str = include_str!("../src/assemble/bootstrap.jsonl");
const BINDINGS: usize = 10_000;

fn kind(object: &Value) -> Option<Kind> {
    Some(match object["kind"].as_str()? {
        "Role" => Kind::Role,
        "ClusterRole" => Kind::ClusterRole,
        "RoleBinding" => Kind::RoleBinding,
        "ClusterRoleBinding" => Kind::ClusterRoleBinding,
        _ => return None,
    })
}

/// Stock's roles and bindings, and one that lets the account of the benchmark read pods in its namespace.
fn bootstrapped() -> Rbac {
    let rbac = Rbac::default();
    let objects: Vec<Value> = BOOTSTRAP.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    rbac.apply(objects.iter().filter_map(|object| kind(object).map(|kind| (kind, None, Some(object)))));
    let own = binding(
        "own",
        "n",
        "system:aggregate-to-view",
        &json!({"kind": "ServiceAccount", "name": "sa", "namespace": "n"}),
    );
    rbac.apply([(Kind::RoleBinding, None, Some(&own))]);
    rbac
}

fn binding(name: &str, namespace: &str, role: &str, subject: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [subject.clone()]
    })
}

fn with_bindings(subject: impl Fn(usize) -> Value, role: impl Fn(usize) -> String) -> Rbac {
    let rbac = bootstrapped();
    let made: Vec<Value> = (0..BINDINGS).map(|n| binding(&format!("b{n}"), "", &role(n), &subject(n))).collect();
    rbac.apply(made.iter().map(|object| (Kind::ClusterRoleBinding, None, Some(object))));
    rbac
}

fn account() -> User {
    User::service_account("n", "sa", "u").authenticated().into()
}

fn decisions(c: &mut Criterion) {
    let user = account();
    let pods = Resource { version: "v1", resource: "pods", namespace: "n", name: "p", ..Resource::default() };
    let ask = |chain: &Chain, verb| chain.authorize(&Attributes::resource(&user, verb, pods)).now_or_never();
    let users = with_bindings(|n| json!({"kind": "User", "name": format!("u{n}")}), |_| "view".into());
    let group = json!({"kind": "Group", "name": "system:authenticated"});
    let one_role = with_bindings(|_| group.clone(), |_| "system:basic-user".into());
    let many_roles = with_bindings(|_| group.clone(), |n| format!("role-{n}"));
    many_roles.apply(roles(|n| rule("get", &format!("r{n}"), &[])).iter().map(of_cluster));
    let same_resource = with_bindings(|_| group.clone(), |n| format!("role-{n}"));
    same_resource.apply(roles(|n| rule("get", "pods", &[&format!("p{n}")])).iter().map(of_cluster));
    let all_allow = with_bindings(|_| group.clone(), |n| format!("role-{n}"));
    all_allow.apply(roles(|_| rule("get", "pods", &[])).iter().map(of_cluster));
    for (name, rbac) in [
        ("stock's roles", bootstrapped()),
        ("10,000 bindings of others", users),
        ("10,000 bindings of everybody to one role", one_role),
        ("10,000 bindings of everybody to as many roles", many_roles),
        ("10,000 bindings of everybody to as many roles for one pod each", same_resource),
        ("10,000 bindings of everybody to as many roles for all pods", all_allow),
    ] {
        let chain = Chain::new(vec![Arc::new(rbac)]);
        assert!(ask(&chain, "get").expect("at once").is_allowed());
        assert!(!ask(&chain, "delete").expect("at once").is_allowed());
        c.bench_function(&format!("allowed: {name}"), |b| b.iter(|| black_box(ask(&chain, "get"))));
        c.bench_function(&format!("refused: {name}"), |b| b.iter(|| black_box(ask(&chain, "delete"))));
    }
}

/// One role more or less where there are 10,000, and one binding.
fn changes(c: &mut Criterion) {
    let group = json!({"kind": "Group", "name": "system:authenticated"});
    let rbac = with_bindings(|_| group.clone(), |n| format!("role-{n}"));
    rbac.apply(roles(|n| rule("get", &format!("r{n}"), &[])).iter().map(of_cluster));
    let (role, bound) = (
        json!({"metadata": {"name": "more"}, "rules": [rule("get", "pods", &[])]}),
        binding("more", "", "more", &group),
    );
    c.bench_function("a role comes and goes among 10,000", |b| {
        b.iter(|| {
            rbac.apply([(Kind::ClusterRole, None, Some(&role))]);
            rbac.apply([(Kind::ClusterRole, Some(&role), None)]);
        });
    });
    c.bench_function("a binding comes and goes among 10,000 of one group", |b| {
        b.iter(|| {
            rbac.apply([(Kind::ClusterRoleBinding, None, Some(&bound))]);
            rbac.apply([(Kind::ClusterRoleBinding, Some(&bound), None)]);
        });
    });
}

fn rule(verb: &str, resource: &str, names: &[&str]) -> Value {
    json!({"verbs": [verb], "apiGroups": ["", "example.com"], "resources": [resource], "resourceNames": names.to_vec()})
}

fn roles(rule: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..BINDINGS).map(|n| json!({"metadata": {"name": format!("role-{n}")}, "rules": [rule(n)]})).collect()
}

fn of_cluster(role: &Value) -> (Kind, Option<&Value>, Option<&Value>) {
    (Kind::ClusterRole, None, Some(role))
}

/// Everything that a token is bound to is there.
struct There;

impl TokenSubjects for There {
    fn service_account(&self, _: &str, _: &str) -> Option<Subject> {
        Some(Subject { uid: "u".into(), deleted: None })
    }

    fn pod(&self, _: &str, _: &str) -> Option<Subject> {
        Some(Subject { uid: "p".into(), deleted: None })
    }

    fn node(&self, _: &str) -> Option<Subject> {
        None
    }

    fn secret(&self, _: &str, _: &str) -> Option<Subject> {
        None
    }

    fn token_secret(&self, _: &str, _: &str) -> Option<TokenSecret> {
        let token = Secret::new(Vec::new());
        Some(TokenSecret { is_deleting: true, token, is_invalidated: true })
    }

    fn lists_secret(&self, _: &str, _: &str, _: &str) -> bool {
        false
    }
}

fn tokens(c: &mut Criterion) {
    let (clock, entropy) = (Clock::machine(), Entropy::seeded(1));
    let key = Arc::new(Key::generate().expect("a key"));
    let audiences: Arc<[CompactString]> = Arc::from(["https://k".into()]);
    let wanted = Wanted {
        namespace: "n",
        account: Reference { name: "sa".into(), uid: "u".into() },
        audiences: &["https://k".to_owned()],
        lifetime: Lifetime { seconds: 3600, warn_after: None },
        bound: Bound::Pod(
            Reference { name: "pod".into(), uid: "p".into() },
            Some(Reference { name: "node".into(), uid: "n".into() }),
        ),
    };
    let token = Issuer::new(key.clone(), "https://k").issue(&wanted, clock.now(), &entropy).expect("a token").token;
    let tokens = ServiceAccountTokens::new(
        vec!["https://k".into()],
        vec![key.public().clone()],
        audiences.clone(),
        Arc::new(There),
        Metrics::default().lookups(&clock),
    );
    let now: Timestamp = clock.now();
    c.bench_function("a token that was verified before", |b| {
        b.iter(|| black_box(tokens.authenticate(&token, None, now)).expect("accepted"));
    });
    let authenticator = Authenticator {
        request_header: None,
        client_certificates: None,
        file_tokens: None,
        service_accounts: Some(Arc::new(tokens)),
        bootstrap_tokens: None,
        elsewhere: Vec::new(),
        anonymous: Anonymous::Everybody,
        audiences,
        clock,
        metrics: Metrics::default(),
    };
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
    c.bench_function("a request with such a token, headers and all", |b| {
        b.iter(|| {
            headers.insert(AUTHORIZATION, value.clone());
            let proofs = Proofs { headers: &mut headers, path: "/api/v1/namespaces/n/pods", peer: None };
            black_box(authenticator.authenticate(proofs).now_or_never().expect("at once")).expect("accepted")
        });
    });
}

criterion_group!(benches, decisions, changes, tokens);
criterion_main!(benches);

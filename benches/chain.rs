//! What a request costs from its first byte to its answer's last, TLS excluded, and what admission costs a pod:
//! `cargo bench --bench chain`. Times are those of the thread's CPU, so that others on the machine do not count.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use criterion::{Criterion, criterion_group, criterion_main};
use monokube::admission::chain::Operation;
use monokube::apiserver::listen::plainly;
use monokube::assemble::plane::{Plane, bounds};
use monokube::auth::identity::User;
use monokube::config::flags::Flags;
use monokube::json;
use monokube::model::names::GroupResource;
use monokube::model::value::Value;
use monokube::registry::client::{Client, Target};
use monokube::registry::options::WriteOptions;
use monokube::registry::request::{Address, Caller};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

/// What this thread has computed.
fn computed() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

fn started(runtime: &Runtime, more: &[&str]) -> (Plane, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let line =
        ["monokube", "--data-dir", &data, "--bind-address", "127.0.0.1", "--secure-port", "0", "--scheduler=false"];
    let line = line.into_iter().chain(["--controllers=namespace,serviceaccount"]).chain(more.iter().copied());
    (runtime.block_on(Plane::start(&Program::parse_from(line).flags)).expect("a plane"), folder)
}

/// One request, and its whole answer.
async fn ask(stream: &mut DuplexStream, request: &[u8], answer: &mut Vec<u8>) {
    stream.write_all(request).await.expect("it takes it");
    answer.clear();
    loop {
        stream.read_buf(answer).await.expect("an answer");
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if answer.len() >= end + 4 + length.expect("a length") {
                return;
            }
        }
    }
}

async fn token(client: &Client, stream: &mut DuplexStream, admin: &str) -> String {
    let account = json!({"metadata": {"name": "reader", "namespace": "default"}});
    let at = |resource, group| Target::new(group, resource, "default", "");
    client.create(at("serviceaccounts", ""), &account).await.expect("created");
    let role = json!({"metadata": {"name": "reader", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-view"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]});
    client.create(at("rolebindings", "rbac.authorization.k8s.io"), &role).await.expect("created");
    let map = json!({"metadata": {"name": "map", "namespace": "default"}, "data": {"a": "b"}});
    client.create(at("configmaps", ""), &map).await.expect("created");
    let path = "/api/v1/namespaces/default/serviceaccounts/reader/token";
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer {admin}\r\nContent-Type: application/json");
    let mut answer = Vec::new();
    ask(stream, format!("{head}\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes(), &mut answer).await;
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|end| &answer[end + 4..]).expect("a body");
    let review: Value = std::str::from_utf8(body).expect("text").parse().expect("JSON");
    review["status"]["token"].as_str().unwrap_or_else(|| panic!("{review}")).to_owned()
}

fn requests(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "admin-token,admin,1,\"system:masters\"\n").expect("written");
    let (plane, _folder) = started(&runtime, &[&format!("--token-auth-file={}", file.path().display())]);
    let client = Client::new(&plane.registry, User::new("bench", &["system:masters"]), "bench");
    let (mut stream, served) = tokio::io::duplex(1 << 20);
    let remote = SocketAddr::from(([127, 0, 0, 1], 1));
    runtime.spawn(plainly(served, remote, plane.server.clone(), bounds(), CancellationToken::new()));
    let token = runtime.block_on(token(&client, &mut stream, "admin-token"));
    let mut answer = Vec::new();
    for (name, path, bearer) in [
        ("GET of a ConfigMap by a service account", "/api/v1/namespaces/default/configmaps/map", token.as_str()),
        ("the same by a member of system:masters", "/api/v1/namespaces/default/configmaps/map", "admin-token"),
        ("a refused GET by a service account", "/api/v1/namespaces/default/secrets/s", token.as_str()),
        ("a GET with a bad token", "/api/v1/namespaces/default/configmaps/map", "nobody"),
        ("/readyz", "/readyz", token.as_str()),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: k\r\nAccept: application/json\r\nUser-Agent: bench\r\nAuthorization: Bearer {bearer}\r\n\r\n"
        );
        c.bench_function(name, |b| {
            b.iter_custom(|times| {
                runtime.block_on(async {
                    let begun = computed();
                    for _ in 0..times {
                        ask(&mut stream, request.as_bytes(), &mut answer).await;
                    }
                    computed() - begun
                })
            });
        });
    }
}

fn admission(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (plane, _folder) = started(&runtime, &[]);
    let registry = &plane.registry;
    let client = Client::new(registry, User::new("bench", &["system:masters"]), "bench");
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    let at = Target::new("", "serviceaccounts", "default", "");
    // The controller may have been faster.
    let _ = runtime.block_on(client.create(at, &account));
    let resource = registry.catalog.load().preferred(&GroupResource::new("", "pods")).cloned().expect("pods");
    let at = Address::new(&resource, "default", "");
    let container = json!({"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "1"}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default", "labels": {"a": "b"}},
        "spec": {"containers": [container.clone(), container]}});
    let mut caller = Caller::new(User::new("jane", &["system:authenticated"]), "bench");
    let options = WriteOptions::default();
    c.bench_function("admission of a pod create", |b| {
        b.iter_custom(|times| {
            runtime.block_on(async {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let mut object = pod.clone();
                    let begun = computed();
                    let admitted =
                        registry.admit(&mut caller, &at, Operation::Create, Some(&mut object), None, &options).await;
                    admitted.expect("admitted");
                    let valid = registry
                        .validate_admission(&mut caller, &at, Operation::Create, Some(&object), None, &options)
                        .await;
                    valid.expect("valid");
                    spent += computed() - begun;
                    black_box(object);
                    caller.warnings.clear();
                }
                spent
            })
        });
    });
}

criterion_group!(benches, requests, admission);
criterion_main!(benches);

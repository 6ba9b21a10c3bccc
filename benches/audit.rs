//! What a record costs a request: the policy, the event at `Metadata`, and its way into the log.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use monokube::audit::backend::{Backend, Deliver, Entry, Format, Mode};
use monokube::audit::event::Answer;
use monokube::audit::file::{Options, Tail};
use monokube::audit::load::parse;
use monokube::audit::log::Log;
use monokube::audit::metrics::Metrics;
use monokube::audit::recorder::Audit;
use monokube::audit::source::sources;
use monokube::auth::authorizer::{Attributes, Resource, Verdict};
use monokube::auth::identity::User;
use monokube::base::clock::Clock;

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ['system:kube-proxy'], verbs: [watch], resources: [{group: '', resources: [endpoints]}]}
- {level: None, nonResourceURLs: ['/healthz*', /version]}
- {level: Metadata}
";

/// Keeps nothing.
struct Nowhere;

impl Deliver for Nowhere {
    fn deliver(&self, entries: Vec<Entry>) -> BoxFuture<'static, bool> {
        black_box(entries);
        Box::pin(async { true })
    }
}

fn audit(deliver: Arc<dyn Deliver>, clock: &Clock) -> Audit {
    let metrics = Metrics::new(clock);
    let backend =
        Backend { mode: Mode::Blocking(deliver), format: Format::Json, longest: None, metrics: metrics.clone() };
    Audit::new(parse(POLICY.as_bytes()).expect("a policy"), vec![backend], metrics, clock)
}

/// A get of a pod from its begin to its end.
async fn request(audit: &Audit, user: &User, clock: &Clock) {
    let asked = Resource { version: "v1", resource: "pods", namespace: "default", name: "p", ..Resource::default() };
    let attributes = Attributes::resource(user, "get", asked);
    let id = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
    let Some(mut record) = audit.begin(&attributes, id, clock.now()) else { return };
    record.event.uri = "/api/v1/namespaces/default/pods/p".into();
    record.event.sources = sources(&HeaderMap::new(), [127, 0, 0, 1].into());
    record.event.set_agent("kubectl/v1.36.3 (linux/amd64) kubernetes/abcdefa");
    record.event.annotations.decided(&Verdict::allow("RBAC: allowed by ClusterRoleBinding \"view\""));
    record.received(false).await;
    record.answered(Answer::new(200)).await;
    record.complete().await;
}

fn records(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let clock = Clock::machine();
    let user = User::new("system:serviceaccount:default:default", &["system:serviceaccounts", "system:authenticated"]);
    let folder = tempfile::tempdir().expect("a folder");
    let options =
        Options { path: folder.path().join("audit.log"), longest: 100 << 20, days: 0, backups: 2, compress: false };
    let metrics = Metrics::new(&clock);
    let tail = Tail::create(options, &clock).expect("a file");
    let (log, ended) = Log::start(tail, &metrics).expect("a thread");
    let none = Audit::default();
    let nowhere = audit(Arc::new(Nowhere), &clock);
    let logged = audit(Arc::new(log.clone()), &clock);
    for (name, audit) in [("off", &none), ("metadata", &nowhere), ("metadata into a log", &logged)] {
        criterion.bench_function(&format!("audit/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(request(audit, &user, &clock)));
        });
    }
    log.close();
    runtime.block_on(ended).expect("it ends");
}

criterion_group!(benches, records);
criterion_main!(benches);

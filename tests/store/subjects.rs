//! The stores that the suite runs against, each empty and alone.

use std::any::Any;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::store::contract::Store;
use monokube::store::embedded::Embedded;
use monokube::store::etcd::{Etcd, Options};
use monokube::store::memory::Memory;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A store under test.
pub struct Subject {
    pub store: Arc<dyn Store>,
    /// Another store that counts the same revisions.
    pub elsewhere: Option<Arc<dyn Store>>,
    /// Whether its revisions can be raised without a change.
    pub advances: bool,
    _kept: Box<dyn Any + Send + Sync>,
}

pub fn memory() -> Subject {
    let store = Arc::new(Memory::new(Clock::machine()));
    Subject { store, elsewhere: None, advances: true, _kept: Box::new(()) }
}

pub async fn embedded() -> Subject {
    let directory = directory();
    let store = Arc::new(open(directory.path()).await);
    Subject { store, elsewhere: None, advances: true, _kept: Box::new(directory) }
}

/// The embedded store in a directory.
pub async fn open(directory: &Path) -> Embedded {
    Embedded::open(directory, Clock::machine(), &Entropy::seeded(1)).await.expect("opens")
}

/// A new directory on a disk (and not, perhaps, in memory).
pub fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// The etcd that tests share, each under its own prefix. `None`, said loudly, if there is no etcd.
pub async fn shared_etcd(test: &str) -> Option<Subject> {
    static SHARED: OnceCell<Option<Server>> = OnceCell::const_new();
    let server = SHARED.get_or_init(|| async { Server::start() }).await.as_ref()?;
    let store = server.store(&format!("/tests/{test}"));
    let elsewhere: Arc<dyn Store> = server.store("/elsewhere");
    server.ready().await;
    Some(Subject { store, elsewhere: Some(elsewhere), advances: false, _kept: Box::new(()) })
}

/// A prefix of an etcd.
pub fn of_etcd(server: &Server, prefix: &str) -> Subject {
    Subject { store: server.store(prefix), elsewhere: None, advances: false, _kept: Box::new(()) }
}

/// Says what was not tested where nobody can miss it: past the capture of a test's output.
pub fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {what} ***");
}

/// `MONOKUBE_TEST_ETCD`, or `etcd` from the path.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("MONOKUBE_TEST_ETCD") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "MONOKUBE_TEST_ETCD is no file: {}", named.display());
        return Some(named);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file())
}

/// An etcd of the test's own. It ends with the test, however that ends.
pub struct Server {
    pub name: String,
    client: u16,
    peer: u16,
    /// `name=url` of all members.
    cluster: String,
    directory: PathBuf,
    /// `--...` that a test wants in addition.
    extra: Vec<String>,
    process: Option<Child>,
}

/// Kills etcd and removes its directory when standard input ends: with the test, or when it is told to.
const KEEPER: &str = r#"exec 3<&0; etcd=$1; clean=$2; shift 2
"$etcd" "$@" </dev/null >/dev/null 2>&1 & child=$!
read -r order <&3; kill -9 $child; wait $child 2>/dev/null
[ "$order" = keep ] || rm -rf "$clean""#;

impl Server {
    /// Starts one alone. `None`, said loudly, if there is no etcd.
    pub fn start() -> Option<Self> {
        let mut all = Self::cluster(1, &[])?;
        all.pop()
    }

    /// Starts several as one cluster.
    pub fn cluster(members: usize, extra: &[String]) -> Option<Vec<Self>> {
        if program().is_none() {
            skipped("the tests with etcd: it is not in PATH, and MONOKUBE_TEST_ETCD is not set");
            return None;
        }
        let ports = free_ports(2 * members);
        let name = |at: usize| format!("member-{at}");
        let urls = (0..members).map(|at| format!("{}=http://127.0.0.1:{}", name(at), ports[2 * at + 1]));
        let cluster = urls.collect::<Vec<_>>().join(",");
        let member = |at: usize| {
            let mut server = Self {
                name: name(at),
                client: ports[2 * at],
                peer: ports[2 * at + 1],
                cluster: cluster.clone(),
                directory: directory().keep(),
                extra: extra.to_vec(),
                process: None,
            };
            server.run();
            server
        };
        Some((0..members).map(member).collect())
    }

    pub fn run(&mut self) {
        let scheme = if self.extra.is_empty() { "http" } else { "https" };
        let client = format!("{scheme}://127.0.0.1:{}", self.client);
        let peer = format!("http://127.0.0.1:{}", self.peer);
        let directory = self.directory.display().to_string();
        let program = program().expect("found before").display().to_string();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh", &program, &directory]).args(["--name", &self.name, "--data-dir", &directory]);
        keeper.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        keeper.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        keeper.args(["--initial-cluster", &self.cluster]).args(&self.extra);
        self.process = Some(keeper.stdin(Stdio::piped()).spawn().expect("a shell"));
    }

    /// Kills it; what it has stored stays.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let _ = process.stdin.take().expect("piped").write_all(b"keep\n");
        process.wait().expect("the keeper ends");
    }

    /// Removes everything that it has stored.
    pub fn forget(&self) {
        std::fs::remove_dir_all(&self.directory).expect("its directory");
        std::fs::create_dir(&self.directory).expect("its directory");
        // etcd warns of more.
        #[cfg(unix)]
        std::fs::set_permissions(&self.directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mine");
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    pub fn options(&self, prefix: &str) -> Options {
        Options { servers: vec![self.address()], prefix: Some(prefix.to_owned()), ..Options::default() }
    }

    pub fn store(&self, prefix: &str) -> Arc<Etcd> {
        Arc::new(Etcd::new(&self.options(prefix), Clock::machine()).expect("an address"))
    }

    /// Waits until it answers.
    pub async fn ready(&self) {
        ready(&self.store("/registry")).await;
    }
}

/// Waits until the store answers.
pub async fn ready(store: &Etcd) {
    super::suite::within(async { while store.current().await.is_err() {} }).await;
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            let _ = process.wait();
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// Ports that nobody uses now.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("bound").port()).collect()
}

//! A `monokube server` in a directory of its own, and kubectl on it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a server may take to be ready, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is read, seen or looked up at some time: asked again until it is so.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    answers(what, holds, |holds| *holds);
}

/// The same of an answer that can be told when it never suits.
pub fn answers<T: std::fmt::Debug>(what: &str, ask: impl Fn() -> T, suits: impl Fn(&T) -> bool) {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if suits(&answer) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: {answer:?}");
    }
}

/// Killed when it is dropped.
pub struct Server {
    process: Child,
    /// `https://127.0.0.1:PORT`
    pub address: String,
    pub data_dir: PathBuf,
}

/// The command line of a server on this directory, on a free port of loopback.
pub fn command(data_dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monokube"));
    command.arg("server").arg("--data-dir").arg(data_dir);
    command.args(["--bind-address", "127.0.0.1", "--secure-port", "0"]).args(flags);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

impl Server {
    /// Returns when it says that it is ready.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Self {
        Self::started(data_dir, command(data_dir, flags))
    }

    /// The same with its log in a file.
    pub fn start_logged(data_dir: &Path, flags: &[&str], log: &Path) -> Self {
        let mut command = command(data_dir, flags);
        command.stderr(std::fs::File::create(log).expect("a log"));
        Self::started(data_dir, command)
    }

    fn started(data_dir: &Path, mut command: Command) -> Self {
        let mut process = command.spawn().expect("the program starts");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = lines.recv_timeout(PATIENCE).expect("a line on stdout");
        let address = line.strip_prefix("ready ").expect("ready").to_owned();
        Self { process, address, data_dir: data_dir.to_owned() }
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM, and waits until it has ended.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = self.process.id().to_string();
        Command::new("kill").arg(&pid).status().expect("kill");
        self.process.wait().expect("it ends")
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.data_dir.join("admin.kubeconfig")).args(arguments);
        // Its cache of discovery answers is of this server alone.
        command.env("HOME", &self.data_dir).env_remove("KUBECONFIG").stdin(Stdio::null());
        command
    }

    /// What it prints; it must succeed.
    pub fn run(&self, line: &str) -> String {
        let output = self.output(line);
        assert!(output.status.success(), "kubectl {line}: {}", told(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What it complains about; it must fail.
    pub fn refused(&self, line: &str) -> String {
        let output = self.output(line);
        assert!(!output.status.success(), "kubectl {line}: {}", told(&output));
        String::from_utf8(output.stderr).expect("text")
    }

    /// The arguments are split at spaces.
    pub fn output(&self, line: &str) -> Output {
        let arguments: Vec<&str> = line.split(' ').collect();
        self.kubectl(&arguments).output().expect("kubectl runs")
    }

    /// The same with a manifest on stdin.
    pub fn feed(&self, line: &str, manifest: &str) -> Output {
        use std::io::Write as _;
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = self.kubectl(&arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kubectl runs");
        child.stdin.take().expect("piped").write_all(manifest.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Both streams of a command.
pub fn told(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Runs a server that is expected to end by itself: (its status, what it wrote to stderr).
pub fn ends(data_dir: &Path, flags: &[&str]) -> (ExitStatus, String) {
    let mut process = command(data_dir, flags).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut text = String::new();
    process.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
    (process.wait().expect("it ends"), text)
}

//! This test binary, run once more as a process that can be killed, or that has less to live on.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::store::embedded::Embedded;

/// What the child does, `DIRECTORY` where.
const TASK: &str = "MONOKUBE_TEST_CHILD";
const DIRECTORY: &str = "MONOKUBE_TEST_DIRECTORY";
/// Not the test's harness speaks, but the child.
const SAYS: &str = "child: ";

/// A child that runs.
pub struct Running {
    pub process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    /// Starts `task` on a directory; through `sh` with the file size limit given, in blocks of 1 KiB.
    pub fn start(task: &str, directory: &Path, limit: Option<u32>) -> Self {
        let own = std::env::current_exe().expect("a test binary");
        let mut command = Command::new("sh");
        // With the signal ignored, writing too much is an error.
        let limit = limit.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {};", blocks * 2));
        command.args(["-c", &format!("{limit} exec \"$@\""), "sh"]).arg(own);
        command.args(["store::child::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(TASK, task).env(DIRECTORY, directory).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a shell");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, lines }
    }

    /// What it says next; `None` when it has ended.
    pub fn line(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.expect("text");
            // The harness's own words may stand before it.
            if let Some(at) = line.find(SAYS) {
                return Some(line[at + SAYS.len()..].to_owned());
            }
        }
    }

    /// Kills it as the system would; what it had said but nobody heard yet comes back.
    pub fn kill(mut self) -> Vec<String> {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
        std::iter::from_fn(|| self.line()).collect()
    }
}

/// Past the harness's capture, and whole.
pub fn say(line: &str) {
    let line = format!("{SAYS}{line}\n");
    let mut output = std::io::stdout().lock();
    // Who does not listen has killed us, or soon will.
    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}

/// No test: the child's beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by other tests"]
async fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let directory = std::env::var_os(DIRECTORY).expect("named");
    let opened = Embedded::open(Path::new(&directory), Clock::machine(), &Entropy::seeded(2)).await;
    match (task.split_once(' ').unwrap_or((&task, "")), opened) {
        (("open", _), opened) => say(&format!("{:?}", opened.err())),
        (("storm", round), opened) => super::storm::storm(opened.expect("opens"), round).await,
        (("fill", _), opened) => super::disk::fill(&opened.expect("opens")).await,
        (task, _) => panic!("{task:?}"),
    }
}

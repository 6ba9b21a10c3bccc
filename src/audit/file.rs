//! The log's file: appended to, put aside under a name with the time when it is long, and old ones thrown away. Names and
//! rules are those of the library that stock uses (lumberjack).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::base::clock::Clock;

/// The time in the name of a file that was put aside.
const NAME_TIME: &str = "%Y-%m-%dT%H-%M-%S%.3f";
const PACKED: &str = ".gz";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Files put aside that are looked at.
const MAX_OLD: usize = 100_000;

/// Where the log is, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `-` is stdout.
    pub path: PathBuf,
    /// Bytes of the file before it is put aside; 0: it never is.
    pub longest: u64,
    /// Days that files put aside are kept; 0: for ever.
    pub days: u32,
    /// Files put aside that are kept; 0: all.
    pub backups: usize,
    /// Whether they are packed.
    pub compress: bool,
}

/// The log's end, where events are appended.
pub struct Tail {
    options: Options,
    clock: Clock,
    out: Option<Out>,
    /// Bytes in the file; `None`: it is a pipe or a device, and never put aside.
    length: Option<u64>,
    /// The last line has no end.
    torn: bool,
    /// Wakes the thread that looks after the files put aside.
    tidy: Option<SyncSender<()>>,
}

enum Out {
    Stdout(io::Stdout),
    File(File),
}

impl Tail {
    /// Makes the file where there is none, for its owner alone, and its folder.
    pub fn create(options: Options, clock: &Clock) -> io::Result<Self> {
        if !options.is_stdout() {
            if let Some(folder) = options.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            // For reading too: a pipe that nobody reads yet is no reason to wait.
            OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&options.path)?;
        }
        Ok(Self { options, clock: clock.clone(), out: None, length: None, torn: false, tidy: None })
    }

    /// Opens the file, and puts it aside when `next` bytes have no room in it. Gives the bytes that have.
    pub fn prepare(&mut self, next: usize) -> io::Result<u64> {
        let was_open = self.out.is_some();
        self.open()?;
        let (longest, next) = (self.options.longest, next as u64);
        let Some(length) = self.length.filter(|_| longest > 0) else { return Ok(u64::MAX) };
        if next > longest {
            let why = format!("write length {next} exceeds maximum file size {longest}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        if !was_open {
            self.tidy();
        }
        // A file that was found is put aside a byte earlier, as in stock.
        if length + next > longest || !was_open && length + next == longest && length > 0 {
            self.put_aside()?;
            return Ok(longest);
        }
        Ok(longest - length)
    }

    /// Appends; tells how many of the bytes are in the file, and what went wrong with the others.
    pub fn append(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let Some(out) = &mut self.out else { return (0, Err(io::ErrorKind::NotConnected.into())) };
        if self.torn && out.write(b"\n").is_ok_and(|written| written == 1) {
            self.torn = false;
            self.length = self.length.map(|length| length + 1);
        }
        let mut written = 0;
        let result = loop {
            if written == bytes.len() {
                break out.flush();
            }
            match out.write(&bytes[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(some) => written += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.length = self.length.map(|length| length + written as u64);
        if result.is_err() {
            self.torn = written > 0 && bytes[written - 1] != b'\n' || written == 0 && self.torn;
            // What it names may be another file by now, or one that can be written again.
            self.out = None;
        }
        (written, result)
    }

    fn open(&mut self) -> io::Result<()> {
        if self.out.is_some() {
            return Ok(());
        }
        if self.options.is_stdout() {
            self.out = Some(Out::Stdout(io::stdout()));
            return Ok(());
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.options.path)?;
        let meta = file.metadata()?;
        self.length = meta.is_file().then_some(meta.len());
        self.out = Some(Out::File(file));
        Ok(())
    }

    /// Renames the file and begins a new one with the same rights.
    fn put_aside(&mut self) -> io::Result<()> {
        self.out = None;
        let path = &self.options.path;
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        fs::rename(path, self.options.aside(self.clock.now()))?;
        let file = OpenOptions::new().create(true).append(true).mode(mode).open(path)?;
        (self.out, self.length, self.torn) = (Some(Out::File(file)), Some(0), false);
        self.tidy();
        Ok(())
    }

    /// Has old files packed and thrown away, beside the writing.
    fn tidy(&mut self) {
        if self.options.days == 0 && self.options.backups == 0 && !self.options.compress {
            return;
        }
        if self.tidy.is_none() {
            let (sender, wakes) = sync_channel(1);
            let (options, clock) = (self.options.clone(), self.clock.clone());
            let run = move || {
                for () in wakes {
                    if let Err(error) = tidy(&options, clock.now()) {
                        tracing::warn!(%error, "old audit logs stay as they are");
                    }
                }
            };
            if let Err(error) = std::thread::Builder::new().name("audit-tidy".to_owned()).spawn(run) {
                tracing::warn!(%error, "no thread for old audit logs");
                return;
            }
            self.tidy = Some(sender);
        }
        // One that is full wakes it anyway.
        let _ = self.tidy.as_ref().map(|tidy| tidy.try_send(()));
    }
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(_) => Ok(()),
        }
    }
}

impl Options {
    fn is_stdout(&self) -> bool {
        self.path == Path::new("-")
    }

    /// `audit`, `.log`
    fn parts(&self) -> (String, String) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dot = name.rfind('.').unwrap_or(name.len());
        (name[..dot].to_owned(), name[dot..].to_owned())
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Under which name the file is put aside: `audit-2026-01-01T00-00-00.000.log`.
    fn aside(&self, now: Timestamp) -> PathBuf {
        let (prefix, extension) = self.parts();
        let time = now.to_zoned(TimeZone::UTC).strftime(NAME_TIME).to_string();
        self.folder().join(format!("{prefix}-{time}{extension}"))
    }

    /// When the file of this name was put aside, if it was.
    fn put_aside_at(&self, name: &str) -> Option<Timestamp> {
        let (prefix, extension) = self.parts();
        let rest = name.strip_prefix(&prefix)?.strip_prefix('-')?;
        let rest = rest.strip_suffix(PACKED).unwrap_or(rest);
        let time = rest.strip_suffix(extension.as_str())?;
        let time = DateTime::strptime(NAME_TIME, time).ok()?;
        time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    }
}

/// Throws away what is too old or too many, and packs the rest where that is asked.
fn tidy(options: &Options, now: Timestamp) -> io::Result<()> {
    let mut old = Vec::new();
    for entry in fs::read_dir(options.folder())?.take(MAX_OLD) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(at) = options.put_aside_at(&name) {
            old.push((at, name));
        }
    }
    old.sort_by(|a, b| b.cmp(a));
    let oldest = now.checked_sub(DAY * options.days).unwrap_or(Timestamp::MIN);
    let (mut result, mut seen) = (Ok(()), Vec::<&str>::new());
    for (at, name) in &old {
        let plain = name.strip_suffix(PACKED).unwrap_or(name);
        if seen.last() != Some(&plain) {
            seen.push(plain);
        }
        let too_many = options.backups > 0 && seen.len() > options.backups;
        let path = options.folder().join(name);
        let done = if too_many || options.days > 0 && *at < oldest {
            fs::remove_file(&path)
        } else if options.compress && plain == name {
            pack(&path)
        } else {
            Ok(())
        };
        result = result.and(done);
    }
    result
}

fn pack(path: &Path) -> io::Result<()> {
    let mut packed = path.as_os_str().to_owned();
    packed.push(PACKED);
    let packed = PathBuf::from(packed);
    let write = || {
        let mut from = File::open(path)?;
        let mode = from.metadata()?.permissions().mode() & 0o777;
        let to = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&packed)?;
        let mut encoder = GzEncoder::new(to, Compression::default());
        io::copy(&mut from, &mut encoder)?;
        encoder.finish()?.sync_all()
    };
    match write() {
        Ok(()) => fs::remove_file(path),
        Err(error) => fs::remove_file(&packed).and(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::audit::backend::tests::clock;

    fn options(folder: &Path) -> Options {
        Options { path: folder.join("audit.log"), longest: 10, days: 0, backups: 0, compress: false }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn write(tail: &mut Tail, line: &str) -> io::Result<()> {
        tail.prepare(line.len())?;
        tail.append(line.as_bytes()).1
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_file_is_put_aside_under_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, clock) = (folder.path().join("deep"), clock());
        let mut tail = Tail::create(options(&path), &clock).expect("a file");
        assert_eq!(fs::metadata(path.join("audit.log")).expect("a file").permissions().mode() & 0o777, 0o600);
        for line in ["one\n", "two\n"] {
            write(&mut tail, line).expect("written");
        }
        clock.sleep(Duration::from_millis(1500)).await;
        write(&mut tail, "three\n").expect("written");
        assert_eq!(names(&path), ["audit-2026-01-01T00-00-01.500.log", "audit.log"]);
        assert_eq!(fs::read_to_string(path.join("audit.log")).expect("a file"), "three\n");
        let error = write(&mut tail, "longer than all\n").expect_err("no room");
        assert_eq!(error.to_string(), "write length 16 exceeds maximum file size 10");
        drop(tail);
        clock.sleep(Duration::from_secs(1)).await;
        let mut again = Tail::create(options(&path), &clock).expect("a file");
        write(&mut again, "end\n").expect("written");
        assert_eq!(names(&path).len(), 3, "what would be just full is put aside when it is found");
    }

    #[test]
    fn what_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(Tail::create(options(&file), &clock()).is_err());
    }

    #[test]
    fn a_line_that_broke_off_is_ended_before_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tail = Tail::create(Options { longest: 0, ..options(folder.path()) }, &clock()).expect("a file");
        tail.prepare(4).expect("open");
        assert_eq!(tail.append(b"half").0, 4);
        tail.torn = true;
        write(&mut tail, "whole\n").expect("written");
        assert_eq!(fs::read_to_string(folder.path().join("audit.log")).expect("a file"), "half\nwhole\n");
    }

    #[test]
    fn old_files_go_by_age_and_by_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let all = [
            "audit-2025-12-01T00-00-00.000.log",
            "audit-2025-12-30T00-00-00.000.log",
            "audit-2025-12-30T12-00-00.000.log.gz",
            "audit-2025-12-31T00-00-00.000.log",
            "audit-2025-12-31T00-00-00.000.log.gz",
            "audit-notes.log",
            "other-2020-01-01T00-00-00.000.log",
        ];
        all.iter().for_each(|name| fs::write(folder.path().join(name), name).expect("written"));
        let kept = |options: &Options| {
            tidy(options, clock().now()).expect("tidy");
            names(folder.path())
        };
        let options = options(folder.path());
        assert_eq!(kept(&Options { days: 10, ..options.clone() }), all[1..]);
        assert_eq!(kept(&Options { backups: 2, ..options.clone() }), all[2..]);
        fs::remove_file(folder.path().join(all[4])).expect("removed");
        assert_eq!(kept(&Options { compress: true, ..options }).len(), 4);
        let mut text = String::new();
        let packed = File::open(folder.path().join(all[4])).expect("packed");
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("unpacked");
        assert_eq!(text, all[3]);
    }
}

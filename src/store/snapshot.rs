//! A store's state in a file, from any store and into any other.
//!
//! All numbers are little-endian; a checksum is CRC-32 (IEEE) over the bytes named.
//!
//! ```text
//! file  = head block* end
//! head  = "monokube" format:u32 revision:u64 checksum:u32      over the 20 bytes before it
//! block = length:u32 checksum:u32 entry*                       over the `length` bytes of its entries; length > 0
//! entry = key-length:u32 value-length:u32 revision:u64 key value
//! end   = 0:u32 checksum:u32 entries:u64                       over the number of entries in the file
//! ```
//!
//! Entries stand in ascending order of keys. Their revisions are kept for the reader's information only.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use super::contract::{Change, Commit, Entry, Expect, Outcome, Store, StoreError};
use super::keys::ROOT;
use crate::model::revision::Revision;

const MAGIC: &[u8; 8] = b"monokube";
const FORMAT: u32 = 1;
const HEAD: usize = 24;
const ENTRY: usize = 16;
/// A block is written when it has this many bytes.
const BLOCK: usize = 1 << 20;
/// A longer block is not read: one is longer than [`BLOCK`] by less than one entry.
const LONGEST: usize = 64 << 20;
/// Commits under way while a file is restored.
const TOGETHER: usize = 128;

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The newest revision when it was saved.
    pub revision: Revision,
    pub entries: u64,
}

/// Why saving or restoring failed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: not a whole snapshot: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("the store to restore into is not empty")]
    NotEmpty,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Saves the state as of one revision. The file appears whole or not at all, replaces one of the same name, and can be read
/// by its owner only: there are secrets in it.
pub async fn save(store: &dyn Store, path: &Path) -> Result<Summary, SnapshotError> {
    let partial = path.with_added_extension("partial");
    let saved = write(store, &partial).await;
    match saved {
        Ok(summary) => {
            let appear = async {
                fs::rename(&partial, path).await?;
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                File::open(folder.unwrap_or(Path::new("."))).await?.sync_all().await
            };
            appear.await.map_err(at(path))?;
            Ok(summary)
        }
        Err(error) => {
            let _ = fs::remove_file(&partial).await;
            Err(error)
        }
    }
}

/// Restores a file into an empty store; the whole file is checked before. `ttl` says which keys get a TTL: a snapshot does
/// not know it.
///
/// Every entry gets a new revision, greater than the file's, so that no client takes old state for new; only in etcd,
/// whose revisions can't be raised, a client may (restart them all). A restore that fails leaves a part: throw it away.
pub async fn restore(
    path: &Path,
    store: &dyn Store,
    ttl: impl Fn(&str) -> Option<Duration>,
) -> Result<Summary, SnapshotError> {
    let summary = check(path).await?;
    let mut load = store.load(ROOT).await?;
    if let Some(chunk) = load.chunks.recv().await {
        chunk?;
        return Err(SnapshotError::NotEmpty);
    }
    store.advance(summary.revision).await?;
    let mut reader = Reader::open(path).await?;
    while let Some(entries) = reader.block().await? {
        let commits = entries.into_iter().map(|Entry { key, value, .. }| {
            let change = Change::Put { value, ttl: ttl(&key) };
            store.commit(Commit { key, expect: Expect::Absent, change })
        });
        stream::iter(commits)
            .buffer_unordered(TOGETHER)
            .map_err(SnapshotError::Store)
            .try_for_each(|outcome| async move {
                match outcome {
                    Outcome::Committed(_) => Ok(()),
                    Outcome::Conflict { .. } => Err(SnapshotError::NotEmpty),
                }
            })
            .await?;
    }
    Ok(summary)
}

/// Reads the whole file and says what is in it.
pub async fn check(path: &Path) -> Result<Summary, SnapshotError> {
    let mut reader = Reader::open(path).await?;
    while reader.block().await?.is_some() {}
    Ok(Summary { revision: reader.revision, entries: reader.entries })
}

async fn write(store: &dyn Store, path: &Path) -> Result<Summary, SnapshotError> {
    let mut load = store.load(ROOT).await?;
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).await;
    let mut file = open.map_err(at(path))?;
    file.write_all(&head(load.revision)).await.map_err(at(path))?;
    let (mut entries, mut block) = (0, BytesMut::new());
    while let Some(chunk) = load.chunks.recv().await {
        for entry in chunk? {
            entries += 1;
            put_entry(&mut block, &entry);
            if block.len() >= BLOCK {
                write_block(&mut file, &mut block).await.map_err(at(path))?;
            }
        }
    }
    if !block.is_empty() {
        write_block(&mut file, &mut block).await.map_err(at(path))?;
    }
    file.write_all(&end(entries)).await.map_err(at(path))?;
    file.sync_all().await.map_err(at(path))?;
    Ok(Summary { revision: load.revision, entries })
}

fn at(path: &Path) -> impl Fn(io::Error) -> SnapshotError {
    move |error| SnapshotError::File { path: path.to_owned(), error }
}

fn head(revision: Revision) -> BytesMut {
    let mut head = BytesMut::with_capacity(HEAD);
    head.put_slice(MAGIC);
    head.put_u32_le(FORMAT);
    head.put_u64_le(revision.0);
    head.put_u32_le(crc32fast::hash(&head));
    head
}

fn end(entries: u64) -> BytesMut {
    let mut end = BytesMut::new();
    end.put_u32_le(0);
    end.put_u32_le(crc32fast::hash(&entries.to_le_bytes()));
    end.put_u64_le(entries);
    end
}

fn put_entry(block: &mut BytesMut, entry: &Entry) {
    block.put_u32_le(length(&entry.key));
    block.put_u32_le(length(&entry.value));
    block.put_u64_le(entry.revision.0);
    block.put_slice(entry.key.as_bytes());
    block.put_slice(&entry.value);
}

async fn write_block(file: &mut File, block: &mut BytesMut) -> io::Result<()> {
    let mut before = [0; 8];
    (&mut before[..]).put_u32_le(length(&block));
    (&mut before[4..]).put_u32_le(crc32fast::hash(block));
    file.write_all(&before).await?;
    file.write_all(block).await?;
    block.clear();
    Ok(())
}

fn length(part: &impl AsRef<[u8]>) -> u32 {
    u32::try_from(part.as_ref().len()).expect("no store holds an entry of 4 GiB")
}

/// Reads a file and believes nothing in it.
struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    revision: Revision,
    /// Read so far.
    entries: u64,
    last: String,
    ended: bool,
}

impl Reader {
    async fn open(path: &Path) -> Result<Self, SnapshotError> {
        let file = File::open(path).await.map_err(at(path))?;
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            revision: Revision::ZERO,
            entries: 0,
            last: String::new(),
            ended: false,
        };
        let mut head = reader.read(HEAD).await?;
        if !head.starts_with(MAGIC) {
            return Err(reader.damaged("it does not begin like one"));
        }
        let sum = crc32fast::hash(&head[..HEAD - 4]);
        head.advance(MAGIC.len());
        let (format, revision) = (head.get_u32_le(), head.get_u64_le());
        if head.get_u32_le() != sum || i64::try_from(revision).is_err() {
            return Err(reader.damaged("wrong checksum of its head"));
        }
        if format != FORMAT {
            return Err(reader.damaged(&format!("format {format}, this program knows {FORMAT}")));
        }
        reader.revision = Revision(revision);
        Ok(reader)
    }

    /// The next entries; `None` after the last ones.
    async fn block(&mut self) -> Result<Option<Vec<Entry>>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let mut before = self.read(8).await?;
        let (length, sum) = (before.get_u32_le() as usize, before.get_u32_le());
        if length > LONGEST {
            return Err(self.damaged("a block longer than any"));
        }
        let payload = self.read(if length == 0 { 8 } else { length }).await?;
        if crc32fast::hash(&payload) != sum {
            return Err(self.damaged(&format!("wrong checksum after entry {}", self.entries)));
        }
        if length > 0 {
            return self.entries(payload).map(Some);
        }
        self.ended = true;
        let entries = u64::from_le_bytes(payload[..].try_into().expect("8 bytes were read"));
        if entries != self.entries {
            return Err(self.damaged(&format!("{} entries of {entries}", self.entries)));
        }
        let mut more = [0; 1];
        match self.file.read(&mut more).await.map_err(at(&self.path))? {
            0 => Ok(None),
            _ => Err(self.damaged("more after its end")),
        }
    }

    fn entries(&mut self, mut block: Bytes) -> Result<Vec<Entry>, SnapshotError> {
        let mut entries = Vec::new();
        while !block.is_empty() {
            let entry = take_entry(&mut block).ok_or_else(|| self.damaged("an entry that is cut off"))?;
            if !entry.key.starts_with(ROOT) || entry.key <= self.last {
                return Err(self.damaged(&format!("key {:?} after {:?}", entry.key, self.last)));
            }
            self.last.clone_from(&entry.key);
            self.entries += 1;
            entries.push(entry);
        }
        Ok(entries)
    }

    async fn read(&mut self, length: usize) -> Result<Bytes, SnapshotError> {
        let mut bytes = BytesMut::zeroed(length);
        match self.file.read_exact(&mut bytes).await {
            Ok(_) => Ok(bytes.freeze()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged("it ends too early")),
            Err(error) => Err(at(&self.path)(error)),
        }
    }

    fn damaged(&self, what: &str) -> SnapshotError {
        SnapshotError::Damaged { path: self.path.clone(), what: what.to_owned() }
    }
}

/// `None` if the block ends too early or the key is no text.
fn take_entry(block: &mut Bytes) -> Option<Entry> {
    if block.len() < ENTRY {
        return None;
    }
    let (key, value) = (block.get_u32_le() as usize, block.get_u32_le() as usize);
    let revision = Revision(block.get_u64_le());
    if block.len() < key.checked_add(value)? {
        return None;
    }
    let key = String::from_utf8(block.split_to(key).into()).ok()?;
    // On its own, so that one value that is kept does not keep the block.
    let value = Bytes::copy_from_slice(&block.split_to(value));
    Some(Entry { key, value, revision })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock::Clock;
    use crate::store::memory::Memory;

    async fn put(store: &Memory, key: &str, value: &[u8]) {
        store.commit(Commit::put(key, Expect::Any, value.to_vec())).await.expect("answers");
    }

    /// A file with three entries at revision 1004.
    async fn saved(folder: &Path) -> PathBuf {
        let store = Memory::new(Clock::machine());
        store.advance(Revision(1000)).await.expect("answers");
        for key in ["/registry/a", "/registry/b", "/registry/b", "/registry/c"] {
            put(&store, key, b"value").await;
        }
        let file = folder.join("saved");
        let summary = save(&store, &file).await.expect("saves");
        assert_eq!(summary, Summary { revision: Revision(1004), entries: 3 });
        file
    }

    #[tokio::test]
    async fn revisions_go_on_after_those_of_the_file() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = saved(folder.path()).await;
        let store = Memory::new(Clock::machine());
        restore(&file, &store, |_| None).await.expect("restores");
        let entry = store.get("/registry/a").await.expect("answers").expect("is there");
        assert_eq!((&entry.value[..], entry.revision > Revision(1004)), (&b"value"[..], true));
        assert_eq!(store.current().await, Ok(Revision(1007)));
    }

    #[tokio::test]
    async fn a_file_changed_anywhere_is_refused() {
        let folder = tempfile::tempdir().expect("a directory");
        let whole = std::fs::read(saved(folder.path()).await).expect("a file");
        let file = folder.path().join("changed");
        let refused = async |bytes: &[u8]| {
            std::fs::write(&file, bytes).expect("room");
            let refused = check(&file).await;
            assert!(matches!(refused, Err(SnapshotError::Damaged { .. })), "{refused:?}");
        };
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            refused(&changed).await;
            refused(&whole[..at]).await;
        }
        refused(&[&whole[..], b"x"].concat()).await;
        let block = HEAD..whole.len() - 16;
        refused(&[&whole[..block.start], &whole[block.end..]].concat()).await;
        refused(&[&whole[..block.end], &whole[block.start..]].concat()).await;
    }

    #[tokio::test]
    async fn what_is_damaged_at_its_end_restores_nothing() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = saved(folder.path()).await;
        let mut bytes = std::fs::read(&file).expect("a file");
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(&file, bytes).expect("room");
        let store = Memory::new(Clock::machine());
        restore(&file, &store, |_| None).await.expect_err("damaged");
        assert_eq!(store.current().await, Ok(Revision(1)));
    }

    #[tokio::test]
    async fn a_failed_save_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = saved(folder.path()).await;
        let before = std::fs::read(&file).expect("a file");
        std::fs::create_dir(folder.path().join("saved.partial")).expect("room");
        let failed = save(&Memory::new(Clock::machine()), &file).await;
        assert!(matches!(failed, Err(SnapshotError::File { .. })), "{failed:?}");
        assert_eq!(std::fs::read(&file).expect("a file"), before);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_goes_in_comes_out(entries in prop::collection::btree_map("[a-z/é]{1,20}", prop::collection::vec(any::<u8>(), 0..2000), 0..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (from, into) = (Memory::new(Clock::machine()), Memory::new(Clock::machine()));
                for (key, value) in &entries {
                    put(&from, &format!("{ROOT}{key}"), value).await;
                }
                let folder = tempfile::tempdir().expect("a directory");
                let file = folder.path().join("saved");
                save(&from, &file).await.expect("saves");
                restore(&file, &into, |_| None).await.expect("restores");
                let mut load = into.load(ROOT).await.expect("answers");
                let mut restored = std::collections::BTreeMap::new();
                while let Some(chunk) = load.chunks.recv().await {
                    let chunk = chunk.expect("readable").into_iter();
                    restored.extend(chunk.map(|entry| (entry.key[ROOT.len()..].to_owned(), entry.value.to_vec())));
                }
                assert_eq!(restored, entries);
            });
        }
    }
}

//! Loads, page by page.

use std::time::Duration;

use tokio::sync::mpsc;

use super::failure::Failure;
use super::members::Members;
use super::{MARKER, wire};
use crate::model::revision::Revision;
use crate::store::contract::{Entry, Load, StoreError};
use crate::store::keys::{Relocation, end_of};

/// Entries asked for at once. Halved when an answer is larger than a message may be.
const PAGE: i64 = 500;
/// Pages that wait to be taken.
const PAGES_AHEAD: usize = 1;
/// How long one try of reading a page may take.
const READ_PAGE: Duration = Duration::from_secs(30);

/// The pages of a load, all of one revision.
pub struct Pages {
    members: Members,
    keys: Relocation,
    start: Vec<u8>,
    end: Vec<u8>,
    /// 0 before the first page: the newest.
    revision: i64,
    limit: i64,
}

struct Page {
    entries: Vec<Entry>,
    more: bool,
}

impl Pages {
    /// Of everything under `prefix`.
    pub fn new(members: Members, keys: Relocation, prefix: &str) -> Self {
        let start = keys.outside(prefix);
        Self { members, keys, end: end_of(&start), start, revision: 0, limit: PAGE }
    }

    /// Reads the first page, and has a task read the others as they are taken.
    pub async fn load(mut self) -> Result<Load, StoreError> {
        let first = self.next().await?;
        let revision = Revision(self.revision.cast_unsigned());
        let (sender, chunks) = mpsc::channel(PAGES_AHEAD);
        tokio::spawn(async move {
            let mut page = Ok(first);
            while let Ok(Page { entries, more }) = page {
                if (!entries.is_empty() && sender.send(Ok(entries)).await.is_err()) || !more {
                    return;
                }
                page = self.next().await;
            }
            if let Err(error) = page {
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(Load { revision, chunks })
    }

    async fn next(&mut self) -> Result<Page, StoreError> {
        let answer = self.read().await?;
        if self.revision == 0 {
            self.revision = wire::revision(answer.header.as_ref()).0.cast_signed();
        }
        let mut entries = Vec::with_capacity(answer.kvs.len());
        for found in answer.kvs {
            self.start.clone_from(&found.key);
            // What is not UTF-8 is not of Kubernetes' making.
            match self.keys.inside(&found.key)? {
                Some(key) if key != MARKER => entries.push(wire::entry(key, found)),
                _ => {}
            }
        }
        // The first name after the last one.
        self.start.push(0);
        Ok(Page { entries, more: answer.more })
    }

    async fn read(&mut self) -> Result<wire::RangeResponse, StoreError> {
        loop {
            let request = wire::RangeRequest {
                key: self.start.clone(),
                range_end: self.end.clone(),
                limit: self.limit,
                revision: self.revision,
                count_only: false,
            };
            match self.members.range(request, READ_PAGE).await {
                Err(Failure::AnswerTooLarge) if self.limit > 1 => self.limit /= 2,
                Err(Failure::Compacted) => {
                    let why = "the revision was compacted while it was being read".to_owned();
                    return Err(StoreError::Unavailable(why));
                }
                answer => return Ok(answer?),
            }
        }
    }
}

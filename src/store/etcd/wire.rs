//! etcd's messages: made from commits, turned into entries and changes.

use std::time::Duration;

use bytes::Bytes;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

pub use self::generated::kv_client::KvClient;
pub use self::generated::lease_client::LeaseClient;
pub use self::generated::maintenance_client::MaintenanceClient;
pub use self::generated::watch_client::WatchClient;
pub use self::generated::{
    CompactionRequest, KeyValue, LeaseGrantRequest, RangeRequest, RangeResponse, StatusRequest, StatusResponse,
    TxnRequest, TxnResponse, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse, event,
    watch_request,
};
use self::generated::{Compare, DeleteRangeRequest, PutRequest, RequestOp, ResponseHeader};
use self::generated::{compare, request_op, response_op};
use crate::model::revision::Revision;
use crate::store::contract::{Change, Changed, Commit, Entry, Expect, StoreError};
use crate::store::keys::Relocation;

/// What the build made of `proto/etcd`.
mod generated {
    #![allow(clippy::all)]
    tonic::include_proto!("etcdserverpb");
}

/// Bytes of one answer that are taken. etcd answers a watch in parts of about 2 MiB, a load in pages.
const MESSAGE: usize = 64 << 20;
/// The lease of a key that stays.
pub const NO_LEASE: i64 = 0;

pub fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(MESSAGE)
}

pub fn watch(channel: Channel) -> WatchClient<Channel> {
    WatchClient::new(channel).max_decoding_message_size(MESSAGE)
}

/// A call with a deadline that etcd knows of.
pub fn request<T>(message: T, deadline: Duration) -> tonic::Request<T> {
    let mut request = stream(message);
    request.set_timeout(deadline);
    request
}

/// A call that etcd refuses or ends when its member has lost the leader: what it says may be old then.
pub fn stream<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    request
}

/// Changes the key if it is in the expected state; otherwise gets it.
pub fn transaction(key: Vec<u8>, commit: &Commit, lease: i64) -> TxnRequest {
    let compare = match (commit.expect, &commit.change) {
        (Expect::Absent, _) => Some(modified_at(key.clone(), Revision::ZERO)),
        (Expect::At(revision), _) => Some(modified_at(key.clone(), revision)),
        (Expect::Any, Change::Delete) => Some(exists(key.clone())),
        (Expect::Any, Change::Put { .. }) => None,
    };
    let get = RangeRequest { key: key.clone(), ..Default::default() };
    let change = match &commit.change {
        Change::Put { value, .. } => request_op::Request::RequestPut(PutRequest { key, value: value.clone(), lease }),
        Change::Delete => request_op::Request::RequestDeleteRange(DeleteRangeRequest { key }),
    };
    TxnRequest {
        compare: compare.into_iter().collect(),
        success: vec![RequestOp { request: Some(change) }],
        failure: vec![RequestOp { request: Some(request_op::Request::RequestRange(get)) }],
    }
}

fn modified_at(key: Vec<u8>, revision: Revision) -> Compare {
    Compare {
        result: compare::CompareResult::Equal.into(),
        target: compare::CompareTarget::Mod.into(),
        key,
        target_union: Some(compare::TargetUnion::ModRevision(revision.0.cast_signed())),
    }
}

fn exists(key: Vec<u8>) -> Compare {
    Compare {
        result: compare::CompareResult::Greater.into(),
        target: compare::CompareTarget::Version.into(),
        key,
        target_union: Some(compare::TargetUnion::Version(0)),
    }
}

/// What the transaction's only get found.
pub fn range_of(mut answer: TxnResponse) -> RangeResponse {
    match answer.responses.pop().and_then(|response| response.response) {
        Some(response_op::Response::ResponseRange(range)) => range,
        _ => RangeResponse::default(),
    }
}

/// The revision at which etcd answered.
pub fn revision(header: Option<&ResponseHeader>) -> Revision {
    Revision(header.map_or(0, |header| header.revision).cast_unsigned())
}

pub fn entry(key: String, found: KeyValue) -> Entry {
    Entry { key, value: value(found.value), revision: Revision(found.mod_revision.cast_unsigned()) }
}

/// The change that an event tells of; `None` for a key that is not of Kubernetes' making.
pub fn change(event: generated::Event, keys: &Relocation) -> Result<Option<Changed>, StoreError> {
    let kind = event.r#type();
    let Some(found) = event.kv else { return Ok(None) };
    let Some(key) = keys.inside(&found.key)? else { return Ok(None) };
    let value = (kind == event::EventType::Put).then(|| value(found.value));
    Ok(Some(Changed { key, value, revision: Revision(found.mod_revision.cast_unsigned()) }))
}

/// Alone in its own memory, so that a value that is kept does not keep the whole answer.
fn value(bytes: Vec<u8>) -> Bytes {
    Bytes::from(bytes.into_boxed_slice())
}

//! Calls to etcd's members: to one at a time, to the next when it fails, a bounded number of times.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Response, Status};

use super::failure::Failure;
use super::wire::{self, RangeRequest, RangeResponse, StatusRequest, StatusResponse, TxnRequest, TxnResponse};
use super::{CALL, Options, connect};
use crate::base::backoff::Backoff;
use crate::store::contract::StoreError;

/// Tries of one call: so many, or each member twice if that is more.
const TRIES: usize = 4;
/// Before all members were tried there is no wait.
const BETWEEN: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// When a call is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// After any failure of connection or member: it changes nothing, or the same twice over.
    Freely,
    /// Only if it surely did not happen.
    IfRefused,
}

/// All members. Cheap to clone; all clones use the same one.
#[derive(Clone)]
pub struct Members {
    all: Arc<[(String, Channel)]>,
    /// Of the member in use, counted on without end.
    active: Arc<AtomicUsize>,
}

impl Members {
    pub fn new(options: &Options) -> Result<Self, StoreError> {
        Ok(Self { all: connect::channels(options)?.into(), active: Arc::default() })
    }

    /// Calls the member in use. A failure that may be the member's moves everyone on to the next; the call follows if it may
    /// be tried again. Each try ends after `deadline`.
    pub async fn call<T, F>(
        &self,
        repeat: Repeat,
        deadline: Duration,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let tries = TRIES.max(2 * self.all.len());
        let mut failures = 0;
        loop {
            let active = self.active.load(Ordering::Relaxed);
            let (server, channel) = &self.all[active % self.all.len()];
            let failure = match tokio::time::timeout(deadline, call(channel.clone())).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => Failure::new(&status),
                Err(_) => Failure::Lost(format!("no answer within {deadline:?}")),
            };
            let failure = match failure {
                Failure::Refused(text) => Failure::Refused(format!("etcd {server}: {text}")),
                Failure::Lost(text) => Failure::Lost(format!("etcd {server}: {text}")),
                other => return Err(other),
            };
            let _ = self.active.compare_exchange(active, active + 1, Ordering::Relaxed, Ordering::Relaxed);
            failures += 1;
            let again = repeat == Repeat::Freely || matches!(failure, Failure::Refused(_));
            if !again || failures == tries {
                return Err(match (failure, repeat) {
                    (Failure::Lost(text), Repeat::Freely) => Failure::Refused(text),
                    (failure, _) => failure,
                });
            }
            if failures >= self.all.len() {
                tokio::time::sleep(BETWEEN.after((failures - self.all.len() + 1) as u32)).await;
            }
        }
    }

    /// A linearizable read.
    pub async fn range(&self, request: RangeRequest, deadline: Duration) -> Result<RangeResponse, Failure> {
        let call = self.call(Repeat::Freely, deadline, |channel| {
            let request = request.clone();
            async move { wire::kv(channel).range(wire::request(request, deadline)).await }
        });
        call.await
    }

    /// A transaction: it may have happened when it failed.
    pub async fn transact(&self, request: TxnRequest) -> Result<TxnResponse, Failure> {
        let call = self.call(Repeat::IfRefused, CALL, |channel| {
            let request = request.clone();
            async move { wire::kv(channel).txn(wire::request(request, CALL)).await }
        });
        call.await
    }

    /// The state of the member in use.
    pub async fn status(&self) -> Result<StatusResponse, Failure> {
        let call = self.call(Repeat::Freely, CALL, |channel| async move {
            wire::MaintenanceClient::new(channel).status(wire::request(StatusRequest {}, CALL)).await
        });
        call.await
    }
}

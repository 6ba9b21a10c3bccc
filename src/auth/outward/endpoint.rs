//! A webhook: JSON is posted to the place that a kubeconfig names, and again while that may help.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;

use super::access::Access;
use super::client::{Answer, Bounds, Client, Failure};
use crate::base::entropy::Entropy;
use crate::model::duration::Duration as GoDuration;

/// Tries of one post.
pub const TRIES: u32 = 5;
/// Each wait between them is so much longer than the one before, and by a bit of chance.
const FACTOR: f64 = 1.5;
const JITTER: f64 = 0.2;

pub struct Endpoint {
    access: Access,
    client: Client,
    url: Uri,
    bounds: Bounds,
}

/// The waits between the tries of one post.
pub struct Waits(Duration);

impl Endpoint {
    /// `kubeconfig` says where it is; `bounds` are those of one try, whose time the other side is told. Nothing is sent yet.
    pub fn from_kubeconfig(kubeconfig: &Path, bounds: Bounds) -> Result<Self, String> {
        let access = Access::from_kubeconfig(kubeconfig)?;
        let mark = if access.url.query().is_some() { '&' } else { '?' };
        let time = GoDuration(i64::try_from(bounds.time.as_nanos()).unwrap_or(i64::MAX));
        let url = format!("{}{mark}timeout={time}", access.url);
        Ok(Self {
            url: url.parse().map_err(|why| format!("{url:?}: {why}"))?,
            client: Client::new(access.security.clone(), "kube-apiserver"),
            access,
            bounds,
        })
    }

    /// One try, to be sent.
    pub async fn post(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::post(self.url.clone()).body(Full::new(body)).map_err(|why| why.to_string())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(header) = self.access.authorization().await? {
            headers.insert(AUTHORIZATION, header);
        }
        Ok(request)
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        self.client.send(request, self.bounds).await
    }
}

impl Waits {
    pub fn from(first: Duration) -> Self {
        Self(first)
    }

    pub fn next(&mut self, entropy: &Entropy) -> Duration {
        let wait = entropy.jitter(self.0, JITTER);
        self.0 = self.0.mul_f64(FACTOR);
        wait
    }
}

//! One question to a webhook: an object is posted to its address, and comes back with a status.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::auth::outward::client::{Answer, Bounds, Sort};
use crate::auth::outward::endpoint::{Endpoint, TRIES, Waits};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::codec::json::parse::parse;
use crate::model::gotext;
use crate::model::value::Value;

/// How long one try may take, where nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer.
const ANSWER: usize = 3 << 20;
/// The first wait, where nothing else is said.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Bytes of an answer's text that an error shows.
const SHOWN: usize = 2048;

/// Where questions of one kind are asked.
pub struct Reviewer {
    endpoint: Endpoint,
    clock: Clock,
    entropy: Entropy,
    /// `authorization.k8s.io/v1` and `SubjectAccessReview`.
    version: String,
    kind: &'static str,
    /// The wait after the first try.
    wait: Duration,
}

/// What one try came to.
enum Outcome {
    Answered(Value),
    Failed { why: String, again: bool, timed_out: bool },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub why: String,
    pub timed_out: bool,
}

impl Reviewer {
    /// `kubeconfig` says where; `time` is the most that one try may take.
    pub fn new(
        kubeconfig: &Path,
        (group, version, kind): (&str, &str, &'static str),
        time: Duration,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, String> {
        Ok(Self {
            endpoint: Endpoint::from_kubeconfig(kubeconfig, Bounds { time, body: ANSWER })?,
            clock: clock.clone(),
            entropy: entropy.clone(),
            version: format!("{group}/{version}"),
            kind,
            wait: FIRST_WAIT,
        })
    }

    /// With another wait after the first try.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// The `status` of the answer. Asked again while the webhook is overburdened or the connection breaks. `hidden` is not
    /// repeated in what is said of a failure, even if the webhook does.
    pub async fn ask(&self, review: &Value, hidden: &str) -> Result<Value, Unanswered> {
        let body = Bytes::from(format!("{review}\n"));
        let mut waits = Waits::from(self.wait);
        for attempt in 1.. {
            match self.attempt(body.clone()).await {
                Outcome::Answered(status) => return Ok(status),
                Outcome::Failed { why, again, timed_out } if !again || attempt == TRIES => {
                    let why = hide(why, hidden);
                    tracing::error!(kind = self.kind, why, "a webhook gives no answer");
                    return Err(Unanswered { why, timed_out });
                }
                Outcome::Failed { .. } => {}
            }
            self.clock.sleep(waits.next(&self.entropy)).await;
        }
        unreachable!("the last try returns")
    }

    async fn attempt(&self, body: Bytes) -> Outcome {
        let fail = |why: String| Outcome::Failed { why, again: false, timed_out: false };
        let mut request = match self.endpoint.post(body).await {
            Ok(request) => request,
            Err(why) => return fail(why),
        };
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json, */*"));
        match self.endpoint.send(request).await {
            Ok(answer) => self.read(&answer),
            Err(failure) => Outcome::Failed {
                why: failure.text,
                again: failure.sort == Sort::Reset,
                timed_out: failure.sort == Sort::Timeout,
            },
        }
    }

    fn read(&self, answer: &Answer) -> Outcome {
        let value = parse(&answer.body).ok().filter(Value::is_object);
        let text = |name: &str| value.as_ref().and_then(|value| value[name].as_str()).unwrap_or("");
        if !answer.status.is_success() || text("kind") == "Status" {
            let told = Some(text("message")).filter(|told| text("kind") == "Status" && !told.is_empty());
            return Outcome::Failed {
                why: told.map_or_else(|| generic(answer), str::to_owned),
                again: matches!(answer.status.as_u16(), 429 | 500 | 504),
                timed_out: answer.status == StatusCode::GATEWAY_TIMEOUT,
            };
        }
        let fail = |why: String| Outcome::Failed { why, again: false, timed_out: false };
        let (kind, version) = (text("kind"), text("apiVersion"));
        if (!kind.is_empty() && kind != self.kind) || (!version.is_empty() && version != self.version) {
            let (kind, version) = (gotext::quote(kind), gotext::quote(version));
            return fail(format!("no kind {kind} is registered for version {version}"));
        }
        match value {
            Some(mut value) => Outcome::Answered(std::mem::take(&mut value["status"])),
            None => fail("couldn't get version/kind; json parse error: the answer is no JSON object".into()),
        }
    }
}

/// A text without a secret that somebody may have put into it; an empty one is none.
pub fn hide(text: String, secret: &str) -> String {
    if secret.is_empty() || !text.contains(secret) { text } else { text.replace(secret, "[hidden]") }
}

/// What client-go says of an answer that does not explain itself.
fn generic(answer: &Answer) -> String {
    match answer.status.as_u16() {
        400 => "the server rejected our request for an unknown reason".into(),
        401 => "the server has asked for the client to provide credentials".into(),
        404 => "the server could not find the requested resource".into(),
        405 => "the server does not allow this method on the requested resource".into(),
        409 => "the server reported a conflict".into(),
        422 => "the server rejected our request due to an error in our request".into(),
        429 => "the server has received too many requests and has asked us to try again later".into(),
        503 => "the server is currently unable to handle the request".into(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .into()
        }
        403 | 406 | 415 => said(answer),
        code if code >= 500 => {
            format!(
                "an error on the server ({}) has prevented the request from succeeding",
                gotext::quote(&said(answer))
            )
        }
        code => format!("the server responded with the status code {code} but did not return more information"),
    }
}

/// The beginning of an answer that is a text.
fn said(answer: &Answer) -> String {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let begun = &answer.body[..answer.body.len().min(SHOWN)];
    match std::str::from_utf8(begun) {
        Ok(text) if kind.starts_with("text/") && !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".into(),
    }
}

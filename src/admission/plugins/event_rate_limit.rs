//! EventRateLimit: so many Events a second, of the whole server, of a namespace, of a user, or about one object.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::configuration::check_kind;
use crate::admission::reads::Reads;
use crate::base::clock::Clock;
use crate::model::field::{FieldError, Path, aggregate};
use crate::model::status::{Result, Status};
use crate::model::value::Value;

const VERSIONS: [&str; 1] = ["eventratelimit.admission.k8s.io/v1alpha1"];
const TYPES: [&str; 4] = ["Server", "Namespace", "User", "SourceAndObject"];
/// Keys that a limit remembers when its configuration does not say, and at most.
const USUAL_KEYS: usize = 4096;
const MAX_KEYS: usize = 1 << 20;

pub struct EventRateLimit {
    clock: Clock,
    limits: Vec<Limit>,
}

/// One limit, and what is left of it for each key.
struct Limit {
    kind: &'static str,
    rate: f64,
    burst: f64,
    keys: usize,
    buckets: Mutex<Buckets>,
}

/// The keys that were seen last.
#[derive(Default)]
struct Buckets {
    by_key: HashMap<Arc<str>, Bucket>,
    /// Keys by when they were seen.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    counted: Instant,
    used: u64,
}

impl EventRateLimit {
    pub fn new(reads: &Reads) -> std::result::Result<Self, String> {
        let configuration = reads.configurations.get("EventRateLimit");
        if let Some(configuration) = configuration {
            check_kind(configuration, &VERSIONS, "Configuration")?;
        }
        let limits = configuration.map_or(&Value::Null, |configuration| &configuration["limits"]);
        let errors = validate(limits);
        if !errors.is_empty() {
            return Err(aggregate(errors.iter().map(|error| error.to_string().into())));
        }
        let limits = limits.as_array().into_iter().flatten().filter_map(Limit::new).collect();
        Ok(Self { clock: reads.clock.clone(), limits })
    }
}

impl Limit {
    fn new(value: &Value) -> Option<Self> {
        let number = |field: &str| value[field].as_i64().unwrap_or(0);
        let kind = TYPES.into_iter().find(|kind| value["type"] == *kind)?;
        let keys = match number("cacheSize") {
            _ if kind == "Server" => 1,
            0 => USUAL_KEYS,
            keys => usize::try_from(keys).unwrap_or(USUAL_KEYS).min(MAX_KEYS),
        };
        let (rate, burst) = (number("qps") as f64, number("burst") as f64);
        Some(Self { kind, rate, burst, keys, buckets: Mutex::default() })
    }

    fn key(&self, a: &Attributes<'_>, event: &Value) -> String {
        let text = |part: &'static str, field: &'static str| event[part][field].as_str().unwrap_or("");
        match self.kind {
            "Namespace" => a.namespace.to_owned(),
            "User" => a.user.name.to_string(),
            "SourceAndObject" => [
                text("source", "component"),
                text("source", "host"),
                text("involvedObject", "kind"),
                text("involvedObject", "namespace"),
                text("involvedObject", "name"),
                text("involvedObject", "uid"),
                text("involvedObject", "apiVersion"),
            ]
            .concat(),
            _ => String::new(),
        }
    }

    /// Whether there is one left for this key, which is then taken.
    fn takes(&self, key: &str, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bucket = buckets.take(key).unwrap_or(Bucket { tokens: self.burst, counted: now, used: 0 });
        bucket.tokens = (bucket.tokens + (now - bucket.counted).as_secs_f64() * self.rate).min(self.burst);
        bucket.counted = now;
        let takes = bucket.tokens >= 1.0;
        if takes {
            bucket.tokens -= 1.0;
        }
        buckets.put(key, bucket, self.keys);
        takes
    }
}

impl Buckets {
    fn take(&mut self, key: &str) -> Option<Bucket> {
        let bucket = self.by_key.remove(key)?;
        self.by_use.remove(&bucket.used);
        Some(bucket)
    }

    fn put(&mut self, key: &str, bucket: Bucket, most: usize) {
        if self.by_key.len() >= most
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        self.uses += 1;
        let key: Arc<str> = key.into();
        self.by_use.insert(self.uses, key.clone());
        self.by_key.insert(key, Bucket { used: self.uses, ..bucket });
    }
}

#[async_trait]
impl Plugin for EventRateLimit {
    fn name(&self) -> &'static str {
        "EventRateLimit"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        (a.creates() || a.updates()) && a.is_any("", "events") && !a.dry_run
    }

    async fn validate(&self, a: &mut Attributes<'_>, event: Option<&Value>) -> Result<()> {
        let (event, now) = (event.unwrap_or(&Value::Null), self.clock.instant());
        let mut reached = Vec::new();
        for limit in &self.limits {
            let key = limit.key(a, event);
            if !limit.takes(&key, now) {
                reached.push(format!("limit reached on type {} for key {key}", limit.kind).into());
            }
        }
        if reached.is_empty() {
            return Ok(());
        }
        Err(Status::too_many_requests(format!("Too many requests: {}", aggregate(reached)), 0))
    }
}

fn validate(limits: &Value) -> Vec<FieldError> {
    let (mut errors, path) = (Vec::new(), Path::Root.name("limits"));
    let items = limits.as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        errors.push(FieldError::invalid(&path, limits, "must not be empty"));
    }
    for (at, limit) in items.iter().enumerate() {
        let (path, kind) = (path.index(at), limit["type"].as_str().unwrap_or(""));
        if !TYPES.contains(&kind) {
            errors.push(FieldError::not_supported(&path.name("type"), kind, &TYPES));
        }
        for field in ["burst", "qps"] {
            let number = limit[field].as_i64().unwrap_or(0);
            if number <= 0 {
                errors.push(FieldError::invalid(&path.name(field), number, "must be positive"));
            }
        }
        let keys = limit["cacheSize"].as_i64().unwrap_or(0);
        if kind != "Server" && keys < 0 {
            errors.push(FieldError::invalid(&path.name("cacheSize"), keys, "must not be negative"));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::value::json;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_fills_again_and_the_oldest_key_is_forgotten() {
        let limit = Limit::new(&json!({"type": "User", "qps": 1, "burst": 2, "cacheSize": 2})).expect("a limit");
        let clock = Clock::machine();
        let takes = |key: &str| limit.takes(key, clock.instant());
        assert_eq!([takes("a"), takes("a"), takes("a")], [true, true, false]);
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!([takes("a"), takes("a")], [true, false]);
        assert_eq!([takes("b"), takes("a"), takes("c")], [true, false, true]);
        assert_eq!([takes("a"), takes("b"), takes("b")], [false, true, true], "b was forgotten");
        assert_eq!(limit.buckets.lock().expect("not poisoned").by_key.len(), 2);
    }

    #[test]
    fn a_configuration_that_limits_nothing_is_refused() {
        let shown = |limits: Value| validate(&limits).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert_eq!(shown(Value::Null), "limits: Invalid value: null: must not be empty");
        assert_eq!(shown(json!([{"type": "Server", "qps": 1, "burst": 1, "cacheSize": -1}])), "");
        assert_eq!(
            shown(json!([{"type": "Other", "qps": -1, "cacheSize": -1}])),
            "limits[0].type: Unsupported value: \"Other\": supported values: \"Server\", \"Namespace\", \"User\", \
             \"SourceAndObject\"; limits[0].burst: Invalid value: 0: must be positive; limits[0].qps: Invalid value: -1: \
             must be positive; limits[0].cacheSize: Invalid value: -1: must not be negative"
        );
    }
}

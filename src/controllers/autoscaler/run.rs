//! One run for an autoscaler.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::value::{Value, json};

use super::Settings;
use super::limits::{Bounds, Limited, Memory};
use super::measure::{Scaled, Silent};
use crate::cache::shelf::Shelf;
use crate::controllers::conditions;
use crate::controllers::events::Kind;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::controllers::owner;
use crate::controllers::pods::Pod;
use crate::model::condition;
use crate::model::names::GroupVersion;
use crate::model::quantity::Quantity;
use crate::model::selector::label::{Selector, parse};
use crate::model::status::{Result, Status};
use crate::registry::client::Target;

/// How often a number is written at most.
const RESCALES: usize = 5;

pub struct Run<'a> {
    pub cx: &'a Cx,
    pub settings: &'a Settings,
    pub memory: &'a Mutex<HashMap<String, Memory>>,
    pub pods: &'a Shelf,
    pub key: &'a str,
}

/// How many there are to be, and why.
struct Decision {
    replicas: i64,
    reason: String,
    /// `status.currentMetrics`
    metrics: Vec<Value>,
    /// Why not all metrics count.
    partly: Option<String>,
}

impl Run<'_> {
    pub async fn reconcile(&self, scaler: Item) -> Result<()> {
        let mut scaler = scaler;
        let before = scaler.status().clone();
        if !scaler.status().is_object() {
            scaler.value["status"] = json!({});
        }
        let done = self.scale(&mut scaler).await;
        if before.as_object().cloned().unwrap_or_default() != scaler.status().as_object().cloned().unwrap_or_default() {
            self.cx.update(scaler.target().part("status"), &scaler.value).await.inspect_err(|status| {
                self.cx.event((&scaler).into(), Kind::Warning, "FailedUpdateStatus", status.message.clone());
            })?;
        }
        done
    }

    async fn scale(&self, scaler: &mut Item) -> Result<()> {
        let (resource, scale) = match self.target(scaler).await {
            Ok(found) => found,
            Err(status) => {
                let why = &status.message;
                self.cx.event((&*scaler).into(), Kind::Warning, "FailedGetScale", why.clone());
                let message = format!("the HPA controller was unable to get the target's current scale: {why}");
                self.tell(scaler, "AbleToScale", "False", "FailedGetScale", &message);
                return Err(status);
            }
        };
        let message = "the HPA controller was able to get the target's current scale";
        self.tell(scaler, "AbleToScale", "True", "SucceededGetScale", message);
        let current = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        self.memory().entry(self.key.to_owned()).or_default().begin(current, self.instant());
        let Some(decision) = self.decide(scaler, &scale, current).await? else {
            set_counts(scaler, current, current, Vec::new());
            return Ok(());
        };
        if decision.replicas != current {
            let name = scaler.spec()["scaleTargetRef"]["name"].as_str().unwrap_or("").to_owned();
            let namespace = scaler.namespace().to_owned();
            let target = Target { namespace: &namespace, name: &name, ..resource.target() };
            if let Err(status) = self.rescale(target, scale, decision.replicas).await {
                self.rescale_failed(scaler, &decision, &status);
                set_counts(scaler, current, desired(scaler), decision.metrics);
                return Err(status);
            }
            self.rescaled(scaler, current, &decision);
        }
        set_counts(scaler, current, decision.replicas, decision.metrics);
        decision.partly.map_or(Ok(()), |why| Err(Status::internal_plain(why)))
    }

    /// Writes the number, again on the newest state when somebody else was faster: its own controller often is.
    async fn rescale(&self, target: Target<'_>, mut scale: Value, replicas: i64) -> Result<()> {
        for _ in 1..RESCALES {
            scale["spec"]["replicas"] = replicas.into();
            match self.cx.set_scale(target, scale).await {
                Err(status) if status.is_conflict() => scale = self.cx.client.scale(target).await?,
                done => return done.map(drop),
            }
        }
        scale["spec"]["replicas"] = replicas.into();
        self.cx.set_scale(target, scale).await.map(drop)
    }

    /// What is scaled, and how it is now.
    async fn target(&self, scaler: &Item) -> Result<(Resource, Value)> {
        let reference = &scaler.spec()["scaleTargetRef"];
        let text = |field: &str| reference[field].as_str().unwrap_or("");
        let version = GroupVersion::parse(text("apiVersion"));
        let version = version
            .ok_or_else(|| Status::internal_plain(format!("unexpected GroupVersion string: {}", text("apiVersion"))))?;
        let catalog = self.cx.plane.registry.catalog.load();
        let is_it = |kind: &crate::model::names::GroupVersionKind| {
            kind.group == version.group && kind.kind.as_str() == text("kind")
        };
        let found = catalog.by_kind(&version.with_kind(text("kind")));
        let found = found.or_else(|| catalog.resources().iter().find(|resource| is_it(&resource.kind)));
        let Some(found) = found else {
            let why = format!("no matches for kind {:?} in group {:?}", text("kind"), version.group.as_str());
            return Err(Status::internal_plain(why));
        };
        if found.subresource("scale").is_none() {
            return Err(Status::no_such_resource());
        }
        let resource = Resource(found.name.group.to_string(), found.name.resource.to_string());
        let target = Target { namespace: scaler.namespace(), name: text("name"), ..resource.target() };
        let scale = self.cx.client.scale(target).await?;
        Ok((resource, scale))
    }

    /// How many there should be; `None`: somebody has switched scaling off by asking for none.
    async fn decide(&self, scaler: &mut Item, scale: &Value, current: i64) -> Result<Option<Decision>> {
        let spec = scaler.spec();
        let least = spec["minReplicas"].as_i64().unwrap_or(1);
        let most = spec["maxReplicas"].as_i64().unwrap_or(0);
        let simple = |replicas: i64, reason: &str| {
            Ok(Some(Decision { replicas, reason: reason.into(), metrics: Vec::new(), partly: None }))
        };
        if current == 0 {
            let message = "scaling is disabled since the replica count of the target is zero";
            self.tell(scaler, "ScalingActive", "False", "ScalingDisabled", message);
            return Ok(None);
        }
        if current > most {
            return simple(most, "Current number of replicas above Spec.MaxReplicas");
        }
        if current < least {
            return simple(least, "Current number of replicas below Spec.MinReplicas");
        }
        let mut decision = match self.measured(scaler, scale, current).await {
            Ok(decision) => decision,
            Err((why, metrics)) => {
                set_counts(scaler, current, desired(scaler), metrics);
                self.cx.event((&*scaler).into(), Kind::Warning, "FailedComputeMetricsReplicas", why.clone());
                return Err(Status::internal_plain(why));
            }
        };
        if decision.replicas > current {
            decision.reason = format!("{} above target", decision.reason);
        } else if decision.replicas < current {
            decision.reason = "All metrics below target".into();
        }
        let limited = self.limit(scaler, decision.replicas, Bounds { least, most, current });
        self.tell(scaler, "AbleToScale", "True", limited.able.0, limited.able.1);
        let is_limited = if limited.is_limited { "True" } else { "False" };
        self.tell(scaler, "ScalingLimited", is_limited, limited.limited.0, limited.limited.1);
        decision.replicas = limited.replicas;
        Ok(Some(decision))
    }

    fn limit(&self, scaler: &Item, wanted: i64, bounds: Bounds) -> Limited {
        let (window, now) = (self.settings.downscale_stabilization, self.instant());
        let behavior = &scaler.spec()["behavior"];
        let mut memory = self.memory();
        let memory = memory.entry(self.key.to_owned()).or_default();
        match behavior.is_object() {
            true => memory.ruled(wanted, bounds, behavior, window, now),
            false => memory.plain(wanted, bounds, window, now),
        }
    }

    /// What the metrics call for: the most that any does. An error when none counts, or when one does not and the others
    /// would take pods away.
    async fn measured(
        &self,
        scaler: &mut Item,
        scale: &Value,
        current: i64,
    ) -> std::result::Result<Decision, (String, Vec<Value>)> {
        let selector_text = scale["status"]["selector"].as_str().unwrap_or("").to_owned();
        let selector = self.selector(scaler, &selector_text).map_err(|why| (why, Vec::new()))?;
        let pods = self.selected(scaler.namespace(), &selector);
        let specs = scaler.spec()["metrics"].as_array().cloned().unwrap_or_default();
        let (mut statuses, mut first, mut failures) = (Vec::new(), None::<Silent>, 0);
        let (mut replicas, mut name) = (0, String::new());
        for spec in &specs {
            let there = scale["status"]["replicas"].as_i64().unwrap_or(0);
            let scaled = Scaled { scaler, wanted: current, there, selector: &selector_text, pods: &pods };
            match self.measure(&scaled, spec).await {
                Ok(called) => {
                    if replicas == 0 || called.replicas > replicas {
                        (replicas, name) = (called.replicas, called.name);
                    }
                    statuses.push(called.status);
                }
                Err(silent) => {
                    self.cx.event((&*scaler).into(), Kind::Warning, silent.reason, silent.why.clone());
                    failures += 1;
                    first.get_or_insert(silent);
                    statuses.push(json!({}));
                }
            }
        }
        let told = |silent: &Silent| {
            let count = specs.len();
            format!("invalid metrics ({failures} invalid out of {count}), first error is: {}", silent.what)
        };
        if let Some(silent) = first.as_ref().filter(|_| failures == specs.len() || replicas < current) {
            let message = format!("the HPA was unable to compute the replica count: {}", silent.why);
            self.tell(scaler, "ScalingActive", "False", silent.reason, &message);
            return Err((told(silent), statuses));
        }
        let message = format!("the HPA was able to successfully calculate a replica count from {name}");
        self.tell(scaler, "ScalingActive", "True", "ValidMetricFound", &message);
        Ok(Decision { replicas, reason: name, metrics: statuses, partly: first.as_ref().map(told) })
    }

    fn selected(&self, namespace: &str, selector: &Selector) -> Vec<Pod<'_>> {
        let pods = self.pods.iter(Some(namespace)).filter(|pod| owner::selected(selector, pod));
        pods.filter_map(|pod| Pod::new(self.pods, pod)).collect()
    }

    /// The target's selector, if no other autoscaler has one of its pods.
    fn selector(&self, scaler: &mut Item, text: &str) -> std::result::Result<Selector, String> {
        if text.is_empty() {
            let why = "selector is required";
            self.cx.event((&*scaler).into(), Kind::Warning, "SelectorRequired", why.into());
            let message = "the HPA target's scale is missing a selector";
            self.tell(scaler, "ScalingActive", "False", "InvalidSelector", message);
            return Err(why.into());
        }
        let refuse = |scaler: &mut Item, reason: &'static str, why: String| {
            self.cx.event((&*scaler).into(), Kind::Warning, reason, why.clone());
            self.tell(scaler, "ScalingActive", "False", reason, &why);
            why
        };
        let selector = parse(text).map_err(|why| {
            let why = format!("couldn't convert selector into a corresponding internal selector object: {why}");
            refuse(scaler, "InvalidSelector", why)
        })?;
        let mut memory = self.memory();
        memory.entry(self.key.to_owned()).or_default().selector = Some(selector.clone());
        let prefix = format!("{}/", scaler.namespace());
        let mut claiming = BTreeSet::from([self.key]);
        for pod in self.selected(scaler.namespace(), &selector) {
            let has = |memory: &Memory| memory.selector.as_ref().is_some_and(|s| owner::selected(s, pod.object));
            let others = memory.iter().filter(|(key, memory)| key.starts_with(&prefix) && has(memory));
            claiming.extend(others.map(|(key, _)| key.as_str()));
        }
        let shown: Vec<String> = claiming
            .iter()
            .filter_map(|key| key.split_once('/'))
            .map(|(ns, name)| format!("{{{name} {ns}}}"))
            .collect();
        drop(memory);
        if shown.len() > 1 {
            let why = format!("pods by selector {text} are controlled by multiple HPAs: [{}]", shown.join(" "));
            return Err(refuse(scaler, "AmbiguousSelector", why));
        }
        Ok(selector)
    }

    fn rescaled(&self, scaler: &mut Item, current: i64, decision: &Decision) {
        let (size, reason) = (decision.replicas, &decision.reason);
        let message = format!("the HPA controller was able to update the target scale to {size}");
        self.tell(scaler, "AbleToScale", "True", "SucceededRescale", &message);
        self.cx.event(
            (&*scaler).into(),
            Kind::Normal,
            "SuccessfulRescale",
            format!("New size: {size}; reason: {reason}"),
        );
        let mut memory = self.memory();
        let memory = memory.entry(self.key.to_owned()).or_default();
        memory.moved(current, size, &scaler.spec()["behavior"], self.instant());
        scaler.value["status"]["lastScaleTime"] = self.cx.now().to_text().as_str().into();
    }

    fn rescale_failed(&self, scaler: &mut Item, decision: &Decision, status: &Status) {
        let (size, reason, why) = (decision.replicas, &decision.reason, &status.message);
        let message = format!("New size: {size}; reason: {reason}; error: {why}");
        self.cx.event((&*scaler).into(), Kind::Warning, "FailedRescale", message);
        let message = format!("the HPA controller was unable to update the target scale: {why}");
        self.tell(scaler, "AbleToScale", "False", "FailedUpdateScale", &message);
    }

    fn tell(&self, scaler: &mut Item, ty: &str, status: &str, reason: &str, message: &str) {
        let told = json!({"type": ty, "status": status, "reason": reason, "message": message});
        condition::set(&mut scaler.value["status"], told, self.cx.now());
        debug_assert!(conditions::find(scaler.status(), ty).is_some());
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instant(&self) -> tokio::time::Instant {
        self.cx.plane.registry.clock.instant()
    }
}

/// Group and plural of what is scaled.
struct Resource(String, String);

impl Resource {
    fn target(&self) -> Target<'_> {
        Target::new(&self.0, &self.1, "", "")
    }
}

fn desired(scaler: &Item) -> i64 {
    scaler.status()["desiredReplicas"].as_i64().unwrap_or(0)
}

/// Numbers are left out when they are zero, as they are read.
fn set_counts(scaler: &mut Item, current: i64, desired: i64, metrics: Vec<Value>) {
    let status = &mut scaler.value["status"];
    let fields =
        [("currentReplicas", json!(current)), ("desiredReplicas", json!(desired)), ("currentMetrics", json!(metrics))];
    for (field, value) in fields {
        match value == json!(0) || value == json!([]) {
            true => drop(status.as_object_mut().and_then(|status| status.remove(field))),
            false => status[field] = value,
        }
    }
}

/// What each pod asks for of a resource, in thousandths: the pod as a whole, its containers, or one of them.
pub fn requests(
    shelf: &Shelf,
    pods: &[Pod<'_>],
    container: &str,
    resource: &str,
) -> std::result::Result<HashMap<String, i64>, String> {
    let mut all = HashMap::new();
    for pod in pods {
        let name = pod.object.name();
        let item = Item::new(shelf, pod.object).map_err(|status| status.message)?;
        let amount = |holder: &Value| {
            let request = holder["resources"]["requests"].get(resource)?;
            Quantity::from_value(request).ok().map(|quantity| quantity.milli_value())
        };
        let spec = item.spec();
        if container.is_empty() && spec["resources"]["requests"].is_object() {
            let whole = crate::admission::pod::total(spec, "requests");
            let whole = whole.get(resource).map(Quantity::milli_value);
            let missing = || format!("missing pod-level request for {resource} in Pod {name}");
            all.insert(name.to_owned(), whole.ok_or_else(missing)?);
            continue;
        }
        let list = |field: &str| spec[field].as_array().cloned().unwrap_or_default().into_iter();
        let sidecars = list("initContainers").filter(|container| container["restartPolicy"] == "Always");
        let chosen = |known: &Value| container.is_empty() || known["name"] == container;
        let chosen: Vec<Value> = list("containers").chain(sidecars).filter(chosen).collect();
        if chosen.is_empty() && !container.is_empty() {
            return Err(format!("container {container} not found in Pod {name}"));
        }
        let mut sum = 0i64;
        for known in &chosen {
            let own = known["name"].as_str().unwrap_or("");
            let missing = || format!("missing request for {resource} in container {own} of Pod {name}");
            sum = sum.saturating_add(amount(known).ok_or_else(missing)?);
        }
        all.insert(name.to_owned(), sum);
    }
    Ok(all)
}

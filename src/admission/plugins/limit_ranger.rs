//! LimitRanger: what a namespace's LimitRanges give to containers that ask for nothing, and refuse to those that ask
//! for too much or too little.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{self, Amounts, CONTAINERS, INIT_CONTAINERS, items, items_mut, of_map, text};
use crate::admission::reads::Reads;
use crate::model::field::aggregate;
use crate::model::object;
use crate::model::quantity::Quantity;
use crate::model::status::Result;
use crate::model::value::Value;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// Whole numbers up to here can be compared in thousandths.
const MOST_MILLI: i64 = i64::MAX / 1000;

pub struct LimitRanger(Reads);

impl LimitRanger {
    pub fn new(reads: &Reads) -> Self {
        Self(reads.clone())
    }

    /// The ranges of the namespace; none for an object that is going away.
    fn ranges(&self, a: &Attributes<'_>) -> Result<Vec<Value>> {
        if a.old.is_some_and(object::is_deleting) {
            return Ok(Vec::new());
        }
        self.0.list("", "limitranges", a.namespace)
    }
}

#[async_trait]
impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        let claims = a.is("", "persistentvolumeclaims") && (a.creates() || a.updates());
        let pods = a.is("", "pods") && a.creates();
        claims || pods || (a.is_any("", "pods") && a.subresource == "resize" && a.updates())
    }

    async fn admit(&self, a: &mut Attributes<'_>, object: Option<&mut Value>) -> Result<()> {
        let Some(pod) = object.filter(|_| a.is_any("", "pods")) else { return Ok(()) };
        self.ranges(a)?.iter().for_each(|range| fill(range, pod));
        Ok(())
    }

    async fn validate(&self, a: &mut Attributes<'_>, object: Option<&Value>) -> Result<()> {
        let Some(object) = object else { return Ok(()) };
        for range in self.ranges(a)? {
            let limits = items(&range["spec"], "limits");
            let errors: Vec<String> = match a.is_any("", "pods") {
                true => limits.flat_map(|limit| check_pod(limit, &object["spec"])).collect(),
                false => limits.flat_map(|limit| check_claim(limit, &object["spec"])).collect(),
            };
            if !errors.is_empty() {
                return Err(a.forbid(aggregate(errors.iter().map(|error| error.into()))));
            }
        }
        Ok(())
    }
}

/// Gives containers the range's defaults, and tells so in an annotation.
fn fill(range: &Value, pod: &mut Value) {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for limit in items(&range["spec"], "limits").filter(|limit| text(limit, "type") == "Container") {
        requests.extend(of_map(&limit["defaultRequest"]));
        limits.extend(of_map(&limit["default"]));
    }
    let mut told = Vec::new();
    let Some(spec) = pod.get_mut("spec") else { return };
    for (list, word) in [(CONTAINERS, "container"), (INIT_CONTAINERS, "init container")] {
        for container in items_mut(spec, list) {
            let name = text(container, "name").to_owned();
            for (what, field, defaults) in [("request", "requests", &requests), ("limit", "limits", &limits)] {
                let set = set_missing(container, field, defaults);
                if !set.is_empty() {
                    told.push(format!("{} {what} for {word} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] = format!("LimitRanger plugin set: {}", told.join("; ")).into();
    }
}

/// The names of the resources that were set.
fn set_missing(container: &mut Value, field: &str, defaults: &Amounts) -> Vec<String> {
    let mut set = Vec::new();
    for (name, amount) in defaults {
        if container["resources"][field].get(name).is_none() {
            container["resources"][field][name] = amount.to_string().into();
            set.push(name.clone());
        }
    }
    set
}

fn check_pod(limit: &Value, spec: &Value) -> Vec<String> {
    match text(limit, "type") {
        "Container" => {
            let containers = items(spec, CONTAINERS).chain(items(spec, INIT_CONTAINERS));
            let of = |container| (pod::amounts(container, "requests"), pod::amounts(container, "limits"));
            containers.map(of).flat_map(|asked| check(limit, "Container", &asked)).collect()
        }
        "Pod" => check(limit, "Pod", &(pod::total(spec, "requests"), pod::total(spec, "limits"))),
        _ => Vec::new(),
    }
}

/// A claim has no limits: its request alone counts.
fn check_claim(limit: &Value, spec: &Value) -> Vec<String> {
    let kind = "PersistentVolumeClaim";
    if text(limit, "type") != kind {
        return Vec::new();
    }
    let asked = (pod::amounts(spec, "requests"), Amounts::new());
    let (least, most) = (of_map(&limit["min"]), of_map(&limit["max"]));
    let low = least.iter().filter_map(|(name, bound)| too_little(kind, name, bound, &asked));
    let high = most.iter().filter_map(|(name, bound)| {
        let Some(request) = asked.0.get(name) else {
            return Some(format!("maximum {name} usage per {kind} is {bound}.  No request is specified"));
        };
        let (value, _, most) = comparable(Some(request), None, bound);
        (value > most).then(|| format!("maximum {name} usage per {kind} is {bound}, but request is {request}"))
    });
    low.chain(high).collect()
}

type Asked = (Amounts, Amounts);

fn check(limit: &Value, kind: &str, asked: &Asked) -> Vec<String> {
    let each = |bounds: &str, rule: fn(&str, &str, &Quantity, &Asked) -> Option<String>| -> Vec<String> {
        of_map(&limit[bounds]).iter().filter_map(|(name, bound)| rule(kind, name, bound, asked)).collect()
    };
    [each("min", too_little), each("max", too_much), each("maxLimitRequestRatio", too_uneven)].concat()
}

/// Request, limit and bound in the finest unit in which all of them fit.
fn comparable(request: Option<&Quantity>, limit: Option<&Quantity>, bound: &Quantity) -> (i64, i64, i64) {
    let all = |of: fn(&Quantity) -> i64| (request.map_or(0, of), limit.map_or(0, of), of(bound));
    let whole = all(Quantity::value);
    let fits = [whole.0, whole.1, whole.2].iter().all(|value| *value <= MOST_MILLI);
    if fits { all(Quantity::milli_value) } else { whole }
}

fn too_little(kind: &str, name: &str, bound: &Quantity, asked: &Asked) -> Option<String> {
    let (request, limit) = (asked.0.get(name), asked.1.get(name));
    let rule = format!("minimum {name} usage per {kind} is {bound}");
    let Some(given) = request else { return Some(format!("{rule}.  No request is specified")) };
    let values = comparable(request, limit, bound);
    match limit {
        _ if values.0 < values.2 => Some(format!("{rule}, but request is {given}")),
        Some(limit) if values.1 < values.2 => Some(format!("{rule}, but limit is {limit}")),
        _ => None,
    }
}

fn too_much(kind: &str, name: &str, bound: &Quantity, asked: &Asked) -> Option<String> {
    let (request, limit) = (asked.0.get(name), asked.1.get(name));
    let rule = format!("maximum {name} usage per {kind} is {bound}");
    let Some(given) = limit else { return Some(format!("{rule}.  No limit is specified")) };
    let values = comparable(request, limit, bound);
    match request {
        _ if values.1 > values.2 => Some(format!("{rule}, but limit is {given}")),
        Some(request) if values.0 > values.2 => Some(format!("{rule}, but request is {request}")),
        _ => None,
    }
}

fn too_uneven(kind: &str, name: &str, bound: &Quantity, asked: &Asked) -> Option<String> {
    let (request, limit, _) = comparable(asked.0.get(name), asked.1.get(name), bound);
    let rule = format!("{name} max limit to request ratio per {kind} is {bound}");
    if request == 0 {
        return Some(format!("{rule}, but no request is specified or request is 0"));
    }
    if limit == 0 {
        return Some(format!("{rule}, but no limit is specified or limit is 0"));
    }
    let ratio = limit as f64 / request as f64;
    let too_high = if bound.value() <= MOST_MILLI {
        ratio * 1000.0 > bound.milli_value() as f64
    } else {
        ratio > bound.value() as f64
    };
    too_high.then(|| format!("{rule}, but provided ratio is {ratio:.6}"))
}

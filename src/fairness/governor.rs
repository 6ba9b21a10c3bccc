//! Makes levels out of what is configured, and gives them their seats: by their shares at first, and by what they need
//! from then on.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use compact_str::CompactString;
use http::HeaderValue;

use super::allocation::{Wish, divide};
use super::counts::Counts;
use super::level::{Level, Standing};
use super::spec::{LevelSpec, Response, SchemaSpec};
use crate::base::clock::Clock;
use crate::model::value::{from_value, json};
use crate::rules::flow_control::mandatory::{self, CATCH_ALL, EXEMPT};

/// Of a level's nominal seats that one request may take.
const WIDEST: f64 = 0.15;

/// Everything that requests are told apart by. Never changed, but replaced whole.
#[derive(Debug, Default)]
pub struct Configuration {
    /// In the order in which they are asked.
    pub schemas: Vec<Arc<Schema>>,
    pub levels: BTreeMap<CompactString, Arc<Level>>,
    /// The sums over all levels.
    pub most_waiting: u64,
    pub most_executing: u64,
}

/// A FlowSchema in force.
#[derive(Debug)]
pub struct Schema {
    pub spec: SchemaSpec,
    pub level: Arc<Level>,
    pub level_uid: HeaderValue,
    /// What its level does with who finds no seat.
    pub response: Response,
    pub counts: OnceLock<Arc<Counts>>,
}

/// Owns the levels, and what they may.
pub struct Governor {
    /// Seats of the whole server.
    total: u64,
    clock: Clock,
    levels: BTreeMap<CompactString, Governed>,
    nominal_sum: u64,
    /// The fraction of the last division.
    pub fraction: f64,
}

struct Governed {
    spec: LevelSpec,
    level: Arc<Level>,
    standing: Standing,
}

impl Governor {
    pub fn new(total: u64, clock: &Clock) -> Self {
        Self { total, clock: clock.clone(), levels: BTreeMap::new(), nominal_sum: 0, fraction: 0.0 }
    }

    /// Puts these objects in force. The mandatory ones are, also when they are not among them; a schema whose level is
    /// missing is not; a level that is missing ends with its last request.
    pub fn digest(&mut self, mut levels: Vec<LevelSpec>, mut schemas: Vec<SchemaSpec>) -> Configuration {
        schemas.retain(|schema| levels.iter().any(|level| level.name == schema.level));
        schemas.sort_by(|a, b| (a.precedence, &a.name).cmp(&(b.precedence, &b.name)));
        if !schemas.iter().any(|schema| schema.name == EXEMPT) {
            schemas.insert(0, imagined_schema(EXEMPT));
        }
        if !schemas.iter().any(|schema| schema.name == CATCH_ALL) {
            schemas.push(imagined_schema(CATCH_ALL));
        }
        for name in [EXEMPT, CATCH_ALL] {
            if !levels.iter().any(|level| level.name == name) {
                levels.push(imagined_level(name));
            }
        }
        self.quiesce(&mut levels);
        self.stand(levels);
        self.adjust();
        let schema = |spec: SchemaSpec| {
            let governed = &self.levels[&spec.level];
            Arc::new(Schema {
                level: governed.level.clone(),
                level_uid: governed.spec.uid.clone(),
                response: governed.spec.response,
                counts: OnceLock::new(),
                spec,
            })
        };
        let waiting = |governed: &Governed| match governed.spec.response {
            Response::Queue { .. } => governed.spec.response.most_waiting() as u64,
            Response::Exempt | Response::Reject => 0,
        };
        Configuration {
            schemas: schemas.into_iter().map(schema).collect(),
            levels: self.levels.iter().map(|(name, governed)| (name.clone(), governed.level.clone())).collect(),
            most_waiting: self.levels.values().map(waiting).sum(),
            most_executing: self.nominal_sum,
        }
    }

    /// Whether a level is at its end that is configured no more.
    pub fn has_ended_levels(&self) -> bool {
        self.levels.values().any(|governed| governed.standing.quiescing && governed.level.is_idle())
    }

    /// Levels that are not among these any more go on while they have requests.
    fn quiesce(&mut self, levels: &mut Vec<LevelSpec>) {
        for (name, governed) in &mut self.levels {
            let wanted = levels.iter().any(|level| level.name == *name);
            governed.standing.quiescing = !wanted;
            if !wanted && !governed.level.is_idle() {
                levels.push(governed.spec.clone());
            }
        }
    }

    /// Divides the server's seats by shares.
    fn stand(&mut self, specs: Vec<LevelSpec>) {
        let shares: u64 = specs.iter().map(|level| level.shares).sum();
        let mut known = std::mem::take(&mut self.levels);
        self.nominal_sum = 0;
        for spec in specs {
            let nominal = match shares {
                0 => 0,
                _ => (self.total as f64 * spec.shares as f64 / shares as f64).ceil() as u64,
            };
            let part = |percent: u64| (nominal as f64 * percent as f64 / 100.0).round() as u64;
            let lendable = part(spec.lendable_percent);
            let most = nominal + spec.borrowing_percent.map_or(self.total, part);
            self.nominal_sum += nominal;
            let before = known.remove(&spec.name);
            let standing = before.as_ref().map_or_else(
                || Standing { current: nominal - lendable / 2, ..Standing::default() },
                |before| before.standing,
            );
            let standing = Standing { nominal, least: nominal - lendable, most, ..standing };
            let level = before.map_or_else(
                || Level::new(&spec.name, spec.response, standing.current, &self.clock),
                |before| before.level,
            );
            level.set_widest(widest(nominal, spec.response));
            self.levels.insert(spec.name.clone(), Governed { spec, level, standing });
        }
    }

    /// Lends seats that are not needed to who needs them. Every ten seconds, and when the configuration changes.
    pub fn adjust(&mut self) {
        let mut left = self.nominal_sum;
        let (mut least, mut needed, mut wishes) = (0, 0, Vec::new());
        for governed in self.levels.values_mut() {
            governed.standing.demand.update(governed.level.take_demand());
            let floor = floor(governed);
            if governed.spec.response == Response::Exempt {
                left = left.saturating_sub(floor);
                continue;
            }
            let target = (floor as f64).max(governed.standing.demand.smoothed);
            governed.standing.target = target;
            wishes.push(Wish { least: floor as f64, most: governed.standing.most as f64, target });
            least += governed.standing.least;
            needed += floor;
        }
        let division = if left > needed { divide(self.nominal_sum, &wishes) } else { None };
        self.fraction = division.as_ref().map_or(0.0, |division| division.fraction);
        let mut seats = division.as_ref().map(|division| division.seats.iter());
        let part = if needed > least { left.saturating_sub(least) as f64 / (needed - least) as f64 } else { 0.0 };
        for governed in self.levels.values_mut() {
            let (floor, standing) = (floor(governed), &mut governed.standing);
            standing.current = match &mut seats {
                _ if governed.spec.response == Response::Exempt => floor,
                Some(seats) => seats.next().map_or(standing.current, |seats| seats.round() as u64),
                None if left <= least => standing.least,
                None if left <= needed => standing.least + ((floor - standing.least) as f64 * part).round() as u64,
                // The bounds cannot be kept: it stays as it is.
                None => standing.current,
            };
            let denominator = match standing.current {
                0 => ((self.total as f64 / 10.0).round() as u64).max(1),
                current => current,
            };
            governed.level.stand(*standing);
            governed.level.configure(governed.spec.response, standing.current, denominator);
        }
    }
}

/// The least that a level keeps: what it may not lend, and of the rest what it has needed.
fn floor(governed: &Governed) -> u64 {
    let Standing { nominal, least, demand, .. } = governed.standing;
    match governed.spec.response {
        Response::Exempt => least.max(demand.high),
        _ => least.max(nominal.min(demand.high)),
    }
}

fn widest(nominal: u64, response: Response) -> u64 {
    match response {
        Response::Queue { hand, .. } => {
            ((nominal as f64 * WIDEST).ceil() as u64).min(nominal / hand.max(1) as u64).max(1)
        }
        Response::Exempt | Response::Reject => 0,
    }
}

fn imagined_schema(name: &str) -> SchemaSpec {
    let object = from_value(&json!({"metadata": {"name": name}, "spec": mandatory::schema(name)})).ok();
    object.and_then(|object| SchemaSpec::of(&object)).expect("the mandatory FlowSchemas are whole")
}

fn imagined_level(name: &str) -> LevelSpec {
    let object = from_value(&json!({"metadata": {"name": name}, "spec": mandatory::level(name)})).ok();
    object.and_then(|object| LevelSpec::of(&object)).expect("the mandatory levels are whole")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::value::Value;

    const OBJECTS: &str = include_str!("../assemble/bootstrap.jsonl");

    fn bootstrap() -> (Vec<LevelSpec>, Vec<SchemaSpec>) {
        let objects: Vec<Value> = OBJECTS.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let of = |kind: &str| objects.iter().filter(|object| object["kind"] == *kind).collect::<Vec<_>>();
        let level = |object: &&Value| LevelSpec::of(&from_value(object).expect("a level"));
        let schema = |object: &&Value| SchemaSpec::of(&from_value(object).expect("a schema"));
        let levels = of("PriorityLevelConfiguration").iter().filter_map(level).collect();
        (levels, of("FlowSchema").iter().filter_map(schema).collect())
    }

    /// What each level has: nominal, least, most, current.
    fn standings(configuration: &Configuration) -> BTreeMap<&str, (u64, u64, u64, u64)> {
        let standing = |level: &Arc<Level>| {
            let standing = level.standing();
            (standing.nominal, standing.least, standing.most, standing.current)
        };
        configuration.levels.iter().map(|(name, level)| (name.as_str(), standing(level))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn seats_are_divided_by_shares_as_in_stock() {
        let mut governor = Governor::new(600, &Clock::machine());
        let (levels, schemas) = bootstrap();
        let configuration = governor.digest(levels, schemas);
        let standings = standings(&configuration);
        let limits = |name| {
            let (nominal, least, most, _) = standings[name];
            (nominal, least, most)
        };
        assert_eq!(limits("exempt"), (0, 0, 600));
        assert_eq!(limits("catch-all"), (13, 13, 613));
        assert_eq!(limits("global-default"), (49, 24, 649));
        assert_eq!(limits("leader-election"), (25, 25, 625));
        assert_eq!(limits("node-high"), (98, 73, 698));
        assert_eq!(limits("system"), (74, 50, 674));
        assert_eq!(limits("workload-high"), (98, 49, 698));
        assert_eq!(limits("workload-low"), (245, 24, 845));
        let sum: u64 = standings.values().map(|standing| standing.3).sum();
        assert!(sum.abs_diff(602) <= 4, "{sum}");
        let widest = |name: &str| configuration.levels[name].widest();
        assert_eq!((widest("workload-low"), widest("node-high"), widest("leader-election")), (37, 15, 4));
        assert_eq!((widest("exempt"), widest("catch-all")), (0, 0));
        let order: Vec<&str> = configuration.schemas.iter().map(|schema| schema.spec.name.as_str()).collect();
        assert_eq!(order[..2], ["exempt", "probes"]);
        assert_eq!(order.last(), Some(&"catch-all"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_schema_without_its_level_is_not_in_force() {
        let mut governor = Governor::new(600, &Clock::machine());
        let (mut levels, schemas) = bootstrap();
        levels.retain(|level| level.name == "workload-low");
        let configuration = governor.digest(levels, schemas);
        let names: Vec<&str> = configuration.schemas.iter().map(|schema| schema.spec.name.as_str()).collect();
        assert_eq!(names, ["exempt", "service-accounts", "catch-all"]);
        let levels: Vec<&str> = configuration.levels.keys().map(CompactString::as_str).collect();
        assert_eq!(levels, ["catch-all", "exempt", "workload-low"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_level_keeps_its_queues_when_its_configuration_changes() {
        let mut governor = Governor::new(600, &Clock::machine());
        let (levels, schemas) = bootstrap();
        let before = governor.digest(levels.clone(), schemas.clone());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = governor.digest(levels, schemas);
        assert!(Arc::ptr_eq(&before.levels["system"], &after.levels["system"]));
    }
}

//! The arithmetic of a rollout: which ReplicaSet gets which size next.

use crate::model::intstr::{Round, scaled};
use crate::model::value::Value;

/// How a deployment changes its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The old ones go before new ones come.
    Recreate,
    /// `surge` pods more, `unavailable` fewer than wanted at a time.
    Rolling { surge: i64, unavailable: i64 },
}

/// A ReplicaSet as the arithmetic sees it. Sizes are what it is told to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub replicas: i64,
    pub available: i64,
    /// The deployment's size with surge when this one last got its own; `None` when that is not known.
    pub max: Option<i64>,
}

/// Which set gets which size.
pub type Scale = (usize, i64);

impl Strategy {
    pub fn of(spec: &Value) -> Result<Self, String> {
        let strategy = &spec["strategy"];
        match strategy["type"].as_str() {
            Some("Recreate") => return Ok(Self::Recreate),
            Some("RollingUpdate") => {}
            other => return Err(format!("unexpected deployment strategy type: {}", other.unwrap_or(""))),
        }
        let (zero, wanted) = (Value::from(0), spec["replicas"].as_i64().unwrap_or(1));
        let rolling = &strategy["rollingUpdate"];
        let field = |name: &str| rolling.get(name).unwrap_or(&zero);
        let surge = scaled(field("maxSurge"), wanted, Round::Up)?;
        let unavailable = scaled(field("maxUnavailable"), wanted, Round::Down)?;
        // Rounded down to nothing it would stand still, for a surge may not fit into a quota.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Ok(Self::Rolling { surge, unavailable: unavailable.min(wanted) })
    }

    /// Pods beyond those wanted.
    pub fn surge(self) -> i64 {
        match self {
            Self::Recreate => 0,
            Self::Rolling { surge, .. } => surge,
        }
    }

    /// Pods that may be missing of those wanted.
    pub fn unavailable(self) -> i64 {
        match self {
            Self::Recreate => 0,
            Self::Rolling { unavailable, .. } => unavailable,
        }
    }

    /// The size of the newest set, of `now` pods, while all sets together have `total`.
    pub fn newest_size(self, wanted: i64, total: i64, now: i64) -> i64 {
        let Self::Rolling { surge, .. } = self else { return wanted };
        let room = (wanted + surge - total).max(0);
        if room == 0 { now } else { now + room.min(wanted - now) }
    }
}

/// What old sets (the oldest first) give up for the newest, step by step: first pods that are not available anyway, then
/// as many others as may be missing.
pub fn shrink_old(wanted: i64, unavailable: i64, newest: Size, old: &[Size]) -> Vec<Scale> {
    let least = wanted - unavailable;
    let total = newest.replicas + old.iter().map(|set| set.replicas).sum::<i64>();
    let most = total - least - (newest.replicas - newest.available);
    if most <= 0 || old.iter().all(|set| set.replicas == 0) {
        return Vec::new();
    }
    let (mut steps, mut old) = (Vec::new(), old.to_vec());
    let mut left = most;
    for (at, set) in old.iter_mut().enumerate() {
        let fewer = left.min(set.replicas - set.available);
        if left > 0 && set.replicas > 0 && fewer > 0 {
            set.replicas -= fewer;
            left -= fewer;
            steps.push((at, set.replicas));
        }
    }
    let available = newest.available + old.iter().map(|set| set.available).sum::<i64>();
    let mut left = (available - least).max(0);
    for (at, set) in old.iter_mut().enumerate() {
        let fewer = left.min(set.replicas);
        if fewer > 0 {
            set.replicas -= fewer;
            left -= fewer;
            steps.push((at, set.replicas));
        }
    }
    steps
}

/// New sizes for all active sets when the deployment itself grows or shrinks in the middle of a rollout: each its share,
/// what is left over the largest. `sets` are given from the largest to the smallest.
pub fn share(wanted: i64, surge: i64, status_replicas: i64, sets: &[Size]) -> Vec<i64> {
    let allowed = if wanted > 0 { wanted + surge } else { 0 };
    let to_add = allowed - sets.iter().map(|set| set.replicas).sum::<i64>();
    let mut added = 0;
    let mut sizes: Vec<i64> = Vec::with_capacity(sets.len());
    for set in sets {
        let part = if to_add == added { 0 } else { fraction(wanted, surge, status_replicas, *set) };
        let part = match to_add {
            0 => 0,
            1.. => part.min(to_add - added),
            _ => part.max(to_add - added),
        };
        sizes.push(set.replicas + part);
        added += part;
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    sizes
}

/// What a set would gain if it kept its share of the whole.
fn fraction(wanted: i64, surge: i64, status_replicas: i64, set: Size) -> i64 {
    if wanted == 0 {
        return -set.replicas;
    }
    let before = set.max.filter(|max| *max != 0).unwrap_or(status_replicas);
    if before == 0 {
        return 0;
    }
    let size = (set.replicas * (wanted + surge)) as f64 / before as f64;
    size.round() as i64 - set.replicas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn size(replicas: i64, available: i64) -> Size {
        Size { replicas, available, max: None }
    }

    #[test]
    fn shares_become_numbers() {
        let strategy = |replicas: i64, surge: Value, unavailable: Value| {
            let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
            let spec = json!({"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}});
            Strategy::of(&spec).map(|s| (s.surge(), s.unavailable()))
        };
        assert_eq!(strategy(10, json!("25%"), json!("25%")), Ok((3, 2)));
        assert_eq!(strategy(2, json!("0%"), json!("1%")), Ok((0, 1)));
        assert_eq!(strategy(2, json!(0), json!(5)), Ok((0, 2)));
        assert_eq!(strategy(0, json!("25%"), json!("25%")), Ok((0, 0)));
        assert_eq!(Strategy::of(&json!({"strategy": {"type": "Recreate"}})), Ok(Strategy::Recreate));
        assert!(Strategy::of(&json!({})).is_err());
    }

    #[test]
    fn the_newest_grows_into_the_room_there_is() {
        let rolling = Strategy::Rolling { surge: 3, unavailable: 2 };
        assert_eq!(rolling.newest_size(10, 10, 0), 3);
        assert_eq!(rolling.newest_size(10, 13, 3), 3);
        assert_eq!(rolling.newest_size(10, 11, 9), 10);
        assert_eq!(Strategy::Recreate.newest_size(10, 0, 0), 10);
    }

    #[test]
    fn old_pods_go_as_new_ones_become_available() {
        assert_eq!(shrink_old(10, 2, size(3, 0), &[size(10, 10)]), [(0, 8)]);
        assert_eq!(shrink_old(10, 2, size(5, 0), &[size(8, 8)]), []);
        assert_eq!(shrink_old(10, 2, size(5, 3), &[size(8, 8)]), [(0, 5)]);
        // Those that are not available go first, whatever their age.
        assert_eq!(shrink_old(10, 2, size(3, 3), &[size(4, 4), size(6, 1)]), [(1, 1)]);
        assert_eq!(shrink_old(10, 2, size(4, 4), &[size(5, 5), size(4, 2)]), [(1, 2), (0, 2)]);
        assert_eq!(shrink_old(3, 0, size(3, 3), &[size(0, 0)]), []);
    }

    #[test]
    fn growth_and_loss_are_shared() {
        let sized = |replicas, max| Size { replicas, available: replicas, max: Some(max) };
        assert_eq!(share(20, 0, 10, &[sized(8, 10), sized(2, 10)]), [16, 4]);
        assert_eq!(share(5, 0, 10, &[sized(8, 10), sized(2, 10)]), [4, 1]);
        assert_eq!(share(7, 0, 10, &[sized(4, 10), sized(3, 10), sized(3, 10)]), [3, 2, 2]);
        assert_eq!(share(0, 3, 10, &[sized(8, 13), sized(5, 13)]), [0, 0]);
        assert_eq!(share(10, 3, 10, &[sized(8, 13), sized(5, 13)]), [8, 5]);
        assert_eq!(share(11, 0, 10, &[sized(8, 10), sized(2, 10)]), [9, 2]);
        assert_eq!(share(20, 0, 10, &[size(8, 8), size(2, 2)]), [16, 4], "without the annotation the status will do");
    }
}

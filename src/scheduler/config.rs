//! How the scheduler is set up, and its bounds.

use std::time::Duration;

/// Pods that are being bound, or whose failure is being written, at one time.
pub const MAX_WRITES: usize = 512;
/// Pods that are decided on before what has happened meanwhile is read.
pub const BATCH: usize = 32;

#[derive(Clone, Debug)]
pub struct Config {
    /// Events come from `default-scheduler-HOST`.
    pub host: String,
    /// At least one.
    pub profiles: Vec<Profile>,
    /// `podInitialBackoffSeconds`
    pub first_backoff: Duration,
    /// `podMaxBackoffSeconds`
    pub most_backoff: Duration,
    /// How long a pod waits for a change that may help before it is tried all the same.
    pub max_wait: Duration,
    /// How long a pod's volumes may take to be bound.
    pub volume_timeout: Duration,
}

/// How the pods of one `schedulerName` are scheduled.
#[derive(Clone, Debug)]
pub struct Profile {
    pub scheduler: String,
    /// How many of the nodes to look at, in percent; 0: fewer the more there are.
    pub percentage_of_nodes: usize,
    pub strategy: Strategy,
}

/// Which of the nodes with room is best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    LeastAllocated,
    MostAllocated,
    /// (utilization in percent, score 0 to 10), in the order of utilization.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "monokube".into(),
            profiles: vec![Profile::default()],
            first_backoff: Duration::from_secs(1),
            most_backoff: Duration::from_secs(10),
            max_wait: Duration::from_secs(300),
            volume_timeout: Duration::from_secs(600),
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            scheduler: super::pod::DEFAULT_SCHEDULER.into(),
            percentage_of_nodes: 0,
            strategy: Strategy::LeastAllocated,
        }
    }
}

impl Profile {
    /// How many nodes that fit are enough, of so many.
    pub fn enough(&self, nodes: usize) -> usize {
        const FEWEST: usize = 100;
        const FEWEST_PERCENT: usize = 5;
        if nodes < FEWEST {
            return nodes;
        }
        let percentage = match self.percentage_of_nodes {
            0 => 50usize.saturating_sub(nodes / 125).max(FEWEST_PERCENT),
            given => given.min(100),
        };
        (nodes * percentage / 100).max(FEWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_of_more_nodes_are_looked_at() {
        let all: Vec<_> = [1, 99, 100, 150, 1000, 5000, 6000, 10_000].map(|n| Profile::default().enough(n)).into();
        assert_eq!(all, [1, 99, 100, 100, 420, 500, 300, 500]);
        assert_eq!(Profile { percentage_of_nodes: 30, ..Profile::default() }.enough(1000), 300);
    }
}

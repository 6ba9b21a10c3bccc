//! How fast the nodes of a zone may be given up. Where many are silent at once it is more likely the network.

use std::time::Duration;

use tokio::time::Instant;

use crate::controllers::config::Config;

/// Nodes that must be unready before a zone can be unhealthy.
const FEW: usize = 2;

/// Nodes a second, and when which of these rates counts.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// In a healthy zone.
    usual: f64,
    /// In an unhealthy zone with more than `large` nodes; in a smaller one nobody is given up.
    reduced: f64,
    large: usize,
    /// The part of unready nodes from which on a zone is unhealthy.
    unhealthy: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Initial,
    Normal,
    Partial,
    /// No node is ready.
    Full,
}

/// A zone's nodes, those that count.
#[derive(Debug, Default)]
pub struct Zone {
    pub ready: usize,
    pub unready: usize,
    pub state: State,
    rate: f64,
    /// When the next one may be given up; `None`: now.
    next: Option<Instant>,
}

/// Whether a node may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    Now,
    After(Duration),
    /// Not before its zone changes.
    No,
}

impl Rates {
    pub fn new(config: &Config) -> Self {
        Self {
            usual: config.node_eviction_rate,
            reduced: config.secondary_node_eviction_rate,
            large: config.large_cluster_size,
            unhealthy: config.unhealthy_zone_threshold,
        }
    }
}

impl Zone {
    pub fn new(rates: &Rates) -> Self {
        Self { rate: rates.usual, ..Self::default() }
    }

    pub fn size(&self) -> usize {
        self.ready + self.unready
    }

    /// How its nodes are, as they are counted now.
    pub fn judge(&self, rates: &Rates) -> State {
        match () {
            () if self.ready == 0 && self.unready > 0 => State::Full,
            () if self.unready > FEW && self.unready as f64 / self.size() as f64 >= rates.unhealthy => State::Partial,
            () => State::Normal,
        }
    }

    pub fn enter(&mut self, state: State, rates: &Rates) {
        self.state = state;
        self.rate = match state {
            State::Partial if self.size() > rates.large => rates.reduced,
            State::Partial => 0.0,
            State::Initial | State::Normal | State::Full => rates.usual,
        };
        self.next = None;
    }

    /// Asks to give one up.
    pub fn permit(&mut self, now: Instant) -> Permit {
        if self.rate <= 0.0 {
            return Permit::No;
        }
        if let Some(next) = self.next.filter(|next| *next > now) {
            return Permit::After(next - now);
        }
        self.next = Some(now + Duration::from_secs_f64(1.0 / self.rate));
        Permit::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn zones_slow_down_when_many_are_unready() {
        let rates = Rates::new(&Config::default());
        let zone = |ready, unready| Zone { ready, unready, ..Zone::new(&rates) };
        for (ready, unready, expected) in [
            (2, 0, State::Normal),
            (0, 1, State::Full),
            (1, 2, State::Normal),
            (2, 3, State::Partial),
            (5, 4, State::Normal),
        ] {
            assert_eq!(zone(ready, unready).judge(&rates), expected, "{ready} {unready}");
        }
        let now = Instant::now();
        let mut normal = zone(9, 1);
        assert_eq!((normal.permit(now), normal.permit(now)), (Permit::Now, Permit::After(Duration::from_secs(10))));
        assert_eq!(normal.permit(now + Duration::from_secs(10)), Permit::Now);
        let mut small = zone(1, 5);
        small.enter(State::Partial, &rates);
        assert_eq!(small.permit(now), Permit::No);
        let mut large = zone(20, 40);
        large.enter(State::Partial, &rates);
        assert_eq!((large.permit(now), large.permit(now)), (Permit::Now, Permit::After(Duration::from_secs(100))));
    }
}

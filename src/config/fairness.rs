//! Flags by which requests share the server.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::model::duration::Duration as GoDuration;

/// The greatest chance that a request ends its connection.
const MOST_GOAWAY: f64 = 0.02;

#[derive(Args, Clone, Debug)]
pub struct FairnessFlags {
    /// Whether requests share the server by FlowSchemas and PriorityLevelConfigurations, or by the two limits below alone.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub enable_priority_and_fairness: bool,
    /// Reads at once. With priorities, the sum of both limits is what the levels share; without, 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value_t = 400, allow_negative_numbers = true)]
    pub max_requests_inflight: i64,
    /// Writes at once.
    #[arg(long, value_name = "COUNT", default_value_t = 200, allow_negative_numbers = true)]
    pub max_mutating_requests_inflight: i64,
    /// The chance, 0 to 0.02, that an HTTP/2 request has its client open a new connection, perhaps to another server.
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub goaway_chance: f64,
    /// How long a request may take that neither watches nor streams; one may ask for less.
    #[arg(long, value_name = "DURATION", default_value = "1m0s", allow_hyphen_values = true)]
    pub request_timeout: String,
    /// Seconds that a watch lives which does not say how long, at least; at most twice as many.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, allow_negative_numbers = true)]
    pub min_request_timeout: i64,
}

impl FairnessFlags {
    /// The first thing that is wrong, in stock's words.
    pub fn check(&self) -> Result<(), String> {
        let (reads, writes) = (self.max_requests_inflight, self.max_mutating_requests_inflight);
        if reads < 0 {
            return Err("--max-requests-inflight can not be negative value".into());
        }
        if writes < 0 {
            return Err("--max-mutating-requests-inflight can not be negative value".into());
        }
        if !(0.0..=MOST_GOAWAY).contains(&self.goaway_chance) {
            return Err("--goaway-chance can not be less than 0 or greater than 0.02".into());
        }
        match GoDuration::parse(&self.request_timeout) {
            Err(why) => {
                return Err(format!(
                    "invalid argument {:?} for \"--request-timeout\" flag: {why}",
                    self.request_timeout
                ));
            }
            Ok(timeout) if timeout.0 < 0 => return Err("--request-timeout can not be negative value".into()),
            Ok(_) => {}
        }
        if self.min_request_timeout < 0 {
            return Err("--min-request-timeout can not be negative value".into());
        }
        if self.enable_priority_and_fairness && reads.saturating_add(writes) == 0 {
            return Err(format!(
                "invalid configuration: MaxRequestsInFlight={reads} and MaxMutatingRequestsInFlight={writes}; they must \
                 add up to something positive"
            ));
        }
        Ok(())
    }

    pub fn request(&self) -> Duration {
        GoDuration::parse(&self.request_timeout).ok().and_then(GoDuration::to_std).unwrap_or_default()
    }

    pub fn watch(&self) -> Duration {
        Duration::from_secs(self.min_request_timeout.try_into().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: FairnessFlags,
    }

    #[test]
    fn limits_are_stocks() {
        let check = |line: &str| Program::parse_from(line.split(' ')).flags.check().err().unwrap_or_default();
        assert_eq!(check("monokube"), "");
        assert_eq!(check("monokube --max-requests-inflight=-1"), "--max-requests-inflight can not be negative value");
        assert_eq!(
            check("monokube --max-mutating-requests-inflight=-1"),
            "--max-mutating-requests-inflight can not be negative value"
        );
        let chance = "--goaway-chance can not be less than 0 or greater than 0.02";
        assert_eq!(check("monokube --goaway-chance=0.03"), chance);
        assert_eq!(check("monokube --goaway-chance=-0.001"), chance);
        assert_eq!(check("monokube --goaway-chance=NaN"), chance);
        assert_eq!(check("monokube --request-timeout=-1s"), "--request-timeout can not be negative value");
        let unread = "invalid argument \"5\" for \"--request-timeout\" flag: time: missing unit in duration \"5\"";
        assert_eq!(check("monokube --request-timeout=5"), unread);
        assert_eq!(check("monokube --min-request-timeout=-1"), "--min-request-timeout can not be negative value");
        let none = "--max-requests-inflight=0 --max-mutating-requests-inflight=0";
        assert!(check(&format!("monokube {none}")).ends_with("they must add up to something positive"));
        assert_eq!(check(&format!("monokube --enable-priority-and-fairness=false {none}")), "");
    }
}

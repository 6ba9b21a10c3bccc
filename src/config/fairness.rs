//! Flags by which requests share the server.

use clap::{ArgAction, Args};

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
        if self.enable_priority_and_fairness && reads.saturating_add(writes) == 0 {
            return Err(format!(
                "invalid configuration: MaxRequestsInFlight={reads} and MaxMutatingRequestsInFlight={writes}; they must \
                 add up to something positive"
            ));
        }
        Ok(())
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
        let none = "--max-requests-inflight=0 --max-mutating-requests-inflight=0";
        assert!(check(&format!("monokube {none}")).ends_with("they must add up to something positive"));
        assert_eq!(check(&format!("monokube --enable-priority-and-fairness=false {none}")), "");
    }
}

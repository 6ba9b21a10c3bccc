//! Which roles of a scope allow a request, out of many: an index of all their rules by each thing that a rule names.
//!
//! A rule is in the set of each of its verbs, groups, resources and names; the rules for a request are what the four sets
//! of it have in common. So a rule costs 4 bytes (or a bit) for each value that it names, not for each combination.

use std::sync::Arc;

use compact_str::CompactString;
use imbl::HashMap;

use super::bits::{Bits, ones, set};
use super::rule::{Rule, combined};
use crate::auth::authorizer::{Attributes, Target};

/// So few are compared one by one.
const COMPARED: usize = 32;

/// The rules of all roles of a scope. A persistent value: a copy costs nothing and never changes.
#[derive(Clone, Default)]
pub(super) struct Reach {
    verbs: Sets,
    groups: Sets,
    resources: Sets,
    names: Sets,
    /// Rules for whatever name.
    nameless: Arc<Bits>,
    paths: Sets,
    /// Rules for a path and all that begins with it, by what stands before the `*`.
    beginnings: Sets,
    /// How long those are, and how many there are of each length.
    lengths: HashMap<usize, usize>,
    /// By rule: the role that it is of.
    roles: Arc<Vec<u32>>,
    /// Rules that are gone; their numbers are given again.
    free: Arc<Vec<u32>>,
}

/// Which rules name a value.
type Sets = HashMap<CompactString, Arc<Bits>>;

impl Reach {
    /// Takes in the rules of a role; the numbers that they have from now on.
    pub(super) fn insert(&mut self, role: u32, rules: &[Rule]) -> Arc<[u32]> {
        rules
            .iter()
            .map(|rule| {
                let number = self.number_for(role);
                self.change(number, rule, true);
                number
            })
            .collect()
    }

    /// Forgets the rules of a role, which have these numbers.
    pub(super) fn remove(&mut self, rules: &[Rule], numbers: &[u32]) {
        for (rule, number) in rules.iter().zip(numbers) {
            self.change(*number, rule, false);
        }
        Arc::make_mut(&mut self.free).extend(numbers);
    }

    fn number_for(&mut self, role: u32) -> u32 {
        let roles = Arc::make_mut(&mut self.roles);
        if self.free.is_empty() {
            roles.push(role);
            return u32::try_from(roles.len() - 1).expect("fewer rules than numbers");
        }
        let number = Arc::make_mut(&mut self.free).pop().expect("one is free");
        roles[number as usize] = role;
        number
    }

    /// Puts a rule into its sets, or takes it out of them.
    fn change(&mut self, number: u32, rule: &Rule, put: bool) {
        for (sets, values) in [
            (&mut self.verbs, &rule.verbs),
            (&mut self.groups, &rule.api_groups),
            (&mut self.resources, &rule.resources),
            (&mut self.names, &rule.resource_names),
        ] {
            values.iter().for_each(|value| change(sets, value, number, put));
        }
        if rule.resource_names.is_empty() {
            alter(Arc::make_mut(&mut self.nameless), number, put);
        }
        for url in &rule.non_resource_urls {
            change(&mut self.paths, url, number, put);
            if url.ends_with('*') {
                let beginning = url.trim_end_matches('*');
                change(&mut self.beginnings, beginning, number, put);
                let of_length = self.lengths.entry(beginning.len()).or_default();
                *of_length = if put { *of_length + 1 } else { of_length.saturating_sub(1) };
                if *of_length == 0 {
                    self.lengths.remove(&beginning.len());
                }
            }
        }
    }

    /// The roles that have a rule which allows this.
    pub(super) fn roles(&self, asked: &Attributes<'_>) -> Bits {
        let verbs = both(&self.verbs, [asked.verb, "*"]);
        match &asked.target {
            Target::Path(path) => {
                let mut paths: Vec<&Bits> = self.paths.get(*path).into_iter().map(Arc::as_ref).collect();
                let beginnings = self.lengths.keys().filter_map(|length| path.get(..*length));
                paths.extend(beginnings.filter_map(|beginning| self.beginnings.get(beginning)).map(Arc::as_ref));
                self.common(&[verbs, paths])
            }
            Target::Resource(resource) => {
                let groups = both(&self.groups, [resource.group, "*"]);
                let mut resources = both(&self.resources, [combined(resource).as_str(), "*"]);
                if !resource.subresource.is_empty() {
                    let of_any = format!("*/{}", resource.subresource);
                    resources.extend(self.resources.get(of_any.as_str()).map(Arc::as_ref));
                }
                let mut names = vec![&*self.nameless];
                names.extend(self.names.get(resource.name).map(Arc::as_ref));
                self.common(&[resources, names, groups, verbs])
            }
        }
    }

    /// The roles of the rules that are in one set at least of each row.
    fn common(&self, rows: &[Vec<&Bits>]) -> Bits {
        let bound = |row: &Vec<&Bits>| row.iter().map(|bits| bits.bound()).sum::<usize>();
        let Some(least) = (0..rows.len()).min_by_key(|at| bound(&rows[*at])) else { return Bits::default() };
        let role = |rule: u32| self.roles[rule as usize];
        if bound(&rows[least]) <= COMPARED {
            let in_row = |row: &Vec<&Bits>, rule| row.iter().any(|bits| bits.contains(rule));
            let in_all = |rule: &u32| rows.iter().enumerate().all(|(at, row)| at == least || in_row(row, *rule));
            return rows[least].iter().flat_map(|bits| bits.iter()).filter(in_all).map(role).collect();
        }
        let mut common = vec![u64::MAX; self.roles.len().div_ceil(64)];
        let mut any = vec![0; common.len()];
        for row in rows {
            any.fill(0);
            row.iter().for_each(|bits| bits.set_in(&mut any));
            common.iter_mut().zip(&any).for_each(|(common, any)| *common &= any);
        }
        any.clear();
        ones(&common).for_each(|rule| set(&mut any, role(rule)));
        Bits::Words(any)
    }
}

fn both<'a>(sets: &'a Sets, values: [&str; 2]) -> Vec<&'a Bits> {
    values.iter().filter_map(|value| sets.get(*value)).map(Arc::as_ref).collect()
}

fn change(sets: &mut Sets, value: &str, number: u32, put: bool) {
    if put {
        alter(Arc::make_mut(sets.entry(value.into()).or_default()), number, true);
    } else if let Some(set) = sets.get_mut(value) {
        alter(Arc::make_mut(set), number, false);
        if set.is_empty() {
            sets.remove(value);
        }
    }
}

fn alter(set: &mut Bits, number: u32, put: bool) {
    if put {
        set.insert(number);
    } else {
        set.remove(number);
    }
}

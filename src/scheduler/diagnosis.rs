//! Why a pod fits nowhere, in the words that users know.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::plugin::{Reasons, Verdict};
use super::plugins::Mask;

/// What the filters said of each node.
#[derive(Debug, Default)]
pub struct Diagnosis {
    /// How many nodes there are.
    pub nodes: usize,
    /// What was wrong before any node was looked at.
    pub before: Option<String>,
    /// (node's place, what it was refused for).
    pub refused: Vec<(usize, Verdict)>,
    /// What is said of each node that was not looked at.
    pub others: Option<Cow<'static, str>>,
    /// What came of the last resort.
    pub after: String,
    pub plugins: Mask,
}

impl Diagnosis {
    /// `0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. ...`
    pub fn message(&self) -> String {
        let mut text = format!("0/{} nodes are available:", self.nodes);
        match &self.before {
            Some(before) => text += &format!(" {before}."),
            None => {
                let reasons = self.histogram();
                if !reasons.is_empty() {
                    text += &format!(" {}.", reasons.join(", "));
                }
            }
        }
        if !self.after.is_empty() {
            text += &format!(" {}", self.after);
        }
        text
    }

    /// `2 Insufficient cpu`, sorted as text.
    fn histogram(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, verdict) in &self.refused {
            for reason in reasons(verdict) {
                *counts.entry(reason).or_default() += 1;
            }
        }
        let left = self.nodes.saturating_sub(self.refused.len());
        if let Some(others) = self.others.as_deref().filter(|_| left > 0) {
            *counts.entry(others).or_default() += left;
        }
        let mut all: Vec<_> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        all.sort();
        all
    }

    /// The nodes on which fewer pods would help.
    pub fn helped_by_fewer_pods(&self) -> Vec<usize> {
        let may = |verdict: &Verdict| matches!(verdict, Verdict::Refused { is_final: false, .. });
        self.refused.iter().filter(|(_, verdict)| may(verdict)).map(|(at, _)| *at).collect()
    }
}

pub fn reasons(verdict: &Verdict) -> &[Cow<'static, str>] {
    static NO: Reasons = Reasons::new_const();
    match verdict {
        Verdict::Fits => &NO,
        Verdict::Refused { reasons, .. } => reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_sorted_as_text() {
        let mut refused = vec![(0, Verdict::hopeless("node(s) had untolerated taint(s)"))];
        refused.extend((1..11).map(|at| (at, Verdict::refused("Insufficient cpu"))));
        refused.extend((11..13).map(|at| (at, Verdict::refused("Too many pods"))));
        let mut all = Diagnosis { nodes: 13, refused, ..Diagnosis::default() };
        let text =
            "0/13 nodes are available: 1 node(s) had untolerated taint(s), 10 Insufficient cpu, 2 Too many pods.";
        assert_eq!(all.message(), text);
        all.after = "preemption: not eligible due to preemptionPolicy=Never.".into();
        assert_eq!(all.message(), format!("{text} preemption: not eligible due to preemptionPolicy=Never."));
        assert_eq!(all.helped_by_fewer_pods().len(), 12);
        all.before = Some("pod has unbound immediate PersistentVolumeClaims".into());
        all.after.clear();
        assert_eq!(all.message(), "0/13 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
    }

    #[test]
    fn nodes_not_looked_at_are_counted() {
        let all = Diagnosis { nodes: 4, others: Some("not asked".into()), ..Diagnosis::default() };
        assert_eq!(all.message(), "0/4 nodes are available: 4 not asked.");
    }
}

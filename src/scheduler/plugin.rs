//! What a plugin is: it prepares for a pod, then checks and scores nodes, and knows which changes may help a pod that it
//! has refused.

use std::borrow::Cow;
use std::sync::Arc;

use compact_str::CompactString;
use smallvec::SmallVec;

use super::cluster::Cluster;
use super::config::Profile;
use super::node::{Facts, Node};
use super::pod::Pod;

/// The best score of a node.
pub const MAX_SCORE: i64 = 100;

pub type Reasons = SmallVec<[Cow<'static, str>; 1]>;

/// Whether a pod may run on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fits,
    Refused {
        reasons: Reasons,
        /// Fewer pods on the node would not help.
        is_final: bool,
    },
}

impl Verdict {
    /// Refused, until pods go.
    pub fn refused(reason: impl Into<Cow<'static, str>>) -> Self {
        Verdict::Refused { reasons: smallvec::smallvec![reason.into()], is_final: false }
    }

    /// Refused, whichever pods go.
    pub fn hopeless(reason: impl Into<Cow<'static, str>>) -> Self {
        Verdict::Refused { reasons: smallvec::smallvec![reason.into()], is_final: true }
    }

    pub fn fits(&self) -> bool {
        *self == Verdict::Fits
    }
}

/// What a plugin has against a pod, or how it will look at nodes.
pub enum Prepared {
    /// It has no say.
    Skip,
    Ready {
        filter: Box<dyn Filter>,
        /// The only nodes that come into question.
        nodes: Option<Vec<CompactString>>,
    },
    /// No node will do.
    Refused(Verdict),
}

impl Prepared {
    pub fn ready(filter: impl Filter + 'static) -> Self {
        Prepared::Ready { filter: Box::new(filter), nodes: None }
    }
}

/// Looks at nodes for one pod.
pub trait Filter: Copied + Send {
    fn check(&self, node: &Node) -> Verdict;

    /// A pod came to a node, or left it, in thought. The node is as it was before.
    fn moved(&mut self, _: &Pod, _: &Node, _has_come: bool) {}
}

/// A filter that can be tried out without changing the first.
pub trait Copied {
    fn copied(&self) -> Box<dyn Filter>;
}

impl<T: Filter + Clone + 'static> Copied for T {
    fn copied(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

/// Scores nodes for one pod: a number in `0..=MAX_SCORE` for each.
pub trait Scorer {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>);
}

/// What happened in the cluster.
#[derive(Clone, Copy)]
pub enum Happening<'a> {
    NodeAdded(&'a Node),
    NodeChanged {
        old: &'a Facts,
        new: &'a Node,
    },
    NodeDeleted(&'a Facts),
    /// A pod has got a node.
    PodCame(&'a Pod),
    PodChanged {
        old: &'a Pod,
        new: &'a Pod,
    },
    /// A pod has left its node.
    PodLeft(&'a Pod),
    /// The waiting pod itself has changed.
    Own {
        old: &'a Pod,
        new: &'a Pod,
    },
    /// A claim, a volume, a class, or what a node can attach.
    Storage,
}

/// Its kinds, as bits.
pub const NODE: u8 = 1;
pub const POD_CAME: u8 = 2;
pub const POD_LEFT: u8 = 4;
pub const OWN: u8 = 8;
pub const STORAGE: u8 = 16;

impl Happening<'_> {
    pub fn bit(&self) -> u8 {
        match self {
            Happening::NodeAdded(_) | Happening::NodeChanged { .. } | Happening::NodeDeleted(_) => NODE,
            Happening::PodCame(_) => POD_CAME,
            Happening::PodChanged { .. } | Happening::PodLeft(_) => POD_LEFT,
            Happening::Own { .. } => OWN,
            Happening::Storage => STORAGE,
        }
    }
}

/// One plugin: a row of the table.
pub struct Plugin {
    pub name: &'static str,
    pub filter: Option<fn(&mut Cluster, &Arc<Pod>) -> Prepared>,
    /// `None`: it scores nothing.
    pub score: Option<Score>,
    /// Kinds of changes that may help.
    pub wants: u8,
    /// Whether this change may help a pod that the plugin has refused.
    pub helps: fn(&Pod, &Happening) -> bool,
}

/// (cluster, pod, the places of the nodes that fit, profile) -> who scores them.
pub type PrepareScore = fn(&mut Cluster, &Arc<Pod>, &[usize], &Profile) -> Option<Box<dyn Scorer>>;

pub struct Score {
    pub weight: i64,
    pub prepare: PrepareScore,
}

/// The row that others differ from.
pub const NONE: Plugin = Plugin { name: "", filter: None, score: None, wants: 0, helps: |_, _| false };

/// Brings scores into `0..=MAX_SCORE` by the greatest of them.
pub fn normalize(scores: &mut [i64], is_reversed: bool) {
    let most = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        if most == 0 {
            *score = if is_reversed { MAX_SCORE } else { *score };
            continue;
        }
        *score = *score * MAX_SCORE / most;
        if is_reversed {
            *score = MAX_SCORE - *score;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_brought_into_range() {
        let normal = |scores: &[i64], is_reversed| {
            let mut scores = scores.to_vec();
            normalize(&mut scores, is_reversed);
            scores
        };
        assert_eq!(normal(&[0, 5, 10], false), [0, 50, 100]);
        assert_eq!(normal(&[0, 5, 10], true), [100, 50, 0]);
        assert_eq!(normal(&[0, 0], true), [100, 100]);
        assert_eq!(normal(&[0, 0], false), [0, 0]);
    }
}

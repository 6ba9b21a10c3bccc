//! Tells kubelets for how long they may believe what they know of secrets and config maps: the longer, the more nodes.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::resources::NODES;
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::value::json;

/// An annotation: seconds.
const TTL: &str = "node.alpha.kubernetes.io/ttl";

/// (least nodes, most nodes, seconds); the steps overlap, so that a node more or less does not change all.
const STEPS: [(usize, usize, u32); 5] =
    [(0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, usize::MAX, 300)];

/// Key: a node.
#[derive(Default)]
pub struct Ttl {
    step: AtomicUsize,
}

impl Ttl {
    /// The seconds for so many nodes, seen from the step that was last.
    fn seconds(&self, nodes: usize) -> u32 {
        let mut step = self.step.load(Ordering::Relaxed);
        while nodes > STEPS[step].1 {
            step += 1;
        }
        while nodes < STEPS[step].0 {
            step -= 1;
        }
        self.step.store(step, Ordering::Relaxed);
        STEPS[step].2
    }
}

#[async_trait]
impl Controller for Ttl {
    fn follows(&self) -> Follows {
        Follows::these(&[&NODES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if !change.is_deleted() {
            keys.add(change.name());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&NODES])?;
        let shelf = cut.shelf(&NODES);
        let seconds = self.seconds(shelf.len());
        let Some(node) = Item::find(shelf, "", key)? else { return Ok(Next::Done) };
        if object::annotation(&node.value, TTL).and_then(|ttl| ttl.parse().ok()) == Some(seconds) {
            return Ok(Next::Done);
        }
        let patch = json!({"metadata": {"annotations": {TTL: seconds.to_string()}}});
        cx.strategic(node.target(), &patch).await.unless_gone().map(|_| Next::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_overlap() {
        let ttl = Ttl::default();
        let counts = [1, 100, 101, 95, 89, 2500, 1850, 1799, 0];
        assert_eq!(counts.map(|count| ttl.seconds(count)), [0, 0, 15, 15, 0, 300, 300, 60, 0]);
    }
}

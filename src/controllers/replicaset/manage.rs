//! Pods made and deleted, until there are as many as the set says.

use super::ReplicaSets;
use super::rank::first_to_go;
use crate::controllers::batch::{self, BURST};
use crate::controllers::harness::{Cut, Cx};
use crate::controllers::item::Item;
use crate::controllers::pods::{self, Pod};
use crate::model::status::Result;

impl ReplicaSets {
    pub(super) async fn manage(&self, cx: &Cx, cut: &Cut, set: &Item, active: &[Pod<'_>]) -> Result<()> {
        let (wanted, there) = (wanted(set), active.len());
        if there < wanted {
            let pod = pods::from_template(set, &set.spec()["template"]);
            let count = (wanted - there).min(BURST);
            return batch::slow_start(count, |_| pods::create(cx, set, &pod)).await;
        }
        if there > wanted {
            let related = self.related(cut, set);
            let count = (there - wanted).min(BURST);
            let doomed = first_to_go(active, &related, count, cx.now());
            return batch::all(doomed.iter().map(|pod| pods::delete(cx, set, pod.object.name()))).await;
        }
        Ok(())
    }
}

/// `spec.replicas`.
pub fn wanted(set: &Item) -> usize {
    usize::try_from(set.spec()["replicas"].as_i64().unwrap_or(1)).unwrap_or(0)
}

//! One run for a claim.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::open::Open;
use super::want::{self, Want};
use super::{BY_CONTROLLER, COMPLETED, RETRY, bind, class, is_bound_to, is_free};
use crate::cache::index::{POD_CLAIM, VOLUME_CLAIM};
use crate::cache::object::Key;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Cut, Cx, Next};
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::controllers::resources::{PODS, STORAGE_CLASSES, VOLUMES};
use crate::model::object;
use crate::model::status::{Result, Status};

/// On a claim: who is to make its volume.
const PROVISIONERS: [&str; 2] =
    ["volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner"];
/// On a claim: the node of the pod that uses it first.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

pub struct Run<'a> {
    pub cx: &'a Cx,
    pub cut: &'a Cut,
    pub open: &'a Mutex<Open>,
}

impl Run<'_> {
    pub async fn sync(&self, claim: Item) -> Result<Next> {
        let name = claim.spec()["volumeName"].as_str().unwrap_or("").to_owned();
        if object::annotation(&claim.value, COMPLETED).is_some() {
            return self.bound(claim, &name).await.map(|()| Next::Done);
        }
        if name.is_empty() {
            return self.any_volume(claim).await;
        }
        match self.volume(&name)? {
            None => self.pending(claim).await,
            Some(volume) => self.this_volume(claim, volume).await,
        }
    }

    fn volume(&self, name: &str) -> Result<Option<Item>> {
        Item::find(self.cut.shelf(&VOLUMES), "", name)
    }

    async fn pending(&self, claim: Item) -> Result<Next> {
        bind::set_claim(self.cx, claim, "Pending", None).await.map(|_| Next::After(RETRY))
    }

    /// Its user did not care which.
    async fn any_volume(&self, claim: Item) -> Result<Next> {
        let classes = self.cut.shelf(&STORAGE_CLASSES);
        let is_delayed = class::find(classes, want::class(&claim.value)).is_some_and(|class| class.is_delayed);
        let want = Want::of(&claim.value);
        if let Some(volume) = self.own_volume(&claim, &want)? {
            return bind::bind(self.cx, volume, claim).await.map(|()| Next::Done);
        }
        if !is_delayed && let Some(taken) = self.take(&want) {
            let volume = self.volume(&taken.name)?.ok_or_else(|| Status::internal("a volume was taken and is gone"))?;
            bind::bind(self.cx, volume, claim).await?;
            // Until then others would still see it free.
            self.cx.shown().await;
            return Ok(Next::Done);
        }
        if let Some(class) = class::default(classes).filter(|_| !want::has_class(&claim.value)) {
            let mut claim = claim;
            claim.value["spec"]["storageClassName"] = class.into();
            return bind::save(self.cx, &claim, "").await.map(|_| Next::Done);
        }
        if is_delayed && object::annotation(&claim.value, SELECTED_NODE).is_none() {
            self.tell_of_consumers(&claim);
        } else if !want.class.is_empty() {
            return self.provision(claim, &want.class).await.map(|()| Next::After(RETRY));
        } else {
            let message = "no persistent volumes available for this claim and no storage class is set";
            self.cx.event((&claim).into(), Kind::Normal, "FailedBinding", message.into());
        }
        self.pending(claim).await
    }

    /// The volume that names the claim already, if it is enough: the one with the fewest access modes.
    fn own_volume(&self, claim: &Item, want: &Want) -> Result<Option<Item>> {
        let shelf = self.cut.shelf(&VOLUMES);
        let key = Key::text(claim.namespace(), claim.name());
        let volumes = shelf.by_index(&VOLUME_CLAIM, &key).map(|volume| Item::new(shelf, volume));
        let volumes = volumes.collect::<Result<Vec<_>>>()?.into_iter();
        let own = volumes.filter(|volume| is_bound_to(&volume.value, claim) && want.is_met(&volume.value));
        Ok(own.min_by_key(|volume| want::modes(volume.spec()).len()))
    }

    fn take(&self, want: &Want) -> Option<Taken<'_>> {
        let is_fit = |name: &str| {
            self.volume(name).is_ok_and(|volume| volume.is_some_and(|v| is_free(&v.value) && want.takes(&v.value)))
        };
        let name = lock(self.open).take(want, is_fit)?;
        Some(Taken { open: self.open, name })
    }

    /// Says for which pods it waits.
    fn tell_of_consumers(&self, claim: &Item) {
        let shelf = self.cut.shelf(&PODS);
        let key = Key::text(claim.namespace(), claim.name());
        let pods = shelf.by_index(&POD_CLAIM, &key).filter_map(|pod| Pod::new(shelf, pod));
        let waiting: Vec<&str> =
            pods.filter(|pod| !pod.is_done() && pod.node().is_empty()).map(|pod| pod.object.name()).collect();
        let (reason, message) = match waiting.as_slice() {
            [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
            [pod] => ("WaitForPodScheduled", format!("waiting for pod {pod} to be scheduled")),
            pods => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", pods.join(","))),
        };
        self.cx.event(claim.into(), Kind::Normal, reason, message);
    }

    /// Asks whoever makes volumes of the class for one.
    async fn provision(&self, mut claim: Item, class: &str) -> Result<()> {
        let found = class::find(self.cut.shelf(&STORAGE_CLASSES), class);
        let missing = || format!("storageclass.storage.k8s.io {class:?} not found");
        let provisioner = match found.as_ref().ok_or_else(missing).and_then(|class| class.provisioner()) {
            Ok(provisioner) => provisioner,
            Err(why) => {
                self.cx.event((&claim).into(), Kind::Warning, "ProvisioningFailed", why);
                return Ok(());
            }
        };
        if object::annotation(&claim.value, PROVISIONERS[1]) != Some(provisioner) {
            for key in PROVISIONERS {
                claim.value["metadata"]["annotations"][key] = provisioner.into();
            }
            claim = bind::save(self.cx, &claim, "").await.inspect_err(|status| {
                let message = format!("Error saving claim: {}", status.message);
                self.cx.event((&claim).into(), Kind::Warning, "ProvisioningFailed", message);
            })?;
        }
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
        );
        self.cx.event((&claim).into(), Kind::Normal, "ExternalProvisioning", message);
        Ok(())
    }

    /// Its user chose the volume.
    async fn this_volume(&self, claim: Item, volume: Item) -> Result<Next> {
        if volume.spec()["claimRef"].is_null() {
            if let Some(why) = Want::of(&claim.value).refusal(&volume.value) {
                let message = format!("Cannot bind to requested volume {:?}: {why}", volume.name());
                self.cx.event((&claim).into(), Kind::Warning, "VolumeMismatch", message);
                return self.pending(claim).await;
            }
        } else if !is_bound_to(&volume.value, &claim) {
            let message = format!("volume {:?} already bound to a different claim.", volume.name());
            self.cx.event((&claim).into(), Kind::Warning, "FailedBinding", message);
            if object::annotation(&claim.value, BY_CONTROLLER).is_none() {
                return self.pending(claim).await;
            }
            let (claim, volume) = (Key::text(claim.namespace(), claim.name()), volume.name());
            return Err(Status::internal(format!(
                "claim {claim:?} was bound to volume {volume:?}, which is another's"
            )));
        }
        bind::bind(self.cx, volume, claim).await.map(|()| Next::Done)
    }

    /// It was bound before.
    async fn bound(&self, claim: Item, name: &str) -> Result<()> {
        let (reason, why) = match self.volume(name)? {
            _ if name.is_empty() => {
                ("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
            }
            None => ("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"),
            Some(volume) => {
                let reference = &volume.spec()["claimRef"];
                if reference.is_null() || reference["uid"] == claim.uid() {
                    return bind::bind(self.cx, volume, claim).await;
                }
                ("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
            }
        };
        if claim.status()["phase"] != "Lost" {
            bind::set_claim(self.cx, claim.clone(), "Lost", None).await?;
            self.cx.event((&claim).into(), Kind::Warning, reason, why.into());
        }
        Ok(())
    }
}

/// A volume that this run alone may give away.
struct Taken<'a> {
    open: &'a Mutex<Open>,
    name: String,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        lock(self.open).release(&self.name);
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

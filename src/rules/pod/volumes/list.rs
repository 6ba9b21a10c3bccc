//! A pod's volumes: each of exactly one source, their names told apart.

use std::collections::BTreeSet;

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::meta::template_meta;
use crate::rules::checks::names::{csi_driver_name, dns1123_label, dns1123_subdomain};
use crate::rules::pod::containers::pull_policy;
use crate::rules::pod::mounts::Volumes;
use crate::rules::pod::options::Options;

use super::claim::{ClaimOptions, claim_spec};
use super::files::{config_map, downward_api, projected, secret};
use super::remote;

type Check = fn(&At, &Options, &mut FieldErrors);

/// The sources that can stand once only, in stock's order: (name, name where it stands beside another, check).
/// `emptyDir` comes before them all.
const SOURCES: [(&str, &str, Check); 28] = [
    ("hostPath", "hostPath", |at, _, errs| remote::host_path(at, errs)),
    ("gitRepo", "gitRepo", |at, _, errs| remote::git_repo(at, errs)),
    ("gcePersistentDisk", "gcePersistentDisk", |at, _, errs| remote::gce_disk(at, errs)),
    ("awsElasticBlockStore", "awsElasticBlockStore", |at, _, errs| remote::aws_disk(at, errs)),
    ("secret", "secret", |at, _, errs| secret(at, errs)),
    ("nfs", "nfs", |at, _, errs| remote::nfs(at, errs)),
    ("iscsi", "iscsi", |at, _, errs| remote::iscsi(at, errs)),
    ("glusterfs", "glusterfs", |at, _, errs| remote::glusterfs(at, errs)),
    ("flocker", "flocker", |at, _, errs| remote::flocker(at, errs)),
    ("persistentVolumeClaim", "persistentVolumeClaim", |at, _, errs| remote::require(at, &["claimName"], errs)),
    ("rbd", "rbd", |at, _, errs| remote::rbd(at, errs)),
    ("cinder", "cinder", |at, _, errs| remote::cinder(at, errs)),
    ("cephfs", "cephFS", |at, _, errs| remote::cephfs(at, errs)),
    ("quobyte", "quobyte", |at, _, errs| remote::quobyte(at, errs)),
    ("downwardAPI", "downwarAPI", |at, _, errs| downward_api(at, errs)),
    ("fc", "fc", |at, _, errs| remote::fibre_channel(at, errs)),
    ("flexVolume", "flexVolume", |at, _, errs| remote::flex(at, errs)),
    ("configMap", "configMap", |at, _, errs| config_map(at, errs)),
    ("azureFile", "azureFile", |at, _, errs| remote::require(at, &["secretName", "shareName"], errs)),
    ("vsphereVolume", "vsphereVolume", |at, _, errs| remote::require(at, &["volumePath"], errs)),
    ("photonPersistentDisk", "photonPersistentDisk", |at, _, errs| remote::require(at, &["pdID"], errs)),
    ("portworxVolume", "portworxVolume", |at, _, errs| remote::require(at, &["volumeID"], errs)),
    ("azureDisk", "azureDisk", |at, _, errs| remote::azure_disk(at, errs)),
    ("storageos", "storageos", |at, _, errs| remote::storage_os(at, errs)),
    ("projected", "projected", projected),
    ("scaleIO", "scaleIO", |at, _, errs| remote::scale_io(at, errs)),
    ("csi", "csi", |at, _, errs| csi(at, errs)),
    ("ephemeral", "ephemeral", |at, _, errs| ephemeral(at, errs)),
];

/// `spec.volumes`; `pod` is the pod's name, empty in a template. Gives those that are right.
pub fn volumes<'v>(at: &At<'_, 'v>, pod: &str, options: &Options, errs: &mut FieldErrors) -> Volumes<'v> {
    let made = made_claims(at.value(), pod);
    let mut right = Volumes::new();
    for item in at.items() {
        let (name, before) = (item.at("name"), errs.len());
        source(&item, pod, options, errs);
        if name.is_empty() {
            name.required(errs, "");
        } else {
            name.check(errs, dns1123_label);
        }
        if right.contains_key(name.str()) {
            name.duplicate(errs);
        }
        if errs.len() == before {
            right.insert(name.str(), item.value());
        }
        let claim = item.at("persistentVolumeClaim");
        if made.contains(claim.at("claimName").str()) {
            claim.at("claimName").invalid(errs, "must not reference a PVC that gets created for an ephemeral volume");
        }
    }
    right
}

/// The names of claims that are made for a pod's ephemeral volumes.
fn made_claims(volumes: &Value, pod: &str) -> BTreeSet<String> {
    let volumes = volumes.as_array().filter(|_| !pod.is_empty()).into_iter().flatten();
    let ephemeral = volumes.filter(|volume| volume.get("ephemeral").is_some());
    ephemeral.map(|volume| format!("{pod}-{}", volume["name"].as_str().unwrap_or(""))).collect()
}

fn source(at: &At, pod: &str, options: &Options, errs: &mut FieldErrors) {
    let folder = at.at("emptyDir");
    let mut count = usize::from(folder.exists());
    if folder.at("sizeLimit").quantity().sign() < 0 {
        folder.at("sizeLimit").forbidden(errs, "SizeLimit field must be a valid resource quantity");
    }
    let image: (&str, &str, Check) = ("image", "image", image);
    for (name, shown, check) in SOURCES.iter().chain([&image]) {
        let source = at.at(name);
        if source.is_null() {
            continue;
        }
        count += 1;
        if count > 1 {
            errs.push(FieldError::forbidden(&at.path().name(shown), "may not specify more than 1 volume type"));
        } else if *name == "gcePersistentDisk" {
            check(&source.placed(at.path().name("persistentDisk")), options, errs);
        } else {
            check(&source, options, errs);
        }
        match *name {
            "iscsi" => initiator_fits(at, &source, errs),
            "ephemeral" if count == 1 => made_name(at, pod, errs),
            _ => {}
        }
    }
    if count == 0 {
        at.required(errs, "must specify a volume type");
    }
}

fn initiator_fits(at: &At, iscsi: &At, errs: &mut FieldErrors) {
    let name = at.at("name");
    if iscsi.has("initiatorName") && name.len() + 1 + iscsi.at("targetPortal").len() > remote::PORTAL_BYTES {
        name.invalid(errs, remote::PORTAL_TOO_LONG);
    }
}

/// The claim that is made for an ephemeral volume must have a right name.
fn made_name(at: &At, pod: &str, errs: &mut FieldErrors) {
    let name = at.at("name");
    if pod.is_empty() || name.is_empty() {
        return;
    }
    let claim = format!("{pod}-{}", name.str());
    for text in dns1123_subdomain(&claim) {
        name.invalid(errs, format!("PVC name {}: {text}", crate::model::gotext::quote(&claim)));
    }
}

fn csi(at: &At, errs: &mut FieldErrors) {
    csi_driver_name(&at.at("driver"), errs);
    let secret = at.at("nodePublishSecretRef");
    if secret.is_null() {
        return;
    }
    let name = secret.at("name");
    if name.is_empty() {
        name.required(errs, "");
    } else {
        name.placed(at.path().name("name")).check(errs, dns1123_subdomain);
    }
}

fn ephemeral(at: &At, errs: &mut FieldErrors) {
    let template = at.at("volumeClaimTemplate");
    if template.is_null() {
        template.required(errs, "");
        return;
    }
    template_meta(&template.at("metadata"), errs);
    claim_spec(&template.at("spec"), ClaimOptions::default(), errs);
}

fn image(at: &At, options: &Options, errs: &mut FieldErrors) {
    if options.is_pod && at.at("reference").is_empty() {
        at.at("reference").required(errs, "");
    }
    pull_policy(&at.at("pullPolicy"), errs);
}

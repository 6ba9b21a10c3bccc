//! The containers of a pod: those that run, those that run before them, and those that are put beside them later.

use std::collections::BTreeSet;

use crate::model::field::FieldErrors;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::meta::only_allowed;
use crate::rules::checks::names::dns1123_label;
use crate::rules::kind::Cx;

use super::amounts::is_sidecar;
use super::env::{env, env_from};
use super::mounts::{Volumes, mounts_and_devices};
use super::options::Options;
use super::ports::{host_ports_once, ports};
use super::probes::lifecycle_and_probes;
use super::resources::container_resources;
use super::restart::{init_restart_policy, no_restarting_resize, resize_policy, restart_policy};
use super::security::container_context;

/// What an ephemeral container can say.
const OF_EPHEMERAL: [&str; 17] = [
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "envFrom",
    "env",
    "volumeMounts",
    "volumeDevices",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "securityContext",
    "stdin",
    "stdinOnce",
    "tty",
    "targetContainerName",
];

/// What containers are judged by, beside themselves.
pub struct Scope<'a> {
    pub cx: &'a Cx,
    pub options: &'a Options,
    pub volumes: Volumes<'a>,
    /// Names of the pod's resource claims.
    pub claims: BTreeSet<&'a str>,
    /// Seconds.
    pub grace: Option<i64>,
    pub restart_policy: &'a str,
    pub host_users: bool,
}

/// `spec.containers`.
pub fn containers(scope: &Scope, spec: &At, errs: &mut FieldErrors) {
    let (list, os) = (spec.at("containers"), spec.at("os"));
    if list.is_empty() {
        return list.required(errs, "");
    }
    let mut names = BTreeSet::new();
    for item in list.items() {
        common(scope, &item, errs);
        if !names.insert(item.at("name").str()) {
            item.at("name").duplicate(errs);
        }
        lifecycle_and_probes(&item, &os, scope.grace, errs);
        restart_policy(&item, errs);
    }
    host_ports_once(list.items(), &list, errs);
}

/// `spec.initContainers`.
pub fn init_containers(scope: &Scope, spec: &At, errs: &mut FieldErrors) {
    let (list, os) = (spec.at("initContainers"), spec.at("os"));
    if list.is_empty() {
        return;
    }
    let mut names = names_of(&spec.at("containers"));
    for item in list.items() {
        common(scope, &item, errs);
        init_restart_policy(&item, errs);
        let name = item.at("name");
        if names.contains(name.str()) {
            name.duplicate(errs);
        } else if !name.is_empty() {
            names.insert(name.str());
        }
        host_ports_once(std::iter::once(item), &list, errs);
        let sidecar = is_sidecar(item.value());
        if sidecar {
            lifecycle_and_probes(&item, &os, scope.grace, errs);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if item.has(field) {
                    item.at(field).forbidden(errs, "may not be set for init containers without restartPolicy=Always");
                }
            }
            if !scope.options.restarting_resize_of_init {
                no_restarting_resize(&item, errs);
            }
        }
    }
}

/// `spec.ephemeralContainers`.
pub fn ephemeral_containers(scope: &Scope, spec: &At, errs: &mut FieldErrors) {
    let list = spec.at("ephemeralContainers");
    if list.is_empty() {
        return;
    }
    let mut others = names_of(&spec.at("containers"));
    others.extend(names_of(&spec.at("initContainers")));
    let mut names = others.clone();
    for item in list.items() {
        common(scope, &item, errs);
        image_without_space(&item, errs);
        if !names.insert(item.at("name").str()) {
            item.at("name").duplicate(errs);
        }
        let target = item.at("targetContainerName");
        if !target.is_empty() && !others.contains(target.str()) {
            target.not_found(errs);
        }
        only_allowed(&item, &OF_EPHEMERAL, "cannot be set for an Ephemeral Container", errs);
        for mount in item.at("volumeMounts").items() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.at(field).is_empty() {
                    mount.at(field).forbidden(errs, "cannot be set for an Ephemeral Container");
                }
            }
        }
    }
}

fn names_of<'v>(list: &At<'_, 'v>) -> BTreeSet<&'v str> {
    let items = list.value().as_array().into_iter().flatten();
    items.map(|item| item["name"].as_str().unwrap_or("")).collect()
}

/// What all containers must keep.
fn common(scope: &Scope, at: &At, errs: &mut FieldErrors) {
    let name = at.at("name");
    if name.is_empty() {
        name.required(errs, "");
    } else {
        name.check(errs, dns1123_label);
    }
    if at.at("image").is_empty() {
        at.at("image").required(errs, "");
    }
    choices::required(&at.at("terminationMessagePolicy"), &["File", "FallbackToLogsOnError"], errs);
    ports(&at.at("ports"), errs);
    env(&at.at("env"), errs);
    env_from(&at.at("envFrom"), errs);
    mounts_and_devices(at, &scope.volumes, errs);
    pull_policy(&at.at("imagePullPolicy"), errs);
    container_resources(&at.at("resources"), &scope.claims, scope.options, errs);
    resize_policy(&at.at("resizePolicy"), scope.restart_policy, errs);
    container_context(scope.cx, &at.at("securityContext"), scope.host_users, errs);
}

/// When an image is pulled.
pub fn pull_policy(at: &At, errs: &mut FieldErrors) {
    choices::required(at, &["Always", "IfNotPresent", "Never"], errs);
}

/// What pods demand of their images and templates do not.
pub fn image_without_space(container: &At, errs: &mut FieldErrors) {
    let image = container.at("image");
    if image.str().trim() != image.str() {
        image.invalid(errs, "must not have leading or trailing whitespace");
    }
}

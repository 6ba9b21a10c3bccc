//! What a spec may have wrong because the old one had it too: rules that came later than objects that break them.

use super::affinity::{has_bad_required_value, terms_of_pods};
use super::resources::has_indivisible_huge_pages;
use super::security::is_host_sysctl;
use super::visit::container_values;
use super::{annotations, spread};
use crate::model::field::{FieldErrors, Path};
use crate::rules::at::At;
use crate::rules::checks::labels::{SelectorLeniency, label_selector};
use crate::rules::checks::web::local_non_reserved_path;

/// Leniencies of a spec's validation; none by default, as on create.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A pod, not a template: some rules hold for it alone.
    pub is_pod: bool,
    pub bad_deletion_cost: bool,
    pub bad_selector_values: bool,
    pub bad_node_affinity_values: bool,
    pub bad_spread_selectors: bool,
    pub spread_keys_twice: bool,
    pub indivisible_huge_pages: bool,
    pub any_token_path: bool,
    pub host_sysctls: bool,
    pub any_selinux_policy: bool,
    pub restarting_resize_of_init: bool,
    pub devices_with_user_namespaces: bool,
    pub host_network_with_user_namespaces: bool,
    pub comparing_tolerations: bool,
}

impl Options {
    /// For a changed template, or a new one where there is no old; both are the `template`.
    pub fn of_template(old: Option<&At>) -> Self {
        old.map_or_else(Self::default, |old| Self::of(&old.at("spec"), &old.at("metadata")))
    }

    /// For a changed pod, or a new one where there is no old.
    pub fn of_pod(old: Option<&At>) -> Self {
        Self { is_pod: true, ..Self::of_template(old) }
    }

    /// What the checks of annotations ask of a pod whose spec is left as it is.
    pub fn of_status(old: &At) -> Self {
        Self {
            is_pod: true,
            bad_deletion_cost: has_bad_deletion_cost(&old.at("metadata")),
            comparing_tolerations: has_comparing_tolerations(&old.at("spec")),
            ..Self::default()
        }
    }

    fn of(spec: &At, meta: &At) -> Self {
        let context = spec.at("securityContext");
        let user_namespaces = spec.has("hostUsers") && !spec.at("hostUsers").bool();
        let with_devices =
            || container_values(spec.value()).any(|c| c["volumeDevices"].as_array().is_some_and(|d| !d.is_empty()));
        Self {
            is_pod: false,
            bad_deletion_cost: has_bad_deletion_cost(meta),
            bad_selector_values: has_bad_affinity_selector(spec),
            bad_node_affinity_values: has_bad_required_value(spec),
            bad_spread_selectors: has_bad_spread_selector(spec),
            spread_keys_twice: has_bad_spread_keys(spec),
            indivisible_huge_pages: has_indivisible_huge_pages(spec),
            any_token_path: has_bad_token_path(spec),
            host_sysctls: context.at("sysctls").items().any(|s| is_host_sysctl(spec, s.at("name").str()).is_some()),
            any_selinux_policy: context.has("seLinuxChangePolicy"),
            restarting_resize_of_init: has_restarting_resize_of_init(spec),
            devices_with_user_namespaces: user_namespaces && with_devices(),
            host_network_with_user_namespaces: user_namespaces && spec.at("hostNetwork").bool(),
            comparing_tolerations: has_comparing_tolerations(spec),
        }
    }
}

/// Whether the check finds something.
fn fails(check: impl FnOnce(&mut FieldErrors)) -> bool {
    let mut errs = FieldErrors::new();
    check(&mut errs);
    !errs.is_empty()
}

fn has_bad_deletion_cost(meta: &At) -> bool {
    !annotations::is_deletion_cost_right(&meta.at("annotations"))
}

fn has_comparing_tolerations(spec: &At) -> bool {
    spec.at("tolerations").items().any(|t| matches!(t.at("operator").str(), "Lt" | "Gt"))
}

fn has_bad_affinity_selector(spec: &At) -> bool {
    let mut bad = false;
    terms_of_pods(spec, |term| {
        for selector in ["labelSelector", "namespaceSelector"] {
            bad = bad || fails(|errs| label_selector(&term.at(selector), SelectorLeniency::default(), errs));
        }
    });
    bad
}

fn has_bad_spread_selector(spec: &At) -> bool {
    let constraints = spec.at("topologySpreadConstraints");
    let mut items = constraints.items();
    items.any(|c| fails(|errs| label_selector(&c.at("labelSelector"), SelectorLeniency::default(), errs)))
}

fn has_bad_spread_keys(spec: &At) -> bool {
    let constraints = spec.at("topologySpreadConstraints");
    let mut items = constraints.items();
    items.any(|c| fails(|errs| spread::keys_apart_from_selector(&c, errs)))
}

fn has_bad_token_path(spec: &At) -> bool {
    let volumes = spec.value()["volumes"].as_array().into_iter().flatten();
    let sources = volumes.flat_map(|v| v["projected"]["sources"].as_array().into_iter().flatten());
    let mut tokens = sources.filter_map(|s| s.get("serviceAccountToken"));
    tokens.any(|t| fails(|errs| local_non_reserved_path(&At::new(&t["path"], None).placed(Path::Root), errs)))
}

fn has_restarting_resize_of_init(spec: &At) -> bool {
    let containers = spec.value()["initContainers"].as_array().into_iter().flatten();
    let mut others = containers.filter(|c| !super::amounts::is_sidecar(c));
    others.any(|c| {
        let mut policies = c["resizePolicy"].as_array().into_iter().flatten();
        policies.any(|p| p["restartPolicy"] == "RestartContainer")
    })
}

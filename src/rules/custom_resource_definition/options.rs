//! What is demanded of a definition: of a changed one, not what the old one did not keep either.

use super::spec::Spec;
use super::{lists, structural};
use crate::model::field::Path;
use crate::model::value::Value;

use crate::rules::checks::web::is_ca_bundle;
use crate::rules::custom::schema::Schema;

#[derive(Clone, Debug)]
pub struct Options {
    /// Each version has a schema, not only those that are served.
    pub schemas: bool,
    pub known_kinds: bool,
    pub structural: bool,
    pub pruned_defaults: bool,
    pub atomic_sets: bool,
    pub strict_keys: bool,
    /// A version of conversion reviews that the server knows.
    pub known_reviews: bool,
    /// Scope and kind may not change.
    pub fixed_names: bool,
    pub right_ca_bundle: bool,
    /// Expressions may cost anything: the schema did not change.
    pub any_cost: bool,
    /// Versions whose schema did not change.
    pub unchanged: Vec<String>,
    /// Versions that had too many selectable fields before; empty: the definition as a whole.
    pub many_selectable: Vec<String>,
}

/// Selectable fields of a version.
pub const SELECTABLE: usize = 8;
/// Versions of conversion reviews.
pub const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

impl Options {
    /// Of a new definition: nobody calls its webhook yet.
    pub fn create() -> Self {
        Self {
            schemas: true,
            known_kinds: true,
            structural: true,
            pruned_defaults: true,
            atomic_sets: true,
            strict_keys: true,
            known_reviews: true,
            fixed_names: false,
            right_ca_bundle: false,
            any_cost: false,
            unchanged: Vec::new(),
            many_selectable: Vec::new(),
        }
    }

    pub fn update(new: &Value, old: &Value) -> Self {
        let (spec, before) = (Spec::new(&new["spec"]), Spec::new(&old["spec"]));
        let raws: Vec<&Value> = before.schemas().collect();
        let schemas: Vec<Schema> = raws.iter().map(|raw| Schema::read(raw)).collect();
        let any = |such: &mut dyn FnMut(&Schema) -> bool| schemas.iter().any(|schema| schema.any(&mut *such));
        let is_structural = |(schema, raw): (&Schema, &&Value)| {
            structural::unreadable(schema).is_none() && structural::validate(schema, raw, &Path::Root).is_empty()
        };
        let established = super::is_true(old, "Established");
        let webhook = &old["spec"]["conversion"]["webhook"];
        let reviews = webhook["conversionReviewVersions"].as_array().map_or(&[][..], Vec::as_slice);
        let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
        Self {
            schemas: before.all_have_schemas(),
            known_kinds: !any(&mut |s| !s.kind.is_empty() && !super::schema::KINDS.contains(&s.kind.as_str())),
            structural: schemas.iter().zip(&raws).all(is_structural),
            pruned_defaults: true,
            atomic_sets: !any(&mut |s| s.list_type.as_deref() == Some("set") && lists::granular_items(s).is_some()),
            strict_keys: !any(&mut |s| !lists::items_of_keys(s, &Path::Root).is_empty()),
            known_reviews: reviews.is_empty() || reviews.iter().any(|v| REVIEWS.contains(&v.as_str().unwrap_or(""))),
            fixed_names: established,
            right_ca_bundle: established && (bundle.is_empty() || is_ca_bundle(bundle)),
            any_cost: false,
            unchanged: spec.unchanged(&before),
            many_selectable: spec.many_selectable(&before),
        }
    }

    /// For the schema of this version.
    pub fn of_version(&self, version: &str) -> Self {
        Self { any_cost: self.unchanged.iter().any(|known| known == version), ..self.clone() }
    }
}

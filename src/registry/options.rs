//! The options of requests and what is wrong with them: API convention `CreateOptions`, `ListOptions`, ...

use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::model::names::GroupVersionKind;
use crate::model::selector::field::FieldSelector;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// The longest name of a field manager, in bytes.
pub const MAX_FIELD_MANAGER: usize = 128;

const MATCH: Path<'static> = Path::Name(&Path::Root, "resourceVersionMatch");

/// How unknown and repeated fields of a body are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Options of create, update and patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    pub dry_run: Vec<String>,
    pub field_manager: String,
    /// As given; empty is the default.
    pub field_validation: String,
    /// Only for apply.
    pub force: Option<bool>,
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds; negative ones count as 1.
    pub grace_period: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub orphan_dependents: Option<bool>,
    pub propagation: Option<String>,
    pub dry_run: Vec<String>,
    pub ignore_store_read_error: Option<bool>,
}

/// `ListOptions`, for list and watch.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub labels: Selector,
    pub fields: FieldSelector,
    pub watch: bool,
    pub bookmarks: bool,
    pub resource_version: String,
    pub version_match: String,
    pub timeout_seconds: Option<i64>,
    pub limit: i64,
    pub continue_token: String,
    pub send_initial_events: Option<bool>,
}

impl WriteOptions {
    pub fn is_dry_run(&self) -> bool {
        !self.dry_run.is_empty()
    }

    /// `operation` is Create, Update or Patch.
    pub fn validate(&self, operation: &str, is_apply: bool) -> Result<()> {
        let mut errors = FieldErrors::new();
        if operation == "Patch" {
            self.validate_apply(is_apply, &mut errors);
        }
        validate_manager(&self.field_manager, &mut errors);
        validate_dry_run(&self.dry_run, &mut errors);
        if !matches!(self.field_validation.as_str(), "" | "Ignore" | "Strict" | "Warn") {
            let field = Path::Root;
            let field = field.name("fieldValidation");
            let supported = ["", "Ignore", "Strict", "Warn"];
            errors.push(FieldError::not_supported(&field, &self.field_validation, &supported));
        }
        refuse(&format!("{operation}Options"), &errors)
    }

    fn validate_apply(&self, is_apply: bool, errors: &mut FieldErrors) {
        let root = Path::Root;
        if !is_apply {
            if self.force.is_some() {
                errors.push(FieldError::forbidden(&root.name("force"), "may not be specified for non-apply patch"));
            }
        } else if self.field_manager.is_empty() {
            errors.push(FieldError::required(&root.name("fieldManager"), "is required for apply patch"));
        }
    }

    pub fn validation(&self) -> FieldValidation {
        match self.field_validation.as_str() {
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        }
    }
}

impl DeleteOptions {
    pub fn is_dry_run(&self) -> bool {
        !self.dry_run.is_empty()
    }

    pub fn validate(&self) -> Result<()> {
        let (mut errors, root) = (FieldErrors::new(), Path::Root);
        if let (Some(propagation), Some(_)) = (&self.propagation, self.orphan_dependents) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid(&root.name("propagationPolicy"), propagation, detail));
        }
        if let Some(propagation) = &self.propagation
            && !matches!(propagation.as_str(), "Foreground" | "Background" | "Orphan")
        {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported(&root.name("propagationPolicy"), propagation, &supported));
        }
        validate_dry_run(&self.dry_run, &mut errors);
        refuse("DeleteOptions", &errors)
    }
}

impl ListOptions {
    pub fn validate(&self) -> Result<()> {
        let errors = if self.watch { self.watch_errors() } else { self.list_errors() };
        refuse("ListOptions", &errors)
    }

    fn list_errors(&self) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let given = self.version_match.as_str();
        if !given.is_empty() {
            if self.resource_version.is_empty() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                errors.push(FieldError::forbidden(&MATCH, why));
            }
            self.with_continue(&mut errors);
            if !matches!(given, "Exact" | "NotOlderThan") {
                errors.push(FieldError::not_supported(&MATCH, given, &["Exact", "NotOlderThan", ""]));
            }
            if given == "Exact" && self.resource_version == "0" {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(FieldError::forbidden(&MATCH, why));
            }
        }
        if self.send_initial_events.is_some() {
            let root = Path::Root;
            let why = "sendInitialEvents is forbidden for list";
            errors.push(FieldError::forbidden(&root.name("sendInitialEvents"), why));
        }
        errors
    }

    fn watch_errors(&self) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let given = self.version_match.as_str();
        if self.send_initial_events.is_some() && given != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(FieldError::forbidden(&MATCH, why));
        }
        if !given.is_empty() {
            if self.send_initial_events.is_none() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(FieldError::forbidden(&MATCH, why));
            }
            if given != "NotOlderThan" {
                errors.push(FieldError::not_supported(&MATCH, given, &["NotOlderThan"]));
            }
            self.with_continue(&mut errors);
        }
        errors
    }

    fn with_continue(&self, errors: &mut FieldErrors) {
        if !self.continue_token.is_empty() {
            errors.push(FieldError::forbidden(&MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
}

fn validate_manager(manager: &str, errors: &mut FieldErrors) {
    let root = Path::Root;
    let field = root.name("fieldManager");
    if manager.len() > MAX_FIELD_MANAGER {
        errors.push(FieldError::too_long(&field, MAX_FIELD_MANAGER));
    }
    if let Some((at, letter)) = manager.char_indices().find(|(_, c)| !gotext::is_printable(*c)) {
        let why = format!("invalid character U+{:04X} (at position {at})", letter as u32);
        errors.push(FieldError::invalid(&field, manager, why));
    }
}

fn validate_dry_run(dry_run: &[String], errors: &mut FieldErrors) {
    if dry_run.iter().any(|value| value != "All") {
        let root = Path::Root;
        let given = Value::from(dry_run.to_vec());
        errors.push(FieldError::not_supported(&root.name("dryRun"), &given, &["All"]));
    }
}

fn refuse(kind: &str, errors: &[FieldError]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&GroupVersionKind::new("meta.k8s.io", "v1", kind), "", errors))
}

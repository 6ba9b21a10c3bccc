//! Objects that are answered and forgotten: the reviews. They go through admission and validation like all others.

use super::core::{Registry, rules};
use super::meta;
use super::options::WriteOptions;
use super::request::{Address, Caller};
use crate::admission::chain::Operation;
use crate::model::names::GroupVersionKind;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::rules::at::At;

impl Registry {
    /// The review as it is to be answered, defaulted and found valid.
    pub async fn begin_review(
        &self,
        caller: &mut Caller,
        at: &Address,
        mut value: Value,
        options: &WriteOptions,
    ) -> Result<Value> {
        options.validate("Create", false)?;
        self.fill_defaults(&at.resource, &mut value);
        meta::place(&mut value, &at.resource, &at.namespace)?;
        self.own(caller, at, Some(&json!({})), &mut value, options);
        self.admit(caller, at, Operation::Create, Some(&mut value), None, options).await?;
        let (rules, cx) = (rules(&at.resource), self.cx(at, &caller.user));
        let mut errors = Vec::new();
        (rules.validate)(&cx, &At::new(&value, at.resource.shape.message()), &mut errors);
        if !errors.is_empty() {
            let unnamed = GroupVersionKind::new(&at.resource.kind.group, "", "");
            return Err(Status::invalid(&unnamed, "", &errors));
        }
        self.validate_admission(caller, at, Operation::Create, Some(&value), None, options).await?;
        Ok(value)
    }
}

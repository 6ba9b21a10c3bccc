//! Devices chosen by a CEL expression of what a slice says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::field::FieldErrors;
use crate::rules::at::At;
use crate::schema::cel::env::Env;
use crate::schema::cel::program::Program;
use crate::schema::cel::types::{Shape, Type};

const EXPRESSION_BYTES: usize = 10 * 1024;
const MOST_COST: u64 = 1_000_000;
/// Of a driver's name, a device's attribute, all attributes or capacities of a device.
const DRIVER_BYTES: i64 = 63;
const ATTRIBUTE_BYTES: i64 = 64;
const MOST_ENTRIES: i64 = 32;

/// What expressions may name: `device`.
pub struct Devices {
    device: Arc<Shape>,
    env: Env,
}

impl Devices {
    pub fn new() -> Self {
        let sized = |ty: Type, most: i64| Arc::new(Shape { most, ..Shape::simple(ty, 0) });
        let by_domain = |of: Arc<Shape>| Arc::new(Shape::map(Arc::new(Shape::map(of, MOST_ENTRIES)), MOST_ENTRIES));
        let fields = [
            ("driver", sized(Type::String, DRIVER_BYTES)),
            ("attributes", by_domain(sized(Type::Dyn, ATTRIBUTE_BYTES))),
            ("capacity", by_domain(sized(Type::named("kubernetes.Quantity"), 0))),
            ("allowMultipleAllocations", sized(Type::Bool, 1)),
        ];
        let fields: BTreeMap<_, _> = fields.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
        let device = Arc::new(Shape::object("kubernetes.DRADevice", fields));
        let mut env = Env::default().with("device", device.ty.clone()).with_types_of(&device);
        env.binds = true;
        Self { device, env }
    }

    /// The expression, ready to run; or why it cannot.
    pub fn compile(&self, expression: &str) -> Result<Program, String> {
        let program =
            Program::compile(&self.env, expression).map_err(|issues| format!("compilation failed: {issues}"))?;
        let result = program.result();
        if !matches!(result, Type::Bool) && !result.is_dyn() {
            return Err(format!("must evaluate to bool or the unknown type, not {result}"));
        }
        match program.defect() {
            Some(defect) => Err(format!("program instantiation failed: {defect}")),
            None => Ok(program),
        }
    }
}

impl Default for Devices {
    fn default() -> Self {
        Self::new()
    }
}

/// A right expression, not too costly.
pub fn expression(at: &At, devices: &Devices, errs: &mut FieldErrors) {
    if at.len() > EXPRESSION_BYTES {
        return at.too_long(errs, EXPRESSION_BYTES);
    }
    match devices.compile(at.str()) {
        Ok(program) if program.cost(Some(&devices.device), false).max > MOST_COST => {
            at.forbidden(errs, "too complex, exceeds cost limit");
        }
        Ok(_) => {}
        Err(why) => at.invalid(errs, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn expressions_are_of_a_device() {
        let devices = Devices::new();
        for (text, wrong) in [
            ("device.driver == 'd' && device.attributes['d'].a", None),
            ("cel.bind(d, device.capacity['d'], d.m.isGreaterThan(quantity('1Gi')))", None),
            ("device.attributes['d'].a", None),
            ("'a'", Some("Invalid value: \"'a'\": must evaluate to bool or the unknown type, not string")),
            (
                "nope",
                Some(
                    "Invalid value: \"nope\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in \
                     container '')\n | nope\n | ^",
                ),
            ),
            (
                "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, \
                 a + b == c + d))))",
                Some("Forbidden: too complex, exceeds cost limit"),
            ),
        ] {
            let (value, mut errs) = (json!(text), FieldErrors::new());
            expression(&At::new(&value, None), &devices, &mut errs);
            assert_eq!(errs.first().map(|e| e.body()).as_deref(), wrong, "{text}");
        }
    }
}

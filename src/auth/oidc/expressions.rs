//! CEL over a token's claims, and over the user that came of them.

use std::sync::Arc;

use crate::auth::identity::Identity;
use crate::model::value::{Map, Value, json};
use crate::schema::cel::env::Env;
use crate::schema::cel::eval::{Meter, Values};
use crate::schema::cel::program::Program;
use crate::schema::cel::typed::Schema;
use crate::schema::cel::types::{Shape, Type};
use crate::schema::cel::value::Val;

/// Units of cost that one evaluation may take.
const BUDGET: u64 = 1_000_000;

/// An expression and its text.
#[derive(Debug)]
pub struct Expression {
    pub text: String,
    pub program: Program,
}

/// What an expression sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// `claims`.
    Claims,
    /// `user`.
    User,
}

/// Why an expression cannot be used.
#[derive(Debug)]
pub enum Unusable {
    Invalid(String),
    Internal(String),
}

impl Expression {
    /// `judges`: it must be true or false.
    pub fn compile(text: &str, sight: Sight, judges: bool) -> Result<Self, Unusable> {
        let program = Program::compile(&env(sight), text)
            .map_err(|issues| Unusable::Invalid(format!("compilation failed: {issues}")))?;
        if judges && *program.result() != Type::Bool {
            return Err(Unusable::Invalid("must evaluate to bool".into()));
        }
        if let Some(why) = program.defect() {
            return Err(Unusable::Internal(format!("program instantiation failed: {why}")));
        }
        Ok(Self { text: text.to_owned(), program })
    }

    /// What it gives for this; `sees` is what it was compiled for.
    pub fn run<'a>(&'a self, sight: Sight, sees: &'a Value) -> Result<Val<'a>, String> {
        let failed = |why: &dyn std::fmt::Display| format!("expression '{}' resulted in error: {why}", self.text);
        let seen = Val::typed(sees, Schema::CLAIMS).map_err(|why| failed(&why))?;
        let variables = Values(vec![(sight.variable(), seen)]);
        self.program.run(&variables, &mut Meter::new(BUDGET)).map_err(|why| failed(&why))
    }
}

impl Sight {
    fn variable(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::User => "user",
        }
    }
}

/// What `user` is to an expression: all of it is there, even if it is empty.
pub fn seen(user: &Identity) -> Value {
    let extra: Map = user
        .extra
        .iter()
        .map(|(key, values)| (key.clone(), values.iter().map(|value| value.as_str()).collect::<Value>()))
        .collect();
    let groups: Value = user.groups.iter().map(|group| group.as_str()).collect();
    json!({"username": user.name.as_str(), "uid": user.uid.as_str(), "groups": groups, "extra": Value::Object(extra)})
}

fn env(sight: Sight) -> Env {
    match sight {
        Sight::Claims => Env::default().with("claims", Type::map(Type::String, Type::Dyn)),
        Sight::User => {
            let user = user();
            Env::default().with("user", user.ty.clone()).with_types_of(&user)
        }
    }
}

fn user() -> Shape {
    let texts = || Type::list(Type::String);
    let fields = [
        ("username", Type::String),
        ("uid", Type::String),
        ("groups", texts()),
        ("extra", Type::map(Type::String, texts())),
    ];
    let fields = fields.into_iter().map(|(name, ty)| (name.to_owned(), Arc::new(Shape::simple(ty, 1))));
    Shape::object("kubernetes.UserInfo", fields.collect())
}

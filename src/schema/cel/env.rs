//! What an expression may name: its variables and types.

use std::sync::Arc;

use super::library::{self, Function, named_type};
use super::types::{Fields, Object, Shape, Type};

/// The declarations for one use of CEL.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: Vec<(Box<str>, Type)>,
    /// Types that can be named.
    objects: Vec<Arc<Object>>,
    /// `Object{...}`, `JSONPatch{...}` and the functions of JSON patches.
    patches: bool,
    /// The macro `cel.bind`.
    pub binds: bool,
    /// Literals that can never be right are not refused.
    pub lax_literals: bool,
    /// `has()` costs what a select costs.
    pub costly_has: bool,
}

/// What a name is.
pub enum Named {
    Variable(Type),
    /// A type's own name.
    Type(Type),
}

impl Env {
    #[must_use]
    pub fn with(mut self, name: &str, ty: Type) -> Self {
        self.variables.push((name.into(), ty));
        self
    }

    /// Makes the type and the types of its fields nameable.
    #[must_use]
    pub fn with_types_of(mut self, shape: &Shape) -> Self {
        self.add_types(shape);
        self
    }

    #[must_use]
    pub fn with_patches(mut self) -> Self {
        self.patches = true;
        self
    }

    pub fn variable(&self, name: &str) -> Option<&Type> {
        self.variables.iter().rev().find(|(known, _)| **known == *name).map(|(_, ty)| ty)
    }

    /// Also with a dot before it, which stands for the root.
    pub fn find(&self, name: &str) -> Option<Named> {
        let name = name.strip_prefix('.').unwrap_or(name);
        if let Some(ty) = self.variable(name) {
            return Some(Named::Variable(ty.clone()));
        }
        if let Some(ty) = named_type(name) {
            return Some(Named::Type(ty));
        }
        if let Some(object) = self.objects.iter().find(|object| *object.name == *name) {
            return Some(Named::Type(Type::Object(object.clone())));
        }
        if self.patches { patch_type(name).map(Named::Type) } else { None }
    }

    pub fn function(&self, name: &str) -> Option<&'static Function> {
        library::function(name.strip_prefix('.').unwrap_or(name), self.patches)
    }

    fn add_types(&mut self, shape: &Shape) {
        match &shape.inner {
            super::types::Inner::Items(of) | super::types::Inner::Values(of) => self.add_types(&of.clone()),
            super::types::Inner::None => {}
        }
        let Type::Object(object) = &shape.ty else { return };
        if self.objects.iter().any(|known| known.name == object.name) {
            return;
        }
        if !object.name.is_empty() {
            self.objects.push(object.clone());
        }
        if let Fields::Known(fields) = &object.fields {
            for field in fields.values() {
                self.add_types(field);
            }
        }
    }
}

/// The types with which an expression makes a change.
fn patch_type(name: &str) -> Option<Type> {
    let text = || Arc::new(Shape::simple(Type::String, 2));
    let fields = match name {
        "Object" => Fields::Any,
        "JSONPatch" => {
            let value = ("value".to_owned(), Arc::new(Shape::simple(Type::Dyn, 1)));
            let texts = ["op", "path", "from"].map(|name| (name.to_owned(), text()));
            Fields::Loose(texts.into_iter().chain([value]).collect())
        }
        other if other.starts_with("Object.") => Fields::Any,
        _ => return None,
    };
    Some(Type::Object(Arc::new(Object { name: name.into(), fields })))
}

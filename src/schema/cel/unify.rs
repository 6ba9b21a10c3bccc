//! Whether one type fits where another is asked for, and what the checker's type variables stand for then.

use std::sync::Arc;

use super::types::Type;

/// What type variables stand for.
#[derive(Debug, Default)]
pub struct Variables {
    bound: Vec<Option<Type>>,
    /// (variable, what it stood for) of each change since the last commit.
    trail: Vec<(u32, Option<Type>)>,
}

impl Variables {
    pub fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Param(self.bound.len() as u32 - 1)
    }

    /// As many fresh variables at once; the number of the first.
    pub fn fresh_many(&mut self, count: u32) -> u32 {
        let first = self.bound.len() as u32;
        self.bound.resize(self.bound.len() + count as usize, None);
        first
    }

    /// Whether `b` can stand for `a`. What variables stand for changes only if so.
    pub fn assign(&mut self, a: &Type, b: &Type) -> bool {
        let fits = self.fits(a, b);
        self.settle(fits)
    }

    pub fn assign_all(&mut self, a: &[&Type], b: &[Type]) -> bool {
        let fits = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.fits(a, b));
        self.settle(fits)
    }

    /// The type with its variables replaced; by `dyn` where they stand for nothing, if asked.
    pub fn substitute(&self, ty: &Type, free_to_dyn: bool) -> Type {
        match ty {
            Type::Param(number) => match &self.bound[*number as usize] {
                Some(bound) => self.substitute(bound, free_to_dyn),
                None if free_to_dyn => Type::Dyn,
                None => ty.clone(),
            },
            Type::List(of) => Type::list(self.substitute(of, free_to_dyn)),
            Type::Map(of) => Type::map(self.substitute(&of.0, free_to_dyn), self.substitute(&of.1, free_to_dyn)),
            Type::Opaque(name, params) => {
                Type::Opaque(name, params.iter().map(|param| self.substitute(param, free_to_dyn)).collect())
            }
            Type::Type(Some(of)) => Type::Type(Some(Arc::new(self.substitute(of, free_to_dyn)))),
            other => other.clone(),
        }
    }

    fn settle(&mut self, keep: bool) -> bool {
        while let Some((number, before)) = self.trail.pop() {
            if !keep {
                self.bound[number as usize] = before;
            }
        }
        keep
    }

    fn bind(&mut self, number: u32, ty: Type) {
        let before = self.bound[number as usize].replace(ty);
        self.trail.push((number, before));
    }

    fn fits(&mut self, a: &Type, b: &Type) -> bool {
        if let Type::Param(number) = b {
            match self.stands_for(a, *number, b) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if let Type::Param(number) = a {
            return self.stands_for(b, *number, a).0;
        }
        match (a, b) {
            (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) => true,
            (Type::Null, other) | (other, Type::Null) => is_nullable(other),
            (Type::List(a), Type::List(b)) => self.fits(a, b),
            (Type::Map(a), Type::Map(b)) => self.fits(&a.0, &b.0) && self.fits(&a.1, &b.1),
            (Type::Opaque(a, params_a), Type::Opaque(b, params_b)) => {
                a == b
                    && params_a.len() == params_b.len()
                    && params_a.iter().zip(params_b.iter()).all(|(a, b)| self.fits(a, b))
            }
            (Type::Type(_), Type::Type(_)) => true,
            (Type::Unspecified, _) => false,
            _ => a == b,
        }
    }

    /// (whether the variable can stand for the type, whether it already stands for something).
    fn stands_for(&mut self, ty: &Type, number: u32, variable: &Type) -> (bool, bool) {
        if ty == variable {
            return (true, true);
        }
        let Some(bound) = self.bound[number as usize].clone() else {
            let free = self.is_not_within(variable, ty);
            if free {
                self.bind(number, ty.clone());
            }
            return (free, false);
        };
        if *ty == bound {
            return (true, true);
        }
        if !self.fits(ty, &bound) {
            return (false, true);
        }
        let general = if is_less_specific(ty, &bound) { ty.clone() } else { bound };
        if self.is_not_within(variable, &general) {
            self.bind(number, general);
        }
        (true, true)
    }

    fn is_not_within(&self, variable: &Type, ty: &Type) -> bool {
        if variable == ty {
            return false;
        }
        match ty {
            Type::Param(number) => {
                self.bound[*number as usize].as_ref().is_none_or(|bound| self.is_not_within(variable, bound))
            }
            Type::Map(of) => self.is_not_within(variable, &of.0) && self.is_not_within(variable, &of.1),
            other => other.params().iter().all(|param| self.is_not_within(variable, param)),
        }
    }
}

/// The more general of two types that fit each other.
pub fn most_general(a: &Type, b: &Type) -> Type {
    if is_less_specific(a, b) { a.clone() } else { b.clone() }
}

fn is_nullable(ty: &Type) -> bool {
    matches!(ty, Type::Null | Type::Opaque(..) | Type::Object(_) | Type::Duration | Type::Timestamp)
}

fn is_less_specific(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn | Type::Param(_), _) => true,
        (_, Type::Dyn | Type::Param(_)) => false,
        (Type::List(a), Type::List(b)) => is_less_specific(a, b),
        (Type::Map(a), Type::Map(b)) => is_less_specific(&a.0, &b.0) && is_less_specific(&a.1, &b.1),
        (Type::Opaque(a, params_a), Type::Opaque(b, params_b)) => {
            a == b
                && params_a.len() == params_b.len()
                && params_a.iter().zip(params_b.iter()).all(|(a, b)| is_less_specific(a, b))
        }
        (Type::Type(_), Type::Type(_)) => true,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_take_the_most_general_type() {
        let mut variables = Variables::default();
        let (a, int) = (variables.fresh(), Type::list(Type::Int));
        assert!(variables.assign(&int, &a));
        assert_eq!(variables.substitute(&a, false), int);
        assert!(!variables.assign(&Type::list(Type::String), &a));
        assert!(variables.assign(&Type::list(Type::Dyn), &a));
        assert_eq!(variables.substitute(&a, false), Type::list(Type::Dyn));
        let b = variables.fresh();
        assert!(!variables.assign(&Type::list(b.clone()), &b));
        assert_eq!(variables.substitute(&b, true), Type::Dyn);
    }
}

//! What an apply is refused for: fields that others own.

use super::managed::Entry;
use super::path::{Element, display};
use super::set::Set;
use crate::model::status::Status;

/// What others own of what an apply would change.
#[derive(Clone, Debug, Default)]
pub struct Conflicts(Vec<Conflict>);

#[derive(Clone, Debug)]
struct Conflict {
    /// As errors name it.
    manager: String,
    paths: Vec<Vec<Element>>,
}

impl Conflicts {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a manager owns of it; managers come in stock's order of their identities.
    pub fn add(&mut self, manager: &Entry, set: &Set) {
        let mut paths = Vec::new();
        set.for_each(&mut |path| paths.push(path.to_vec()));
        if !paths.is_empty() {
            self.0.push(Conflict { manager: manager.display(), paths });
        }
    }

    /// Those that are not in the set.
    pub fn beyond(&self, allowed: &Set) -> Conflicts {
        let left = self.0.iter().map(|conflict| Conflict {
            manager: conflict.manager.clone(),
            paths: conflict.paths.iter().filter(|path| !allowed.has(path)).cloned().collect(),
        });
        Conflicts(left.filter(|conflict| !conflict.paths.is_empty()).collect())
    }

    /// 409 with a cause for each field.
    pub fn status(&self) -> Status {
        let mut status = Status::apply_conflict(self.message());
        for Conflict { manager, paths } in &self.0 {
            for path in paths {
                status = status.cause("FieldManagerConflict", format!("conflict with {manager}"), &display(path));
            }
        }
        status
    }

    fn message(&self) -> String {
        if let [Conflict { manager, paths }] = self.0.as_slice()
            && let [path] = paths.as_slice()
        {
            return format!("Apply failed with 1 conflict: conflict with {manager}: {}", display(path));
        }
        let mut lines = Vec::new();
        for Conflict { manager, paths } in &self.0 {
            lines.push(format!("conflicts with {manager}:"));
            lines.extend(paths.iter().map(|path| format!("- {}", display(path))));
        }
        let count: usize = self.0.iter().map(|conflict| conflict.paths.len()).sum();
        format!("Apply failed with {count} conflicts: {}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::managed;
    use crate::model::value::json;

    #[test]
    fn messages_are_stocks() {
        let list = json!([
            {"manager": "a", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"},
            {"manager": "u", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "subresource": "status"},
        ]);
        let entries = managed::read(list, true).expect("a list");
        let set = Set::from_value(&json!({"f:data": {"f:a": {}, "f:b": {}}})).expect("FieldsV1");
        let mut conflicts = Conflicts::default();
        conflicts.add(&entries[0], &set);
        conflicts.add(&entries[1], &Set::of_fields([&["data", "a"][..]]));
        let status = conflicts.status();
        let message = "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.a\n- .data.b\n\
                       conflicts with \"u\" with subresource \"status\" using v1:\n- .data.a";
        assert_eq!(status.message, message);
        let rest = conflicts.beyond(&Set::of_fields([&["data", "a"][..]])).status().to_value();
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 409,
            "message": "Apply failed with 1 conflict: conflict with \"a\": .data.b", "reason": "Conflict",
            "details": {"causes": [
                {"reason": "FieldManagerConflict", "message": "conflict with \"a\"", "field": ".data.b"},
            ]},
        });
        assert_eq!(rest, expected);
        assert!(conflicts.beyond(&set).is_empty());
    }
}

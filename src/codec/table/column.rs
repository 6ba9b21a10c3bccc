//! A column of a table, and short ways to say one.

use crate::codec::json::write;

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    pub name: &'a str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: &'a str,
    pub format: &'a str,
    pub description: &'a str,
    /// 0: always shown; more: in wide output only.
    pub priority: i64,
}

impl Column<'static> {
    pub const fn new(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self { name, kind, format: "", description, priority: 0 }
    }

    pub const fn format(self, format: &'static str) -> Self {
        Self { format, ..self }
    }

    pub const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}

impl Column<'_> {
    /// Appends its definition in JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in [
            ("{\"name\":", self.name),
            (",\"type\":", self.kind),
            (",\"format\":", self.format),
            (",\"description\":", self.description),
        ] {
            out.extend_from_slice(name.as_bytes());
            write::string(out, value);
        }
        out.extend_from_slice(b",\"priority\":");
        write::integer(out, self.priority);
        out.push(b'}');
    }
}

pub const fn text(name: &'static str, description: &'static str) -> Column<'static> {
    Column::new(name, "string", description)
}

pub const fn integer(name: &'static str, description: &'static str) -> Column<'static> {
    Column::new(name, "integer", description)
}

pub const fn boolean(name: &'static str, description: &'static str) -> Column<'static> {
    Column::new(name, "boolean", description)
}

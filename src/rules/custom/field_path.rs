//! Paths of fields as definitions write them: `.spec.list['a key'].x`.

use super::schema::Schema;

/// A path and the schema it leads to.
#[derive(Debug)]
pub struct Found<'s> {
    /// As errors print it.
    pub path: String,
    /// Its first field.
    pub root: String,
    pub schema: &'s Schema,
}

/// Reads a path and follows it in the schema; the error says why it leads nowhere.
pub fn field_path<'s>(text: &str, schema: &'s Schema, brackets: bool) -> Result<Found<'s>, String> {
    let mut found = Found { path: String::new(), root: String::new(), schema };
    let mut words = Words { rest: text };
    while let Some(word) = words.next() {
        match word {
            "[" if !brackets => return Err("array notation is not allowed".to_owned()),
            "[" => {
                let quoted = words.next().ok_or("unexpected end of JSON path")?;
                let inner = quoted.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
                let inner = inner.ok_or_else(|| format!("expected single quoted string but got {quoted}"))?;
                let name = unescape(inner).map_err(|why| format!("invalid string literal: {why}"))?;
                found.step(&name)?;
                let close = words.next().ok_or("unexpected end of JSON path")?;
                if close != "]" {
                    return Err(format!("expected ] but got {close}"));
                }
            }
            "." => found.step(words.next().ok_or("unexpected end of JSON path")?)?,
            other => return Err(format!("expected [ or . but got: {other}")),
        }
    }
    Ok(found)
}

impl Found<'_> {
    fn step(&mut self, name: &str) -> Result<(), String> {
        let nowhere = || "does not refer to a valid field".to_owned();
        if !self.schema.properties.is_empty() {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.schema = self.schema.properties.get(name).ok_or_else(nowhere)?;
        } else if let Some(values) = self.schema.values() {
            self.path.push_str(&format!("[{name}]"));
            self.schema = values;
        } else {
            return Err(nowhere());
        }
        if self.root.is_empty() {
            name.clone_into(&mut self.root);
        }
        Ok(())
    }
}

/// Dots, brackets, and what stands between them.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    fn next(&mut self) -> Option<&'t str> {
        let bytes = self.rest.as_bytes();
        let first = *bytes.first()?;
        let length = match first {
            b'.' | b'[' | b']' => 1,
            b'\'' => {
                let end = (1..bytes.len()).find(|&at| bytes[at] == b'\'' && bytes[at - 1] != b'\\');
                end.map_or(bytes.len(), |end| end + 1)
            }
            _ => self.rest.find(['.', '[', ']']).unwrap_or(bytes.len()),
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(word)
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        out.push(match letters.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some('\'') => '\'',
            Some('\\') | None => '\\',
            Some(other) => return Err(format!("invalid escape char \\{other}")),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn paths() {
        let schema = Schema::read(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a-b": {"type": "string"}, "map": {"type": "object", "additionalProperties": {"type": "string"}}}}}}));
        for (text, expected) in [
            (".spec['a-b']", "spec.a-b string"),
            (".spec.map['x.y']", "spec.map[x.y] string"),
            (".spec.nope", "does not refer to a valid field"),
            (".spec.a-b.c", "does not refer to a valid field"),
            ("spec", "expected [ or . but got: spec"),
            (".spec[a]", "expected single quoted string but got a"),
            (".spec[", "unexpected end of JSON path"),
            (".spec['a-b'x", "expected ] but got x"),
            (r".spec['\q']", r"invalid string literal: invalid escape char \q"),
        ] {
            let found = field_path(text, &schema, true);
            let told = found.map(|found| format!("{} {}", found.path, found.schema.kind));
            assert_eq!(told.unwrap_or_else(|why| why), expected, "{text}");
        }
        assert_eq!(field_path(".a['b']", &schema, false).map(|_| ()), Err("does not refer to a valid field".into()));
    }
}

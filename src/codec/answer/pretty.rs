//! Line breaks and indentation for people, put into compact JSON as it streams by.

/// Indents by two spaces, as Go's `MarshalIndent` does. Text may come in any pieces.
#[derive(Debug, Default)]
pub struct Indenter {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A bracket was opened, and it is not known yet whether anything stands in it.
    opened: bool,
}

impl Indenter {
    /// Appends what the piece looks like.
    pub fn indent(&mut self, json: &[u8], out: &mut Vec<u8>) {
        for byte in json {
            if self.in_string {
                out.push(*byte);
                let ends = *byte == b'"' && !self.escaped;
                self.escaped = *byte == b'\\' && !self.escaped;
                self.in_string = !ends;
                continue;
            }
            match byte {
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if !std::mem::take(&mut self.opened) {
                        self.line(out);
                    }
                    out.push(*byte);
                }
                _ => {
                    if std::mem::take(&mut self.opened) {
                        self.line(out);
                    }
                    self.token(*byte, out);
                }
            }
        }
    }

    fn token(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return,
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.opened = true;
            }
            _ => {}
        }
        out.push(byte);
        match byte {
            b',' => self.line(out),
            b':' => out.push(b' '),
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', self.depth * 2));
    }
}

/// A whole text.
pub fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    Indenter::default().indent(json, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_go_does() {
        let json = br#"{"a":{},"b":[],"c":[1,{"d":"x\",{["}],"e":"\\"}"#;
        let expected = "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"x\\\",{[\"\n    }\n  ],\n  \"e\": \"\\\\\"\n}";
        assert_eq!(String::from_utf8(indented(json)).as_deref(), Ok(expected));
        let mut pieces = (Indenter::default(), Vec::new());
        json.iter().for_each(|byte| pieces.0.indent(&[*byte], &mut pieces.1));
        assert_eq!(pieces.1, expected.as_bytes());
    }
}

//! JSON text written piece by piece, so that a document is never in memory as a tree.

use crate::model::value::Value;

/// An object that grows. What is opened must be closed by its owner.
pub struct Text {
    out: Vec<u8>,
}

impl Text {
    /// `capacity` in bytes: about what will be written.
    pub fn new(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'{');
        Self { out }
    }

    /// A member of the object that was opened last.
    pub fn member(&mut self, name: &str, value: &Value) {
        self.key(name);
        serde_json::to_writer(&mut self.out, value).expect("a Vec takes all");
    }

    /// A member that is an object itself, for members to come.
    pub fn open(&mut self, name: &str) {
        self.key(name);
        self.out.push(b'{');
    }

    pub fn close(&mut self) {
        self.out.push(b'}');
    }

    pub fn end(mut self) -> Vec<u8> {
        self.close();
        self.out.shrink_to_fit();
        self.out
    }

    fn key(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        serde_json::to_writer(&mut self.out, name).expect("a Vec takes all");
        self.out.push(b':');
    }
}

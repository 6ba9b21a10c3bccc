//! The text of an expression, and what is wrong with it at which place, printed as cel-go prints it.

use std::fmt::Write;

/// More than these are counted, not printed.
const MOST_PRINTED: usize = 100;

/// The text, by code points.
#[derive(Clone, Debug, Default)]
pub struct Source {
    text: Vec<char>,
    /// Where each line starts.
    lines: Vec<u32>,
}

/// Something wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// In code points from the start; `None` when it is about the whole.
    pub position: Option<u32>,
    pub message: String,
}

impl Source {
    pub fn new(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        let starts = text.iter().enumerate().filter(|(_, c)| **c == '\n').map(|(at, _)| at as u32 + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { text, lines }
    }

    pub fn chars(&self) -> &[char] {
        &self.text
    }

    /// The text between two positions.
    pub fn slice(&self, from: u32, to: u32) -> String {
        self.text[from as usize..to as usize].iter().collect()
    }

    /// The position of a line (from 1) and a column (from 0).
    pub fn position(&self, line: usize, column: usize) -> Option<u32> {
        let start = self.lines.get(line.checked_sub(1)?)?;
        Some(start + column as u32)
    }

    /// All issues as one text, in the order of their places.
    pub fn print(&self, mut issues: Vec<Issue>) -> String {
        issues.sort_by_key(|issue| self.place(issue.position));
        let more = issues.len().saturating_sub(MOST_PRINTED);
        let mut texts: Vec<_> = issues.iter().take(MOST_PRINTED).map(|issue| self.print_one(issue)).collect();
        if more > 0 {
            texts.push(format!("{more} more errors were truncated"));
        }
        texts.join("\n")
    }

    fn print_one(&self, issue: &Issue) -> String {
        let (line, column) = self.place(issue.position);
        if self.text.is_empty() && line == 1 {
            // A text without letters has no column and no line to show.
            return format!("ERROR: <input>:1:0: {}", issue.message);
        }
        let mut text = format!("ERROR: <input>:{line}:{}: {}", column + 1, issue.message);
        if let Some(snippet) = self.line(line) {
            let shown: String = snippet.iter().map(|c| if *c == '\t' { ' ' } else { *c }).collect();
            write!(text, "\n | {shown}\n | ").unwrap_or_default();
            let column = usize::try_from(column).unwrap_or(0);
            for letter in snippet.iter().take(column) {
                text.push(if letter.len_utf8() > 1 { '．' } else { '.' });
            }
            let wide = snippet.get(column).is_some_and(|letter| letter.len_utf8() > 1);
            text.push(if wide { '＾' } else { '^' });
        }
        text
    }

    /// Line from 1, column from 0; both -1 when there is no place.
    fn place(&self, position: Option<u32>) -> (i64, i64) {
        let Some(position) = position else { return (-1, -1) };
        let line = self.lines.partition_point(|start| *start <= position).max(1);
        (line as i64, i64::from(position - self.lines[line - 1]))
    }

    fn line(&self, line: i64) -> Option<&[char]> {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *self.lines.get(line)? as usize;
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| *next as usize - 1);
        Some(&self.text[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_print_with_their_line() {
        let source = Source::new("a +\n\tüb");
        let issue = |position, message: &str| Issue { position, message: message.into() };
        let text = source.print(vec![issue(Some(6), "second"), issue(Some(0), "first"), issue(None, "whole")]);
        assert_eq!(
            text,
            "ERROR: <input>:-1:0: whole\nERROR: <input>:1:1: first\n | a +\n | ^\n\
             ERROR: <input>:2:3: second\n |  üb\n | .．^"
        );
    }
}

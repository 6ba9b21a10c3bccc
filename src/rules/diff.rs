//! What changed in an object that may not change, as stock prints it: a unified diff of Go's internal types in JSON.
//!
//! The lines that are told to have changed are those that Python's `difflib` finds, whose way of matching Go's library
//! follows: the longest common run first, then what is left of it and right of it.

use std::collections::HashMap;

use super::show;
use crate::model::value::Value;
use crate::schema::table::Message;

/// Unchanged lines that are shown around changed ones.
const CONTEXT: usize = 3;
/// From so many lines on, those that occur more often than once in a hundred lines are matched only beside others.
const LARGE: usize = 200;
/// Comparisons after which the rest counts as changed: no update may cost more.
const MOST_STEPS: usize = 20_000_000;

/// The diff of two objects of this type.
pub fn changes(before: &Value, after: &Value, message: &Message) -> String {
    let (before, after) = (indented(&show::message(before, message)), indented(&show::message(after, message)));
    unified(&lines(&before), &lines(&after))
}

/// Compact JSON with one value a line, each level indented by a space.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_text {
            out.push(letter);
            in_text = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        let closes = |next: Option<&char>| matches!(next, Some('}' | ']'));
        match letter {
            '{' | '[' if closes(letters.peek()) => {
                out.push(letter);
                out.extend(letters.next());
            }
            '{' | '[' => {
                depth += 1;
                out.push(letter);
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = letter == '"';
                out.push(letter);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth));
}

fn lines(text: &str) -> Vec<&str> {
    text.split('\n').collect()
}

/// A run of equal lines: (from in the old ones, from in the new ones, how many).
type Run = (usize, usize, usize);

/// What became of lines: those of the old text, and those of the new.
#[derive(Clone, Copy)]
struct Step {
    old: (usize, usize),
    new: (usize, usize),
    equal: bool,
}

fn unified(old: &[&str], new: &[&str]) -> String {
    let mut out = String::new();
    for group in groups(&steps(&runs(old, new))) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (of_old, of_new) = (range(first.old.0, last.old.1), range(first.new.0, last.new.1));
        out.push_str(&format!("@@ -{of_old} +{of_new} @@\n"));
        for step in &group {
            let mut put =
                |sign: char, lines: &[&str]| lines.iter().for_each(|line| out.extend([&*sign.to_string(), line, "\n"]));
            if step.equal {
                put(' ', &old[step.old.0..step.old.1]);
            } else {
                put('-', &old[step.old.0..step.old.1]);
                put('+', &new[step.new.0..step.new.1]);
            }
        }
    }
    out
}

/// The runs of equal lines in order, the last one empty and at the end.
fn runs(old: &[&str], new: &[&str]) -> Vec<Run> {
    let matcher = Matcher::new(old, new);
    let (mut found, mut budget) = (Vec::new(), MOST_STEPS);
    let mut open = vec![(0, old.len(), 0, new.len())];
    while let Some((old_from, old_to, new_from, new_to)) = open.pop() {
        let run = matcher.longest((old_from, old_to), (new_from, new_to), &mut budget);
        let (at_old, at_new, count) = run;
        if count == 0 {
            continue;
        }
        found.push(run);
        if old_from < at_old && new_from < at_new {
            open.push((old_from, at_old, new_from, at_new));
        }
        if at_old + count < old_to && at_new + count < new_to {
            open.push((at_old + count, old_to, at_new + count, new_to));
        }
    }
    found.sort_unstable();
    let mut joined: Vec<Run> = Vec::new();
    for run in found {
        match joined.last_mut() {
            Some(last) if last.0 + last.2 == run.0 && last.1 + last.2 == run.1 => last.2 += run.2,
            _ => joined.push(run),
        }
    }
    joined.push((old.len(), new.len(), 0));
    joined
}

struct Matcher<'a> {
    old: &'a [&'a str],
    new: &'a [&'a str],
    /// Where a line stands in the new text; not of lines that stand at too many places.
    places: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Matcher<'a> {
    fn new(old: &'a [&'a str], new: &'a [&'a str]) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, line) in new.iter().enumerate() {
            places.entry(line).or_default().push(at);
        }
        if new.len() >= LARGE {
            places.retain(|_, at| at.len() <= new.len() / 100 + 1);
        }
        Self { old, new, places }
    }

    /// The longest run between these bounds, of equally long ones the first.
    fn longest(&self, of_old: (usize, usize), of_new: (usize, usize), budget: &mut usize) -> Run {
        let (mut old, mut new, mut count) = (of_old.0, of_new.0, 0);
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for at in of_old.0..of_old.1 {
            let mut next = HashMap::new();
            let places = self.places.get(self.old[at]).map_or(&[][..], Vec::as_slice);
            let from = places.partition_point(|place| *place < of_new.0);
            for place in places[from..].iter().take_while(|place| **place < of_new.1) {
                if *budget == 0 {
                    return (old, new, 0);
                }
                *budget -= 1;
                let length = 1 + place.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or(0);
                next.insert(*place, length);
                if length > count {
                    (old, new, count) = (at + 1 - length, place + 1 - length, length);
                }
            }
            lengths = next;
        }
        while old > of_old.0 && new > of_new.0 && self.old[old - 1] == self.new[new - 1] {
            (old, new, count) = (old - 1, new - 1, count + 1);
        }
        while old + count < of_old.1 && new + count < of_new.1 && self.old[old + count] == self.new[new + count] {
            count += 1;
        }
        (old, new, count)
    }
}

fn steps(runs: &[Run]) -> Vec<Step> {
    let (mut old, mut new) = (0, 0);
    let mut steps = Vec::new();
    for (at_old, at_new, count) in runs.iter().copied() {
        if old < at_old || new < at_new {
            steps.push(Step { old: (old, at_old), new: (new, at_new), equal: false });
        }
        (old, new) = (at_old + count, at_new + count);
        if count > 0 {
            steps.push(Step { old: (at_old, old), new: (at_new, new), equal: true });
        }
    }
    steps
}

/// Changes that are near each other, with some lines around them.
fn groups(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut groups = Vec::new();
    let mut group: Vec<Step> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let (first, last) = (at == 0, at + 1 == steps.len());
        let count = step.old.1 - step.old.0;
        if !step.equal || count <= CONTEXT || (count <= 2 * CONTEXT && !first && !last) {
            group.push(*step);
            continue;
        }
        if !first {
            group.push(Step {
                old: (step.old.0, step.old.0 + CONTEXT),
                new: (step.new.0, step.new.0 + CONTEXT),
                ..*step
            });
            groups.push(std::mem::take(&mut group));
        }
        if !last {
            group.push(Step {
                old: (step.old.1 - CONTEXT, step.old.1),
                new: (step.new.1 - CONTEXT, step.new.1),
                ..*step
            });
        }
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|step| !step.equal));
    groups
}

/// `from,count`, from one on; of no lines, the line before them.
fn range(from: usize, to: usize) -> String {
    match to - from {
        0 => format!("{from},0"),
        1 => (from + 1).to_string(),
        count => format!("{},{count}", from + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_go_does() {
        let text = indented(r#"{"a":[],"b":{},"c":[1,{"d":"x:\"{,"}],"e":null}"#);
        assert_eq!(
            text,
            "{\n \"a\": [],\n \"b\": {},\n \"c\": [\n  1,\n  {\n   \"d\": \"x:\\\"{,\"\n  }\n ],\n \"e\": null\n}"
        );
    }

    #[test]
    fn changes_are_shown_with_three_lines_around_them() {
        let old: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let mut new = old.clone();
        new[2] = "two".to_owned();
        new.remove(20);
        new.insert(25, "more".to_owned());
        let (old, new): (Vec<_>, Vec<_>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        let shown = unified(&old, &new).replace('\n', "|");
        assert_eq!(
            shown,
            "@@ -1,6 +1,6 @@| 0| 1|-2|+two| 3| 4| 5|@@ -18,12 +18,12 @@| 17| 18| 19|-20| 21| 22| 23| 24| 25|+more| 26| 27| 28|"
        );
        assert_eq!(unified(&old, &old), "");
    }

    #[test]
    fn runs_of_brackets_do_not_mislead() {
        let old = ["{", "a", "}", "{", "b", "}"];
        let new = ["{", "a", "}", "{", "c", "}", "{", "b", "}"];
        assert_eq!(unified(&old, &new), "@@ -2,5 +2,8 @@\n a\n }\n {\n+c\n+}\n+{\n b\n }\n");
    }
}

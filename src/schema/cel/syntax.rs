//! What is wrong with a text that is no CEL expression, in the words of the parser that the original's grammar
//! generates: the `cel` crate has the same grammar and the same generator.

use cel::parser::Parser;

use super::source::{Issue, Source};
use super::stack::{nesting, with_room};

/// The generated parser recurses ten times deeper than the text nests.
const MOST_BRACKETS: usize = 64;
/// Its time grows faster than the text.
const MOST_LETTERS: usize = 8 * 1024;

const OPERATORS: [&str; 17] = [
    "'=='", "'!='", "'in'", "'<'", "'<='", "'>='", "'>'", "'&&'", "'||'", "'['", "'.'", "'-'", "'?'", "'+'", "'*'",
    "'/'", "'%'",
];

/// At least one issue.
pub fn issues(text: &str, source: &Source) -> Vec<Issue> {
    if text.len() > MOST_LETTERS || nesting(text) > MOST_BRACKETS {
        return vec![Issue { position: None, message: "Syntax error: unreadable expression".to_owned() }];
    }
    let errors = with_room(nesting(text) * 4, || match Parser::new().enable_optional_syntax(true).parse(text) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            // The visitor of the crate also tells of nodes that recovery left incomplete; the original is silent.
            let told = errors.errors.into_iter().filter(|error| !error.msg.starts_with("Incomplete `"));
            told.map(|error| (error.pos, error.msg)).collect()
        }
    });
    let mut found: Vec<Issue> = errors.into_iter().map(|(place, text)| issue(place, &text, source)).collect();
    if found.is_empty() {
        found.push(Issue { position: Some(0), message: "Syntax error: unreadable expression".to_owned() });
    }
    found
}

/// Its columns are counted from 1.
fn issue((line, column): (isize, isize), message: &str, source: &Source) -> Issue {
    let unsigned = |number: isize| usize::try_from(number).unwrap_or(0);
    let position = source.position(unsigned(line), unsigned(column - 1));
    Issue { position, message: without_operators(message) }
}

/// Where only one sign can end what was begun, the original names that alone, not the operators that could go on.
fn without_operators(message: &str) -> String {
    let split = message.split_once(" expecting {").and_then(|(head, set)| Some((head, set.strip_suffix('}')?)));
    let Some((head, set)) = split else { return message.to_owned() };
    if !head.starts_with("Syntax error: mismatched input") || !set.contains("'=='") {
        return message.to_owned();
    }
    let rest: Vec<_> = set.split(", ").filter(|sign| !OPERATORS.contains(sign)).collect();
    match rest.as_slice() {
        [] => message.to_owned(),
        [one] => format!("{head} expecting {one}"),
        many => format!("{head} expecting {{{}}}", many.join(", ")),
    }
}

//! Tests that the documents name are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::tidy::sources;

/// The words in backticks that have at least this many parts, as names of tests have.
fn named(text: &str, parts: usize) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.split('_').count() >= parts && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    quoted.filter(is_name).collect()
}

/// The last cells of the rows of all tables: which tests show the class.
fn shown(document: &str) -> Vec<&str> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| class"));
    rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or("")).collect()
}

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a document")
}

/// The names of all tests. What stands in `tests/store` is run once for each store, and says so elsewhere.
fn tests() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in sources("src").into_iter().chain(sources("tests")) {
        let text = fs::read_to_string(&path).expect("readable");
        let of_suite = path.ends_with("tests/store/suite.rs");
        let mut is_test = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, rest)) = line.split_once("fn ")
                && (std::mem::take(&mut is_test) || of_suite)
            {
                all.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
        }
    }
    all
}

#[test]
fn documents_name_tests_that_exist() {
    let (tests, security, invariants) = (tests(), document("docs/security.md"), document("docs/invariants.md"));
    let in_tables: BTreeSet<_> = shown(&security).into_iter().flat_map(|cell| named(cell, 2)).collect();
    for (page, named, least) in [("docs/security.md", in_tables, 60), ("docs/invariants.md", named(&invariants, 4), 70)]
    {
        assert!(named.len() >= least, "{page} names {} tests", named.len());
        let lost: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
        assert!(lost.is_empty(), "{page} names tests that do not exist: {lost:?}");
    }
}

#[test]
fn every_class_has_a_test() {
    let security = document("docs/security.md");
    let untested: Vec<_> = shown(&security).into_iter().filter(|cell| named(cell, 2).is_empty()).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

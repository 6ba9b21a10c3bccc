//! Holds the house to its own rules: layers, sizes, front pages.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules in layer order: each may import from those before it. Siblings stand in one row and never import each other.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["model"],
    &["schema"],
    &["codec"],
    &["rules"],
    &["fields"],
    &["store"],
    &["cache"],
    &["pki"],
    &["auth"],
    &["audit"],
    &["fairness"],
    &["admission"],
    &["registry"],
    &["relay"],
    &["apiserver", "controllers", "scheduler"],
    &["remote"],
    &["nodes", "load"],
    &["config"],
    &["assemble"],
    &["cli"],
];
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

pub fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string()
}

/// The lines before a file's own tests.
fn without_tests(text: &str) -> Vec<&str> {
    text.lines().take_while(|line| line.trim_end() != "#[cfg(test)]").collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

#[test]
fn imports_go_down_the_layers() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let file = name(&path);
        let Some(module) = file.strip_prefix("src/").and_then(|f| f.split(['/', '.']).next()) else { continue };
        let Some(own) = layer_of(module) else {
            if !["main", "lib"].contains(&module) {
                wrong.push(format!("{file}: module {module} has no layer"));
            }
            continue;
        };
        let text = fs::read_to_string(&path).expect("a source file");
        for (number, line) in without_tests(&text).iter().enumerate() {
            for imported in crate_paths(line) {
                let upward =
                    layer_of(&imported).is_none_or(|other| other > own || (other == own && imported != module));
                if upward {
                    wrong.push(format!("{file}:{}: {module} must not use {imported}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Macros of `model::value`, which the language puts at the crate's root.
const MACROS: &[&str] = &["json", "json_items", "json_fields"];

fn crate_paths(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or("");
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let found = code.match_indices("crate::").map(|(at, found)| word(&code[at + found.len()..]));
    found.filter(|word| !word.is_empty() && !MACROS.contains(&word.as_str())).collect()
}

#[test]
fn files_begin_with_what_they_are_for() {
    let missing: Vec<_> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| sources(folder))
        .filter(|path| !fs::read_to_string(path).expect("a source file").starts_with("//!"))
        .map(|path| name(&path))
        .collect();
    assert!(missing.is_empty(), "no //! in the first line: {}", missing.join(", "));
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        let text = fs::read_to_string(&path).expect("a source file");
        let lines = without_tests(&text);
        if lines.len() > FILE_LINES {
            long.push(format!("{}: {} lines", name(&path), lines.len()));
        }
        for (start, length) in functions(&text) {
            if length > FUNCTION_LINES {
                long.push(format!("{}:{start}: a function of {length} lines", name(&path)));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// (first line, lines) of each function: from `fn` to the closing brace at the same indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let head = code.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("const ");
        let head = head.trim_start_matches("async ").trim_start_matches("unsafe ");
        if !head.starts_with("fn ") || code.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[start..].iter().position(|l| *l == closing) {
            found.push((start + 1, length + 1));
        }
    }
    found
}

#[test]
fn folders_have_a_front_page() {
    let bare: Vec<_> = sources("src")
        .iter()
        .filter_map(|path| path.parent())
        .filter(|folder| !folder.ends_with("src") && !folder.join("mod.rs").exists())
        .map(name)
        .collect();
    assert!(bare.is_empty(), "no mod.rs: {}", bare.join(", "));
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("dbg", "!(")];
    let mut found = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")) {
        let text = fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}", name(&path), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

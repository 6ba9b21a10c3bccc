//! A stock server's documents, for tests to compare with where a copy of them is at hand.

use std::io::Read as _;
use std::path::PathBuf;

use crate::model::value::Value;

/// A document of the folder that SHARED names, or that stands beside the project; `None` where there is none.
pub fn stock(file: &str) -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("SHARED").map_or_else(beside, PathBuf::from);
    let packed = std::fs::read(folder.join("facts").join(file)).ok()?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).expect("gzip");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

/// Fails with the first places where two values differ.
pub fn assert_same(got: &Value, wanted: &Value, what: &str) {
    let mut found = Vec::new();
    differences(got, wanted, "", &mut found);
    assert!(found.is_empty(), "{what}: {} differences\n{}", found.len(), found.join("\n"));
}

fn differences(got: &Value, wanted: &Value, at: &str, found: &mut Vec<String>) {
    const FEW: usize = 30;
    if found.len() >= FEW || got == wanted {
        return;
    }
    match (got, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (null, at) = (Value::Null, format!("{at}/{key}"));
                differences(a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), &at, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{at}/{n}"), found);
            }
        }
        _ => {
            let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
            found.push(format!("{at}\n    got    {}\n    wanted {}", short(got), short(wanted)));
        }
    }
}

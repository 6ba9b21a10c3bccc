//! A kubeconfig as it stands in its file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::codec::yaml::read::read;
use crate::model::value::Value;

/// Bytes of a kubeconfig, or of a file that it names.
const LONGEST: u64 = 4 << 20;

/// The current context of a kubeconfig. It holds secrets.
pub struct Kubeconfig {
    path: PathBuf,
    pub cluster: Value,
    pub user: Value,
}

impl Kubeconfig {
    /// Errors say which file is meant.
    pub fn read(path: &Path) -> Result<Self, String> {
        let value = read(&bytes(path)?).map_err(|why| format!("{}: {why}", path.display()))?.value;
        let named = |list: &str, part: &str, name: &str| {
            let mut items = value[list].as_array().into_iter().flatten();
            let found = items.find(|item| item["name"] == name).map(|item| item[part].clone());
            found.ok_or_else(|| format!("{}: no {part} {name:?}", path.display()))
        };
        let context = named("contexts", "context", value["current-context"].as_str().unwrap_or("")).unwrap_or_default();
        let cluster = named("clusters", "cluster", context["cluster"].as_str().unwrap_or(""))?;
        let user = match context["user"].as_str().unwrap_or("") {
            "" => Value::Null,
            name => named("users", "user", name)?,
        };
        Ok(Self { path: path.to_owned(), cluster, user })
    }

    /// `NAME-data` of a part, or what is in the file that its `NAME` names.
    pub fn content(&self, of: &Value, name: &str) -> Result<Option<Vec<u8>>, String> {
        if let Some(data) = of[format!("{name}-data")].as_str() {
            let decoded = STANDARD.decode(data);
            return decoded.map(Some).map_err(|why| format!("{}: {name}-data: {why}", self.path.display()));
        }
        of[name].as_str().map(|file| bytes(&self.beside(file))).transpose()
    }

    /// A file named in this one: beside it, unless the name is absolute.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new(".")).join(name)
    }
}

/// A file's content. Fails when it is longer than any such file is.
pub fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut content));
    match read {
        Ok(length) if length as u64 > LONGEST => Err(format!("{}: longer than {LONGEST} bytes", path.display())),
        Ok(_) => Ok(content),
        Err(why) => Err(format!("{}: {why}", path.display())),
    }
}

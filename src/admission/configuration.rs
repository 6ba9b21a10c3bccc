//! The file of `--admission-control-config-file`: what each plugin is told beside its flags.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::codec::yaml::read::read;
use crate::model::gotext::quote;
use crate::model::value::{Map, Value};

const VERSIONS: [&str; 2] = ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];
/// Plugins that once had the whole file for themselves, and the field by which that is known.
const ALONE: [(&str, &str); 2] =
    [("ImagePolicyWebhook", "imagePolicy"), ("PodNodeSelector", "podNodeSelectorPluginConfig")];
/// Bytes of one file.
const FILE: u64 = 4 << 20;

/// What is configured, by plugin. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Configurations(Arc<BTreeMap<String, Value>>);

impl Configurations {
    /// The error is stock's text.
    pub fn load(path: &Path) -> Result<Self, String> {
        let shown = path.to_string_lossy();
        let bytes = bytes(path).map_err(|error| {
            format!("unable to read admission control configuration from {} [{error}]", quote(&shown))
        })?;
        let file = read(&bytes)?.value;
        if let Err(why) = check_kind(&file, &VERSIONS, "AdmissionConfiguration") {
            // The old form: the file is the plugin's own.
            let alone = ALONE.iter().filter(|_| ALONE.iter().any(|(_, field)| file.get(*field).is_some()));
            let all: BTreeMap<_, _> = alone.map(|(plugin, _)| ((*plugin).to_owned(), file.clone())).collect();
            return if all.is_empty() { Err(why) } else { Ok(Self(Arc::new(all))) };
        }
        check_fields(&file, "", &["apiVersion", "kind", "plugins"])?;
        let mut all = BTreeMap::new();
        for (at, plugin) in file["plugins"].as_array().into_iter().flatten().enumerate() {
            check_fields(plugin, &format!("plugins[{at}]."), &["name", "path", "configuration"])?;
            let text = |field: &str| plugin[field].as_str().unwrap_or("");
            let configuration = match (&plugin["configuration"], text("path")) {
                (Value::Null, "") => continue,
                (Value::Null, named) => {
                    let beside = path.parent().unwrap_or(Path::new("")).join(named);
                    let bytes = self::bytes(&beside).map_err(|error| format!("open {}: {error}", beside.display()))?;
                    read(&bytes)?.value
                }
                (inline, _) => inline.clone(),
            };
            // The first one of a name counts.
            all.entry(text("name").to_owned()).or_insert(configuration);
        }
        Ok(Self(Arc::new(all)))
    }

    /// For one plugin alone.
    pub fn of_plugin(plugin: &str, configuration: Value) -> Self {
        Self(Arc::new([(plugin.to_owned(), configuration)].into()))
    }

    pub fn get(&self, plugin: &str) -> Option<&Value> {
        self.0.get(plugin)
    }
}

/// That a configuration is of this kind, in one of these versions.
pub fn check_kind(configuration: &Value, versions: &[&str], kind: &str) -> Result<(), String> {
    let text = |field: &str| configuration[field].as_str().unwrap_or("");
    let missing = |what: &str| format!("Object '{what}' is missing in '{configuration}'");
    match (text("apiVersion"), text("kind")) {
        (_, "") => Err(missing("Kind")),
        ("", _) => Err(missing("apiVersion")),
        (version, given) if given == kind && versions.contains(&version) => Ok(()),
        (version, given) => Err(format!("no kind {} is registered for version {}", quote(given), quote(version))),
    }
}

/// That an object has no other fields than these.
pub fn check_fields(object: &Value, path: &str, fields: &[&str]) -> Result<(), String> {
    let Some(map) = object.as_object() else {
        return Err(format!("{}: expected an object", path.trim_end_matches('.')));
    };
    let unknown = |map: &Map| map.keys().find(|key| !fields.contains(&key.as_str())).cloned();
    match unknown(map) {
        Some(key) => Err(format!("strict decoding error: unknown field \"{path}{key}\"")),
        None => Ok(()),
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(FILE).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n";

    fn load(text: &str, others: &[(&str, &str)]) -> Result<Configurations, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("config.yaml", text)].iter().chain(others) {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        Configurations::load(&folder.path().join("config.yaml"))
    }

    #[test]
    fn a_configuration_stands_inline_or_beside() {
        let text = format!(
            "{HEAD}plugins:\n- {{name: A, configuration: {{x: 1}}}}\n- {{name: B, path: b.json}}\n- {{name: C}}\n- {{name: \
             A, configuration: {{x: 2}}}}\n"
        );
        let all = load(&text, &[("b.json", "{\"y\": [2]}")]).expect("read");
        assert_eq!(all.get("A"), Some(&json!({"x": 1})));
        assert_eq!(all.get("B"), Some(&json!({"y": [2]})));
        assert_eq!(all.get("C"), None);
    }

    #[test]
    fn the_old_form_is_one_plugins_own() {
        let all = load("podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: a=b}", &[]).expect("read");
        let expected = json!({"podNodeSelectorPluginConfig": {"clusterDefaultNodeSelector": "a=b"}});
        assert_eq!((all.get("PodNodeSelector"), all.get("EventRateLimit")), (Some(&expected), None));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let refused = |text: &str| load(text, &[]).err().unwrap_or_else(|| "read".into());
        assert_eq!(refused("{}"), "Object 'Kind' is missing in '{}'");
        assert_eq!(
            refused("kind: AdmissionConfiguration\napiVersion: other/v1"),
            "no kind \"AdmissionConfiguration\" is registered for version \"other/v1\""
        );
        assert_eq!(refused(&format!("{HEAD}plugin: []")), "strict decoding error: unknown field \"plugin\"");
        assert_eq!(
            refused(&format!("{HEAD}plugins: [{{name: A, config: {{}}}}]")),
            "strict decoding error: unknown field \"plugins[0].config\""
        );
        assert!(refused(&format!("{HEAD}plugins: [{{name: A, path: none}}]")).starts_with("open "));
        let missing = Configurations::load(Path::new("/none.yaml")).expect_err("no file");
        assert!(
            missing.starts_with("unable to read admission control configuration from \"/none.yaml\" ["),
            "{missing}"
        );
    }
}

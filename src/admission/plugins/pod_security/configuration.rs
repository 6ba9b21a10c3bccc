//! What holds where a namespace says nothing, and who is exempt from all of it.

use super::policy::{LEVELS, Level, OPEN, Standard, VERSIONS, Version};
use crate::admission::configuration::{check_fields, check_kind};
use crate::model::field::{FieldError, FieldErrors, Path, aggregate};
use crate::model::syntax;
use crate::model::value::Value;

const API_VERSIONS: [&str; 3] = [
    "pod-security.admission.config.k8s.io/v1",
    "pod-security.admission.config.k8s.io/v1beta1",
    "pod-security.admission.config.k8s.io/v1alpha1",
];

/// `PodSecurityConfiguration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub enforce: Standard,
    pub audit: Standard,
    pub warn: Standard,
    users: Vec<String>,
    namespaces: Vec<String>,
    runtime_classes: Vec<String>,
}

impl Default for Configuration {
    fn default() -> Self {
        let (users, namespaces, runtime_classes) = Default::default();
        Self { enforce: OPEN, audit: OPEN, warn: OPEN, users, namespaces, runtime_classes }
    }
}

impl Configuration {
    pub fn read(configuration: Option<&Value>) -> Result<Self, String> {
        let Some(configuration) = configuration else { return Ok(Self::default()) };
        check_kind(configuration, &API_VERSIONS, "PodSecurityConfiguration")?;
        check_fields(configuration, "", &["apiVersion", "kind", "defaults", "exemptions"])?;
        let mut errors = Vec::new();
        let (defaults, path) = (&configuration["defaults"], Path::Root.name("defaults"));
        let mut standard = |mode: &str| {
            let version = format!("{mode}-version");
            let (level, version) = ((mode, &defaults[mode]), (version.as_str(), &defaults[version.as_str()]));
            Standard {
                level: choice(level, &path, Level::parse, LEVELS, &mut errors).unwrap_or(OPEN.level),
                version: choice(version, &path, Version::parse, VERSIONS, &mut errors).unwrap_or(OPEN.version),
            }
        };
        let (enforce, warn, audit) = (standard("enforce"), standard("warn"), standard("audit"));
        let (exemptions, path) = (&configuration["exemptions"], Path::Root.name("exemptions"));
        let name = |text: &str| syntax::dns1123_label(text).join(", ");
        let class = |text: &str| syntax::dns1123_subdomain(text).join(", ");
        let user = |text: &str| if text.is_empty() { "username must not be empty".to_owned() } else { String::new() };
        let namespaces = names(exemptions, &path, "namespaces", name, &mut errors);
        let runtime_classes = names(exemptions, &path, "runtimeClasses", class, &mut errors);
        let users = names(exemptions, &path, "usernames", user, &mut errors);
        if errors.is_empty() {
            return Ok(Self { enforce, audit, warn, users, namespaces, runtime_classes });
        }
        let errors = aggregate(errors.iter().map(|error| error.to_string().into()));
        Err(format!("PodSecurity invalid: {errors}"))
    }

    /// What makes a request exempt, whatever it is about; the words of stock's records.
    pub fn exempts(&self, namespace: &str, user: &str) -> Option<&'static str> {
        let has = |list: &[String], wanted: &str| list.iter().any(|item| item == wanted);
        if has(&self.namespaces, namespace) {
            return Some("namespace");
        }
        has(&self.users, user).then_some("user")
    }

    pub fn exempts_namespace(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|exempt| exempt == namespace)
    }

    pub fn exempts_class(&self, class: Option<&str>) -> bool {
        class.is_some_and(|class| self.runtime_classes.iter().any(|exempt| exempt == class))
    }
}

/// `None` where nothing is said, or nothing that can be read.
fn choice<T>(
    (field, value): (&str, &Value),
    path: &Path<'_>,
    parse: fn(&str) -> Option<T>,
    rule: &'static str,
    errors: &mut FieldErrors,
) -> Option<T> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    let parsed = parse(text);
    if parsed.is_none() {
        errors.push(FieldError::invalid(&path.name(field), text, rule));
    }
    parsed
}

fn names(
    exemptions: &Value,
    path: &Path<'_>,
    field: &str,
    wrong: impl Fn(&str) -> String,
    errors: &mut FieldErrors,
) -> Vec<String> {
    let (path, mut names) = (path.name(field), Vec::<String>::new());
    for (at, item) in exemptions[field].as_array().into_iter().flatten().enumerate() {
        let (path, text) = (path.index(at), item.as_str().unwrap_or(""));
        let why = wrong(text);
        if !why.is_empty() {
            errors.push(FieldError::invalid(&path, text, why));
        } else if names.iter().any(|name| name == text) {
            errors.push(FieldError::duplicate(&path, text));
        } else {
            names.push(text.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn read(defaults: Value, exemptions: Value) -> Result<Configuration, String> {
        let head = ("pod-security.admission.config.k8s.io/v1", "PodSecurityConfiguration");
        let file = json!({"apiVersion": head.0, "kind": head.1, "defaults": defaults, "exemptions": exemptions});
        Configuration::read(Some(&file))
    }

    #[test]
    fn defaults_and_exemptions_are_read() {
        let exemptions = json!({"usernames": ["jane"], "namespaces": ["n"], "runtimeClasses": ["r"]});
        let read = read(json!({"enforce": "baseline", "warn-version": "v1.20"}), exemptions).expect("read");
        let shown = [read.enforce, read.warn, read.audit].map(|standard| standard.to_string());
        assert_eq!(shown, ["baseline:latest", "privileged:v1.20", "privileged:latest"]);
        assert_eq!([read.exempts("n", "jane"), read.exempts("m", "jane")], [Some("namespace"), Some("user")]);
        assert_eq!(read.exempts("m", "joe"), None);
        assert!(read.exempts_class(Some("r")) && !read.exempts_class(None));
        assert_eq!(Configuration::read(None), Ok(Configuration::default()));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let refused = |defaults, exemptions| read(defaults, exemptions).err().unwrap_or_else(|| "read".into());
        assert_eq!(
            refused(json!({"enforce": "high"}), json!({"usernames": ["", "a", "a"]})),
            "PodSecurity invalid: [defaults.enforce: Invalid value: \"high\": must be one of privileged, baseline, \
             restricted, exemptions.usernames[0]: Invalid value: \"\": username must not be empty, \
             exemptions.usernames[2]: Duplicate value: \"a\"]"
        );
    }
}

//! What the labels of a namespace say: which level of which version is enforced, warned of, and noted in records.

use std::fmt;

use super::configuration::Configuration;

const PREFIX: &str = "pod-security.kubernetes.io/";
pub const LEVELS: &str = "must be one of privileged, baseline, restricted";
pub const VERSIONS: &str = "must be \"latest\" or \"v1.x\"";

/// From the most to the least that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The minor version of Kubernetes whose checks are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Minor(u64),
    Latest,
}

/// A level as a version of Kubernetes has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standard {
    pub level: Level,
    pub version: Version,
}

/// What holds in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub enforce: Standard,
    pub warn: Standard,
    /// What violates it is noted in the request's record.
    pub audit: Standard,
    /// Label, value and what is wrong with it.
    pub errors: Vec<(&'static str, String, &'static str)>,
}

pub const OPEN: Standard = Standard { level: Level::Privileged, version: Version::Latest };

impl Policy {
    /// From the labels of a namespace; `defaults` hold where they say nothing. A level that cannot be read is enforced as the strictest and not warned of.
    pub fn of_labels<'a>(defaults: &Configuration, label: impl Fn(&str) -> Option<&'a str>) -> Self {
        let mut errors = Vec::new();
        let mut enforce = defaults.enforce;
        let mut is_level_given = false;
        if let Some(level) = read(&label, "pod-security.kubernetes.io/enforce", LEVELS, Level::parse, &mut errors) {
            is_level_given = level.is_some();
            enforce.level = level.unwrap_or(Level::Restricted);
        }
        let version = |name, errors: &mut Vec<_>| {
            read(&label, name, VERSIONS, Version::parse, errors).map(|version| version.unwrap_or(Version::Latest))
        };
        if let Some(version) = version("pod-security.kubernetes.io/enforce-version", &mut errors) {
            enforce.version = version;
        }
        let audit = read(&label, "pod-security.kubernetes.io/audit", LEVELS, Level::parse, &mut errors);
        let audit_version = version("pod-security.kubernetes.io/audit-version", &mut errors);
        let or_open = |level: Option<Level>| level.unwrap_or(Level::Privileged);
        let audit = Standard {
            level: audit.map_or(defaults.audit.level, or_open),
            version: audit_version.unwrap_or(defaults.audit.version),
        };
        let warned = read(&label, "pod-security.kubernetes.io/warn", LEVELS, Level::parse, &mut errors);
        let warned_version = version("pod-security.kubernetes.io/warn-version", &mut errors);
        let mut warn = Standard {
            level: warned.map_or(defaults.warn.level, or_open),
            version: warned_version.unwrap_or(defaults.warn.version),
        };
        // What is enforced on pods is warned of where workloads make them.
        if warned.is_none() && is_level_given && enforce.level > warn.level {
            warn.level = enforce.level;
            warn.version = warned_version.unwrap_or(enforce.version);
        }
        Self { enforce, warn, audit, errors }
    }

    /// Whether nothing is checked at all.
    pub fn is_privileged(&self) -> bool {
        let open = |standard: Standard| standard.level == Level::Privileged;
        self.errors.is_empty() && open(self.enforce) && open(self.warn) && open(self.audit)
    }
}

/// `None`: there is no such label; `Some(None)`: it cannot be read.
fn read<'a, T>(
    label: &impl Fn(&str) -> Option<&'a str>,
    name: &'static str,
    rule: &'static str,
    parse: fn(&str) -> Option<T>,
    errors: &mut Vec<(&'static str, String, &'static str)>,
) -> Option<Option<T>> {
    debug_assert!(name.starts_with(PREFIX));
    let text = label(name)?;
    let parsed = parse(text);
    if parsed.is_none() {
        errors.push((name, text.to_owned(), rule));
    }
    Some(parsed)
}

impl Level {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            "restricted" => Self::Restricted,
            _ => return None,
        })
    }
}

impl Version {
    pub fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let minor = text.strip_prefix("v1.")?;
        let is_number = minor.bytes().all(|b| b.is_ascii_digit()) && (minor.len() == 1 || !minor.starts_with('0'));
        if is_number { minor.parse().ok().map(Self::Minor) } else { None }
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        })?;
        match self.version {
            Version::Minor(minor) => write!(f, ":v1.{minor}"),
            Version::Latest => f.write_str(":latest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Labels = &'static [(&'static str, &'static str)];

    /// `enforce warn` of labels without their prefix.
    fn shown(labels: Labels) -> (String, usize) {
        let label = |wanted: &str| {
            labels.iter().find(|(key, _)| wanted.strip_prefix(PREFIX) == Some(*key)).map(|(_, value)| *value)
        };
        let policy = Policy::of_labels(&Configuration::default(), label);
        (format!("{} {}", policy.enforce, policy.warn), policy.errors.len())
    }

    #[test]
    fn labels_say_what_is_enforced_and_warned_of() {
        let cases: [(Labels, &str, usize); 9] = [
            (&[], "privileged:latest privileged:latest", 0),
            (&[("enforce", "baseline")], "baseline:latest baseline:latest", 0),
            (&[("enforce", "baseline"), ("enforce-version", "v1.22")], "baseline:v1.22 baseline:v1.22", 0),
            (
                &[("enforce", "baseline"), ("enforce-version", "v1.22"), ("warn-version", "v1.30")],
                "baseline:v1.22 baseline:v1.30",
                0,
            ),
            (&[("enforce", "restricted"), ("warn", "baseline")], "restricted:latest baseline:latest", 0),
            (&[("enforce", "restricted"), ("warn", "privileged")], "restricted:latest privileged:latest", 0),
            (&[("enforce", "none")], "restricted:latest privileged:latest", 1),
            (&[("enforce", "baseline"), ("warn", "none")], "baseline:latest privileged:latest", 1),
            (
                &[("audit", "x"), ("audit-version", "v1.01"), ("warn-version", "v2.1")],
                "privileged:latest privileged:latest",
                3,
            ),
        ];
        for (labels, expected, errors) in cases {
            assert_eq!(shown(labels), (expected.to_owned(), errors), "{labels:?}");
        }
    }

    #[test]
    fn versions_are_minors_of_one() {
        assert_eq!(Version::parse("v1.0"), Some(Version::Minor(0)));
        assert_eq!(Version::parse("v1.36"), Some(Version::Minor(36)));
        for bad in ["", "v1.", "v1", "1.2", "v1.+2", "v1.00", "v1.2.3", "Latest", "v1.99999999999999999999"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}

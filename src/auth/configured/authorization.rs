//! AuthorizationConfiguration: who decides, in which order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::file::{read, shape};
use crate::auth::authorizer::{AlwaysAllow, AlwaysDeny, Authorizer, Decision, Link};
use crate::auth::metrics::Metrics;
use crate::auth::rbac::Rbac;
use crate::auth::webhook::access::{AccessWebhook, Settings};
use crate::auth::webhook::conditions::Conditions;
use crate::auth::webhook::review::TIMEOUT;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::model::duration::Duration as GoDuration;
use crate::model::field::{FieldErrors, aggregate};
use crate::model::gotext;
use crate::model::syntax::dns1123_subdomain;
use crate::model::value::{Value, json};
use crate::rules::at::At;

const KIND: &str = "AuthorizationConfiguration";
const SCHEME: &str = "k8s.io/apiserver/pkg/apis/apiserver/load/load.go:32";
/// What an authorizer may be; only webhooks may come more than once.
const TYPES: [&str; 6] = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];
const WEBHOOK: &str = "Webhook";
/// The most that a try may be given.
const LONGEST_TIMEOUT: GoDuration = GoDuration::from_secs(30);

/// Reads a file's content, strictly, validates it and adds the defaults. `required`: types that must be there, because
/// they were when the server started. The error is stock's text.
pub fn load(content: &[u8], required: &[String]) -> Result<Value, String> {
    let mut configuration = match content.is_empty() {
        true => json!({}),
        false => read(content, KIND, SCHEME)
            .map_err(|why| format!("failed to load AuthorizationConfiguration from file: {why}"))?,
    };
    set_defaults(&mut configuration);
    let errs = errors(&configuration);
    if !errs.is_empty() {
        return Err(aggregate(errs.iter().map(|error| error.to_string().into())));
    }
    let mut wrong = Vec::new();
    let (mut types, of) = (BTreeSet::new(), |item: &Value, name: &str| item[name].as_str().unwrap_or("").to_owned());
    for item in configuration["authorizers"].as_array().into_iter().flatten() {
        let (kind, name) = (of(item, "type"), of(item, "name"));
        if kind == WEBHOOK {
            continue;
        }
        let expected = kind.to_lowercase();
        if name != expected {
            wrong.push(format!("expected name {expected} for authorizer {kind} instead of {name}"));
        }
        types.insert(kind);
    }
    let missing: BTreeSet<&str> = required.iter().map(String::as_str).filter(|kind| !types.contains(*kind)).collect();
    if !missing.is_empty() {
        let missing = gotext::list(&missing.into_iter().collect::<Vec<_>>());
        wrong.push(format!("missing required types: {missing}"));
    }
    if wrong.is_empty() { Ok(configuration) } else { Err(aggregate(wrong.into_iter().map(Into::into))) }
}

/// The types that a file must go on naming.
pub fn lasting(configuration: &Value) -> Vec<String> {
    let items = configuration["authorizers"].as_array().into_iter().flatten();
    items.filter_map(|item| item["type"].as_str()).filter(|kind| *kind != WEBHOOK).map(str::to_owned).collect()
}

fn set_defaults(configuration: &mut Value) {
    let items = configuration.get_mut("authorizers").and_then(Value::as_array_mut);
    for webhook in items.into_iter().flatten().filter_map(|item| item.get_mut("webhook")) {
        let Some(map) = webhook.as_object_mut() else { continue };
        for (name, ttl) in [("authorizedTTL", "5m0s"), ("unauthorizedTTL", "30s")] {
            if map.get(name).is_none_or(|given| given.is_null() || *given == "0s") {
                map.insert(name.into(), ttl.into());
            }
        }
        for name in ["cacheAuthorizedRequests", "cacheUnauthorizedRequests"] {
            if map.get(name).is_none_or(Value::is_null) {
                map.insert(name.into(), true.into());
            }
        }
    }
}

fn errors(configuration: &Value) -> FieldErrors {
    let mut errs = FieldErrors::new();
    let root = At::new(configuration, shape(KIND));
    let authorizers = root.at("authorizers");
    if authorizers.is_empty() {
        authorizers.required(&mut errs, "at least one authorization mode must be defined");
    }
    let (mut types, mut names) = (BTreeSet::new(), BTreeSet::new());
    for item in authorizers.items() {
        let (kind, name, webhook) = (item.at("type"), item.at("name"), item.at("webhook"));
        match kind.str() {
            "" => {
                kind.required(&mut errs, "");
                continue;
            }
            text if !TYPES.contains(&text) => {
                kind.not_supported(&mut errs, &TYPES);
                continue;
            }
            text if !types.insert(text) && text != WEBHOOK => {
                kind.duplicate(&mut errs);
                continue;
            }
            _ => {}
        }
        if name.is_empty() {
            name.required(&mut errs, "");
        } else if names.contains(name.str()) {
            name.duplicate(&mut errs);
        } else {
            let wrong = dns1123_subdomain(name.str());
            if !wrong.is_empty() {
                name.invalid(&mut errs, format!("authorizer name is invalid: {}", wrong.join(", ")));
            }
        }
        names.insert(name.str());
        match (kind.str() == WEBHOOK, webhook.exists()) {
            (true, true) => webhook_errors(&item, &webhook, &mut errs),
            (true, false) => webhook.required(&mut errs, "required when type=Webhook"),
            (false, true) => webhook.invalid_as(&mut errs, "non-null", "may only be specified when type=Webhook"),
            (false, false) => {}
        }
    }
    errs
}

/// Stock names the webhook's fields as if they stood beside it.
fn webhook_errors(item: &At, webhook: &At, errs: &mut FieldErrors) {
    let at = |name: &'static str| (webhook.at(name), item.path().name(name));
    let duration = |name: &'static str| GoDuration::parse(webhook.at(name).str()).unwrap_or(GoDuration(0));
    for (name, most) in [("timeout", Some(LONGEST_TIMEOUT)), ("authorizedTTL", None), ("unauthorizedTTL", None)] {
        let (field, path) = at(name);
        let (field, given) = (field.placed(path), duration(name));
        let range = if most.is_some() { "must be > 0s and <= 30s" } else { "must be > 0s" };
        if given.0 == 0 {
            field.required(errs, "");
        } else if given.0 < 0 || most.is_some_and(|most| given.0 > most.0) {
            field.invalid_as(errs, given.to_string().as_str(), range);
        }
    }
    let one_of = |name: &'static str, choices: &[&str], needed: Option<&'static str>, errs: &mut FieldErrors| {
        let (field, path) = at(name);
        let field = field.placed(path);
        match (field.str(), needed) {
            ("", Some(why)) => field.required(errs, why),
            ("", None) => {}
            (text, _) if choices.contains(&text) => {}
            _ => field.not_supported(errs, choices),
        }
    };
    one_of("subjectAccessReviewVersion", &["v1", "v1beta1"], Some(""), errs);
    let conditions = webhook.at("matchConditions");
    let needed = (!conditions.is_empty()).then_some("required if match conditions are specified");
    one_of("matchConditionSubjectAccessReviewVersion", &["v1"], needed, errs);
    one_of("failurePolicy", &["NoOpinion", "Deny"], Some(""), errs);
    connection_errors(item, &webhook.at("connectionInfo"), errs);
    let path = item.path().name("matchConditions");
    Conditions::compile(&conditions.placed(path), errs);
}

fn connection_errors(item: &At, connection: &At, errs: &mut FieldErrors) {
    let place = item.path().name("connectionInfo");
    let connection = connection.placed(place);
    let (kind, file) = (connection.at("type"), connection.at("kubeConfigFile"));
    match kind.str() {
        "" => kind.required(errs, ""),
        "InClusterConfig" if file.exists() => file.invalid(errs, "can only be set when type=KubeConfigFile"),
        "InClusterConfig" => {}
        "KubeConfigFile" if file.is_empty() => file.required(errs, ""),
        "KubeConfigFile" if !Path::new(file.str()).is_absolute() => file.invalid(errs, "must be an absolute path"),
        "KubeConfigFile" => match std::fs::metadata(file.str()) {
            Err(why) => {
                let why = match why.kind() {
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    _ => why.to_string(),
                };
                file.invalid(errs, format!("error loading file: stat {}: {why}", file.str()));
            }
            Ok(found) if !found.is_file() => file.invalid(errs, "must be a regular file"),
            Ok(_) => {}
        },
        _ => kind.not_supported(errs, &["InClusterConfig", "KubeConfigFile"]),
    }
}

/// The values of `--authorization-mode`, in their order; `webhook`: whether its kubeconfig is named.
pub fn check_modes(modes: &[String], webhook: bool) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for mode in modes {
        if !TYPES.contains(&mode.as_str()) {
            return Err(format!("authorization-mode {mode:?} is not a valid mode"));
        }
        if mode == WEBHOOK && !webhook {
            return Err("authorization-mode Webhook's authorization config file not passed".into());
        }
        if !seen.insert(mode) {
            let all: Vec<_> = modes.iter().map(|mode| gotext::quote(mode)).collect();
            return Err(format!("authorization-mode {} has mode specified more than once", gotext::list(&all)));
        }
    }
    if webhook && !modes.iter().any(|mode| mode == WEBHOOK) {
        return Err("cannot specify --authorization-webhook-config-file without mode Webhook".into());
    }
    if modes.is_empty() { Err("at least one authorization-mode must be passed".into()) } else { Ok(()) }
}

/// A webhook as the flags `--authorization-webhook-*` ask for it.
pub struct WebhookFlags {
    pub kubeconfig: PathBuf,
    pub version: String,
    pub authorized_ttl: Duration,
    pub unauthorized_ttl: Duration,
}

/// What authorizers are made of.
pub struct Makers {
    pub metrics: Metrics,
    pub rbac: Arc<Rbac>,
    /// `None`: the type Node is refused.
    pub node: Option<Arc<dyn Authorizer>>,
    pub clock: Clock,
    pub entropy: Entropy,
}

impl Makers {
    /// The chain that a valid configuration asks for.
    pub fn links(&self, configuration: &Value) -> Result<Vec<Link>, String> {
        let items = configuration["authorizers"].as_array().into_iter().flatten();
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or("").to_owned();
        items.map(|item| self.link(&text(item, "type"), &text(item, "name"), || self.webhook(item))).collect()
    }

    /// The chain that a flag's modes ask for.
    pub fn of_modes(&self, modes: &[String], webhook: Option<&WebhookFlags>) -> Result<Vec<Link>, String> {
        let make = || {
            let flags = webhook.ok_or("authorization-mode Webhook's authorization config file not passed")?;
            let settings = Settings {
                name: "default".into(),
                metrics: self.metrics.clone(),
                version: flags.version.clone(),
                timeout: TIMEOUT,
                authorized_ttl: flags.authorized_ttl,
                unauthorized_ttl: flags.unauthorized_ttl,
                on_failure: Decision::NoOpinion,
                conditions: Conditions::default(),
            };
            AccessWebhook::new(&flags.kubeconfig, settings, &self.clock, &self.entropy)
        };
        let name = |mode: &str| if mode == WEBHOOK { "default".to_owned() } else { mode.to_lowercase() };
        modes.iter().map(|mode| self.link(mode, &name(mode), make)).collect()
    }

    fn link(
        &self,
        kind: &str,
        name: &str,
        webhook: impl Fn() -> Result<AccessWebhook, String>,
    ) -> Result<Link, String> {
        let link = match kind {
            "AlwaysAllow" => Link::Here(Arc::new(AlwaysAllow)),
            "AlwaysDeny" => Link::Here(Arc::new(AlwaysDeny)),
            "RBAC" => Link::Here(self.rbac.clone()),
            "Node" => Link::Here(self.node.clone().ok_or("authorization-mode \"Node\" is not available here")?),
            "Webhook" => Link::Elsewhere(Arc::new(webhook()?)),
            "ABAC" => return Err("authorizer type ABAC is not supported here; use Node, RBAC, Webhook".into()),
            other => return Err(format!("unknown authorization mode {other} specified")),
        };
        Ok(link.counted(self.metrics.decisions(kind, name)))
    }

    fn webhook(&self, item: &Value) -> Result<AccessWebhook, String> {
        let webhook = &item["webhook"];
        let text = |name: &str| webhook[name].as_str().unwrap_or("");
        let connection = &webhook["connectionInfo"];
        if connection["type"] == "InClusterConfig" {
            return Err(
                "connectionInfo of type InClusterConfig: this server does not run in a cluster of its own".into()
            );
        }
        let duration = |name: &str| -> Result<Duration, String> {
            GoDuration::parse(text(name))?.to_std().ok_or_else(|| format!("{name} must not be negative"))
        };
        let ttl = |name: &str, cached: &str| {
            if webhook[cached] == false { Ok(Duration::ZERO) } else { duration(name) }
        };
        let mut errs = FieldErrors::new();
        let settings = Settings {
            name: item["name"].as_str().unwrap_or("").to_owned(),
            metrics: self.metrics.clone(),
            version: text("subjectAccessReviewVersion").to_owned(),
            timeout: duration("timeout")?,
            authorized_ttl: ttl("authorizedTTL", "cacheAuthorizedRequests")?,
            unauthorized_ttl: ttl("unauthorizedTTL", "cacheUnauthorizedRequests")?,
            on_failure: if text("failurePolicy") == "Deny" { Decision::Deny } else { Decision::NoOpinion },
            conditions: Conditions::compile(&At::new(&webhook["matchConditions"], None), &mut errs),
        };
        if let Some(error) = errs.first() {
            return Err(error.to_string());
        }
        let kubeconfig = connection["kubeConfigFile"].as_str().unwrap_or("");
        AccessWebhook::new(Path::new(kubeconfig), settings, &self.clock, &self.entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(authorizers: &str) -> String {
        format!("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n{authorizers}")
    }

    fn judged(authorizers: &str) -> String {
        load(file(authorizers).as_bytes(), &[]).map_or_else(|why| why, |_| "right".into())
    }

    const WEBHOOK: &str = "- type: Webhook\n  name: hook\n  webhook: {timeout: 3s, failurePolicy: Deny, \
                           subjectAccessReviewVersion: v1, connectionInfo: {type: InClusterConfig}";

    #[test]
    fn the_order_is_read_and_defaults_are_added() {
        let nodes = "- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n";
        let configuration = load(file(&format!("{nodes}{WEBHOOK}}}\n")).as_bytes(), &[]).expect("a configuration");
        assert_eq!(lasting(&configuration), ["Node", "RBAC"]);
        let webhook = &configuration["authorizers"][2]["webhook"];
        assert_eq!((&webhook["authorizedTTL"], &webhook["unauthorizedTTL"]), (&"5m0s".into(), &"30s".into()));
        assert_eq!(webhook["cacheAuthorizedRequests"], true);
        let without = load(file("- {type: RBAC, name: rbac}").as_bytes(), &["Node".into(), "RBAC".into()]);
        assert_eq!(without.expect_err("refused"), "missing required types: [Node]");
    }

    #[test]
    fn what_stands_in_it_is_judged() {
        let at = "authorizers[0].";
        for (authorizers, why) in [
            ("- {name: x}", "authorizers[0].type: Required value".to_owned()),
            (
                "- {type: X, name: x}",
                format!(
                    "{at}type: Unsupported value: \"X\": supported values: \"ABAC\", \"AlwaysAllow\", \"AlwaysDeny\", \
                     \"Node\", \"RBAC\", \"Webhook\""
                ),
            ),
            ("- {type: RBAC}", format!("{at}name: Required value")),
            ("- {type: RBAC, name: roles}", "expected name rbac for authorizer RBAC instead of roles".to_owned()),
            ("- {type: Webhook, name: x}", format!("{at}webhook: Required value: required when type=Webhook")),
            (
                "- {type: RBAC, name: rbac, webhook: {}}",
                format!("{at}webhook: Invalid value: \"non-null\": may only be specified when type=Webhook"),
            ),
            (
                "- {type: RBAC, name: rbac}\n- {type: RBAC, name: rbac}",
                "authorizers[1].type: Duplicate value: \"RBAC\"".to_owned(),
            ),
            (
                "- {type: RBAC, name: rbac, x: 1}",
                "failed to load AuthorizationConfiguration from file: strict decoding error: unknown field \
                 \"authorizers[0].x\""
                    .to_owned(),
            ),
        ] {
            assert_eq!(judged(authorizers), why, "{authorizers}");
        }
        assert_eq!(
            load(b"", &[]).expect_err("refused"),
            "authorizers: Required value: at least one authorization mode must be defined"
        );
    }

    #[test]
    fn webhooks_are_judged() {
        assert_eq!(judged(&format!("{WEBHOOK}}}")), "right");
        let with = |from: &str, to: &str| judged(&format!("{WEBHOOK}}}").replace(from, to));
        let at = "authorizers[0].";
        assert_eq!(with("3s", "31s"), format!("{at}timeout: Invalid value: \"31s\": must be > 0s and <= 30s"));
        assert_eq!(with("timeout: 3s, ", ""), format!("{at}timeout: Required value"));
        assert_eq!(
            with("timeout: 3s", "timeout: 3s, authorizedTTL: -1s"),
            format!("{at}authorizedTTL: Invalid value: \"-1s\": must be > 0s")
        );
        assert_eq!(
            with("Deny", "Maybe"),
            format!("{at}failurePolicy: Unsupported value: \"Maybe\": supported values: \"NoOpinion\", \"Deny\"")
        );
        assert_eq!(
            with("Version: v1", "Version: v2"),
            format!("{at}subjectAccessReviewVersion: Unsupported value: \"v2\": supported values: \"v1\", \"v1beta1\"")
        );
        let file = |path: &str| with("InClusterConfig", &format!("KubeConfigFile, kubeConfigFile: {path}"));
        let place = format!("{at}connectionInfo.kubeConfigFile: ");
        assert_eq!(file("''"), format!("{place}Required value"));
        assert_eq!(file("a"), format!("{place}Invalid value: \"a\": must be an absolute path"));
        assert_eq!(
            file("/no/such"),
            format!("{place}Invalid value: \"/no/such\": error loading file: stat /no/such: no such file or directory")
        );
        assert_eq!(file("/tmp"), format!("{place}Invalid value: \"/tmp\": must be a regular file"));
        assert_eq!(
            with("timeout: 3s", "timeout: 3s, matchConditions: [{expression: request.user}]"),
            format!(
                "[{at}matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified, \
                 {at}matchConditions[0].expression: Invalid value: \"request.user\": must evaluate to bool but got string]"
            )
        );
    }

    #[test]
    fn modes_are_read_or_refused() {
        let check = |modes: &[&str], webhook| {
            check_modes(&modes.iter().map(|mode| (*mode).to_owned()).collect::<Vec<_>>(), webhook)
        };
        assert_eq!(check(&["Node", "RBAC"], false), Ok(()));
        assert_eq!(check(&["RBAC", "Webhook"], true), Ok(()));
        for (modes, webhook, why) in [
            (&["Webhook"][..], false, "authorization-mode Webhook's authorization config file not passed"),
            (&["RBAC"], true, "cannot specify --authorization-webhook-config-file without mode Webhook"),
            (&["rbac"], false, "authorization-mode \"rbac\" is not a valid mode"),
            (&["RBAC", "RBAC"], false, "authorization-mode [\"RBAC\" \"RBAC\"] has mode specified more than once"),
            (&[], false, "at least one authorization-mode must be passed"),
        ] {
            assert_eq!(check(modes, webhook), Err(why.to_owned()));
        }
    }
}

//! The ways of authentication that the flags ask for, and how they follow their files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use tokio_util::sync::CancellationToken;

use super::core::span;
use super::identity::read;
use super::plane::StartError;
use super::subjects::Cached;
use crate::auth::authenticator::{Anonymous, Authenticator, RemoteTokens};
use crate::auth::certificate::Authorities;
use crate::auth::configured::authentication::{self as configured, OidcFlags};
use crate::auth::metrics::Metrics;
use crate::auth::oidc::issuers::{ALGORITHMS, Issuers};
use crate::auth::request_header::{HeaderNames, RequestHeader};
use crate::auth::token::file::FileTokens;
use crate::auth::token::verify::ServiceAccountTokens;
use crate::auth::webhook::token::TokenWebhook;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::files::Files;
use crate::base::tasks::Tasks;
use crate::cache::handle::Cache;
use crate::config::flags::Flags;
use crate::config::identity::IdentityFlags;
use crate::model::value::Value;
use crate::pki::folder::TokenKeys;

/// How long after a configuration could not be taken over it is tried again, should its file not change before.
const RETRY: Duration = Duration::from_secs(60);

/// What authentication stands on.
pub struct Grounds<'a> {
    pub flags: &'a Flags,
    pub keys: &'a TokenKeys,
    pub clients: &'a Authorities,
    pub proxies: &'a Authorities,
    pub cache: &'a Cache,
    pub clock: &'a Clock,
    pub entropy: &'a Entropy,
    pub metrics: &'a Metrics,
}

/// Every way that the flags ask for. A configuration file is followed by a task.
pub fn authenticator(grounds: &Grounds<'_>, tasks: &Tasks) -> Result<Authenticator, StartError> {
    let flags = &grounds.flags.identity;
    let subjects = Arc::new(Cached(grounds.cache.clone()));
    let audiences: Arc<[CompactString]> = flags.accounts.audiences().iter().map(CompactString::from).collect();
    let issuers = flags.accounts.service_account_issuer.clone();
    let keys = grounds.keys.public.clone();
    let lookups = grounds.metrics.lookups(grounds.clock);
    let tokens = ServiceAccountTokens::new(issuers, keys, audiences.clone(), subjects.clone(), lookups)
        .with_lookup(flags.accounts.service_account_lookup);
    let file_tokens = match &flags.token_auth_file {
        Some(path) => {
            let bad = |why: &dyn std::fmt::Display| StartError::Flag(format!("{}: {why}", path.display()));
            let text = String::from_utf8(read(path)?).map_err(|_| bad(&"no UTF-8"))?;
            Some(FileTokens::parse(&text).map_err(|why| bad(&why))?)
        }
        None => None,
    };
    let content = flags.authentication_config.as_deref().map(read).transpose()?;
    let configuration = configuration(flags, content.as_deref())?;
    let mut elsewhere: Vec<Arc<dyn RemoteTokens>> = Vec::new();
    if let Some((configuration, algorithms)) = &configuration {
        let issuers =
            Issuers::start(configuration, algorithms, (grounds.clock, grounds.metrics)).map_err(StartError::Flag)?;
        let issuers = Arc::new(issuers);
        elsewhere.push(issuers.clone());
        if let (Some(path), Some(content)) = (&flags.authentication_config, content) {
            grounds.metrics.authentication_read(&content);
            let follower = Follower {
                path: path.clone(),
                current: content,
                initial: configuration.clone(),
                disallowed: flags.accounts.service_account_issuer.clone(),
                issuers,
                clock: grounds.clock.clone(),
                metrics: grounds.metrics.clone(),
            };
            tasks.start("authentication-config", |stop| follower.run(stop));
        }
    }
    if let Some(path) = &flags.authentication_token_webhook_config_file {
        let ttl = &flags.authentication_token_webhook_cache_ttl;
        let ttl = span("--authentication-token-webhook-cache-ttl", ttl)?;
        let version = &flags.authentication_token_webhook_version;
        let webhook = TokenWebhook::new(path, version, ttl, (grounds.clock, grounds.entropy, grounds.metrics));
        elsewhere.push(Arc::new(webhook.map_err(StartError::Flag)?));
    }
    let anonymous = anonymous(flags, configuration.as_ref().map(|(configuration, _)| configuration))?;
    Ok(Authenticator {
        request_header: Some(request_header(flags, grounds.proxies)?),
        client_certificates: Some(grounds.clients.clone()),
        file_tokens,
        service_accounts: Some(Arc::new(tokens)),
        bootstrap_tokens: if flags.enable_bootstrap_token_auth { Some(subjects) } else { None },
        elsewhere,
        anonymous,
        audiences,
        clock: grounds.clock.clone(),
        metrics: grounds.metrics.clone(),
    })
}

fn request_header(flags: &IdentityFlags, proxies: &Authorities) -> Result<RequestHeader, StartError> {
    let named = |names: &[String]| names.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>();
    let flags = &flags.proxies;
    let headers = HeaderNames {
        users: named(&flags.requestheader_username_headers),
        uids: named(&flags.requestheader_uid_headers),
        groups: named(&flags.requestheader_group_headers),
        extra_prefixes: named(&flags.requestheader_extra_headers_prefix),
    };
    let allowed = named(&flags.requestheader_allowed_names);
    RequestHeader::new(proxies.clone(), allowed, &headers).map_err(StartError::Flag)
}

/// The configuration of issuers, from its file or from the flags, and by which algorithms they may sign.
fn configuration(flags: &IdentityFlags, content: Option<&[u8]>) -> Result<Option<(Value, Vec<String>)>, StartError> {
    let flag = |why: String| StartError::Flag(why);
    let oidc = &flags.oidc;
    let found = match flags.authentication_config.as_ref().zip(content) {
        Some(_) if oidc.are_set() => {
            return Err(flag("authentication-config file and oidc-* flags are mutually exclusive".into()));
        }
        Some((path, content)) => {
            let failed = |why: String| {
                flag(format!("failed to load authentication configuration from file {:?}: {why}", path.display()))
            };
            let configuration = configured::parse(content).map_err(failed)?;
            (configuration, ALGORITHMS.map(str::to_owned).to_vec())
        }
        None if !oidc.are_set() => return Ok(None),
        None => (of_flags(flags)?.to_configuration(), algorithms(&oidc.oidc_signing_algs)?),
    };
    configured::validate(&found.0, &flags.accounts.service_account_issuer)
        .map_err(|why| flag(format!("invalid authentication configuration: {why}")))?;
    Ok(Some(found))
}

fn of_flags(flags: &IdentityFlags) -> Result<OidcFlags, StartError> {
    let oidc = &flags.oidc;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (issuer_url, client_id) = (text(&oidc.oidc_issuer_url), text(&oidc.oidc_client_id));
    if issuer_url.is_empty() || client_id.is_empty() {
        let why = "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set";
        return Err(StartError::Flag(why.into()));
    }
    let certificate_authority = match &oidc.oidc_ca_file {
        Some(path) => String::from_utf8_lossy(&read(path)?).into_owned(),
        None => String::new(),
    };
    let claim = |pair: &String| {
        let found = pair.split_once('=').map(|(claim, value)| (claim.trim().to_owned(), value.trim().to_owned()));
        found.ok_or_else(|| StartError::Flag(format!("--oidc-required-claim: {pair}: no key=value pair")))
    };
    Ok(OidcFlags {
        issuer_url,
        client_id,
        certificate_authority,
        username_claim: oidc.oidc_username_claim.clone().unwrap_or_else(|| "sub".into()),
        username_prefix: text(&oidc.oidc_username_prefix),
        groups_claim: text(&oidc.oidc_groups_claim),
        groups_prefix: text(&oidc.oidc_groups_prefix),
        required_claims: oidc.oidc_required_claim.iter().map(claim).collect::<Result<_, _>>()?,
    })
}

fn algorithms(given: &[String]) -> Result<Vec<String>, StartError> {
    if let Some(unknown) = given.iter().find(|name| !ALGORITHMS.contains(&name.as_str())) {
        return Err(StartError::Flag(format!("oidc: unsupported signing alg: {unknown:?}")));
    }
    Ok(if given.is_empty() { vec!["RS256".to_owned()] } else { given.to_vec() })
}

fn anonymous(flags: &IdentityFlags, configuration: Option<&Value>) -> Result<Anonymous, StartError> {
    match (configuration.and_then(configured::anonymous), flags.anonymous_auth) {
        (Some(_), Some(_)) => Err(StartError::Flag(
            "anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in \
             authentication configuration file"
                .into(),
        )),
        (Some(configured), None) => Ok(configured),
        (None, Some(false)) => Ok(Anonymous::Nobody),
        (None, _) if flags.access.modes().iter().any(|mode| mode == "AlwaysAllow") => {
            tracing::warn!("nobody may be anonymous where everything is allowed: use another authorizer");
            Ok(Anonymous::Nobody)
        }
        (None, _) => Ok(Anonymous::Everybody),
    }
}

/// Takes over the configuration of issuers whenever its file says something else.
struct Follower {
    path: PathBuf,
    current: Vec<u8>,
    initial: Value,
    /// Issuers of the server's own tokens.
    disallowed: Vec<String>,
    issuers: Arc<Issuers>,
    clock: Clock,
    metrics: Metrics,
}

impl Follower {
    async fn run(self, stop: CancellationToken) {
        let mut files = Files::new([self.path.clone()]);
        let (mut current, mut again) = (self.current.clone(), false);
        loop {
            tokio::select! {
                changed = files.changed(&stop) => if !changed { return },
                () = self.clock.sleep(RETRY), if again => {}
            }
            let Ok(content) = read(&self.path) else {
                tracing::error!(path = %self.path.display(), "the authentication configuration cannot be read");
                again = true;
                continue;
            };
            if content == current {
                again = false;
                continue;
            }
            let configuration = match self.judge(&content) {
                Ok(configuration) => configuration,
                Err(why) => {
                    // It will never be right: only another one may be.
                    self.metrics.authentication_reloaded(false, self.clock.now());
                    tracing::error!(why, "the authentication configuration is wrong; the one before stays");
                    (current, again) = (content, false);
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.issuers.replace(&configuration) => match outcome {
                    Ok(()) => {
                        self.metrics.authentication_reloaded(true, self.clock.now());
                        self.metrics.authentication_read(&content);
                        tracing::info!("the authentication configuration is read again");
                        (current, again) = (content, false);
                    }
                    Err(why) => {
                        self.metrics.authentication_reloaded(false, self.clock.now());
                        tracing::error!(why, "the authentication configuration cannot be used yet");
                        again = true;
                    }
                },
            }
        }
    }

    fn judge(&self, content: &[u8]) -> Result<Value, String> {
        let configuration = configured::parse(content)?;
        configured::validate(&configuration, &self.disallowed)?;
        configured::check_unchanged(&self.initial, &configuration)?;
        Ok(configuration)
    }
}

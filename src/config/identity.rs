//! Flags that say who is believed, and who decides what they may.

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// The issuer of the server's own tokens, when no flag names one.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Who is believed. A flag that two of stock's forms exclude each other by is an `Option`: it matters whether it was given.
#[derive(Args, Clone, Debug)]
pub struct IdentityFlags {
    /// Authorities of client certificates, in place of the cluster's own.
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// Tokens and their users, one a line: token,user,uid,"group1,group2".
    #[arg(long, value_name = "FILE")]
    pub token_auth_file: Option<PathBuf>,
    /// Whether requests without credentials come as system:anonymous; by default they do.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub anonymous_auth: Option<bool>,
    /// Whether bootstrap tokens are believed.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub enable_bootstrap_token_auth: bool,
    /// Issuers of tokens and who may be anonymous: an AuthenticationConfiguration, read again when it changes.
    #[arg(long, value_name = "FILE")]
    pub authentication_config: Option<PathBuf>,
    #[command(flatten)]
    pub proxies: ProxyFlags,
    #[command(flatten)]
    pub oidc: OidcFlags,
    #[command(flatten)]
    pub accounts: AccountFlags,
    /// The kubeconfig of a webhook that is asked about tokens that nobody here knows.
    #[arg(long, value_name = "FILE")]
    pub authentication_token_webhook_config_file: Option<PathBuf>,
    /// The version of the TokenReviews it is sent: v1 or v1beta1.
    #[arg(long, value_name = "VERSION", default_value = "v1beta1")]
    pub authentication_token_webhook_version: String,
    /// How long its answers count.
    #[arg(long, value_name = "DURATION", default_value = "2m0s")]
    pub authentication_token_webhook_cache_ttl: String,
    #[command(flatten)]
    pub access: AccessFlags,
}

/// Which proxies may say in headers who asks.
#[derive(Args, Clone, Debug)]
pub struct ProxyFlags {
    /// Authorities of the proxies' certificates, in place of the pki folder's own.
    #[arg(long, value_name = "FILE")]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Common names of the proxies; empty: any that the authority certified.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "front-proxy-client")]
    pub requestheader_allowed_names: Vec<String>,
    /// Headers that name the user.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "X-Remote-User")]
    pub requestheader_username_headers: Vec<String>,
    /// Headers that hold the user's UID.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "X-Remote-Uid")]
    pub requestheader_uid_headers: Vec<String>,
    /// Headers that hold the user's groups.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "X-Remote-Group")]
    pub requestheader_group_headers: Vec<String>,
    /// Beginnings of headers that hold something more of the user.
    #[arg(long, value_name = "PREFIXES", value_delimiter = ',', default_value = "X-Remote-Extra-")]
    pub requestheader_extra_headers_prefix: Vec<String>,
}

/// One issuer of OpenID Connect tokens.
#[derive(Args, Clone, Debug, Default)]
pub struct OidcFlags {
    /// The URL of an OpenID Connect issuer whose tokens are believed.
    #[arg(long, value_name = "URL")]
    pub oidc_issuer_url: Option<String>,
    /// For whom its tokens must be.
    #[arg(long, value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Who certifies the issuer's server; by default whom the system trusts.
    #[arg(long, value_name = "FILE")]
    pub oidc_ca_file: Option<PathBuf>,
    /// The claim that names the user; by default sub.
    #[arg(long, value_name = "CLAIM")]
    pub oidc_username_claim: Option<String>,
    /// What is put before the user's name; by default the issuer and #, unless the claim is email; - for nothing.
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    pub oidc_username_prefix: Option<String>,
    /// The claim that holds the user's groups.
    #[arg(long, value_name = "CLAIM")]
    pub oidc_groups_claim: Option<String>,
    /// What is put before each group.
    #[arg(long, value_name = "PREFIX")]
    pub oidc_groups_prefix: Option<String>,
    /// By which algorithms its tokens may be signed; by default RS256.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub oidc_signing_algs: Vec<String>,
    /// A claim that its tokens must have, and its value; may be repeated.
    #[arg(long, value_name = "CLAIM=VALUE")]
    pub oidc_required_claim: Vec<String>,
}

impl OidcFlags {
    /// Whether any of them is given.
    pub fn are_set(&self) -> bool {
        let texts = [
            &self.oidc_issuer_url,
            &self.oidc_client_id,
            &self.oidc_username_claim,
            &self.oidc_username_prefix,
            &self.oidc_groups_claim,
            &self.oidc_groups_prefix,
        ];
        texts.iter().any(|text| text.is_some())
            || self.oidc_ca_file.is_some()
            || !self.oidc_signing_algs.is_empty()
            || !self.oidc_required_claim.is_empty()
    }
}

/// Tokens of service accounts.
#[derive(Args, Clone, Debug)]
pub struct AccountFlags {
    /// Issuers of service-account tokens; the first one signs, all are believed. May be repeated.
    #[arg(long, value_name = "URL", default_value = ISSUER)]
    pub service_account_issuer: Vec<String>,
    /// Keys that verify service-account tokens, in place of the pki folder's; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub service_account_key_file: Vec<PathBuf>,
    /// The key that signs service-account tokens, in place of the pki folder's.
    #[arg(long, value_name = "FILE")]
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Where others find the keys, when it is not this server.
    #[arg(long, value_name = "URL")]
    pub service_account_jwks_uri: Option<String>,
    /// The longest that a token may live; by default as long as is asked for.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub service_account_max_token_expiration: String,
    /// Whether tokens of pods live on for a year, and are only warned of when their time is over.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub service_account_extend_token_expiration: bool,
    /// Whether the token of a Secret lives no longer than the Secret.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub service_account_lookup: bool,
    /// Audiences of this server; by default the issuers.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub api_audiences: Vec<String>,
}

impl AccountFlags {
    /// The one that signs.
    pub fn issuer(&self) -> &str {
        self.service_account_issuer.first().map_or(ISSUER, String::as_str)
    }

    /// This server's own.
    pub fn audiences(&self) -> &[String] {
        if self.api_audiences.is_empty() { &self.service_account_issuer } else { &self.api_audiences }
    }
}

/// Who decides.
#[derive(Args, Clone, Debug)]
pub struct AccessFlags {
    /// Authorizers, in order: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny; by default Node,RBAC.
    #[arg(long, value_name = "MODES", value_delimiter = ',')]
    pub authorization_mode: Vec<String>,
    /// Who decides, in order: an AuthorizationConfiguration, read again when it changes.
    #[arg(long, value_name = "FILE")]
    pub authorization_config: Option<PathBuf>,
    /// The kubeconfig of the webhook of the mode Webhook.
    #[arg(long, value_name = "FILE")]
    pub authorization_webhook_config_file: Option<PathBuf>,
    /// The version of the SubjectAccessReviews it is sent: v1 or v1beta1 (the default).
    #[arg(long, value_name = "VERSION")]
    pub authorization_webhook_version: Option<String>,
    /// How long an answer counts that allows; by default 5m0s.
    #[arg(long, value_name = "DURATION")]
    pub authorization_webhook_cache_authorized_ttl: Option<String>,
    /// How long an answer counts that does not allow; by default 30s.
    #[arg(long, value_name = "DURATION")]
    pub authorization_webhook_cache_unauthorized_ttl: Option<String>,
}

impl AccessFlags {
    /// Whether one is given that stands for what a configuration says.
    pub fn are_set(&self) -> bool {
        !self.authorization_mode.is_empty()
            || self.authorization_webhook_config_file.is_some()
            || self.authorization_webhook_version.is_some()
            || self.authorization_webhook_cache_authorized_ttl.is_some()
            || self.authorization_webhook_cache_unauthorized_ttl.is_some()
    }

    pub fn modes(&self) -> Vec<String> {
        let modes: Vec<String> = self.authorization_mode.iter().filter(|mode| !mode.is_empty()).cloned().collect();
        if modes.is_empty() { vec!["Node".into(), "RBAC".into()] } else { modes }
    }
}

//! A kubeconfig: where the server is, how to know it, and as whom to come.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::authority::Leaf;
use super::error::Result;
use crate::model::value::Value;

/// What a client needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Kubeconfig<'a> {
    pub cluster: &'a str,
    /// `https://host:port`.
    pub server: &'a str,
    /// The authority that certifies the server, PEM.
    pub authority: &'a str,
    pub user: &'a str,
}

impl Kubeconfig<'_> {
    /// YAML in which the client certificate and its key stand themselves. The result is a secret.
    pub fn with_certificate(&self, leaf: &Leaf) -> Result<String> {
        let certificate = STANDARD.encode(leaf.certificate_pem()?);
        let key = STANDARD.encode(leaf.key.to_pem()?);
        Ok(self.render(&[("client-certificate-data", &certificate), ("client-key-data", &key)]))
    }

    /// YAML with a bearer token. The result is a secret.
    pub fn with_token(&self, token: &str) -> String {
        self.render(&[("token", token)])
    }

    fn render(&self, credentials: &[(&str, &str)]) -> String {
        let (cluster, user) = (scalar(self.cluster), scalar(self.user));
        let context = scalar(&format!("{}@{}", self.user, self.cluster));
        let mut out = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {}\n  \
             name: {cluster}\ncontexts:\n- context:\n    cluster: {cluster}\n    user: {user}\n  name: {context}\n\
             current-context: {context}\npreferences: {{}}\nusers:\n- name: {user}\n  user:\n",
            STANDARD.encode(self.authority),
            scalar(self.server),
        );
        for (name, value) in credentials {
            let written = writeln!(out, "    {name}: {}", scalar(value));
            assert!(written.is_ok(), "a string takes every write");
        }
        out
    }
}

/// Plain where YAML cannot misread it, otherwise as JSON (which YAML includes).
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=@".contains(c);
    let (first, odd) = (text.chars().next(), ["true", "false", "null", "yes", "no", "on", "off"]);
    if first.is_some_and(|c| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !odd.contains(&text.to_lowercase().as_str())
    {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_with_a_token() {
        let config = Kubeconfig {
            cluster: "kubernetes",
            server: "https://10.0.0.1:6443",
            authority: "CA",
            user: "kubernetes-admin",
        };
        assert_eq!(
            config.with_token("a.b"),
            "\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: \"https://10.0.0.1:6443\"
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
preferences: {}
users:
- name: kubernetes-admin
  user:
    token: a.b
"
        );
    }

    #[test]
    fn what_yaml_would_misread_is_quoted() {
        for (text, written) in [("no", "\"no\""), ("1e3", "\"1e3\""), ("a: b", "\"a: b\""), ("", "\"\""), ("ab", "ab")]
        {
            assert_eq!(scalar(text), written);
        }
    }
}

//! What an issuer says of itself: where its keys are (OpenID Connect Discovery).

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::key_set::KeySet;
use crate::auth::outward::client::{Bounds, Client};
use crate::base::clock::Clock;
use crate::codec::json::parse::parse;
use crate::model::gotext;

/// What an issuer's answers may take.
pub(super) const BOUNDS: Bounds = Bounds { time: Duration::from_secs(30), body: 1 << 20 };
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Asks `issuer` where its keys are; at `discovery` in place of its own address, unless that is empty.
pub(super) async fn discover(
    issuer: &str,
    discovery: &str,
    client: &Arc<Client>,
    clock: &Clock,
) -> Result<KeySet, String> {
    let own;
    let url = if discovery.is_empty() {
        own = format!("{}{WELL_KNOWN}", issuer.strip_suffix('/').unwrap_or(issuer));
        &own
    } else {
        discovery
    };
    let answer = client.get(url, "", BOUNDS).await.map_err(|why| why.text)?;
    if answer.status != StatusCode::OK {
        return Err(format!("{}: {}", status_text(answer.status), String::from_utf8_lossy(&answer.body)));
    }
    let undecodable = |why: &str| format!("oidc: failed to decode provider discovery object: {why}");
    let document = parse(&answer.body).map_err(|_| undecodable("no JSON"))?;
    let text = |name: &str| document[name].as_str().unwrap_or("");
    if text("issuer") != issuer {
        return Err(format!(
            "oidc: issuer did not match the issuer returned by provider, expected {} got {}",
            gotext::quote(issuer),
            gotext::quote(text("issuer"))
        ));
    }
    match text("jwks_uri") {
        "" => Err("provider did not return JWKS URL".into()),
        keys => Ok(KeySet::new(keys, client.clone(), clock.clone())),
    }
}

/// `404 Not Found`.
pub(super) fn status_text(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("")).trim_end().to_owned()
}

//! What every token must say: by whom it is, for whom, and when.

use jiff::Timestamp;
use serde::Deserialize;

use super::key_set::KeySet;
use super::mapping::{mistaken, one_or_many};
use crate::auth::token::jws::{Jws, peek};
use crate::codec::json::parse::parse;
use crate::model::gotext;
use crate::model::value::Value;

/// Google's issuer, which it writes in two ways.
const GOOGLE: (&str, &str) = ("https://accounts.google.com", "accounts.google.com");
/// Seconds by which clocks may differ, for the time before which a token is not valid.
const LEEWAY: i64 = 60;

/// What one issuer's tokens are held to.
pub(super) struct Demands {
    pub issuer: String,
    /// At least one.
    pub audiences: Vec<String>,
    pub algorithms: Vec<String>,
}

/// The issuer that a token names, before it is verified: only to see whose it might be.
pub(super) fn untrusted_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        #[serde(default)]
        iss: String,
    }
    let Issuer { iss } = peek(token)?;
    Some(if iss == GOOGLE.1 { GOOGLE.0.to_owned() } else { iss })
}

impl Demands {
    /// The claims of a token that is signed with one of the keys and says what it must, and when it expires.
    pub(super) async fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<(Value, Timestamp), String> {
        let jws = Jws::parse(token).ok_or("oidc: malformed jwt")?;
        if !self.algorithms.iter().any(|known| known == jws.algorithm()) {
            return Err(format!(
                "oidc: id token signed with unsupported algorithm, expected {} got {}",
                list(self.algorithms.iter().map(String::as_str)),
                gotext::quote(jws.algorithm())
            ));
        }
        keys.verify(&jws).await.map_err(|why| format!("failed to verify signature: {why}"))?;
        self.check(&jws.payload, now)
    }

    fn check(&self, payload: &[u8], now: Timestamp) -> Result<(Value, Timestamp), String> {
        let undecodable = |why: String| format!("oidc: failed to unmarshal claims: {why}");
        let claims = parse(payload).map_err(|_| undecodable("no JSON".into()))?;
        if !claims.is_object() {
            return Err(undecodable(mistaken(&claims, "oidc.idToken")));
        }
        let issuer = match &claims["iss"] {
            Value::String(issuer) => issuer.as_str(),
            Value::Null => "",
            other => return Err(undecodable(mistaken(other, "string"))),
        };
        if issuer != self.issuer && !(self.issuer == GOOGLE.0 && issuer == GOOGLE.1) {
            return Err(format!(
                "oidc: id token issued by a different provider, expected {} got {}",
                gotext::quote(&self.issuer),
                gotext::quote(issuer)
            ));
        }
        let audiences = one_or_many(&claims["aud"]).map_err(undecodable)?;
        if !audiences.iter().any(|audience| self.audiences.iter().any(|own| own == audience)) {
            let got = list(audiences.into_iter());
            return Err(match self.audiences.as_slice() {
                [one] => format!("oidc: expected audience {} got {got}", gotext::quote(one)),
                several => format!("oidc: expected audience in {} got {got}", list(sorted(several).into_iter())),
            });
        }
        let time = |name: &str| seconds(&claims[name]).map_err(undecodable);
        let expiry = time("exp")?.unwrap_or(ZERO);
        if expiry < now {
            return Err(format!("oidc: token is expired (Token Expiry: {})", show(expiry)));
        }
        if let Some(begin) = time("nbf")?
            && now.as_second() + LEEWAY < begin.as_second()
        {
            let (now, begin) = (show(now), show(begin));
            return Err(format!("oidc: current time {now} before the nbf (not before) time: {begin}"));
        }
        Ok((claims, expiry))
    }
}

/// Go's zero time.
const ZERO: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// Seconds since 1970, perhaps with a fraction (which is cut off).
fn seconds(value: &Value) -> Result<Option<Timestamp>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => {
            let whole = number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)).unwrap_or(0);
            let bound = |whole: i64| whole.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
            Ok(Timestamp::from_second(bound(whole)).ok())
        }
        other => Err(mistaken(other, "json.Number")),
    }
}

/// As Go prints a time.
fn show(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

fn sorted(texts: &[String]) -> Vec<&str> {
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.sort_unstable();
    texts
}

/// `["a" "b"]`.
fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    gotext::list(&texts.map(gotext::quote).collect::<Vec<_>>())
}

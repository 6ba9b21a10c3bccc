//! JSON Web Keys (RFC 7517), and the signatures that they verify (RFC 7518).

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature as sig;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::token::jws::Jws;
use crate::codec::json::parse::parse;
use crate::model::value::Value;

/// All that may sign a token, in the order in which they are told.
pub const ALGORITHMS: [&str; 9] = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
/// Keys of one set at most.
const KEYS: usize = 256;
/// Bytes of the longest modulus: 8192 bits.
const MODULUS: usize = 1024;

/// A public key.
pub(super) struct Jwk {
    /// Empty when it has none.
    pub id: String,
    material: Material,
}

enum Material {
    Rsa(PublicKeyComponents<Vec<u8>>),
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
}

/// The keys of a set that can verify tokens; those of other sorts (symmetric ones above all) are left out.
pub(super) fn key_set(text: &[u8]) -> Result<Vec<Jwk>, String> {
    let value = parse(text).map_err(|_| "no JSON".to_owned())?;
    let Some(keys) = value["keys"].as_array() else { return Ok(Vec::new()) };
    if keys.len() > KEYS {
        return Err(format!("{} keys, more than {KEYS}", keys.len()));
    }
    keys.iter().filter_map(|key| Jwk::read(key).transpose()).collect()
}

impl Jwk {
    fn read(key: &Value) -> Result<Option<Self>, String> {
        let text = |name: &str| key[name].as_str().unwrap_or("");
        let number = |name: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(text(name).trim_end_matches('='));
            decoded.map_err(|why| format!("key {:?}: {name}: {why}", text("kid")))
        };
        let point = |length: usize| {
            let (x, y) = (number("x")?, number("y")?);
            if x.len() != length || y.len() != length {
                return Err(format!("key {:?}: a point of the wrong length", text("kid")));
            }
            Ok([&[4], x.as_slice(), &y].concat())
        };
        let material = match (text("kty"), text("crv")) {
            ("RSA", _) => {
                let (n, e) = (number("n")?, number("e")?);
                if n.is_empty() || e.is_empty() || n.len() > MODULUS || e.len() > 8 {
                    return Err(format!("key {:?}: an RSA key of the wrong length", text("kid")));
                }
                Material::Rsa(PublicKeyComponents { n, e })
            }
            ("EC", "P-256") => Material::P256(point(32)?),
            ("EC", "P-384") => Material::P384(point(48)?),
            ("EC", "P-521") => Material::P521(point(66)?),
            _ => return Ok(None),
        };
        Ok(Some(Self { id: text("kid").to_owned(), material }))
    }

    /// Whether this key signed the token. The sort of key decides which algorithms there can be.
    pub(super) fn signed(&self, jws: &Jws<'_>) -> bool {
        let (message, signature) = jws.signature();
        let point = |algorithm: &'static sig::EcdsaVerificationAlgorithm, point: &[u8]| {
            sig::UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
        };
        match (&self.material, jws.algorithm()) {
            (Material::Rsa(key), algorithm) => {
                let parameters: &sig::RsaParameters = match algorithm {
                    "RS256" => &sig::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &sig::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &sig::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &sig::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &sig::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &sig::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                key.verify(parameters, message, signature).is_ok()
            }
            (Material::P256(key), "ES256") => point(&sig::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), "ES384") => point(&sig::ECDSA_P384_SHA384_FIXED, key),
            (Material::P521(key), "ES512") => point(&sig::ECDSA_P521_SHA512_FIXED, key),
            _ => false,
        }
    }
}

//! What is read of a CertificateSigningRequest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::controllers::conditions;
use crate::controllers::item::Item;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::pki::request::SigningRequest;

pub const APPROVED: &str = "Approved";
pub const DENIED: &str = "Denied";
pub const FAILED: &str = "Failed";

/// Whether it has a condition of this type.
pub fn has(csr: &Item, condition: &str) -> bool {
    conditions::find(csr.status(), condition).is_some()
}

/// Its certificate in PEM, when there is one.
pub fn certificate(csr: &Item) -> Option<Vec<u8>> {
    let coded = csr.status()["certificate"].as_str().filter(|coded| !coded.is_empty())?;
    STANDARD.decode(coded).ok()
}

pub fn signer(csr: &Item) -> &str {
    csr.spec()["signerName"].as_str().unwrap_or("")
}

pub fn usages(csr: &Item) -> Vec<&str> {
    csr.spec()["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The signed request itself.
pub fn parse(csr: &Item) -> Result<SigningRequest> {
    let pem = STANDARD.decode(csr.spec()["request"].as_str().unwrap_or("")).map_err(Status::internal)?;
    let wrong = |error| Status::internal(format!("unable to parse csr \"{}\": {error}", csr.name()));
    SigningRequest::from_pem(&pem).map_err(wrong)
}

//! How a certificate signing request is written: by a client that has a key and wants a name certified.

use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode, Encode};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{DynSignatureAlgorithmIdentifier, SubjectPublicKeyInfo};

use super::error::Result;
use super::key::{Key, make, pem};
use super::signing::{COMMON_NAME, ORGANIZATION, Signer, subject};

/// A request for this subject, signed by the key that it is for; PEM.
pub fn ask(common_name: &str, organizations: &[&str], key: &Key) -> Result<String> {
    let failed = |e: &dyn ToString| make("a certificate signing request", e.to_string());
    let organizations = organizations.iter().map(|o| (*o).to_owned()).collect();
    let info = CertReqInfo {
        version: Version::V1,
        subject: subject(&[(ORGANIZATION, organizations), (COMMON_NAME, vec![common_name.to_owned()])])?,
        public_key: SubjectPublicKeyInfo::from_der(key.public().spki()).map_err(|e| failed(&e))?,
        attributes: Default::default(),
    };
    let signed = info.to_der().map_err(|e| failed(&e))?;
    let request = CertReq {
        info,
        algorithm: Signer(key).signature_algorithm_identifier().map_err(|e| failed(&e))?,
        signature: BitString::from_bytes(&key.sign_certificate(&signed)?).map_err(|e| failed(&e))?,
    };
    pem("CERTIFICATE REQUEST", &request.to_der().map_err(|e| failed(&e))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::request::SigningRequest;

    #[test]
    fn what_is_asked_is_read_and_verified() {
        let key = Key::generate().expect("a key");
        let text = ask("system:node:n1", &["system:nodes"], &key).expect("a request");
        let request = SigningRequest::from_pem(text.as_bytes()).expect("signed by its own key");
        assert_eq!(request.holder.common_name, "system:node:n1");
        assert_eq!(request.holder.organizations, ["system:nodes"]);
    }
}

//! CertificateSigningRequest: a wish for a certificate, and what became of it.
//!
//! It says what requests must keep; approving and signing them is done by others.
//!
//! In reading order: `rules` (the kind), `names` (of signers), `request` (the signed request and the certificate in
//! their encodings), `conditions` (approved, denied, failed).

pub mod conditions;
pub mod names;
pub mod request;
pub mod rules;

pub use rules::RULES;

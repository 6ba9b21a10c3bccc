//! An issuer for tests: HTTPS on this machine, and keys of every sort.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION};
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;

use crate::auth::token::discovery;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::model::value::{Value, json};
use crate::pki::authority::{Authority, Usage, Wanted};
use crate::pki::key::PublicKey;

const RSA: &[u8] = include_bytes!("../../../tests/data/pki/sa.key");

/// A server with documents.
pub struct Provider {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// Who certifies it, PEM.
    pub authority: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By path: status, `Cache-Control` (or `Location` of a redirect), body.
    documents: HashMap<String, (u16, String, String)>,
    asked: Vec<String>,
}

impl Provider {
    /// With a configuration that names `/keys`, where nothing is yet.
    pub async fn start() -> Self {
        let (clock, entropy) = (Clock::machine(), Entropy::seeded(5));
        let authority = Authority::create("issuer", None, &clock, &entropy).expect("an authority");
        let wanted = Wanted {
            common_name: "issuer",
            addresses: &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
            usage: Usage::Server,
            ..Wanted::default()
        };
        let (chain, key) = authority.issue(&wanted, &clock, &entropy).expect("a leaf").to_der().expect("der");
        let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let (state, acceptor) = (Arc::new(Mutex::new(State::default())), TlsAcceptor::from(Arc::new(tls)));
        let served = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, served) = (acceptor.clone(), served.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| std::future::ready(answer(&served, &request)));
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        let provider = Self { url, authority: authority.to_pem().expect("pem"), state };
        let configuration = json!({"issuer": provider.url.as_str(), "jwks_uri": format!("{}/keys", provider.url)});
        provider.publish("/.well-known/openid-configuration", "", &configuration.to_string());
        provider
    }

    pub fn publish(&self, path: &str, cache: &str, body: &str) {
        self.lock().documents.insert(path.to_owned(), (200, cache.to_owned(), body.to_owned()));
    }

    pub fn fail(&self, path: &str, status: u16, location: &str) {
        self.lock().documents.insert(path.to_owned(), (status, location.to_owned(), "no".to_owned()));
    }

    pub fn publish_keys(&self, cache: &str, keys: &[&Signer]) {
        let keys: Value = keys.iter().map(|key| key.jwk()).collect();
        self.publish("/keys", cache, &json!({ "keys": keys }).to_string());
    }

    /// Paths asked for, with the bearer token that came, in order.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock")
    }

    /// A `jwt` item for this issuer, with a user name from `sub`.
    pub fn jwt(&self, mappings: Value) -> Value {
        json!({
            "issuer": {"url": self.url.as_str(), "audiences": ["k8s"], "certificateAuthority": self.authority.as_str()},
            "claimMappings": mappings
        })
    }
}

fn answer<B>(state: &Mutex<State>, request: &Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut state = state.lock().expect("a lock");
    let path = request.uri().path().to_owned();
    let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    state.asked.push(format!("{path} {bearer}").trim().to_owned());
    let (status, header, body) =
        state.documents.get(&path).cloned().unwrap_or((404, String::new(), "not found".to_owned()));
    let mut response = Response::builder().status(status);
    if !header.is_empty() {
        response = response.header(if status == 200 { CACHE_CONTROL } else { LOCATION }, header);
    }
    Ok(response.body(Full::from(body)).expect("a response"))
}

/// A key that signs tokens.
pub struct Signer {
    pub id: String,
    pub algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>, &'static dyn sig::RsaEncoding),
    Ecdsa(EcdsaKeyPair, &'static str),
}

impl Signer {
    pub fn new(id: &str, algorithm: &'static str) -> Self {
        let rsa = |encoding: &'static dyn sig::RsaEncoding| {
            let pair = match PrivateKeyDer::from_pem_slice(RSA).expect("a key") {
                PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
                PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
                other => panic!("{other:?}"),
            };
            Pair::Rsa(Box::new(pair.expect("an RSA key")), encoding)
        };
        let ecdsa = |algorithm, curve| Pair::Ecdsa(EcdsaKeyPair::generate(algorithm).expect("a key"), curve);
        let pair = match algorithm {
            "RS256" => rsa(&sig::RSA_PKCS1_SHA256),
            "RS384" => rsa(&sig::RSA_PKCS1_SHA384),
            "RS512" => rsa(&sig::RSA_PKCS1_SHA512),
            "PS256" => rsa(&sig::RSA_PSS_SHA256),
            "PS384" => rsa(&sig::RSA_PSS_SHA384),
            "PS512" => rsa(&sig::RSA_PSS_SHA512),
            "ES256" => ecdsa(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ecdsa(&sig::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ecdsa(&sig::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            other => panic!("{other}"),
        };
        Self { id: id.to_owned(), algorithm, pair }
    }

    pub fn jwk(&self) -> Value {
        let mut key = match &self.pair {
            Pair::Rsa(..) => {
                let public = PublicKey::all_from_pem(RSA).expect("keys");
                discovery::keys(&public)["keys"][0].clone()
            }
            Pair::Ecdsa(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                json!({"kty": "EC", "crv": *curve, "x": number(x), "y": number(y)})
            }
        };
        key["kid"] = self.id.as_str().into();
        key
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": self.algorithm, "kid": self.id.as_str()}), &claims.to_string())
    }

    pub fn sign_as(&self, header: &Value, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, signed.as_bytes(), &mut signature).expect("a signature");
                signature
            }
            Pair::Ecdsa(pair, _) => pair.sign(&random, signed.as_bytes()).expect("a signature").as_ref().to_vec(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

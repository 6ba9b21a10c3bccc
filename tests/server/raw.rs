//! A connection on which a test says what no client would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use monokube::pki::certificate::Certificate;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::rig::Server;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// HTTP/1.1 over TLS, by hand.
pub struct Raw(BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// A plain TCP connection.
pub fn plain(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address.trim_start_matches("https://")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

impl Raw {
    pub fn open(server: &Server) -> Self {
        let authority = std::fs::read(server.data_dir.join("pki/ca.crt")).expect("an authority");
        let mut roots = RootCertStore::empty();
        for certificate in Certificate::all_from_pem(&authority).expect("PEM") {
            roots.add(certificate.der().clone()).expect("an authority");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().expect("a name")).expect("TLS");
        Self(BufReader::new(StreamOwned::new(tls, plain(server))))
    }

    pub fn say(&mut self, bytes: &[u8]) {
        let stream = self.0.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).expect("it takes them");
    }

    /// The head of a request for which more is to come.
    pub fn begin(&mut self, line: &str, headers: &[&str]) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.say(format!("{line} HTTP/1.1\r\nHost: k\r\n{headers}\r\n").as_bytes());
    }

    /// Status, head and body of the answer; `None` when the connection was ended without one.
    pub fn answer(&mut self) -> Option<(u16, String, String)> {
        let (mut head, mut line) = (String::new(), String::new());
        while self.0.read_line(&mut line).ok()? > 0 && !line.trim().is_empty() {
            head.push_str(&std::mem::take(&mut line));
        }
        let code = head.split(' ').nth(1)?.parse().ok()?;
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).ok()?;
        Some((code, head, String::from_utf8_lossy(&body).into_owned()))
    }
}

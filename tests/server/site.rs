//! An HTTPS server of the test's own: an issuer, or a webhook.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::pki::authority::{Authority, Usage, Wanted};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server is asked.
pub struct Asked {
    /// Of the server: `https://127.0.0.1:PORT`
    pub url: String,
    pub path: String,
    pub body: String,
}

/// Serves as long as the test runs.
pub struct Site {
    pub url: String,
    /// Who certifies it, PEM.
    pub authority: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// `answer` gives the body for what is asked; `None` is a 404.
    pub fn start(answer: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Self {
        let (clock, entropy) = (Clock::machine(), Entropy::machine());
        let authority = Authority::create("site", None, &clock, &entropy).expect("an authority");
        let addresses = ["127.0.0.1".parse().expect("an address")];
        let wanted = Wanted { common_name: "site", addresses: &addresses, usage: Usage::Server, ..Wanted::default() };
        let (chain, key) = authority.issue(&wanted, &clock, &entropy).expect("a leaf").to_der().expect("der");
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (tls, answer, of, seen) = (Arc::new(tls), Arc::new(answer), url.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, answer, url, seen) = (tls.clone(), answer.clone(), of.clone(), seen.clone());
                std::thread::spawn(move || converse(stream, tls, &*answer, &url, &seen));
            }
        });
        Self { url, authority: authority.to_pem().expect("PEM"), asked }
    }

    /// Paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }
}

/// One request, one answer.
fn converse(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    answer: &dyn Fn(&Asked) -> Option<String>,
    url: &str,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(tls).ok()?, stream));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if head.is_empty() {
            head = line;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.split('?').next()?.to_owned();
    seen.lock().expect("a list").push(path.clone());
    let asked = Asked { url: url.to_owned(), path, body: String::from_utf8(body).ok()? };
    let (status, body) = match answer(&asked) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let stream = stream.get_mut();
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

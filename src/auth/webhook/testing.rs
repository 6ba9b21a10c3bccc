//! A webhook for tests: plain HTTP on this machine, which keeps what it was asked.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::codec::json::parse::parse;
use crate::model::value::Value;

pub struct Hook {
    asked: Arc<Mutex<Vec<String>>>,
    kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
}

impl Hook {
    /// `answer` gives the status and the body for a request's body.
    pub async fn start(answer: fn(&Value) -> (u16, Value)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let seen = seen.clone();
                let service = service_fn(move |request| answered(request, answer, seen.clone()));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = folder.path().join("webhook.kubeconfig");
        let text = format!(
            "current-context: hook\ncontexts: [{{name: hook, context: {{cluster: hook}}}}]\n\
             clusters: [{{name: hook, cluster: {{server: 'http://127.0.0.1:{port}/review'}}}}]\n"
        );
        std::fs::write(&kubeconfig, text).expect("a file");
        Self { asked, kubeconfig, _folder: folder }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `POST /path {body}`, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }
}

async fn answered(
    request: Request<Incoming>,
    answer: fn(&Value) -> (u16, Value),
    seen: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let value = parse(&body).expect("JSON");
    seen.lock().expect("a list").push(format!("{} {} {value}", head.method, head.uri));
    let (status, body) = answer(&value);
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status.try_into().expect("a status");
    Ok(response)
}

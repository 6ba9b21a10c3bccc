//! A request that becomes a stream: asked of the backend first, and agreed to only when the backend has.

use bytes::Bytes;
use http::header::UPGRADE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::dial::Wire;
use super::headers;
use super::pass::{self, Arriving};

/// What came of asking.
pub enum Outcome {
    /// It is a stream now; the headers with which the backend agreed.
    Agreed(HeaderMap, TokioIo<Upgraded>),
    /// The backend said why not.
    Answered(Response<Arriving>),
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("error sending request: {0}")]
    Sending(String),
    #[error("invalid upgrade response: status code {0}")]
    Status(u16),
    #[error("invalid upgrade response: {0}")]
    Invalid(&'static str),
}

/// Asks for a stream of this protocol. The headers are those that pass, `Host` among them.
pub async fn ask(
    wire: Wire,
    method: Method,
    path: &str,
    mut headers: HeaderMap,
    protocol: &str,
) -> Result<Outcome, Failure> {
    let wanted = HeaderValue::from_str(protocol).map_err(|_| Failure::Invalid("no protocol"))?;
    headers::set_upgrade(&mut headers, &wanted);
    let mut request = Request::builder().method(method).uri(path).body(Empty::<Bytes>::new());
    if let Ok(request) = &mut request {
        *request.headers_mut() = headers;
    }
    let request = request.map_err(|error| Failure::Sending(error.to_string()))?;
    let (response, link) = pass::send(wire, request).await.map_err(Failure::Sending)?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => agreed(response, protocol).await,
        status if status.is_client_error() || status.is_server_error() => {
            Ok(Outcome::Answered(response.map(|body| Arriving::new(body, link))))
        }
        status => Err(Failure::Status(status.as_u16())),
    }
}

/// The backend must have agreed to what was asked, else its stream would be read as another protocol.
async fn agreed(mut response: Response<Incoming>, protocol: &str) -> Result<Outcome, Failure> {
    let named = response.headers().get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or("").trim();
    if !named.eq_ignore_ascii_case(protocol) {
        return Err(Failure::Invalid("missing upgrade headers in response"));
    }
    let broken = |error: hyper::Error| Failure::Sending(error.to_string());
    let stream = hyper::upgrade::on(&mut response).await.map_err(broken)?;
    Ok(Outcome::Agreed(std::mem::take(response.headers_mut()), TokioIo::new(stream)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// A backend that reads a request's head and gives this answer; its end of the connection, when it has.
    async fn asked(answer: &'static str) -> (Result<Outcome, Failure>, String, DuplexStream) {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let backend = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.expect("a request"));
            }
            far.write_all(answer.as_bytes()).await.expect("answered");
            String::from_utf8(head).expect("text")
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("h"));
        let asking = ask(Wire::new(near), Method::POST, "/exec/a?b=c", headers, "SPDY/3.1");
        let (outcome, head) = tokio::join!(asking, backend);
        (outcome, head, far)
    }

    async fn ends(far: &mut DuplexStream) {
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.expect("read");
        assert_eq!(rest, b"");
    }

    #[tokio::test]
    async fn a_backend_that_agrees_is_a_stream() {
        let (outcome, head, mut far) =
            asked("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\nX: y\r\n\r\nfirst")
                .await;
        assert!(head.starts_with("POST /exec/a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("upgrade: SPDY/3.1\r\n") && head.contains("connection: Upgrade\r\n"), "{head}");
        let Ok(Outcome::Agreed(headers, mut stream)) = outcome else { panic!("agreed") };
        assert_eq!(headers["x"], "y");
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.expect("read");
        assert_eq!(&first, b"first");
        stream.write_all(b"back").await.expect("sent");
        let mut back = [0; 4];
        far.read_exact(&mut back).await.expect("read");
        drop(stream);
        ends(&mut far).await;
    }

    /// CVE-2018-1002105: only a backend that agreed is a stream, and what did not is let go.
    #[tokio::test]
    async fn smuggling_through_a_failed_upgrade_is_impossible() {
        let (outcome, _, mut far) = asked("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone").await;
        let Ok(Outcome::Answered(response)) = outcome else { panic!("answered") };
        assert_eq!(response.status(), 404);
        assert_eq!(response.into_body().beginning(3).await.expect("text"), b"gon");
        ends(&mut far).await;

        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "invalid upgrade response: status code 200"),
            ("HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "invalid upgrade response: status code 302"),
            (
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
                "invalid upgrade response: missing upgrade headers in response",
            ),
            (
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
                "invalid upgrade response: missing upgrade headers in response",
            ),
        ];
        for (answer, expected) in cases {
            let (outcome, _, mut far) = asked(answer).await;
            assert_eq!(outcome.err().expect(answer).to_string(), expected);
            ends(&mut far).await;
        }
    }

    #[tokio::test]
    async fn a_stream_that_nobody_asked_for_is_an_error() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let request = Request::get("/").body(Empty::<Bytes>::new()).expect("a request");
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
        far.write_all(answer).await.expect("sent");
        assert!(pass::send(Wire::new(near), request).await.is_err());
    }
}

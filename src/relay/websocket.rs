//! WebSocket, the server's side (RFC 6455): agreeing to it, and how long what comes may be.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::headers;

/// Bytes of a message that comes, and of what waits to be sent.
const MESSAGE: usize = 4 << 20;
const WAITING: usize = 1 << 20;
/// Bytes that are read at a time.
const READ: usize = 16 << 10;
/// What every server appends to the client's key (RFC 6455, 1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY: &str = "sec-websocket-key";
const VERSION: &str = "sec-websocket-version";
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
const PROTOCOL: HeaderName = HeaderName::from_static("sec-websocket-protocol");

/// The headers of the answer that agrees. The error says what is wrong with the request.
pub fn agree(asked: &HeaderMap, protocol: &str) -> Result<HeaderMap, &'static str> {
    let text = |name: &str| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").trim();
    if text(VERSION) != "13" {
        return Err("websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header");
    }
    let key = text(KEY);
    if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err("websocket: not a websocket handshake: 'Sec-WebSocket-Key' header must be 16 bytes in base64");
    }
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{MAGIC}").as_bytes()));
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "websocket: a protocol that is no header");
    let mut agreed = HeaderMap::new();
    headers::set_upgrade(&mut agreed, &HeaderValue::from_static("websocket"));
    agreed.insert(ACCEPT, value(&accept)?);
    if !protocol.is_empty() {
        agreed.insert(PROTOCOL, value(protocol)?);
    }
    Ok(agreed)
}

/// Speaks WebSocket over a connection that has agreed to it.
pub async fn serve<S>(stream: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(READ)
        .max_write_buffer_size(WAITING)
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: &'static str, key: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION, HeaderValue::from_static(version));
        headers.insert(KEY, HeaderValue::from_static(key));
        headers
    }

    #[test]
    fn agreeing_is_as_the_rfc_shows_it() {
        let agreed = agree(&asked("13", "dGhlIHNhbXBsZSBub25jZQ=="), "v5.channel.k8s.io").expect("agrees");
        assert_eq!(agreed[ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(
            (&agreed["upgrade"], &agreed[PROTOCOL]),
            (&"websocket".parse().expect("one"), &"v5.channel.k8s.io".parse().expect("one"))
        );
        assert!(agree(&asked("8", "dGhlIHNhbXBsZSBub25jZQ=="), "").is_err());
        assert!(agree(&asked("13", "c2hvcnQ="), "").is_err());
    }
}

//! WebSockets by hand (RFC 6455): a handshake, and text frames.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::sockets::connect;

/// What a client sends to open one.
pub(crate) fn handshake(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: grape\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// An open WebSocket.
pub(crate) async fn open(from: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let mut stream = connect(from, to).await?;
    stream.write_all(handshake("/", "").as_bytes()).await?;
    let mut head = [0; 1024];
    let length = timeout(Duration::from_secs(10), stream.read(&mut head)).await??;
    let told = String::from_utf8_lossy(&head[..length]);
    ensure!(told.starts_with("HTTP/1.1 101"), "no WebSocket: {told}");
    Ok(stream)
}

/// A text frame of a client, of at most 65,535 bytes. Its mask is zero, which leaves the text as it is.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

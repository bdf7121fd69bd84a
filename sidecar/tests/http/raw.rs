//! A client that sends raw bytes, and reads answers one by one.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::grapes::SOON;

/// A connection.
pub(crate) struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// Whether the answer says that it is the last on its connection.
    pub(crate) fn closes(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nconnection: close")
    }
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// A connection that was made already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends what may not be taken to its end.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        let _ = timeout(SOON, self.stream.write_all(bytes)).await;
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn end(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Response {
        self.send(request("POST", path, body)).await;
        self.response().await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: grape\r\n\r\n")).await;
        self.response().await
    }

    /// Reads an answer with a `Content-Length`, or without a body.
    pub(crate) async fn response(&mut self) -> Response {
        let head = self.head().await;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        while self.read.len() < length.unwrap_or(0) {
            assert!(self.fill().await, "the answer should be whole: {head}");
        }
        let body = self.read.drain(..length.unwrap_or(0)).collect();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head, body: String::from_utf8(body).unwrap() }
    }

    /// Reads an answer that may be long in coming, and after which the connection ends.
    pub(crate) async fn patiently(&mut self) -> Response {
        while self.read.is_empty() && self.stream.read_buf(&mut self.read).await.unwrap_or(0) > 0 {}
        self.response().await
    }

    /// Reads an answer's head.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Reads up to a text, and returns all until its end.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.read.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                return String::from_utf8(self.read.drain(..at + text.len()).collect()).unwrap();
            }
            let read = String::from_utf8_lossy(&self.read).into_owned();
            assert!(self.fill().await, "{text:?} should come after {read:?}");
        }
    }

    /// Reads to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        while self.fill().await {}
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> bool {
        let read = timeout(SOON, self.stream.read_buf(&mut self.read)).await;
        read.expect("something should come soon").unwrap_or(0) > 0
    }
}

/// A request with a body.
pub(crate) fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: grape\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

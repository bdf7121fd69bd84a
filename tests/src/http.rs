//! HTTP/1 requests as they are, byte by byte: also those that no decent client would send.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;

/// A request. [`Request::bytes`] is what goes over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, as it is sent.
    pub method: String,
    /// The path, as it is sent.
    pub path: String,
    /// Headers beside `host` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body; without one there is no `content-length` either.
    pub body: Option<Vec<u8>>,
    /// What is sent after all that: chunks, or too much.
    pub trailing: Vec<u8>,
}

impl Request {
    /// A POST of a body, as Grenache's clients send it.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = Some(body.into());
        Self { headers, body, ..Self::get(path) }.method("POST")
    }

    /// A GET without a body.
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            trailing: Vec::new(),
        }
    }

    /// The same with another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: grape\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes.extend_from_slice(&self.trailing);
        bytes
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A connection, on which requests follow each other.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When no server listens there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = timeout(ANSWER_TIMEOUT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        timeout(ANSWER_TIMEOUT, self.stream.write_all(bytes)).await.context("nobody reads")??;
        Ok(())
    }

    /// Reads the next answer. `to_head` is for the answer to a HEAD, which has no body.
    ///
    /// # Errors
    /// When there is none in 30 s, or it is not HTTP/1.
    pub async fn reply(&mut self, to_head: bool) -> Result<Reply> {
        timeout(ANSWER_TIMEOUT, self.read_reply(to_head))
            .await
            .map_err(|_| anyhow!("no answer in {ANSWER_TIMEOUT:?}, only {:?}", self.text()))?
    }

    /// Whether the other side closes, within 30 s and without another byte.
    ///
    /// # Errors
    /// When it sends something instead, or nothing at all.
    pub async fn closes(&mut self) -> Result<()> {
        let mut byte = [0];
        match timeout(ANSWER_TIMEOUT, self.stream.read(&mut byte)).await {
            Ok(Ok(0) | Err(_)) => Ok(()),
            Ok(Ok(_)) => bail!("more bytes instead of the end"),
            Err(_) => bail!("still open after {ANSWER_TIMEOUT:?}"),
        }
    }

    async fn read_reply(&mut self, to_head: bool) -> Result<Reply> {
        loop {
            let mut reply = self.read_head().await?;
            // An interim answer (100 Continue) goes before the real one.
            if reply.status >= 200 {
                if !to_head {
                    let body = self.read_body(&reply).await?;
                    reply.body = String::from_utf8_lossy(&body).into_owned();
                }
                return Ok(reply);
            }
        }
    }

    async fn read_head(&mut self) -> Result<Reply> {
        let end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at;
            }
            ensure!(self.read.len() < MAX_HEAD, "a head without end: {:?}", self.text());
            ensure!(self.more().await?, "closed instead of an answer: {:?}", self.text());
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let status = status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let status = status.and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("not HTTP/1: {head:?}"))?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Reply { status, headers, body: String::new() })
    }

    async fn read_body(&mut self, reply: &Reply) -> Result<Vec<u8>> {
        if reply.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            return self.read_chunks().await;
        }
        if let Some(length) = reply.header("content-length") {
            return self.take(length.parse()?).await;
        }
        if matches!(reply.status, 204 | 304) {
            return Ok(Vec::new());
        }
        while self.more().await? {}
        Ok(std::mem::take(&mut self.read))
    }

    async fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = find(&self.read, b"\r\n") {
                    break at;
                }
                ensure!(self.more().await?, "closed within a chunk");
            };
            let line: Vec<u8> = self.read.drain(..end + 2).collect();
            let size = String::from_utf8_lossy(&line[..end]).into_owned();
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
            let chunk = self.take(size + 2).await?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.read.len() < length {
            ensure!(self.more().await?, "closed after {} of {length} bytes", self.read.len());
        }
        Ok(self.read.drain(..length).collect())
    }

    async fn more(&mut self) -> Result<bool> {
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// When there is no answer in 30 s.
pub async fn send(address: SocketAddr, request: &Request) -> Result<Reply> {
    let mut connection = Connection::open(address).await?;
    // A server that refuses a long body may stop reading; its answer counts all the same.
    let sent = connection.send(&request.bytes()).await;
    let reply = connection.reply(request.method == "HEAD").await;
    reply.with_context(|| format!("{} {} (sent: {sent:?})", request.method, request.path))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

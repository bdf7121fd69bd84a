//! What a client sends: heads, bodies, and frames of a WebSocket.

use arbitrary::{Result, Unstructured};
use grape_fuzz::made;

/// Most pieces of one connection.
const PIECES: usize = 4;
/// Most headers of one request.
const HEADERS: usize = 6;

const METHODS: &[&str] =
    &["GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "CONNECT", "PATCH", "G@T"];

const TARGETS: &[&str] = &[
    "/",
    "/lookup",
    "/announce",
    "/withdraw",
    "/put",
    "/get",
    "/_lookup",
    "/-Put",
    "/healthz",
    "/readyz",
    "/status",
    "/status?brief=1",
    "/metrics",
    "/openapi.json",
    "/watch?name=rpc_test",
    "/watch",
    "/drain",
    "/introduce",
    "/gossip",
    "/gossip/",
    "/gossip/workers",
    "/gossip/workers/peers",
    "/gossip/workers/keys/a",
    "/gossip/workers/keys/%61%00",
    "/gossip/workers/events",
    "/gossip/grapecluster/peers",
    "/gossip/%ff/keys/%",
    "*",
    "http://127.0.0.1/lookup",
    "http://evil.example/lookup",
    "127.0.0.1:1",
    "/%",
    "//",
    "/lookup?x#y",
];

const HEADER_LINES: &[&str] = &[
    "Host: localhost",
    "Host: 127.0.0.1:30001",
    "Host: [::1]",
    "Content-Type: application/json",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Connection: close",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: cors",
    "Access-Control-Request-Method: POST",
    "Content-Length: 3",
    "Content-Length: 99999999999",
    "Content-Length: -1",
    "Accept: text/event-stream",
    "If-None-Match: \"a\"",
    "X: \u{e9}",
    "Accept-Encoding: gzip",
    "Last-Event-ID: 7",
];

/// What browsers say of pages of others.
const FOREIGN: &[&str] = &[
    "Host: evil.example",
    "Host: evil.example:30001",
    "Origin: http://evil.example",
    "Origin: null",
    "Sec-Fetch-Site: cross-site",
];

/// Keys and values of bodies.
const WORDS: &[&str] = &[
    "rid",
    "data",
    "rpc_test",
    "v",
    "k",
    "seq",
    "sig",
    "salt",
    "cas",
    "key",
    "hash",
    "target",
    "1337",
    "",
    "peers",
    "addresses",
    "nodes",
    "127.0.0.1:20001",
    "[::1]:1",
    "ttl",
    "value",
    "port",
    "name",
    "lookup",
    "announce",
    "put",
    "get",
    "withdraw",
    "e5f96f6f38320f0f33959cb4d3d656452117aadb",
    "workers",
];

/// The bytes of a connection.
pub struct Sent {
    pub bytes: Vec<u8>,
    /// Its first request is one of a web page of others.
    pub is_foreign: bool,
}

/// A connection of libFuzzer's choice.
///
/// # Errors
/// Never; `arbitrary`'s functions could.
pub fn connection(u: &mut Unstructured<'_>) -> Result<Sent> {
    let mut sent = Sent { bytes: Vec::new(), is_foreign: false };
    for piece in 0..PIECES {
        if u.is_empty() {
            break;
        }
        match u.int_in_range(0..=7)? {
            0..=4 => {
                let is_foreign = request(&mut sent.bytes, u)?;
                sent.is_foreign |= piece == 0 && is_foreign;
            }
            5 => upgrade(&mut sent.bytes),
            6 => frame(&mut sent.bytes, u)?,
            _ => sent.bytes.extend(u.arbitrary::<Vec<u8>>()?),
        }
    }
    Ok(sent)
}

/// Whether it is one of a web page of others.
fn request(out: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Result<bool> {
    let target: String =
        if u.ratio(1, 12)? { u.arbitrary()? } else { (*u.choose(TARGETS)?).into() };
    let line = format!("{} {target} HTTP/1.{}\r\n", u.choose(METHODS)?, u8::from(u.ratio(9, 10)?));
    out.extend(line.bytes());
    let mut is_foreign = false;
    if u.ratio(9, 10)? {
        out.extend(b"Host: localhost\r\n");
    }
    for _ in 0..u.int_in_range(0..=HEADERS)? {
        if u.ratio(1, 8)? {
            is_foreign = true;
            out.extend(u.choose(FOREIGN)?.bytes());
        } else {
            out.extend(u.choose(HEADER_LINES)?.bytes());
        }
        out.extend(b"\r\n");
    }
    let body = body(u)?;
    if u.ratio(7, 8)? {
        out.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    out.extend(b"\r\n");
    out.extend(body);
    Ok(is_foreign)
}

fn body(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let value = made(u, WORDS, 3)?;
    Ok(match u.int_in_range(0..=6)? {
        0 => Vec::new(),
        1 => u.arbitrary()?,
        2 => value.to_string().into_bytes(),
        // As the chunks of a body.
        3 => {
            let text = value.to_string();
            format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).into_bytes()
        }
        _ => format!("{{\"rid\": \"a\", \"data\": {value}}}").into_bytes(),
    })
}

fn upgrade(out: &mut Vec<u8>) {
    out.extend(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
}

/// A frame of a WebSocket (RFC 6455), its mask zero.
fn frame(out: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Result<()> {
    let payload = match u.int_in_range(0..=3)? {
        0 => u.arbitrary()?,
        _ => {
            let verb = u.choose(WORDS)?;
            format!("[\"a\", \"{verb}\", {}]", made(u, WORDS, 3)?).into_bytes()
        }
    };
    let first = if u.ratio(3, 4)? { 0x81 } else { u.arbitrary()? };
    out.push(first);
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => out.push(0x80 | length),
        _ => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    Ok(())
}

//! The server, asked by a client of one's own.

use std::net::{Ipv4Addr, SocketAddr};

use http::Response;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use jiff::Timestamp;
use rstest::rstest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::metrics::Metrics;
use crate::webhook::certificates::bundle::Bundle;
use crate::webhook::certificates::cert_resolver::CertResolver;
use crate::webhook::certificates::decide::{CertSpec, Next, renew};

struct Server {
    address: SocketAddr,
    bundle: Bundle,
    asked: CancellationToken,
    stop: CancellationToken,
    /// Answers are held back while it is false.
    open: watch::Sender<bool>,
    ended: JoinHandle<()>,
}

/// One that answers with how many bytes it was sent.
async fn server() -> Server {
    let names = vec!["localhost".to_owned()];
    let spec = CertSpec { names, life: Duration::from_secs(3600) };
    let bundle = renew(None, Next::All, &spec, Timestamp::now()).unwrap();
    let resolver = CertResolver::new(Arc::new(Metrics::new().unwrap()));
    resolver.serve(bundle.certificate.as_bytes(), bundle.key.as_bytes()).unwrap();
    let tls = TlsAcceptor::from(Arc::new(resolver.config().unwrap()));
    let listener = grape::http::bind(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, stop) = (CancellationToken::new(), CancellationToken::new());
    let open = watch::Sender::new(true);
    let opened = open.clone();
    let answer = move |body: Bytes| {
        let mut opened = opened.subscribe();
        async move {
            opened.wait_for(|open| *open).await.unwrap();
            text(StatusCode::OK, body.len().to_string())
        }
    };
    let ended = tokio::spawn(serve(
        listener,
        tls,
        answer,
        Stop { asked: asked.clone(), end: stop.clone() },
    ));
    Server { address, bundle, asked, stop, open, ended }
}

impl Server {
    async fn connect(&self, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.bundle.authorities.as_bytes()).unwrap())
            .unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// The status and the text of an answer by HTTP/2.
    async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> (u16, String) {
        let stream = self.connect("h2").await.unwrap();
        let (mut client, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        read(client.send_request(request(method, path, body)).await.unwrap()).await
    }
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let uri = format!("https://localhost{path}");
    Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
}

async fn read(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[rstest]
#[case(Method::POST, "/inject", 12, 200, "12\n")]
#[case(Method::POST, "/inject?timeout=5s", 0, 200, "0\n")]
#[case(Method::POST, "/inject", MAX_BODY, 200, "3145728\n")]
#[case(Method::POST, "/inject", MAX_BODY + 1, 413, "a review may have 3 MiB at most\n")]
#[case(Method::GET, "/inject", 0, 405, "only POST\n")]
#[case(Method::POST, "/", 0, 404, "not found\n")]
#[tokio::test]
async fn reviews_are_posted(
    #[case] method: Method,
    #[case] path: &str,
    #[case] size: usize,
    #[case] status: u16,
    #[case] text: &str,
) {
    let answer = server().await.ask(method, path, vec![b'x'; size]).await;
    assert_eq!(answer, (status, text.to_owned()));
}

#[tokio::test]
async fn a_replica_says_whether_it_is_about_to_end() {
    let server = server().await;
    assert_eq!(server.ask(Method::GET, SERVING, Vec::new()).await, (200, "ok\n".to_owned()));
    server.asked.cancel();
    let answer = server.ask(Method::GET, SERVING, Vec::new()).await;
    assert_eq!(answer, (503, "stopping\n".to_owned()));
    let review = server.ask(Method::POST, PATH, b"abc".to_vec()).await;
    assert_eq!(review, (200, "3\n".to_owned()), "it still answers");
}

#[tokio::test]
async fn whoever_knows_no_http_2_is_answered_and_again_after_a_pause() {
    let server = server().await;
    let stream = server.connect("http/1.1").await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for size in [3, 5] {
        let answer = client.send_request(request(Method::POST, PATH, vec![0; size])).await.unwrap();
        assert_eq!(read(answer).await, (200, format!("{size}\n")));
        sleep(READ_TIMEOUT + Duration::from_secs(1)).await;
    }
}

/// Of an unknown length, in chunks.
#[tokio::test]
async fn a_body_beyond_measure_is_refused_while_it_comes() {
    let server = server().await;
    let mut stream = server.connect("http/1.1").await.unwrap();
    stream
        .write_all(b"POST /inject HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..=MAX_BODY / 0x10000 {
        // It may hang up before it has read all.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn those_who_say_nothing_are_hung_up_on() {
    let server = server().await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut idle = server.connect("http/1.1").await.unwrap();
    idle.write_all(b"POST /inject HTTP/1.1\r\n").await.unwrap();
    let (mut old, mut new) =
        (server.connect("http/1.1").await.unwrap(), server.connect("h2").await.unwrap());
    let mut some = [0; 64];
    assert!(matches!(silent.read(&mut some).await, Ok(0) | Err(_)));
    for quiet in [&mut idle, &mut old] {
        assert!(matches!(quiet.read(&mut some).await, Ok(0) | Err(_)));
    }
    // It is told the settings first.
    while !matches!(new.read(&mut some).await, Ok(0) | Err(_)) {}
    let took = began.elapsed();
    assert!(took >= READ_TIMEOUT && took < 4 * READ_TIMEOUT, "{took:?}");
}

/// Who has opened a connection by HTTP/2 may keep it for later. It is told before that is closed, and
/// what it has asked by then is answered.
#[tokio::test]
async fn who_says_nothing_by_http_2_is_told_so() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let server = server().await;
    let mut stream = server.connect("h2").await.unwrap();
    stream
        .write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &SETTINGS].concat())
        .await
        .unwrap();
    while frame(&mut stream).await.0 != GOAWAY {}
    // GET https://a/serving, of RFC 7541's static table: the first stream, which ends with its head.
    let head = [b"\x82\x87\x41\x01a\x04\x08".as_slice(), SERVING.as_bytes()].concat();
    let length = u8::try_from(head.len()).unwrap();
    stream
        .write_all(&[&[0, 0, length, HEADERS, 5, 0, 0, 0, 1], head.as_slice()].concat())
        .await
        .unwrap();
    let answer = loop {
        let (kind, content) = frame(&mut stream).await;
        if kind == HEADERS {
            break content;
        }
    };
    assert_eq!(answer[0], 0x88, "200");
}

/// Types of frames (RFC 9113).
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;

/// The next frame of HTTP/2: its type, and what is in it.
async fn frame(stream: &mut TlsStream<TcpStream>) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut content = vec![0; length as usize];
    stream.read_exact(&mut content).await.unwrap();
    (head[3], content)
}

/// Told to end, it is there until nobody is sent to it any more, and finishes what it began.
#[tokio::test]
async fn it_ends_when_nobody_waits_for_it() {
    let server = server().await;
    let stream = server.connect("h2").await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    server.open.send_replace(false);
    let held = client.send_request(request(Method::POST, PATH, vec![0; 7]));
    let held = tokio::spawn(held);
    let began = Instant::now();
    server.stop.cancel();
    sleep(LINGER / 2).await;
    server.open.send_replace(true);
    assert_eq!(server.ask(Method::POST, PATH, vec![0; 2]).await, (200, "2\n".to_owned()));
    server.open.send_replace(false);
    let late = client.send_request(request(Method::POST, PATH, vec![0; 9]));
    let late = tokio::spawn(late);
    sleep(LINGER).await;
    assert!(TcpStream::connect(server.address).await.is_err());
    server.open.send_replace(true);
    assert_eq!(read(held.await.unwrap().unwrap()).await, (200, "7\n".to_owned()));
    assert_eq!(read(late.await.unwrap().unwrap()).await, (200, "9\n".to_owned()));
    server.ended.await.unwrap();
    assert!(began.elapsed() >= LINGER);
}

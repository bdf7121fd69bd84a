//! Asks a port or a URL once: for a second at most, and without a task that outlives it.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::health::ProbeOutcome;
use super::ready_when::{Question, ReadyWhen};
use crate::http::outgoing;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The system's error where it knows no IPv6; the standard library has no kind for it.
const EAFNOSUPPORT: i32 = 97;

/// Whether something takes connections at a port of this host: at the first of these addresses where
/// it does not refuse them.
pub(super) async fn port(addresses: &[IpAddr], port: u16) -> ProbeOutcome {
    let mut outcome = ProbeOutcome::Undecided;
    for ip in addresses {
        match address(SocketAddr::new(*ip, port)).await {
            Some(ProbeOutcome::No) => outcome = ProbeOutcome::No,
            Some(other) => return other,
            None => {}
        }
    }
    outcome
}

/// Whether something takes connections at an address; none where this host has no such address.
async fn address(address: SocketAddr) -> Option<ProbeOutcome> {
    match timeout(ANSWER_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Some(ProbeOutcome::Yes),
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(ProbeOutcome::No),
            io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable => None,
            _ if error.raw_os_error() == Some(EAFNOSUPPORT) => None,
            // Not the service's doing: too many open files, say.
            _ => Some(ProbeOutcome::Undecided),
        },
        // Its queue is full: it is busy.
        Err(_) => Some(ProbeOutcome::Undecided),
    }
}

/// Asks a URL.
///
/// # Errors
/// When it does not say yes: what it says.
pub(super) async fn url(asked: &ReadyWhen) -> Result<(), String> {
    let answer = async {
        match &asked.question {
            Question::Connects => connects(asked).await,
            Question::Answers(path) => match get(asked, path).await {
                Ok(status) if status.is_success() || status.is_redirection() => Ok(()),
                Ok(status) => Err(format!("{asked} answers {status}")),
                Err(error) => Err(failed(asked, &error)),
            },
        }
    };
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(asked, &format!("no answer in {ANSWER_TIMEOUT:?}"))),
    }
}

async fn connects(asked: &ReadyWhen) -> Result<(), String> {
    let connected = TcpStream::connect((&*asked.host, asked.port)).await;
    connected.map(drop).map_err(|error| failed(asked, &error))
}

async fn get(
    asked: &ReadyWhen,
    path: &str,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = outgoing::open(&asked.host, asked.port).await?;
    let v6 = asked.host.contains(':');
    let host = if v6 { format!("[{}]", asked.host) } else { asked.host.clone() };
    let request = Request::get(path)
        .header(HOST, format!("{host}:{}", asked.port))
        .header(USER_AGENT, concat!("grape/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer?,
        // The answer may have come with the connection's end.
        _ = connection => answer.await?,
    };
    Ok(answer.status())
}

fn failed(asked: &ReadyWhen, error: &dyn Display) -> String {
    format!("{asked}: {error}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_port_answers_or_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let addresses = ["127.0.0.2".parse().unwrap(), address.ip()];
        assert_eq!(port(&addresses, address.port()).await, ProbeOutcome::Yes);
        assert_eq!(port(&addresses[..1], address.port()).await, ProbeOutcome::No);
        drop(listener);
        assert_eq!(port(&addresses, address.port()).await, ProbeOutcome::No);
        assert_eq!(port(&[], address.port()).await, ProbeOutcome::Undecided);
    }

    #[tokio::test]
    async fn a_host_without_ipv6_is_no_reason_to_doubt_a_refusal() {
        let (socket, here) = {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let here = socket.local_addr().unwrap();
            (socket, here)
        };
        // Without its interface's name, an address of a link is one of no host.
        let nowhere = "fe80::1".parse().unwrap();
        assert_eq!(address(SocketAddr::new(nowhere, here.port())).await, None);
        assert_eq!(port(&[here.ip(), nowhere], here.port()).await, ProbeOutcome::No);
        drop(socket);
    }

    #[tokio::test]
    async fn a_service_that_accepts_nothing_is_busy_and_not_gone() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) =
            timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            waiting.push(stream);
        }
        assert_eq!(port(&[address.ip()], address.port()).await, ProbeOutcome::Undecided);
    }

    #[rstest]
    #[case("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(()))]
    #[case("HTTP/1.1 204 No Content\r\n\r\n", Ok(()))]
    #[case("HTTP/1.0 200 OK\r\n\r\n", Ok(()))]
    #[case("HTTP/1.1 302 Found\r\nLocation: /other\r\nConnection: close\r\n\r\n", Ok(()))]
    #[case("HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\nnever whole", Ok(()))]
    #[case("HTTP/1.1 404 Not Found\r\n\r\n", Err("answers 404 Not Found"))]
    #[case("HTTP/1.1 503 Service Unavailable\r\n\r\n", Err("answers 503 Service Unavailable"))]
    #[case("SSH-2.0\r\n", Err("invalid HTTP version parsed"))]
    #[case("", Err("connection closed before message completed"))]
    #[tokio::test]
    async fn a_url_says_yes_by_its_status(
        #[case] answer: &'static str,
        #[case] expected: Result<(), &str>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asked = format!("http://{}/healthz?a=b", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap().to_ascii_lowercase()
        });
        let got = url(&asked.parse().unwrap()).await;
        match expected {
            Ok(()) => assert_eq!(got, Ok(())),
            Err(part) => {
                let error = got.unwrap_err();
                assert!(error.starts_with(&asked) && error.contains(part), "{error}");
            }
        }
        let request = server.await.unwrap();
        assert!(request.starts_with("get /healthz?a=b http/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nhost: 127.0.0.1:"), "{request}");
    }

    #[rstest]
    #[tokio::test]
    async fn silence_is_no(#[values("http", "https", "tcp")] scheme: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asked: ReadyWhen =
            format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
        // The system takes the connection; a URL of http wants an answer too.
        let outcome = url(&asked).await;
        assert_eq!(outcome.is_ok(), scheme != "http", "{outcome:?}");
        drop(listener);
        let error = url(&asked).await.unwrap_err();
        assert!(error.to_lowercase().contains("refused"), "{error}");
    }
}

//! A name server for tests, in a namespace where port 53 is ours: A records of 127.0.0.1.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::process::Command;

/// What is answered for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// 127.0.0.1.
    Localhost,
    /// It does not exist.
    Missing,
    /// Nothing.
    Silence,
}

/// What is answered for which name.
type Answers = Box<dyn Fn(&str) -> Answer + Send>;

/// A name server that runs until the test ends. What it answers may change.
pub(super) struct NameServer {
    answer: Arc<Mutex<Answers>>,
}

impl NameServer {
    /// Answers at this address, port 53.
    pub(super) async fn start(ip: &str, answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let address: SocketAddr = format!("{ip}:53").parse().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        let server = Self { answer: Arc::new(Mutex::new(Box::new(answer))) };
        let answer = Arc::clone(&server.answer);
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let query = &buffer[..length];
                let answer = answer.lock().unwrap()(&name(query));
                if answer != Answer::Silence {
                    socket.send_to(&reply(query, answer), from).await.unwrap();
                }
            }
        });
        server
    }

    /// From now on it answers so.
    pub(super) fn answers(&self, answer: impl Fn(&str) -> Answer + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }
}

/// Has this namespace's resolver ask these name servers, in order. Ends with the namespace.
pub(super) async fn resolve_through(ips: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let servers: String = ips.iter().map(|ip| format!("nameserver {ip}\n")).collect();
    for (name, text) in [("resolv.conf", servers.as_str()), ("nsswitch.conf", "hosts: files dns\n")]
    {
        let ours = directory.path().join(name);
        fs::write(&ours, text).unwrap();
        let theirs = format!("/etc/{name}");
        let mounted = Command::new("mount").arg("--bind").arg(&ours).arg(&theirs).status().await;
        assert!(mounted.unwrap().success(), "{theirs} cannot be replaced");
    }
    directory
}

/// The name in a query's question (RFC 1035, 4.1.2).
fn name(query: &[u8]) -> String {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    labels.join(".")
}

fn reply(query: &[u8], answer: Answer) -> Vec<u8> {
    const A: [u8; 2] = [0, 1];
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let found = answer == Answer::Localhost && query[end - 4..end - 2] == A;
    let code = if answer == Answer::Missing { 3 } else { 0 };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    reply.extend(&query[12..end]);
    if found {
        // The name of the question, A, IN, a TTL of 0 s, 4 bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    reply
}

//! More connections than there may be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use socket2::{Domain, Socket, Type};

/// A Grape that may have few files open, stopped when dropped.
struct Limited {
    child: Child,
    api: SocketAddr,
    admin: SocketAddr,
}

impl Limited {
    fn start(files: u32) -> Self {
        let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_grape")]);
        // On all addresses: from others than 127.0.0.1 a client counts as another host.
        command
            .args("--dht-bind 127.0.0.1 --dp 0 --aph 0 --bn= --admin-bind 127.0.0.1:0".split(' '));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains(" ready ") {
            assert_ne!(log.read_line(&mut told).unwrap(), 0, "{told}");
        }
        let port = |of: &str| {
            let (_, rest) = told.split_once(of).unwrap_or_else(|| panic!("{told}"));
            let address = rest.split([' ', ',', '\n', '/']).next().unwrap();
            let port = address.rsplit(':').next().unwrap().parse().unwrap();
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { child, api: port("API at http://"), admin: port("admin pages at http://") }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection from this address of the host.
fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// The first line of the answer.
fn healthz(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Connections that are idle, that do not finish their head, and whose body does not come.
#[rstest]
#[case::idle("")]
#[case::heads("GET /healthz HTTP/1.1\r\nHost: ")]
#[case::bodies("POST /lookup HTTP/1.1\r\nHost: grape\r\nContent-Length: 20\r\n\r\n{")]
fn a_new_client_is_served_beside_more_connections_than_files(#[case] sent: &str) {
    let grape = Limited::start(256);
    let mut crowd = Vec::new();
    for n in 0..600 {
        let mut stream = connect([127, 0, 0, 2], grape.api);
        // One that was closed to make room takes nothing any more.
        let _ = stream.write_all(sent.as_bytes());
        crowd.push(stream);
        if n % 100 == 99 {
            assert_eq!(healthz(connect([127, 0, 0, 3], grape.api)), "HTTP/1.0 200 OK");
            assert_eq!(healthz(connect([127, 0, 0, 1], grape.admin)), "HTTP/1.0 200 OK");
        }
    }
    let mut told = String::new();
    let mut metrics = connect([127, 0, 0, 1], grape.admin);
    metrics.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    metrics.read_to_string(&mut told).unwrap();
    let of = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert!(of("grape_api_connections") <= 129, "{told}");
    assert!(of("grape_api_connections_crowded_out_total") >= 400, "{told}");
}

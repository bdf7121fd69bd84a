//! The log, and its readers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Stdio};
use std::time::Duration;

use grape::clock;
use nix::pty::{OpenptyResult, openpty};
use rstest::rstest;

use crate::command::{command, send};
use crate::grapes::SOON;

/// A Grape whose log goes into a pipe that was full from the start.
struct Unread {
    child: Child,
    api: SocketAddr,
    log: BufReader<std::io::PipeReader>,
}

/// Fills a pipe, and gives its ends.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let size = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap();
    writer.write_all(&vec![b'\n'; usize::try_from(size).unwrap()]).unwrap();
    (reader, writer)
}

fn unread() -> Unread {
    let (reader, writer) = full_pipe();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let args = format!("--bind 127.0.0.1 --dht-bind 127.0.0.1 --dp {port} --aph {port} --bn=");
    let args: Vec<_> = args.split(' ').collect();
    let child = command(&args).stderr(Stdio::from(writer)).spawn().unwrap();
    let api = SocketAddr::from(([127, 0, 0, 1], port));
    Unread { child, api, log: BufReader::new(reader) }
}

/// The API's answer to a request; `None` if it does not listen yet.
fn asked(api: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(api).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "{request}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    Some(answer)
}

fn get(api: SocketAddr, path: &str) -> Option<String> {
    asked(api, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

impl Unread {
    fn until_it_answers(&self) {
        let end = clock::now() + SOON;
        while get(self.api, "/healthz").is_none() {
            assert!(clock::now() < end, "the Grape does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has it log lines: it logs each drain on request.
    fn log_lines(&self, count: usize) {
        let request = "POST /drain HTTP/1.0\r\ncontent-length: 9\r\n\r\n{\"rid\":1}";
        for _ in 0..count {
            let answer = asked(self.api, request).unwrap();
            assert!(answer.contains("200 OK"), "{answer}");
        }
    }

    fn dropped(&self) -> f64 {
        let page = get(self.api, "/metrics").unwrap();
        let name = "process_log_lines_dropped_total ";
        page.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
    }
}

/// Lines that are more than a pipe holds, and the Grape beside it: each has some 120 bytes.
const MANY: usize = 2_500;

#[test]
fn a_log_without_a_reader_holds_up_neither_the_api_nor_the_dht() {
    let mut grape = unread();
    let started = clock::now();
    grape.until_it_answers();
    grape.log_lines(MANY);
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.set_read_timeout(Some(SOON)).unwrap();
    datagrams
        .send_to(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t1:t1:y1:qe", grape.api)
        .unwrap();
    datagrams.recv(&mut [0; 1500]).expect("a pong");
    let took = started.elapsed().as_secs_f64();
    writeln!(std::io::stderr(), "figure: 13: {MANY} lines that nobody reads: {took:.1} s").unwrap();
    let dropped = grape.dropped();
    assert!(dropped > 0.0);

    // The reader is back, and gets the number of lines that it missed.
    let mut line = String::new();
    while !line.contains("log lines were dropped: the reader of the log did not keep up") {
        line.clear();
        assert_ne!(grape.log.read_line(&mut line).unwrap(), 0, "the log ends");
    }
    assert!(line.contains(&format!("{dropped} log lines were dropped")), "{line}");
    send("TERM", &grape.child);
    let mut rest = String::new();
    grape.log.read_to_string(&mut rest).unwrap();
    assert!(grape.child.wait().unwrap().success());
    assert!(rest.contains("drained"), "the last lines are there: {rest}");
}

#[rstest]
#[test]
fn a_grape_whose_log_has_no_reader_is_drained_and_ends(#[values(0, MANY)] lines: usize) {
    let mut grape = unread();
    grape.until_it_answers();
    grape.log_lines(lines);
    let stopped = clock::now();
    send("TERM", &grape.child);
    let end = stopped + SOON;
    let status = loop {
        if let Some(status) = grape.child.try_wait().unwrap() {
            break status;
        }
        if clock::now() > end {
            grape.child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn a_log_whose_reader_is_gone_holds_up_nothing() {
    let grape = unread();
    drop(grape.log);
    let mut grape = Unread { log: BufReader::new(full_pipe().0), ..grape };
    grape.until_it_answers();
    grape.log_lines(10);
    // Nothing is written on and on.
    let spent = || {
        let page = get(grape.api, "/metrics").unwrap();
        let of = |line: &str| line.strip_prefix("process_cpu_seconds_total ")?.parse::<f64>().ok();
        page.lines().find_map(of).unwrap()
    };
    let before = spent();
    std::thread::sleep(Duration::from_secs(1));
    assert!(spent() - before < 0.5, "it spins");
    assert!(grape.dropped() >= 10.0);
    send("TERM", &grape.child);
    assert!(grape.child.wait().unwrap().success());
}

#[test]
fn a_grape_that_cannot_start_ends_without_a_reader_of_its_log() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (reader, writer) = full_pipe();
    let args = ["--bind", "127.0.0.1", "--dp", "0", "--aph", &port];
    let mut child = command(&args).stderr(Stdio::from(writer)).spawn().unwrap();
    let end = clock::now() + SOON;
    while child.try_wait().unwrap().is_none() {
        assert!(clock::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(child.wait().unwrap().code(), Some(2));
    drop(reader);
}

/// What a Grape logs on a terminal until it is ready.
fn on_a_terminal(variables: &[(&str, &str)]) -> String {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let args = "--bind 127.0.0.1 --dht-bind 127.0.0.1 --dp 0 --aph 0 --bn=";
    let mut grape = command(&args.split(' ').collect::<Vec<_>>());
    // A continuous integration shows colours, and says so by `CI`.
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        grape.env_remove(variable);
    }
    grape.env("TERM", "xterm").envs(variables.iter().copied()).stderr(Stdio::from(slave));
    let mut child = grape.spawn().unwrap();
    let mut log = BufReader::new(File::from(master));
    let mut told = String::new();
    while !told.contains("ready") {
        assert_ne!(log.read_line(&mut told).unwrap(), 0, "{told}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

#[rstest]
#[case(&[], true)]
#[case(&[("NO_COLOR", "")], true)]
#[case(&[("NO_COLOR", "1")], false)]
#[case(&[("NO_COLOR", "0")], false)]
#[case(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false)]
#[case(&[("CLICOLOR", "0")], false)]
#[case(&[("TERM", "dumb")], false)]
#[case(&[("TERM", "dumb"), ("CI", "true")], true)]
#[case(&[("GRAPE_LOG_FORMAT", "json")], false)]
#[test]
fn a_terminal_has_colours_by_default(#[case] variables: &[(&str, &str)], #[case] coloured: bool) {
    let log = on_a_terminal(variables);
    assert_eq!(log.contains('\u{1b}'), coloured, "{log:?}");
}

/// A Grape with these flags beside those for its ports, and its log.
fn logging(flags: &[&str]) -> (Child, SocketAddr, BufReader<std::process::ChildStderr>) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port_text = port.to_string();
    let ports = ["--dht-bind", "127.0.0.1", "--dp", "0", "--bn=", "--aph", &port_text];
    let mut child = command(&[&ports, flags].concat()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    (child, SocketAddr::from(([127, 0, 0, 1], port)), log)
}

/// Reads until a line has this.
fn line_with(log: &mut impl BufRead, wanted: &str) -> String {
    let mut read = String::new();
    loop {
        let start = read.len();
        assert_ne!(log.read_line(&mut read).unwrap(), 0, "no line with {wanted:?} in\n{read}");
        if read[start..].contains(wanted) {
            return read[start..].to_owned();
        }
    }
}

#[rstest]
#[case("/lookup", r#""rpc_test""#, "DEBUG", "lookup name=rpc_test peers=0 source=walk asked=0")]
#[case("/announce", r#"["rpc_test",7001]"#, "DEBUG", "announce name=rpc_test port=7001 holders=0")]
#[case(
    "/withdraw",
    r#"["rpc_test",7001]"#,
    "DEBUG",
    "withdraw name=rpc_test port=7001 withdrawn=Nowhere"
)]
#[case("/put", r#"{"v":"hello"}"#, "DEBUG", "put id=e28910ea0adb94dd45ced75fbff3e135c01bc437")]
#[case(
    "/get",
    r#""e28910ea0adb94dd45ced75fbff3e135c01bc437""#,
    "DEBUG",
    "get id=e28910ea0adb94dd45ced75fbff3e135c01bc437 found=false"
)]
#[case(
    "/announce",
    r#"["rpc_test","7001"]"#,
    "WARN",
    "refused a request; the client may take the answer for success verb=\"announce\""
)]
#[test]
fn requests_can_be_logged(
    #[case] path: &str,
    #[case] data: &str,
    #[case] level: &str,
    #[case] wanted: &str,
) {
    let (mut child, api, mut log) = logging(&["-b", "127.0.0.1", "--log", "grape=debug"]);
    line_with(&mut log, " ready ");
    let body = format!(r#"{{"rid":1,"data":{data}}}"#);
    let head = format!("POST {path} HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len());
    asked(api, &format!("{head}{body}")).unwrap();
    let line = line_with(&mut log, wanted);
    assert!(line.contains(level), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_name_forges_no_line() {
    let (mut child, api, mut log) = logging(&["-b", "127.0.0.1", "--log", "grape=debug"]);
    line_with(&mut log, " ready ");
    let body = r#"{"data":"a\n2026-01-01T00:00:00Z ERROR forged \u001b[31m\u009b31m\u202eb"}"#;
    let head = format!("POST /lookup HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len());
    asked(api, &format!("{head}{body}")).unwrap();
    let line = line_with(&mut log, "forged");
    let name = r"name=a\n2026-01-01T00:00:00Z ERROR forged \u{1b}[31m\u{9b}31m\u{202e}b peers=0";
    assert!(line.contains(name) && line.contains("DEBUG"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The default is npm's, and reaches far.
#[rstest]
#[case::all(&[], true)]
#[case::loopback(&["-b", "127.0.0.1"], false)]
#[case::knowingly_all(&["-b", "0.0.0.0"], false)]
#[test]
fn an_api_on_all_addresses_is_warned_of(#[case] flags: &[&str], #[case] warned: bool) {
    let (mut child, _, mut log) = logging(flags);
    let mut told = String::new();
    while !told.contains(" ready ") {
        assert_ne!(log.read_line(&mut told).unwrap(), 0, "{told}");
    }
    let warns = told.contains("WARN") && told.contains("the API listens on all addresses");
    assert_eq!(warns, warned, "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
}

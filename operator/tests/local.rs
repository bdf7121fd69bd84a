//! `grape-operator local` as people run it: a process, its output, its exit code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;

use grape_local::EXAMPLE;
use nix::fcntl::{FcntlArg, fcntl};
use nix::pty::{OpenptyResult, openpty};

use process::ports::Ports;
use process::{Local, until};

/// A file with one Grape that joins through this port.
fn one_grape_that_joins(port: u16) -> tempfile::NamedTempFile {
    file(&format!(
        "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata:\n  name: other\n\
         spec:\n  replicas: 1\n  dht:\n    bootstrap:\n    - 127.0.0.1:{port}\n"
    ))
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// What a Grape's API answers.
fn ask(port: u16, verb: &str, data: &str) -> String {
    let body = format!(r#"{{"rid":1,"data":{data}}}"#);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /{verb} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n\
         {body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn three_grapes_run_and_find_and_withdraw_a_service() {
    let ports = Ports::take(3);
    let mut local = Local::start(&ports.flags());
    for index in 0..3 {
        let row = local.wait_for(&format!("grape-{index}  http://127.0.0.1:{}", ports.api[index]));
        assert!(row.contains(&format!("127.0.0.1:{}", ports.dht[index])), "{row}");
    }
    local.wait_for(&format!("http://127.0.0.1:{}/announce", ports.api[0]));
    local.wait_for(&format!("http://127.0.0.1:{}/lookup", ports.api[1]));
    local.wait_for(&format!("new Link({{ grape: 'http://127.0.0.1:{}' }})", ports.api[0]));
    local.wait_for("--api-ports 30001,40001,50001");

    assert_eq!(ask(ports.api[0], "announce", r#"["rpc_test",1337]"#), "2");
    for port in &ports.api {
        assert_eq!(ask(*port, "lookup", r#""rpc_test""#), r#"["127.0.0.1:1337"]"#);
    }

    local.signal("TERM");
    local.wait_for("Draining 3 Grapes");
    local.wait_for("grape-0 has withdrawn 1 service.");
    local.wait_for("Stopped.");
    assert_eq!(local.exit_code(), Some(0));
    assert_eq!(local.errors(), "");
}

#[test]
fn a_service_that_was_killed_disappears_from_lookups() {
    let ports = Ports::take(3);
    let mut local = Local::start(&ports.flags());
    local.wait_for("Each service that was announced is tried once a second");
    local.wait_for("Ctrl-C stops the cluster");
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    ask(ports.api[0], "announce", &format!(r#"["rpc_test",{}]"#, address.port()));
    let found = || ask(ports.api[1], "lookup", r#""rpc_test""#);
    assert_eq!(found(), format!("[\"{address}\"]"));
    // A service that never answered may be one that the Grape cannot reach.
    service.set_nonblocking(true).unwrap();
    until("the Grape tries the service", || service.accept().ok());
    drop(service);
    // An announce is valid for two minutes, twice as long as this waits.
    until("the service is found no more", || (found() == "[]").then_some(()));
}

#[test]
fn variables_and_fields_without_effect_are_reported() {
    let file = file(
        "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata: {name: market}\n\
         spec: {paused: true, dht: {bootstrap: [\"192.0.2.1:20001\"]}}\n",
    );
    let mut flags = Ports::take(1).flags();
    flags.extend(["--replicas=1".to_owned(), format!("--file={}", file.path().display())]);
    let variables = [("GRAPE_CHECK_ANNOUNCED", "false"), ("GRAPE_DHT_PORT", "20005")];
    let mut local = Local::start_with(&flags, &variables);
    local.wait_for("Starting 1 Grape of the cluster market.");
    local.wait_for("Services that were announced are not tried");
    local.wait_for("note: spec.dht.bootstrap has 192.0.2.1:20001, which is not on this machine");
    local.wait_for("note: local mode does not read spec.paused");
    local.wait_for("note: local mode does not read the variables GRAPE_DHT_PORT");
    // A Grape that waits for one that is out of reach is never ready.
    local.wait_for("Ctrl-C stops the cluster");
}

#[test]
fn the_example_runs_and_is_the_one_of_the_help_and_of_the_page() {
    let file = file(EXAMPLE);
    let mut flags = Ports::take(3).flags();
    flags.push(format!("--file={}", file.path().display()));
    let mut local = Local::start(&flags);
    local.wait_for("Starting 3 Grapes of the cluster market.");
    local.wait_for("market-2");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/local-mode.md");
    assert!(std::fs::read_to_string(page).unwrap().contains(EXAMPLE), "docs/local-mode.md");
    let mut help = Local::start(&["--help".to_owned()]);
    for line in EXAMPLE.lines() {
        help.wait_for(line);
    }
}

#[test]
fn each_cause_of_a_refusal_is_shown_once() {
    let ports = Ports::take(3);
    let mut local = Local::start(&ports.flags());
    local.wait_for("Ctrl-C stops the cluster");
    for (port, times) in [("\"1337\"", 2), ("1337.5", 1)] {
        for _ in 0..times {
            let data = format!(r#"["svc",{port}]"#);
            assert_eq!(ask(ports.api[0], "announce", &data), "\"ERR_GRAPE_SERVICE_PORT\"");
        }
        let reason = if times == 2 { "is a text" } else { "is no integer" };
        let line = local.wait_for(&format!("! grape-0 refused to announce svc: the port {reason}"));
        assert!(line.contains("number"), "{line}");
    }
    local.signal("TERM");
    local.wait_for("Stopped.");
    let again = local.seen().iter().filter(|line| line.contains("is a text")).count();
    assert_eq!(again, 1, "{:#?}", local.seen());
}

#[test]
fn a_further_grape_is_shown_when_it_joins_and_when_it_is_lost() {
    let (ports, other_ports) = (Ports::take(3), Ports::take(1));
    let mut local = Local::start(&ports.flags());
    local.wait_for("Ctrl-C stops the cluster");

    let file = one_grape_that_joins(ports.dht[0]);
    let mut flags = other_ports.flags();
    flags.extend(["-f".to_owned(), file.path().display().to_string()]);
    let mut other = Local::start(&flags);
    let address = format!("127.0.0.1:{}", other_ports.dht[0]);
    local.wait_for(&format!("+ {address} joined (seen by 3 of 3)"));
    // They are printed in the order of their addresses.
    for port in &ports.dht {
        other.wait_for(&format!("+ 127.0.0.1:{port} joined (seen by 1 of 1)"));
    }

    other.kill();
    local.wait_for(&format!("- {address} lost"));
    local.signal("INT");
    local.wait_for("Stopped.");
    assert_eq!(local.exit_code(), Some(0));
}

#[test]
fn a_second_ctrl_c_stops_a_drain_at_once() {
    let ports = Ports::take(1);
    let cluster = file(
        "{apiVersion: grenache.dev/v1alpha1, kind: GrapeCluster, metadata: {name: one}, \
         spec: {replicas: 1}}",
    );
    let mut flags = ports.flags();
    flags.extend(["-f".to_owned(), cluster.path().display().to_string()]);
    let mut local = Local::start(&flags);
    local.wait_for("Ctrl-C stops the cluster");

    // A request that never ends holds the drain up; the answer shows that it is being read.
    let mut stream = TcpStream::connect(("127.0.0.1", ports.api[0])).unwrap();
    let head =
        "POST /lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();

    local.signal("INT");
    local.wait_for("Draining 1 Grape;");
    local.signal("INT");
    local.wait_for("Stopped at once");
    assert_eq!(local.exit_code(), Some(130));
}

#[test]
fn a_reader_that_goes_away_ends_the_cluster_in_peace() {
    let (ports, other_ports) = (Ports::take(2), Ports::take(1));
    let cluster = file(
        "{apiVersion: grenache.dev/v1alpha1, kind: GrapeCluster, metadata: {name: market}, \
         spec: {replicas: 2}}",
    );
    let mut flags = ports.flags();
    flags.extend(["-f".to_owned(), cluster.path().display().to_string()]);
    let (mut local, stdout) = Local::start_unread(&flags);
    let mut lines = BufReader::new(stdout).lines();
    assert!(lines.any(|line| line.unwrap().contains("Ctrl-C stops the cluster")));
    drop(lines);

    // It has something to say again.
    let joining = one_grape_that_joins(ports.dht[0]);
    let mut flags = other_ports.flags();
    flags.extend(["-f".to_owned(), joining.path().display().to_string()]);
    let _other = Local::start(&flags);
    assert_eq!(local.exit_code(), Some(0));
    assert_eq!(local.errors(), "");
}

#[test]
fn a_reader_that_stops_reading_holds_up_no_grape() {
    let (reader, mut stdout) = std::io::pipe().unwrap();
    let size = fcntl(&stdout, FcntlArg::F_GETPIPE_SZ).unwrap();
    stdout.write_all(&vec![b'\n'; usize::try_from(size).unwrap()]).unwrap();
    let ports = Ports::take(3);
    let mut local = Local::spawn(&ports.flags(), |command| command.stdout(Stdio::from(stdout)));
    for port in &ports.api {
        until("a Grape starts", || TcpStream::connect(("127.0.0.1", *port)).ok());
        ask(*port, "lookup", r#""rpc_test""#);
    }
    local.signal("TERM");
    assert_eq!(local.exit_code(), Some(0));
    drop(reader);
}

/// What local mode logs on a terminal, until its first Grape listens.
fn log_on_a_terminal(no_color: &str) -> String {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let _local = Local::spawn(&Ports::take(3).flags(), |command| {
        let variables = [("GRAPE_LOG", "info"), ("NO_COLOR", no_color), ("TERM", "xterm")];
        command.envs(variables).env_remove("CLICOLOR").stderr(Stdio::from(slave))
    });
    let mut lines = BufReader::new(File::from(master)).lines();
    lines.find_map(|line| line.ok().filter(|line| line.contains("API at "))).unwrap()
}

#[test]
fn the_log_on_a_terminal_has_no_colours_with_no_color() {
    assert!(log_on_a_terminal("").contains('\u{1b}'));
    assert!(!log_on_a_terminal("1").contains('\u{1b}'));
}

#[test]
fn an_api_port_in_use_is_named_with_its_grape_and_its_flag() {
    let ports = Ports::take(3);
    let _taken = TcpListener::bind(("127.0.0.1", ports.api[1])).unwrap();
    let mut local = Local::start(&ports.flags());
    assert_eq!(local.exit_code(), Some(1));
    let port = ports.api[1];
    assert_eq!(
        local.errors(),
        format!(
            "error: grape-1 did not start: port {port} of its API (127.0.0.1:{port}) is in use; \
             stop what listens there, or choose other ports with --api-ports\n"
        )
    );
}

#[test]
fn a_dht_port_in_use_is_named_with_its_grape_and_its_flag() {
    let ports = Ports::take(3);
    let _taken = UdpSocket::bind(("127.0.0.1", ports.dht[2])).unwrap();
    let mut local = Local::start(&ports.flags());
    assert_eq!(local.exit_code(), Some(1));
    let port = ports.dht[2];
    assert_eq!(
        local.errors(),
        format!(
            "error: grape-2 did not start: port {port} of its DHT (127.0.0.1:{port}) is in use; \
             stop what listens there, or choose other ports with --dht-ports\n"
        )
    );
}

#[test]
fn a_bad_file_is_refused_with_all_that_is_wrong() {
    let file = file(
        "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata:\n  name: market\n\
         spec:\n  replicas: 0\n  api:\n    maxPayloadSize: 10\n",
    );
    let path = file.path().display().to_string();
    let mut local = Local::start(&["-f".to_owned(), path.clone()]);
    assert_eq!(local.exit_code(), Some(1));
    assert_eq!(
        local.errors(),
        format!(
            "error: {path} cannot be used:\n  line 6: spec.replicas: 0 is too small; expected a \
             whole number from 1 to 1000\n  line 8: spec.api.maxPayloadSize: 10 is too small; \
             expected a whole number from 1024 to 1048576\n"
        )
    );
}
#[test]
fn a_bootstrap_address_where_no_grape_answers_is_printed() {
    let (ports, nobody) = (Ports::take(1), Ports::take(1));
    // It is the mistake that is made most: the port of an API.
    let _api = TcpListener::bind(("127.0.0.1", nobody.api[0])).unwrap();
    let file = one_grape_that_joins(nobody.api[0]);
    let mut flags = ports.flags();
    flags.push(format!("--file={}", file.path().display()));
    let mut local = Local::start(&flags);
    let line = local.wait_for(&format!("! no Grape answers at 127.0.0.1:{}", nobody.api[0]));
    assert!(line.contains("spec.dht.bootstrap: is that the UDP port of its DHT?"), "{line}");
    local.signal("TERM");
    local.wait_for("Stopped.");
    assert_eq!(local.errors(), "", "the log does not say it once more");
}

//! The command `grape`, as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use grape::clock;
use grape::config::Config;
use grape::lifecycle::Grape;
use rstest::rstest;

use crate::grapes::{alone, config, pair, pair_of};
use crate::raw::Raw;

#[rstest]
#[case(&["lookup", "nobody"], 1, "", "nobody announces nobody")]
#[case(&["lookup", "a", "-o", "json", "--grape", "http://127.0.0.1:1"], 2, "{\"error\":\"no Grape answers at http://127.0.0.1:1", "")]
#[case(&["announce", "rpc_test", "7001"], 0, "announced rpc_test at port 7001, held by no other Grape (this Grape has not joined any other)", "")]
#[case(&["announce", "rpc_test", "0"], 0, "announced rpc_test at the port of the Grape's DHT, held by", "")]
#[case(&["announce", "rpc_test", "7001", "-o", "json"], 0, r#"{"holders":0,"name":"rpc_test","port":7001}"#, "")]
#[case(&["withdraw", "rpc_test", "7001"], 1, "", "nothing to withdraw: nobody announces rpc_test at port 7001 (this Grape has not joined any other)")]
#[case(&["withdraw", "rpc_test", "7001", "-o", "json"], 1, r#"{"error":"nothing to withdraw"#, "")]
#[case(&["put", "hello", "-o", "json"], 0, r#"{"hash":"e28910ea0adb94dd45ced75fbff3e135c01bc437"}"#, "")]
#[case(&["put", "--json", "1.5", "-o", "json"], 1, r#"{"error":"the Grape refused: v holds 1.5"#, "")]
#[case(&["get", "0000000000000000000000000000000000000000", "-o", "json"], 1, "null\n", "nothing is stored under 0000")]
#[case(&["put", "hello"], 0, "e28910ea0adb94dd45ced75fbff3e135c01bc437", "")]
#[case(&["put", "--json", "1.5"], 1, "", "the Grape refused: v holds 1.5")]
#[case(&["put", "--json", "["], 2, "", "the value is no JSON")]
#[case(&["put", "--data", "{}"], 1, "", "the Grape refused: opts.v not given")]
#[case(&["get", "0000000000000000000000000000000000000000"], 1, "", "nothing is stored under 0000")]
#[case(&["get", "short"], 2, "", "a hash has 40 hex digits")]
#[case(&["status"], 0, "is ready", "")]
#[case(&["status", "nobody"], 1, "", "no peers of nobody are held here")]
#[case(&["lookup", "a", "--grape", "http://127.0.0.1:1"], 2, "", "no Grape answers at http://127.0.0.1:1")]
#[case(&["drain"], 0, "nothing was announced here; what is announced from now on is held back", "")]
#[case(&["drain", "-o", "json"], 0, r#"{"complete":true,"withdrawn":0}"#, "")]
#[case(&["drain", "--grape", "http://127.0.0.1:1"], 2, "", "no Grape answers at http://127.0.0.1:1")]
#[case(&["gossip", "set", "workers", "load", "3", "--json"], 0, "set", "")]
#[case(&["gossip", "set", "workers", "load", "3", "-o", "json"], 0, r#"{"version":1}"#, "")]
#[case(&["gossip", "set", "workers", "load", "[", "--json"], 1, "", "the Grape refused: the body is not JSON")]
#[case(&["gossip", "set", "w", "a", "b", "--expires", "soon"], 1, "", "expected a time from now on")]
#[case(&["gossip", "get", "workers"], 1, "", "is not in the group \"workers\"")]
#[case(&["gossip", "get", "workers", "x", "-o", "json"], 1, r#"{"error":"the Grape refused"#, "")]
#[case(&["gossip", "unset", "workers", "load"], 1, "", "is not in the group \"workers\"")]
#[case(&["gossip", "peers", "workers", "--state", "gone"], 2, "", "possible values: live, dead, all")]
#[case(&["gossip", "watch", ""], 2, "", "a group's name has 1 to 128 bytes")]
#[case(&["gossip", "peers", "w", "--grape", "http://127.0.0.1:1"], 2, "", "no Grape answers at http://127.0.0.1:1")]
#[case(&["frobnicate"], 2, "", "Usage")]
#[tokio::test]
async fn answers_are_printed(
    #[case] args: &[&str],
    #[case] code: i32,
    #[case] out: &str,
    #[case] err: &str,
) {
    let grape = alone().await;
    let output = ask(&grape, args).await;
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert!(stdout.contains(out) && stdout.is_empty() == out.is_empty(), "{stdout}");
    assert!(stderr.contains(err) && stderr.is_empty() == err.is_empty(), "{stderr}");
}

#[tokio::test]
async fn keys_of_a_group_are_set_shown_and_unset() {
    let pod_name = Some("w-0".parse().unwrap());
    let config = Config { gossip: vec!["w".to_owned()], pod_name, ..config() };
    let (here, there) = pair_of(config).await;
    let shown = |output: Output| texts(&output).0;
    assert_eq!(shown(ask(&here, &["gossip", "set", "w", "a b", "x\"y"]).await), "set\n");
    assert_eq!(shown(ask(&here, &["gossip", "get", "w", "a b"]).await), "\"x\\\"y\"\n");
    let (peer, end) = (here.dht_addr().to_string(), clock::now() + Duration::from_secs(30));
    let of_peer = ["gossip", "get", "w", "--peer", &peer];
    while shown(ask(&there, &of_peer).await) != "{\"a b\":\"x\\\"y\"}\n" {
        assert!(clock::now() < end, "{:?}", texts(&ask(&there, &of_peer).await));
    }
    let peers = shown(ask(&there, &["gossip", "peers", "w"]).await);
    assert!(peers.starts_with(&format!("{peer}\tlive for ")), "{peers}");
    assert!(peers.ends_with(" s\tw-0\n"), "{peers}");
    assert_eq!(shown(ask(&here, &["gossip", "unset", "w", "a b"]).await), "unset\n");
    assert_eq!(shown(ask(&here, &["gossip", "get", "w"]).await), "{}\n");
}

#[tokio::test]
async fn what_is_there_is_found() {
    let grape = alone().await;
    for (name, port) in [("a", 7001), ("b\u{7}", 7002)] {
        grape.dht().announce(name.as_bytes(), port).await;
    }
    let shown = |output: Output| texts(&output).0;
    assert_eq!(shown(ask(&grape, &["lookup", "a"]).await), "127.0.0.1:7001\n");
    let both = shown(ask(&grape, &["lookup", "a", "b\u{7}"]).await);
    assert_eq!(both, "a\t127.0.0.1:7001\nb\\u{7}\t127.0.0.1:7002\n");
    let json = shown(ask(&grape, &["lookup", "a", "-o", "json"]).await);
    assert_eq!(json, "{\"a\":[\"127.0.0.1:7001\"]}\n");
    assert_eq!(shown(ask(&grape, &["status", "a"]).await), "a\t127.0.0.1:7001\n");
    let hash = shown(ask(&grape, &["put", "--json", "[1,{\"x\":\"y\"}]"]).await);
    assert_eq!(shown(ask(&grape, &["get", hash.trim()]).await), "[1,{\"x\":\"y\"}]\n");
}

#[rstest]
#[case::hello("hello\n", 0, "e28910ea0adb94dd45ced75fbff3e135c01bc437", "")]
#[case::long(&"x".repeat(9000), 2, "", "the value is 9000 bytes; at most 999 can be stored")]
#[tokio::test]
async fn a_value_can_come_from_the_standard_input(
    #[case] value: &str,
    #[case] code: i32,
    #[case] out: &str,
    #[case] err: &str,
) {
    let grape = alone().await;
    let url = format!("http://{}", grape.api_addr());
    let mut put = command(&["put", "-", "--grape", &url]).stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    let put = tokio::task::spawn_blocking(|| put.wait_with_output().unwrap()).await.unwrap();
    let (stdout, stderr) = texts(&put);
    assert_eq!(put.status.code(), Some(code), "{stdout}{stderr}");
    assert_eq!(stdout.trim(), out);
    assert!(stderr.contains(err), "{stderr}");
}

#[tokio::test]
async fn a_request_that_is_too_long_is_explained() {
    let grape = alone().await;
    let list = format!("[{}1]", "1,".repeat(9000));
    let (stdout, stderr) = texts(&ask(&grape, &["put", "--json", &list]).await);
    assert!(stdout.is_empty() && stderr.contains("see its --check_maxPayloadSize"), "{stderr}");
}

#[tokio::test]
async fn an_announce_at_a_drained_grape_is_not_called_announced() {
    let grape = alone().await;
    ask(&grape, &["drain"]).await;
    let announce = ask(&grape, &["announce", "a", "7001"]).await;
    let (stdout, stderr) = texts(&announce);
    assert_eq!(announce.status.code(), Some(1));
    assert_eq!(stdout, "");
    assert_eq!(stderr, "grape: held back: this Grape was drained; restart it to announce\n");
}

#[tokio::test]
async fn a_drain_prints_how_many_services_it_withdrew() {
    let grape = alone().await;
    for (port, told) in [(7001, "withdrew 1 service;"), (7002, "nothing was announced here;")] {
        grape.dht().announce(b"a", port).await;
        let (stdout, stderr) = texts(&ask(&grape, &["drain"]).await);
        assert!(stdout.starts_with(told) && stderr.is_empty(), "{stdout}{stderr}");
    }
    assert_eq!(
        texts(&ask(&grape, &["lookup", "a"]).await).1,
        "grape: nobody announces a (this Grape has not joined any other)\n"
    );
}

/// If a lookup finds nothing, it says where it looked: the Grape may be in the wrong network.
#[tokio::test]
async fn an_empty_lookup_names_the_network() {
    let network = Some("market.prod".parse().unwrap());
    let (_there, here) = pair_of(Config { network, ..config() }).await;
    assert_eq!(
        texts(&ask(&here, &["lookup", "a"]).await).1,
        "grape: nobody announces a in the network market.prod (1 other Grape known)\n"
    );
}

/// A withdrawal at the wrong Grape changes nothing, and names the right one.
#[tokio::test]
async fn a_service_is_withdrawn_where_it_was_announced() {
    let (there, here) = pair().await;
    assert_eq!(there.dht().announce(b"rpc_test", 7001).await, 1);
    for _ in 0..2 {
        let wrong = ask(&here, &["withdraw", "rpc_test", "7001"]).await;
        let told = format!(
            "grape: rpc_test at port 7001 was not announced at this Grape; withdraw it at {} (the \
             DHT address of the Grape that announces it)\n",
            there.dht_addr()
        );
        assert_eq!((wrong.status.code(), texts(&wrong)), (Some(1), (String::new(), told)));
        assert_eq!(here.dht().lookup(b"rpc_test").await.len(), 1);
        assert_eq!(there.status().announced[0].stored_at, 1);
    }
    let other_port = ask(&here, &["withdraw", "rpc_test", "7002"]).await;
    let told = "grape: nothing to withdraw: nobody announces rpc_test at port 7002 (1 other Grape \
                known)\n"
        .to_owned();
    assert_eq!((other_port.status.code(), texts(&other_port)), (Some(1), (String::new(), told)));

    let right = ask(&there, &["withdraw", "rpc_test", "7001"]).await;
    let told = "withdrew rpc_test at port 7001, confirmed by 1 other Grape\n".to_owned();
    assert_eq!((right.status.code(), texts(&right)), (Some(0), (told, String::new())));
    let again = ask(&there, &["withdraw", "rpc_test", "7001", "-o", "json"]).await;
    assert!(texts(&again).0.starts_with(r#"{"error":"nothing to withdraw"#), "{again:?}");
}

/// What is held back is withdrawn, too: it is not announced when its port answers again.
#[tokio::test]
async fn a_service_held_back_can_be_withdrawn() {
    let grape = alone().await;
    ask(&grape, &["drain"]).await;
    ask(&grape, &["announce", "a", "7001"]).await;
    let withdrawn = ask(&grape, &["withdraw", "a", "7001", "-o", "json"]).await;
    assert_eq!(texts(&withdrawn).0, "{\"confirmed\":0,\"name\":\"a\",\"port\":7001}\n");
}

/// Within a pod, either of two variables says where the Grape is.
#[rstest]
#[case::by_its_url(&[("GRAPE_URL", "http://127.0.0.1:{}"), ("GRAPE_API_PORT", "1")])]
#[case::by_its_port(&[("GRAPE_API_PORT", "{}")])]
#[tokio::test]
async fn the_grape_of_the_host_is_found(#[case] variables: &[(&str, &str)]) {
    let grape = alone().await;
    let port = grape.api_addr().port().to_string();
    let variables = variables.iter().map(|(name, value)| (name, value.replace("{}", &port)));
    let child = command(&["status"]).envs(variables).spawn().unwrap();
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(stdout.contains(&grape.status().id), "{stdout}{stderr}");
}

#[test]
fn a_grape_that_runs_minds_no_address_of_another() {
    let args = "--bind 127.0.0.1 --dht-bind 127.0.0.1 --dp 0 --aph 0 --bn=";
    let mut node = command(&args.split(' ').collect::<Vec<_>>());
    let mut child = node.env("GRAPE_URL", "no address at all").spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("API at http://127.0.0.1:"), "{line}");
}

#[rstest]
#[case("GRAPE_ANNOUNCE", "rpc_test", "--announce <NAME:PORT>")]
#[case("GRAPE_READY_WHEN", "healthz", "--ready-when <URL>")]
#[case("GRAPE_CHECK_ANNOUNCED", "perhaps", "--check-announced")]
fn a_variable_that_makes_no_sense_is_named_by_its_flag(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] flag: &str,
) {
    let child = command(&["--bind", "127.0.0.1"]).env(variable, value).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(value) && stderr.contains(flag), "{stderr}");
}

#[tokio::test]
async fn a_watch_shows_peers_that_come_and_go() {
    let grape = alone().await;
    let url = format!("http://{}", grape.api_addr());
    let mut child = spawn(&["watch", "rpc_test", "--grape", &url]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, mut shown) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut client = Raw::connect(grape.api_addr()).await;
    while !client.get("/metrics").await.body.contains("\ngrape_watches 1\n") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    grape.dht().announce(b"rpc_test", 7001).await;
    assert_eq!(shown.recv().await.unwrap(), "+ 127.0.0.1:7001");
    grape.dht().withdraw(b"rpc_test", 7001).await;
    assert_eq!(shown.recv().await.unwrap(), "- 127.0.0.1:7001");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_watch_ends_when_nothing_comes_any_more() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut child = spawn(&["watch", "rpc_test", "--grape", &url]);
    let (mut connection, _) = silent.accept().unwrap();
    assert_ne!(connection.read(&mut [0; 1024]).unwrap(), 0, "a request");
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    connection.write_all(head).unwrap();
    connection.write_all(b"data: [\"127.0.0.1:7001\"]\n\n").unwrap();
    // Three times of its deadlines.
    let end = clock::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if clock::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it goes on waiting");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (stdout, stderr) = texts(&output);
    assert_eq!(stdout, "+ 127.0.0.1:7001\n");
    assert!(stderr.contains("the watch was ended"), "{stderr}");
}

#[rstest]
#[test]
fn a_signal_drains(#[values("TERM", "INT")] signal: &str) {
    let (mut child, mut log, mut told) = run_node();
    assert!(told.contains("API at http://127.0.0.1:") && told.contains("DHT at udp 127.0.0.1:"));
    send(signal, &child);
    let status = child.wait().unwrap();
    log.read_to_string(&mut told).unwrap();
    assert!(status.success() && told.contains("drained"), "{status} {told}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let (mut child, mut log, mut told) = run_node();
    let (_, rest) = told.split_once("API at http://").unwrap();
    let mut unfinished = TcpStream::connect(rest.lines().next().unwrap()).unwrap();
    unfinished.write_all(b"POST /lookup HTTP/1.1\r\nContent-Length: 9\r\n\r\n{").unwrap();
    // The Grape has read that by the time it answers this.
    let mut other = TcpStream::connect(unfinished.peer_addr().unwrap()).unwrap();
    other.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    other.read_to_string(&mut String::new()).unwrap();
    for _ in 0..2 {
        send("TERM", &child);
        while !told.contains("draining") {
            assert_ne!(log.read_line(&mut told).unwrap(), 0, "{told}");
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    log.read_to_string(&mut told).unwrap();
    assert!(!told.contains("drained"), "{told}");
}

#[test]
fn the_log_can_be_json() {
    let args = "--bind 127.0.0.1 --dht-bind 127.0.0.1 --dp 0 --aph 0 --log-format json";
    let mut child = spawn(&args.split(' ').collect::<Vec<_>>());
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(line["message"].as_str().unwrap().starts_with("API at http://127.0.0.1:"));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output =
        spawn(&["--bind", "127.0.0.1", "--dp", "0", "--aph", &port]).wait_with_output().unwrap();
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains(&format!("cannot bind the API to 127.0.0.1:{port} (--api_port)")));
}

pub(crate) async fn ask(grape: &Grape, args: &[&str]) -> Output {
    let url = format!("http://{}", grape.api_addr());
    let child = command(args).env("GRAPE_URL", url).spawn().unwrap();
    tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap()
}

/// A Grape that is ready, its log, and the lines logged so far.
fn run_node() -> (Child, BufReader<ChildStderr>, String) {
    let args = "--bind 127.0.0.1 --dht-bind 127.0.0.1 --dp 0 --aph 0 --bn=";
    let mut child = spawn(&args.split(' ').collect::<Vec<_>>());
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains(" ready ") {
        assert_ne!(log.read_line(&mut told).unwrap(), 0, "{told}");
    }
    (child, log, told)
}

pub(crate) fn send(signal: &str, child: &Child) {
    let args = [format!("-{signal}"), child.id().to_string()];
    assert!(Command::new("kill").args(args).status().unwrap().success());
}

fn spawn(args: &[&str]) -> Child {
    command(args).spawn().unwrap()
}

/// The command, with none of this process' variables that it reads.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grape"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRAPE_") {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

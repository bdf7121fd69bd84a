use std::net::Ipv4Addr;
use std::time::Duration;

use clap::CommandFactory;
use rstest::rstest;

use super::*;
use crate::config::Config;
use crate::variables::is_named_as_part_of_a_service;

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_the_documented_ones() {
    assert_eq!(config(&[]), Config::default());
}

#[rstest]
#[case(&["--dp", "20002", "--dc", "32", "--b", "127.0.0.1", "--aph", "40001", "--bn", "127.0.0.1:20001,grape:20003"])]
#[case(&["--dht_port=20002", "--dht_concurrency=32", "-b", "127.0.0.1", "--api_port=40001", "--bootstrap=127.0.0.1:20001,grape:20003"])]
#[case(&["--dht-port", "20002", "--dht-concurrency", "32", "--bind", "localhost", "--api-port", "40001", "--bn", ",127.0.0.1:20001, grape:20003,"])]
fn npms_command_lines_work(#[case] args: &[&str]) {
    let expected = Config {
        bind: Some(Ipv4Addr::LOCALHOST.into()),
        api_port: 40001,
        dht_port: 20002,
        dht_concurrency: 32,
        bootstrap: vec!["127.0.0.1:20001".parse().unwrap(), "grape:20003".parse().unwrap()],
        ..Config::default()
    };
    assert_eq!(config(args), expected);
}

#[test]
fn every_flag_reaches_the_configuration() {
    let args = "--dht_maxTables 1 --dht_maxValues 2 --dpa 200 --dnl 4000 --cache_maxAge 5 \
                --check_maxPayloadSize 6 --admin-bind [::1]:9 --dht-bind 127.0.0.2 \
                --advertise-ip 10.0.0.1 --network prod.market --trust-net 203.0.113.0/24,2001:db8::/48 --announce a:1,b:c:2 --announce d:3 --check-announced=false \
                --api-origin http://a:5173,https://b --api-origin * \
                --ready-when http://a/x,y,tcp://b:1 --ready-when https://c/ \
                --drain-timeout 0 --bn= --log warn --log-format json";
    let args: Vec<&str> = args.split_whitespace().collect();
    let expected = Config {
        dht_max_tables: 1,
        dht_max_values: 2,
        peer_max_age: Duration::from_millis(200),
        node_liveness: Duration::from_secs(4),
        max_payload_size: 6,
        api_origins: ["http://a:5173", "https://b", "*"].map(|text| text.parse().unwrap()).to_vec(),
        admin_bind: Some("[::1]:9".parse().unwrap()),
        dht_bind: Some("127.0.0.2".parse().unwrap()),
        advertise_ip: Some("10.0.0.1".parse().unwrap()),
        network: Some("prod.market".parse().unwrap()),
        trust_nets: ["203.0.113.0/24", "2001:db8::/48"].map(|text| text.parse().unwrap()).to_vec(),
        announce: ["a:1", "b:c:2", "d:3"].map(|text| text.parse().unwrap()).to_vec(),
        ready_when: ["http://a/x,y", "tcp://b:1", "https://c/"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        check_announced: false,
        drain_timeout: Duration::ZERO,
        ..Config::default()
    };
    assert_eq!(config(&args), expected);
}

#[rstest]
#[case(&["--check-announced"], true)]
#[case(&["--check-announced", "--dc", "32"], true)]
#[case(&["--check-announced=true"], true)]
#[case(&["--check-announced=false"], false)]
#[case(&["--check-announced=0"], false)]
fn ports_are_tried_by_default(#[case] args: &[&str], #[case] tried: bool) {
    assert_eq!(config(args).check_announced, tried);
}

#[rstest]
#[case(&["--dp", "70000"], "a port is a number from 0 to 65535")]
#[case(&["--trust-net", "203.0.113.9"], "a network is IP/PREFIX, as in 203.0.113.0/24 or 2001:db8::/48")]
#[case(&["--trust-net", "203.0.113.0/33"], "a network is IP/PREFIX")]
#[case(&["--aph", "tcp://10.96.0.7:30001"], "a port is a number from 0 to 65535")]
#[case(&["--aph", ""], "a port is a number from 0 to 65535")]
#[case(&["--bn", "grape"], "a port is missing")]
#[case(&["--bn", "http://grape:20001"], "no URL: without http://")]
#[case(&["--bn", "127.0.0.1:20001 127.0.0.1:20002"], "commas between several")]
#[case(&["--dpa", "120s"], "a number of milliseconds is wanted, from 1 to 2592000000, as 120000")]
#[case(&["--drain-timeout", "-1"], "from 0 to 2592000000")]
#[case(&["--dht_maxTables", "0"], "a number is wanted, from 1 to 4294967295")]
#[case(&["--log", "verbose"], "\"verbose\" is no level: off, error, warn, info, debug or trace")]
#[case(&["--log", "info,grape::dht"], "grape::dht=debug")]
#[case(&["--log", "grape=loud"], "\"loud\" is no level")]
#[case(&["--log", ""], "a level is wanted")]
#[case(&["--bind", "grape.local"], "an IP address is wanted")]
#[case(&["--bind", "fe80::1%eth0"], "link-local")]
#[case(&["--dht-bind", "fe80::1"], "link-local")]
#[case(&["--dht-bind", "224.0.0.1"], "no host has this address")]
#[case(&["--admin-bind", "[fe80::1%2]:9091"], "link-local")]
#[case(&["--admin-bind", "::1:9091"], "as 127.0.0.1:9091")]
#[case(&["--advertise-ip", "0.0.0.0"], "the one at which others reach this host")]
#[case(&["--advertise-ip", "::"], "the one at which others reach this host")]
#[case(&["--advertise-ip", "255.255.255.255"], "no host has this address")]
#[case(&["--advertise-ip", "ff02::1"], "no host has this address")]
#[case(&["--advertise-ip", "fe80::1"], "link-local")]
#[case(&["--bn", "[fe80::1]:20001"], "as in [fe80::1%eth0]:20001")]
#[case(&["--dc", "0"], "a number is wanted, from 1 to 1024")]
#[case(&["--announce", "rpc_test"], "for '--announce <NAME:PORT>': \"rpc_test\" is not NAME:PORT")]
#[case(&["--announce", "rpc_test:0"], "the port, after the last colon, is a number")]
#[case(&["--ready-when", "/healthz"], "for '--ready-when <URL>': \"/healthz\" cannot be asked")]
#[case(&["--api-origin", "localhost:5173"], "for '--api-origin <ORIGIN>': \"localhost:5173\" is no origin")]
#[case(&["--check-announced=maybe"], "--check-announced")]
#[case(&["get", "abc"], "40 hex digits")]
#[case(&["announce", "a"], "<PORT>")]
#[case(&["announce", "a", "abc"], "a port is a number from 0 to 65535")]
#[case(&["announce", "", "1"], "a name has at least one character")]
#[case(&["withdraw", "", "1"], "a name has at least one character")]
#[case(&["lookup", ""], "a name has at least one character")]
#[case(&["lookup", "a", "--grape", "foo:bar"], "such as http://127.0.0.1:30001")]
#[case(&["lookup", "a", "--grape", "http://foo:70000"], "such as http://127.0.0.1:30001")]
#[case(&["put"], "<VALUE>")]
#[case(&["put", "x", "--data", "{}"], "cannot be used with")]
#[case(&["lookup", "a", "--grape", "https://a"], "http://")]
fn mistakes_are_explained(#[case] args: &[&str], #[case] part: &str) {
    let error = parse(args).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(part), "{error}");
}

#[rstest]
#[case(&["status"], "http://127.0.0.1:30001")]
#[case(&["status", "--aph", "40001"], "http://127.0.0.1:40001")]
#[case(&["status", "--aph", "40001", "--grape", "http://grape:1"], "http://grape:1")]
fn the_grape_to_ask_is_on_this_host_unless_named(#[case] args: &[&str], #[case] url: &str) {
    let Some(Command::Status { to, .. }) = parse(args).unwrap().command else {
        panic!("{args:?} is no status")
    };
    assert_eq!(to.url().to_string(), url);
}

#[test]
fn no_variable_is_one_that_kubernetes_sets_for_a_service() {
    let command = Cli::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for arg in commands.flat_map(clap::Command::get_arguments) {
        let variable = arg.get_env().unwrap_or_default().to_str().unwrap();
        assert!(!is_named_as_part_of_a_service(variable), "{variable}");
    }
}

#[test]
fn every_flag_has_a_variable() {
    let command = Cli::command();
    let ours =
        command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"));
    for arg in ours {
        let variable = arg.get_env().unwrap().to_str().unwrap();
        let words: String = arg.get_id().as_str().to_uppercase();
        assert_eq!(variable, format!("GRAPE_{words}"));
    }
}

fn config(args: &[&str]) -> Config {
    parse(args).unwrap().node.config()
}

fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["grape"].iter().chain(args))
}

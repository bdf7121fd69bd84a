//! The command line: npm's flags, ours, and the subcommands.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use grape_engine::NetworkName;
use tracing_subscriber::filter::Targets;

use crate::config::Config;
use crate::http::Origin;
use crate::log;
use crate::services::{DeclaredList, ReadyWhenList};

use super::client::Url;
use super::values::{
    Bootstrap, advertised, boolean, count, hash, ip, ip_and_port, milliseconds, name, port,
};

/// The command `grape`.
#[derive(Debug, Parser)]
#[command(
    name = "grape",
    version,
    about = "A Grape: a node of the Grenache DHT with a small HTTP API. Without a command a Grape \
             runs until it is stopped. It takes the flags of npm's grenache-grape, and each from \
             the environment too.",
    args_conflicts_with_subcommands = true,
    allow_negative_numbers = true,
    subcommand_help_heading = "Ask a Grape that runs",
    override_usage = "grape [--dp <port>] [--aph <port>] [--bn <nodes>] [-b <ip>] [options]\n       grape <command>",
    after_help = "\
Examples:
  Three Grapes on one machine:
    grape --dp 20001 --aph 30001 --bn '127.0.0.1:20002,127.0.0.1:20003' -b 127.0.0.1
    grape --dp 20002 --aph 40001 --bn '127.0.0.1:20001,127.0.0.1:20003' -b 127.0.0.1
    grape --dp 20003 --aph 50001 --bn '127.0.0.1:20001,127.0.0.1:20002' -b 127.0.0.1 --dc 32

  What they know:
    grape announce rpc_test 7001
    grape lookup rpc_test --grape http://127.0.0.1:40001
    grape status

  A service that knows nothing of Grapes, announced while it is ready:
    grape --announce rpc_test:7001 --ready-when http://127.0.0.1:8080/healthz

There is no configuration file: each flag can be set by its variable instead."
)]
pub(crate) struct Cli {
    /// What to ask; a Grape runs when there is nothing.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The Grape to run.
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Flags of a Grape that runs. Those of npm come first and are spelt as there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run a Grape")]
pub(crate) struct NodeArgs {
    /// Address of the HTTP API; all addresses unless given
    #[arg(short, long, alias = "b", value_name = "IP", env = "GRAPE_BIND", value_parser = ip)]
    bind: Option<IpAddr>,

    /// UDP port of the DHT
    #[arg(
        long = "dht_port", visible_alias = "dp", alias = "dht-port", value_name = "PORT",
        env = "GRAPE_DHT_PORT", default_value = "20001",
        value_parser = port
    )]
    dht_port: u16,

    /// Port of the HTTP API
    #[arg(
        long = "api_port", visible_alias = "aph", alias = "api-port", value_name = "PORT",
        env = "GRAPE_API_PORT", default_value = "30001",
        value_parser = port
    )]
    api_port: u16,

    /// Grapes to join through, as host:port, separated by commas; none for the first Grape
    #[arg(
        long,
        visible_alias = "bn",
        value_name = "NODES",
        env = "GRAPE_BOOTSTRAP",
        default_value = "",
        hide_default_value = true
    )]
    bootstrap: Bootstrap,

    /// Queries that one lookup keeps in flight
    #[arg(
        long = "dht_concurrency", visible_alias = "dc", alias = "dht-concurrency",
        value_name = "N", env = "GRAPE_DHT_CONCURRENCY", default_value = "24",
        value_parser = count(1..=1024)
    )]
    dht_concurrency: u32,

    /// Names held for others, and lookups kept
    #[arg(
        long = "dht_maxTables", alias = "dht-max-tables", value_name = "N",
        env = "GRAPE_DHT_MAX_TABLES", default_value = "5000",
        value_parser = count(1..=u32::MAX)
    )]
    dht_max_tables: u32,

    /// Stored items held
    #[arg(
        long = "dht_maxValues", alias = "dht-max-values", value_name = "N",
        env = "GRAPE_DHT_MAX_VALUES", default_value = "5000",
        value_parser = count(1..=u32::MAX)
    )]
    dht_max_values: u32,

    /// How long other Grapes believe an announce, in milliseconds; below 10000 it is not renewed
    #[arg(
        long = "dht_peer_maxAge", visible_alias = "dpa", alias = "dht-peer-max-age",
        value_name = "MS", env = "GRAPE_DHT_PEER_MAX_AGE", default_value = "120000",
        value_parser = milliseconds(1..=MAX_MS)
    )]
    dht_peer_max_age: u64,

    /// How often the routing table is refreshed, in milliseconds
    #[arg(
        long = "dht_nodeLiveness", visible_alias = "dnl", alias = "dht-node-liveness",
        value_name = "MS", env = "GRAPE_DHT_NODE_LIVENESS", default_value = "300000",
        value_parser = milliseconds(1..=MAX_MS)
    )]
    dht_node_liveness: u64,

    /// Largest body of a request, in bytes
    #[arg(
        long = "check_maxPayloadSize", alias = "check-max-payload-size", value_name = "BYTES",
        env = "GRAPE_CHECK_MAX_PAYLOAD_SIZE", default_value = "8192",
        value_parser = count(1..=u32::MAX)
    )]
    check_max_payload_size: u32,

    /// Taken for npm's sake; it has no effect there either
    #[arg(
        long = "cache_maxAge",
        alias = "cache-max-age",
        value_name = "MS",
        env = "GRAPE_CACHE_MAX_AGE"
    )]
    cache_max_age: Option<f64>,

    /// Let web pages of this origin use the API from a browser; * for all pages. Again for more, or
    /// separated by commas
    #[arg(long, value_name = "ORIGIN", env = "GRAPE_API_ORIGIN", value_delimiter = ',')]
    api_origin: Vec<Origin>,

    /// Serve /healthz, /readyz, /status and /metrics alone at this address too
    #[arg(long, value_name = "IP:PORT", env = "GRAPE_ADMIN_BIND", value_parser = ip_and_port)]
    admin_bind: Option<SocketAddr>,

    /// Address of the DHT's UDP socket; all addresses unless given
    #[arg(long, value_name = "IP", env = "GRAPE_DHT_BIND", value_parser = ip)]
    dht_bind: Option<IpAddr>,

    /// Address under which services announced here are reached; found out unless given
    #[arg(long, value_name = "IP", env = "GRAPE_ADVERTISE_IP", value_parser = advertised)]
    advertise_ip: Option<IpAddr>,

    /// Name of the network that this Grape belongs to: Grapes that name another one are refused.
    /// Unless given, it takes all, as npm's do
    #[arg(long, value_name = "NAME", env = "GRAPE_NETWORK")]
    network: Option<NetworkName>,

    /// Announce this service while its port answers; the last colon parts name and port. Again for
    /// more, or separated by commas
    #[arg(long, value_name = "NAME:PORT", env = "GRAPE_ANNOUNCE")]
    announce: Vec<DeclaredList>,

    /// Announce those of --announce only while this URL says yes: http://… answers 200 to 399,
    /// tcp://HOST:PORT and https://… take a connection. Again for more: all have to
    #[arg(long, value_name = "URL", env = "GRAPE_READY_WHEN")]
    ready_when: Vec<ReadyWhenList>,

    /// Try the ports of services that announced themselves: keep those announced that answer, and
    /// withdraw those that no longer do; --check-announced=false tries none
    #[arg(
        long, value_name = "BOOL", env = "GRAPE_CHECK_ANNOUNCED", default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = ArgAction::Set, value_parser = boolean
    )]
    check_announced: bool,

    /// How long a stopped Grape may take to withdraw and finish, in milliseconds
    #[arg(
        long, value_name = "MS", env = "GRAPE_DRAIN_TIMEOUT", default_value = "10000",
        value_parser = milliseconds(0..=MAX_MS)
    )]
    drain_timeout: u64,

    /// What is logged: a level, or levels of modules as in info,grape::dht=debug
    #[arg(
        long, value_name = "FILTER", env = "GRAPE_LOG", default_value = "info",
        value_parser = log::filter
    )]
    pub(crate) log: Targets,

    /// How it is logged
    #[arg(long, value_name = "FORMAT", env = "GRAPE_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: log::Format,
}

/// Longest time that a flag takes: 30 days, in milliseconds.
const MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

impl NodeArgs {
    /// The Grape that these flags describe.
    pub(crate) fn config(&self) -> Config {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Config {
            bind: self.bind,
            api_port: self.api_port,
            admin_bind: self.admin_bind,
            dht_bind: self.dht_bind,
            dht_port: self.dht_port,
            bootstrap: self.bootstrap.0.clone(),
            advertise_ip: self.advertise_ip,
            network: self.network.clone(),
            dht_concurrency: size(self.dht_concurrency),
            dht_max_tables: size(self.dht_max_tables),
            dht_max_values: size(self.dht_max_values),
            peer_max_age: Duration::from_millis(self.dht_peer_max_age),
            node_liveness: Duration::from_millis(self.dht_node_liveness),
            max_payload_size: size(self.check_max_payload_size),
            api_origins: self.api_origin.clone(),
            announce: self.announce.iter().flat_map(|list| list.0.clone()).collect(),
            ready_when: self.ready_when.iter().flat_map(|list| list.0.clone()).collect(),
            check_announced: self.check_announced,
            drain_timeout: Duration::from_millis(self.drain_timeout),
        }
    }
}

/// How an answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Which Grape is asked, and how its answer is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct To {
    /// The Grape to ask
    #[arg(
        long,
        value_name = "URL",
        env = "GRAPE_URL",
        help = "The Grape to ask [default: http://127.0.0.1 at the port of --api_port]"
    )]
    grape: Option<Url>,

    /// The port of a Grape on this host
    #[arg(
        long = "api_port", visible_alias = "aph", alias = "api-port", value_name = "PORT",
        env = "GRAPE_API_PORT", default_value = "30001",
        value_parser = port
    )]
    api_port: u16,

    /// How the answer is shown
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

impl Command {
    /// How the answer is shown.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Lookup { to, .. }
            | Self::Announce { to, .. }
            | Self::Withdraw { to, .. }
            | Self::Put { to, .. }
            | Self::Get { to, .. }
            | Self::Watch { to, .. }
            | Self::Drain { to }
            | Self::Status { to, .. } => to.output,
            Self::Key {
                command: KeyCommand::New { output, .. } | KeyCommand::Show { output, .. },
            } => *output,
        }
    }
}

impl To {
    /// Where the Grape to ask is: where it is said to be, else on this host.
    pub(crate) fn url(&self) -> Url {
        self.grape.clone().unwrap_or_else(|| Url::of_this_host(self.api_port))
    }
}

/// What a Grape that runs can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show who offers a service: the peers that announced its name
    Lookup {
        /// Names of services
        #[arg(required = true, value_name = "NAME", value_parser = name)]
        names: Vec<String>,
        #[command(flatten)]
        to: To,
    },
    /// Announce a service, once: it is found while its port answers, and for 240 s where it never does
    Announce {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        /// Its port on the Grape's host; 0 for the port of the Grape's DHT
        #[arg(value_parser = port)]
        port: u16,
        #[command(flatten)]
        to: To,
    },
    /// Take an announce back
    Withdraw {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        /// Its port
        #[arg(value_parser = port)]
        port: u16,
        #[command(flatten)]
        to: To,
    },
    /// Store a value in the DHT, and show the hash to get it by
    #[command(override_usage = "\
grape put <VALUE> [--json] [--key <FILE> [--seq <N>] [--salt <SALT>]]
       grape put --data <JSON>")]
    Put {
        /// The value: a text; - for what is on the standard input
        #[arg(required_unless_present = "data", conflicts_with = "data")]
        value: Option<String>,
        /// Take the value for JSON: a list, an object or a number
        #[arg(long, requires = "value")]
        json: bool,
        /// The whole data of the request; a signed item has v, k, sig, seq, salt and cas
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        #[command(flatten)]
        signing: SigningArgs,
        #[command(flatten)]
        to: To,
    },
    /// Make a key that signs values, or show its public half
    Key {
        /// What to do
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Show a stored value
    Get {
        /// What `put` showed: 40 hex digits
        #[arg(value_parser = hash)]
        hash: String,
        /// The salt that a signed value was stored with: without it, nothing is found
        #[arg(long)]
        salt: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Follow who offers a service, until stopped
    Watch {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        to: To,
    },
    /// Withdraw all that was announced at the Grape of this host, and hold back what is announced
    /// there from now on, until the Grape is started again; lookups go on
    Drain {
        #[command(flatten)]
        to: To,
    },
    /// Show how a Grape does: whom it knows, what it holds
    Status {
        /// Show only the peers of these names
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        to: To,
    },
}

/// How a value is signed. Under one key and salt there is one value at a time: the one with the
/// highest `--seq`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SigningArgs {
    /// Sign the value with the key in this file, so that it can be replaced later: see `grape key`
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) key: Option<PathBuf>,
    /// The version of a signed value; one more than that of the stored one unless given
    #[arg(long, value_name = "N", requires = "key")]
    pub(crate) seq: Option<i64>,
    /// Tells several values of one key apart; `get` needs it too
    #[arg(
        long,
        value_name = "SALT",
        requires = "key",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) salt: String,
}

/// What is done with a key.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key: the secret one goes into the file, and the public one is shown
    New {
        /// The file, which must not be there yet; PEM, as OpenSSL, Node.js and Python read it
        file: PathBuf,
        /// How the answer is shown
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Show the public key
    Show {
        /// The file with the secret key
        file: PathBuf,
        /// How the answer is shown
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;
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
                    --advertise-ip 10.0.0.1 --network prod.market --announce a:1,b:c:2 --announce d:3 --check-announced=false \
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
            api_origins: ["http://a:5173", "https://b", "*"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            admin_bind: Some("[::1]:9".parse().unwrap()),
            dht_bind: Some("127.0.0.2".parse().unwrap()),
            advertise_ip: Some("10.0.0.1".parse().unwrap()),
            network: Some("prod.market".parse().unwrap()),
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
    fn ports_are_tried_unless_it_is_turned_off(#[case] args: &[&str], #[case] tried: bool) {
        assert_eq!(config(args).check_announced, tried);
    }

    #[rstest]
    #[case(&["--dp", "70000"], "a port is a number from 0 to 65535")]
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
        let ours = command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"));
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
}

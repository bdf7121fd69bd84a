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
    about = "A Grape: a node of the Grenache DHT with a small HTTP API. Without a command, `grape` \
             runs a Grape until it is stopped. It has the flags of npm's grenache-grape; each can \
             be set by an environment variable too.",
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

  Announce and find a service, and show what a Grape knows:
    grape announce rpc_test 7001
    grape lookup rpc_test --grape http://127.0.0.1:40001
    grape status

  Announce a service that does not use Grenache, while it is ready:
    grape --announce rpc_test:7001 --ready-when http://127.0.0.1:8080/healthz

There is no configuration file; use the environment variables instead."
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
    /// Address of the HTTP API [default: all addresses]
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

    /// Grapes to join, as HOST:PORT of their DHT, separated by commas; leave it out for the first
    /// Grape
    #[arg(
        long,
        visible_alias = "bn",
        value_name = "NODES",
        env = "GRAPE_BOOTSTRAP",
        default_value = "",
        hide_default_value = true
    )]
    bootstrap: Bootstrap,

    /// How many queries one lookup may have in flight
    #[arg(
        long = "dht_concurrency", visible_alias = "dc", alias = "dht-concurrency",
        value_name = "N", env = "GRAPE_DHT_CONCURRENCY", default_value = "24",
        value_parser = count(1..=1024)
    )]
    dht_concurrency: u32,

    /// How many service names to store for the network, and how many lookup results to cache
    #[arg(
        long = "dht_maxTables", alias = "dht-max-tables", value_name = "N",
        env = "GRAPE_DHT_MAX_TABLES", default_value = "5000",
        value_parser = count(1..=u32::MAX)
    )]
    dht_max_tables: u32,

    /// How many items (put, get) to store
    #[arg(
        long = "dht_maxValues", alias = "dht-max-values", value_name = "N",
        env = "GRAPE_DHT_MAX_VALUES", default_value = "5000",
        value_parser = count(1..=u32::MAX)
    )]
    dht_max_values: u32,

    /// How long an announce is valid, in milliseconds; below 10000 the Grape does not renew it
    #[arg(
        long = "dht_peer_maxAge", visible_alias = "dpa", alias = "dht-peer-max-age",
        value_name = "MS", env = "GRAPE_DHT_PEER_MAX_AGE", default_value = "120000",
        value_parser = milliseconds(1..=MAX_MS)
    )]
    dht_peer_max_age: u64,

    /// How often to refresh the routing table, in milliseconds
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

    /// Accepted for compatibility and ignored, as npm's Grape does
    #[arg(
        long = "cache_maxAge",
        alias = "cache-max-age",
        value_name = "MS",
        env = "GRAPE_CACHE_MAX_AGE"
    )]
    cache_max_age: Option<f64>,

    /// Allow web pages of this origin to use the API from a browser; * allows every page. Repeat the
    /// flag, or separate origins by commas
    #[arg(long, value_name = "ORIGIN", env = "GRAPE_API_ORIGIN", value_delimiter = ',')]
    api_origin: Vec<Origin>,

    /// Serve the admin pages (/healthz, /readyz, /status, /metrics, /openapi.json) at this address
    /// too, without the API
    #[arg(long, value_name = "IP:PORT", env = "GRAPE_ADMIN_BIND", value_parser = ip_and_port)]
    admin_bind: Option<SocketAddr>,

    /// Address of the DHT's UDP socket [default: all addresses]
    #[arg(long, value_name = "IP", env = "GRAPE_DHT_BIND", value_parser = ip)]
    dht_bind: Option<IpAddr>,

    /// IP address at which others reach the services announced here [default: found by the Grape]
    #[arg(long, value_name = "IP", env = "GRAPE_ADVERTISE_IP", value_parser = advertised)]
    advertise_ip: Option<IpAddr>,

    /// Name of this Grape's network; it refuses Grapes of other networks. Without a name it accepts
    /// every Grape, as npm's Grape does
    #[arg(long, value_name = "NAME", env = "GRAPE_NETWORK")]
    network: Option<NetworkName>,

    /// Announce this service while its port answers. The last colon separates name and port. Repeat
    /// the flag, or separate services by commas
    #[arg(long, value_name = "NAME:PORT", env = "GRAPE_ANNOUNCE")]
    announce: Vec<DeclaredList>,

    /// Announce the services of --announce only while this URL is ready: http://… answers with a status
    /// from 200 to 399; tcp://HOST:PORT and https://… accept a connection. Repeat the flag for more
    /// URLs; all must be ready
    #[arg(long, value_name = "URL", env = "GRAPE_READY_WHEN")]
    ready_when: Vec<ReadyWhenList>,

    /// Once a second, connect to the port of each service that announced itself. Keep it announced
    /// while its port answers, and withdraw it when the port no longer does.
    /// --check-announced=false connects to none
    #[arg(
        long, value_name = "BOOL", env = "GRAPE_CHECK_ANNOUNCED", default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = ArgAction::Set, value_parser = boolean
    )]
    check_announced: bool,

    /// How long the Grape may take to withdraw its services and finish requests when it is stopped,
    /// in milliseconds
    #[arg(
        long, value_name = "MS", env = "GRAPE_DRAIN_TIMEOUT", default_value = "10000",
        value_parser = milliseconds(0..=MAX_MS)
    )]
    drain_timeout: u64,

    /// What to log: a level, or levels of modules, such as info,grape::dht=debug
    #[arg(
        long, value_name = "FILTER", env = "GRAPE_LOG", default_value = "info",
        value_parser = log::filter
    )]
    pub(crate) log: Targets,

    /// Format of the log
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

    /// Format of the answer
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
    /// Show the instances of a service: the peers that announced its name
    Lookup {
        /// Names of services
        #[arg(required = true, value_name = "NAME", value_parser = name)]
        names: Vec<String>,
        #[command(flatten)]
        to: To,
    },
    /// Announce a service once. It stays announced while its port answers. If the port never answers,
    /// the announce expires after the Grape's --dht_peer_maxAge (default 120 s), and lookups may show
    /// the service twice as long
    Announce {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        /// Port of the service on the Grape's host; 0 announces the Grape's own DHT port
        #[arg(value_parser = port)]
        port: u16,
        #[command(flatten)]
        to: To,
    },
    /// Withdraw a service that was announced at this Grape
    Withdraw {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        /// Port of the service
        #[arg(value_parser = port)]
        port: u16,
        #[command(flatten)]
        to: To,
    },
    /// Store a value in the DHT, and print its hash
    #[command(override_usage = "\
grape put <VALUE> [--json] [--key <FILE> [--seq <N>] [--salt <SALT>]]
       grape put --data <JSON>")]
    Put {
        /// The value, as text; - reads it from standard input
        #[arg(required_unless_present = "data", conflicts_with = "data")]
        value: Option<String>,
        /// The value is JSON: a list, an object or a number
        #[arg(long, requires = "value")]
        json: bool,
        /// The data of the whole request, as JSON; a signed item has v, k, sig, seq, salt and cas
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        #[command(flatten)]
        signing: SigningArgs,
        #[command(flatten)]
        to: To,
    },
    /// Make a key that signs values, or show its public part
    Key {
        /// What to do
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Print a stored value
    Get {
        /// The hash that `put` printed: 40 hex digits
        #[arg(value_parser = hash)]
        hash: String,
        /// The salt that the signed value was stored with; without it `get` finds nothing
        #[arg(long)]
        salt: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Follow the instances of a service until stopped: print all of them now and at each change
    Watch {
        /// Name of the service
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        to: To,
    },
    /// Withdraw every service announced at the Grape of this host, and accept no more until that Grape
    /// restarts; lookups still work
    Drain {
        #[command(flatten)]
        to: To,
    },
    /// Show the state of a Grape: which nodes it knows, and what it stores
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
    /// Sign the value with the key in this file, so that you can replace the value later; `grape key`
    /// makes one
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) key: Option<PathBuf>,
    /// The version of a signed value [default: the version of the stored one plus 1]
    #[arg(long, value_name = "N", requires = "key")]
    pub(crate) seq: Option<i64>,
    /// Distinguishes several values of one key; give it to `get` too
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
    /// Make a key: write the secret key into the file, and print the public key
    New {
        /// The file to write (PEM, as OpenSSL, Node.js and Python read it); it must not exist yet
        file: PathBuf,
        /// Format of the answer
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Print the public key
    Show {
        /// The file with the secret key
        file: PathBuf,
        /// Format of the answer
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

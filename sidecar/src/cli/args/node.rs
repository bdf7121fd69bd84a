//! The flags of a Grape that runs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{ArgAction, Args};
use grape_engine::NetworkName;
use grape_engine::gossip::MemberName;
use ipnet::IpNet;
use tracing_subscriber::filter::Targets;

use crate::cli::values::{
    Bootstrap, advertised, boolean, count, group, ip, ip_and_port, milliseconds, port, subnet,
};
use crate::config::{Config, HostPort};
use crate::http::{ApiHost, Origin};
use crate::log;
use crate::services::{DeclaredList, ReadyWhenList};

/// Longest time that a flag takes: 30 days, in milliseconds.
const MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

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

    /// How many service names to store for the network, and how many lookup results to cache. Beyond it,
    /// the address with the most stored peers makes room
    #[arg(
        long = "dht_maxTables", alias = "dht-max-tables", value_name = "N",
        env = "GRAPE_DHT_MAX_TABLES", default_value = "5000",
        value_parser = count(1..=u32::MAX)
    )]
    dht_max_tables: u32,

    /// How many items (put, get) to store. Beyond it, the address that put the most makes room
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

    /// Answer requests on a loopback address for a host of this name too. Answered always: IP addresses,
    /// localhost, and names without a dot. Repeat the flag, or separate names by commas
    #[arg(long, value_name = "HOST", env = "GRAPE_API_HOST", value_delimiter = ',')]
    api_host: Vec<ApiHost>,

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

    /// Network in which Grapes of one address are independent of each other, such as a public network of
    /// pods, a NAT, or a host of many Grapes. Of other addresses, few Grapes have a place near a name.
    /// Repeat the flag, or separate networks by commas
    #[arg(
        long, value_name = "IP/PREFIX", env = "GRAPE_TRUST_NET", value_delimiter = ',',
        value_parser = subnet
    )]
    trust_net: Vec<IpNet>,

    /// Announce this service while its port answers. The last colon separates name and port. Repeat
    /// the flag, or separate services by commas
    #[arg(long, value_name = "NAME:PORT", env = "GRAPE_ANNOUNCE")]
    announce: Vec<DeclaredList>,

    /// Announce the services of --announce only while this URL is ready: http://… answers with a status
    /// from 200 to 399; tcp://HOST:PORT and https://… accept a connection. Repeat the flag for more
    /// URLs; all must be ready
    #[arg(long, value_name = "URL", env = "GRAPE_READY_WHEN")]
    ready_when: Vec<ReadyWhenList>,

    /// Groups whose members share small state, as /gossip shows them. Repeat the flag, or separate
    /// groups by commas
    #[arg(long, value_name = "GROUP", env = "GRAPE_GOSSIP", value_delimiter = ',', value_parser = group)]
    gossip: Vec<String>,

    /// Grapes at which members of these groups may be, as HOST:PORT of their DHT, beside those that
    /// the DHT finds. Repeat the flag, or separate Grapes by commas
    #[arg(long, value_name = "HOST:PORT", env = "GRAPE_GOSSIP_SEEDS", value_delimiter = ',')]
    gossip_seeds: Vec<HostPort>,

    /// Name of the pod that this Grape is in, which the other members of its groups see
    #[arg(long, value_name = "NAME", env = "GRAPE_POD_NAME")]
    pod_name: Option<MemberName>,

    #[command(flatten)]
    check: CheckAnnounced,

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

/// Whether the ports of services that announced themselves are tried: a flag of `grape`, and of local
/// mode.
#[derive(Debug, Clone, Args)]
pub struct CheckAnnounced {
    /// Once a second, connect to the port of each service that announced itself. Keep it announced
    /// while its port answers, and withdraw it when the port no longer does.
    /// --check-announced=false connects to none
    #[arg(
        long, value_name = "BOOL", env = "GRAPE_CHECK_ANNOUNCED", default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = ArgAction::Set, value_parser = boolean
    )]
    pub check_announced: bool,
}

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
            trust_nets: self.trust_net.clone(),
            dht_concurrency: size(self.dht_concurrency),
            dht_max_tables: size(self.dht_max_tables),
            dht_max_values: size(self.dht_max_values),
            peer_max_age: Duration::from_millis(self.dht_peer_max_age),
            node_liveness: Duration::from_millis(self.dht_node_liveness),
            max_payload_size: size(self.check_max_payload_size),
            api_origins: self.api_origin.clone(),
            api_hosts: self.api_host.clone(),
            announce: self.announce.iter().flat_map(|list| list.0.clone()).collect(),
            ready_when: self.ready_when.iter().flat_map(|list| list.0.clone()).collect(),
            gossip: self.gossip.clone(),
            gossip_seeds: self.gossip_seeds.clone(),
            pod_name: self.pod_name.clone(),
            check_announced: self.check.check_announced,
            drain_timeout: Duration::from_millis(self.drain_timeout),
        }
    }
}

//! The configuration of a Grape, as plain values: [`crate::cli`] reads flags and variables.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use grape_engine::gossip::MemberName;
use grape_engine::{NetworkName, Settings, impossible};
use ipnet::IpNet;
use mainline::Id;

use crate::http::{ApiHost, Origin};
use crate::services::{Declared, ReadyWhen};

/// Everything that a Grape is configured with. [`Config::default`] has the documented defaults of
/// the Node.js Grape.
///
/// ```
/// use grape::config::Config;
///
/// let config = Config {
///     bootstrap: vec!["grape-0.grapes:20001".parse()?],
///     network: Some("prod.market".parse()?),
///     ..Config::default()
/// };
/// assert_eq!((config.dht_port, config.api_port), (20001, 30001));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address of the HTTP API; all addresses, IPv6 included, when `None`.
    pub bind: Option<IpAddr>,
    /// Port of the HTTP API; 0 lets the system choose.
    pub api_port: u16,
    /// Where `/healthz`, `/readyz`, `/status` and `/metrics` are served alone; nowhere when `None`.
    pub admin_bind: Option<SocketAddr>,
    /// Address of the DHT's UDP socket; all addresses, IPv6 included, when `None`.
    pub dht_bind: Option<IpAddr>,
    /// UDP port of the DHT; 0 lets the system choose.
    pub dht_port: u16,
    /// Other Grapes to join through. Host names are resolved, to all of their addresses.
    pub bootstrap: Vec<HostPort>,
    /// The IP under which this Grape shows its own announces; when `None`, the Grape takes the one
    /// of the route to the other Grapes.
    pub advertise_ip: Option<IpAddr>,
    /// The network that this Grape belongs to: it and Grapes of other networks refuse each other.
    /// When `None`, it accepts every Grape, as npm's Grape does.
    pub network: Option<NetworkName>,
    /// Networks in which Grapes of one address are independent of each other: see
    /// [`Settings::trusted_networks`].
    pub trust_nets: Vec<IpNet>,
    /// Most queries that one lookup keeps in flight; 1 to 1024.
    pub dht_concurrency: usize,
    /// Most names that are stored for others, and most lookups that are cached.
    pub dht_max_tables: usize,
    /// Most BEP 44 items that are stored.
    pub dht_max_values: usize,
    /// How long an announce is valid.
    pub peer_max_age: Duration,
    /// How often the routing table is refreshed by a lookup.
    pub node_liveness: Duration,
    /// Largest body of a request in bytes; one byte more is refused with 413.
    pub max_payload_size: usize,
    /// Origins of the web pages that may use the API from a browser. When empty, requests of web
    /// pages are refused.
    pub api_origins: Vec<Origin>,
    /// Names of this machine beside `localhost` and those without a dot: requests for other names that come
    /// to a loopback address are refused, since a web page may have made the name up.
    pub api_hosts: Vec<ApiHost>,
    /// Services that the Grape announces by itself, while their ports answer.
    pub announce: Vec<Declared>,
    /// URLs that must be ready, beside the services' ports, for `announce` to take effect.
    pub ready_when: Vec<ReadyWhen>,
    /// Groups to join at the start: see [`crate::gossip`].
    pub gossip: Vec<String>,
    /// Grapes at which members of the groups may be, beside those that the DHT finds.
    pub gossip_seeds: Vec<HostPort>,
    /// The name of the pod of this Grape, which the other members of its groups see.
    pub pod_name: Option<MemberName>,
    /// Whether the ports of services that announce themselves are tried: those that answer stay
    /// announced, and those that no longer do are withdrawn.
    pub check_announced: bool,
    /// How long a drain may take before what is left is cut off.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let engine = Settings::new(Id::from([0; 20]), 20001);
        Self {
            bind: None,
            api_port: 30001,
            admin_bind: None,
            dht_bind: None,
            dht_port: engine.port,
            bootstrap: Vec::new(),
            advertise_ip: engine.advertise,
            network: engine.network,
            trust_nets: engine.trusted_networks,
            dht_concurrency: engine.concurrency,
            dht_max_tables: engine.max_names,
            dht_max_values: engine.max_items,
            peer_max_age: engine.peer_max_age,
            node_liveness: engine.node_liveness,
            max_payload_size: 8192,
            api_origins: Vec::new(),
            api_hosts: Vec::new(),
            announce: Vec::new(),
            ready_when: Vec::new(),
            gossip: Vec::new(),
            gossip_seeds: Vec::new(),
            pod_name: None,
            check_announced: true,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// A host name or IP address with a port, as in `grape-0.grapes:20001` or `[::1]:20001`.
///
/// ```
/// use grape::config::{HostPort, InvalidHostPort};
///
/// let seed: HostPort = "[::1]:20001".parse()?;
/// assert_eq!((&*seed.host, seed.port), ("::1", 20001));
/// let error = "http://grape:20001".parse::<HostPort>().unwrap_err();
/// assert!(error.to_string().contains("without http://"));
/// # Ok::<(), InvalidHostPort>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Host name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// UDP port, 1 to 65535.
    pub port: u16,
}

/// Why a text is not a [`HostPort`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not HOST:PORT: {reason}")]
pub struct InvalidHostPort {
    text: String,
    reason: &'static str,
}

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidHostPort { text: text.to_owned(), reason };
        if text.contains("://") {
            return Err(invalid(
                "it is no URL: without http:// before it, and with the DHT's port",
            ));
        }
        if text.contains(char::is_whitespace) {
            return Err(invalid("there are commas between several, and no spaces"));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| {
            invalid("a port is missing, as in 127.0.0.1:20001 or grape-0.grapes:20001")
        })?;
        let port = match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(invalid("the port is a number from 1 to 65535")),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6,
            None if host.contains(':') => {
                return Err(invalid("an IPv6 address stands in brackets, as in [::1]:20001"));
            }
            None => host,
        };
        let plausible =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(plausible) {
            return Err(invalid("the host is a DNS name or an IP address"));
        }
        if let Some(reason) = cannot_be_asked(host) {
            return Err(invalid(reason));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Why no Grape can have this address; `None` if it is a name, or a possible address.
fn cannot_be_asked(host: &str) -> Option<&'static str> {
    let (ip, zone) = match host.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (host, None),
    };
    let link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    match (ip.parse::<IpAddr>(), zone) {
        (Err(_), None) => None,
        (Err(_), Some(_)) => Some("a zone, as %eth0, belongs to an IPv6 address"),
        (Ok(ip), _) if impossible(ip).is_some() => {
            Some("no host has this address; this host is 127.0.0.1 or [::1]")
        }
        (Ok(ip), None | Some("")) if link_local(ip) => Some(
            "a link-local address needs the interface that leads there, as in \
             [fe80::1%eth0]:20001",
        ),
        (Ok(ip), Some(_)) if !link_local(ip) => {
            Some("only a link-local address, of fe80::/10, has a zone")
        }
        (Ok(_), _) => None,
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports_are_read_and_written_alike() {
        for text in [
            "127.0.0.1:20001",
            "grape-0.grapes:20001",
            "[::1]:1",
            "old_grape.prod:65535",
            "[fe80::1%eth0]:1",
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn texts_that_are_not_host_and_port_are_explained() {
        for (text, part) in [
            ("grape", "a port is missing"),
            ("grape:0", "1 to 65535"),
            ("grape:70000", "1 to 65535"),
            ("::1:20001", "brackets"),
            (":20001", "DNS name"),
            ("a b:20001", "commas between several"),
            ("a/b:20001", "DNS name"),
            ("http://grape:20001", "it is no URL"),
            ("[fe80::1]:20001", "as in [fe80::1%eth0]:20001"),
            ("[fe80::1%]:20001", "as in [fe80::1%eth0]:20001"),
            ("[fd00::1%eth0]:20001", "only a link-local address"),
            ("10.0.0.1%eth0:20001", "only a link-local address"),
            ("grape%eth0:20001", "belongs to an IPv6 address"),
            ("0.0.0.0:20001", "no host has this address"),
            ("[::]:20001", "no host has this address"),
            ("[ff02::1%eth0]:20001", "no host has this address"),
            ("255.255.255.255:20001", "no host has this address"),
        ] {
            let error = text.parse::<HostPort>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

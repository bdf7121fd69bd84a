//! The values of flags and arguments: what is taken, and what is said of the rest.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use grape_engine::gossip::{GossipError, check_group_name};
use grape_engine::impossible;

use ipnet::IpNet;

use crate::config::{HostPort, InvalidHostPort};

/// Nodes separated by commas; empty ones are skipped, as npm's command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bootstrap(pub(super) Vec<HostPort>);

impl FromStr for Bootstrap {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nodes = text.split(',').map(str::trim).filter(|node| !node.is_empty());
        nodes.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// An address of this host, or all of them.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let (bare, zone) = bare.split_once('%').map_or((bare, None), |(ip, zone)| (ip, Some(zone)));
    let ip: IpAddr = bare
        .parse()
        .map_err(|_| "an IP address is wanted, as 127.0.0.1, 0.0.0.0 or ::1".to_owned())?;
    match ip.to_canonical() {
        IpAddr::V6(v6) if zone.is_some() || v6.is_unicast_link_local() => {
            Err("a link-local address means a host on its own link only: :: is all addresses of \
                 this host, link-local ones included"
                .to_owned())
        }
        ip => match impossible(ip).filter(|_| !ip.is_unspecified()) {
            Some(_) => Err("no host has this address".to_owned()),
            None => Ok(ip),
        },
    }
}

pub(super) fn ip_and_port(text: &str) -> Result<SocketAddr, String> {
    let wanted =
        || "an IP address and a port are wanted, as 127.0.0.1:9091 or [::]:9091".to_owned();
    let (ip_text, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let port = port.parse().map_err(|_| wanted())?;
    // Without brackets its last group would be taken for the port.
    if ip_text.contains(':') != ip_text.starts_with('[') {
        return Err(wanted());
    }
    ip(ip_text).map(|ip| SocketAddr::new(ip, port))
}

/// An address at which others reach this host.
pub(super) fn advertised(text: &str) -> Result<IpAddr, String> {
    let ip = ip(text)?;
    if impossible(ip).is_some() {
        return Err("no host has this address: give the one at which others reach this host, or \
                    leave it out to have it found out"
            .to_owned());
    }
    Ok(ip)
}

/// A network: an address and the bits that its addresses share.
pub(super) fn subnet(text: &str) -> Result<IpNet, &'static str> {
    text.trim().parse().map_err(|_| "a network is IP/PREFIX, as in 203.0.113.0/24 or 2001:db8::/48")
}

/// A truth value, as flags and variables have it.
pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("expected true or false"),
    }
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "a port is a number from 0 to 65535".to_owned())
}

/// A number within bounds.
pub(super) fn count(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let wanted = || format!("a number is wanted, from {} to {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(wanted)
    }
}

/// A duration within bounds, as npm's flags have it.
pub(super) fn milliseconds(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let (least, most) = (range.start(), range.end());
        let wanted =
            || format!("a number of milliseconds is wanted, from {least} to {most}, as 120000");
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(wanted)
    }
}

/// The name of a group.
pub(super) fn group(text: &str) -> Result<String, GossipError> {
    check_group_name(text).map(|()| text.to_owned())
}

/// The name of a service.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a name has at least one character, as rpc_test".to_owned()),
        name => Ok(name.to_owned()),
    }
}

pub(super) fn hash(text: &str) -> Result<String, String> {
    let hex = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| text.to_owned()).ok_or_else(|| "a hash has 40 hex digits".to_owned())
}

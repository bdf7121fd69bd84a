//! Addresses that enter the node: their canonical form, and the impossible ones, which no host can
//! have.
//!
//! Addresses come in datagrams, in answers and notices of other nodes, and from bootstrap names.
//! All of them pass through here once, before they are kept, asked or shown. What is kept is in its
//! [`canonical`] form, so that equal addresses are equal values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressRefusal {
    /// Port 0: nothing can be sent there.
    Port,
    /// 0.0.0.0/8 or `::`: "this host", as a listener names itself.
    Unspecified,
    /// 224.0.0.0/4 or ff00::/8: a group, and no host.
    Multicast,
    /// 255.255.255.255: every host of a link, and none.
    Broadcast,
    /// The rest of 240.0.0.0/4, where this Grape has no address in it.
    Reserved,
    /// 127.0.0.0/8 or `::1`, sent by a node that is not on loopback: the node means its own host.
    Loopback,
    /// An address of fe80::/10 without its interface, or sent by a node of another link.
    LinkLocal,
}

/// The reasons for which addresses are refused, as labels of a metric.
pub const ADDRESS_REFUSALS: [&str; 7] =
    ["port_0", "unspecified", "multicast", "broadcast", "reserved", "loopback", "link_local"];

impl AddressRefusal {
    /// The reason's place in [`ADDRESS_REFUSALS`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Port => 0,
            Self::Unspecified => 1,
            Self::Multicast => 2,
            Self::Broadcast => 3,
            Self::Reserved => 4,
            Self::Loopback => 5,
            Self::LinkLocal => 6,
        }
    }

    /// Why the address is impossible, as a phrase.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Port => "nothing can be sent to port 0",
            Self::Unspecified => "0.0.0.0/8 and :: are no host's addresses",
            Self::Multicast => "it is a multicast address, and no host's",
            Self::Broadcast => "255.255.255.255 is no host's address",
            Self::Reserved => "240.0.0.0/4 is not used by this network",
            Self::Loopback => "a loopback address means another host there than here",
            Self::LinkLocal => "a link-local address means another link there than here",
        }
    }

    /// The message of the KRPC error that refuses an announce at such an address.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Port => "cannot announce port 0: nobody can be reached there",
            Self::Unspecified => "cannot announce 0.0.0.0/8 or ::, which is no host's address",
            Self::Multicast => "cannot announce a multicast address, which is no host's",
            Self::Broadcast => "cannot announce 255.255.255.255, which is no host's address",
            Self::Reserved => "cannot announce 240.0.0.0/4, which this network does not use",
            Self::Loopback => "cannot announce a loopback address to another host",
            Self::LinkLocal => "cannot announce a link-local address of another link",
        }
    }
}

/// The form in which addresses are compared: IPv4-mapped ones as the IPv4 that they are, no flow
/// label, and a zone only where it is a part of the address, which is in fe80::/10.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    let SocketAddr::V6(v6) = addr else { return addr };
    match v6.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), v6.port()),
        IpAddr::V6(ip) => {
            let zone = if ip.is_unicast_link_local() { v6.scope_id() } else { 0 };
            SocketAddrV6::new(ip, v6.port(), 0, zone).into()
        }
    }
}

/// An address without an IP, of the same family.
pub(crate) fn unspecified(of: &SocketAddr, port: u16) -> SocketAddr {
    let any: IpAddr = match of {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(any, port)
}

/// The same host at another port.
pub(crate) fn with_port(mut addr: SocketAddr, port: u16) -> SocketAddr {
    addr.set_port(port);
    addr
}

/// Who an address counts as, where each host has its share: public IPv6 addresses count as their /64,
/// since a host has all addresses of one.
///
/// ```
/// use grape_engine::host_of;
///
/// let [one, another] = ["2a00:1:2:3::9", "2a00:1:2:3:ffff::"].map(|ip| ip.parse().unwrap());
/// assert_eq!(host_of(one), host_of(another));
/// let [one, another] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
/// assert_ne!(host_of(one), host_of(another));
/// ```
pub fn host_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) if v6.segments()[0] & 0xe000 == 0x2000 => {
            let network = u128::from(v6) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
        other => other,
    }
}

/// Why no host can have this address; `None` if a host can.
///
/// ```
/// use grape_engine::{AddressRefusal, impossible};
///
/// assert_eq!(impossible([224, 0, 0, 1].into()), Some(AddressRefusal::Multicast));
/// assert_eq!(impossible([10, 0, 0, 1].into()), None);
/// ```
pub fn impossible(ip: IpAddr) -> Option<AddressRefusal> {
    let ip = unwrapped(ip);
    let unspecified = match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    if unspecified {
        Some(AddressRefusal::Unspecified)
    } else if ip.is_multicast() {
        Some(AddressRefusal::Multicast)
    } else if ip == Ipv4Addr::BROADCAST {
        Some(AddressRefusal::Broadcast)
    } else {
        None
    }
}

/// Whether this is in 240.0.0.0/4, which some clouds give to pods, and others use nowhere.
fn is_reserved(ip: IpAddr) -> bool {
    matches!(unwrapped(ip), IpAddr::V4(ip) if ip.octets()[0] >= 240)
}

/// The IPv4 address in an IPv4-mapped one (`::ffff:a.b.c.d`) or an IPv4-compatible one
/// (`::a.b.c.d`, RFC 4291 2.5.5); others as they are.
fn unwrapped(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if v6.segments()[..6] == [0; 6] && u128::from(v6) > 1 => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        ip => ip,
    }
}

fn is_link_local(addr: &SocketAddr) -> bool {
    matches!(addr, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local())
}

fn zone(addr: &SocketAddr) -> u32 {
    match addr {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    }
}

/// Whether an address means the same to a node as to us, so that we may send it: a loopback address
/// means the host that uses it, and a link-local address the link.
pub(crate) fn means_the_same_to(node: &SocketAddr, addr: &SocketAddr) -> bool {
    let loopback = !addr.ip().is_loopback() || node.ip().is_loopback();
    let link = !is_link_local(addr) || is_link_local(node) && zone(node) == zone(addr);
    loopback && link
}

/// The canonical form of an address that the node at `source` names; `own` are the addresses of
/// this Grape. A link-local address is on the same link as its source.
///
/// # Errors
/// Why the address is impossible.
pub(crate) fn admit(
    addr: SocketAddr,
    source: &SocketAddr,
    own: impl Iterator<Item = IpAddr>,
) -> Result<SocketAddr, AddressRefusal> {
    let mut addr = canonical(addr);
    if let SocketAddr::V6(v6) = &mut addr
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        v6.set_scope_id(zone(source));
    }
    let refusal = if addr.port() == 0 {
        Some(AddressRefusal::Port)
    } else if let Some(refusal) = impossible(addr.ip()) {
        Some(refusal)
    } else if is_reserved(addr.ip()) && !own.into_iter().any(is_reserved) {
        Some(AddressRefusal::Reserved)
    } else if unwrapped(addr.ip()).is_loopback() && !source.ip().is_loopback() {
        Some(AddressRefusal::Loopback)
    } else if is_link_local(&addr) && zone(&addr) == 0 || !means_the_same_to(source, &addr) {
        Some(AddressRefusal::LinkLocal)
    } else {
        None
    };
    refusal.map_or(Ok(addr), Err)
}

/// A bootstrap address in its canonical form.
///
/// ```
/// use grape_engine::{AddressRefusal, seed};
///
/// let mapped = "[::ffff:10.0.0.1]:20001".parse()?;
/// assert_eq!(seed(mapped), Ok("10.0.0.1:20001".parse()?));
/// assert_eq!(seed("10.0.0.1:0".parse()?), Err(AddressRefusal::Port));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
///
/// # Errors
/// Why the address is impossible, whichever addresses this host has.
pub fn seed(addr: SocketAddr) -> Result<SocketAddr, AddressRefusal> {
    // The user names the seeds, so loopback and link-local addresses mean this host and its links.
    // An address that is of no use to other nodes may still be right for this one.
    let addr = canonical(addr);
    admit(addr, &addr, std::iter::once(addr.ip()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[rstest]
    #[case("10.0.0.1:1", "10.0.0.1:1")]
    #[case("[::ffff:10.0.0.1]:1", "10.0.0.1:1")]
    #[case("[fd00::1%3]:1", "[fd00::1]:1")]
    #[case("[fe80::1%3]:1", "[fe80::1%3]:1")]
    fn addresses_have_one_form(#[case] written: &str, #[case] kept: &str) {
        assert_eq!(canonical(addr(written)), addr(kept));
    }

    #[test]
    fn a_flow_label_is_no_part_of_an_address() {
        let ip = "fe80::1".parse().unwrap();
        let labelled = SocketAddrV6::new(ip, 1, 0xbeef, 3);
        assert_eq!(canonical(labelled.into()), addr("[fe80::1%3]:1"));
    }

    #[rstest]
    #[case::ipv4("10.0.0.9:1", "10.0.0.1:2", Ok("10.0.0.9:1"))]
    #[case::ipv6("[fd00::9]:1", "[fd00::1]:2", Ok("[fd00::9]:1"))]
    #[case::mapped("[::ffff:10.0.0.9]:1", "[fd00::1]:2", Ok("10.0.0.9:1"))]
    #[case::ipv4_link_local("169.254.1.1:1", "10.0.0.1:2", Ok("169.254.1.1:1"))]
    #[case::port_0("10.0.0.9:0", "10.0.0.1:2", Err(AddressRefusal::Port))]
    #[case::unspecified("0.0.0.0:1", "10.0.0.1:2", Err(AddressRefusal::Unspecified))]
    #[case::this_network("0.1.2.3:1", "10.0.0.1:2", Err(AddressRefusal::Unspecified))]
    #[case::unspecified_v6("[::]:1", "[fd00::1]:2", Err(AddressRefusal::Unspecified))]
    #[case::mapped_unspecified(
        "[::ffff:0.0.0.0]:1",
        "[fd00::1]:2",
        Err(AddressRefusal::Unspecified)
    )]
    #[case::multicast("224.0.0.1:1", "10.0.0.1:2", Err(AddressRefusal::Multicast))]
    #[case::last_multicast("239.255.255.255:1", "10.0.0.1:2", Err(AddressRefusal::Multicast))]
    #[case::multicast_v6("[ff02::1]:1", "[fd00::1]:2", Err(AddressRefusal::Multicast))]
    #[case::compatible_multicast("[::224.0.0.1]:1", "[fd00::1]:2", Err(AddressRefusal::Multicast))]
    #[case::broadcast("255.255.255.255:1", "10.0.0.1:2", Err(AddressRefusal::Broadcast))]
    #[case::reserved("240.0.0.1:1", "10.0.0.1:2", Err(AddressRefusal::Reserved))]
    #[case::mapped_reserved("[::ffff:250.0.0.1]:1", "[fd00::1]:2", Err(AddressRefusal::Reserved))]
    #[case::loopback_by_loopback("127.0.0.9:1", "127.0.0.1:2", Ok("127.0.0.9:1"))]
    #[case::loopback_by_loopback_v6("127.0.0.9:1", "[::1]:2", Ok("127.0.0.9:1"))]
    #[case::loopback_by_another("127.0.0.1:1", "10.0.0.1:2", Err(AddressRefusal::Loopback))]
    #[case::loopback_v6_by_another("[::1]:1", "[fd00::1]:2", Err(AddressRefusal::Loopback))]
    #[case::mapped_loopback("[::ffff:127.0.0.1]:1", "[fd00::1]:2", Err(AddressRefusal::Loopback))]
    #[case::of_the_tellers_link("[fe80::9]:1", "[fe80::1%3]:2", Ok("[fe80::9%3]:1"))]
    #[case::of_no_known_link("[fe80::9]:1", "[fd00::1]:2", Err(AddressRefusal::LinkLocal))]
    #[case::of_another_link("[fe80::9%4]:1", "[fe80::1%3]:2", Err(AddressRefusal::LinkLocal))]
    fn impossible_addresses_are_refused(
        #[case] named: &str,
        #[case] source: &str,
        #[case] kept: Result<&str, AddressRefusal>,
    ) {
        let own = [addr("10.0.0.2:0").ip()].into_iter();
        assert_eq!(admit(addr(named), &addr(source), own), kept.map(addr));
    }

    #[test]
    fn a_cloud_may_use_the_reserved_addresses() {
        let own = || [addr("240.1.0.7:0").ip()].into_iter();
        let named = addr("241.0.0.1:1");
        assert_eq!(admit(named, &addr("240.1.0.1:2"), own()), Ok(named));
        let broadcast = admit(addr("255.255.255.255:1"), &addr("240.1.0.1:2"), own());
        assert_eq!(broadcast, Err(AddressRefusal::Broadcast), "nobody is there in any cloud");
    }

    #[rstest]
    #[case("127.0.0.1:1", Ok("127.0.0.1:1"))]
    #[case("240.0.0.1:1", Ok("240.0.0.1:1"))]
    #[case("[fe80::1%3]:1", Ok("[fe80::1%3]:1"))]
    #[case("[::ffff:127.0.0.1]:1", Ok("127.0.0.1:1"))]
    #[case("[fe80::1]:1", Err(AddressRefusal::LinkLocal))]
    #[case("0.0.0.0:1", Err(AddressRefusal::Unspecified))]
    fn seeds_are_addresses_that_can_be_asked(
        #[case] named: &str,
        #[case] kept: Result<&str, AddressRefusal>,
    ) {
        assert_eq!(seed(addr(named)), kept.map(addr));
    }

    #[test]
    fn each_refusal_has_its_label() {
        use AddressRefusal::{
            Broadcast, LinkLocal, Loopback, Multicast, Port, Reserved, Unspecified,
        };
        let all = [Port, Unspecified, Multicast, Broadcast, Reserved, Loopback, LinkLocal];
        let indices = all.map(AddressRefusal::index);
        assert_eq!(indices.to_vec(), (0..ADDRESS_REFUSALS.len()).collect::<Vec<_>>());
    }
}

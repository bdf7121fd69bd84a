//! The addresses of this host, as its network interfaces have them now.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_indextoname;
use nix::sys::socket::SockaddrStorage;

/// All of them, sorted, each once.
///
/// # Errors
/// When the system does not list them.
pub(super) fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    let mut addresses: Vec<IpAddr> =
        interfaces.filter_map(|interface| Some(ip(&interface.address?)?.to_canonical())).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Whether this host has the interface that an address names; so it is where it names none.
pub fn has_interface(address: &SocketAddr) -> bool {
    match address {
        // nix 0.32 takes the failure for success, with an empty name.
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            if_indextoname(v6.scope_id()).is_ok_and(|name| !name.is_empty())
        }
        _ => true,
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4).ip());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn loopback_is_an_address_of_every_host() {
        let addresses = addresses().unwrap();
        assert!(addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{addresses:?}");
        assert!(addresses.is_sorted());
    }

    #[test]
    fn loopback_is_the_first_interface() {
        for (address, there) in
            [("10.0.0.1:1", true), ("[fe80::1%1]:1", true), ("[fe80::1%999999]:1", false)]
        {
            assert_eq!(has_interface(&address.parse().unwrap()), there, "{address}");
        }
    }
}

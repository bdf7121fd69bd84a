//! Which bootstrap addresses Grapes on loopback can reach.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use grape::config::HostPort;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long a name may take to be resolved. A dead name server must not hold up the start.
const LOOKUP: Duration = Duration::from_secs(2);

/// Those that are not on this machine.
pub async fn elsewhere(hosts: &[HostPort]) -> Vec<HostPort> {
    let here = join_all(hosts.iter().map(is_here)).await;
    let elsewhere = hosts.iter().zip(here).filter(|(_, here)| !here);
    elsewhere.map(|(host, _)| host.clone()).collect()
}

/// Whether a socket bound to 127.0.0.1 reaches it.
async fn is_here(HostPort { host, port }: &HostPort) -> bool {
    match timeout(LOOKUP, lookup_host((host.as_str(), *port))).await {
        Ok(Ok(mut addresses)) => addresses.any(|address| match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(_) => false,
        }),
        Ok(Err(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_addresses_are_of_this_host() {
        let hosts =
            ["127.0.0.1:1", "localhost:2", "127.9.9.9:3", "10.0.0.1:4", "[::1]:5", "no.invalid:6"];
        let hosts = hosts.map(|host| host.parse().unwrap());
        assert_eq!(elsewhere(&hosts).await, hosts[3..]);
    }
}

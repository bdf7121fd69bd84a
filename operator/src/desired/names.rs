//! What the objects of a cluster are called. All but the StatefulSets bear the cluster's name.

use grape::config::HostPort;

/// The name of a pool's StatefulSet, such as `market-zone-1`; 52 characters at most, so that its
/// pods' label `controller-revision-hash`, which is that name with 11 characters more, is a label.
///
/// It is not unique: pool `1` of a cluster `market-zone` has it as well. The owner reference says
/// which cluster a set belongs to.
pub fn set(cluster: &str, pool: &str) -> String {
    format!("{cluster}-{pool}")
}

/// The DNS name behind which the addresses of a cluster's Grapes are, such as `market.trading.svc`.
///
/// Without the cluster's domain, which the API does not have: every pod's resolver appends it,
/// since it is in the search list of the `ClusterFirst` policy.
pub fn host(cluster: &str, namespace: &str) -> String {
    format!("{cluster}.{namespace}.svc")
}

/// Where other Grapes join a cluster, such as `market.trading.svc:20001`.
pub fn endpoint(cluster: &str, namespace: &str, dht_port: u16) -> HostPort {
    HostPort { host: host(cluster, namespace), port: dht_port }
}

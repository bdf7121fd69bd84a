//! The names of a cluster's objects. All but the StatefulSets have the cluster's name.

use grape::config::HostPort;

/// The name of a pool's StatefulSet, such as `market-zone-1`; 52 characters at most, so that its
/// pods' label `controller-revision-hash`, which adds 11 characters, is valid.
///
/// It is not unique: pool `1` of a cluster `market-zone` has the same name. The owner reference
/// says whose a set is.
pub fn set(cluster: &str, pool: &str) -> String {
    format!("{cluster}-{pool}")
}

/// The DNS name of a cluster's Grapes, such as `market.trading.svc`.
///
/// Without the cluster's domain, which nothing in the API has: every pod's resolver appends it,
/// because it is in the search list of the `ClusterFirst` policy.
pub fn host(cluster: &str, namespace: &str) -> String {
    format!("{cluster}.{namespace}.svc")
}

/// The name by which other Grapes join a cluster, such as `market.trading.svc:20001`.
pub fn endpoint(cluster: &str, namespace: &str, dht_port: u16) -> HostPort {
    HostPort { host: host(cluster, namespace), port: dht_port }
}

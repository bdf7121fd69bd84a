//! Our operator on two nodes: `grape_tests::kubernetes::Operator`. Where a test says that nothing
//! fails, services on both nodes announce and look up all the while: `Load`.

mod asking;
mod bootstrap_names;
mod cached_names;
mod deleted_namespace;
mod first_use;
mod host_network;
mod image_change;
mod leader;
mod lost_pods;
mod networks;
mod node_cut_off;
mod node_drained;
mod not_starting;
mod npm_grapes;
mod one_namespace;
mod pod_settings;
mod readme;
mod refused_pods;
mod release_before;
mod replicas;
mod silent_connections;
mod strangers;
mod two_releases;
mod upgrade;
mod values;
mod watch;
mod watched_namespaces;
mod zones;

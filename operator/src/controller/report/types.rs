//! The types of conditions, each once. They are part of the API: scripts and alerts use them.

/// All Grapes are ready and connected, and lookups find what is announced.
pub const READY: &str = "Ready";
/// The operator or Kubernetes is changing something.
pub const PROGRESSING: &str = "Progressing";
/// True until the cluster is as its spec says; while it is True, `helm --wait`, Flux and Argo CD wait.
/// See kstatus of `sigs.k8s.io/cli-utils`.
pub const RECONCILING: &str = "Reconciling";
/// True while nothing goes on until somebody changes something; `helm --wait`, Flux and Argo CD stop
/// waiting and report a failure. See kstatus.
pub const STALLED: &str = "Stalled";
/// Each Grape knows the others.
pub const BOOTSTRAPPED: &str = "Bootstrapped";
/// Names that the operator announces at one of the cluster's own Grapes are found at another one.
pub const LOOKUP_HEALTHY: &str = "LookupHealthy";
/// True while there are groups of Grapes that do not know each other.
pub const PARTITIONED: &str = "Partitioned";
/// Each pod that asks for a sidecar has one, and it is connected with the cluster's own Grapes.
pub const INJECTED: &str = "Injected";
/// Each name in `spec.dht.bootstrap` resolves, and a Grape answers there.
pub const BOOTSTRAP_REACHABLE: &str = "BootstrapReachable";
/// True while Grapes of other networks send messages to the cluster's Grapes, or get some from them.
pub const OTHER_NETWORKS: &str = "OtherNetworks";

/// The types that every status has.
pub const ALWAYS: [&str; 7] =
    [READY, PROGRESSING, RECONCILING, STALLED, BOOTSTRAPPED, LOOKUP_HEALTHY, PARTITIONED];
/// The types that a status has only while there is something to report: pods that ask for sidecars,
/// bootstrap names, other networks.
pub const SOMETIMES: [&str; 3] = [INJECTED, BOOTSTRAP_REACHABLE, OTHER_NETWORKS];

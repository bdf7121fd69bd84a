//! The reasons of conditions and events, each once. They are part of the API: scripts and alerts
//! use them.

/// `Ready`: the cluster is.
pub const HEALTHY: &str = "Healthy";
/// The spec cannot be used.
pub const INVALID: &str = "Invalid";
/// The API server refuses an object.
pub const REFUSED: &str = "Refused";
/// An object of that name belongs to somebody else.
pub const NAME_TAKEN: &str = "NameTaken";
/// Grapes are starting or terminating.
pub const SCALING: &str = "Scaling";
/// Grapes are replaced, one at a time.
pub const ROLLING_OUT: &str = "RollingOut";
/// The first Grape of a rollout does not start.
pub const ROLL_STALLED: &str = "RollStalled";
/// The API server refuses a pod of a StatefulSet.
pub const PODS_REFUSED: &str = "PodsRefused";
/// Nothing keeps the cluster from its goal.
pub const NOT_STALLED: &str = "NotStalled";
/// A pool is removed when the others are ready.
pub const REMOVING_POOL: &str = "RemovingPool";
/// Nothing has to change.
pub const SETTLED: &str = "Settled";
/// Nothing is changed, because the cluster is paused.
pub const PAUSED: &str = "Paused";
/// Grapes were ready, or should be.
pub const GRAPES_NOT_READY: &str = "GrapesNotReady";
/// Grapes do not start.
pub const GRAPES_FAILING: &str = "GrapesFailing";
/// No probe of the Grapes has ended yet.
pub const NOT_OBSERVED: &str = "NotObserved";
/// Ready Grapes do not answer the operator.
pub const GRAPES_UNREACHABLE: &str = "GrapesUnreachable";
/// Grapes know fewer others than they should.
pub const TOO_FEW_KNOWN: &str = "TooFewKnown";
/// Each Grape knows the others.
pub const ALL_CONNECTED: &str = "AllConnected";
/// Canaries are found.
pub const PROBES_SUCCEEDING: &str = "ProbesSucceeding";
/// Canaries are not found.
pub const PROBES_FAILING: &str = "ProbesFailing";
/// All sidecars are connected.
pub const CONNECTED: &str = "Connected";
/// There are groups of Grapes that do not know each other.
pub const PARTITIONED: &str = "Partitioned";
/// Grapes of services are connected with none of the cluster's own.
pub const SIDECARS_DISCONNECTED: &str = "SidecarsDisconnected";
/// Grapes of services do not start.
pub const SIDECARS_FAILING: &str = "SidecarsFailing";
/// In pods of services, the name by which their Grapes join does not resolve.
pub const SEEDS_UNRESOLVED: &str = "SeedsUnresolved";
/// Each pod that asks for a Grape has it.
pub const ALL_INJECTED: &str = "AllInjected";
/// Each bootstrap name resolves, and a Grape answers there.
pub const GRAPES_ANSWER: &str = "GrapesAnswer";
/// A bootstrap name does not resolve.
pub const NAME_UNRESOLVED: &str = "NameUnresolved";
/// No Grape answers at the addresses of a bootstrap name.
pub const NO_GRAPE_ANSWERS: &str = "NoGrapeAnswers";
/// Grapes of another network are refused.
pub const NETWORKS_DIFFER: &str = "NetworksDiffer";
/// Pods run without their Grape.
pub const PODS_WITHOUT_GRAPE: &str = "PodsWithoutGrape";
/// The successor of an evicted pod has no Grape either: an event.
pub const REPAIR_FAILED: &str = "RepairFailed";
/// A Grape refuses a request of its service, whose client may take that for success: an event of
/// the pod.
pub const REQUEST_REFUSED: &str = "RequestRefused";
/// A Grape has not announced a service for a while: an event of the pod.
pub const ANNOUNCE_HELD_BACK: &str = "AnnounceHeldBack";
/// A pod was evicted in order to come back with its Grape: an event.
pub const REPAIRED: &str = "Repaired";

//! The reasons of conditions and events, each once. They are part of the API: scripts and alerts look
//! for them.

/// `Ready`: it is.
pub const HEALTHY: &str = "Healthy";
/// The spec cannot be used.
pub const INVALID: &str = "Invalid";
/// An object is not taken by the API server.
pub const REFUSED: &str = "Refused";
/// An object of that name is somebody else's.
pub const NAME_TAKEN: &str = "NameTaken";
/// Grapes are starting or leaving.
pub const SCALING: &str = "Scaling";
/// Grapes are replaced, one at a time.
pub const ROLLING_OUT: &str = "RollingOut";
/// The first Grape of a change does not start.
pub const ROLL_STALLED: &str = "RollStalled";
/// A pod of a StatefulSet is not taken by the API server.
pub const PODS_REFUSED: &str = "PodsRefused";
/// Nothing is in the way.
pub const NOT_STALLED: &str = "NotStalled";
/// A pool goes when the others are ready.
pub const REMOVING_POOL: &str = "RemovingPool";
/// Nothing is to change.
pub const SETTLED: &str = "Settled";
/// Nothing is changed, on request.
pub const PAUSED: &str = "Paused";
/// Grapes were ready, or should be.
pub const GRAPES_NOT_READY: &str = "GrapesNotReady";
/// Grapes do not start.
pub const GRAPES_FAILING: &str = "GrapesFailing";
/// No look at the Grapes has ended yet.
pub const NOT_OBSERVED: &str = "NotObserved";
/// Grapes that are ready do not answer the operator.
pub const GRAPES_UNREACHABLE: &str = "GrapesUnreachable";
/// Grapes know fewer others than they should.
pub const TOO_FEW_KNOWN: &str = "TooFewKnown";
/// Each Grape sees the others.
pub const ALL_CONNECTED: &str = "AllConnected";
/// Canaries are found.
pub const PROBES_SUCCEEDING: &str = "ProbesSucceeding";
/// Canaries are not found.
pub const PROBES_FAILING: &str = "ProbesFailing";
/// All Grapes are connected.
pub const CONNECTED: &str = "Connected";
/// There are groups of Grapes that do not know each other.
pub const PARTITIONED: &str = "Partitioned";
/// Grapes of services are connected with none of the cluster's own.
pub const SIDECARS_DISCONNECTED: &str = "SidecarsDisconnected";
/// Grapes of services do not start.
pub const SIDECARS_FAILING: &str = "SidecarsFailing";
/// In pods of services, the name does not resolve by which their Grapes join.
pub const SEEDS_UNRESOLVED: &str = "SeedsUnresolved";
/// Each pod that is to have a Grape has it.
pub const ALL_INJECTED: &str = "AllInjected";
/// Each bootstrap name resolves, and a Grape answers there.
pub const GRAPES_ANSWER: &str = "GrapesAnswer";
/// A bootstrap name does not resolve.
pub const NAME_UNRESOLVED: &str = "NameUnresolved";
/// At the addresses of a bootstrap name no Grape answers.
pub const NO_GRAPE_ANSWERS: &str = "NoGrapeAnswers";
/// Grapes of another network are refused.
pub const NETWORKS_DIFFER: &str = "NetworksDiffer";
/// Pods run without their Grape.
pub const PODS_WITHOUT_GRAPE: &str = "PodsWithoutGrape";
/// An evicted pod came back no better: an event.
pub const REPAIR_FAILED: &str = "RepairFailed";
/// A Grape refuses what a service asks of it, which the service may take for success: an event of
/// the pod.
pub const REQUEST_REFUSED: &str = "RequestRefused";
/// A Grape has not announced a service for a while: an event of the pod.
pub const ANNOUNCE_HELD_BACK: &str = "AnnounceHeldBack";
/// A pod was evicted to come back with its Grape: an event.
pub const REPAIRED: &str = "Repaired";

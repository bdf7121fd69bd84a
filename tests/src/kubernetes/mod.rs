//! A real Kubernetes: its API server alone, or a cluster with nodes.
//!
//! | module | concern |
//! |---|---|
//! | [`api_server`] | etcd and the API server alone, for one test, without root |
//! | [`controllers`] | Kubernetes' own controllers beside such an API server |
//! | [`proxy`] | a way to an API server that fails as a test wants |
//! | [`definition`] | GrapeClusters, installed |
//! | [`cluster`] | a control plane and two nodes, which take root: `tests/kubernetes/cluster` |
//! | [`namespace`] | a namespace of a test's own |
//! | [`images`] | images of the project's binaries: `tests/kubernetes/image` |
//! | [`operator`] | our operator on nodes, installed by helm |
//! | [`grape_cluster`] | a GrapeCluster and its status |
//! | [`load`] | services on nodes that announce and look up all the time |
//! | [`service_pod`] | pods of Node.js services, and of Grapes beside them |
//! | [`pod_program`] | the input and the output of such a service |
//! | [`pod_processes`] | processes of pods, killed |
//! | [`helm`] | helm, as people run it |
//! | [`kubectl`] | kubectl, as people run it |
//! | [`tools`] | where Kubernetes' binaries are: `tests/kubernetes/tools` |
//! | [`access`] | a client from a kubeconfig, and clusters that somebody else runs |
//!
//! As with envtest, `KUBEBUILDER_ASSETS` names a folder of binaries to use, and
//! `USE_EXISTING_CLUSTER=true` with `KUBECONFIG` a running cluster.

pub mod access;
pub mod api_server;
pub mod cluster;
pub mod controllers;
pub mod definition;
pub mod grape_cluster;
mod guarded;
pub mod helm;
pub mod images;
pub mod kubectl;
pub mod load;
pub mod namespace;
pub mod operator;
pub mod pod_processes;
pub mod pod_program;
pub mod proxy;
pub mod script;
pub mod service_pod;
pub mod tools;

pub use api_server::ApiServer;
pub use cluster::Cluster;
pub use grape_cluster::GrapeCluster;
pub use kubectl::Kubectl;
pub use load::Load;
pub use namespace::Namespace;
pub use operator::Operator;
pub use pod_program::PodProgram;
pub use proxy::Proxy;

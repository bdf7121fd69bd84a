//! The operator's configuration: one struct, made from the flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::leader::Timings;

/// What the operator was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorConfig {
    /// Namespaces whose clusters are run; empty: all.
    pub watch_namespaces: Vec<String>,
    /// Image of Grapes where a cluster names none.
    pub grape_image: String,
    /// Where the Lease and the operator's pods are; `None`: the kubeconfig's, or the pod's.
    pub namespace: Option<String>,
    /// Who holds the Lease. No two processes that run may have the same.
    pub identity: String,
    /// Name of the Lease.
    pub lease: String,
    /// The times of the election.
    pub timings: Timings,
    /// Where the admin pages are.
    pub admin: SocketAddr,
    /// How often the Grapes of a cluster are asked how they are.
    pub observe_interval: Duration,
    /// Most clusters reconciled at once, at least 1.
    pub concurrency: u16,
    /// The webhook; `None`: this operator serves none.
    pub webhook: Option<WebhookConfig>,
}

/// What the webhook is served with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where it is served.
    pub bind: SocketAddr,
    /// The name of its Service. The Secret is called NAME-tls, the MutatingWebhookConfiguration
    /// NAME.NAMESPACE.
    pub name: String,
    /// The folder of a certificate that somebody else keeps; `None`: the operator keeps one.
    pub certificates: Option<PathBuf>,
    /// How long a certificate is valid that the operator makes, in whole seconds.
    pub lifetime: Duration,
}

impl WebhookConfig {
    /// The name of its MutatingWebhookConfiguration, where the operator is in this namespace.
    pub fn configuration(&self, namespace: &str) -> String {
        format!("{}.{namespace}", self.name)
    }
}

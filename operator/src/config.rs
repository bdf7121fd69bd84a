//! The operator's settings: one struct, from the flags to the code that reads a field.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::leader::Timings;

/// What a process runs of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Component {
    /// The controller and, unless there is none, the webhook.
    All,
    /// The controller alone. The webhook runs in another process.
    Controller,
    /// The webhook alone. The controller runs in another process.
    Webhook,
}

/// The operator's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorConfig {
    /// What this process runs.
    pub component: Component,
    /// Namespaces whose clusters are run; empty: all.
    pub watch_namespaces: Vec<String>,
    /// Image of Grapes if a cluster names none.
    pub grape_image: String,
    /// The namespace of the Lease and of the operator's pods; `None`: the kubeconfig's, or the
    /// pod's.
    pub namespace: Option<String>,
    /// The holder of the Lease. No two running processes may have the same.
    pub identity: String,
    /// Name of the Lease.
    pub lease: String,
    /// The times of the election.
    pub timings: Timings,
    /// Address of the admin pages.
    pub admin: SocketAddr,
    /// How often the Grapes of a cluster are probed.
    pub observe_interval: Duration,
    /// Most clusters reconciled at once, at least 1.
    pub concurrency: u16,
    /// The webhook; `None`: this operator has none. A controller that runs alone does not serve it.
    pub webhook: Option<WebhookConfig>,
}

impl OperatorConfig {
    /// The webhook that this process serves.
    pub fn served_webhook(&self) -> Option<&WebhookConfig> {
        self.webhook.as_ref().filter(|_| self.component != Component::Controller)
    }
}

/// The webhook's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Address of the webhook.
    pub bind: SocketAddr,
    /// The name of its Service. The Secret is called NAME-tls.
    pub name: String,
    /// The name of its MutatingWebhookConfiguration; `None`: NAME.NAMESPACE.
    pub configuration_name: Option<String>,
    /// The folder of a certificate that another program keeps; `None`: the operator issues one.
    pub certificates: Option<PathBuf>,
    /// How long an issued certificate is valid, in whole seconds.
    pub lifetime: Duration,
}

impl WebhookConfig {
    /// The name of the MutatingWebhookConfiguration, if the operator is in this namespace.
    pub fn configuration(&self, namespace: &str) -> String {
        self.configuration_name.clone().unwrap_or_else(|| format!("{}.{namespace}", self.name))
    }
}

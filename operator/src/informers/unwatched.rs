//! Namespaces whose GrapeClusters cannot be watched, because the namespace or the Role in it is gone.
//! The log and the metrics name each of them once.

use std::sync::Arc;

use kube::runtime::watcher::{Error, Event};
use tracing::{info, warn};

use crate::api_client::is_refusal;
use crate::metrics::Metrics;

/// Whether the watch of one namespace, or of all, goes on.
pub struct Unwatched {
    namespace: Option<String>,
    metrics: Arc<Metrics>,
    failing: bool,
}

impl Unwatched {
    /// A watch that has just begun.
    pub fn new(namespace: Option<&str>, metrics: Arc<Metrics>) -> Self {
        Self { namespace: namespace.map(str::to_owned), metrics, failing: false }
    }

    /// Takes note of an event of the watch, or of its error.
    pub fn note<T>(&mut self, change: &Result<Event<T>, Error>) {
        let namespace = self.namespace.as_deref().unwrap_or("all");
        let error = match change {
            // The list begins, and may be refused yet.
            Ok(Event::Init) => return,
            Ok(_) => None,
            Err(error) => Some(error),
        };
        match (error, std::mem::replace(&mut self.failing, error.is_some())) {
            (Some(error), false) => {
                let hint = if is_refusal(error) {
                    "is the namespace there, and the operator's Role in it? `helm upgrade` makes it"
                } else {
                    "is the CustomResourceDefinition there, and the API server?"
                };
                warn!(namespace, %error, hint, "cannot watch GrapeClusters; trying again");
                self.metrics.unwatched(namespace, true);
            }
            (None, true) => {
                info!(namespace, "the GrapeClusters of the namespace are watched again");
                self.metrics.unwatched(namespace, false);
            }
            _ => {}
        }
    }
}

//! Namespaces whose GrapeClusters cannot be watched: one that is gone, or whose Role is. They are told
//! of once, and nobody else waits for them.

use std::sync::Arc;

use kube::runtime::watcher::{Error, Event};
use tracing::{info, warn};

use crate::api_client::is_refusal;
use crate::metrics::Metrics;

/// What came of the watch of one namespace, or of all.
pub struct Unwatched {
    namespace: Option<String>,
    metrics: Arc<Metrics>,
    failing: bool,
}

impl Unwatched {
    /// Nothing has come of it yet.
    pub fn new(namespace: Option<&str>, metrics: Arc<Metrics>) -> Self {
        Self { namespace: namespace.map(str::to_owned), metrics, failing: false }
    }

    /// Takes note of what the watch told: that it goes on, or why not.
    pub fn note<T>(&mut self, change: &Result<Event<T>, Error>) {
        let namespace = self.namespace.as_deref().unwrap_or("all");
        let error = match change {
            // It begins to list, and may be refused yet.
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

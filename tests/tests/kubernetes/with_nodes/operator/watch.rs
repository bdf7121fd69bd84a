//! The Grapes of a cluster, looked at all the while that it changes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grape_tests::kubernetes::GrapeCluster;
use grape_tests::kubernetes::grape_cluster::GRAPES;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use tokio::task::JoinHandle;

use super::super::pods;

/// Counts the Grapes that are ready, ten times a second.
pub(super) struct Watch {
    fewest: Arc<Mutex<(usize, String)>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn begin(cluster: &GrapeCluster<'_>) -> Self {
        let fewest = Arc::new(Mutex::new((usize::MAX, String::new())));
        let task = tokio::spawn(count(cluster.pods().clone(), Arc::clone(&fewest)));
        Self { fewest, task }
    }

    /// The fewest that were ready at a time, and how the pods were then.
    pub(super) fn fewest(&self) -> (usize, String) {
        assert!(!self.task.is_finished(), "it looked to the end");
        self.fewest.lock().unwrap().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn count(api: Api<Pod>, fewest: Arc<Mutex<(usize, String)>>) {
    loop {
        let found = api.list(&ListParams::default().labels(GRAPES)).await.unwrap().items;
        let is_ready =
            |pod: &&Pod| pods::is_ready(pod) && pod.metadata.deletion_timestamp.is_none();
        let ready = found.iter().filter(is_ready).count();
        {
            let mut fewest = fewest.lock().unwrap();
            if ready < fewest.0 {
                *fewest = (ready, found.iter().map(pods::told).collect::<Vec<_>>().join("; "));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

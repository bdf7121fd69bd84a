//! A cluster and its Grapes, looked at all the while that they change.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use grape_tests::kubernetes::GrapeCluster;
use grape_tests::kubernetes::grape_cluster::{GRAPES, NAME, condition};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use tokio::task::JoinHandle;

use super::super::pods;

/// Looks ten times a second.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

struct Seen {
    fewest: (usize, String),
    pods: BTreeSet<String>,
    not_ready: BTreeSet<String>,
}

impl Watch {
    pub(super) fn begin(cluster: &GrapeCluster<'_>) -> Self {
        let nothing = Seen {
            fewest: (usize::MAX, String::new()),
            pods: BTreeSet::new(),
            not_ready: BTreeSet::new(),
        };
        let seen = Arc::new(Mutex::new(nothing));
        let (pods, clusters) = (cluster.pods().clone(), cluster.clusters().clone());
        let task = tokio::spawn(look(pods, clusters, Arc::clone(&seen)));
        Self { seen, task }
    }

    /// The fewest that were ready at a time, and how the pods were then.
    pub(super) fn fewest(&self) -> (usize, String) {
        self.seen().fewest.clone()
    }

    /// How many pods there were in all.
    pub(super) fn pods(&self) -> usize {
        self.seen().pods.len()
    }

    /// The reasons for which the cluster was not Ready.
    pub(super) fn not_ready(&self) -> BTreeSet<String> {
        self.seen().not_ready.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        assert!(!self.task.is_finished(), "it looked to the end");
        self.seen.lock().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(pods: Api<Pod>, clusters: Api<DynamicObject>, seen: Arc<Mutex<Seen>>) {
    loop {
        let found = pods.list(&ListParams::default().labels(GRAPES)).await.unwrap().items;
        let status = clusters.get(NAME).await.unwrap().data["status"].take();
        let is_ready =
            |pod: &&Pod| pods::is_ready(pod) && pod.metadata.deletion_timestamp.is_none();
        let ready = found.iter().filter(is_ready).count();
        {
            let mut seen = seen.lock().unwrap();
            if ready < seen.fewest.0 {
                let told = found.iter().map(pods::told).collect::<Vec<_>>().join("; ");
                seen.fewest = (ready, told);
            }
            seen.pods.extend(found.iter().filter_map(ResourceExt::uid));
            let condition = condition(&status, "Ready");
            if condition["status"] != "True" {
                seen.not_ready.insert(condition["reason"].as_str().unwrap_or("none").to_owned());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

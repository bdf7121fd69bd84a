//! Pods that ask for a Grape, made without end while something is changed. They are made in dry runs:
//! the API server asks the webhook, and stores nothing.

use std::time::Duration;

use grape_tests::kubernetes::service_pod;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Makes pods until it is ended.
pub(super) struct Asking {
    stop: CancellationToken,
    task: JoinHandle<(usize, Vec<String>)>,
}

impl Asking {
    /// Begins, once a first pod got its Grape.
    pub(super) async fn begin(pods: &Api<Pod>) -> Self {
        injected(pods).await.unwrap();
        let (stop, pods) = (CancellationToken::new(), pods.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (mut made, mut failures) = (0, Vec::new());
            while !stopped.is_cancelled() {
                match injected(&pods).await {
                    Ok(()) => made += 1,
                    Err(error) => failures.push(error),
                }
                sleep(Duration::from_millis(50)).await;
            }
            (made, failures)
        });
        Self { stop, task }
    }

    /// Ends, and returns how many pods got their Grape, and why others did not.
    pub(super) async fn end(self) -> (usize, Vec<String>) {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// Makes one, and says why it has no Grape.
pub(super) async fn injected(pods: &Api<Pod>) -> Result<(), String> {
    let argument = json!({"grape": "http://127.0.0.1:30001", "name": "rpc_test", "port": 1337});
    let mut pod = service_pod::node_js("asks", "zone-1", "rpc_server.js", &argument);
    pod["metadata"]["labels"]["grenache.dev/cluster"] = "market".into();
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let made = pods.create(&dry_run, &pod).await.map_err(|error| error.to_string())?;
    let beside = made.spec.and_then(|spec| spec.init_containers).unwrap_or_default();
    if beside.iter().any(|it| it.name == "grape") { Ok(()) } else { Err("no Grape".to_owned()) }
}

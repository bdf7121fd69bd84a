//! `tests/kubernetes/cluster`: a second `up` changes nothing, and `down` leaves nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use grape_tests::kubernetes::{Cluster, access, cluster};
use grape_tests::process::Process;
use grape_tests::wait;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::traces;

const NAME: &str = "lifetime";

#[tokio::test]
async fn down_leaves_nothing_however_far_it_was_up() {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: it is about clusters of ours, and USE_EXISTING_CLUSTER is set.");
        return;
    }
    let shared = Cluster::shared().await.unwrap();
    // It has the name of a component and the arguments of the cluster, but does not belong to it.
    let mut stranger = tokio::process::Command::new("sleep");
    stranger.arg0("kubelet").arg("3600");
    let mut stranger = Process::start("a stranger", &mut stranger).unwrap();

    down();
    for after in [200, 1500, 3500, 6000, 9000] {
        kill_up_after(Duration::from_millis(after)).await;
        let unnamed = traces::unnamed(NAME);
        down();
        assert_eq!(traces::left(NAME, &unnamed), Vec::<String>::new(), "killed after {after} ms");
    }

    kill_up_after(Duration::from_millis(3000)).await;
    let own = Cluster::own(NAME).await.expect("half a cluster is there, and it comes up");
    assert_ne!(address(&own), address(&shared), "each has a network of its own");
    let before = (processes(), nodes(&own).await);
    let again = Cluster::own(NAME).await.unwrap();
    assert_eq!((processes(), nodes(&again).await), before, "up again changes nothing");
    std::mem::forget(again);

    end_component("scheduler");
    let status = cluster::command(NAME).arg("status").output().unwrap();
    assert!(!status.status.success(), "status tells that the scheduler does not run");
    run(&["up"]);
    let mended = processes();
    let changed: Vec<_> = mended.iter().filter(|(c, id)| before.0.get(*c) != Some(*id)).collect();
    assert_eq!(changed.len(), 1, "what had ended is started again, and nothing else: {changed:?}");
    run(&["status"]);

    own.node_down(1).unwrap();
    until_ready(&own, "n1", "Unknown").await;
    own.node_up(1).unwrap();
    until_ready(&own, "n1", "True").await;
    own.node_down(2).unwrap();
    run(&["up"]);
    until_ready(&own, "n2", "True").await;

    let unnamed = traces::unnamed(NAME);
    assert!(!traces::left(NAME, &unnamed).is_empty(), "what is looked for is there while it is up");
    drop(own);
    assert_eq!(traces::left(NAME, &unnamed), Vec::<String>::new());
    assert!(stranger.has_ended().unwrap().is_none(), "a stranger is left alone");
    assert_eq!(nodes(&shared).await.len(), 2, "the other cluster is left alone");
}

/// SIGKILL, as a time-out of a CI would.
async fn kill_up_after(time: Duration) {
    let mut up = cluster::command(NAME);
    let mut up = up.arg("up").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(time).await;
    up.kill().unwrap();
    up.wait().unwrap();
}

fn down() {
    run(&["down"]);
}

fn run(arguments: &[&str]) {
    let output = cluster::command(NAME).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cluster {arguments:?}: {told}");
}

/// Each component's id and time of start.
fn processes() -> BTreeMap<String, String> {
    let records = fs::read_dir(traces::place(NAME).join("pids")).unwrap();
    let read = |entry: fs::DirEntry| {
        let component = entry.file_name().into_string().unwrap();
        (component, fs::read_to_string(entry.path()).unwrap())
    };
    records.map(|entry| read(entry.unwrap())).collect()
}

fn end_component(component: &str) {
    let pid = processes()[component].split_whitespace().next().unwrap().to_owned();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
}

fn address(cluster: &Cluster) -> String {
    let text = fs::read_to_string(cluster.kubeconfig()).unwrap();
    text.lines().find(|line| line.contains("server:")).unwrap().to_owned()
}

/// The nodes' names and identities.
async fn nodes(cluster: &Cluster) -> Vec<(String, Option<String>)> {
    let api: Api<Node> = Api::all(cluster.client());
    let nodes = api.list(&ListParams::default()).await.unwrap();
    nodes.iter().map(|node| (node.name_any(), node.uid())).collect()
}

async fn until_ready(cluster: &Cluster, node: &str, wanted: &str) {
    let api: Api<Node> = Api::all(cluster.client());
    wait::until(&format!("{node} is Ready: {wanted}"), async || {
        let found = api.get(node).await.map_err(|error| error.to_string())?;
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        match ready.map(|condition| condition.status) {
            Some(status) if status == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
}

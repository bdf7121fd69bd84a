//! The leader's connections to the API server go silent, as when a firewall forgets them. New ones
//! work.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use grape_tests::kubernetes::operator::{NAMESPACE, is_somebody_elses};
use grape_tests::kubernetes::{GrapeCluster, Operator, pod_processes, script};
use grape_tests::{figure, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde_json::json;
use tokio::time::Instant;

/// How long it may take until the leader notices: three times what it should take at most. Before
/// it asked, it took five minutes.
const NOTICED: Duration = Duration::from_secs(135);

/// `ESTABLISHED`, and the API server's port, as /proc/net/tcp has them.
const ESTABLISHED: &str = "01";
const API_SERVER: &str = "01BB";

#[tokio::test]
async fn the_leader_notices_that_its_connections_are_dead() {
    if is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::alone().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "silent", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let leader = operator.leader().await.unwrap().expect("one leads");
    let pods: Api<Pod> = Api::namespaced(operator.cluster().client(), NAMESPACE);
    let pod = pods.get(&leader).await.unwrap();
    let process = pod_processes::running(&pod, &["grape-operator"]).unwrap();
    let process = process[0].to_str().unwrap();

    let silenced = silence(process).unwrap();
    assert!(silenced > 0, "the leader has no connection to the API server");
    let begun = Instant::now();
    cluster.change(json!({"replicas": 4})).await.unwrap();
    let made = wait::until_within(NOTICED, "a fourth Grape is made", async || {
        let grapes = cluster.grapes().await?.len();
        ensure!(grapes == 4, "there are {grapes}");
        anyhow::Ok(())
    });
    made.await.unwrap();
    figure::took("the leader's connections are silent, and a change is made", begun.elapsed());
    cluster.until_ready().await.unwrap();
    let again = pod_processes::running(&pods.get(&leader).await.unwrap(), &["grape-operator"]);
    assert_eq!(again.unwrap()[0].to_str(), Some(process), "it went on without a restart");
    assert_eq!(operator.leader().await.unwrap(), Some(leader));
}

/// Drops all packets of the connections that a process has to the API server now, and returns how
/// many these are.
fn silence(process: &str) -> Result<usize> {
    let mut ports = Vec::new();
    for table in ["tcp", "tcp6"] {
        let path = Path::new("/proc").join(process).join("net").join(table);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            ensure!(fields.len() > 3, "{line}");
            let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
            if fields[3] == ESTABLISHED && port(fields[2]) == API_SERVER {
                ports.push(u16::from_str_radix(&port(fields[1]), 16)?.to_string());
            }
        }
    }
    for port in &ports {
        for (chain, direction) in [("OUTPUT", "--sport"), ("INPUT", "--dport")] {
            let iptables = ["iptables", "--append", chain, "--protocol", "tcp", direction, port];
            let mut command = Command::new("nsenter");
            command.args(["--target", process, "--net"]).args(iptables).args(["--jump", "DROP"]);
            script::run(&mut command)?;
        }
    }
    Ok(ports.len())
}

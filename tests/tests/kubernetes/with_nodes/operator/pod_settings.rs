//! What a template says of the pods themselves: variables, name servers, names of hosts, a user.

use std::fs;
use std::path::Path;

use grape_tests::figure;
use grape_tests::kubernetes::grape_cluster::{GRAPES, condition};
use grape_tests::kubernetes::{GrapeCluster, Operator, operator, pod_processes};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::pods;

/// The message of the condition `Ready`.
fn ready(status: &Value) -> &str {
    condition(status, "Ready")["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn grapes_work_with_the_settings_of_their_template() {
    if operator::is_somebody_elses().unwrap() {
        return;
    }
    let operator = Operator::shared().await.unwrap();
    let old = GrapeCluster::make(&operator, "outside", json!({"replicas": 1})).await.unwrap();
    old.until_ready().await.unwrap();
    let grape = pods::ready(old.pods(), GRAPES, 1).await.remove(0);
    let address = grape.status.unwrap().pod_ip.unwrap();
    let servers = ["get", "service", "kube-dns", "--namespace=kube-system"];
    let server = [&servers[..], &["--output=jsonpath={.spec.clusterIP}"]].concat();
    let server = operator.kubectl(server).unwrap();

    // It finds the other cluster by a name that only its own file of hosts has.
    let spec = json!({
        "dht": {"bootstrap": ["old-grape.example.org:20001"]},
        "template": {
            "env": [{"name": "TZ", "value": "Asia/Tokyo"}],
            "dnsPolicy": "None",
            "dnsConfig": {
                "nameservers": [server],
                "searches": ["cluster.local"],
                "options": [{"name": "ndots", "value": "5"}],
            },
            "hostAliases": [{"ip": address, "hostnames": ["old-grape.example.org"]}],
            "securityContext": {"runAsUser": 4711, "runAsGroup": 4712},
        },
    });
    let cluster = GrapeCluster::make(&operator, "settings", spec).await.unwrap();
    let well = |status: &Value| condition(status, "BootstrapReachable")["status"] == "True";
    cluster.until("the name in hostAliases leads to a Grape", well).await.unwrap();
    let status = cluster.until_ready().await.unwrap();
    assert!(!ready(&status).contains("does not resolve"), "{status}");

    for grape in pods::ready(cluster.pods(), GRAPES, 3).await {
        let process = pod_processes::running(&grape, &["grape"]).unwrap().remove(0);
        let process = Path::new("/proc").join(process);
        let variables = fs::read(process.join("environ")).unwrap();
        let variables = String::from_utf8(variables).unwrap();
        assert!(variables.split('\0').any(|it| it == "TZ=Asia/Tokyo"), "{variables}");
        assert!(variables.split('\0').any(|it| it.starts_with("POD_IP=10.")), "{variables}");
        let resolver = fs::read_to_string(process.join("root/etc/resolv.conf")).unwrap();
        assert!(resolver.contains("search cluster.local\n"), "{resolver}");
        let status = fs::read_to_string(process.join("status")).unwrap();
        let id = |of: &str| status.lines().find(|line| line.starts_with(of)).unwrap().to_owned();
        assert!(id("Uid:").contains("4711") && id("Gid:").contains("4712"), "{status}");
    }
}

/// A change of the template that cuts the Grapes off from the name of their own Service.
#[tokio::test]
async fn grapes_that_cannot_resolve_their_own_name_are_reported() {
    let operator = Operator::shared().await.unwrap();
    let cluster = GrapeCluster::make(&operator, "unnamed", json!({})).await.unwrap();
    cluster.until_ready().await.unwrap();
    let begun = Instant::now();
    // An address of a network that is kept for documentation: nothing answers there.
    let lost = json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.53"]}});
    cluster.change(json!({"template": lost})).await.unwrap();
    let name = format!("market.{}.svc:20001", cluster.namespace());
    let told = cluster.until("the name is reported", |status| {
        let told = ready(status);
        told.contains("does not resolve in their pods") && told.contains(&name)
    });
    let status = told.await.unwrap();
    figure::took("Grapes without their own name told of, from the change", begun.elapsed());
    assert!(ready(&status).contains("Check dnsPolicy and dnsConfig in spec.template"), "{status}");

    cluster.change(json!({"template": {"dnsPolicy": null, "dnsConfig": null}})).await.unwrap();
    let well = cluster.until("all is well again", |status| {
        condition(status, "Ready")["status"] == "True"
            && condition(status, "Progressing")["reason"] == "Settled"
            && !ready(status).contains("does not resolve")
    });
    well.await.unwrap();
}

/// The only Grape of a cluster waits for the Grapes that it is to join.
#[tokio::test]
async fn a_grape_that_is_not_ready_is_reported_with_the_name_that_does_not_resolve() {
    let operator = Operator::shared().await.unwrap();
    let name = "no-such-grape.prod.svc:20001";
    let spec = json!({"replicas": 1, "dht": {"bootstrap": [name]}});
    let cluster = GrapeCluster::make(&operator, "waiting", spec).await.unwrap();
    let told = cluster.until("the name is reported", |status| {
        condition(status, "Ready")["status"] == "False"
            && ready(status)
                .contains("market-default-0: the name no-such-grape.prod.svc:20001 does")
    });
    told.await.unwrap();
    cluster.change(json!({"dht": {"bootstrap": []}})).await.unwrap();
    cluster.until_ready().await.unwrap();
}

//! Grapes as a plain StatefulSet, written by hand: they find each other by the Service's name,
//! and unchanged Node.js services in pods find each other through them.

use std::collections::BTreeSet;
use std::fmt::Debug;

use grape_tests::kubernetes::{Cluster, Namespace, images, service_pod};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::pods;

const GRAPES: usize = 4;

#[tokio::test]
async fn a_service_in_a_pod_is_found_and_called_from_the_other_node() {
    let cluster = Cluster::shared().await.unwrap();
    images::load(&cluster, "grape").unwrap();
    images::load(&cluster, "peers").unwrap();
    let namespace = Namespace::make(&cluster, "first-use").await.unwrap();
    let space = Space { client: cluster.client(), name: namespace.name().to_owned() };

    space.create::<Service>(service()).await;
    space.create::<StatefulSet>(space.grapes()).await;
    let all: Api<Pod> = Api::namespaced(cluster.client(), namespace.name());
    let grapes = pods::ready(&all, "app=grapes", GRAPES).await;
    let used: BTreeSet<&str> = grapes.iter().map(pods::node).collect();
    assert_eq!(used.len(), 2, "both nodes run Grapes: {used:?}");

    // An announce has the address of the Grape that accepts it, so a service needs a Grape in its
    // pod.
    let own = "http://127.0.0.1:30001".to_owned();
    let served = json!({"grape": own, "name": "rpc_test", "port": 1337});
    let mut server = service_pod::node_js("server", "zone-1", "rpc_server.js", &served);
    server["spec"]["initContainers"] = json!([service_pod::sidecar(&space.bootstrap())]);
    space.create::<Pod>(server).await;
    let server = pods::ready(&all, "app=server", 1).await.remove(0);

    // Another, on the other node, asks a Grape of the set there.
    let there = grapes.iter().find(|pod| pods::node(pod) != pods::node(&server)).unwrap();
    let asked = format!("http://{}.{}:30001", there.name_any(), space.domain());
    let call = json!({"grape": asked, "names": ["rpc_test"], "payload": {"hello": "there"}});
    space.create::<Pod>(service_pod::node_js("client", "zone-2", "rpc_client.js", &call)).await;
    let told = pods::outcome(&all, "app=client").await;
    let reply: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(reply["error"], Value::Null, "{told}");
    assert_eq!(reply["result"], json!({"service": "rpc_test", "payload": {"hello": "there"}}));

    let client = all.list(&kube::api::ListParams::default().labels("app=client")).await.unwrap();
    assert_ne!(pods::node(&client.items[0]), pods::node(&server), "the call went between nodes");
}

/// A namespace and who makes things in it.
struct Space {
    client: Client,
    name: String,
}

impl Space {
    async fn create<K>(&self, object: Value)
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned + Serialize,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.name);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    /// Under which the headless Service's pods are found.
    fn domain(&self) -> String {
        format!("grapes.{}.svc.cluster.local", self.name)
    }

    /// Where Grapes join it.
    fn bootstrap(&self) -> String {
        format!("{}:20001", self.domain())
    }

    fn grapes(&self) -> Value {
        json!({
            "metadata": {"name": "grapes"},
            "spec": {
                "serviceName": "grapes",
                "replicas": GRAPES,
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"app": "grapes"}},
                "template": {
                    "metadata": {"labels": {"app": "grapes"}},
                    "spec": {
                        "automountServiceAccountToken": false,
                        "terminationGracePeriodSeconds": 5,
                        "securityContext": service_pod::pod_security(),
                        "topologySpreadConstraints": [{
                            "maxSkew": 1,
                            "topologyKey": "topology.kubernetes.io/zone",
                            "whenUnsatisfiable": "DoNotSchedule",
                            "labelSelector": {"matchLabels": {"app": "grapes"}},
                        }],
                        "containers": [service_pod::grape("0.0.0.0", &self.bootstrap())],
                    },
                },
            },
        })
    }
}

fn service() -> Value {
    json!({
        "metadata": {"name": "grapes"},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": {"app": "grapes"},
            "ports": [{"name": "dht", "port": 20001, "protocol": "UDP"}],
        },
    })
}

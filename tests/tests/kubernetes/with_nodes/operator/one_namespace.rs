//! Operator, cluster and service in one namespace, as `helm install` into the current one makes them.

use grape_tests::kubernetes::operator::NAMESPACE;
use grape_tests::kubernetes::{Operator, service_pod};
use grape_tests::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use super::super::pods;

const MANIFEST: &str = r#"
apiVersion: grenache.dev/v1alpha1
kind: GrapeCluster
metadata: {name: beside}
spec: {}
"#;

#[tokio::test]
async fn a_service_beside_the_operator_gets_its_grape_and_is_found() {
    let operator = Operator::alone().await.unwrap();
    let manifest = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(manifest.path(), MANIFEST).unwrap();
    let file = manifest.path().to_str().unwrap();
    operator.kubectl(["apply", "--namespace", NAMESPACE, "--filename", file]).unwrap();
    let cluster = ["--namespace", NAMESPACE, "grapecluster/beside"];
    let ready = ["wait", "--for=condition=Ready", "--timeout=2m"];
    operator.kubectl(ready.iter().chain(&cluster)).unwrap();

    let argument = json!({"grape": "http://127.0.0.1:30001", "name": "rpc_test", "port": 1337});
    let mut pod = service_pod::node_js("service", "zone-1", "rpc_server.js", &argument);
    pod["metadata"]["labels"]["grenache.dev/cluster"] = "beside".into();
    let pod = serde_json::from_value(pod).unwrap();
    let api: Api<Pod> = Api::namespaced(operator.cluster().client(), NAMESPACE);
    api.create(&PostParams::default(), &pod).await.unwrap();
    let service = pods::ready(&api, "app=service", 1).await.remove(0);
    let beside = service.spec.unwrap().init_containers.unwrap();
    assert_eq!(beside[0].name, "grape");
    let ip = service.status.unwrap().pod_ip.unwrap();
    let lookup = ["exec", "beside-default-0", "--namespace", NAMESPACE, "--", "grape", "lookup"];
    wait::until("a Grape of the cluster finds it", async || {
        let found = operator.kubectl(lookup.iter().chain(&["rpc_test"]))?;
        anyhow::ensure!(found == format!("{ip}:1337"), "{found}");
        anyhow::Ok(())
    })
    .await
    .unwrap();

    operator.kubectl(["delete", "pod/service", "--namespace", NAMESPACE]).unwrap();
    operator.kubectl(["delete"].iter().chain(&cluster)).unwrap();
    let gone = ListParams::default().labels("app.kubernetes.io/instance=beside");
    wait::until("its Grapes are gone", async || {
        let left = api.list(&gone).await.map_err(anyhow::Error::from)?.items.len();
        anyhow::ensure!(left == 0, "{left}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

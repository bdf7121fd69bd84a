//! What may become of a cluster that is there: changes, `kubectl scale`, and what a
//! HorizontalPodAutoscaler asks.

use grape_cluster::GrapeCluster;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use rstest::rstest;
use serde_json::json;

use super::{manifest, server, told};

#[tokio::test]
async fn the_port_of_the_dht_is_final() {
    let server = server().await;
    let api: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let object = serde_yaml::from_str(&manifest("final", "{dht: {port: 20002}}")).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let merge = async |spec: serde_json::Value| {
        let patch = Patch::Merge(json!({"spec": spec}));
        match api.patch("final", &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(told(&status)),
            Err(error) => panic!("the API server does not answer: {error}"),
        }
    };
    let refused = "spec.dht.port: Invalid value: 20003: it is immutable: Grapes before and after \
        the change could not find each other; make a second cluster that has this one in \
        spec.dht.bootstrap and names the same spec.dht.network (of this one NAMESPACE.NAME, unless it \
        names another), and move over";
    assert_eq!(merge(json!({"dht": {"port": 20003}})).await.unwrap_err(), refused);
    let left_out = refused.replace("20003", "20001");
    assert_eq!(merge(json!({"dht": null})).await.unwrap_err(), left_out);
    merge(json!({"dht": {"port": 20002, "concurrency": 1}, "api": {"port": 1}})).await.unwrap();
    api.delete("final", &DeleteParams::default()).await.unwrap();
}

#[rstest]
#[case::another("{dht: {network: prod}}", json!({"network": "test"}))]
#[case::one_at_last("{}", json!({"network": "test"}))]
#[case::none_any_more("{dht: {network: prod}}", json!({"network": null}))]
#[tokio::test]
async fn the_network_is_final(#[case] before: &str, #[case] change: serde_json::Value) {
    let refused = changed(before, &change).await.unwrap_err();
    assert!(
        refused.starts_with("spec.dht.network: Invalid value: ")
            && refused.ends_with(
                ": it is immutable: Grapes before and after the change would refuse each other, \
                 and sidecars keep the old one until their pods restart; create a second GrapeCluster"
            ),
        "{refused}"
    );
}

/// A cluster that names none while it has addresses of others is of any network.
#[rstest]
#[case::one_at_last("{dht: {bootstrap: [\"old:20001\"]}}", json!({"network": "test"}))]
#[case::none_any_more("{dht: {bootstrap: [\"old:20001\"], network: test}}", json!({"network": null}))]
#[tokio::test]
async fn a_cluster_of_any_network_may_name_one(
    #[case] before: &str,
    #[case] change: serde_json::Value,
) {
    changed(before, &change).await.unwrap();
}

/// Makes a cluster, changes its `spec.dht`, and gives what the API server says.
async fn changed(before: &str, change: &serde_json::Value) -> Result<(), String> {
    let server = server().await;
    let api: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let mut object: GrapeCluster = serde_yaml::from_str(&manifest("named", before)).unwrap();
    object.metadata.name = None;
    object.metadata.generate_name = Some("named-".to_owned());
    let name = api.create(&PostParams::default(), &object).await.unwrap().name_any();
    let patch = Patch::Merge(json!({"spec": {"dht": change}}));
    let answer = api.patch(&name, &PatchParams::default(), &patch).await;
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(told(&status)),
        Err(error) => panic!("the API server does not answer: {error}"),
    }
}

#[tokio::test]
async fn it_scales_within_its_bounds() {
    let server = server().await;
    let kubectl = server.kubectl().unwrap();
    let api: Api<GrapeCluster> = Api::default_namespaced(server.client());
    for (name, spec) in [("shared", "{}"), ("fixed", "{pools: [{name: a, replicas: 3}]}")] {
        let object = serde_yaml::from_str(&manifest(name, spec)).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let scale =
        |name: &str, replicas: &str| kubectl.refused(["scale", "gcl", name, replicas]).unwrap();
    let mut said = Vec::new();
    for (name, replicas) in [("shared", "0"), ("shared", "1001"), ("fixed", "2"), ("fixed", "4")] {
        said.push(scale(name, &format!("--replicas={replicas}")));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    The GrapeCluster "shared" is invalid: spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1
    The GrapeCluster "shared" is invalid: spec.replicas: Invalid value: 1001: spec.replicas in body should be less than or equal to 1000
    The GrapeCluster "fixed" is invalid: spec.replicas: Invalid value: must be at least the replicas of all spec.pools together
    The GrapeCluster "fixed" is invalid: spec.replicas: Invalid value: must be the replicas of all spec.pools together, unless one of these leaves replicas out and so takes the rest
    "#);
    let scaled = kubectl.run(["scale", "gcl", "shared", "--replicas=5"]).unwrap();
    assert_eq!(scaled, "grapecluster.grenache.dev/shared scaled");
    assert_eq!(api.get("shared").await.unwrap().spec.replicas, 5);

    let status =
        json!({"status": {"replicas": 4, "selector": "app.kubernetes.io/instance=shared"}});
    let merge = Patch::Merge(status);
    api.patch_status("shared", &PatchParams::default(), &merge).await.unwrap();
    let seen = api.get_scale("shared").await.unwrap();
    assert_eq!(seen.spec.unwrap().replicas, Some(5));
    let status = seen.status.unwrap();
    assert_eq!(status.replicas, 4);
    assert_eq!(status.selector.as_deref(), Some("app.kubernetes.io/instance=shared"));
    for name in ["shared", "fixed"] {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

//! The files of `examples/`, as people apply them.

use std::fs;
use std::path::{Path, PathBuf};

use grape_cluster::GrapeCluster;
use grape_cluster::validate::validate;
use grape_tests::kubernetes::ApiServer;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

fn manifests() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_example_is_applied_and_its_clusters_can_be_used() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let kubectl = server.kubectl().unwrap();
    let manifests = manifests();
    for file in &manifests {
        // Strictly: a field that there is not is refused.
        let applied = kubectl.run(["apply", "--validate=strict", "-f", file.to_str().unwrap()]);
        assert!(applied.unwrap().contains(" created"), "{}", file.display());
    }
    let clusters: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let clusters = clusters.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(clusters.len(), 3);
    for cluster in &clusters {
        validate(cluster).unwrap_or_else(|why| panic!("{}: {why:?}", cluster.name_any()));
    }
    let page = include_str!("../../../examples/README.md");
    for file in manifests {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(page.contains(&format!("[{name}]({name})")), "examples/README.md: {name}");
    }
}

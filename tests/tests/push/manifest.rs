//! `install.yaml`, at a real API server.

use std::collections::BTreeSet;

use grape_tests::kubernetes::{ApiServer, Kubectl};
use serde::Deserialize;
use serde_yaml::Value;

use super::Scene;

fn objects(text: &str) -> Vec<Value> {
    let all = serde_yaml::Deserializer::from_str(text);
    all.map(|each| Value::deserialize(each).unwrap()).filter(|it| !it.is_null()).collect()
}

fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_what_helm_installs_and_nothing_that_says_so() {
    let scene = Scene::new().await;
    scene.push(&["--pull-secret", "registry"]);
    let text = scene.text("install.yaml");
    let all = objects(&text);
    let titles: BTreeSet<String> = all.iter().map(title).collect();
    assert_eq!(titles.len(), all.len(), "each object is there once");
    assert_eq!(title(&all[0]), "Namespace/grape-system");

    let values = scene.dist.file("values.yaml");
    let chart = grape_tests::kubernetes::helm::chart().unwrap();
    let mut helm = grape_tests::kubernetes::helm::command().unwrap();
    helm.args(["template", "grape-operator", "--namespace=grape-system", "--no-hooks", "--values"]);
    let rendered = helm.arg(values).arg(chart).output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let rendered = objects(&String::from_utf8(rendered.stdout).unwrap());
    let mut wanted: BTreeSet<String> = rendered.iter().map(title).collect();
    wanted.insert("Namespace/grape-system".to_owned());
    assert_eq!(titles, wanted);

    for word in ["helm.sh/hook", "helm.sh/chart", "managed-by: \"Helm\"", "managed-by: Helm"] {
        assert!(!text.contains(word), "{word}");
    }
    let deployment = all.iter().find(|it| it["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["imagePullSecrets"][0]["name"], "registry");
    let container = &pod["containers"][0];
    assert_eq!(container["image"], *scene.dist.image("image").unwrap());
    let env = container["env"].as_sequence().unwrap();
    let image = env.iter().find(|it| it["name"] == "GRAPE_IMAGE").unwrap();
    assert_eq!(image["value"], *scene.dist.image("grapeImage").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_takes_it_and_a_second_time_nothing_changes() {
    let scene = Scene::new().await;
    scene.push(&[]);
    let server = ApiServer::start().await.unwrap();
    let kubectl = Kubectl::ours(server.kubeconfig()).unwrap();
    for (flag, path) in [("--filename", "install.yaml"), ("--kustomize", "kustomize")] {
        let path = scene.dist.file(path).display().to_string();
        let apply = ["apply", "--server-side", "--validate=strict", flag, &path];
        kubectl.run(apply).unwrap();
        let diff = kubectl.run(["diff", "--server-side", flag, &path]).unwrap();
        assert_eq!(diff, "", "{path}");
    }
}

//! What a real API server warns of once the chart is installed, in kubectl's own words.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use grape_operator::desired::labels::CLUSTER;
use grape_operator::inject::annotations::READ;
use grape_operator::inject::selection::INJECT;
use grape_tests::kubernetes::{ApiServer, definition, tools};
use grape_tests::wait;
use serde_json::{Value, json};

use super::helm;
use super::server::{kubectl, server};

/// Applies what is given, and returns what kubectl warned of.
fn warned(server: &ApiServer, arguments: &[&str], object: &Value) -> Vec<String> {
    let mut kubectl = Command::new(tools::binary("kubectl").unwrap());
    kubectl.env("KUBECONFIG", server.kubeconfig()).args(arguments).arg("--filename=-");
    kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = kubectl.spawn().unwrap();
    running.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "warnings refuse nothing: {told}");
    let warnings = told.lines().filter(|line| line.starts_with("Warning: Validation failed"));
    warnings.map(|line| line.split_once(": Validation").unwrap().1.to_owned()).collect()
}

/// A server that has the chart's policies, and acts by them.
async fn with_policies(values: &[&str]) -> Option<ApiServer> {
    let server = server().await?;
    definition::install(&server.client()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("warnings.yaml");
    let only = ["--show-only=templates/warnings.yaml"];
    std::fs::write(&file, helm::printed(helm::template(&[&only, values].concat()))).unwrap();
    kubectl(&server, &["apply", "-f", file.to_str().unwrap()]).unwrap();
    wait::until("the API server acts by the policies", async || {
        let told = warned(&server, &["apply", "--dry-run=server"], &pod("labels", "cluste"));
        if told.is_empty() { Err("no warning") } else { Ok(()) }
    })
    .await
    .unwrap();
    Some(server)
}

fn pod(part: &str, key: &str) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "rpc", "namespace": "default"},
        "spec": {"containers": [{"name": "rpc", "image": "rpc"}], "restartPolicy": "Never"},
    });
    pod["metadata"][part] = json!({format!("grenache.dev/{key}"): "market"});
    pod
}

/// A workload of a kind, with `metadata` of its own and in its template.
fn workload(kind: &str, own: &Value, inner: &Value) -> Value {
    let mut template = json!({"metadata": inner, "spec": pod("labels", "a")["spec"]});
    let (version, spec) = match kind {
        "Job" => ("batch/v1", json!({"template": template})),
        "CronJob" => {
            let job = json!({"spec": {"template": template}});
            ("batch/v1", json!({"schedule": "@daily", "jobTemplate": job}))
        }
        _ => {
            template["spec"]["restartPolicy"] = "Always".into();
            template["metadata"]["labels"]["app"] = "rpc".into();
            ("apps/v1", json!({"selector": {"matchLabels": {"app": "rpc"}}, "template": template}))
        }
    };
    let mut made = json!({"apiVersion": version, "kind": kind, "metadata": own, "spec": spec});
    made["metadata"]["name"] = "rpc".into();
    made["metadata"]["namespace"] = "default".into();
    made
}

/// Everything without an effect is warned of, wherever it is, and nothing else.
#[tokio::test]
async fn of_labels_and_annotations_that_have_no_effect() {
    let Some(server) = with_policies(&[]).await else { return };
    let apply = ["apply", "--dry-run=server"];
    for (part, key, hint) in [
        ("labels", "clusters", "has no effect: did you mean grenache.dev/cluster?"),
        ("labels", "Cluster", "has no effect: did you mean grenache.dev/cluster?"),
        ("labels", "x", "has no effect. There are grenache.dev/cluster, grenache.dev/inject"),
        ("labels", "announce", "is an annotation"),
        (
            "labels",
            "inject",
            "has the one value disabled. Pods get a Grape by grenache.dev/cluster",
        ),
        ("annotations", "cluster", "is a label"),
        ("annotations", "anounce", "has no effect: did you mean grenache.dev/announce?"),
        (
            "annotations",
            "cpu",
            "has no effect: did you mean grenache.dev/cpu-request or grenache.dev/cpu-limit?",
        ),
    ] {
        let told = warned(&server, &apply, &pod(part, key));
        let expected = format!(": metadata.{part}: grenache.dev/{key} {hint}");
        assert!(told.len() == 1 && told[0].contains(&expected), "{expected}: {told:?}");
    }
    let label = json!({"labels": {"grenache.dev/cluster": "market"}});
    let typo = json!({"labels": {"grenache.dev/clutser": "market"}});
    let note = json!({"annotations": {"grenache.dev/cluster": "market"}});
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"] {
        let path = match kind {
            "CronJob" => "spec.jobTemplate.spec.template.metadata",
            _ => "spec.template.metadata",
        };
        let own = format!("grenache.dev/cluster has no effect on a {kind}. Put it into {path}");
        for (own_part, inner, expected) in [
            (&label, &json!({}), Some(own.clone())),
            (&note, &json!({}), Some(own.clone())),
            (&json!({}), &typo, Some(format!("{path}.labels: grenache.dev/clutser has no effect"))),
            (
                &json!({}),
                &note,
                Some(format!("{path}.annotations: grenache.dev/cluster is a label")),
            ),
            (&json!({}), &label, None),
            (&label, &label, None),
        ] {
            let told = warned(&server, &apply, &workload(kind, own_part, inner));
            assert_eq!(told.len(), usize::from(expected.is_some()), "{kind}: {told:?}");
            assert!(expected.is_none_or(|text| told[0].contains(&text)), "{kind}: {told:?}");
        }
    }
    let all = json!({
        "labels": {"grenache.dev/cluster": "a", "grenache.dev/inject": "disabled"},
        "annotations": {"grenache.dev/announce": "a:1", "grenache.dev/injected-by": "x"},
    });
    assert_eq!(warned(&server, &apply, &workload("Deployment", &json!({}), &all)), [""; 0]);
}

/// Of what a change of a GrapeCluster means for services that run.
#[tokio::test]
async fn services_that_lose_their_grapecluster_are_warned_of() {
    let Some(server) =
        with_policies(&["--set=watchNamespaces={default}", "--set=warnings.enabled=true"]).await
    else {
        return;
    };
    let mut cluster = json!({
        "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
        "metadata": {"name": "market", "namespace": "default"}, "spec": {},
    });
    let apply = ["apply", "--server-side"];
    let delete = ["delete", "--dry-run=server"];
    assert_eq!(warned(&server, &apply, &cluster), [""; 0]);
    assert_eq!(warned(&server, &delete, &cluster), [""; 0], "no pod has a Grape of it");
    let injected = json!({"status": {"injected": {"pods": 6, "ready": 6}}}).to_string();
    let patch = [
        "patch",
        "grapecluster/market",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &injected,
    ];
    kubectl(&server, &patch).unwrap();
    let told = warned(&server, &delete, &cluster);
    assert!(
        told.len() == 1 && told[0].contains("pods that ask for a Grape of this GrapeCluster: 6"),
        "{told:?}"
    );
    cluster["spec"] = json!({"replicas": 5});
    assert_eq!(warned(&server, &apply, &cluster), [""; 0], "another change");
    cluster["spec"] = json!({"api": {"port": 30100}});
    let told = warned(&server, &apply, &cluster);
    assert!(told.len() == 1, "{told:?}");
    for part in ["spec.api.port: ", "http://127.0.0.1:30100", "theirs at port 30001 until"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    assert_eq!(warned(&server, &apply, &cluster), [""; 0], "it is so by now");
}

/// What the operator reads one day and the chart does not know would be warned of.
#[test]
fn they_know_all_labels_and_annotations_that_the_operator_reads() {
    let yaml = helm::printed(helm::template(&["--show-only=templates/warnings.yaml"]));
    let known = |variable: &str| {
        let rest = yaml.split(&format!("- name: {variable}\n")).nth(1).unwrap();
        let list = rest.lines().next().unwrap().split('\'').skip(1).step_by(2);
        list.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(known("knownLabels"), [CLUSTER, INJECT].map(str::to_owned).into());
    assert_eq!(known("knownAnnotations"), READ.map(str::to_owned).into());
}
